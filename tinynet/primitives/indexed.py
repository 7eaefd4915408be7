"""Primitives whose places are chosen by integer data: the data may be edited in a cell, so they are computed.

``take`` picks rows of a table (an embedding); ``take_along_axis`` picks one number per place (the probability of
the target class). Each has the other direction, which adds up what goes to the same place. ``argmax`` computes such
places: of the first of the largest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import nonstandard
from tinynet.backend import extent, kind
from tinynet.primitives.core import Primitive

PLACES = ("take", "put", "take_along_axis", "put_along_axis")  # what they choose among: see ``leaves``


def check_places(index: Any, size: int, what: str | None = "index") -> None:
    """Raise TypeError for places that are no integers, IndexError for one that is not there.

    Places are counted from the start only, as those of a spreadsheet are.
    """
    if kind(index) not in "iu":
        raise TypeError(f"{what} holds {index.dtype}, expected integers")
    # As unsigned numbers the negative ones are the largest: one look instead of two.
    if not index.size or (type(index) is np.ndarray and np.maximum.reduce(index.astype(np.uint64), None) < size):
        return
    low, high = extent(index)
    if low < 0 or high >= size:
        raise IndexError(f"{what} holds {low if low < 0 else high}, expected 0 to {size - 1}")


def _take(xp, x, index):
    check_places(index, x.shape[0])
    return nonstandard.take(xp, x, index)


def _put(xp, x, index, size):
    check_places(index, size)
    return nonstandard.put(xp, x, index, size)


def _take_along_axis(xp, x, index, axis):
    check_places(index, x.shape[axis])
    return xp.take_along_axis(x, index, axis=axis)


def _put_along_axis(xp, x, index, axis, size):
    check_places(index, size)
    return nonstandard.put_along_axis(xp, x, index, axis, size)


argmax: Primitive = Primitive("argmax", "indexed", lambda xp, x, axis: xp.argmax(x, axis=axis, keepdims=True))
take: Primitive = Primitive(
    "take",
    "indexed",
    _take,
    (lambda g, y, x, index: put(g, index, size=x.shape[0]), None),
)
put: Primitive = Primitive("put", "indexed", _put, (lambda g, y, x, index, size: take(g, index), None))
take_along_axis: Primitive = Primitive(
    "take_along_axis",
    "indexed",
    _take_along_axis,
    (lambda g, y, x, index, axis: put_along_axis(g, index, axis=axis, size=x.shape[axis]), None),
)
put_along_axis: Primitive = Primitive(
    "put_along_axis",
    "indexed",
    _put_along_axis,
    (lambda g, y, x, index, axis, size: take_along_axis(g, index, axis=axis), None),
)
