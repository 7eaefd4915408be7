"""Tracing: plain NumPy code, which knows nothing of tinynet, becomes a Run."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy, deepcopy
from pathlib import Path
from threading import get_ident
from traceback import walk_tb
from typing import Any
from unittest.mock import patch

import numpy as np

from tinynet.recording import name, record
from tinynet.run import Run
from tinynet.tensor import Parameter, Tensor
from tinynet.tracing.arrays import Filled, Traced, unwrapped
from tinynet.tracing.following import is_ours
from tinynet.tracing.loops import calls
from tinynet.tracing.needed import keep_gradients
from tinynet.tracing.outside import arrays_outside, defaults_of, module_of, parts_of
from tinynet.tracing.variables import Variables

# What people call inputs, targets and initial states; every other array is taken for a parameter.
DATA = re.compile(
    r"([xy]s?(_?(train|batch|b|t))?|inputs?|data|images?|features?|tokens?|batch|targets?|t|labels?|masks?|keep|noise"
    r"|[hcas](_?0|_?prev|_?init)?)",
    re.IGNORECASE,
)

# Of these nobody wants a gradient.
TARGETS = re.compile(r"ys?(_?(train|batch|b|t))?|targets?|t|labels?|masks?|keep", re.IGNORECASE)


def trace(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Run:
    """Call plain NumPy code on some arrays and return what it computes as a Run: ``tn.trace(forward, x=x, W=W)``.

    Arrays of floating point, and lists, tuples and dicts of them, become leaves called after the function's
    parameters, and so do those that it reads from its module; all else is passed on. What is computed is called after
    the variables that it is assigned to; in a loop, what that counts is the time step. If a single number is returned
    (alone, or as the first such number of a tuple), it is the loss, and its gradients are recorded: the backward pass
    that the code should have. Branches and indices are those that were taken. The code is run twice, once as it is, and
    must come to the same results.

    Raises TypeError for what cannot be traced, such as functions of NumPy without a counterpart here, ValueError where
    nothing is computed from the arrays or the results are not those of NumPy, and whatever the code itself raises.
    """
    bound = inspect.signature(function).bind(*arguments, **named)
    bound.apply_defaults()
    with copies(function, arguments, named) as (own, given, options):
        expected = own(*given, **options)
    with record() as run:
        result = _with_leaves(function, bound, partly=False)
        _check_same(function, expected, result)
        outputs = [x for x in _flattened(result) if isinstance(x, Tensor) and x.requires_grad]
        if not outputs:
            raise ValueError(f"nothing that {function.__name__} returns is computed from its arrays of floating point")
        loss = next((x for x in outputs if x.size == 1), None)
        if loss is not None:
            name(loss, "loss")
            loss.backward()
    return run


def trace_loss(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Run:
    """As ``trace``, but only what the loss is computed from, and its gradients; the rest need not be traced.

    The loss is the first number that is returned, or that is in a variable called so. Raises ValueError without one.
    """
    bound = inspect.signature(function).bind(*arguments, **named)
    bound.apply_defaults()
    with record() as run:
        outputs = _flattened(_with_leaves(function, bound, partly=True))
        loss = next((x for x in outputs if isinstance(x, Tensor) and x.requires_grad and x.size == 1), None)
        if loss is None:
            raise ValueError(
                f"{function.__name__} has no loss: let it return a number that NumPy computes from its arrays of "
                "floating point, or call the variable that holds it `loss`"
            )
        if not np.isfinite(loss.item()):
            raise ValueError(f"the loss of {function.__name__} is {loss.item()}: nothing can be compared")
        name(loss, "loss")
        loss.backward()
    keep_gradients(run)
    return run


@contextmanager
def copies(function: Callable[..., Any], arguments: tuple, named: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Copies of a function's object, its arguments and the arrays of its module: what it changes is changed for it."""
    found = defaults_of(function)
    everything = (function, arguments, named), arrays_outside(function), list(found.values())
    own, outside, defaults = deepcopy(everything)
    with patch.dict(module_of(function), outside), _defaults(found, defaults):
        yield own


@contextmanager
def _defaults(functions: Iterable[Any], given: Iterable[tuple]) -> Iterator[None]:
    """Let these be what functions take where nothing is given."""
    with ExitStack() as patches:
        for function, defaults in zip(functions, given, strict=True):
            patches.enter_context(patch.object(function, "__defaults__", defaults))
        yield


def _with_leaves(function: Callable[..., Any], bound: inspect.BoundArguments, partly: bool) -> Any:
    """Call a function with Tensors for its arrays of floating point, given or read from its module."""
    leaves: dict[int, tuple[Any, Any]] = {}
    bound.arguments.update({key: _leaf(item, key, leaves) for key, item in bound.arguments.items()})
    outside = {key: _leaf(item, key, leaves) for key, item in arrays_outside(function).items()}
    found = defaults_of(function)
    defaults = [_leaf(items, each.__name__, leaves) for each, items in found.items()]
    owner = getattr(function, "__self__", None)
    called = function if owner is None else getattr(_leaf(owner, "", leaves), function.__name__)
    inputs = [leaf.tensor for _, leaf in leaves.values() if isinstance(leaf, Traced)]
    with patch.dict(module_of(function), outside), _defaults(found, defaults):
        return _called(called, inputs, bound.args, bound.kwargs, partly)


