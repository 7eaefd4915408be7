"""Pooling, one place in the windows after the other: all windows at once."""

from __future__ import annotations

import numpy as np

from tinynet.backend import namespace, placed
from tinynet.functional.kernels.order import empty_like, in_order_of
from tinynet.functional.windows import corners, divisors
from tinynet.selection import kept


def max_pool_forward(x, windows, places):
    """The largest of each window: of its columns, and then of these."""
    for axis, w in zip(range(-len(windows), 0), windows, strict=True):
        x = _largest_along(x, axis, w)
    return x, x


def _largest_along(x, axis, window):
    xp, shape = namespace(x), list(x.shape)
    shape[axis] = window.count
    largest = empty_like(x, shape=tuple(shape))
    lanes, so_far = x.swapaxes(axis, -1), largest.swapaxes(axis, -1)
    (first, _), *others = corners((window,))
    if window.reach_outside:
        so_far[...] = -xp.inf
        others = corners((window,))
    elif others:
        xp.maximum(lanes[first], lanes[others.pop(0)[0]], out=so_far)
    else:
        so_far[...] = lanes[first]
    for index, seen in others:
        xp.maximum(so_far[seen], lanes[index], out=so_far[seen])
    return largest


def max_pool_backward(g, largest, wanted, x, windows, places):
    """All of a gradient goes to the first of the equals that are the largest, or to the first NaN."""
    g, unknown = in_order_of(largest, g), largest != largest
    dx = to_largest(g, largest, x, windows, ~unknown)
    if type(unknown) is not np.ndarray or unknown.any():
        for index, seen in corners(windows):
            _give(dx[index], g[seen], _first(x[index] != x[index], unknown[seen]), add=True)
    return (dx,)


def to_largest(g, largest, x, windows, waiting):
    """What windows that are ``waiting`` send to the first of their largest numbers, of which each has one."""
    dx, overlap = _room(g, x, windows), any(w.overlap for w in windows)
    *others, (index, seen) = corners(windows)
    for i, those in others:
        _give(dx[i], g[those], _first(x[i] == largest[those], waiting[those]), overlap)
    _give(dx[index], g[seen], waiting[seen], overlap)  # where else could it be?
    return dx


def _first(matches, waiting):
    """Which of the numbers that match are the first in their windows: those windows do not wait any longer."""
    matches &= waiting
    waiting ^= matches
    return matches


def _give(dx, g, here, add):
    if add:
        dx += kept(here, g)
    else:
        kept(here, g, out=dx)


def average_forward(x, windows, count_include_pad):
    total = empty_like(x, shape=_shape(x, windows))
    total[...] = 0
    for index, seen in corners(windows):
        total[seen] += x[index]
    return total / _divisors(total, windows, count_include_pad), None


def average_backward(g, saved, wanted, x, windows, count_include_pad):
    share = in_order_of(x, g / _divisors(g, windows, count_include_pad))
    dx = _room(g, x, windows)
    overlap = any(w.overlap for w in windows)
    for index, seen in corners(windows):
        if overlap:
            dx[index] += share[seen]
        else:
            dx[index] = share[seen]
    return (dx,)


def _shape(x, windows):
    return (*x.shape[: -len(windows)], *[w.count for w in windows])


def _room(g, x, windows):
    """For the gradient of ``x``: zeros, unless each number is written anyway."""
    dx = empty_like(x, g.dtype)
    if not all(w.tile for w in windows):
        dx[...] = 0
    return dx


def _divisors(x, windows, count_include_pad):
    counts = divisors(windows, count_include_pad)
    return counts if isinstance(counts, int) else placed(counts, x, x.dtype)
