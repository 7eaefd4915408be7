"""Structural primitives: they move numbers and compute none, so they run on cell addresses too.

The number 0 that ``pad`` and ``scatter`` bring in is the address of "the constant zero".
"""

from __future__ import annotations

import math

import numpy as np

from tinynet.primitives.core import Primitive, unbroadcast


def _structural(name, forward, *vjps):
    return Primitive(name, "structural", forward, vjps)


def _inverse(axes):
    return tuple(int(i) for i in np.argsort(axes))


def _scatter(xp, x, index, shape):
    """Zeros of ``shape`` with ``x`` added at ``index`` (a place named twice receives both)."""
    out = xp.zeros(shape, dtype=x.dtype)
    if _has_arrays(index):
        (np if xp is np else xp).add.at(out, index, x)
    else:
        out[index] = x
    return out


def _has_arrays(index):
    return any(isinstance(i, (list, np.ndarray)) for i in (index if isinstance(index, tuple) else (index,)))


def _concatenate_vjp(i, g, y, *xs, axis):
    start = 0
    for x in xs[:i]:
        start += x.shape[axis]
    before = (slice(None),) * (axis % len(g.shape))
    return getitem(g, index=(*before, slice(start, start + xs[i].shape[axis])))


def _pad_vjp(g, y, x, pad_width):
    return getitem(g, index=tuple(slice(low, low + size) for (low, _), size in zip(pad_width, x.shape, strict=True)))


def fields(xp, x, size, stride, dilation):
    """The numbers under each window, in its last axis: (N, C, *S) gives (N, C, *P, K), K the product of ``size``."""
    seen = seen_through(xp, x, size, stride, dilation)
    return xp.reshape(seen, (*seen.shape[: -len(size)], math.prod(size)))


def seen_through(xp, x, size, stride, dilation):
    """What ``fields`` gives, as a view that costs nothing: (N, C, *P, *size)."""
    covered = tuple(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True))
    everywhere = xp.lib.stride_tricks.sliding_window_view(x, covered, axis=tuple(range(2, 2 + len(size))))
    return everywhere[(..., *(slice(None, None, step) for step in (*stride, *dilation)))]


def _corners(spatial, size, stride, dilation):
    """For each place in a window, the index of what all the windows have there."""
    reach = [n - d * (k - 1) for n, k, d in zip(spatial, size, dilation, strict=True)]
    for place in np.ndindex(*size):
        starts = [d * i for i, d in zip(place, dilation, strict=True)]
        yield (..., *(slice(a, a + r, s) for a, r, s in zip(starts, reach, stride, strict=True)))


def _fold(xp, x, shape, size, stride, dilation):
    """Zeros of ``shape`` to which every window adds its numbers, in the places that it covers."""
    out = xp.zeros(shape, dtype=x.dtype)
    for k, index in enumerate(_corners(shape[2:], size, stride, dilation)):
        out[index] += x[..., k]
    return out


transpose: Primitive = _structural(
    "transpose",
    lambda xp, x, axes: xp.permute_dims(x, axes) if hasattr(xp, "permute_dims") else xp.transpose(x, axes),
    lambda g, y, x, axes: transpose(g, axes=_inverse(axes)),
)
reshape: Primitive = _structural(
    "reshape", lambda xp, x, shape: xp.reshape(x, shape), lambda g, y, x, shape: reshape(g, shape=x.shape)
)
broadcast_to: Primitive = _structural(
    "broadcast_to",
    lambda xp, x, shape: xp.broadcast_to(x, shape),
    lambda g, y, x, shape: unbroadcast(g, x.shape),
)
getitem: Primitive = _structural(
    "getitem",
    lambda xp, x, index: x[index],
    lambda g, y, x, index: scatter(g, index=index, shape=x.shape),
)
scatter: Primitive = _structural("scatter", _scatter, lambda g, y, x, index, shape: getitem(g, index=index))
flip: Primitive = _structural(
    "flip", lambda xp, x, axis: xp.flip(x, axis=axis), lambda g, y, x, axis: flip(g, axis=axis)
)
pad: Primitive = _structural("pad", lambda xp, x, pad_width: xp.pad(x, pad_width), _pad_vjp)
concatenate: Primitive = Primitive(
    "concatenate",
    "structural",
    lambda xp, *xs, axis: xp.concatenate(xs, axis=axis) if xp is np else xp.concat(xs, axis=axis),
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
