"""Pooling, one place in the windows after the other: all windows at once."""

from __future__ import annotations

from tinynet.backend import namespace, placed
from tinynet.functional.kernels.order import empty_like, in_order_of
from tinynet.functional.windows import corners, divisors
from tinynet.selection import kept


def max_pool_forward(x, windows, places):
    """The largest of each window; saved is its place, that of the first of equals (or the first NaN)."""
    xp = namespace(x)
    largest = empty_like(x, shape=_shape(x, windows))
    chosen = xp.empty_like(largest, dtype="int8")
    outside = any(w.reach_outside for w in windows)
    largest[...] = -xp.inf if outside else x[corners(windows)[0][0]]
    chosen[...] = -1 if outside else 0
    for k, (index, seen) in enumerate(corners(windows)):
        if k or outside:
            _compare(xp, x[index], k, largest[seen], chosen[seen], outside)
    return largest, chosen


def _compare(xp, corner, k, largest, chosen, outside):
    """The k-th numbers of windows with the largest so far, which a window may not have yet where it begins outside."""
    larger = ~(corner <= largest)  # or NaN
    larger &= largest == largest
    if outside:
        larger |= chosen < 0
    xp.maximum(chosen, larger.view("int8") * k, out=chosen)
    xp.maximum(largest, corner, out=largest)


def max_pool_backward(g, chosen, x, windows, places):
    g = in_order_of(chosen, g)
    dx = _room(g, x, windows)
    overlap = any(w.overlap for w in windows)
    for k, (index, seen) in enumerate(corners(windows)):
        if overlap:
            dx[index] += kept(chosen[seen] == k, g[seen])
        else:
            kept(chosen[seen] == k, g[seen], out=dx[index])
    return (dx,)


def average_forward(x, windows, count_include_pad):
    total = empty_like(x, shape=_shape(x, windows))
    total[...] = 0
    for index, seen in corners(windows):
        total[seen] += x[index]
    return total / _divisors(total, windows, count_include_pad), None


def average_backward(g, saved, x, windows, count_include_pad):
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
