"""What all models share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tinynet import nn
from tinynet.optim import SGD, Adam, AdamW, RMSprop
from tinynet.recording import record
from tinynet.run import Run
from tinynet.tensor import Tensor

OPTIMIZERS: dict[str, Any] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def trained(
    model: nn.Module, objective: Callable[[Tensor], Tensor], x: Tensor, lr: float, updates: int, optimizer: str
) -> Run:
    """Record ``updates`` rounds of forward, backward and one of ``OPTIMIZERS``."""
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"--optimizer is {optimizer!r}, expected one of {', '.join(OPTIMIZERS)}")
    update = OPTIMIZERS[optimizer](model.parameters(), lr)
    with record() as run:
        for _ in range(updates):
            update.zero_grad()
            x.grad = None
            objective(x).backward()
            update.step()
    return run


def check(number: int, low: int, high: int, what: str) -> None:
    """Raise ValueError unless ``number`` lies within its bounds."""
    if not low <= number <= high:
        raise ValueError(f"{what} is {number}, expected {low} to {high}")
