"""Layers without memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet.backend import get_default_dtype, placed
from tinynet.functional.random import check_probability
from tinynet.nn import init
from tinynet.nn.checks import check_sizes
from tinynet.nn.module import Module
from tinynet.recording import name
from tinynet.tensor import Parameter, Tensor, as_tensor


def empty_parameter(*shape: int) -> Parameter:
    """A parameter of the default dtype, where ``use`` says, to be filled by an initialiser."""
    return Parameter(placed(np.zeros(shape, dtype=get_default_dtype())))


class Linear(Module):
    """z = x Wᵀ + b: (…, in_features) to (…, out_features).

    ``weight`` (out, in) and ``bias`` (out,) start as U(−1/√in, 1/√in), as PyTorch's.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        check_sizes(self, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = init.uniform_(empty_parameter(out_features, in_features), -bound, bound)
        self.bias = init.uniform_(empty_parameter(out_features), -bound, bound) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1] != self.in_features:
            raise ValueError(f"Linear expects (…, {self.in_features}), got {input.shape}")
        return name(F.linear(input, self.weight, self.bias), "z")


class Flatten(Module):
    """Join the axes from ``start_dim`` to ``end_dim``: (N, …) to (N, all the rest) by default."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return name(F.flatten(as_tensor(input), self.start_dim, self.end_dim), "flat", title="all maps in one column")


class Dropout(Module):
    """While training, zero each number with probability ``p`` and divide the rest by 1 − p; see ``dropout``."""

    def __init__(self, p: float = 0.5):
        self.p = check_probability(p)

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(as_tensor(input), self.p, self.training)


class Embedding(Module):
    """A table of vectors: integers of any shape (…) give (…, embedding_dim). ``weight`` starts as N(0, 1)."""

    def __init__(self, num_embeddings: int, embedding_dim: int):
        check_sizes(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = init.normal_(empty_parameter(num_embeddings, embedding_dim))

    def forward(self, input: Tensor) -> Tensor:
        return name(F.embedding(input, self.weight), "e", title="embedding")


class CrossEntropyLoss(Module):
    """``functional.cross_entropy`` as a module."""

    def __init__(self, *, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.cross_entropy(as_tensor(input), target, reduction=self.reduction)


class MSELoss(Module):
    """``functional.mse_loss`` as a module."""

    def __init__(self, *, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.mse_loss(as_tensor(input), target, reduction=self.reduction)
