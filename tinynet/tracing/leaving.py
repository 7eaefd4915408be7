"""Numbers that somebody's code takes out of traced arrays as plain ones: by ``float``, in an ``if``, to print them."""

from __future__ import annotations

import sys
from traceback import walk_stack
from typing import Any, NamedTuple

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value
from tinynet.tape import state
from tinynet.tensor import Tensor
from tinynet.tracing.following import own_line

PLAIN = "a traced number cannot be taken out as a plain one: nothing would follow its cell any more"
BRANCH = "a traced array decides no `if`: the branch would not follow its cells (np.where does)"


class Left(NamedTuple):
    """A number that code took out of a traced array, in which line, and whether it decides an ``if`` or counts."""

    tensor: Tensor
    place: tuple[str, int]
    decides: bool


class Leaving:
    """The numbers that left while code ran; only with ``branches`` may they decide an ``if`` or count something."""

    def __init__(self, branches: bool):
        self.branches = branches
        self.found: list[Left] = []

    def number(self, x: Tensor) -> Any:
        """The plain numbers of a Tensor."""
        self._note(x, decides=False)
        return x.numpy()

    def branch(self, x: Tensor, refusal: str) -> np.ndarray:
        """Its plain numbers, to decide an ``if``, or to be cut to integers. Raises TypeError where none may."""
        if not self.branches:
            raise TypeError(refusal)
        return self.decision(x)

    def decision(self, x: Tensor) -> np.ndarray:
        """Its plain numbers, to choose places by."""
        self._note(x, decides=True)
        return x.numpy()

    def _note(self, x: Tensor, decides: bool) -> None:
        if state.recorder is not None:
            state.recorder.value_of(x)
        self.found.append(Left(x, own_line(list(walk_stack(sys._getframe(1)))[::-1]), decides))

    def places(self) -> str:
        """Where they left: ``lines 3, 7 of mine.py``."""
        found = sorted({left.place for left in self.found})
        file = found[0][0]
        lines = [str(line) for name, line in found if name == file]
        shown = ", ".join(lines[:4]) + (" …" if len(lines) > 4 else "")
        return f"line{'s' * (len(lines) > 1)} {shown} of {file}"

    def data(self, run: Run) -> list[Value]:
        """The leaves of which an element, as it is, decides at the switch itself: ``if r[t] != 0`` where it is 0."""
        made = {id(step.output): step for step in run.steps}
        operands = [x for left in self.found if left.decides for x in _at_the_switch(left.tensor.value, made)]
        leaves = [_moved_only(x, made) for x in operands]
        return [leaf for leaf in leaves if leaf is not None]


def _at_the_switch(value: Value, made: dict[int, Step]) -> list[Value]:
    """What decides where two sides are equal, or where an integer is cut out of a whole number."""
    step = made.get(id(value))
    if value.array.dtype.kind != "b":
        return [value] if np.any(value.array == np.round(value.array)) else []
    if step is None:
        return []
    sides = [x.array if isinstance(x, Value) else x for x in step.operands]
    return [x for x in step.operands if isinstance(x, Value)] if np.any(np.equal(*sides[:2])) else []


def _moved_only(value: Value, made: dict[int, Step]) -> Value | None:
    """The leaf that these numbers are an untouched part of."""
    while (step := made.get(id(value))) is not None:
        (value, *others) = [x for x in step.operands if isinstance(x, Value)]
        if TABLE[step.primitive].kind != "structural" or others:
            return None
    return value
