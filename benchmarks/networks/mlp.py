"""Multilayer perceptrons."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.networks.by_hand import cross_entropy, update
from benchmarks.networks.network import Network, Step


class Mlp(Network):
    """Linear, tanh, linear, softmax cross-entropy (mean squared error for one output)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, batch: int, dtype: Any = "float64"):
        shapes: dict[str, tuple[int, ...]] = {
            "0.weight": (hidden, inputs),
            "0.bias": (hidden,),
            "2.weight": (outputs, hidden),
            "2.bias": (outputs,),
        }
        super().__init__(f"MLP {inputs}-{hidden}-{outputs}, batch {batch}", dtype, shapes, scale=0.1)
        self.sizes = inputs, hidden, outputs
        self.x = self.normal((batch, inputs))
        self.y = self.normal((batch, 1)) if outputs == 1 else self.rng.integers(outputs, size=batch)
        if outputs == 1:
            self.criterion = "mse_loss"

    def module(self, nn: Any) -> Any:
        inputs, hidden, outputs = self.sizes
        return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))

    def loss(self, ops: Any, p: dict[str, Any], x: Any, y: Any) -> Any:
        h = ops.tanh(ops.linear(x, p["0.weight"], p["0.bias"]))
        return getattr(ops, self.criterion)(ops.linear(h, p["2.weight"], p["2.bias"]), y)

    def numpy(self) -> Step:
        w1, b1, w2, b2 = parameters = [array.copy() for array in self.state.values()]
        dw1, db1, dw2, db2 = gradients = [np.empty_like(array) for array in parameters]
        x, y = self.x, self.y
        h, z = np.empty((len(x), len(b1)), self.dtype), np.empty((len(x), len(b2)), self.dtype)
        dh = np.empty_like(h)
        mean_square_or_cross_entropy = mean_square(z, y) if self.criterion == "mse_loss" else cross_entropy(z, y)

        def step() -> float:
            np.dot(x, w1.T, h)
            np.add(h, b1, h)
            np.tanh(h, h)
            np.dot(h, w2.T, z)
            np.add(z, b2, z)
            loss = mean_square_or_cross_entropy()  # z is now its gradient
            np.dot(z, w2, dh)
            np.dot(z.T, h, dw2)
            np.add.reduce(z, 0, None, db2)
            np.multiply(h, h, h)
            np.subtract(1, h, h)
            np.multiply(dh, h, dh)
            np.dot(dh.T, x, dw1)
            np.add.reduce(dh, 0, None, db1)
            update(zip(parameters, gradients, strict=True))
            return loss

        return step


def mean_square(z: np.ndarray, y: np.ndarray) -> Step:
    """As ``cross_entropy``: z becomes its own gradient."""

    def loss() -> float:
        np.subtract(z, y, z)
        found = np.vdot(z, z) / z.size
        np.multiply(z, 2 / z.size, z)
        return float(found)

    return loss
