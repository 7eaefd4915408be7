"""Hold gradients against numerical derivatives whose error is known: right, wrong, or cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet.nn.module import Module
from tinynet.testing.check import Check
from tinynet.testing.subject import Arrays, HandWritten, ModuleFunction, Subject, TensorFunction, is_floating, numbers
from tinynet.testing.verdict import RIGHT, WRONG, GradientError, Report


def check_gradients(
    function: Callable[..., Any], *inputs: Any, order: int = 1, seed: int = 0, **keywords: Any
) -> Report:
    """Check the gradients of a function of Tensors, which gives a Tensor or a tuple of them, at ``inputs``.

    ``inputs`` are arrays or Tensors of any shapes; integers and truth values are passed on and not differentiated. Of a
    Module the gradients of all its parameters are checked too.

    Everything is computed in float64. What random cotangents (numbers about 1) make of the gradients is held against
    numerical derivatives with an error of their own, so there is no tolerance to choose. Right is what agrees with a
    derivative measured to 1% at least of itself or, where it is small, of what is usual of that input;
    ``report.precision`` says how well. ``order=2`` checks the gradients of the gradients too.

    Returns a ``Report``, which is true only where the verdict is "right": it is "cannot tell" at a kink, a jump, or
    where noise, large numbers or nan forbid a verdict. Raises GradientError, an AssertionError that carries the report,
    where a gradient is wrong; TypeError or ValueError for what cannot be checked at all.

    So in a test a bare call lets pass what cannot be told, ``assert check_gradients(...)`` fails on that too, and
    ``assume(check_gradients(...))`` has Hypothesis draw other numbers.
    """
    __tracebackhide__ = True
    _refuse_what_cannot_be_called(keywords, function=function)
    if order not in (1, 2):
        raise ValueError(f"order is {order!r}, expected 1 or 2")
    if isinstance(function, Module):
        subject: TensorFunction = ModuleFunction(function, len(inputs))
        inputs = (*inputs, *function.parameters())
    else:
        subject = TensorFunction(function)
    arrays = _arrays(inputs)
    report = _verdict(subject, arrays, seed)
    if order == 1 or report.verdict != RIGHT:
        return report
    return _verdict(
        subject.differentiated(len(arrays), len(report.cotangents)), report.inputs + report.cotangents, seed, order=2
    )


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    cache: bool = False,
    seed: int = 0,
    **keywords: Any,
) -> Report:
    """Check a backward pass written by hand, in NumPy, PyTorch or CuPy: ``backward(cotangent, *inputs)``.

    ``forward(*inputs)`` gives an array or a tuple of them, and ``backward`` gets a cotangent of the same structure. It
    returns a gradient for each input (None for one that has none), or for each floating-point one. With ``cache=True``
    ``forward`` returns ``(output, cache)``, and ``backward(cotangent, cache)`` is called. Changing an input, a
    cotangent or the cache in place counts as wrong, and so does a gradient that is not linear in the cotangent, or of a
    coarser dtype than its input and the function, where that loses digits. Returns and raises what ``check_gradients``
    does.
    """
    __tracebackhide__ = True
    _refuse_what_cannot_be_called(keywords, forward=forward, backward=backward)
    return _verdict(HandWritten(forward, backward, inputs, cache), _arrays(inputs), seed)


def _verdict(subject: Subject, arrays: Arrays, seed: int, order: int = 1) -> Report:
    __tracebackhide__ = True  # by pytest: a failing test shows the caller's line
    with np.errstate(all="ignore"):
        report = Check(subject, arrays, seed).run()
    report.order, report.subject, report.function = order, subject, subject.title
    if report.verdict == WRONG:
        raise GradientError(report)
    return report


def _refuse_what_cannot_be_called(keywords: dict[str, Any], **functions: Any) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(f"{name} is {type(function).__name__}, expected a function")
    if keywords:
        options = ", ".join(f"{key}=..." for key in keywords)
        raise TypeError(
            f"the checker has no option {', '.join(keywords)}: pass keyword arguments to a function by "
            f"functools.partial({' or '.join(functions)}, {options})"
        )


def _arrays(inputs: Sequence[Any]) -> Arrays:
    arrays = [numbers(item, f"input {i}") for i, item in enumerate(inputs)]
    if not any(map(is_floating, arrays)):
        raise ValueError("no input is floating-point: there is nothing to differentiate by")
    return arrays
