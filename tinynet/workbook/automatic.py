"""Names for intermediates that have none: what the same code computes at every time step is one quantity."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value
from tinynet.workbook.tags import NONE, Tags

When = tuple[int, int | None]  # the round of training and the time step


class AutomaticNames:
    """Calls an intermediate after what makes it, in the scope of what it reads: ``lstm.multiply``, ``lstm.multiply_2``.

    Steps belong to one quantity if they do the same to the same quantities, at other times or in other rounds of
    training; at the ends of a sequence, where an operand is another one, what has no partner there takes the place.
    """

    def __init__(self, run: Run, made_by: Mapping[int, Step]):
        self.run, self.made_by = run, made_by
        self.taken = {value.quantity for value in run.values}
        self.names: dict[int, str] = {}  # by the number of the quantity

    def name(self, step: Step) -> str:
        """The name of what a step computes."""
        number = self.numbers[step.output.index]
        if number not in self.names:
            self.names[number] = self.unused(self.base(step))
        return self.names[number]

    def unused(self, base: str) -> str:
        """The name itself, or the first with a number that nothing is called by."""
        name, count = base, 1
        while name in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.taken.add(name)
        return name

    def base(self, step: Step) -> str:
        """What a step computes is called after its last named operand and itself: ``lstm.z_i`` gives ``lstm.multiply``.

        Numbers that were only moved are called after what made them.
        """
        while TABLE[step.primitive].kind == "structural":
            before = self.made_by.get(step.operands[0].index)
            if before is None or before.output.quantity is not None:
                break
            step = before
        names = [o.quantity.removeprefix("new_") for o in step.operands if isinstance(o, Value) and o.quantity]
        scopes = [name.rpartition(".")[0].removeprefix("d_") for name in names]
        return f"{scopes[-1]}.{step.primitive}" if scopes and scopes[-1] else step.primitive

    @cached_property
    def times(self) -> dict[int, int | None]:
        """The time step of every unnamed value, by index: if no loop says it, where all of its elements belong."""
        nameless = [step for step in self.run.steps if step.output.quantity is None]
        found = {step.output.index: step.time for step in nameless}
        times = chain((step.time for step in self.run.steps), (value.time for value in self.run.values))
        timed = any(time is not None for time in times)
        if timed and None in found.values():
            tags = Tags(self.run, {}).time
            for index in (index for index, time in found.items() if time is None):
                one = tags[index].item(0) if tags[index].size else NONE
                found[index] = one if one != NONE and np.all(tags[index] == one) else None
        return found

    @cached_property
    def numbers(self) -> dict[int, int]:
        """The number of the quantity that each unnamed value is one time step of, by the index of the value."""
        alike: dict[Hashable, int] = {}
        number_of: dict[int, int] = {}
        seen = Counter[tuple[Hashable, When]]()
        whens: defaultdict[int, set[When]] = defaultdict(set)
        kinds: dict[int, Hashable] = {}
        for step in self.run.steps:
            if step.output.quantity is None:
                time = self.times[step.output.index]
                operands = tuple(_label(operand, time, number_of) for operand in step.operands)
                kind = (step.primitive, step.phase, step.output.shape, self.base(step), time is None)
                when = step.output.update, time
                seen[(kind, operands), when] += 1
                number = alike.setdefault((kind, operands, seen[(kind, operands), when]), len(alike))
                number_of[step.output.index] = number
                whens[number].add(when)
                kinds[number] = kind
        same = _joined(kinds, whens)
        return {index: same[number] for index, number in number_of.items()}


def _joined(kinds: dict[int, Hashable], whens: dict[int, set[When]]) -> dict[int, int]:
    """What is of one kind and never at the same time becomes one: {number: the number that it has then}."""
    of_kind: defaultdict[Hashable, list[int]] = defaultdict(list)
    same: dict[int, int] = {}
    for number, kind in kinds.items():
        first = next((other for other in of_kind[kind] if whens[other].isdisjoint(whens[number])), None)
        if first is None:
            of_kind[kind].append(number)
        else:
            whens[first] |= whens[number]
        same[number] = number if first is None else first
    return same


def _label(operand: Any, time: int | None, number_of: dict[int, int]) -> Hashable:
    """An operand as all time steps and rounds of training see it."""
    if not isinstance(operand, Value):
        return operand
    if operand.quantity is None:
        return number_of.get(operand.index, operand.kind)
    apart = None if operand.time is None or time is None else operand.time - time
    return (operand.copy_of or operand).quantity, apart
