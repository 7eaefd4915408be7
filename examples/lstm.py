"""Load an LSTM from PyTorch and see the same numbers as cells (needs: pip install torch).

Run it: python examples/lstm.py    (or: tinynet export examples/lstm.py:from_torch)
"""

import numpy as np

import tinynet as tn
from tinynet import nn


def from_torch() -> tn.Run:
    """Record a tinynet LSTM that carries PyTorch's weights, and check it against PyTorch's own gradients."""
    import torch

    torch.manual_seed(0)
    theirs = torch.nn.LSTM(2, 3).double()
    ours = nn.LSTM(2, 3)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).normal(size=(5, 2, 2))
    with tn.record() as run:
        h, _ = ours(tn.tensor(x, name="x"))
        (h * h).sum().backward()
    h_theirs, _ = theirs(torch.tensor(x))
    (h_theirs * h_theirs).sum().backward()
    worst = np.abs(run.grad["lstm.weight_hh_l0"] - theirs.weight_hh_l0.grad.numpy()).max()
    print(f"dLoss/dweight_hh_l0: the two differ by {worst:.1e} at most")
    return run


if __name__ == "__main__":
    print(from_torch().to_excel("lstm_from_torch.xlsx", title="LSTM from PyTorch"))
