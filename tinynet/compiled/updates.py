"""Which updated parameters take the place of the old ones, and what has to be read before they do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tinynet.compiled.program import values
from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value


class Updates:
    """``taken`` are the updated values that can be computed where their parameter lies, ``waits`` what reads it before.

    ``final`` are the others that are the last of their parameter.
    """

    def __init__(self, run: Run, steps: list[Step], fillers: Sequence[str]):
        position = {step.output.index: i for i, step in enumerate(steps)}
        reading = _reading(steps)
        self.taken: dict[int, Value] = {}
        self.waits: list[tuple[Step, Step]] = []
        self.final: list[Value] = []
        now = {value.index: value for value in run.values if value.kind == "parameter"}  # parameter to latest
        for value in run.values:
            if value.copy_of is None:
                continue
            parameter, i = value.copy_of, position.get(value.index)
            before = now.get(parameter.index, parameter)
            in_place = before is parameter or before.index in self.taken
            in_time = i is not None and all(k <= i for k in reading[before.index])
            fits = value.shape == parameter.shape and value.array.dtype == parameter.array.dtype
            if i is not None and in_place and in_time and fits and steps[i].primitive in fillers:
                self.taken[value.index] = parameter
                self.waits += [(steps[k], steps[i]) for k in reading[before.index] if k != i]
            now[parameter.index] = value
        self.final = [value for value in now.values() if value.copy_of is not None and value.index not in self.taken]


def _reading(steps: list[Step]) -> dict[int, list[int]]:
    """Where each value is read, or what may be a view of it."""
    found: dict[int, list[int]] = defaultdict(list)
    seen: dict[int, set[int]] = {}  # what a value may be a view of
    for i, step in enumerate(steps):
        roots = {root for value in values(step) for root in seen.get(value.index, {value.index})}
        for root in roots:
            found[root].append(i)
        if TABLE[step.primitive].kind == "structural":
            seen[step.output.index] = roots
    return found
