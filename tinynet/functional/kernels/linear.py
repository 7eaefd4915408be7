"""A linear layer in one pass: one product forward, and backward only those that are wanted."""

from __future__ import annotations

import numpy as np

from tinynet.memory import LARGE, empty


def fits(x, weight, bias):
    """Whether all have the shapes of a linear layer; else the definition broadcasts, or says what does not fit."""
    shape = weight.shape
    return len(shape) == 2 and getattr(x, "shape", ())[-1:] == shape[1:] and (bias is None or bias.shape == shape[:1])


def linear_forward(x, weight, bias):
    y = _product(x, weight.T)
    if bias is None:
        return y, None
    if y.dtype == bias.dtype:
        y += bias
        return y, None
    return y + bias, None


def linear_backward(g, saved, x, weight, bias):
    if len(g.shape) == 2:
        rows, inputs = g, x
    else:
        rows, inputs = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    return (
        lambda: _product(weight.T, g.T).T if _is_turned(x) else _product(g, weight),
        lambda: _product(rows.T, inputs),
        None if bias is None else lambda: _total(rows),
    )


def _is_turned(x):
    """Whether a matrix lies in memory column by column, as flattened images do; its gradient then should, too."""
    return len(x.shape) == 2 and x.strides[0] < x.strides[1]


def _product(a, b):
    """``dot`` takes half the time of ``matmul`` for small matrices; for large ones, the memory counts."""
    if type(a) is not np.ndarray or len(a.shape) != 2:
        return a @ b
    shape = a.shape[0], b.shape[1]
    large = shape[0] * shape[1] > LARGE and a.dtype == b.dtype and a.dtype.isnative
    return np.dot(a, b, empty(np, shape, a.dtype) if large else None)


def _total(rows):
    return np.add.reduce(rows, 0) if type(rows) is np.ndarray else rows.sum(0)
