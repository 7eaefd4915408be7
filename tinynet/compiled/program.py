"""A run's steps on their way to code: a list in an order in which they could run, which every pass keeps valid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value

VIEWS = ("transpose", "reshape", "broadcast_to", "getitem", "flip")  # their results may lie in their operand


class Program:
    """The steps, and new ones for values that nobody recorded."""

    def __init__(self, run: Run):
        self.run = run
        self.steps = list(run.steps)
        self.last_index = len(run.values)

    def value(self, shape: tuple[int, ...], dtype: Any, array: Any = None) -> Value:
        """A value without a name; its array only says its shape and dtype until it gets its buffer."""
        self.last_index += 1
        return Value(self.last_index, np.broadcast_to(np.zeros((), dtype), shape) if array is None else array)

    def constant(self, array: np.ndarray) -> Value:
        value = self.value(array.shape, array.dtype, array)
        value.kind = "constant"
        return value

    def step(self, like: Step, primitive: str, operands: tuple, shape: tuple[int, ...], /, **arguments: Any) -> Step:
        """A new step of the same dtype, time and phase as another."""
        output = self.value(shape, like.output.array.dtype)
        output.update = like.output.update
        return Step(like.number, primitive, operands, arguments, output, like.phase, like.time)

    def alias(self, step: Step, value: Value) -> Step:
        """A step that makes the output of ``step`` another name for ``value``."""
        arguments = {"shape": step.output.shape}
        return Step(step.number, "reshape", (value,), arguments, step.output, step.phase, step.time)

    def remove_unread(self) -> None:
        """Drop what is computed for nothing: only what has a name can be asked for."""
        read: set[int] = set()
        kept = []
        for step in reversed(self.steps):
            if step.output.index in read or step.output.quantity is not None or step.output.copy_of is not None:
                kept.append(step)
                read.update(value.index for value in values(step))
        self.steps = kept[::-1]


def values(step: Step) -> list[Value]:
    return [operand for operand in step.operands if isinstance(operand, Value)]


def producers(steps: Iterable[Step]) -> dict[int, Step]:
    """The step that computes each value."""
    return {step.output.index: step for step in steps}


def readers(steps: Iterable[Step]) -> Counter[int]:
    """How many steps read each value."""
    return Counter(index for step in steps for index in {value.index for value in values(step)})


def is_moved(step: Step) -> bool:
    """Whether a step only moves the numbers of one operand."""
    return TABLE[step.primitive].kind == "structural" and len(step.operands) == 1


def is_private(value: Value) -> bool:
    """Whether nobody can ask for a value by name."""
    return value.quantity is None and value.copy_of is None


def exactly(argument: Any) -> Any:
    """Something to compare arguments by, arrays in them by all their numbers (their ``repr`` leaves some out)."""
    if isinstance(argument, np.ndarray):
        return argument.shape, argument.dtype.str, argument.tobytes()
    if isinstance(argument, dict):
        return tuple((key, exactly(part)) for key, part in argument.items())
    return tuple(map(exactly, argument)) if isinstance(argument, (tuple, list)) else repr(argument)
