"""Convolutions: kernels laid on every place of the input (what deep learning calls so is a cross-correlation).

Source: Goodfellow, Bengio and Courville, Deep Learning, section 9.1; the arithmetic of sizes is that of Dumoulin and
Visin, A guide to convolution arithmetic for deep learning (2016).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tinynet import primitives as P
from tinynet.functional.composite import composite
from tinynet.functional.kernels import convolution as kernel
from tinynet.functional.spatial import KERNEL, as_batch, as_given, per_axis
from tinynet.recording import name
from tinynet.tensor import Tensor


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (N, C, L) or (C, L) with kernels (O, C/groups, K): (N, O, P); all else as ``conv2d``."""
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (N, C, H, W) or (C, H, W) with kernels (O, C/groups, K, K'): z = Σ window · kernel + bias.

    The result is (N, O, P, P') with P = ⌊(H + 2·padding − dilation·(K − 1) − 1) / stride⌋ + 1, in each direction.
    ``padding`` is a number of zeros, ``"valid"`` for none, or ``"same"`` for P = H (stride 1 only; where the zeros
    do not divide evenly, one more comes after than before). Raises ValueError for shapes that do not fit.
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Send (N, C, H, W) or (C, H, W) back through kernels (C, O/groups, K, K'), as the gradient of ``conv2d`` goes.

    The result is (N, O, P, P') with P = (H − 1)·stride − 2·padding + dilation·(K − 1) + output_padding + 1. Each
    number of the input adds its multiple of the kernel to the output: written as a convolution, with the rotated
    kernel, of the input with zeros between and around. Raises ValueError for shapes that do not fit.
    """
    what = "conv_transpose2d"
    x = as_batch(input, 2, what)
    steps, spacing = per_axis(stride, 2, f"{what}: stride"), per_axis(dilation, 2, f"{what}: dilation")
    less, more = per_axis(padding, 2, f"{what}: padding", 0), per_axis(output_padding, 2, f"{what}: output_padding", 0)
    per_axis(groups, 1, f"{what}: groups")
    if weight.ndim != 4 or weight.shape[0] != x.shape[1] or x.shape[1] % groups:
        raise ValueError(
            f"{what} got input {input.shape}, weight {weight.shape} and groups={groups}: expected a weight "
            f"({x.shape[1]}, O/groups, K, K'), the {x.shape[1]} channels of the input a multiple of groups"
        )
    _check_bias(what, bias, weight.shape[1] * groups)
    if any(m >= max(s, d) for m, s, d in zip(more, steps, spacing, strict=True)):
        raise ValueError(f"{what}: output_padding is {output_padding}, expected less than the stride or the dilation")
    covers = _covered(weight.shape, spacing)
    axes = zip(x.shape[2:], steps, covers, less, more, strict=True)
    sizes = tuple(s * (n - 1) + c - 2 * p + m for n, s, c, p, m in axes)
    if min(sizes) < 1:
        raise ValueError(f"{what}: the output for input {input.shape} would be {sizes} in size: use less padding")
    borders = tuple((p, p) for p in less)
    return as_given(_transposed(x, weight, bias, steps, spacing, borders, more, groups), input)


@composite(kernel.transposed_forward, kernel.transposed_backward)
def _transposed(x, weight, bias, steps, spacing, borders, more, groups):
    covers = _covered(weight.shape, spacing)
    around = tuple((c - 1 - low, c - 1 - high + m) for c, (low, high), m in zip(covers, borders, more, strict=True))
    spread = _bordered(P.dilated(x, steps), around)
    if spread is not x:
        name(spread, "spread", title="input with zeros between and around")
    rotated = name(P.turned(_dilated(weight, spacing), groups), "rotated", title="kernel rotated by 180°")
    return _correlated(spread, rotated, bias, (1, 1), groups)


def _convolve(axes, input, weight, bias, *options):
    x, options = images_to_convolve(axes, input, weight, bias, *options)
    return as_given(convolution(x, weight, bias, *options), input)


def images_to_convolve(axes, input, weight, bias, stride, padding, dilation, groups):
    """The input as a batch, and the options along each axis. Raises ValueError for what does not fit."""
    what = f"conv{axes}d"
    x = as_batch(input, axes, what)
    steps, spacing = per_axis(stride, axes, f"{what}: stride"), per_axis(dilation, axes, f"{what}: dilation")
    per_axis(groups, 1, f"{what}: groups")
    if weight.ndim != axes + 2 or weight.shape[1] * groups != x.shape[1] or weight.shape[0] % groups:
        raise ValueError(
            f"{what} got input {input.shape}, weight {weight.shape} and groups={groups}: expected a weight "
            f"(O, C/groups, {KERNEL[axes]}), O and the {x.shape[1]} channels of the input multiples of groups"
        )
    _check_bias(what, bias, weight.shape[0])
    if padding != "same":
        padding = per_axis(0 if padding == "valid" else padding, axes, f"{what}: padding", 0)
    return x, (steps, spacing, _borders(what, input.shape, weight.shape, steps, spacing, padding), groups)


@lru_cache(maxsize=1024)
def _borders(what, images, kernels, steps, spacing, padding):
    """How many zeros come before and after, on each spatial axis. Raises ValueError for kernels that do not fit."""
    covers = _covered(kernels, spacing)
    if padding != "same":
        borders = tuple((p, p) for p in padding)
    elif all(s == 1 for s in steps):
        borders = tuple(((c - 1) // 2, c // 2) for c in covers)
    else:
        raise ValueError(f"{what}: padding is 'same' and stride {steps}, expected stride 1: give padding as a number")
    outside = tuple(low + n + high for (low, high), n in zip(borders, images[-len(covers) :], strict=True))
    if any(c > n for c, n in zip(covers, outside, strict=True)):
        raise ValueError(
            f"{what}: a kernel that covers {covers} does not fit into input {images}, which is "
            f"{outside} with its border: use a smaller kernel or more padding"
        )
    return borders


@composite(kernel.convolution_forward, kernel.convolution_backward)
def convolution(x, weight, bias, steps, spacing, borders, groups):
    padded = _bordered(x, borders)
    if padded is not x:
        name(padded, "padded", title="input with a border of zeros")
    return _correlated(padded, _dilated(weight, spacing), bias, steps, groups)


def _correlated(x, kernels, bias, steps, groups):
    z = P.correlate(x, kernels, stride=steps, groups=groups)
    return z if bias is None else z + P.reshape(bias, shape=(1, -1, *[1] * len(steps)))


def _covered(kernels, spacing):
    """How far kernels of a shape reach on each spatial axis."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernels[2:], spacing, strict=True))


def _dilated(weight, spacing):
    if all(d == 1 for d in spacing):
        return weight
    return name(P.dilated(weight, spacing), "dilated", title="kernel with zeros between its numbers")


def _bordered(x, around):
    """Put (before, after) zeros around each spatial axis; a negative number cuts as many places off."""
    if any(max(pair) > 0 for pair in around):
        x = P.pad(x, pad_width=((0, 0), (0, 0), *((max(low, 0), max(high, 0)) for low, high in around)))
    if any(min(pair) < 0 for pair in around):
        kept = (slice(max(-low, 0), n - max(-high, 0)) for (low, high), n in zip(around, x.shape[2:], strict=True))
        x = P.getitem(x, index=(slice(None), slice(None), *kept))
    return x


def _check_bias(what, bias, kernels):
    if bias is not None and bias.shape != (kernels,):
        raise ValueError(f"{what} got a bias of shape {bias.shape}, expected ({kernels},), one for each kernel")
