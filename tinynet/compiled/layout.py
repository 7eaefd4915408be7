"""Where values lie: those that are used side by side get places side by side, so that nothing has to be copied.

A value is moved from another (its *source*), or part of a concatenation, or computed right where the one step that
reads it puts its result; all others have places of their own, in rows of values that some step reads or fills together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinynet.compiled.families import Families
from tinynet.compiled.program import VIEWS, is_private, producers, readers, values
from tinynet.run import INITIAL, Step, Value

IN_PLACE = ("add", "subtract", "multiply", "divide", "negative", "exp", "log", "sqrt", "tanh")
OVERWRITTEN = (*IN_PLACE, "matmul", "sigmoid", "sum")  # steps that fill all of their buffer, or their part of one
FILLED = (*OVERWRITTEN, "correlate")  # a convolution is faster in a buffer of its own than in a part


class Layout:
    """``together`` are steps that one call does at once."""

    def __init__(self, families: Families, together: Iterable[Sequence[Step]]):
        self.families, self.by = families, producers(families.steps)
        self.in_place = _in_place(families.steps, self.by)
        self.parts: dict[int, tuple[Value, Any]] = {}
        self.neighbours: dict[int, list[Value]] = {}
        self.other_end: dict[int, int] = {}  # of the row that a value is an end of
        self.rooms: dict[int, np.ndarray] = {}
        joins = [step for step in families.steps if step.primitive == "concatenate"]
        rows = [step for step in joins if step.arguments["axis"] == 0 and len({o.shape for o in step.operands}) == 1]
        for step in joins:
            if step not in rows:
                self.put_inside(step)
        for pack in together:
            self.put_in_a_row([step.output for step in pack])
            for operands in zip(*(step.operands for step in pack), strict=True):
                self.put_in_a_row(operands)
        for step in rows:
            self.put_in_a_row(step.operands)

    def root(self, value: Value) -> Value:
        """The value in whose place this one lies."""
        while True:
            made = self.by.get(value.index)
            if value.index in self.in_place:
                value = self.in_place[value.index]
            elif value.index in self.parts:
                value = self.parts[value.index][0]
            elif made is not None and made.primitive in VIEWS:
                value = made.operands[0]
            else:
                return value

    def put_inside(self, step: Step) -> None:
        """Give the operands of a concatenation their places in it, if they have none yet."""
        axis, start = step.arguments["axis"] % len(step.output.shape), 0
        for operand in step.operands:
            stop = start + operand.shape[axis]
            made = self.by.get(operand.index)
            same = operand.array.dtype == step.output.array.dtype
            if made is not None and same and made.primitive in OVERWRITTEN and self.is_alone(operand):
                self.parts[operand.index] = step.output, (slice(None),) * axis + (slice(start, stop),)
            start = stop

    def is_alone(self, value: Value) -> bool:
        """Whether a value may get any place."""
        return self.root(value) is value and value.index not in self.neighbours and value.copy_of is None

    def put_in_a_row(self, lanes: Sequence[Any]) -> None:
        """Make neighbours of the places of values, where they still can become neighbours."""
        roots = [self.root(lane) for lane in lanes if isinstance(lane, Value)]
        for a, b in pairwise(roots):
            alike = a.shape == b.shape and a.array.dtype == b.array.dtype
            if alike and a is not b and self._is_free(a) and self._is_free(b):
                self._link(a, b)

    def _is_free(self, root: Value) -> bool:
        """Whether a value may lie in a row: an updated one lies where its parameter does, an image by itself."""
        made = self.by.get(root.index)
        return root.copy_of is None and (made is None or made.primitive != "correlate")

    def _link(self, a: Value, b: Value) -> None:
        near_a, near_b = (self.neighbours.setdefault(value.index, []) for value in (a, b))
        first, last = self.other_end.get(a.index, a.index), self.other_end.get(b.index, b.index)
        if len(near_a) < 2 and len(near_b) < 2 and first != b.index:
            near_a.append(b)
            near_b.append(a)
            self.other_end[first], self.other_end[last] = last, first

    def room(self, value: Value) -> np.ndarray:
        """The place of a value that is not moved from another."""
        if value.index in self.in_place:
            return self.room(self.in_place[value.index])
        if value.index in self.parts:
            whole, index = self.parts[value.index]
            return self.room(whole)[index]
        if value.index not in self.rooms:
            row = self._row(value)
            rooms = np.zeros((len(row), *value.shape), value.array.dtype)
            self.rooms |= {each.index: rooms[i, ...] for i, each in enumerate(row)}
        return self.rooms[value.index]

    def _row(self, value: Value) -> list[Value]:
        """All values of the row that one lies in, by time."""
        end = self._along(value)[-1]
        row = self._along(end)
        return row if self._order(row[0]) <= self._order(row[-1]) else row[::-1]

    def _along(self, value: Value) -> list[Value]:
        """From a value to an end of its row: to the other end, if it is one itself."""
        found, before = [value], None
        while True:
            ahead = [near for near in self.neighbours.get(found[-1].index, ()) if near is not before]
            if not ahead:
                return found
            before = found[-1]
            found.append(ahead[-1])

    def _order(self, value: Value) -> tuple[int, int]:
        time = self.families.time(value)
        return (INITIAL - 1 if time is None else time), value.index


def _in_place(steps: list[Step], by: dict[int, Step]) -> dict[int, Value]:
    """Values that only one step reads, and that step can put its result over: computed where that result will be."""
    reads = readers(steps)
    found: dict[int, Value] = {}
    for step in reversed(steps):
        out = step.output
        if step.primitive in IN_PLACE and out.copy_of is None:
            for operand in reversed(values(step)):
                made = by.get(operand.index)
                fits = operand.shape == out.shape and operand.array.dtype == out.array.dtype
                own = reads[operand.index] == 1 and is_private(operand)
                if made is not None and made.primitive in FILLED and fits and own:
                    found[operand.index] = found.get(out.index, out)
                    break
    return found
