"""Room for large results: an array that nobody has any more is filled again.

One that is made anew costs page faults and cold caches, which can take as long as the arithmetic on it. That nobody
else has an array, nor a view of it, is what CPython's reference counts say.
"""

from __future__ import annotations

import sys
from math import prod
from threading import Lock
from typing import Any

import numpy as np

LARGE = 1 << 13  # elements; of fewer, the allocator makes an array as fast
MOST = 1 << 28  # bytes that are kept, in use or not

_lock = Lock()
_kept: dict[tuple[tuple[int, ...], Any], list[np.ndarray]] = {}


def room(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array to be filled, as ``np.empty`` does. What it held is gone."""
    size = prod(shape) * dtype.itemsize
    if size > MOST // 8 or not _COUNTED:
        return np.empty(shape, dtype)
    with _lock:
        kept = _kept.setdefault((shape, dtype), [])
        found = _unused(kept)
        if found is None:
            found = np.empty(shape, dtype)
            if size + sum(array.nbytes for arrays in _kept.values() for array in arrays) > MOST:
                _kept.clear()
            else:
                kept.append(found)
        return found


def _unused(kept: list[np.ndarray]) -> np.ndarray | None:
    for array in kept:
        if sys.getrefcount(array) == _ALONE:
            return array
    return None


def _references(kept: list[np.ndarray]) -> int:
    """How many references there are to an array that nobody else has, looked at as ``_unused`` does."""
    for array in kept:
        return sys.getrefcount(array)
    return 0


_ALONE = _references([np.empty(0)])
# Without the lock of the interpreter, counts are not exact.
_COUNTED = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
