"""A convolution as one matrix product: every kernel a row, every window a column, and the bias times a row of ones.

Source: Chellapilla, Puri and Simard, High performance convolutional neural networks for document processing (2006).
Images are (C, *S, N) in memory, seen as (N, C, *S): what slides over them moves the numbers of a whole batch, which lie
together. What comes out lies in the same order, so that layers in a row need no copies.
"""

from __future__ import annotations

from math import prod

from tinynet import nonstandard
from tinynet.backend import namespace
from tinynet.memory import empty

SAVED = 2**24  # bytes of columns that wait for the backward pass; more are computed again


def convolution_forward(x, weight, bias, steps, spacing, borders, groups):
    """(N, C, *S) and (O, C/groups, *K) give (N, O, *P)."""
    size = weight.shape[2:]
    outside = zip(_outside(x.shape[2:], borders), size, steps, spacing, strict=True)
    places = tuple([(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in outside])
    columns = _columns(x, size, places, steps, spacing, borders, groups, ones=bias is not None)
    rows = _rows(weight, groups)
    if bias is not None:
        rows = namespace(x).concatenate((rows, _rows(bias, groups)), axis=2)
    z = _product(rows, columns).reshape(weight.shape[0], *places, x.shape[0])
    return _batch_first(z), columns if columns.nbytes <= SAVED else None


def convolution_backward(g, columns, x, weight, bias, steps, spacing, borders, groups):
    rows, size, places = _rows(_batch_last(g), groups), weight.shape[2:], g.shape[2:]

    def d_input():
        d_columns = _product(_rows(weight, groups).swapaxes(1, 2), rows)
        return _folded(d_columns, x.shape, size, places, steps, spacing, borders)

    if columns is None:
        columns = _columns(x, size, places, steps, spacing, borders, groups, ones=bias is not None)
    d_rows = _product(rows, columns.swapaxes(1, 2))
    if bias is None:
        return d_input, d_rows.reshape(weight.shape)
    return d_input, d_rows[..., :-1].reshape(weight.shape), d_rows[..., -1].reshape(-1)


def transposed_forward(x, weight, bias, steps, spacing, borders, more, groups):
    """The way back of a convolution: (N, C, *S) and (C, O/groups, *K) give (N, O, *P)."""
    size = weight.shape[2:]
    covered = _covered(x.shape[2:], size, steps, spacing)
    sizes = [n + m - low - high for n, m, (low, high) in zip(covered, more, borders, strict=True)]
    columns = _product(_rows(weight, groups).swapaxes(1, 2), _rows(_batch_last(x), groups))
    z = _folded(columns, (len(x), weight.shape[1] * groups, *sizes), size, x.shape[2:], steps, spacing, borders)
    return (z if bias is None else z + bias.reshape(-1, *[1] * len(size))), None


def transposed_backward(g, saved, x, weight, bias, steps, spacing, borders, more, groups):
    columns = _columns(g, weight.shape[2:], x.shape[2:], steps, spacing, borders, groups)
    rows = _rows(weight, groups)
    return (
        lambda: _batch_first(_product(rows, columns).reshape(x.shape[1], *x.shape[2:], len(x))),
        lambda: _product(_rows(_batch_last(x), groups), columns.swapaxes(1, 2)).reshape(weight.shape),
        None if bias is None else lambda: _batch_last(g).reshape(len(bias), -1).sum(1),
    )


def _rows(a, groups):
    """(O, …) as (groups, O/groups, all the rest)."""
    return a.reshape(groups, a.shape[0] // groups, prod(a.shape[1:]))


def _product(a, b):
    xp = namespace(a, b)
    if a.dtype != b.dtype:
        return xp.matmul(a, b)
    return xp.matmul(a, b, out=empty(xp, (*a.shape[:-1], b.shape[-1]), a.dtype))


def _columns(x, size, places, steps, spacing, borders, groups, ones=False):
    """The windows, (groups, C/groups · K, P · N), and maybe a row of ones below them."""
    xp, (batch, channels, *spatial) = namespace(x), x.shape
    outside, share = _outside(spatial, borders), channels // groups
    bordered = _batch_first(empty(xp, (groups, share, *outside, batch), x.dtype))
    if outside != tuple(spatial):
        bordered[...] = 0
    bordered[_inside(spatial, borders)] = x.reshape(batch, groups, share, *spatial)
    height = share * prod(size)
    columns = empty(xp, (groups, height + ones, prod(places) * batch), x.dtype)
    columns[:, height:] = 1
    fields = columns[:, :height].reshape(groups, share, prod(size), *places, batch)
    covered = _covered(places, size, steps, spacing)
    for k, index in enumerate(nonstandard.corners(covered, size, steps, spacing)):
        fields[:, :, k] = _batch_last(bordered[index])
    return columns


def _folded(columns, shape, size, places, steps, spacing, borders):
    """Add every column to the places that its window covers, and leave the border out: images of the ``shape``."""
    xp, (batch, channels, *spatial) = namespace(columns), shape
    out = _batch_first(empty(xp, (channels, *_outside(spatial, borders), batch), columns.dtype))
    out[...] = 0
    fields = columns.reshape(channels, prod(size), *places, batch)
    covered = _covered(places, size, steps, spacing)
    for k, index in enumerate(nonstandard.corners(covered, size, steps, spacing)):
        out[index] += _batch_first(fields[:, k])
    return out[_inside(spatial, borders)]


def _outside(spatial, borders):
    """The sizes of the spatial axes with their borders."""
    return tuple([low + n + high for n, (low, high) in zip(spatial, borders, strict=True)])


def _inside(spatial, borders):
    return (..., *[slice(low, low + n) for n, (low, _) in zip(spatial, borders, strict=True)])


def _covered(places, size, steps, spacing):
    """How far so many windows reach on each spatial axis."""
    return tuple([s * (p - 1) + d * (k - 1) + 1 for p, k, s, d in zip(places, size, steps, spacing, strict=True)])


def _batch_first(x):
    """(…, N) seen as (N, …)."""
    return x.transpose(len(x.shape) - 1, *range(len(x.shape) - 1))


def _batch_last(x):
    """(N, …) seen as (…, N)."""
    return x.transpose(*range(1, len(x.shape)), 0)
