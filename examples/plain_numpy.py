"""Plain NumPy code, which knows nothing of tinynet, as a workbook: forward as written, backward as it should be.

Run it: python examples/plain_numpy.py

Quantities are called by their variables, and the loop says what a time step is. From the command line the same goes
without a line of Python: ``tinynet export examples/plain_numpy.py:forward --arrays arrays.npz``, where arrays.npz holds
an array for each parameter of the function.
"""

import numpy as np

import tinynet as tn


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def forward(x, target, Wf, Uf, bf, Wn, Un, bn, V):
    """A minimal gated unit (Zhou et al., 2016), columns for sequences; returns the mean squared error at the end."""
    f, n, h = {}, {}, {-1: np.zeros((len(Uf), x.shape[2]))}
    for t in range(len(x)):
        f[t] = sigmoid(Wf @ x[t] + Uf @ h[t - 1] + bf)
        n[t] = np.tanh(Wn @ x[t] + Un @ (f[t] * h[t - 1]) + bn)
        h[t] = (1 - f[t]) * h[t - 1] + f[t] * n[t]
    y = V @ h[len(x) - 1]
    return np.mean((y - target) ** 2)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    shapes = {"x": (4, 2, 3), "target": (1, 3), "V": (1, 3)}  # 4 steps of 2 numbers for 3 sequences, 3 units
    shapes |= {"Wf": (3, 2), "Uf": (3, 3), "bf": (3, 1), "Wn": (3, 2), "Un": (3, 3), "bn": (3, 1)}
    run = tn.trace(forward, **{name: rng.normal(size=shape) for name, shape in shapes.items()})
    print(run.to_excel("minimal_gated_unit.xlsx", title="Minimal gated unit"))
