"""Structural primitives: they move numbers and compute none, so they run on cell addresses too.

The number 0 that ``pad`` and ``scatter`` bring in is the address of "the constant zero".
"""

from __future__ import annotations

import math

import numpy as np

from tinynet import nonstandard
from tinynet.primitives.core import Primitive, unbroadcast


def _structural(name, forward, *vjps):
    return Primitive(name, "structural", forward, vjps)


def _inverse(axes):
    return tuple(int(i) for i in np.argsort(axes))


def _concatenate_vjp(i, g, y, *xs, axis):
    start = sum([x.shape[axis] for x in xs[:i]])
    before = (slice(None),) * (axis % len(g.shape))
    return getitem(g, index=(*before, slice(start, start + xs[i].shape[axis])))


def _pad_vjp(g, y, x, pad_width):
    return getitem(g, index=tuple(slice(low, low + size) for (low, _), size in zip(pad_width, x.shape, strict=True)))


def fields(xp, x, size, stride, dilation):
    """The numbers under each window, in its last axis: (N, C, *S) gives (N, C, *P, K), K the product of ``size``."""
    seen = nonstandard.windows(xp, x, size, stride, dilation)
    return xp.reshape(seen, (*seen.shape[: -len(size)], math.prod(size)))


def _fold(xp, x, shape, size, stride, dilation):
    """Zeros of ``shape`` to which every window adds its numbers, in the places that it covers."""
    out = nonstandard.zeros(xp, shape, x)
    for k, index in enumerate(nonstandard.corners(shape[2:], size, stride, dilation)):
        out[index] += x[..., k]
    return out


transpose: Primitive = _structural(
    "transpose",
    lambda xp, x, axes: xp.permute_dims(x, axes),
    lambda g, y, x, axes: transpose(g, axes=_inverse(axes)),
)
reshape: Primitive = _structural("reshape", nonstandard.reshape, lambda g, y, x, shape: reshape(g, shape=x.shape))
broadcast_to: Primitive = _structural(
    "broadcast_to",
    lambda xp, x, shape: xp.broadcast_to(x, shape),
    lambda g, y, x, shape: unbroadcast(g, x.shape),
)
getitem: Primitive = _structural(
    "getitem",
    nonstandard.getitem,
    lambda g, y, x, index: scatter(g, index=index, shape=x.shape),
)
scatter: Primitive = _structural("scatter", nonstandard.scatter, lambda g, y, x, index, shape: getitem(g, index=index))
flip: Primitive = _structural(
    "flip", lambda xp, x, axis: xp.flip(x, axis=axis), lambda g, y, x, axis: flip(g, axis=axis)
)
pad: Primitive = _structural("pad", nonstandard.pad, _pad_vjp)
concatenate: Primitive = Primitive(
    "concatenate",
    "structural",
    lambda xp, *xs, axis: xp.concat(xs, axis=axis),
    _concatenate_vjp,
)


windows: Primitive = _structural(
    "windows",
    fields,
    lambda g, y, x, size, stride, dilation: fold(g, shape=x.shape, size=size, stride=stride, dilation=dilation),
)
fold: Primitive = _structural(
    "fold",
    _fold,
    lambda g, y, x, shape, size, stride, dilation: windows(g, size=size, stride=stride, dilation=dilation),
)


def swap_last_axes(x):
    """Transpose the last two axes."""
    n = len(x.shape)
    return transpose(x, axes=(*range(n - 2), n - 1, n - 2))
