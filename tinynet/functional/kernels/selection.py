"""Choosing numbers by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.backend import namespace

_INTEGERS = {np.dtype("float64"): np.int64, np.dtype("float32"): np.int32}


def kept(condition: Any, x: Any) -> Any:
    """``where(condition, x, 0)``. In NumPy as a product of integers: 1 keeps all bits, 0 keeps none, and none branches."""
    if type(x) is np.ndarray and x.dtype in _INTEGERS:
        return (x.view(_INTEGERS[x.dtype]) * condition).view(x.dtype)
    return namespace(x).where(condition, x, 0)
