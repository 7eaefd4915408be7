"""Modules one after another, and modules in a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from tinynet.nn.activation import ReLU
from tinynet.nn.convolution import Conv1d, Conv2d
from tinynet.nn.module import Module
from tinynet.nn.pooling import MaxPool1d, MaxPool2d
from tinynet.tape import state

POOLINGS = {MaxPool1d, MaxPool2d}


class _Row(Module):
    """Modules by their places: ``row[0]``, ``row[-1]``, ``row[1:]``, ``len(row)``, and a loop over them."""

    def _add(self, name: str, module: Any) -> None:
        kind = type(self).__name__
        if not isinstance(module, Module):
            raise TypeError(f"{kind} got {_shown(module)} at {name!r}, expected a Module{_advice(module)}")
        if hasattr(self, name) or "." in name or not name:
            raise ValueError(f"{kind} cannot call a module {name!r}: the name is taken, empty, or has a dot in it")
        setattr(self, name, module)

    def __getitem__(self, place: Any) -> Any:
        return self._part(place) if isinstance(place, slice) else list(self)[place]

    def _part(self, places: slice) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.children())


class ModuleList(_Row):
    """Modules that a module holds, to be called as its ``forward`` says: ``ModuleList([a, b])``."""

    def __init__(self, modules: Iterable[Module] = ()):
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end; returns the list."""
        self._add(str(len(self)), module)
        return self

    def _part(self, places: slice) -> ModuleList:
        return ModuleList(list(self)[places])


class Sequential(_Row):
    """Modules one after another: ``Sequential(a, b)``, or ``Sequential({"hidden": a, "head": b})`` with names.

    Raises TypeError for what is no Module (of a function such as ``F.relu``, use the module, ``nn.ReLU()``).
    """

    def __init__(self, *modules: Any):
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else None
        for name_, module in named.items() if named is not None else ((str(i), m) for i, m in enumerate(modules)):
            self._add(name_, module)

    def _part(self, places: slice) -> Sequential:
        return Sequential(dict(list(self.children())[places]))

    def forward(self, input: Any) -> Any:
        modules = [item for item in vars(self).values() if isinstance(item, Module)]
        pools = state.recorder is None and not POOLINGS.isdisjoint(map(type, modules))
        for call in _joined(modules) if pools else modules:
            input = call(input)
        return input


def _shown(item: Any) -> str:
    return getattr(item, "__name__", "") or f"{type(item).__name__} {str(item)[:40]}"


def _advice(item: Any) -> str:
    """What was meant, probably."""
    from tinynet import nn

    if isinstance(item, type) and issubclass(item, Module):
        return f": make one, {item.__name__}()"
    if isinstance(item, (list, tuple)):
        return ": pass them one by one, Sequential(*modules)"
    own = {name.lower(): name for name in nn.__all__}
    known = own.get(str(getattr(item, "__name__", "")).replace("_", ""))
    return f": use nn.{known}()" if known else ": write a Module whose forward calls it" if callable(item) else ""


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
