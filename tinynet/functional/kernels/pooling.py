"""Pooling, one place in the windows after the other: all windows at once. Windows stay inside the input."""

from __future__ import annotations

from tinynet import nonstandard
from tinynet.backend import namespace
from tinynet.functional.kernels.selection import kept


def max_pool_forward(x, windows, what):
    xp = namespace(x)
    first, *rest = (x[index] for index in _corners(x, windows))
    if not rest:
        return first.copy(), first
    largest = xp.maximum(first, rest[0])
    for corner in rest[1:]:
        xp.maximum(largest, corner, out=largest)
    return largest, largest


def max_pool_backward(g, largest, x, windows, what):
    """The first that is as large as the largest gets the gradient; of a window with NaN, the first NaN."""
    xp = namespace(g)
    dx = xp.zeros_like(x, dtype=g.dtype)
    overlap = any(w.stride <= w.dilation * (w.kernel - 1) for w in windows)
    taken = xp.zeros_like(largest, dtype=bool)
    for index in _corners(x, windows):
        corner = x[index]
        reached = (corner == largest) | (corner != corner)
        reached = xp.greater(reached, taken)  # and not taken
        taken |= reached
        if overlap:
            dx[index] += kept(reached, g)
        else:
            dx[index] = kept(reached, g)
    return (dx,)


def _corners(x, windows):
    """For each place in a window, the index of what all the windows have there."""
    size, stride, dilation = zip(*((w.kernel, w.stride, w.dilation) for w in windows), strict=True)
    return nonstandard.corners(x.shape[-len(windows) :], size, stride, dilation)
