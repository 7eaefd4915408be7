"""Pooling, one place in the windows after the other: all windows at once. Windows stay inside the input."""

from __future__ import annotations

from tinynet import nonstandard
from tinynet.backend import namespace
from tinynet.functional.kernels.memory import empty_like, in_order_of
from tinynet.functional.kernels.selection import kept


def max_pool_forward(x, windows, what):
    """The largest of each window; saved is its place, that of the first of equals (or the first NaN)."""
    xp = namespace(x)
    first, *rest = [x[index] for index in _corners(x, windows)]
    largest, place = empty_like(first), xp.zeros_like(first, dtype="int8")
    largest[...] = first
    for k, corner in enumerate(rest, 1):
        larger = ~(corner <= largest)  # or NaN
        larger &= largest == largest
        xp.maximum(place, larger.view("int8") * k, out=place)
        xp.maximum(largest, corner, out=largest)
    return largest, place


def max_pool_backward(g, place, x, windows, what):
    g = in_order_of(place, g)
    dx = empty_like(x, g.dtype)
    if not all(w.tile for w in windows):
        dx[...] = 0
    overlap = any(w.overlap for w in windows)
    for k, index in enumerate(_corners(x, windows)):
        if overlap:
            dx[index] += kept(place == k, g)
        else:
            kept(place == k, g, out=dx[index])
    return (dx,)


def _corners(x, windows):
    """For each place in a window, the index of what all the windows have there."""
    size, stride, dilation = zip(*[(w.kernel, w.stride, w.dilation) for w in windows], strict=True)
    return nonstandard.corners(tuple(x.shape[-len(windows) :]), size, stride, dilation)
