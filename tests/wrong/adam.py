"""Adam with decoupled weight decay, on gradients that are given: Kingma and Ba (2015), Loshchilov and Hutter (2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tests.wrong.network import Array, Arrays, Change, Network, Numbers


class Adam(Network):
    """m and v, moving averages of g and g²; m_hat and v_hat, these without their bias; w, the weight. Steps from 0."""

    symbols: ClassVar[Mapping[str, str]] = {"w": "weight"}

    def __init__(
        self,
        gradients: Array,
        weights: Arrays,
        bug: Change | None = None,
        dtype: Any = np.float64,
        lr: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-3,
        decay: float = 0.2,
    ):
        super().__init__(weights, bug, dtype)
        self.lr, self.beta_m, self.beta_v, self.eps, self.decay = lr, *betas, eps, decay
        self.steps = len(gradients)
        for t in range(self.steps):
            self["g", t] = self.array(gradients[t])
        self["w", -1] = self.weights["w"]
        self["m", -1] = self["v", -1] = np.zeros_like(self["w", -1])

    def compute(self) -> None:
        for t in range(self.steps):
            self["m", t] = self.m(t)
            self["v", t] = self.v(t)
            self["m_hat", t] = self.unbiased(self["m", t], self.beta_m, t)
            self["v_hat", t] = self.unbiased(self["v", t], self.beta_v, t)
            self["w", t] = self.decayed(t) - self.lr * self.direction(self["m_hat", t], self["v_hat", t])

    def gradient(self, t: int) -> Array:
        return self["g", t]

    def m(self, t: int) -> Array:
        return self.beta_m * self["m", t - 1] + (1 - self.beta_m) * self.gradient(t)

    def v(self, t: int) -> Array:
        return self.beta_v * self["v", t - 1] + (1 - self.beta_v) * self.gradient(t) ** 2

    def unbiased(self, average: Array, beta: float, t: int) -> Array:
        return average / (1 - self.power(beta, t))

    def power(self, beta: float, t: int) -> Any:
        """beta to the number of steps done, this one included."""
        return beta ** (t + 1)

    def direction(self, m: Array, v: Array) -> Array:
        return m / (np.sqrt(v) + self.eps)

    def decayed(self, t: int) -> Array:
        """The old weight, a little smaller."""
        return self["w", t - 1] * (1 - self.lr * self.decay)


def adam(gradients: Array, weights: Arrays, bug: Change | None = None, **options: Any) -> Numbers:
    """All numbers of some steps of Adam: ``gradients`` (steps, …) of the one weight, (…)."""
    return Adam(gradients, weights, bug, **options).run()
