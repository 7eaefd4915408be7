"""A cell of your own, without any module: what has a name gets cells, and time runs to the right.

Run it: python examples/own_cell.py    (or: tinynet export examples/own_cell.py:leaky)
"""

import numpy as np

import tinynet as tn


def leaky(steps: int = 5) -> tn.Run:
    """A leaky integrator with a learnt leak: s[t] = a s[t-1] + (1 − a) tanh(w x[t]), a = σ(z)."""
    x = np.cos(np.arange(steps))
    w = tn.tensor([0.8], requires_grad=True, name="w")
    z = tn.tensor([0.5], requires_grad=True, name="z")
    state = tn.tensor([0.0], name="start")
    with tn.record() as run:
        a = tn.name(tn.functional.sigmoid(z), "a", title="leak")
        for t in range(steps):
            with tn.time_step(t):
                u = tn.name((w * x[t]).tanh(), "u", title="drive")
                state = tn.name(a * state + (1 - a) * u, "s", title="state")
        tn.functional.mse_loss(state, np.array([0.3])).backward()
    run.description = "s[t] = a·s[t-1] + (1 − a)·tanh(w·x[t]); the leak a is learnt"
    return run


if __name__ == "__main__":
    print(leaky().to_excel("leaky.xlsx", title="Leaky integrator"))
