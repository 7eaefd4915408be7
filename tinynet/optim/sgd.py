"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from tinynet.memory import LARGE, empty
from tinynet.optim.base import Memory, Optimizer, at_least_0
from tinynet.optim.recorded import Update
from tinynet.tensor import Parameter, Tensor


class SGD(Optimizer):
    """Stochastic gradient descent: p ← p − lr · g, where g = dL/dp. Source: Robbins and Monro (1951).

    With ``weight_decay`` λ, g = dL/dp + λ · p. With ``momentum`` μ, p ← p − lr · v, where v ← μ · v + g (Polyak, 1964);
    with ``nesterov`` too, p ← p − lr · (g + μ · v) (Sutskever et al., 2013). As in PyTorch, v is without lr.

    Raises ValueError if there is nothing to learn, if a number is negative, and for ``nesterov`` without momentum.
    """

    averages: ClassVar = {"velocity": "momentum_buffer"}
    options: ClassVar = ("lr", "momentum", "weight_decay", "nesterov")

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        *,
        momentum: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ):
        super().__init__(params, lr)
        self.momentum = at_least_0(momentum, "momentum")
        self.weight_decay = at_least_0(weight_decay, "weight_decay")
        if nesterov and not momentum:
            raise ValueError("nesterov=True needs a momentum above 0")
        self.nesterov = bool(nesterov)

    def kernel(self, x: Any, g: Any, memory: Memory) -> Any:
        if self.momentum:
            v = memory.average("velocity", x).data
            v *= self.momentum
            v += g
            g = g + self.momentum * v if self.nesterov else v
        if type(g) is np.ndarray and g.size <= LARGE:
            return x - g * _number(float(self.lr), g.dtype)
        return _less(x, g, float(self.lr))

    def definition(self, update: Update, p: Tensor, g: Tensor) -> Tensor:
        if self.momentum:
            momentum = update.number("momentum", self.momentum)
            v = update.new("velocity", momentum * update.old("velocity") + g, "velocity")
            g = g + momentum * v if self.nesterov else v
        return p - update.number("lr", self.lr) * g


def _less(x: Any, g: Any, lr: float) -> Any:
    """x − lr · g; with one new array instead of two where they are NumPy's."""
    if type(g) is not np.ndarray or (g.shape, g.dtype) != (x.shape, x.dtype):
        return x - g * lr
    step = np.multiply(g, lr, empty(np, g.shape, g.dtype))
    return np.subtract(x, step, step)


@lru_cache(maxsize=16)
def _number(number: float, dtype: Any) -> np.ndarray:
    """A number as an array, with which NumPy takes half the time that it takes with Python's."""
    return np.array(number, dtype)
