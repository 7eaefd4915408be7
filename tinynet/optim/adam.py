"""Adam, and AdamW, whose weight decay is no part of the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, ClassVar

from tinynet.backend import namespace
from tinynet.optim.base import Memory, Optimizer, a_share, at_least_0
from tinynet.optim.recorded import Update
from tinynet.tensor import Parameter, Tensor


class Adam(Optimizer):
    """Adaptive moments: p ← p − lr · m̂ / (√v̂ + ε), at step t = 1, 2, …

    m ← β1 · m + (1 − β1) · g and v ← β2 · v + (1 − β2) · g² start from 0; m̂ = m / (1 − β1^t) and v̂ = v / (1 − β2^t)
    are without the bias that this gives them. With ``weight_decay`` λ, g = dL/dp + λ · p.
    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), Algorithm 1.

    Raises ValueError if there is nothing to learn, or for a number out of its bounds.
    """

    averages: ClassVar = {"m": "exp_avg", "v": "exp_avg_sq"}
    options: ClassVar = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ):
        super().__init__(params, lr)
        beta1, beta2 = betas
        self.betas = a_share(beta1, "beta1"), a_share(beta2, "beta2")
        self.eps = at_least_0(eps, "eps")
        self.weight_decay = at_least_0(weight_decay, "weight_decay")

    def kernel(self, x: Any, g: Any, memory: Memory) -> Any:
        """The same as the definition, with the scalars together: √v̂ = √v / √(1 − β2^t)."""
        (beta1, beta2), t = self.betas, memory.steps
        m, v = (memory.average(label, x).data for label in ("m", "v"))
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        square = g * g
        square *= 1 - beta2
        v += square
        size = namespace(v).sqrt(v)
        size *= 1 / sqrt(1 - beta2**t)
        size += self.eps
        step = m / size
        step *= self.lr / (1 - beta1**t)
        return x - step

    def definition(self, update: Update, p: Tensor, g: Tensor) -> Tensor:
        return p - self.step_of(update, g)

    def step_of(self, update: Update, g: Tensor) -> Tensor:
        """lr · m̂ / (√v̂ + ε)."""
        lr, eps = update.number("lr", self.lr), update.number("eps", self.eps)
        beta1, beta2 = (update.number(f"beta{i}", beta) for i, beta in enumerate(self.betas, start=1))
        t = update.t()
        m = update.new("m", beta1 * update.old("m") + (1 - beta1) * g, "first moment")
        v = update.new("v", beta2 * update.old("v") + (1 - beta2) * g**2, "second moment")
        m_hat = update.name("m_hat", m / (1 - beta1**t), "bias-corrected first moment")
        v_hat = update.name("v_hat", v / (1 - beta2**t), "bias-corrected second moment")
        return lr * m_hat / (v_hat.sqrt() + eps)


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← p · (1 − lr · λ) − lr · m̂ / (√v̂ + ε), and m and v do not see the decay.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), Algorithm 2, as in PyTorch.
    """

    decouples: ClassVar = True

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)

    def kernel(self, x: Any, g: Any, memory: Memory) -> Any:
        return super().kernel(x * (1 - self.lr * self.weight_decay), g, memory)

    def definition(self, update: Update, p: Tensor, g: Tensor) -> Tensor:
        step = self.step_of(update, g)
        lr, decay = update.number("lr", self.lr), update.number("weight_decay", self.weight_decay)
        return p * (1 - lr * decay) - step
