"""max(x, 0), whose gradient is a product."""

from __future__ import annotations

import numpy as np

from tinynet.backend import namespace
from tinynet.functional.kernels.memory import empty_like, slowest_axis
from tinynet.functional.kernels.selection import kept


def relu_forward(x):
    xp = namespace(x)
    return xp.maximum(x, _zeros(xp, x), out=empty_like(x)), None


def relu_backward(g, saved, x):
    return (kept(x > 0, g),)


def _zeros(xp, x):
    """NumPy compares with an array twice as fast as with a number; this one is repeated along an axis."""
    if xp is not np or len(x.shape) < 2:
        return 0
    return xp.zeros_like(x[(slice(None),) * slowest_axis(x) + (slice(1),)])
