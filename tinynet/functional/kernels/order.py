"""The order in which the axes of an array follow each other in memory, and new arrays of the same order."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from tinynet.backend import namespace
from tinynet.memory import SMALLEST, empty


def empty_like(x: Any, dtype: Any = None, shape: tuple[int, ...] | None = None) -> Any:
    """The same, in the order in memory of ``x``; of its dtype and shape, where these are not given."""
    dtype, shape = dtype or x.dtype, shape or x.shape
    if type(x) is not np.ndarray or prod(shape) * dtype.itemsize <= SMALLEST:
        return namespace(x).empty_like(x, dtype=dtype, shape=shape)
    axes, places = _order(x.strides)
    return empty(np, tuple([shape[a] for a in axes]), dtype).transpose(places)


def in_order_of(like: Any, x: Any) -> Any:
    """``x`` in the order in memory of another array."""
    if x.strides == like.strides or _order(x.strides) == _order(like.strides):
        return x
    out = empty_like(like, x.dtype, x.shape)
    out[...] = x
    return out


def slowest_axis(x: Any) -> int:
    """The axis with the largest steps in memory."""
    return _order(x.strides)[0][0]


@lru_cache(maxsize=1024)
def _order(strides: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The axes, those with the largest steps in memory first; and where each stands among them."""
    axes = sorted(range(len(strides)), key=lambda a: -strides[a])
    return axes, [axes.index(a) for a in range(len(axes))]
