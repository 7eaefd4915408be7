"""Convolutional layers, with PyTorch's names, parameters and initial values."""

from __future__ import annotations

import math
from typing import Any

from tinynet import functional as F
from tinynet.functional.spatial import per_axis
from tinynet.nn import init
from tinynet.nn.layers import empty_parameter
from tinynet.nn.module import Module
from tinynet.recording import name
from tinynet.tensor import Tensor, as_tensor


class _Kernels(Module):
    """``weight`` and ``bias`` of a convolution; both start as U(−1/√fan_in, 1/√fan_in), as PyTorch's."""

    def __init__(self, leading: int, following: int, size: tuple[int, ...], groups: int, biases: int):
        bound = 1 / math.sqrt(following // groups * math.prod(size))
        self.weight = init.uniform_(empty_parameter(leading, following // groups, *size), -bound, bound)
        self.bias = init.uniform_(empty_parameter(biases), -bound, bound) if biases else None


class _Conv(_Kernels):
    axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        size = _checked(self, in_channels, out_channels, kernel_size, self.axes, groups)
        super().__init__(out_channels, in_channels, size, groups, out_channels if bias else 0)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, input: Tensor) -> Tensor:
        convolve = F.conv1d if self.axes == 1 else F.conv2d
        return name(convolve(input, self.weight, self.bias, *self.options), "z")

    @property
    def options(self) -> tuple:
        return self.stride, self.padding, self.dilation, self.groups


class Conv1d(_Conv):
    """z = kernels · windows + b: (N, in_channels, L) to (N, out_channels, P); a batch may be left out.

    P = ⌊(L + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1. ``weight`` (out_channels, in_channels/groups,
    K) and ``bias`` (out_channels,) start as U(−1/√fan_in, 1/√fan_in), as PyTorch's. See ``functional.conv1d``.
    """

    axes = 1


class Conv2d(_Conv):
    """z = kernels · windows + b: (N, in_channels, H, W) to (N, out_channels, P, P'); a batch may be left out.

    P = ⌊(H + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1, in each direction. ``weight`` (out_channels,
    in_channels/groups, K, K') and ``bias`` (out_channels,) start as U(−1/√fan_in, 1/√fan_in), as PyTorch's. See
    ``functional.conv2d``.
    """

    axes = 2


class ConvTranspose2d(_Kernels):
    """The transpose of a convolution: (N, in_channels, H, W) to (N, out_channels, P, P'); a batch may be left out.

    P = (H − 1)·stride − 2·padding + dilation·(kernel_size − 1) + output_padding + 1, in each direction. ``weight``
    (in_channels, out_channels/groups, K, K') and ``bias`` (out_channels,) start as U(−1/√fan_in, 1/√fan_in), where
    fan_in = out_channels/groups · K · K', as PyTorch's. See ``functional.conv_transpose2d``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
    ):
        size = _checked(self, in_channels, out_channels, kernel_size, 2, groups)
        super().__init__(in_channels, out_channels, size, groups, out_channels if bias else 0)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, size
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation = groups, dilation

    def forward(self, input: Tensor) -> Tensor:
        options = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return name(F.conv_transpose2d(as_tensor(input), self.weight, self.bias, *options), "z")


def _checked(module: Module, inputs: int, outputs: int, kernel_size: Any, axes: int, groups: int) -> tuple[int, ...]:
    """Return the size of the kernels. Raises ValueError for one of less than 1, or channels that groups do not fit."""
    what = type(module).__name__
    per_axis(groups, 1, f"{what}: groups")
    if inputs < 1 or outputs < 1 or inputs % groups or outputs % groups:
        raise ValueError(
            f"{what} got {inputs} input and {outputs} output channels for groups={groups}: "
            "expected multiples of groups, at least one"
        )
    return per_axis(kernel_size, axes, f"{what}: kernel_size")
