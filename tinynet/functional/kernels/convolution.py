"""A convolution as matrix products: the kernels times what a row of windows sees, for each row of them (see strips).

The way back is of the same kind: a row of an image is in the windows of some rows, each at another place of theirs.
"""

from __future__ import annotations

from math import prod

from tinynet.backend import namespace
from tinynet.functional.kernels import sums
from tinynet.functional.kernels.axes import axes_of, windows_that_see
from tinynet.functional.kernels.strips import added_up, empty_rows, images_of, rows_of, strips_of, windows_of
from tinynet.memory import empty

LARGEST = 2**24  # bytes of strips that wait for the backward pass (more are made again), and of summands at a time


def convolution_forward(x, weight, bias, steps, spacing, borders, groups):
    """(N, C, *S) and (O, C/groups, *K) give (N, O, *P), for one or two spatial axes."""
    down, along = axes_of(x.shape[2:], weight.shape[2:], steps, spacing, borders)
    strips = strips_of(rows_of(x, groups), down, along)
    windows = _windows(strips, down)
    z = _plus(_correlated(windows, _kernels(weight, groups)), bias)
    shape = len(x), len(weight), *(down.places, along.places)[-len(steps) :]
    return images_of(z, shape), windows if strips.nbytes <= LARGEST else None


def convolution_backward(g, windows, wanted, x, weight, bias, steps, spacing, borders, groups):
    down, along = axes_of(x.shape[2:], weight.shape[2:], steps, spacing, borders)
    rows, kernels = rows_of(g, groups), _kernels(weight, groups)
    if windows is None and wanted[1]:
        windows = _windows(strips_of(rows_of(x, groups), down, along), down)
    return (
        images_of(added_up(_sent_back(rows, kernels, down), along), x.shape) if wanted[0] else None,
        _to_kernels(windows, rows, kernels.shape).reshape(weight.shape) if wanted[1] else None,
        sum_of_rows(rows) if wanted[2] else None,
    )


def transposed_forward(x, weight, bias, steps, spacing, borders, more, groups):
    """The way back of a convolution: (N, C, *S) and (C, O/groups, *K) give (N, O, *P)."""
    axes = zip(x.shape[2:], weight.shape[2:], steps, spacing, borders, more, strict=True)
    sizes = tuple([s * (n - 1) + d * (k - 1) + 1 - low - high + m for n, k, s, d, (low, high), m in axes])
    down, along = axes_of(sizes, weight.shape[2:], steps, spacing, borders, x.shape[2:])
    strips = _sent_back(rows_of(x, groups), _kernels(weight, groups), down)
    return images_of(_plus(added_up(strips, along), bias), (len(x), weight.shape[1] * groups, *sizes)), None


def transposed_backward(g, saved, wanted, x, weight, bias, steps, spacing, borders, more, groups):
    down, along = axes_of(g.shape[2:], weight.shape[2:], steps, spacing, borders, x.shape[2:])
    rows, kernels = rows_of(g, groups), _kernels(weight, groups)
    windows = _windows(strips_of(rows, down, along), down)
    return (
        images_of(_correlated(windows, kernels), x.shape) if wanted[0] else None,
        _to_kernels(windows, rows_of(x, groups), kernels.shape).reshape(weight.shape) if wanted[1] else None,
        sum_of_rows(rows) if wanted[2] else None,
    )


def _kernels(weight, groups):
    """(O, C/groups, *K) as (groups, O/groups, C/groups, K, K')."""
    outputs, channels, *above, width = weight.shape
    return weight.reshape(groups, outputs // groups, channels, prod(above), width)


def _windows(strips, down):
    return windows_of(strips, down.window, down.places, down.step, down.spacing)


def _correlated(windows, kernels):
    """Windows (groups, P, K · K' · C, P' · N) give rows (groups, P, O, P' · N)."""
    groups, outputs, channels, height, width = kernels.shape
    matrices = kernels.transpose(0, 1, 3, 4, 2).reshape(groups, 1, outputs, height * width * channels)
    xp, (_, places, _, along) = namespace(windows, kernels), windows.shape
    rows = empty_rows(xp, (groups, places, outputs, along), xp.result_type(windows, kernels))
    return xp.matmul(matrices, windows, out=rows)


def _sent_back(rows, kernels, down):
    """Rows (groups, P, O, P' · N) to the strips of the images, (groups, H, K' · C, P' · N)."""
    xp = namespace(rows, kernels)
    groups, outputs, channels, _, width = kernels.shape
    strips = empty(xp, (groups, down.size, width * channels, rows.shape[-1]), xp.result_type(rows, kernels))
    before, after, alike = windows_that_see(down)
    rows = _between_zeros(rows, before, after)
    for own, places, first, spacing in alike:
        part, those = strips[:, own], kernels[:, :, :, places][:, :, :, ::-1]
        if not those.size:
            part[...] = 0
            continue
        windows = windows_of(rows[:, first:], those.shape[3], part.shape[1], spacing=spacing)
        matrices = those.transpose(0, 4, 2, 3, 1).reshape(groups, 1, width * channels, those.shape[3] * outputs)
        xp.matmul(matrices, windows, out=part)
    return strips


def _between_zeros(rows, before, after):
    """Rows (groups, P, …) with rows of zeros around them."""
    if not before and not after:
        return rows
    groups, places, *inner = rows.shape
    out = empty(namespace(rows), (groups, before + places + after, *inner), rows.dtype)
    out[:, :before] = 0
    out[:, before : before + places] = rows
    out[:, before + places :] = 0
    return out


def _to_kernels(windows, rows, shape):
    """Add up, over the rows of windows, what each sends to the kernels (groups, O/groups, C/groups, K, K')."""
    groups, outputs, channels, height, width = shape
    rows = rows.swapaxes(2, 3)
    share = max(1, LARGEST // (prod(shape) * windows.itemsize))
    parts = [slice(p, p + share) for p in range(0, rows.shape[1], share)]
    total = sum(_product(windows[:, part], rows[:, part]).sum(1) for part in parts)
    total = total.reshape(groups, height, width, channels, outputs).transpose(0, 4, 3, 1, 2)
    return namespace(total).ascontiguousarray(total)


def _product(a, b):
    xp = namespace(a, b)
    return xp.matmul(a, b, out=empty(xp, (*a.shape[:-1], b.shape[-1]), xp.result_type(a, b)))


def sum_of_rows(rows):
    """The sum of each channel's numbers: (groups, P, O/groups, P' · N) to (O,)."""
    groups, places, channels, numbers = rows.shape
    each = sums.of_rows(rows.swapaxes(0, 1).reshape(places * groups * channels, numbers))
    return sums.of_columns(each.reshape(places, groups * channels))


def _plus(rows, bias):
    """Rows (groups, P, O/groups, P' · N), which nobody else has, and a bias (O,) or none."""
    if bias is None:
        return rows
    bias = bias.reshape(len(rows), 1, -1, 1)
    if bias.dtype != rows.dtype:
        return rows + bias
    rows += bias
    return rows
