"""Modules one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tinynet.nn.activation import ReLU
from tinynet.nn.convolution import Conv1d, Conv2d
from tinynet.nn.module import Module
from tinynet.nn.pooling import MaxPool1d, MaxPool2d
from tinynet.tape import state

POOLINGS = {MaxPool1d, MaxPool2d}


class Sequential(Module):
    """Modules one after another: ``Sequential(a, b)``, or ``Sequential({"hidden": a, "head": b})`` with names."""

    def __init__(self, *modules: Any):
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else None
        for name_, module in named.items() if named else ((str(i), m) for i, m in enumerate(modules)):
            setattr(self, name_, module)

    def forward(self, input: Any) -> Any:
        modules = [item for item in vars(self).values() if isinstance(item, Module)]
        pools = state.recorder is None and not POOLINGS.isdisjoint(map(type, modules))
        for call in _joined(modules) if pools else modules:
            input = call(input)
        return input


def _joined(modules: list[Any]) -> list[Callable]:
    """What to call: a ReLU, the pooling after it and a convolution before it are one call."""
    calls: list[Any] = []
    for module in modules:
        if type(module) in POOLINGS and calls and _runs(calls[-1], ReLU):
            calls.pop()
            convolves = calls and _runs(calls[-1], Conv1d, Conv2d) and calls[-1].axes == module.axes
            calls.append(partial(module.after_relu_of, calls.pop()) if convolves else module.after_relu)
        else:
            calls.append(module)
    return calls


def _runs(module: Any, *kinds: type[Module]) -> bool:
    """Whether calling a module does what one of these kinds does."""
    forward = getattr(getattr(module, "forward", None), "__func__", None)
    return forward in [kind.forward for kind in kinds] and type(module).__call__ is Module.__call__
