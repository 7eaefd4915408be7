"""Functions that draw random numbers: what was drawn is a leaf of the run, so that its cells can be seen and edited."""

from __future__ import annotations

import numpy as np

from tinynet.backend import placed
from tinynet.recording import name
from tinynet.tensor import Tensor

MASK = "dropout_mask"  # what a run calls it
_generator = np.random.default_rng(0)


def manual_seed(seed: int) -> None:
    """Seed what ``dropout`` draws from."""
    global _generator
    _generator = np.random.default_rng(seed)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each number with probability ``p`` and divide the rest by 1 − p; nothing happens unless ``training``.

    Raises ValueError unless 0 ≤ p ≤ 1. Source: Srivastava et al. (2014), in the inverted form of PyTorch.
    """
    check_probability(p)
    if not training or p == 0:
        return input
    mask = Tensor(placed(_generator.random(input.shape) >= p, input.data, input.dtype), name=MASK)
    kept = input * mask
    return name(kept / (1 - p) if p < 1 else kept, "dropped", title="dropout")


def check_probability(p: float) -> float:
    """Return ``p``, the share to drop. Raises ValueError unless 0 ≤ p ≤ 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout is {p}, expected a probability from 0 to 1")
    return p
