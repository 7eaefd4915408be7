"""The hyperbolic tangent, whose gradient needs one array of memory instead of three where they are large."""

from __future__ import annotations

import numpy as np

from tinynet.backend import namespace
from tinynet.functional.kernels.order import empty_like
from tinynet.memory import LARGE


def tanh_forward(x):
    y = namespace(x).tanh(x, _room(x) if x.size > LARGE else None)
    return y, y


def tanh_backward(g, y, wanted, x):
    """g · (1 − y²)."""
    if y.size <= LARGE or g.dtype != y.dtype:
        return (g * (1.0 - y * y),)
    xp = namespace(g, y)
    slope = xp.multiply(y, y, _room(y))
    xp.subtract(1, slope, slope)
    return (xp.multiply(g, slope, slope),)


def _room(x):
    """Memory for a large result; None where it may be made anew."""
    return empty_like(x) if type(x) is np.ndarray else None
