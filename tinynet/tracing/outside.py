"""The arrays that somebody's code reads from its module, as many scripts keep their weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np


def module_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of the module that a function, or a method, was written in."""
    return getattr(inspect.unwrap(getattr(function, "__func__", function)), "__globals__", {})


def arrays_outside(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function, or the functions and classes of its module that it uses, read from the module and holds arrays.

    These are arrays of floating point, and lists, tuples, dicts and objects of them.
    """
    module = module_of(function)
    names = [name for code in _codes_used(function) for name in code.co_names]
    return {name: module[name] for name in dict.fromkeys(names) if name in module and holds_arrays(module[name])}


def defaults_of(function: Callable[..., Any]) -> dict[FunctionType, tuple]:
    """The functions of its module that a function uses, or itself, whose parameters are arrays if nothing is given."""
    module = module_of(function)
    names = [name for code in _codes_used(function) for name in code.co_names]
    known = [module.get(name) for name in dict.fromkeys(names)]
    functions = [item for item in (*known, getattr(function, "__func__", function)) if isinstance(item, FunctionType)]
    return {item: item.__defaults__ for item in functions if item.__defaults__ and holds_arrays(item.__defaults__)}


def _codes_used(function: Callable[..., Any]) -> list[CodeType]:
    """The code of a function, and of the functions and methods of its module that it uses."""
    module = module_of(function)
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    found: dict[CodeType, None] = {} if code is None else {code: None}
    waiting = list(found)
    while waiting:
        code = waiting.pop()
        known = [module[name] for name in code.co_names if name in module]
        more = [inner for item in (*known, *code.co_consts) for inner in _codes(item, module)]
        waiting += [inner for inner in dict.fromkeys(more) if inner not in found]
        found.update(dict.fromkeys(more))
    return list(found)


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
