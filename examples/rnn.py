"""Watch gradients vanish: a vanilla RNN whose loss sits at the last step only, with dLoss/dh at every step.

Run it: python examples/rnn.py    (or: tinynet export examples/rnn.py:last_step)
"""

import numpy as np

import tinynet as tn
from tinynet import nn


def last_step(steps: int = 8) -> tn.Run:
    """Record a net that reads ``steps`` numbers and answers at the end."""
    tn.manual_seed(3)
    rnn, head = nn.RNN(1, 3), nn.Linear(3, 2)
    x = tn.tensor(np.sin(np.arange(steps))[:, None, None], name="x")
    with tn.record() as run:
        hidden, _ = rnn(x)
        tn.functional.cross_entropy(head(hidden[-1]), np.array([1])).backward()
    run.description = f"the loss sits at the last of {steps} steps: follow δh to the left"
    return run


if __name__ == "__main__":
    run = last_step()
    for t in range(8):
        print(f"t = {t}   |dLoss/dh| = {np.linalg.norm(run.grad[f'rnn.h[{t}]']):.2e}")
    print(run.to_excel("vanishing.xlsx", title="Vanishing gradients"))
