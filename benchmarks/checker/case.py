"""What is checked in all tables: a function of Tensors at a point, the same for every checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn


class Case(NamedTuple):
    """A function that gives one Tensor, and floating-point inputs for it."""

    name: str
    function: Callable[..., tn.Tensor]
    inputs: tuple[np.ndarray, ...]

    def __str__(self) -> str:
        with np.printoptions(floatmode="unique", threshold=40):
            return f"{self.name} at {', '.join(f'{a.dtype}{a.shape} {a!r}' for a in self.inputs)}"

    def single(self) -> Case:
        """The same with inputs in float32."""
        with np.errstate(over="ignore", under="ignore"):
            return self._replace(name=f"{self.name}, float32", inputs=tuple(a.astype(np.float32) for a in self.inputs))


def case(name: str, function: Callable[..., tn.Tensor], *inputs: Any) -> Case:
    return Case(name, function, tuple(map(np.asarray, inputs)))


def forward(case: Case, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """What the function gives."""
    return case.function(*(tn.Tensor(a.copy()) for a in inputs)).data


def backward(case: Case, inputs: tuple[np.ndarray, ...], g: np.ndarray) -> tuple[np.ndarray, ...]:
    """What our backward pass sends to each input."""
    leaves = [tn.Tensor(a.copy(), requires_grad=True) for a in inputs]
    y = case.function(*leaves)
    if not y.requires_grad:
        return tuple(np.zeros(a.shape) for a in inputs)
    return tuple(found.data for found in tn.grad(y, leaves, np.asarray(g)))
