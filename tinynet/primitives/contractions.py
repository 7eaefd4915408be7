"""Contractions: sums over k of A[.., k] · B[k, ..]."""

from __future__ import annotations

import math
from typing import Any

from tinynet import nonstandard
from tinynet.primitives.core import Primitive, unbroadcast
from tinynet.primitives.structural import flip, getitem, reshape, scatter, swap_last_axes, transpose


def _left(g, y, a, b):
    return unbroadcast(matmul(g, swap_last_axes(b)), a.shape)


def _right(g, y, a, b):
    if len(b.shape) == 2 < len(a.shape):
        # A batch times one matrix: the sum over the batch is part of one product.
        a = reshape(a, shape=(-1, a.shape[-1]))
        g = reshape(g, shape=(-1, g.shape[-1]))
    return unbroadcast(matmul(swap_last_axes(a), g), b.shape)


def _correlate(xp: Any, x: Any, w: Any, stride: tuple[int, ...], groups: int) -> Any:
    """A matrix product for each example and group: its kernels, each a row, times its windows, each a column."""
    n, size, axes = x.shape[0], w.shape[2:], len(stride)
    windows = nonstandard.windows(xp, x, size, stride, (1,) * axes)  # (N, C, *P, *K)
    windows = xp.permute_dims(windows, (0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes)))
    places, patch = windows.shape[2 + axes :], math.prod(w.shape[1:])
    columns = xp.reshape(windows, (n, groups, patch, math.prod(places)))
    rows = xp.reshape(w, (groups, w.shape[0] // groups, patch))
    return xp.reshape(xp.matmul(rows, columns), (n, w.shape[0], *places))


def _correlate_input(g, y, x, w, stride, groups):
    """Every number of the input is read through the kernel turned round: g, spread out and padded, times that."""
    size = w.shape[2:]
    return correlate(_spread(g, x.shape[2:], size, stride), turned(w, groups), stride=(1,) * len(stride), groups=groups)


def _correlate_kernel(g, y, x, w, stride, groups):
    """Each weight meets the numbers that it was multiplied with: the input, correlated with g spread out."""
    n, spatial = x.shape[0], tuple(range(3, 1 + len(x.shape)))
    used = tuple(s * (p - 1) + k for s, p, k in zip(stride, g.shape[2:], w.shape[2:], strict=True))
    if used != x.shape[2:]:
        x = getitem(x, index=(slice(None), slice(None), *map(slice, used)))
    g = dilated(g, stride)
    x = reshape(x, shape=(n, groups, x.shape[1] // groups, *used))
    x = reshape(transpose(x, axes=(2, 1, 0, *spatial)), shape=(w.shape[1], groups * n, *used))
    reach = g.shape[2:]
    g = reshape(g, shape=(n, groups, w.shape[0] // groups, *reach))
    g = reshape(transpose(g, axes=(1, 2, 0, *spatial)), shape=(w.shape[0], n, *reach))
    found = correlate(x, g, stride=(1,) * len(stride), groups=groups)
    return transpose(found, axes=(1, 0, *range(2, len(w.shape))))


def dilated(x, stride):
    """Put stride − 1 zeros between neighbours: (N, C, *P)."""
    if all(s == 1 for s in stride):
        return x
    reach = tuple(s * (p - 1) + 1 for s, p in zip(stride, x.shape[2:], strict=True))
    index = (slice(None), slice(None), *(slice(None, None, s) for s in stride))
    return scatter(x, index=index, shape=(*x.shape[:2], *reach))


def _spread(g, wanted, size, stride):
    """Dilate ``g`` and put zeros around it, so that a kernel of ``size`` at stride 1 gives the ``wanted`` shape."""
    full = tuple(n + k - 1 for n, k in zip(wanted, size, strict=True))
    if g.shape[2:] == full:
        return g
    index = tuple(slice(k - 1, k + s * (p - 1), s) for k, s, p in zip(size, stride, g.shape[2:], strict=True))
    return scatter(g, index=(slice(None), slice(None), *index), shape=(*g.shape[:2], *full))


def turned(w, groups):
    """Kernels rotated by 180°, inputs and outputs exchanged: (O, C/G, *K) to (C, O/G, *K)."""
    size, spatial = w.shape[2:], tuple(range(3, 1 + len(w.shape)))
    if any(k > 1 for k in size):
        w = flip(w, axis=tuple(range(2, len(w.shape))))
    w = reshape(w, shape=(groups, w.shape[0] // groups, w.shape[1], *size))
    w = transpose(w, axes=(0, 2, 1, *spatial))
    return reshape(w, shape=(groups * w.shape[1], w.shape[2], *size))


matmul: Primitive = Primitive("matmul", "contraction", lambda xp, a, b: xp.matmul(a, b), (_left, _right))

# (N, C, *S) and kernels (O, C/G, *K) give (N, O, *P): every window times every kernel, summed ("convolution" in deep
# learning; Goodfellow, Bengio and Courville, Deep Learning, section 9.1). It is closed under differentiation.
correlate: Primitive = Primitive("correlate", "contraction", _correlate, (_correlate_input, _correlate_kernel))
