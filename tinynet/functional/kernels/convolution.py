"""A convolution as matrix products: the kernels times what a row of windows sees, for each row of them (see strips).

The way back is of the same kind: a row of an image is in the windows of some rows, each at another place of theirs.
"""

from __future__ import annotations

from math import prod

from tinynet.backend import namespace
from tinynet.functional.kernels.strips import Axis, added_up, empty_rows, images_of, rows_of, strips_of, windows_of
from tinynet.memory import empty

LARGEST = 2**24  # bytes of strips that wait for the backward pass (more are made again), and of summands at a time


def convolution_forward(x, weight, bias, steps, spacing, borders, groups):
    """(N, C, *S) and (O, C/groups, *K) give (N, O, *P), for one or two spatial axes."""
    places = _places(x, weight, steps, spacing, borders)
    down, along = _axes(x.shape[2:], weight.shape[2:], places, steps, spacing, borders)
    strips = strips_of(rows_of(x, groups), down, along)
    z = _plus(_correlated(strips, _kernels(weight, groups), down), bias)
    return images_of(z, (len(x), len(weight), *places)), strips if strips.nbytes <= LARGEST else None


def convolution_backward(g, strips, x, weight, bias, steps, spacing, borders, groups):
    down, along = _axes(x.shape[2:], weight.shape[2:], g.shape[2:], steps, spacing, borders)
    rows, kernels = rows_of(g, groups), _kernels(weight, groups)
    if strips is None:
        strips = strips_of(rows_of(x, groups), down, along)
    return (
        lambda: images_of(added_up(_sent_back(rows, kernels, down), along), x.shape),
        lambda: _to_kernels(strips, rows, kernels.shape, down).reshape(weight.shape),
        None if bias is None else lambda: _to_bias(rows),
    )


def transposed_forward(x, weight, bias, steps, spacing, borders, more, groups):
    """The way back of a convolution: (N, C, *S) and (C, O/groups, *K) give (N, O, *P)."""
    axes = zip(x.shape[2:], weight.shape[2:], steps, spacing, borders, more, strict=True)
    sizes = [s * (n - 1) + d * (k - 1) + 1 - low - high + m for n, k, s, d, (low, high), m in axes]
    down, along = _axes(sizes, weight.shape[2:], x.shape[2:], steps, spacing, borders)
    strips = _sent_back(rows_of(x, groups), _kernels(weight, groups), down)
    return images_of(_plus(added_up(strips, along), bias), (len(x), weight.shape[1] * groups, *sizes)), None


def transposed_backward(g, saved, x, weight, bias, steps, spacing, borders, more, groups):
    down, along = _axes(g.shape[2:], weight.shape[2:], x.shape[2:], steps, spacing, borders)
    rows, kernels = rows_of(g, groups), _kernels(weight, groups)
    strips = strips_of(rows, down, along)
    return (
        lambda: images_of(_correlated(strips, kernels, down), x.shape),
        lambda: _to_kernels(strips, rows_of(x, groups), kernels.shape, down).reshape(weight.shape),
        None if bias is None else lambda: _to_bias(rows),
    )


def _places(x, weight, steps, spacing, borders):
    """How many windows there are on each spatial axis."""
    axes = zip(x.shape[2:], weight.shape[2:], steps, spacing, borders, strict=True)
    return [(low + n + high - d * (k - 1) - 1) // s + 1 for n, k, s, d, (low, high) in axes]


def _axes(sizes, window, places, steps, spacing, borders):
    """The two axes of an image; that of a row of numbers has one row."""
    axes = zip(sizes, window, places, steps, spacing, borders, strict=True)
    found = [Axis(n, k, p, s, d, low, high) for n, k, p, s, d, (low, high) in axes]
    return found if len(found) == 2 else [Axis(1, 1, 1, 1, 1, 0, 0), *found]


def _kernels(weight, groups):
    """(O, C/groups, *K) as (groups, O/groups, C/groups, K, K')."""
    outputs, channels, *above, width = weight.shape
    return weight.reshape(groups, outputs // groups, channels, prod(above), width)


def _correlated(strips, kernels, down):
    """Strips (groups, H, K' · C, P' · N) give rows (groups, P, O, P' · N)."""
    groups, outputs, channels, height, width = kernels.shape
    windows = windows_of(strips, height, down.places, down.step, down.spacing)
    matrices = kernels.transpose(0, 1, 3, 4, 2).reshape(groups, 1, outputs, height * width * channels)
    xp = namespace(strips, kernels)
    rows = empty_rows(xp, (groups, down.places, outputs, strips.shape[-1]), xp.result_type(strips, kernels))
    return xp.matmul(matrices, windows, out=rows)


def _sent_back(rows, kernels, down):
    """Rows (groups, P, O, P' · N) to the strips of the images, (groups, H, K' · C, P' · N).

    Row ``h`` is at the place k of window p where h + before = p · step + k · spacing. So every step-th row is at the
    same places of windows, which lie one after the other.
    """
    xp = namespace(rows, kernels)
    groups, outputs, channels, _, width = kernels.shape
    strips = empty(xp, (groups, down.size, width * channels, rows.shape[-1]), xp.result_type(rows, kernels))
    ahead = max(0, ((down.window - 1) * down.spacing - down.before) // down.step)
    rows = _between_zeros(rows, ahead, (down.size - 1 + down.before) // down.step + 1 - down.places)
    for h in range(min(down.step, down.size)):
        places = [k for k in range(down.window) if (h + down.before - k * down.spacing) % down.step == 0][::-1]
        part = strips[:, h :: down.step]
        if not places:
            part[...] = 0
            continue
        first, *others = [ahead + (h + down.before - k * down.spacing) // down.step for k in places]
        windows = windows_of(rows[:, first:], len(places), part.shape[1], spacing=others[0] - first if others else 1)
        matrices = kernels[:, :, :, places].transpose(0, 4, 2, 3, 1)
        xp.matmul(matrices.reshape(groups, 1, width * channels, len(places) * outputs), windows, out=part)
    return strips


def _between_zeros(rows, before, after):
    """Rows (groups, P, …) with rows of zeros around them."""
    if before <= 0 and after <= 0:
        return rows
    groups, places, *inner = rows.shape
    out = empty(namespace(rows), (groups, before + places + max(0, after), *inner), rows.dtype)
    out[:, :before] = 0
    out[:, before : before + places] = rows
    out[:, before + places :] = 0
    return out


def _to_kernels(strips, rows, shape, down):
    """Add up, over the rows of windows, what each sends to the kernels (groups, O/groups, C/groups, K, K')."""
    xp, (groups, outputs, channels, height, width) = namespace(strips, rows), shape
    windows, rows = windows_of(strips, height, down.places, down.step, down.spacing), rows.swapaxes(2, 3)
    share = max(1, LARGEST // (prod(shape) * strips.itemsize))
    parts = [slice(p, p + share) for p in range(0, down.places, share)]
    total = sum(xp.matmul(windows[:, part], rows[:, part]).sum(1) for part in parts)
    return total.reshape(groups, height, width, channels, outputs).transpose(0, 4, 3, 1, 2)


def _to_bias(rows):
    """The sum of each channel's numbers, which takes less time as a product."""
    return (rows @ namespace(rows).ones(rows.shape[-1], dtype=rows.dtype)).sum(1).reshape(-1)


def _plus(rows, bias):
    """Rows (groups, P, O/groups, P' · N), which nobody else has, and a bias (O,) or none."""
    if bias is None:
        return rows
    bias = bias.reshape(len(rows), 1, -1, 1)
    if bias.dtype != rows.dtype:
        return rows + bias
    rows += bias
    return rows
