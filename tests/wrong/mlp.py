"""A net of two hidden layers, relu with dropout and then tanh, written out. Dropout: Srivastava et al. (2014)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tests.wrong.network import Array, Arrays, Change, FeedForward, Numbers


class MLP(FeedForward):
    """x (N, I) → z1 → a1 = relu → kept = a1 mask / (1 − rate) → z2 → a2 = tanh → logits → p → loss."""

    symbols: ClassVar[Mapping[str, str]] = {
        "W1": "fc1.weight",
        "b1": "fc1.bias",
        "W2": "fc2.weight",
        "b2": "fc2.bias",
        "W_out": "head.weight",
        "b_out": "head.bias",
    }

    def __init__(
        self,
        x: Array,
        target: Array,
        weights: Arrays,
        mask: Array,
        rate: float,
        bug: Change | None = None,
        dtype: Any = np.float64,
        lr: float = 0.1,
    ):
        super().__init__(x, target, weights, bug, dtype, lr)
        self.mask, self.rate = self.array(mask), rate

    def forward(self) -> None:
        self["z1"] = self.z1()
        self["a1"] = self.a1()
        self["kept"] = self.dropout(self["a1"])
        self["z2"] = self.z2()
        self["a2"] = np.tanh(self["z2"])
        self.score()

    def backward(self) -> None:
        self["dlogits"] = self.dlogits(self["p"], self.target, self.dnll())
        self["da2"] = self.dfeatures(self["dlogits"])
        self["dz2"] = self.dz2()
        self["dkept"] = self.dkept()
        self["da1"] = self.dropout_back(self["dkept"])
        self["dz1"] = self.dz1()
        self["dx"] = self.dx()

    # Forward formulas
    def z1(self) -> Array:
        return self["x"] @ self.weights["W1"].T + self.weights["b1"]

    def a1(self) -> Array:
        return np.maximum(self["z1"], 0)

    def dropout(self, a: Array) -> Array:
        return a * self.mask / (1 - self.rate)

    def z2(self) -> Array:
        return self["kept"] @ self.weights["W2"].T + self.weights["b2"]

    def features(self) -> Array:
        return self["a2"]

    # Backward formulas
    def dz2(self) -> Array:
        return self["da2"] * self.tanh_slope("a2", self["a2"], self["z2"])

    def dkept(self) -> Array:
        return self["dz2"] @ self.weights["W2"]

    def dropout_back(self, da: Array) -> Array:
        return da * self.mask / (1 - self.rate)

    def dz1(self) -> Array:
        return self["da1"] * (self["z1"] > 0)

    def dx(self) -> Array:
        return self["dz1"] @ self.weights["W1"]

    # Gradients of the weights
    def dW1(self) -> Array:
        return self["dz1"].T @ self["x"]

    def db1(self) -> Array:
        return self["dz1"].sum(axis=0)

    def dW2(self) -> Array:
        return self["dz2"].T @ self["kept"]

    def db2(self) -> Array:
        return self["dz2"].sum(axis=0)


def mlp(
    x: Array, target: Array, weights: Arrays, mask: Array, rate: float, bug: Change | None = None, **options: Any
) -> Numbers:
    """All numbers of an MLP; ``mask`` (N, H) holds 1 where a unit is kept, ``rate`` is the share that is dropped."""
    return MLP(x, target, weights, mask, rate, bug, **options).run()
