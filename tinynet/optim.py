"""Optimisers. Recorded, an update is steps of the run like any other, and cells of the workbook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinynet.memory import LARGE, empty
from tinynet.tape import no_grad, state
from tinynet.tensor import Parameter, Tensor


class SGD:
    """Stochastic gradient descent: p ← p − lr · dL/dp. Source: Robbins and Monro (1951).

    Raises ValueError if there is nothing to learn or ``lr`` is negative.
    """

    def __init__(self, params: Iterable[Parameter], lr: float):
        self.params, self.lr = list(params), lr
        if not self.params:
            raise ValueError("SGD got no parameters: pass model.parameters()")
        if lr < 0:
            raise ValueError(f"lr is {lr}, expected a learning rate of at least 0")

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        if state.recorder is not None:
            self._recorded_step()
            return
        lr = float(self.lr)
        for p in self.params:
            if p.grad is not None:
                p.data = _less(p.data, p.grad.data, lr)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.params:
            p.grad = None

    def _recorded_step(self) -> None:
        recorder = state.recorder
        assert recorder is not None
        with no_grad(), recorder.in_phase("update"):
            for p in self.params:
                if p.grad is not None:
                    lr = recorder.hyperparameter("lr", float(self.lr), beside=p)
                    new: Tensor = p - lr * p.grad
                    p.data = new.data
                    recorder.updated(p, new)


def _less(x: Any, g: Any, lr: float) -> Any:
    """x − lr · g; with one new array instead of two where they are large."""
    if type(g) is np.ndarray and g.size > LARGE and (g.shape, g.dtype) == (x.shape, x.dtype):
        step = np.multiply(g, lr, empty(np, g.shape, g.dtype))
        return np.subtract(x, step, step)
    new = x - g * lr
    return new if type(new) is np.ndarray else Tensor._wrap(new).data