def traced(function: Callable[..., Any], inputs: list[Tensor]) -> Any:
    """Call NumPy code on Tensors and return what it gives, as Tensors. Raises TypeError where it cannot be traced."""
    return _called(function, inputs, [Traced(x) if x.dtype.kind == "f" else x.numpy() for x in inputs], {})


def _called(
    function: Callable[..., Any], inputs: list[Tensor], arguments: Any, named: dict[str, Any], partly: bool = False
) -> Any:
    """What a function returns; ``partly``, its likeliest losses, also where something after them cannot be traced."""
    variables, before = Variables(inputs), sys.gettrace()
    taken: list[Tensor] = []
    with _makers(), patch.object(Traced, "taken", taken if partly else None):
        sys.settrace(variables.look)
        try:
            result = unwrapped(function(*arguments, **named))
        except Exception as error:
            if not partly:
                raise
            if variables.loss() is None and not taken:
                raise ValueError(f"the forward pass cannot be followed beyond {_place(error)}: {error}") from error
            result = None
        finally:
            sys.settrace(before)
    variables.name()
    if not partly:
        return result
    loss = variables.loss()
    is_returned = any(x is loss for x in _flattened(result))
    return [*[loss] * is_returned, result, loss, *taken[::-1]]


@contextmanager
def _makers() -> Iterator[None]:
    """Meanwhile ``np.zeros``, ``np.empty`` and ``np.zeros_like`` make arrays that Tensors can be put into."""
    makers: tuple[Any, ...] = (np.zeros, np.empty, np.zeros_like)
    with ExitStack() as patches:
        for maker in makers:
            patches.enter_context(patch.object(np, maker.__name__, _filled(maker, get_ident())))
        yield


def _filled(original: Callable[..., Any], thread: int) -> Callable[..., Any]:
    def make(like: Any, *arguments: Any, **options: Any) -> Any:
        dtype = np.dtype(options.get("dtype") or (arguments[0] if arguments else getattr(like, "dtype", float)))
        frame = sys._getframe(1)
        asked = dtype.kind == "f" and get_ident() == thread and not is_ours(frame)
        if not asked or not calls(frame, original.__name__):
            return original(like, *arguments, **options)
        return Filled(np.shape(like) if original.__name__.endswith("_like") else like)

    return make


def _place(error: Exception) -> str:
    """The line of somebody's code that an error comes from."""
    frames = [(frame, line) for frame, line in walk_tb(error.__traceback__) if not is_ours(frame)]
    frame, line = frames[-1]
    return f"line {line} of {Path(frame.f_code.co_filename).name}"


def _leaf(item: Any, label: str, leaves: dict[int, tuple[Any, Any]]) -> Any:
    """What stands for an argument while it is traced: arrays of floating point become ``leaves``, each one leaf.

    An object of a class in Python is copied, its attributes becoming leaves.
    """
    if isinstance(item, Mapping):
        return {key: _leaf(part, f"{label}.{key}", leaves) for key, part in item.items()}
    if isinstance(item, (list, tuple)):
        parts = [_leaf(part, f"{label}.{k}", leaves) for k, part in enumerate(item)]
        return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    if id(item) in leaves:
        return leaves[id(item)][1]
    if not isinstance(item, np.ndarray) and parts_of(item):
        leaves[id(item)] = item, copy(item)
        for attribute, part in parts_of(item).items():
            vars(leaves[id(item)][1])[attribute] = _leaf(part, f"{label}.{attribute}".lstrip("."), leaves)
        return leaves[id(item)][1]
    if not isinstance(item, np.ndarray) or item.dtype.kind != "f":
        return item
    if DATA.fullmatch(label):
        leaf = Tensor(item.copy(), TARGETS.fullmatch(label) is None, label)
    else:
        leaf = Parameter(item.copy(), label)
    leaves[id(item)] = item, Traced(leaf)
    return leaves[id(item)][1]


def _check_same(function: Callable[..., Any], expected: Any, result: Any) -> None:
    """Raise ValueError where what was traced is not what plain NumPy gives."""
    theirs, ours = _flattened(expected), _flattened(result)
    for a, b in zip(theirs, ours, strict=False):
        if isinstance(b, Tensor):
            a, b = np.asarray(a), b.numpy()
            rough = np.float32 in (a.dtype, b.dtype)
            if a.shape != b.shape or not np.allclose(a, b, rtol=1e-3 if rough else 1e-9, atol=1e-12, equal_nan=True):
                raise ValueError(
                    f"{function.__name__} gave other numbers when it was traced than when it was called: it does "
                    "something to its arrays that cannot be followed, or gives other numbers each time"
                )
    if len(theirs) != len(ours):
        raise ValueError(f"{function.__name__} gave {len(theirs)} results when called, {len(ours)} when traced")


def _flattened(result: Any) -> list[Any]:
    if isinstance(result, Mapping):
        result = list(result.values())
    return [x for part in result for x in _flattened(part)] if isinstance(result, (tuple, list)) else [result]
