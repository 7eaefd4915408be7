"""A convolution as one matrix product: every kernel a row, every window a column, and the bias times a row of ones.

Source: Chellapilla, Puri and Simard, High performance convolutional neural networks for document processing (2006).
Images are (C, *S, N) in memory, seen as (N, C, *S): what slides over them moves the numbers of a whole batch, which lie
together. What comes out lies in the same order, so that layers in a row need no copies.
"""

from __future__ import annotations

from math import prod

from tinynet import nonstandard
from tinynet.backend import namespace
from tinynet.functional.kernels.memory import empty

SAVED = 2**24  # bytes of columns that wait for the backward pass; more are computed again


def convolution_forward(x, weight, bias, steps, spacing, borders, groups):
    """(N, C, *S) and (O, C/groups, *K) give (N, O, *P)."""
    columns = _columns(x, weight, bias, steps, spacing, borders, groups)
    rows = _rows(weight, groups)
    if bias is not None:
        rows = namespace(x).concatenate((rows, _rows(bias, groups)), axis=2)
    z = _product(rows, columns)
    places = _places(_outside(x.shape, borders), weight.shape[2:], steps, spacing)
    z = _batch_first(z.reshape(weight.shape[0], *places, x.shape[0]))
    return z, columns if columns.nbytes <= SAVED else None


def convolution_backward(g, columns, x, weight, bias, steps, spacing, borders, groups):
    rows = _rows(_batch_last(g), groups)

    def d_input():
        d_columns = _product(_rows(weight, groups).swapaxes(1, 2), rows)
        return _folded(d_columns, x, weight, g.shape[2:], steps, spacing, borders, groups)

    if columns is None:
        columns = _columns(x, weight, bias, steps, spacing, borders, groups)
    d_rows = _product(rows, columns.swapaxes(1, 2))
    if bias is None:
        return d_input, d_rows.reshape(weight.shape)
    return d_input, d_rows[..., :-1].reshape(weight.shape), d_rows[..., -1].reshape(-1)


def _rows(a, groups):
    """(O, …) as (groups, O/groups, all the rest)."""
    return a.reshape(groups, a.shape[0] // groups, prod(a.shape[1:]))


def _product(a, b):
    xp = namespace(a, b)
    if a.dtype != b.dtype:
        return xp.matmul(a, b)
    return xp.matmul(a, b, out=empty(xp, (*a.shape[:-1], b.shape[-1]), a.dtype))


def _columns(x, weight, bias, steps, spacing, borders, groups):
    """The windows, (groups, C/groups · K, P · N); with a bias, a row of ones below them."""
    xp, size = namespace(x), weight.shape[2:]
    outside = _outside(x.shape, borders)
    places = _places(outside, size, steps, spacing)
    bordered = _batch_first(empty(xp, (groups, weight.shape[1], *outside, x.shape[0]), x.dtype))
    if outside != x.shape[2:]:
        bordered[...] = 0
    bordered[_inside(x.shape, borders)] = x.reshape(x.shape[0], groups, weight.shape[1], *x.shape[2:])
    height = prod(weight.shape[1:])
    columns = empty(xp, (groups, height + (bias is not None), prod(places) * x.shape[0]), x.dtype)
    columns[:, height:] = 1
    fields = columns[:, :height].reshape(groups, weight.shape[1], prod(size), *places, x.shape[0])
    for k, index in enumerate(nonstandard.corners(outside, size, steps, spacing)):
        fields[:, :, k] = _batch_last(bordered[index])
    return columns


def _folded(columns, x, weight, places, steps, spacing, borders, groups):
    """Add every column to the places that its window covers, and leave the border out."""
    xp, size = namespace(columns), weight.shape[2:]
    outside = _outside(x.shape, borders)
    out = _batch_first(empty(xp, (x.shape[1], *outside, x.shape[0]), columns.dtype))
    out[...] = 0
    fields = columns.reshape(x.shape[1], prod(size), *places, x.shape[0])
    for k, index in enumerate(nonstandard.corners(outside, size, steps, spacing)):
        out[index] += _batch_first(fields[:, k])
    return out[_inside(x.shape, borders)]


def _outside(shape, borders):
    """The sizes of the spatial axes with their borders."""
    return tuple([low + n + high for n, (low, high) in zip(shape[2:], borders, strict=True)])


def _inside(shape, borders):
    return (..., *[slice(low, low + n) for n, (low, _) in zip(shape[2:], borders, strict=True)])


def _places(outside, size, steps, spacing):
    """How many windows there are on each spatial axis."""
    return tuple([(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(outside, size, steps, spacing, strict=True)])


def _batch_first(x):
    """(…, N) seen as (N, …)."""
    return x.transpose(len(x.shape) - 1, *range(len(x.shape) - 1))


def _batch_last(x):
    """(N, …) seen as (…, N)."""
    return x.transpose(*range(1, len(x.shape)), 0)
