"""Derivatives the slow way: central differences, which every derivative of the engine has to match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinynet as tn

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


def check_gradients(function: Callable[..., tn.Tensor], *arrays: np.ndarray) -> None:
    """Hold the first and second derivatives of a function of Tensors against central differences.

    A random cotangent ``v`` makes the output a number; random directions ``u`` make a number of its
    gradients, whose own gradients (in the arrays and in ``v``) are the second derivatives.
    """
    rng = np.random.default_rng(1)
    v = rng.normal(size=function(*map(tn.tensor, arrays)).shape)
    directions = [rng.normal(size=array.shape) for array in arrays]

    def number(*arrays: np.ndarray) -> float:
        return float(np.sum(v * function(*map(tn.tensor, arrays)).numpy()))

    def slope(*arrays_and_v: np.ndarray, create_graph: bool = False) -> tuple[tn.Tensor, list[tn.Tensor]]:
        leaves = [tn.tensor(array, requires_grad=True) for array in arrays_and_v]
        gradients = tn.grad(function(*leaves[:-1]), leaves[:-1], leaves[-1], create_graph)
        products = [(u * g).sum() for u, g in zip(directions, gradients, strict=True)]
        return sum(products[1:], products[0]), leaves

    leaves = [tn.tensor(array, requires_grad=True) for array in arrays]
    first = tn.grad(function(*leaves), leaves, v)
    for g, expected in zip(first, numerical_gradients(number, arrays), strict=True):
        np.testing.assert_allclose(g.numpy(), expected, **CLOSE)

    total, leaves = slope(*arrays, v, create_graph=True)
    second = tn.grad(total, leaves)
    expected_second = numerical_gradients(lambda *moved: slope(*moved)[0].item(), [*arrays, v])
    for g, expected in zip(second, expected_second, strict=True):
        np.testing.assert_allclose(g.numpy(), expected, **CLOSE)
