"""Choosing numbers by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.backend import namespace

BITS: dict[Any, Any] = {np.dtype("float64"): np.int64, np.dtype("float32"): np.int32}


def kept(condition: Any, x: Any, out: Any = None) -> Any:
    """``where(condition, x, 0)``, in an array ``out`` if one is given.

    NumPy's has a branch for each number, and those that are guessed wrongly take most of its time. The bits of ``x``,
    as integers, times 1 or 0 are the same to the last bit, also of what is not finite.
    """
    bits = BITS.get(x.dtype) if type(x) is np.ndarray else None
    if bits is not None:
        if out is None:
            return np.multiply(x.view(bits), condition).view(x.dtype)
        np.multiply(x.view(bits), condition, out.view(bits))
        return out
    found = namespace(condition, x).where(condition, x, 0)
    if out is None:
        return found
    out[...] = found
    return out
