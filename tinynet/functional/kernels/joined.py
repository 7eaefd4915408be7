"""What comes before a pooling, done after it where that gives the same: on the largest numbers alone."""

from __future__ import annotations

from tinynet.backend import namespace
from tinynet.functional.kernels.convolution import convolution_backward, convolution_forward, sum_of_rows
from tinynet.functional.kernels.order import empty_like, in_order_of
from tinynet.functional.kernels.pooling import max_pool_forward, to_largest
from tinynet.functional.kernels.relu import zeros_beside
from tinynet.functional.kernels.strips import rows_of
from tinynet.selection import kept


def relu_pooled_forward(x, windows, places):
    """The largest of each window after a relu."""
    largest, _ = max_pool_forward(x, windows, places)
    y = namespace(x).maximum(largest, zeros_beside(largest), out=largest)
    return y, y


def relu_pooled_backward(g, y, wanted, x, windows, places):
    """Where y is larger than 0, it is the largest."""
    return (to_largest(in_order_of(y, g), y, x, windows, y > 0),)


def convolved_relu_pooled_forward(x, weight, bias, steps, spacing, borders, groups, windows, places):
    """A bias is the same in a whole window, and rounding keeps the order: z + b is largest where z is."""
    z, seen = convolution_forward(x, weight, None, steps, spacing, borders, groups)
    largest, _ = max_pool_forward(z, windows, places)
    xp, shift = namespace(largest), 0 if bias is None else bias.reshape(-1, *[1] * len(steps))
    y = xp.add(largest, shift, out=empty_like(largest))
    xp.maximum(y, zeros_beside(y), out=y)
    return y, (seen, z, largest, y)


def convolved_relu_pooled_backward(g, saved, wanted, x, weight, bias, steps, spacing, borders, groups, windows, places):
    seen, z, largest, y = saved
    waiting = y > 0
    g = kept(waiting, g, out=empty_like(largest, g.dtype))
    dz = to_largest(g, largest, z, windows, waiting)
    convolved = wanted[0], wanted[1], False
    dx, dw, _ = convolution_backward(dz, seen, convolved, x, weight, None, steps, spacing, borders, groups)
    return dx, dw, sum_of_rows(rows_of(g, 1)) if wanted[2] else None
