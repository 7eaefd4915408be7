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

    Source: Srivastava et al. (2014), in the inverted form of PyTorch.
    """
    if not training or p == 0:
        return input
    mask = Tensor(placed(_generator.random(input.shape) >= p, input.data, input.dtype), name=MASK)
    return name(input * mask / (1 - p), "dropped", title="dropout")
