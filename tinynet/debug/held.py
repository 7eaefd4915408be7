"""What one variable held while a loop ran, and which of it is that of a time step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet.debug.arrays import NUMBERS
from tinynet.run import INITIAL
from tinynet.tracing.assignments import Assignment
from tinynet.tracing.outside import parts_of

GRADIENTS = re.compile(r"(self\.)?(\w*grad\w*|nablas?|deltas?|[dg])", re.IGNORECASE)  # a dict of gradients
GRADIENT = re.compile(r"d_?[A-Z]|d_|d[a-z]\w{0,3}$|grad|nabla|delta|∂")  # the name of one


@dataclass
class Held:
    """What a variable held: by the line that assigned it, at each time step; before those, and last."""

    lines: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)
    line: int = 0  # the latest
    before: np.ndarray | None = None
    last: Any = None
    when: int = 0  # it was noted last
    adds_up: bool = True  # no time step did more than to add to it
    carried: bool = False

    def note(self, item: Any, time: int | None, assignment: Assignment) -> None:
        """An array is copied, as code may change it in place later."""
        self.last = item
        array = np.array(item) if _is_number(item) else None
        if time is None:
            self.before = array if not self.lines else self.before
        elif assignment.item:
            if array is not None and time in self.lines.get(self.line, {}):
                self.lines[self.line][time] = array
        elif array is not None:
            self.line = assignment.line
            steps = self.lines.setdefault(self.line, {})
            steps.pop(time, None)  # so that the order is that of the last time
            steps[time] = array
            self.adds_up, self.carried = self.adds_up and assignment.adds, assignment.carried

    def numbers(self, variable: str) -> Iterator[tuple[str, Any]]:
        """Those of each time step, where each has some; otherwise the last.

        Of several lines the last has the name. Where time runs backwards, what is carried from step to step is what a
        step begins with; and what it is before the line that hands it on is that of the step.
        """
        forwards = {line: steps for line, steps in self.lines.items() if not _run_back(steps)}
        named = forwards or self.lines  # what a backward pass takes out of a cache again has been there before
        order = [line for line in sorted(named) if _are_whole(named[line])]
        if self.adds_up or not order:
            together = {time: array for line in sorted(named) for time, array in named[line].items()}
            yield variable, self.last if self.adds_up or not _are_whole(together) else together
            return
        last = named[order.pop()]
        if not forwards and ("next" in variable or (self.carried and "prev" not in variable)):
            yield f"{variable}_next" if order else variable, _handed_on(last, self.before)
            last = named[order.pop()] if order else {}
        elif self.carried and forwards and self.before is not None and self.before.shape == last[0].shape:
            last = last | {INITIAL: self.before}
        if last:
            yield variable, last
        for line in (*order, *(self.lines.keys() - named.keys())):
            yield line_of(variable, line), self.lines[line]


def line_of(variable: str, line: int) -> str:
    """What is said of a variable that has its name from another line."""
    return f"{variable} (line {line})"


def _run_back(steps: dict[int, np.ndarray]) -> bool:
    return next(iter(steps)) > next(reversed(steps))


def _are_whole(steps: dict[int, np.ndarray]) -> bool:
    """Whether there are arrays of one shape for all steps from 0 on."""
    return sorted(steps) == list(range(len(steps))) and len({array.shape for array in steps.values()}) == 1


def _handed_on(steps: dict[int, np.ndarray], before: np.ndarray | None) -> dict[int, np.ndarray]:
    """By the step that begins with it: the last one begins with what there was before the loop."""
    found = {time - 1: array for time, array in steps.items()}
    if before is not None and before.shape == steps[0].shape:
        found[len(steps) - 1] = before
    return found


def flat(label: str, item: Any) -> Iterator[tuple[str, Any]]:
    """Arrays, numbers of floating point, and what holds some: by time step, in order, or by their own names."""
    if _is_number(item) and not isinstance(item, (bool, int, np.bool_, np.integer)):
        yield label, np.asarray(item)
    elif isinstance(item, Mapping) and item:
        if all(isinstance(key, str) for key in item):
            of_gradients = GRADIENTS.fullmatch(label) is not None
            for key, part in item.items():  # grads["W1"] is dW1
                yield from flat(f"d_{key}" if of_gradients and not GRADIENT.match(key) else key, part)
        elif all(isinstance(key, (int, np.integer)) for key in item) and _alike(item.values()):
            yield label, {int(key): part for key, part in item.items()}
    elif not isinstance(item, (list, tuple)) and parts_of(item):
        yield from flat(label, parts_of(item))  # an object's attributes
    elif isinstance(item, (list, tuple)) and item and _alike(item):
        yield label, list(item)
    elif isinstance(item, (list, tuple)):
        for k, part in enumerate(item):
            if isinstance(part, np.ndarray):
                yield f"{label}.{k}", part


def stacked(numbers: Any) -> np.ndarray:
    return np.asarray(list(numbers.values()) if isinstance(numbers, Mapping) else numbers)


def _alike(parts: Any) -> bool:
    """Whether all are arrays of one shape."""
    return (
        all(isinstance(part, np.ndarray) and _is_number(part) for part in parts) and len({p.shape for p in parts}) == 1
    )


def _is_number(item: Any) -> bool:
    return isinstance(item, (np.ndarray, np.generic, float, int)) and np.asarray(item).dtype.kind in NUMBERS
