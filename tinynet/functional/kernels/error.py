"""The mean of squared errors in one pass."""

from __future__ import annotations

from tinynet.backend import namespace


def mean_squared_forward(x, target):
    xp = namespace(x)
    error = x - target
    return xp.vdot(error, error) / max(error.size, 1), error


def mean_squared_backward(g, error, x, target):
    slope = (2 / max(error.size, 1)) * g * error
    return slope, lambda: -slope
