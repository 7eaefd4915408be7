"""Derivatives the slow way: central differences, which tinynet.testing knows nothing of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

STEP = 1e-5
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}  # what central differences of this step can promise


def spread(*shape: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    """Numbers between -1.5 and 1.5, shuffled: all different, none near 0, so that no kink is near."""
    size = int(np.prod(shape))
    grid = (np.arange(size) - size // 2 + 0.25) * (3 / size) + shift
    return np.random.default_rng(seed).permutation(grid).reshape(shape)


def numerical_gradients(function: Callable[..., float], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return d function(*arrays)/d array for each array, by central differences."""
    found = []
    for i, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            sides = []
            for step in (STEP, -STEP):
                moved = [a.copy() for a in arrays]
                moved[i][place] += step
                sides.append(function(*moved))
            gradient[place] = (sides[0] - sides[1]) / (2 * STEP)
        found.append(gradient)
    return found
