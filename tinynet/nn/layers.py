"""Layers without memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet.backend import get_default_dtype
from tinynet.nn import init
from tinynet.nn.module import Module
from tinynet.recording import name
from tinynet.tensor import Parameter, Tensor


def empty_parameter(*shape: int) -> Parameter:
    """A parameter of the default dtype, to be filled by an initialiser."""
    return Parameter(np.zeros(shape, dtype=get_default_dtype()))


class Linear(Module):
    """z = x Wᵀ + b: (…, in_features) to (…, out_features).

    ``weight`` (out, in) and ``bias`` (out,) start as U(−1/√in, 1/√in), as PyTorch's.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = init.uniform_(empty_parameter(out_features, in_features), -bound, bound)
        self.bias = init.uniform_(empty_parameter(out_features), -bound, bound) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1] != self.in_features:
            raise ValueError(f"Linear expects (…, {self.in_features}), got {input.shape}")
        return name(F.linear(input, self.weight, self.bias), "z")


class Sequential(Module):
    """Modules one after another: ``Sequential(a, b)``, or ``Sequential({"hidden": a, "head": b})`` with names."""

    def __init__(self, *modules: Any):
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else None
        for name_, module in named.items() if named else ((str(i), m) for i, m in enumerate(modules)):
            setattr(self, name_, module)

    def forward(self, input: Any) -> Any:
        for _, module in self.children():
            input = module(input)
        return input


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Sigmoid(Module):
    """Logistic function."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class Flatten(Module):
    """(N, …) to (N, all the rest)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.flatten(input, 1)


class CrossEntropyLoss(Module):
    """``functional.cross_entropy`` as a module."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.cross_entropy(input, target, self.reduction)


class MSELoss(Module):
    """``functional.mse_loss`` as a module."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.mse_loss(input, target, self.reduction)
