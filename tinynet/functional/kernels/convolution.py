"""A convolution as one matrix product: every window a column, every kernel a row (im2col).

Source: Chellapilla, Puri and Simard, High performance convolutional neural networks for document processing (2006).
"""

from __future__ import annotations

from math import prod
from typing import Any

from tinynet import nonstandard
from tinynet.backend import namespace
from tinynet.functional.kernels.layout import batch_first, batch_last, empty


def convolution_forward(x, weight, bias, steps, spacing, borders, groups):
    """(N, C, *S) and (O, C/groups, *K) give (N, O, *P), whose batch is last in memory."""
    xp = namespace(x)
    columns, places = _columns(xp, x, weight, steps, spacing, borders, groups)
    z = xp.matmul(weight.reshape(groups, weight.shape[0] // groups, -1), columns)
    z = z.reshape(weight.shape[0], -1)
    if bias is not None:
        z = _plus(z, bias[:, None])
    return batch_first(z.reshape(weight.shape[0], *places, x.shape[0])), None


def convolution_backward(g, saved, x, weight, bias, steps, spacing, borders, groups):
    xp = namespace(g)
    rows = batch_last(g).reshape(groups, weight.shape[0] // groups, -1)

    def d_input():
        kernels = weight.reshape(groups, weight.shape[0] // groups, -1)
        columns = xp.matmul(kernels.swapaxes(1, 2), rows)
        return _folded(xp, columns, x.shape, weight.shape[2:], g.shape[2:], steps, spacing, borders)

    def d_weight():
        columns, _ = _columns(xp, x, weight, steps, spacing, borders, groups)
        return xp.matmul(rows, columns.swapaxes(1, 2)).reshape(weight.shape)

    return d_input, d_weight, None if bias is None else lambda: rows.sum(-1).reshape(-1)


def _columns(xp, x, weight, steps, spacing, borders, groups):
    """The windows, each a column: (groups, C/groups · K, P · N); and P."""
    axes = len(steps)
    windows = nonstandard.windows(xp, _bordered(xp, x, borders), weight.shape[2:], steps, spacing)  # (N, C, *P, *K)
    places = windows.shape[2 : 2 + axes]
    windows = windows.transpose(1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes), 0)
    return windows.reshape(groups, prod(weight.shape[1:]), -1), places


def _bordered(xp, x, borders):
    """Zeros around each spatial axis, the batch last in memory."""
    shape = (*x.shape[:2], *(low + n + high for (low, high), n in zip(borders, x.shape[2:], strict=True)))
    out = empty(xp, shape, x.dtype)
    if shape != x.shape:
        out[...] = 0
    out[_inside(borders, x.shape)] = x
    return out


def _inside(borders, shape):
    return (..., *(slice(low, low + n) for (low, _), n in zip(borders, shape[2:], strict=True)))


def _folded(xp, columns, shape, size, places, steps, spacing, borders):
    """Add every column to the places that its window covers, and leave the border out."""
    outside = (*shape[:2], *(low + n + high for (low, high), n in zip(borders, shape[2:], strict=True)))
    out = empty(xp, outside, columns.dtype)
    out[...] = 0
    columns = columns.reshape(shape[1], prod(size), *places, shape[0])
    for k, index in enumerate(nonstandard.corners(outside[2:], size, steps, spacing)):
        out[index] += batch_first(columns[:, k])
    return out[_inside(borders, shape)]


def _plus(z: Any, bias: Any) -> Any:
    if z.dtype != bias.dtype:
        return z + bias
    z += bias
    return z
