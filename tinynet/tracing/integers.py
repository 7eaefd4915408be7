"""Integers that a function is given, such as targets: the places that they choose follow their cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet import primitives as P
from tinynet.tensor import Tensor


class Integers(np.ndarray):
    """An array of integers that stand in cells. Whatever is computed of them, NumPy computes: it stands in none."""

    tensor: Tensor | None

    def __new__(cls, tensor: Tensor) -> Integers:
        made = tensor.numpy().view(cls)
        made.tensor, made.flags.writeable = tensor, False
        return made

    def __array_finalize__(self, other: Any) -> None:
        self.tensor = None

    def __getitem__(self, index: Any) -> Any:
        if self.tensor is None or any(isinstance(part, (list, np.ndarray)) for part in _parts(index)):
            return np.asarray(self)[index]
        return Integers(self.tensor[index])

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.item())


def is_live(index: Any) -> bool:
    """Whether integers that stand in cells are a part of it."""
    return any(isinstance(part, Integers) and part.tensor is not None for part in _parts(index))


def picked(x: Tensor, index: Any) -> Tensor | None:
    """``p[y[t]]``, ``p[y[t], 0]``, ``table[ids]``, ``p[np.arange(n), y]``; None where it is another way to index."""
    first, *rest = _parts(index)
    places = _places(first)
    if places is not None and all(isinstance(part, (int, np.integer, slice)) for part in rest):
        return P.take(x[(slice(None), *rest)] if rest else x, places)
    along = _along_rows(x.shape, index)
    return None if along is None else P.take_along_axis(x, along, axis=1)[:, 0]


def chosen(shape: tuple[int, ...], index: Any, number: float = 1.0) -> Tensor | None:
    """A number at the places that an index chooses, 0 elsewhere; None where it is another way to index.

    These are ``x[i]``, ``x[i, 0]`` of a column, and ``x[np.arange(n), y]``.
    """
    first, *rest = _parts(index)
    places = _places(first)
    whole = not rest or (set(shape[1:]) == {1} and all(isinstance(part, int) and part == 0 for part in rest))
    if places is not None and not places.ndim and whole:
        return P.put(np.full(shape[1:], float(number)), places, size=shape[0])
    along = _along_rows(shape, index)
    return (
        None if along is None else P.put_along_axis(np.full((shape[0], 1), float(number)), along, axis=1, size=shape[1])
    )


def others(numbers: np.ndarray) -> np.ndarray | None:
    """Different integers that are still valid places; None where the ones that are there are all alike."""
    low, high = numbers.min(initial=np.iinfo(numbers.dtype).max), numbers.max(initial=0)
    if low < high:
        return low + high - numbers
    return numbers - 1 if 0 < low == high else None


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _places(part: Any) -> Tensor | None:
    """The cells of integers that are not counted from the end."""
    cells = part.tensor if isinstance(part, Integers) else None
    return cells if cells is not None and cells.numpy().min(initial=0) >= 0 else None


def _along_rows(shape: tuple[int, ...], index: Any) -> Tensor | None:
    """``y`` of ``np.arange(n), y``, as a column."""
    if len(shape) != 2 or len(_parts(index)) != 2:
        return None
    rows, columns = _parts(index)
    places = _places(columns)
    is_each = isinstance(rows, (range, list, np.ndarray)) and np.array_equal(rows, np.arange(shape[0]))
    return F.unsqueeze(places, 1) if places is not None and is_each and places.shape == shape[:1] else None
