"""The order in which the axes of an array follow each other in memory, and new arrays of the same order."""

from __future__ import annotations

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
    axes = _order(x)
    return empty(np, tuple([shape[a] for a in axes]), dtype).transpose([axes.index(a) for a in range(len(axes))])


def in_order_of(like: Any, x: Any) -> Any:
    """``x`` in the order in memory of another array."""
    if _order(x) == _order(like):
        return x
    out = empty_like(like, x.dtype, x.shape)
    out[...] = x
    return out


def slowest_axis(x: Any) -> int:
    """The axis with the largest steps in memory."""
    return _order(x)[0]


def _order(x: Any) -> list[int]:
    """The axes, those with the largest steps in memory first."""
    return sorted(range(len(x.shape)), key=lambda a: -x.strides[a])
