"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tinynet.backend import namespace
from tinynet.optim.base import Memory, Optimizer, a_share, at_least_0
from tinynet.optim.recorded import Update
from tinynet.tensor import Parameter, Tensor


class RMSprop(Optimizer):
    """Steps in units of the gradient's usual size: p ← p − lr · g / (√v + ε), where v ← α · v + (1 − α) · g².

    With ``weight_decay`` λ, g = dL/dp + λ · p. Source: Tieleman and Hinton, Lecture 6.5, COURSERA (2012).

    Raises ValueError if there is nothing to learn, or for a number out of its bounds.
    """

    averages: ClassVar = {"v": "square_avg"}
    options: ClassVar = ("lr", "alpha", "eps", "weight_decay")

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
    ):
        super().__init__(params, lr)
        self.alpha = a_share(alpha, "alpha")
        self.eps = at_least_0(eps, "eps")
        self.weight_decay = at_least_0(weight_decay, "weight_decay")

    def kernel(self, x: Any, g: Any, memory: Memory) -> Any:
        v = memory.average("v", x).data
        v *= self.alpha
        v += (1 - self.alpha) * g * g
        size = namespace(v).sqrt(v)
        size += self.eps
        return x - self.lr * g / size

    def definition(self, update: Update, p: Tensor, g: Tensor) -> Tensor:
        lr, alpha, eps = (update.number(name, getattr(self, name)) for name in ("lr", "alpha", "eps"))
        v = update.new("v", alpha * update.old("v") + (1 - alpha) * g**2, "mean square")
        return p - lr * g / (v.sqrt() + eps)
