"""Tracing: plain NumPy code, which knows nothing of tinynet, becomes a Run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from tinynet.recording import name, record
from tinynet.run import Run
from tinynet.tensor import Tensor
from tinynet.tracing.arrays import Traced
from tinynet.tracing.calls import Call, call_traced, called, copies, has_integers, place_of
from tinynet.tracing.leaving import PLAIN
from tinynet.tracing.losses import flattened, own_losses
from tinynet.tracing.moved import check_followed, integers_are_followed
from tinynet.tracing.needed import keep_gradients

__all__ = ["copies", "trace", "trace_loss", "traced"]


def trace(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Run:
    """Call plain NumPy code on some arrays and return what it computes as a Run: ``tn.trace(forward, x=x, W=W)``.

    Arrays of floating point, and lists, tuples and dicts of them, become leaves called after the function's
    parameters, and so do those that it reads from its module; all else is passed on. What is computed is called after
    the variables that it is assigned to; in a loop, what that counts is the time step. If a single number is returned
    (alone, or as the first such number of a tuple), it is the loss, and its gradients are recorded: the backward pass
    that the code should have. Arrays of integers that the function is given are leaves, too, where all that they do is
    to choose places; other indices, and branches, are those that were taken. The code is run twice, once as it is, and
    must come to the same results; where it takes numbers out of its arrays, to print them, say, also on other numbers.

    Raises TypeError for what cannot be traced, such as functions of NumPy without a counterpart here, ValueError where
    nothing is computed from the arrays, the results are not those of NumPy, or numbers that were taken out matter, and
    whatever the code itself raises.
    """
    with copies(function, arguments, named) as (own, given, options):
        expected = own(*given, **options)
    if has_integers(function, arguments, named):
        with suppress(Exception):  # most code does more with them than to index: then they stay as they are
            return _traced(function, arguments, named, expected, integers=True)
    return _traced(function, arguments, named, expected, integers=False)


def _traced(
    function: Callable[..., Any], arguments: tuple, named: dict[str, Any], expected: Any, integers: bool
) -> Run:
    """Raises ValueError also where integers were asked to be leaves, and do more than to choose places."""
    with record() as run:
        call = called(function, arguments, named, integers=integers)
        _check_same(function, expected, call.result)
        results = _results(call)
        outputs = [x for x in results if x.requires_grad]
        if not call.inputs:
            raise ValueError(
                f"{function.__name__} is given no NumPy arrays of floating point, and reads none from its module: "
                "turn lists into arrays by np.array"
            )
        if not outputs:
            raise ValueError(f"nothing that {function.__name__} returns is computed from its arrays of floating point")
        loss = next((x for x in outputs if x.size == 1), None)
        if loss is not None:
            name(loss, "loss")
            loss.backward()

    def again(numbers: Any) -> list[Tensor]:
        return _results(called(function, arguments, named, integers=integers, numbers=numbers))

    if integers and not integers_are_followed(run, call, results, again):
        raise ValueError("integers do more than to choose places")
    moving = [x for x in call.inputs if x.value is not None and x.dtype.kind == "f"]
    check_followed(function.__name__, run, call, results, moving, again)
    return run


def trace_loss(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Run:
    """As ``trace``, but only what the loss is computed from, and its gradients; the rest need not be traced.

    The loss is the first number that is returned, or that is in a variable called so. An ``if`` goes the way that the
    numbers say. Raises ValueError where there is no loss, or something on the way to it cannot be followed.
    """
    with record() as run:
        call = called(function, arguments, named, partly=True)
        losses = _losses(call)
        expected = own_losses(function, arguments, named, call.error is not None)
        place = next((k for k, x in enumerate(losses) if _is_among(x.numpy(), expected)), None)
        if place is None:
            raise _without_loss(function.__name__, call, bool(losses)) from call.error
        loss = losses[place]
        if not np.isfinite(loss.item()):
            raise ValueError(f"the loss of {function.__name__} is {loss.item()}: nothing can be compared")
        name(loss, "loss")
        loss.backward()
    data = call.leaving.data(run)
    keep_gradients(run)
    moving = [x for x in call.inputs if x.requires_grad and x.value is not None and x.value not in data]

    def again(numbers: Any) -> list[Tensor]:
        return [_losses(called(function, arguments, named, partly=True, numbers=numbers))[place]]

    check_followed(function.__name__, run, call, [loss], moving, again)
    for leaf in data:
        leaf.kind = "input"
    return run


def traced(function: Callable[..., Any], inputs: list[Tensor]) -> Any:
    """Call NumPy code on Tensors and return what it gives, as Tensors. Raises TypeError where it cannot be traced."""
    call = call_traced(function, inputs, [Traced(x) if x.dtype.kind == "f" else x.numpy() for x in inputs], {})
    if call.leaving.found:
        raise TypeError(PLAIN)
    return call.result


def _results(call: Call) -> list[Tensor]:
    return [x for x in flattened(call.result) if isinstance(x, Tensor)]


def _losses(call: Call) -> list[Tensor]:
    """What may be the loss, the likeliest first."""
    returned = flattened(call.result)
    first = [call.loss] if any(x is call.loss for x in returned) else []
    taken = [left.tensor for left in call.leaving.found[::-1] if not left.decides]
    everything = [*first, *returned, call.loss, *taken]
    return [x for x in everything if isinstance(x, Tensor) and x.requires_grad and x.size == 1]


def _is_among(number: np.ndarray, expected: list[Any]) -> bool:
    rough = any(getattr(x, "dtype", None) == np.float32 for x in (number, *expected))
    return any(np.allclose(number, x, rtol=1e-3 if rough else 1e-9, atol=1e-12, equal_nan=True) for x in expected)


def _without_loss(called: str, call: Call, is_another: bool) -> ValueError:
    if call.error is not None:
        return ValueError(f"the forward pass cannot be followed beyond {place_of(call.error)}: {call.error}")
    if is_another:
        return ValueError(
            f"the loss of {called} is another when it is traced than when it is called: it does something to its "
            "arrays that cannot be followed, or gives other numbers each time"
        )
    return ValueError(
        f"{called} has no loss: let it return a number that NumPy computes from its arrays of floating point, or call "
        "the variable that holds it `loss`"
    )


def _check_same(function: Callable[..., Any], expected: Any, result: Any) -> None:
    """Raise ValueError where what was traced is not what plain NumPy gives."""
    theirs, ours = flattened(expected), flattened(result)
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
