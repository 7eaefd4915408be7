"""Memory for large arrays, used again: new pages from the system cost more time than what is computed into them.

As with ``malloc``, a block is given out again only when the last array that lies in it is gone, so that no array can
see another's numbers. CuPy has a pool of its own.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from math import prod
from typing import Any

import numpy as np

# In bytes: the smaller arrays come from the heap, which keeps its pages; the larger ones would hold on to too much.
SMALLEST, LARGEST = 2**16, 2**24
LARGE = 2**14  # elements, of which it is worth asking
ALIGNMENT = 64  # bytes, a line of the cache
# Blocks that nobody uses, by size: 16 MiB of each at most. Threads may share a deque.
_free = {2**k: deque[tuple[Any, int]](maxlen=LARGEST >> k) for k in range(17, 25)}


class _Hold(weakref.ref):
    """A weak reference to the array that owns a block: when that array is freed, the block can be used again."""

    __slots__ = ("block", "others")

    block: tuple[Any, int]
    others: deque


_holds: dict[int, _Hold] = {}


def _let_go(hold: Any, holds: dict[int, _Hold] = _holds) -> None:
    hold.others.append(hold.block)
    del holds[id(hold)]


def empty(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array that holds anything."""
    size = prod(shape) * dtype.itemsize
    if xp is not np or not SMALLEST < size <= LARGEST:
        return xp.empty(shape, dtype=dtype)
    size = 1 << (size - 1).bit_length()
    others = _free[size]
    try:
        block = others.pop()
    except IndexError:
        block = _new(size)
    array = np.ndarray(shape, dtype, *block)
    hold = _Hold(array, _let_go)
    hold.block, hold.others = block, others
    _holds[id(hold)] = hold
    return array


def _new(size: int) -> tuple[Any, int]:
    """A block of memory, and where the first line of the cache begins in it.

    It is not an array: a view of an array in another one's memory would hold on to that one instead.
    """
    array: Any = np.empty(size + ALIGNMENT, np.uint8)
    return (ctypes.c_char * len(array)).from_buffer(array), -array.ctypes.data % ALIGNMENT


def zeros(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of zeros."""
    if xp is not np or prod(shape) <= LARGE:
        return xp.zeros(shape, dtype=dtype)
    out = empty(xp, shape, dtype)
    out[...] = 0
    return out
