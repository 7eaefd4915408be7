"""What all models share."""

from __future__ import annotations

from collections.abc import Callable

from tinynet import nn
from tinynet.optim import SGD
from tinynet.recording import record
from tinynet.run import Run
from tinynet.tensor import Tensor


def trained(model: nn.Module, objective: Callable[[Tensor], Tensor], x: Tensor, lr: float, updates: int) -> Run:
    """Record ``updates`` rounds of forward, backward and SGD."""
    optimizer = SGD(model.parameters(), lr)
    with record() as run:
        for _ in range(updates):
            optimizer.zero_grad()
            x.grad = None
            objective(x).backward()
            optimizer.step()
    return run


def check(number: int, low: int, high: int, what: str) -> None:
    """Raise ValueError unless ``number`` lies within its bounds."""
    if not low <= number <= high:
        raise ValueError(f"{what} is {number}, expected {low} to {high}")
