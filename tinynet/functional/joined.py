"""Layers that follow each other in one call, of which nobody can see the middle: there is less to do."""

from __future__ import annotations

from tinynet.functional.activations import relu
from tinynet.functional.composite import composite
from tinynet.functional.convolution import convolution, images_to_convolve
from tinynet.functional.kernels import joined as kernel
from tinynet.functional.kernels.axes import axes_of
from tinynet.functional.pooling import is_pooled_by_kernel, largest, windows_to_pool
from tinynet.functional.spatial import as_given
from tinynet.tensor import Tensor


def relu_max_pool(axes: int, input: Tensor, pooling: tuple) -> Tensor:
    """max_pool(relu(input), *pooling), of one or two spatial axes."""
    return _relu_pooled(input, *windows_to_pool(axes, input.shape, *pooling))


def conv_relu_max_pool(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, convolution: tuple, pooling: tuple
) -> Tensor:
    """max_pool(relu(conv(input, weight, bias, *convolution)), *pooling), of one or two spatial axes."""
    x, options = images_to_convolve(axes, input, weight, bias, *convolution)
    places = [along.places for along in axes_of(x.shape[2:], weight.shape[2:], *options[:3])]
    windows = windows_to_pool(axes, (len(x), len(weight), *places[-axes:]), *pooling)
    return as_given(_convolved_relu_pooled(x, weight, bias, *options, *windows), input)


@composite(kernel.relu_pooled_forward, kernel.relu_pooled_backward, covers=is_pooled_by_kernel)
def _relu_pooled(input, windows, places):
    return largest(relu(input), windows, places)


def _is_of_one_dtype(x, weight, bias, steps, spacing, borders, groups, windows, places):
    alike = x.dtype == weight.dtype and (bias is None or x.dtype == bias.dtype)
    return alike and is_pooled_by_kernel(x, windows)


@composite(kernel.convolved_relu_pooled_forward, kernel.convolved_relu_pooled_backward, covers=_is_of_one_dtype)
def _convolved_relu_pooled(x, weight, bias, steps, spacing, borders, groups, windows, places):
    return largest(relu(convolution(x, weight, bias, steps, spacing, borders, groups)), windows, places)
