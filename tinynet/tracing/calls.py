"""Somebody's function, called with Tensors for its arrays."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from traceback import walk_tb
from typing import Any, NamedTuple
from unittest.mock import patch

from tinynet.tensor import Tensor
from tinynet.tracing.arrays import Traced, unwrapped
from tinynet.tracing.following import own_line
from tinynet.tracing.leaves import Leaves, Numbers
from tinynet.tracing.leaving import Leaving
from tinynet.tracing.outside import arrays_outside, defaults_of, module_of
from tinynet.tracing.shared import arrays_in, copied, parts_in
from tinynet.tracing.stand_ins import standing_in
from tinynet.tracing.variables import Variables


class Call(NamedTuple):
    """What a call came to."""

    result: Any
    loss: Tensor | None  # in a variable that is called like one
    inputs: list[Tensor]
    leaving: Leaving
    error: Exception | None  # that it ended with


def called(
    function: Callable[..., Any],
    arguments: tuple,
    named: dict[str, Any],
    partly: bool = False,
    integers: bool = False,
    numbers: Numbers | None = None,
) -> Call:
    """Call a function with Tensors for its arrays of floating point, given or read from its module.

    With ``partly``, numbers may decide an ``if``, and what cannot be traced ends it. With ``integers``, those that it
    is given are leaves, too.
    """
    with copies(function, arguments, named) as (own, given, by_name):
        bound = inspect.signature(own).bind(*given, **by_name)
        bound.apply_defaults()
        found, outside = defaults_of(own), arrays_outside(own)
        by_default = {each.__name__: items for each, items in found.items()}
        owner = getattr(own, "__self__", None)
        leaves = Leaves(parts_in({**bound.arguments, **outside, **by_default, "": owner}), integers, numbers)
        bound.arguments.update({key: leaves.of(item, key) for key, item in bound.arguments.items()})
        outside = {key: leaves.of(item, key) for key, item in outside.items()}
        defaults = [leaves.of(items, each.__name__) for each, items in found.items()]
        run = own if owner is None else getattr(leaves.of(owner, ""), own.__name__)
        with patch.dict(module_of(own), outside), _defaults(found, defaults):
            return call_traced(run, leaves.tensors, bound.args, bound.kwargs, partly)


def has_integers(function: Callable[..., Any], arguments: tuple, named: dict[str, Any]) -> bool:
    """Whether arrays of integers are among what becomes leaves of a call."""
    bound = inspect.signature(function).bind(*arguments, **named)
    bound.apply_defaults()
    owner, defaults = getattr(function, "__self__", None), list(defaults_of(function).values())
    return bool(arrays_in((bound.arguments, arrays_outside(function), defaults, owner), "iu"))


def call_traced(
    function: Callable[..., Any], inputs: list[Tensor], arguments: Any, named: dict[str, Any], partly: bool = False
) -> Call:
    """Call a function with arrays that are traced already."""
    variables, before, leaving = Variables(inputs), sys.gettrace(), Leaving(branches=partly)
    result, failed = None, None
    with standing_in(module_of(function)), patch.object(Traced, "leaving", leaving):
        sys.settrace(variables.look)
        try:
            result = unwrapped(function(*arguments, **named))
        except Exception as error:
            if not partly:
                raise
            failed = error
        finally:
            sys.settrace(before)
    variables.name()
    return Call(result, variables.loss(), inputs, leaving, failed)


@contextmanager
def copies(function: Callable[..., Any], arguments: tuple, named: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Copies of a function's object, its arguments and the arrays of its module, which alone the function changes."""
    found = defaults_of(function)
    everything = (function, arguments, named), arrays_outside(function), list(found.values())
    own, outside, defaults = copied(everything)
    with patch.dict(module_of(function), outside), _defaults(found, defaults):
        yield own


@contextmanager
def _defaults(functions: Iterable[Any], given: Iterable[tuple]) -> Iterator[None]:
    """Let these be what functions take where nothing is given."""
    with ExitStack() as patches:
        for function, defaults in zip(functions, given, strict=True):
            patches.enter_context(patch.object(function, "__defaults__", defaults))
        yield


def place_of(error: Exception) -> str:
    """The line of somebody's code that an error comes from."""
    file, line = own_line(walk_tb(error.__traceback__))
    return f"line {line} of {file}"
