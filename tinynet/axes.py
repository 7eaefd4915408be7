"""Axes as users give them: integers that may be counted from the end, checked against a shape."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

Shape = tuple[int, ...]


def axis_of(dim: Any, shape: Shape, new: int = 0) -> int:
    """Return ``dim``, counted from the start; ``new`` axes are still to come. Raises IndexError where there is none."""
    number, count = _integer(dim), len(shape) + new
    if not -count <= number < count:
        raise IndexError(f"dim {number} is out of range for shape {shape}")
    return number % count


def axes_of(dims: Any, shape: Shape) -> int | tuple[int, ...] | None:
    """Return an axis, several of them as a tuple, or None for all. Raises ValueError for one that is named twice."""
    if dims is None:
        return None
    if not isinstance(dims, (tuple, list)):
        return axis_of(dims, shape)
    found = tuple(axis_of(dim, shape) for dim in dims)
    if len(set(found)) < len(found):
        raise ValueError(f"dims {tuple(dims)} name an axis of shape {shape} twice")
    return found


def integers(given: Sequence[Any]) -> tuple[int, ...]:
    """``(2, 3)`` of both ``f(2, 3)`` and ``f((2, 3))``. Raises TypeError for what is no integer."""
    several = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    return tuple(_integer(size) for size in several)


def _integer(given: Any) -> int:
    try:
        return index(given)
    except TypeError:
        raise TypeError(f"expected an integer for a size or dim, got {type(given).__name__} {given!r:.40}") from None
