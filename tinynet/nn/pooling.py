"""Pooling layers, with PyTorch's names."""

from __future__ import annotations

from typing import Any

from tinynet import functional as F
from tinynet.functional.joined import conv_relu_max_pool, relu_max_pool
from tinynet.nn.module import Module
from tinynet.tensor import Tensor, as_tensor


class MaxPool1d(Module):
    """The largest number of each window: (N, C, L) to (N, C, P); see ``functional.max_pool1d``.

    P = ⌊(L + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1, rounded up with ``ceil_mode``.
    """

    axes = 1

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *, ceil_mode: bool = False
    ):
        self.options = (kernel_size, stride, padding, dilation, ceil_mode)

    def extra_repr(self) -> str:
        return _said(("kernel_size", "stride", "padding", "dilation", "ceil_mode"), self.options)

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool1d(as_tensor(input), *self.options)

    def after_relu(self, input: Tensor) -> Tensor:
        """The same of relu(input), in one pass."""
        return relu_max_pool(self.axes, input, self.options)

    def after_relu_of(self, convolution: Any, input: Tensor) -> Tensor:
        """The same of relu(convolution(input)), in one pass."""
        z = convolution
        return conv_relu_max_pool(self.axes, input, z.weight, z.bias, z.options, self.options)


class MaxPool2d(MaxPool1d):
    """The largest number of each window: (N, C, H, W) to (N, C, P, P'); see ``functional.max_pool2d``.

    P = ⌊(H + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1, rounded up with ``ceil_mode``; in each
    direction.
    """

    axes = 2

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(as_tensor(input), *self.options)


class AvgPool1d(Module):
    """The mean of each window: (N, C, L) to (N, C, P); see ``functional.avg_pool1d``.

    P = ⌊(L + 2·padding − kernel_size) / stride⌋ + 1, rounded up with ``ceil_mode``.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self.options = (kernel_size, stride, padding, ceil_mode, count_include_pad)

    def extra_repr(self) -> str:
        return _said(("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"), self.options)

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(as_tensor(input), *self.options)


class AvgPool2d(AvgPool1d):
    """The mean of each window: (N, C, H, W) to (N, C, P, P'); see ``functional.avg_pool2d``.

    P = ⌊(H + 2·padding − kernel_size) / stride⌋ + 1, rounded up with ``ceil_mode``; in each direction.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(as_tensor(input), *self.options)


class AdaptiveAvgPool1d(Module):
    """The means of ``output_size`` bins: (N, C, L) to (N, C, P); see ``functional.adaptive_avg_pool1d``."""

    def __init__(self, output_size: Any):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(as_tensor(input), self.output_size)


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """The means of P × P' bins: (N, C, H, W) to (N, C, P, P'); see ``functional.adaptive_avg_pool2d``."""

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(as_tensor(input), self.output_size)


def _said(names: tuple[str, ...], options: tuple) -> str:
    """``kernel_size=2, padding=1``; a stride of None is the kernel's size."""
    said = zip(names, options, strict=True)
    return ", ".join(f"{name}={option}" for name, option in said if option is not None)
