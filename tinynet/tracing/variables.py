"""The variables of somebody's code, which its quantities are called by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

from tinynet.recording import name
from tinynet.run import INITIAL
from tinynet.tape import state
from tinynet.tensor import Tensor
from tinynet.tracing.arrays import Traced
from tinynet.tracing.assignments import assignments
from tinynet.tracing.filled import Filled
from tinynet.tracing.following import Following

LOSS = re.compile(r"\w*(loss|cost|error|mse|nll)|ce|[LJE]", re.IGNORECASE)


class Found(NamedTuple):
    """What was assigned to a variable, by which line, at which time step."""

    tensor: Tensor  # kept, so that its id stays its own
    line: int
    time: int | None


class Variables(Following):
    """The variables that hold Tensors, as they come up; and the time step of what is recorded meanwhile."""

    def __init__(self, inputs: list[Tensor]):
        super().__init__()
        self.inputs = inputs
        self.seen = {id(x) for x in inputs}
        self.found: dict[str, list[Found]] = {}
        self.plain: dict[str, list[tuple[Found, bool]]] = {}  # zeros, say, that a loop starts from; whether a step

    @property
    def now(self) -> int | None:  # type: ignore[override]
        """The time step that the recorder is at."""
        return state.recorder.time if state.recorder is not None else None

    @now.setter
    def now(self, time: int | None) -> None:
        if state.recorder is not None:
            state.recorder.time = time

    def after(self, frame: FrameType, line: int, time: int | None) -> None:
        """What the line has assigned to variables."""
        within = "" if frame.f_code is self.outermost else f"{frame.f_code.co_name}."
        parameters = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        assigned = {assignment.variable for assignment in assignments(frame.f_code).get(line, ())}
        for variable, item in frame.f_locals.items():
            if variable in parameters and within and variable not in ("self", *assigned):
                continue  # it has a name where the function was called, or none
            for label, array, own_time in _arrays("" if variable == "self" else variable, item):
                for tensor, is_plain, is_step in _held(array):
                    if id(tensor) not in self.seen:
                        self.seen.add(id(tensor))
                        found = Found(tensor, line, time if own_time is None else own_time)
                        if is_plain:
                            self.plain.setdefault(within + label, []).append((found, is_step))
                        else:
                            self.found.setdefault(within + label, []).append(found)

    def loss(self) -> Tensor | None:
        """The last number in a variable that is called like a loss; most of all, just so."""
        called = {variable.rpartition(".")[2]: found for variable, found in self.found.items()}
        named = [found for label, found in called.items() if LOSS.fullmatch(label)] + [called.get("loss", [])]
        numbers = [f.tensor for found in named for f in found if f.tensor.size == 1 and f.tensor.requires_grad]
        return numbers[-1] if numbers else None

    def name(self) -> None:
        """Name what was found: by its variable, and a number where other lines assigned to that, too.

        What was given keeps the name of its parameter; where a loop goes on from it, it is the initial one.
        """
        arguments = {x.name for x in self.inputs}
        for variable, everything in self.found.items():
            lines = list(dict.fromkeys(found.line for found in everything if found.time != INITIAL))
            given = variable in arguments and not self._repeats(variable)
            for k, line in enumerate(lines, 1):
                quantity = f"{variable}_{k + given}" if given or k < len(lines) else variable
                of_line = [found for found in everything if found.line == line and found.time != INITIAL]
                for n, found in enumerate(of_line):
                    count = n if len(of_line) > 1 else None
                    name(found.tensor, quantity, count if found.time is None else found.time)
            for found in everything:
                if found.time == INITIAL:
                    name(found.tensor, variable, INITIAL)
        for variable, numbers in self.plain.items():
            for found, is_step in numbers:
                if found.tensor.value is not None:  # it was read
                    initial = (is_step or found.time is None) and variable in self.found
                    name(found.tensor, variable, INITIAL if initial else found.time)
        for x in self.inputs:
            if x.value is not None and x.name in self.found and self._repeats(x.name):
                x.value.time = INITIAL

    def _repeats(self, variable: str) -> bool:
        """Whether some line assigns to a variable at several time steps, or several times."""
        everything = self.found[variable]
        return len({found.line for found in everything}) < len(everything) or any(
            found.time is not None for found in everything
        )


def _held(array: Traced) -> Iterator[tuple[Tensor, bool, bool]]:
    """What an array holds, as a whole or step by step; whether it is plain numbers, and whether a step."""
    if not isinstance(array, Filled):
        yield array.tensor, False, False
        return
    yield from ((x, False, True) for x in array.steps.values())
    yield from ((x, True, True) for x in array.plain.values())
    plain = array.numbers is not None
    if not array.steps and (plain or array.is_read):
        yield array.whole, plain, False


def _arrays(label: str, item: Any) -> Iterator[tuple[str, Traced, int | None]]:
    """The arrays that a variable holds: itself, by time step, by key or as attributes; and their time step."""
    if isinstance(item, Traced):
        yield label, item, None
    elif isinstance(item, Mapping):
        for key, part in item.items():
            if isinstance(part, Traced) and isinstance(key, int):
                yield label, part, max(key, INITIAL)
            elif isinstance(part, (Traced, list)) and isinstance(key, str):
                yield from _arrays(f"{label}.{key}", part)
    elif isinstance(item, list):
        for part in item:
            if isinstance(part, Traced):
                yield label, part, None
    elif not label and hasattr(item, "__dict__"):
        for attribute, part in vars(item).items():
            yield from _arrays(attribute, part)
