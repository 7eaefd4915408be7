"""Tracing: plain NumPy code, which knows nothing of tinynet, becomes a Run."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import numpy as np

from tinynet.recording import name, record
from tinynet.run import Run
from tinynet.tensor import Parameter, Tensor
from tinynet.tracing.arrays import Filled, Traced, unwrapped
from tinynet.tracing.variables import Variables, is_ours

# What people call inputs, targets and initial states; every other array is taken for a parameter.
DATA = re.compile(r"(xs?|inputs?|data|images?|ys?|targets?|labels?|[hcas](_?0|_?prev|_?init)?)", re.IGNORECASE)


def trace(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Run:
    """Call plain NumPy code on some arrays and return what it computes as a Run: ``tn.trace(forward, x=x, W=W)``.

    Arrays of floating point, and lists, tuples and dicts of them, become leaves called after the function's
    parameters; all else is passed on. What is computed is called after the variables that it is assigned to; in a loop,
    what that counts is the time step. If a single number is returned (alone, or as the first such number of a tuple),
    it is the loss, and its gradients are recorded: the backward pass that the code should have. Branches and indices
    are those that were taken. Raises TypeError for what cannot be traced, such as functions of NumPy without a
    counterpart here, ValueError where nothing is computed from the arrays, and whatever the code itself raises.
    """
    bound = inspect.signature(function).bind(*arguments, **named)
    bound.apply_defaults()
    with record() as run:
        leaves: list[Tensor] = []
        given = {key: _leaf(item, key, leaves) for key, item in bound.arguments.items()}
        bound.arguments.update(given)
        result = _called(function, leaves, *bound.args, **bound.kwargs)
        outputs = [x for x in _flattened(result) if isinstance(x, Tensor) and x.requires_grad]
        if not outputs:
            raise ValueError(f"nothing that {function.__name__} returns is computed from its arrays of floating point")
        loss = next((x for x in outputs if x.size == 1), None)
        if loss is not None:
            name(loss, "loss")
            loss.backward()
    return run


def traced(function: Callable[..., Any], inputs: list[Tensor]) -> Any:
    """Call NumPy code on Tensors and return what it gives, as Tensors. Raises TypeError where it cannot be traced."""
    return _called(function, inputs, *[Traced(x) if x.dtype.kind == "f" else x.numpy() for x in inputs])


def _called(function: Callable[..., Any], inputs: list[Tensor], *arguments: Any, **named: Any) -> Any:
    """Meanwhile ``np.zeros`` and ``np.empty`` make arrays that Tensors can be put into."""

    def zeros(shape: Any, dtype: Any = float, **nothing: Any) -> Any:
        inside = is_ours(sys._getframe(1))
        return original(shape, dtype) if inside or np.dtype(dtype).kind != "f" else Filled(shape)

    original, before = np.zeros, sys.gettrace()
    variables = Variables(inputs)
    with patch.object(np, "zeros", zeros), patch.object(np, "empty", zeros):
        sys.settrace(variables.look)
        try:
            result = function(*arguments, **named)
        finally:
            sys.settrace(before)
    variables.name()
    return unwrapped(result)


def _leaf(item: Any, label: str, leaves: list[Tensor]) -> Any:
    """What stands for an argument while it is traced: arrays of floating point become ``leaves``."""
    if isinstance(item, Mapping):
        return {key: _leaf(part, f"{label}.{key}", leaves) for key, part in item.items()}
    if isinstance(item, (list, tuple)) and any(isinstance(part, np.ndarray) for part in item):
        return type(item)(_leaf(part, f"{label}.{k}", leaves) for k, part in enumerate(item))
    if not isinstance(item, np.ndarray) or item.dtype.kind != "f":
        return item
    is_data = DATA.fullmatch(label) is not None
    leaves.append(Tensor(item.copy(), True, label) if is_data else Parameter(item.copy(), label))
    return Traced(leaves[-1])


def _flattened(result: Any) -> list[Any]:
    if isinstance(result, Mapping):
        result = list(result.values())
    return [x for part in result for x in _flattened(part)] if isinstance(result, (tuple, list)) else [result]
