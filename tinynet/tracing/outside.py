"""The arrays that somebody's code reads from its module, as many scripts keep their weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np


def module_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of the module that a function, or a method, was written in."""
    return getattr(inspect.unwrap(getattr(function, "__func__", function)), "__globals__", {})


def arrays_outside(function: Callable[..., Any]) -> dict[str, np.ndarray]:
    """Arrays of floating point that a function reads from its module, or that functions and classes there read."""
    module, found = module_of(function), dict[str, np.ndarray]()
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    waiting: list[CodeType] = [] if code is None else [code]
    seen = set(waiting)
    while waiting:
        code = waiting.pop()
        known = {name: module[name] for name in code.co_names if name in module}
        found |= {name: x for name, x in known.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"}
        more = [inner for item in (*known.values(), *code.co_consts) for inner in _codes(item, module)]
        waiting += [inner for inner in dict.fromkeys(more) if inner not in seen]
        seen.update(more)
    return found


def _codes(item: Any, module: dict[str, Any]) -> list[CodeType]:
    """The code of a function, or of the methods of a class, of this module."""
    if isinstance(item, CodeType):
        return [item]
    if inspect.isclass(item) and item.__module__ == module.get("__name__"):
        return [inner for method in vars(item).values() for inner in _codes(method, module)]
    return [item.__code__] if getattr(item, "__globals__", None) is module and hasattr(item, "__code__") else []
