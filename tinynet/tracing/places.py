"""Where numbers are put into an array while code is traced."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.tensor import Tensor

Place = tuple[int, int]  # the axis, and which of it


def step_of(index: Any, shape: tuple[int, ...]) -> Place | None:
    """One place along one axis, and all of the others; None for any other index."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(type(part) is not int and not isinstance(part, (np.integer, slice)) for part in parts):
        return None
    if len(parts) > len(shape) or [isinstance(part, slice) for part in parts].count(False) != 1:
        return None
    if any(isinstance(part, slice) and part.indices(n) != (0, n, 1) for part, n in zip(parts, shape, strict=False)):
        return None
    axis = next(axis for axis, part in enumerate(parts) if not isinstance(part, slice))
    return (axis, int(parts[axis]) % shape[axis])


def shaped(value: Any, index: Any, shape: tuple[int, ...]) -> Tensor:
    """What is put at some places, in their shape."""
    room = np.empty(shape)[index].shape
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype=float))
    if value.shape[: value.ndim - len(room)] == (1,) * (value.ndim - len(room)):  # NumPy drops leading axes of size 1
        value = value.reshape(*value.shape[max(0, value.ndim - len(room)) :])
    return value if value.shape == room else value.expand(*room)


def placed(value: Any, index: Any, shape: tuple[int, ...]) -> Tensor:
    """Zeros, with ``value`` at the places ``index``. Raises TypeError for places that are there twice."""
    chosen = np.arange(int(np.prod(shape))).reshape(shape)[index]
    if len(set(chosen.reshape(-1).tolist())) < chosen.size:
        raise TypeError("an assignment to the same place twice is not traced")
    return P.scatter(shaped(value, index, shape), index=index, shape=shape)


def places_of(index: Any) -> Any:
    """An index whose masks of plain truth values are the places where they hold."""
    if not isinstance(index, tuple):
        places = _without_masks(index)
        return places if len(places) > 1 else places[0]
    return tuple(place for part in index for place in _without_masks(part))


def _without_masks(part: Any) -> tuple[Any, ...]:
    if isinstance(part, range):
        return (list(part),)
    is_mask = isinstance(part, (np.ndarray, list)) and np.asarray(part).dtype.kind == "b"
    return np.nonzero(part) if is_mask else (part,)
