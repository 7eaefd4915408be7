"""The search: which edits of the computation, as few as possible, reproduce somebody's numbers, all of them?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tinynet.debug.comparison import Comparison
from tinynet.debug.formulations import formulations
from tinynet.debug.hypotheses import Family, family_of
from tinynet.debug.search.candidates import Candidates, Kind
from tinynet.debug.search.explanations import Explanation, Explanations, awkward
from tinynet.debug.search.fitting import Fitting
from tinynet.debug.search.following import following
from tinynet.debug.search.state import State
from tinynet.debug.work import Limit
from tinynet.run import Run

MOST_BUGS = 3
MOST_FIRST = 3  # values that are tried as the first one
MOST_CONTINUED = 6  # computations in which less is wrong, from which the search goes on


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and how many hypotheses were tried; ``complete`` is False where it was stopped by its limit.

    Where several explanations fit, ``other`` is the same network on numbers for which they differ.
    """

    explanations: tuple[Explanation, ...]
    tried: int
    seconds: float
    complete: bool
    other: Run | None = field(default=None, repr=False)


class Attempt(NamedTuple):
    """What came of one edit more, of what ``target`` is computed from: states in which nothing is wrong, or less."""

    state: State
    wrong: list[int]
    target: int
    whole: list[State]
    partial: list[tuple[State, list[int]]]


class Search:
    """Looks for the edits that turn a program's numbers into those that it is compared with; ``effort`` limits it."""

    def __init__(self, comparison: Comparison, effort: float = 1.0):
        self.comparison, self.program = comparison, comparison.program
        self.limit = Limit(self.program.work, effort)
        self.fitting = Fitting(comparison, self.limit)
        self.candidates = Candidates(comparison)

    def run(self) -> Diagnosis:
        """Look for the fewest edits of what the first wrong value is computed from, in whatever way it is computed."""
        start = time.monotonic()
        wrong = self.comparison.wrong()
        attempts = [
            Attempt(state, left, target, [], [])
            for state in self._starts()
            for left in [self.comparison.wrong(state.changed) or wrong]
            for target in self._first(state, left)
        ]
        found, explanations = self._found(attempts), Explanations(self.comparison)
        said = tuple(explanations.distinct(found, len(wrong)))
        other = explanations.other.recorded if len(said) > 1 else None
        return Diagnosis(said, self.fitting.tried, time.monotonic() - start, not self.limit.reached, other)

    def _starts(self) -> Iterator[State]:
        """Our computation, and the same numbers computed in another way."""
        yield State({})
        for edit in formulations(self.program):
            changed = self.program.evaluate(edit)
            if changed:
                yield State(changed, (), edit)

    def _first(self, state: State, wrong: list[int]) -> list[int]:
        """The first value that is wrong; where all is computed in another way, the first of some quantities.

        Of these none is computed from another one.
        """
        found: dict[Family, int] = {}
        computed: set[int] = set()
        for i in wrong if state.edit.touched else wrong[:1]:
            family = family_of(self.program.run.values[i])
            if i not in computed and family not in found and len(found) < MOST_FIRST:
                found[family] = i
                computed |= self.program.after([i])
        return list(found.values())

    def _found(self, attempts: list[Attempt]) -> list[State]:
        """States in which nothing is wrong: by one edit, or else by several."""
        own = (self.candidates.own,)
        likely = (*own, self.candidates.likely)
        at_all_steps = (*likely, self.candidates.less_likely)
        anywhere = (*at_all_steps, self.candidates.at_some_steps)
        for kinds, further in ((likely, own), (at_all_steps, own), (anywhere, anywhere)):
            for attempt in attempts:
                self._attempt(attempt, kinds)
                if any(not state.fitted for state in attempt.whole):
                    return attempt.whole
            if any(attempt.whole for attempt in attempts):  # with a number that was measured
                return [state for attempt in attempts for state in attempt.whole]
            for attempt in sorted(attempts, key=_least_wrong):
                whole = self._continued(attempt, MOST_BUGS - 1, further)
                if whole:
                    return whole
        return []

    def _attempt(self, attempt: Attempt, kinds: tuple[Kind, ...]) -> None:
        """Try one more edit of what computes the target."""
        for kind in kinds:
            if attempt.whole and kind != self.candidates.likely:  # what is less likely may fit too, and says no more
                return
            for hypothesis in self.fitting.fitting(kind, attempt.state, attempt.target):
                for next_state in following(self.comparison, hypothesis, attempt.state):
                    left = self.comparison.wrong(next_state.changed)
                    if not left:
                        attempt.whole.append(next_state)
                        self.limit.only_some_more()
                    elif self.comparison.rank[left[0]] > self.comparison.rank[attempt.target]:
                        attempt.partial.append((next_state, left))

    def _continued(self, attempt: Attempt, bugs: int, kinds: tuple[Kind, ...]) -> list[State]:
        """States in which nothing is wrong any more, from the best of those in which less is."""
        for state, left in self._best(attempt.partial):
            if len(left) < len(attempt.wrong) or len(attempt.wrong) < 3:
                further = Attempt(state, left, left[0], [], [])
                self._attempt(further, kinds)
                whole = further.whole
                if not whole and bugs > 1:
                    whole = self._continued(further, bugs - 1, kinds)
                if whole:
                    return whole
        return []

    def _best(self, partial: list[tuple[State, list[int]]]) -> list[tuple[State, list[int]]]:
        """Those in which the least is wrong: one of those that have the same numbers, in the best words."""
        found: dict[bytes, tuple[State, list[int]]] = {}
        arrays, scales, order = self.program.arrays, self.comparison.scales, self.comparison.order
        for state, left in sorted(partial, key=lambda some: (len(some[1]), awkward(some[0].sentences[-1]))):
            numbers = (state.changed.get(i, arrays[i]) / scales[i] for i in order)
            found.setdefault(b"".join(np.round(x, 6).tobytes() for x in numbers), (state, left))
        return list(found.values())[:MOST_CONTINUED]


def _least_wrong(attempt: Attempt) -> int:
    return min((len(left) for _, left in attempt.partial), default=0)
