"""A recurrent net in plain NumPy that learns to spell, with one mistake in its backward pass.

Ask for it: ``tinynet compare examples/wrong_backward.py:loss_and_gradients``.
"""

import numpy as np

TEXT = "abracadabra"
LETTERS = sorted(set(TEXT))

generator = np.random.default_rng(0)
Wxh = generator.normal(0, 0.5, (6, len(LETTERS)))
Whh = generator.normal(0, 0.5, (6, 6))
Why = generator.normal(0, 0.5, (len(LETTERS), 6))
bh, by = np.zeros(6), np.zeros(len(LETTERS))

inputs = np.array([LETTERS.index(letter) for letter in TEXT[:4]])
targets = np.array([LETTERS.index(letter) for letter in TEXT[1:5]])


def loss_and_gradients(inputs, targets):
    """The cross-entropy of the next letters, and its gradients through time."""
    steps = len(inputs)
    h = np.zeros((steps + 1, len(bh)))  # the last row is the state before the first step
    p = np.zeros((steps, len(by)))
    loss = 0.0
    for t in range(steps):
        z = Wxh[:, inputs[t]] + Whh @ h[t - 1] + bh
        h[t] = np.tanh(z)
        y = Why @ h[t] + by
        p[t] = np.exp(y) / np.sum(np.exp(y))
        loss -= np.log(p[t, targets[t]])

    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dh_next = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(bh)
    for t in reversed(range(steps)):
        dy = p[t].copy()
        dy[targets[t]] -= 1
        dWhy += np.outer(dy, h[t])
        dby += dy
        dh = Why.T @ dy + dh_next
        dz = (1 - h[t]) ** 2 * dh  # wrong: the square belongs to h[t] alone
        dbh += dz
        dWxh[:, inputs[t]] += dz
        dWhh += np.outer(dz, h[t - 1])
        dh_next = Whh.T @ dz
    return loss, dWxh, dWhh, dWhy, dbh, dby


if __name__ == "__main__":
    print(f"loss {loss_and_gradients(inputs, targets)[0]:.3f}")
