"""In which ways an array can be what its name means: its time steps and its layout, as far as shapes tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.debug.names.catalogue import Catalogue
from tinynet.debug.names.closeness import EQUAL, distance
from tinynet.debug.names.goals import Goal, Meaning, Part
from tinynet.debug.names.layouts import Layout, layouts_of, letters_of
from tinynet.debug.names.readings import readings_of
from tinynet.run import INITIAL


@dataclass(frozen=True)
class Way:
    """One way to read an array: the goal, its time steps (``None``: it has none), the layout.

    ``single``: one time step only, without an axis for it. ``gates``: which gate each of the blocks is. ``less``: a
    bias that is taken off, as the one bias is the sum of our two. ``at``: of one step of a value that is recorded
    whole, our axis of time. ``opposite``: their numbers have the other sign.
    """

    goal: Goal
    times: tuple[int, ...] | None
    single: bool
    layout: Layout
    gates: tuple[int, ...] | None = None
    less: Part | None = None
    at: int = 0
    opposite: bool = False

    @property
    def claims(self) -> list[Any]:
        """What of ours an array read in this way is."""
        times = self.times or (None,)
        return [(part.series.name, part.rows, t) for part in self.goal.parts for t in times if part.has(t)]


class Ways:
    """The ways to read the user's arrays."""

    def __init__(self, catalogue: Catalogue, mine: Mapping[str, np.ndarray]):
        self.catalogue, self.mine = catalogue, mine
        self.numbers: dict[str, set[int]] = defaultdict(set)  # the steps that their names give a number
        for name in mine:
            for reading in readings_of(name):
                if reading.role == "value" and str(reading.moment).startswith("#"):
                    self.numbers[reading.said].add(int(str(reading.moment)[1:]))

    def ways(self, meaning: Meaning, array: np.ndarray) -> list[Way]:
        goal, series = meaning.goal, meaning.goal.first
        parameter = self.catalogue.is_parameter(series)
        letters = letters_of(series, parameter, self.catalogue.steps, self.catalogue.batch, self.catalogue.output)
        shape, found, at = goal.shape, [], 0
        for times, single in self._times(meaning, letters):
            whole, axes = shape, letters
            if times is not None and series.timed and not single:
                whole, axes = (len(times), *shape), ["T", *letters]
            elif times is not None and not series.timed:
                at = letters.index("T")
                whole, axes = shape[:at] + shape[at + 1 :], letters[:at] + letters[at + 1 :]
            for layout in layouts_of(array.shape, whole, axes, parameter):
                found.append(Way(goal, times, single, layout, at=at))
        return [way for way in found if not _has_more(way) or _starts(way, array)] or found

    def _times(self, meaning: Meaning, letters: list[str]) -> list[tuple[tuple[int, ...] | None, bool]]:
        """The time steps that an array may hold: (steps, whether it has no axis for them)."""
        series, moment = meaning.goal.first, self._moment(meaning)
        T = series.steps
        if isinstance(moment, int):
            there = moment in series.values if series.timed else "T" in letters and 0 <= moment < T
            return [((moment,), True)] if there else []
        if not series.timed:
            return [(None, False)] if moment in (None, "all") or (moment in ("now", "last") and "T" in letters) else []
        every, before = tuple(range(T)), tuple(range(INITIAL, T - 1))
        ranges = [before] if moment == "before" else [every]
        if moment != "before" and self.catalogue.is_state(series):
            ranges = [*ranges, (INITIAL, *every), (*every, INITIAL)]
        if series.role == "next" and moment != "before":
            ranges = [*ranges, before, every[:-1], (INITIAL, *every)]
        found = [(times, False) for times in ranges if any(t in series.values for t in times)]
        # What is left of a loop is its last step: forward that is T − 1, backward nobody knows.
        ends = T == 1 or moment == "last" or (moment == "now" and series.role == "value")
        alone = INITIAL if moment == "before" else T - 1
        if alone in series.values and ends and (T == 1 or moment != "before"):
            found.append(((alone,), True))
        return [(times, single) for times, single in found if times]

    def _moment(self, meaning: Meaning) -> int | str | None:
        moment = meaning.moment
        if moment == "initial":
            return INITIAL
        if not isinstance(moment, str) or moment[0] != "#":
            return moment
        number, state, T = int(moment[1:]), self.catalogue.is_state(meaning.goal.first), meaning.goal.first.steps
        there = self.numbers[meaning.said] or {number}
        if max(there) == T or (state and there == {0}) or (state and 0 in there and self._starts_before(meaning)):
            return number - 1
        return number

    def _starts_before(self, meaning: Meaning) -> bool:
        """Whether the user's h0 is our initial state, and not step 0."""
        initial = self.catalogue.initial(meaning.goal.first)
        assert initial is not None
        for name, array in self.mine.items():
            for reading in readings_of(name) if array.size == initial.array.size else ():
                if (reading.role, reading.said, reading.moment) == ("value", meaning.said, "#0"):
                    return distance(array.reshape(initial.shape), initial.array) <= EQUAL
        return False


def _has_more(way: Way) -> bool:
    """Whether it has the initial state and all steps."""
    return way.times is not None and len(way.times) > way.goal.first.steps


def _starts(way: Way, array: np.ndarray) -> bool:
    """Whether the initial state is ours there, in front or, as h[-1] of a loop, at the end."""
    assert way.times is not None
    ours, initial = way.goal.first.values.get(INITIAL), way.layout.arranged(array)[way.times.index(INITIAL)]
    return ours is None or distance(initial, ours.array) <= EQUAL
