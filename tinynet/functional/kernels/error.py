"""The mean of squared errors in one pass."""

from __future__ import annotations


def mean_squared_forward(x, target):
    error = x - target
    flat = error.reshape(-1)
    return flat.dot(flat) / max(error.size, 1), error


def mean_squared_backward(g, error, wanted, x, target):
    slope = error * g
    slope *= 2 / max(error.size, 1)
    return slope, -slope if wanted[1] else None
