"""max(x, 0), whose gradient is a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.backend import namespace
from tinynet.functional.kernels.order import empty_like, slowest_axis
from tinynet.selection import kept


def relu_forward(x):
    return namespace(x).maximum(x, zeros_beside(x), out=empty_like(x)), None


def relu_backward(g, saved, wanted, x):
    return (kept(x > 0, g, out=empty_like(g)),)


def zeros_beside(x: Any) -> Any:
    """NumPy compares with an array twice as fast as with a number; this one is repeated along an axis."""
    if type(x) is not np.ndarray or x.ndim < 2:
        return 0
    return np.zeros_like(x[(slice(None),) * slowest_axis(x) + (slice(1),)])
