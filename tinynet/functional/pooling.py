"""Pooling: one number for each window of the input, its largest or its mean.

Source: Goodfellow, Bengio and Courville, Deep Learning, section 9.3; sizes, borders and ties are PyTorch's.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.backend import kind, placed
from tinynet.functional.composite import composite
from tinynet.functional.kernels import pooling as kernel
from tinynet.functional.shapes import unsqueeze
from tinynet.functional.spatial import as_batch, as_given, check_images, per_axis
from tinynet.functional.windows import divisors, fields_of, windows_of
from tinynet.recording import name_after
from tinynet.tensor import Tensor


def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Tensor:
    """The largest number of each window: (N, C, L) or (C, L) to (N, C, P); all else as ``max_pool2d``."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Tensor:
    """The largest number of each window: (N, C, H, W) or (C, H, W) to (N, C, P, P').

    P = ⌊(H + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1 in each direction, rounded up with
    ``ceil_mode`` (but no window begins beyond the input). ``stride`` is ``kernel_size`` by default. What lies outside
    the input is never the largest; of several that are equal, the first gets the gradient. Raises ValueError for a
    padding of more than half the kernel_size, and for windows that do not fit.
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (N, C, L) or (C, L) to (N, C, P); all else as ``avg_pool2d``."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (N, C, H, W) or (C, H, W) to (N, C, P, P'); sizes as ``max_pool2d``.

    The zeros of the ``padding`` count as numbers unless ``count_include_pad`` is False; what a window of ``ceil_mode``
    covers beyond them never does. Raises ValueError as ``max_pool2d`` does.
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of P bins: (N, C, L) or (C, L) to (N, C, P); all else as ``adaptive_avg_pool2d``."""
    return _adaptive(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of P × P' bins: (N, C, H, W) or (C, H, W) to (N, C, P, P').

    ``output_size`` is P for both directions, or one for each; None keeps the size of the input. Bin i holds the
    numbers from ⌊i·H / P⌋ up to, not including, ⌈(i + 1)·H / P⌉. Raises ValueError for anything else.
    """
    return _adaptive(2, input, output_size)


def _max_pool(axes, input, *options):
    y = largest(input, *windows_to_pool(axes, input.shape, *options))
    return name_after(y, input, "pooled", title="largest of each window")


def windows_to_pool(axes, shape, kernel_size, stride, padding, dilation, ceil_mode):
    """The windows of a max_pool on images of the ``shape``; and what they see, if they reach outside of these."""
    what = f"max_pool{axes}d"
    check_images(shape, axes, what)
    windows = windows_of(what, shape, axes, kernel_size, stride, padding, dilation, ceil_mode)
    outside = any(w.reach_outside for w in windows)
    return windows, tuple(w.places(what) for w in windows) if outside else None


def is_pooled_by_kernel(input, windows, *_):
    """A kernel goes from place to place in the windows, so there may not be many."""
    return kind(input) == "f" and prod(w.kernel for w in windows) < 128


@composite(kernel.max_pool_forward, kernel.max_pool_backward, covers=is_pooled_by_kernel)
def largest(input, windows, places):
    """Where windows reach outside the input, ``places`` are what they see there, along each axis."""
    x = input if input.ndim == len(windows) + 2 else unsqueeze(input, 0)
    if places is not None:
        x = P.getitem(x, index=(slice(None), slice(None), *np.ix_(*places)))
    fields = fields_of(x, windows)
    last = fields.ndim - 1
    chosen = name_after(P.argmax(fields, axis=last), input, "chosen", title="place of the largest in each window")
    y = P.take_along_axis(fields, chosen, axis=last)
    return as_given(P.reshape(y, shape=y.shape[:last]), input)


def _avg_pool(axes, input, kernel_size, stride, padding, ceil_mode, count_include_pad):
    what = f"avg_pool{axes}d"
    x = as_batch(input, axes, what)
    y = _averaged(x, windows_of(what, x.shape, axes, kernel_size, stride, padding, 1, ceil_mode), count_include_pad)
    return name_after(as_given(y, input), input, "averaged", title="mean of each window")


def _adaptive(axes, input, output_size):
    what = f"adaptive_avg_pool{axes}d"
    x = as_batch(input, axes, what)
    lengths = x.shape[2:]
    sizes = per_axis(output_size, axes, f"{what}: output_size", default=lengths)
    if all(size == 1 for size in sizes):
        y = P.sum(x, axis=tuple(range(2, 2 + axes)), keepdims=True) / prod(lengths)
    elif all(n % size == 0 for n, size in zip(lengths, sizes, strict=True)):
        bins = tuple(n // size for n, size in zip(lengths, sizes, strict=True))
        y = _averaged(x, windows_of(what, x.shape, axes, bins, None, 0, 1, False), True)
    else:
        y = _uneven(x, sizes)
    return name_after(as_given(y, input), input, "averaged", title="mean of each bin")


@composite(kernel.average_forward, kernel.average_backward, covers=is_pooled_by_kernel)
def _averaged(input, windows, count_include_pad):
    x = input
    if any(w.reach_outside for w in windows):
        x = P.pad(x, pad_width=((0, 0), (0, 0), *((w.padding, w.beyond) for w in windows)))
    return _means(fields_of(x, windows), divisors(windows, count_include_pad))


def _uneven(x, sizes):
    """Every bin is a row of places, as long as the longest: a place that a bin has too many is that of a zero."""
    axes = len(sizes)
    index, counts = [], []
    for axis, (n, size) in enumerate(zip(x.shape[2:], sizes, strict=True)):
        i = np.arange(size)
        first, after = i * n // size, -(-(i + 1) * n // size)
        places = first[:, None] + np.arange((after - first).max())
        places = np.where(places < after[:, None], places, n)
        index.append(np.expand_dims(places, tuple(a for a in range(2 * axes) if a not in (axis, axes + axis))))
        counts.append(after - first)
    x = P.pad(x, pad_width=((0, 0), (0, 0), *((0, 1) for _ in sizes)))
    bins = P.getitem(x, index=(slice(None), slice(None), *index))
    return _means(P.reshape(bins, shape=(*bins.shape[: 2 + axes], -1)), reduce(np.multiply.outer, counts))


def _means(fields, counts):
    """Sum over the last axis and divide by the counts."""
    total = P.sum(fields, axis=fields.ndim - 1, keepdims=False)
    return total / (counts if isinstance(counts, int) else placed(counts, total.data, total.dtype))
