"""Shapes of small arrays."""

from __future__ import annotations

from hypothesis.extra import numpy as numpy_strategies
from hypothesis.strategies import SearchStrategy

Shape = tuple[int, ...]


def shapes(max_dims: int = 3, max_side: int = 4, min_dims: int = 0) -> SearchStrategy[Shape]:
    """Shapes of ``min_dims`` to ``max_dims`` axes, each 1 to ``max_side`` long; ``()`` is the simplest.

    Raises ValueError unless 0 ≤ min_dims ≤ max_dims and 1 ≤ max_side.
    """
    _check(max_dims, max_side, min_dims)
    return numpy_strategies.array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=max_side)


def broadcastable_shapes(
    count: int = 2, max_dims: int = 3, max_side: int = 4, min_dims: int = 0
) -> SearchStrategy[tuple[Shape, ...]]:
    """Tuples of ``count`` shapes that broadcast together; each is one of ``shapes(max_dims, max_side, min_dims)``.

    Raises ValueError as ``shapes`` does, and for a ``count`` of less than 1.
    """
    _check(max_dims, max_side, min_dims)
    if count < 1:
        raise ValueError(f"count is {count}, expected at least 1")
    return numpy_strategies.mutually_broadcastable_shapes(
        num_shapes=count, min_dims=min_dims, max_dims=max_dims, max_side=max_side
    ).map(lambda found: found.input_shapes)


def _check(max_dims: int, max_side: int, min_dims: int) -> None:
    if not 0 <= min_dims <= max_dims or max_side < 1:
        raise ValueError(
            f"got min_dims={min_dims}, max_dims={max_dims} and max_side={max_side}: "
            "expected 0 ≤ min_dims ≤ max_dims and 1 ≤ max_side"
        )
