"""Which quantity an array is by its numbers: those of ours that it equals, in whatever layout and order of gates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import permutations, product

import numpy as np

from tinynet.debug.names.catalogue import Catalogue
from tinynet.debug.names.closeness import equal_to
from tinynet.debug.names.goals import EXACT, Goal, Meaning, Part
from tinynet.debug.names.pieces import error, ours_in
from tinynet.debug.names.readings import has_free_sign, readings_of
from tinynet.debug.names.ways import Way, Ways


class Recogniser:
    """All that an array may be, whatever it is called, and which of it has its numbers."""

    def __init__(self, catalogue: Catalogue, ways: Ways):
        self.ways = ways
        whole = [Goal((Part(series),), catalogue.gates.get(series.about, "")) for series in catalogue.first_round]
        called = [meaning.goal for meanings in catalogue.keys.values() for meaning in meanings]
        self.goals = list({_target(goal): goal for goal in (*called, *whole)}.values())

    def find(self, name: str, array: np.ndarray, likely: Iterable[Meaning]) -> tuple[Meaning, Way] | None:
        """What has the numbers of ``array``: first of what its name says, then of what has the role that it says."""
        if not _tells(array):
            return None
        roles = {reading.role for reading in readings_of(name)}
        first = [meaning.goal for meaning in likely]
        rest = [goal for goal in self.goals if goal.first.role in {"value", "gradient", "update"} | roles]
        rest.sort(key=lambda goal: (goal.first.role == "value") == (len(roles) > 1))
        signs = (False, True) if has_free_sign(name) and array.dtype.kind == "f" else (False,)
        for opposite, goal in product(signs, (*first, *rest)):
            for meaning, way in self._ways(goal, array):
                found = in_gate_order(replace(way, opposite=opposite), array)
                if found is not None:
                    return meaning, found
        return None

    def _ways(self, goal: Goal, array: np.ndarray) -> Iterator[tuple[Meaning, Way]]:
        """The ways to read it as a goal, of all time steps or of one."""
        size, steps = int(np.prod(goal.shape)), goal.first.steps
        if goal.first.timed:
            one, every = size, {size * (steps + more) for more in (-1, 0, 1)}
        else:
            one, every = (size // steps if steps else -1), {size}
        moments: list[int | str | None] = [None, "before"] if array.size in every else []
        moments += [*range(steps), "initial"] if array.size == one else []
        for moment in moments:
            meaning = Meaning(EXACT, goal, moment, goal.first.role)
            for way in self.ways.ways(meaning, array):
                yield meaning, way


def in_gate_order(way: Way, array: np.ndarray) -> Way | None:
    """The way, perhaps with the gates in another order, in which the numbers of an array equal ours."""
    ours = np.linalg.norm(ours_in(way))
    close = equal_to(array.dtype)
    if not abs(np.linalg.norm(np.asarray(array, float)) - ours) <= close * ours:
        return None
    count = len(way.goal.gates)
    orders = [None, *permutations(range(count))] if count > 1 else [None]
    return next((w for w in (replace(way, gates=order) for order in orders) if error(w, array) <= close), None)


def _tells(array: np.ndarray) -> bool:
    """Whether equal numbers are no coincidence: not all the same, or one with digits behind the point."""
    numbers = np.unique(array)
    return bool(np.isfinite(numbers).all()) and (len(numbers) > 1 or bool((numbers % 1).any()))


def _target(goal: Goal) -> tuple:
    return tuple((part.series.name, part.rows) for part in goal.parts)
