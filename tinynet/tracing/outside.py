"""The arrays that somebody's code reads from its module, as many scripts keep their weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np


def module_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of the module that a function, or a method, was written in."""
    return getattr(_plain(function), "__globals__", {})


def arrays_outside(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function, or the functions and classes of its module that it uses, read from the module and holds arrays.

    These are arrays of floating point, and lists, tuples, dicts and objects of them.
    """
    return {name: item for name, item in _used(function).items() if holds_arrays(item)}


def defaults_of(function: Callable[..., Any]) -> dict[FunctionType, tuple]:
    """The functions of its module that a function uses, or itself, whose parameters are arrays if nothing is given."""
    functions = [item for item in (*_used(function).values(), _plain(function)) if isinstance(item, FunctionType)]
    return {item: item.__defaults__ for item in functions if item.__defaults__ and holds_arrays(item.__defaults__)}


def _plain(function: Callable[..., Any]) -> Any:
    """The function of a method, or in a wrapper."""
    return inspect.unwrap(getattr(function, "__func__", function))


def _used(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function, and the functions and methods of its module that it uses, find in the module."""
    module, found = module_of(function), dict[str, Any]()
    waiting = _codes(_plain(function), module)
    seen = set(waiting)
    while waiting:
        code = waiting.pop()
        known = {name: module[name] for name in code.co_names if name in module}
        found |= known
        more = [inner for item in (*known.values(), *code.co_consts) for inner in _codes(item, module)]
        waiting += [inner for inner in dict.fromkeys(more) if inner not in seen]
        seen.update(more)
    return found


def holds_arrays(item: Any, depth: int = 4) -> bool:
    """Whether it is, or has somewhere inside, an array of floating point."""
    if isinstance(item, np.ndarray):
        return item.dtype.kind == "f"
    inside = parts_of(item).values() if depth else ()
    return any(holds_arrays(part, depth - 1) for part in inside)


def parts_of(item: Any) -> dict[Any, Any]:
    """The items of a dict, list or tuple, or the attributes of an object of a class written in Python."""
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, (list, tuple)):
        return dict(enumerate(item))
    plain = isinstance(item, (type, FunctionType, MethodType, ModuleType)) or not hasattr(item, "__dict__")
    return {} if plain else dict(vars(item))


def _codes(item: Any, module: dict[str, Any]) -> list[CodeType]:
    """The code of a function, or of the methods of a class or an object, of this module."""
    if isinstance(item, CodeType):
        return [item]
    kind = item if inspect.isclass(item) else type(item)
    if kind.__module__ == module.get("__name__"):
        return [inner for method in vars(kind).values() for inner in _codes(method, module)]
    return [item.__code__] if getattr(item, "__globals__", None) is module and hasattr(item, "__code__") else []
