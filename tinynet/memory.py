"""Memory for large arrays, used again: new pages from the system cost more time than what is computed into them.

As with ``malloc``, a block is given out again only when the last array that lies in it is gone, so that no array can
see another's numbers. CuPy has a pool of its own.
"""

from __future__ import annotations

from collections import deque
from math import prod
from typing import Any

import numpy as np

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
