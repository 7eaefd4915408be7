"""What the variables of somebody's code held, as numbers: so that nobody has to save arrays to compare them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from tinynet.debug.handed_out import handed_out
from tinynet.debug.held import GRADIENT, GRADIENTS, Held, flat, stacked
from tinynet.tracing.assignments import Assignment, assignments
from tinynet.tracing.following import Following


def variables(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> dict[str, Any]:
    """Call plain NumPy code and return the numbers of its variables, by name, for ``compare``.

    What a loop assigns at each time step is a mapping of the steps ``{t: array}``, with what it was before the loop at
    −1; everything else is what it was in the end: sums over time, dicts and lists that were filled. Functions that it
    calls count, too, where they stand in the same folder; their variables come second, if a name is there twice.
    """
    found = Collector()
    with found.collecting():
        function(*arguments, **named)
    return found.numbers()


class Collector(Following):
    """It looks at what each line has assigned."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = ""
        self.line = 0  # of the outermost function, which ran last
        self.count = 0
        self.held: dict[tuple[str, str], Held] = {}  # by function and variable; the outermost is called ""

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """A context in which the code runs."""
        before = sys.gettrace()
        sys.settrace(self.look)
        try:
            yield
        finally:
            sys.settrace(before)

    def follows(self, frame: FrameType) -> bool:
        """Whether it is somebody's function in the same folder as the first, whose arguments count as variables."""
        code = frame.f_code
        if not super().follows(frame) or (code.co_name.startswith("<") and code.co_name != "<module>"):
            return False
        folder = os.path.dirname(os.path.abspath(code.co_filename))
        if self.outermost is not None:
            return folder == self.folder
        self.folder = folder
        for variable, item in frame.f_locals.items():
            if isinstance(item, np.ndarray):
                self.held["", variable] = Held(before=item.copy(), last=item.copy())
        return True

    def after(self, frame: FrameType, line: int, time: int | None) -> None:
        if frame.f_code is self.outermost:
            self.line = line
        for assignment in assignments(frame.f_code).get(line, ()):
            self._note(frame, assignment, time)

    def _note(self, frame: FrameType, assignment: Assignment, time: int | None) -> None:
        owner = vars(frame.f_locals["self"]) if assignment.of_self and "self" in frame.f_locals else frame.f_locals
        if assignment.variable not in owner:
            return
        within = "" if frame.f_code is self.outermost or assignment.of_self else frame.f_code.co_name
        held = self.held.setdefault((within, assignment.variable), Held())
        held.note(owner[assignment.variable], time, assignment)
        self.count += 1
        held.when = self.count

    @property
    def own(self) -> set[str]:
        """The variables of the function that was called first."""
        return {variable for function, variable in self.held if not function}

    def numbers(self) -> dict[str, Any]:
        """By the names of variables and of the keys of dicts; before one that is there twice stands its function."""
        found: dict[str, Any] = {}
        for (function, variable), held in sorted(self.held.items(), key=self._order):
            for called, item in held.numbers(variable):
                for label, numbers in flat(called, item):
                    within = f"{function}.{label}" if function else f"{variable}.{label}"
                    if label not in found:
                        found[label] = numbers
                    elif not np.array_equal(stacked(found[label]), stacked(numbers)):
                        found[within] = numbers
        return found

    def inside(self) -> dict[str, np.ndarray]:
        """The arrays in dicts of the function that was called first, by the dict's name, too: ``gb.Wx``."""
        dicts = {variable: held.last for (function, variable), held in self.held.items() if not function}
        return {
            f"{variable}.{key}": item
            for variable, items in dicts.items()
            if isinstance(items, Mapping)
            for key, item in items.items()
            if isinstance(item, np.ndarray)
        }

    def _order(self, pair: tuple[tuple[str, str], Held]) -> int:
        """First a dict of gradients that was filled after all of them, as it is what others get."""
        (function, variable), held = pair
        later = (other.when > held.when for (_, name), other in self.held.items() if GRADIENT.match(name))
        is_last = GRADIENTS.fullmatch(variable) and isinstance(held.last, Mapping) and not any(later)
        return 2 if function else 0 if is_last else 1

    def returned(self, result: Any) -> dict[str, tuple[Any, str]]:
        """The gradients that the function has returned, by name, and how they stand there."""
        if self.outermost is None:
            return {}
        return {name: (item, text) for name, item, text in handed_out(self.outermost, self.line, result)}
