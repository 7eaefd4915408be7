"""A linear layer in one pass: one product forward, and backward only those that are wanted."""

from __future__ import annotations

import numpy as np

from tinynet.functional.kernels import sums
from tinynet.memory import LARGE, empty


def linear_forward(x, weight, bias):
    """Of other shapes than those of a linear layer, the definition broadcasts, or says what does not fit."""
    shape = weight.shape
    if len(shape) != 2 or getattr(x, "shape", ())[-1:] != shape[1:] or (bias is not None and bias.shape != shape[:1]):
        return None
    y = _product(x, weight.T)
    if bias is None:
        return y, None
    if y.dtype == bias.dtype:
        y += bias
        return y, None
    return y + bias, None


def linear_backward(g, saved, wanted, x, weight, bias):
    if g.ndim == 2:
        rows, inputs = g, x
    else:
        rows, inputs = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    return (
        (_product(weight.T, g.T).T if _is_turned(x) else _product(g, weight)) if wanted[0] else None,
        _product(rows.T, inputs) if wanted[1] else None,
        sums.of_columns(rows) if wanted[2] else None,
    )


def _is_turned(x):
    """Whether a matrix lies in memory column by column, as flattened images do; its gradient then should, too."""
    return len(x.shape) == 2 and x.strides[0] < x.strides[1]


def _product(a, b):
    """The method ``dot`` takes a third of the time of ``@`` for small matrices; for large ones, the memory counts."""
    if a.ndim != 2:
        return a @ b
    if len(a) * b.shape[1] <= LARGE or type(a) is not np.ndarray or a.dtype != b.dtype or not a.dtype.isnative:
        return a.dot(b)
    return a.dot(b, empty(np, (len(a), b.shape[1]), a.dtype))
