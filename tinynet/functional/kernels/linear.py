"""A linear layer in one pass: one product forward, and backward only those that are wanted."""

from __future__ import annotations

import numpy as np


def linear_forward(x, weight, bias):
    y = _product(x, weight.T)
    if bias is None:
        return y, None
    if y.dtype == bias.dtype:
        y += bias
        return y, None
    return y + bias, None


def linear_backward(g, saved, x, weight, bias):
    def rows(a):
        return a if len(a.shape) == 2 else a.reshape(-1, a.shape[-1])

    return (
        lambda: _product(g, weight),
        lambda: _product(rows(g).T, rows(x)),
        None if bias is None else lambda: rows(g).sum(0),
    )


def _product(a, b):
    """``dot`` takes half the time of ``matmul`` for small matrices."""
    return np.dot(a, b) if type(a) is np.ndarray and len(a.shape) == 2 else a @ b
