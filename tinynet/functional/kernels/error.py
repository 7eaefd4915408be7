"""The mean of squared errors in one pass."""

from __future__ import annotations


def mean_squared_forward(x, target):
    """Squares of integers are left to the definition: a product of them may not fit their dtype."""
    error = x - target
    if error.dtype.kind != "f":
        return None
    flat = error.ravel()
    return flat.dot(flat) / max(error.size, 1), error


def mean_squared_backward(g, error, wanted, x, target):
    slope = error * g
    slope *= 2 / max(error.size, 1)
    return slope, -slope if wanted[1] else None
