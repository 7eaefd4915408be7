"""The loss that somebody's code has when it is called as it is."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from types import FrameType
from typing import Any

import numpy as np

from tinynet.tracing.assignments import assignments
from tinynet.tracing.calls import copies
from tinynet.tracing.following import Following
from tinynet.tracing.variables import LOSS


def own_losses(function: Callable[..., Any], arguments: tuple, named: dict[str, Any], returned: bool) -> list[Any]:
    """The numbers of floating point that it returns, and what is in a variable called like a loss in the end.

    Only those that are ``returned``, if there are any, where that is asked.
    """
    found, before = _Losses(), sys.gettrace()
    with copies(function, arguments, named) as (own, given, options), redirect_stdout(io.StringIO()):
        sys.settrace(found.look)
        try:
            result = own(*given, **options)
        finally:
            sys.settrace(before)
    numbers = [x for x in flattened(result) if np.size(x) == 1 and np.asarray(x).dtype.kind == "f"]
    variable = [] if found.loss is None else [found.loss]
    return numbers if numbers and returned else [*numbers, *variable]


def flattened(result: Any) -> list[Any]:
    """What a function returned, without the tuples, lists and dicts around it."""
    if isinstance(result, Mapping):
        result = list(result.values())
    return [x for part in result for x in flattened(part)] if isinstance(result, (tuple, list)) else [result]


class _Losses(Following):
    """The last number in a variable that is called like a loss; most of all, just so."""

    loss: Any = None
    is_called_so = False

    def after(self, frame: FrameType, line: int, time: int | None) -> None:
        for assignment in assignments(frame.f_code).get(line, ()):
            name = assignment.variable
            owner = vars(frame.f_locals["self"]) if assignment.of_self and "self" in frame.f_locals else frame.f_locals
            if name not in owner or not LOSS.fullmatch(name) or (self.is_called_so and name != "loss"):
                continue
            if np.size(owner[name]) == 1 and np.asarray(owner[name]).dtype.kind == "f":
                self.loss, self.is_called_so = np.copy(owner[name]), name == "loss"
