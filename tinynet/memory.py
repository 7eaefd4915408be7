"""Memory for large arrays, used again: new pages from the system cost more time than what is computed into them.

Python's search for cycles of objects is here, too: it can be left off for a while.

As with ``malloc``, a block is given out again only when the last array that lies in it is gone, so that no array can
see another's numbers. CuPy has a pool of its own.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from tinynet.backend import namespace

# In bytes: the smaller arrays come from the heap, which keeps its pages; the larger ones would hold on to too much.
SMALLEST, LARGEST = 2**17, 2**24
LARGE = 2**14  # elements, of which it is worth asking
ALIGNMENT = 64  # bytes, a line of the cache
# Blocks that nobody uses, by size: 16 MiB of each at most. Threads may share a deque.
_free = {2**k: deque[np.ndarray](maxlen=LARGEST >> k) for k in range(18, 25)}


class _Block:
    """What an array and all its views hold on to."""

    def __init__(self, size: int):
        self.others = _free[size]
        try:
            self.memory = self.others.pop()
        except IndexError:
            self.memory = np.empty(size + ALIGNMENT, np.uint8)

    def __del__(self) -> None:
        self.others.append(self.memory)

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        start = self.memory.__array_interface__["data"][0]
        start += -start % ALIGNMENT
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": (start, False), "version": 3}
        return np.asarray(self)


def empty(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array that holds anything."""
    size = prod(shape) * dtype.itemsize
    if xp is not np or not SMALLEST < size <= LARGEST:
        return xp.empty(shape, dtype=dtype)
    return _Block(1 << (size - 1).bit_length()).array(shape, dtype)


def zeros(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of zeros."""
    if xp is not np or prod(shape) <= LARGE:
        return xp.zeros(shape, dtype=dtype)
    out = empty(xp, shape, dtype)
    out[...] = 0
    return out


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


@contextmanager
def without_collection() -> Iterator[None]:
    """Python looks for cycles the more often the more objects are made: more than linear time, and nothing is found."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
