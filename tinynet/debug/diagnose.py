"""Diagnose: which edit of the computation reproduces somebody's numbers, all of them?"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np

from tinynet.debug.endings import behind_ends, irrelevant
from tinynet.debug.formulations import formulations
from tinynet.debug.hypotheses import SHOWN_ONLY, Family, Hypotheses, Hypothesis, family_of
from tinynet.debug.many import evaluate_each
from tinynet.debug.program import Edit, Program
from tinynet.debug.relations import Brought, relations
from tinynet.debug.rounds import smaller_numbers
from tinynet.run import Run, Value

SECONDS = 20.0  # that a search may take
SECONDS_MORE = 5.0  # that it goes on for, to see whether other reasons fit too
MOST_BUGS = 3
MOST_FIRST = 3  # values that are tried as the first one
MOST_CONTINUED = 6  # computations in which less is wrong, from which the search goes on
AT_ONCE = 128  # hypotheses that are looked at together
MOST_NUMBERS = 1 << 18  # of one value, for all of these


@dataclass(frozen=True)
class Explanation:
    """Sentences (one for each bug) that together reproduce every array, and how many values they explain.

    ``alike`` holds other sentences for the same computation: they fit these data as well, and all others.
    """

    sentences: tuple[str, ...]
    explained: int
    alike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and how many hypotheses were tried; ``complete`` is False where time ran out.

    Where several explanations fit, ``other`` is the same network on numbers for which they differ.
    """

    explanations: tuple[Explanation, ...]
    tried: int
    seconds: float
    complete: bool
    other: Run | None = field(default=None, repr=False)


@dataclass(frozen=True)
class State:
    """A computation with some edits: what it changes, by value index, and the sentences that say so."""

    changed: dict[int, np.ndarray]
    sentences: tuple[str, ...] = ()
    edit: Edit = field(default_factory=Edit)
    differentiated: bool = False
    fitted: bool = False  # a number in a sentence was measured


class Nearby(NamedTuple):
    """The steps that compute a value from what was brought, what they read, and what was changed ``outside`` of them.

    What they ``read`` includes the value itself.
    """

    steps: list[int]
    inside: set[int]
    read: set[int]
    outside: dict[int, np.ndarray]


Hypothesise = Callable[[State, int, list[int]], Iterator[Hypothesis]]  # about a value and the steps that compute it
Searches = tuple[Hypothesise, ...]


class Attempt(NamedTuple):
    """What came of one edit more, of what ``target`` is computed from: states in which nothing is wrong, or less."""

    state: State
    wrong: list[int]
    target: int
    whole: list[State]
    partial: list[tuple[State, list[int]]]


# What says least about the mistake comes last; otherwise the shorter sentence is the better one.
AWKWARD = (
    "1 / ",
    "holds",
    "multiplied by",
    "is used where",
    "instead of",
    "only the",
    "in the forward pass",
    "everywhere",
    "at t =",
    "at all steps but",
    " 0]",
    "1 in its place",
)


def _several(hypotheses: Iterator[Hypothesis], most: int) -> Iterator[list[Hypothesis]]:
    """All of them, ``most`` at a time."""
    while some := list(islice(hypotheses, most)):
        yield some


def _awkward(sentence: str) -> int:
    sentence = re.sub(r" \(a (sum|mean) instead of .*\)", "", sentence)  # a remark
    return len(sentence) + 100 * sum((1 + rank) for rank, word in enumerate(reversed(AWKWARD)) if word in sentence)


def _is_mask(array: np.ndarray) -> bool:
    """Whether an array holds 0 and one other number: what is dropped, and the scale of what is not."""
    numbers = np.unique(array)
    return array.size > 2 and len(numbers) == 2 and 0 in numbers


def _least_wrong(attempt: Attempt) -> int:
    return min((len(left) for _, left in attempt.partial), default=0)


class _Read(dict[int, np.ndarray]):
    """Nothing is changed; remembered is what was asked for."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def __contains__(self, index: object) -> bool:
        self.asked.add(index)  # type: ignore[arg-type]
        return False


class Search:
    """Looks for the edits that turn a run's numbers into those of ``mine`` ({value index: array})."""

    def __init__(self, program: Program, mine: Mapping[int, np.ndarray], tolerance: float, seconds: float = SECONDS):
        self.program, self.tolerance = program, tolerance
        self.irrelevant = irrelevant(program, mine, tolerance)
        self.mine = {i: self._relevant(i, array) for i, array in mine.items()}
        self.hypotheses = Hypotheses(program)
        self.fitted: dict[tuple, list[Hypothesis]] = {}  # by search, value and state
        self.tried, self.end = 0, time.monotonic() + seconds
        self.order = sorted(mine, key=lambda index: (program.made_by.get(index, -1), index))
        self.rank = {index: n for n, index in enumerate(self.order)}
        self.scales = self._scales()
        self.allowed = {i: tolerance * scale for i, scale in self.scales.items()}

    def _relevant(self, index: int, array: np.ndarray) -> np.ndarray:
        """Their array, in float64; where anything may stand, ours is put."""
        array = array.astype(float) if array.dtype.kind == "f" else np.asarray(array)
        return np.where(self.irrelevant.get(index, False), self.program.arrays[index], array)

    def _scales(self) -> dict[int, float]:
        """What differences are measured by: the largest number of a quantity, over all its steps."""
        largest: dict[tuple, float] = {}
        for index in self.mine:
            family = family_of(self.program.run.values[index])
            size = float(np.abs(self.program.arrays[index]).max(initial=0))
            largest[family] = max(largest.get(family, 0.0), size)
        return {i: max(largest[family_of(self.program.run.values[i])], 1e-12) for i in self.mine}

    # Comparing
    def agrees(self, index: int, array: np.ndarray) -> np.ndarray:
        """Where an array is theirs, or need not be."""
        with np.errstate(all="ignore"):
            distance = np.abs(np.asarray(array, float) - self.mine[index])
            size = np.abs(np.where(np.isfinite(self.mine[index]), self.mine[index], 0.0))
            allowed = np.maximum(self.allowed[index], self.tolerance * size)
            same = (distance <= allowed) | (np.isnan(array) & np.isnan(self.mine[index]))
            return same | (np.asarray(array) == self.mine[index]) | self.irrelevant.get(index, False)

    def wrong(self, state: State) -> list[int]:
        """The values that differ, in the order of execution."""
        arrays = self.program.arrays
        return [i for i in self.order if not np.all(self.agrees(i, state.changed.get(i, arrays[i])))]

    def behind_ends(self, wrong: list[int]) -> bool:
        """Whether all that is ``wrong`` with our numbers lies behind the ends of sequences."""
        beyond = behind_ends(self.program, wrong)
        return all(np.all(self.agrees(i, self.program.arrays[i]) | beyond.get(i, False)) for i in wrong)

    def _distinct(self, found: list[State], wrong: int) -> Iterator[Explanation]:
        """One explanation for all sentences that stand for the same computation: on other numbers too.

        A number that was measured explains nothing where there is a reason without one; and that only what is shown is
        wrong says nothing where nothing that was brought is computed from it.
        """
        found = [state for state in found if not state.fitted] or found
        said = {state.sentences for state in found}
        used = [(state, tuple(x.removesuffix(SHOWN_ONLY) for x in state.sentences)) for state in found]
        found = [state for state, sentences in used if sentences == state.sentences or sentences not in said]
        groups: list[tuple[dict[int, np.ndarray] | None, list[State]]] = []
        for state in found:
            elsewhere = self._elsewhere(state)
            for other, members in groups:
                if self._same(other, elsewhere):
                    members.append(state)
                    break
            else:
                groups.append((elsewhere, [state]))
        for _, members in groups:
            best = min(members, key=lambda s: (len(s.sentences), sum(map(_awkward, s.sentences))))
            others = (m.sentences for m in members if m is not best)
            yield Explanation(best.sentences, wrong, tuple(dict.fromkeys("; ".join(o) for o in others)))

    def _same(self, a: dict[int, np.ndarray] | None, b: dict[int, np.ndarray] | None) -> bool:
        if a is None or b is None:
            return False
        arrays = self.other.arrays
        with np.errstate(all="ignore"):
            for i in self.mine:
                one, two = a.get(i, arrays[i]), b.get(i, arrays[i])
                size = float(np.abs(arrays[i]).max(initial=0))
                same = np.isclose(one, two, rtol=1e-7, atol=1e-9 * (1 + size), equal_nan=True)
                if not np.all(same | self.irrelevant.get(i, False)):
                    return False
        return True

    def _elsewhere(self, state: State) -> dict[int, np.ndarray] | None:
        """What the same edits do to other numbers."""
        if state.edit == Edit():
            return None
        return self.other.differentiated(state.edit) if state.differentiated else self.other.evaluate(state.edit)

    @cached_property
    def other(self) -> Program:
        """The same program on other numbers of the same size."""
        rng = np.random.default_rng(0)
        given = (v for v in self.program.recorded.leaves if v.kind in ("parameter", "input"))
        leaves = {
            v.index: v.array + rng.normal(size=v.shape) * max(float(np.abs(v.array).max(initial=0)), 0.1) * 0.5
            for v in given
            if v.array.dtype.kind == "f" and not _is_mask(v.array)
        }
        return Program(self.program.recorded.recomputed(leaves | smaller_numbers(self.program.recorded)))

    # Searching
    def run(self) -> Diagnosis:
        """Look for the fewest edits of what the first wrong value is computed from, in whatever way it is computed."""
        start = time.monotonic()
        wrong = self.wrong(State({}))
        attempts = [
            Attempt(state, left, target, [], [])
            for state in self._starts()
            for left in [self.wrong(state) or wrong]
            for target in self._first(state, left)
        ]
        found = self._found(attempts)
        explanations = tuple(self._distinct(found, len(wrong)))
        other = self.other.recorded if len(explanations) > 1 else None
        return Diagnosis(explanations, self.tried, time.monotonic() - start, time.monotonic() < self.end, other)

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
        likely = (self._own, self._likely)
        at_all_steps = (*likely, self._less_likely)
        anywhere = (*at_all_steps, self._at_some_steps)
        for searches, further in ((likely, (self._own,)), (at_all_steps, (self._own,)), (anywhere, anywhere)):
            for attempt in attempts:
                self._attempt(attempt, searches)
                if attempt.whole:
                    return attempt.whole
            for attempt in sorted(attempts, key=_least_wrong):
                whole = self._continued(attempt, MOST_BUGS - 1, further)
                if whole:
                    return whole
        return []

    def _attempt(self, attempt: Attempt, searches: Searches) -> None:
        """Try one more edit of what computes the target."""
        for search in searches:
            if attempt.whole and search != self._likely:  # what is less likely may fit too, and says no more
                return
            for hypothesis in self._fitting(search, attempt.state, attempt.target):
                for next_state in self._consequences(hypothesis, attempt.state):
                    left = self.wrong(next_state)
                    if not left:
                        attempt.whole.append(next_state)
                        self.end = min(self.end, time.monotonic() + SECONDS_MORE)
                    elif self.rank[left[0]] > self.rank[attempt.target]:
                        attempt.partial.append((next_state, left))

    def _fitting(self, search: Hypothesise, state: State, target: int) -> Iterator[Hypothesis]:
        """The hypotheses that reproduce ``target``, while there is time."""
        key = (search.__name__, target, state.sentences, frozenset(state.edit.touched))
        if key in self.fitted:
            yield from self.fitted[key]
            return
        fitted: list[Hypothesis] = []
        nearby = self._nearby(state, target)
        hypotheses = search(state, target, nearby.steps)
        if not state.sentences and state.edit.touched and not self._matters(state, nearby):
            before = self._leading_to(state.edit)
            hypotheses = (h for h in hypotheses if not before.isdisjoint(h.edit.touched))
        for some in _several(hypotheses, self._at_once(nearby)):
            if time.monotonic() > self.end:
                return
            self.tried += len(some)
            for hypothesis in self._that_fit(some, state, target, nearby):
                fitted.append(hypothesis)
                yield hypothesis
        self.fitted[key] = fitted

    def _matters(self, state: State, nearby: Nearby) -> bool:
        """Whether another way to compute gives other numbers there, by more than rounding."""
        arrays = self.program.arrays
        changed = nearby.read.union(nearby.inside).intersection(state.changed)
        return not all(np.allclose(state.changed[i], arrays[i], rtol=1e-9, atol=1e-12) for i in changed)

    def _leading_to(self, edit: Edit) -> set[int]:
        """The steps that what an edit touches is computed from, in either way: to edit others makes no difference."""
        read = _Read()
        for i in edit.touched:
            self.program.compute(i, self.program.steps[i], edit, read)
        outputs = {self.program.steps[i].output.index for i in edit.touched}
        return {i for value in outputs | read.asked for i in self.program.between(value, set())}

    def _continued(self, attempt: Attempt, bugs: int, searches: Searches) -> list[State]:
        """States in which nothing is wrong any more, from the best of those in which less is."""
        for state, left in self._best(attempt.partial):
            if len(left) < len(attempt.wrong) or len(attempt.wrong) < 3:
                further = Attempt(state, left, left[0], [], [])
                self._attempt(further, searches)
                whole = further.whole
                if not whole and bugs > 1:
                    whole = self._continued(further, bugs - 1, searches)
                if whole:
                    return whole
        return []

    def _best(self, partial: list[tuple[State, list[int]]]) -> list[tuple[State, list[int]]]:
        """Those in which the least is wrong: one of those that have the same numbers, in the best words."""
        found: dict[bytes, tuple[State, list[int]]] = {}
        for state, left in sorted(partial, key=lambda some: (len(some[1]), _awkward(some[0].sentences[-1]))):
            numbers = (state.changed.get(i, self.program.arrays[i]) / self.scales[i] for i in self.order)
            found.setdefault(b"".join(np.round(x, 6).tobytes() for x in numbers), (state, left))
        return list(found.values())[:MOST_CONTINUED]

    # What may have led to a wrong value
    def _own(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        """Relations to what was brought, what is done to all parameters, and edits of its own formula."""
        value = self.program.run.values[wrong]
        yield from relations(Brought(self.hypotheses, self.mine, self.irrelevant, state.changed), value, self.allowed)
        if wrong in self.program.made_by:
            yield from self.hypotheses.about_all(value)
            for family in self.hypotheses.quantities(steps, wrong)[:1]:
                yield from self.hypotheses.about(family)
                yield from self.hypotheses.further(family)

    def _likely(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        """Likely edits of all else that it is computed from."""
        for family in self.hypotheses.quantities(steps, wrong)[1:] if wrong in self.program.made_by else ():
            yield from self.hypotheses.about(family)

    def _less_likely(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        for family in self.hypotheses.quantities(steps, wrong)[1:] if wrong in self.program.made_by else ():
            yield from self.hypotheses.further(family)

    def _at_some_steps(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        for family in self.hypotheses.quantities(steps, wrong) if wrong in self.program.made_by else ():
            yield from self.hypotheses.at_some_steps(family)

    def _nearby(self, state: State, wrong: int) -> Nearby:
        """The steps that compute a value from what was brought, and what the state holds elsewhere."""
        steps = self.program.between(wrong, {i for i in self.order if i != wrong})
        inside = {self.program.steps[i].output.index for i in steps}
        read = {o.index for i in steps for o in self.program.steps[i].operands if isinstance(o, Value)}
        outside = {i: array for i, array in state.changed.items() if i not in inside}
        return Nearby(steps, set(steps), (read - inside) | {wrong}, outside)

    def _at_once(self, nearby: Nearby) -> int:
        """How many hypotheses are looked at together."""
        largest = max((self.program.arrays[i].size for i in nearby.inside), default=1)
        return max(1, min(AT_ONCE, MOST_NUMBERS // max(largest, 1)))

    def _that_fit(self, some: list[Hypothesis], state: State, wrong: int, nearby: Nearby) -> Iterator[Hypothesis]:
        """Those that reproduce the first wrong value. Only what computes it is looked at."""
        edits = {
            n: h.edit if state.edit == Edit() else state.edit | h.edit
            for n, h in enumerate(some)
            if h.known is None and not nearby.inside.isdisjoint(h.edit.touched)
        }
        found = evaluate_each(self.program, list(edits.values()), nearby.outside, nearby.steps, wrong)
        results = dict(zip(edits, found, strict=True))
        for n, hypothesis in enumerate(some):
            result = results.get(n)
            if hypothesis.known is not None or (result is not None and np.all(self.agrees(wrong, result))):
                yield hypothesis

    def _consequences(self, hypothesis: Hypothesis, state: State) -> Iterator[State]:
        """What follows if the backward pass is as it was written, and if it is that of the changed forward pass."""
        said, fitted = (*state.sentences, hypothesis.sentence), state.fitted or hypothesis.fitted
        if hypothesis.known is not None:
            changed = self.program.evaluate(state.edit, {**state.changed, **hypothesis.known})
            if changed is not None:
                yield State(changed, said, state.edit, fitted=fitted)
            return
        if hypothesis.shown_only:
            shown = {self.program.steps[i].output.index for i in hypothesis.edit.touched}
            used = {i: array for i, array in state.changed.items() if i not in shown}
            changed = self.program.evaluate(hypothesis.edit, used, sorted(hypothesis.edit.touched))
            if changed is not None:
                yield State({**state.changed, **changed}, said, state.edit, fitted=fitted)
            return
        edit = state.edit | hypothesis.edit
        if not state.differentiated:
            changed = self.program.evaluate(edit)
            if changed is not None:
                yield State(changed, said, edit, fitted=fitted)
        else:
            changed = self._after_differentiation(hypothesis, state)
            if changed is not None:
                yield State(changed, said, edit, differentiated=True, fitted=fitted)
        if any(self.program.steps[i].phase == "forward" for i in edit.touched):
            changed = self.program.differentiated(edit)
            if changed is not None:
                sentence = f"{hypothesis.sentence} (the backward pass agrees with that)"
                yield State(changed, (*state.sentences, sentence), edit, differentiated=True, fitted=fitted)

    def _after_differentiation(self, hypothesis: Hypothesis, state: State) -> dict[int, np.ndarray] | None:
        """What an edit of the backward pass changes, where what follows of it is computed as it was recorded."""
        touched = hypothesis.edit.touched
        if any(self.program.steps[i].phase == "forward" for i in touched):
            return None
        following = self.program.after({self.program.steps[i].output.index for i in touched})
        known = {i: array for i, array in state.changed.items() if i not in following}
        recorded = self.program.evaluate(Edit(), known)
        arrays = self.program.arrays
        if recorded is None or not all(
            np.allclose(recorded.get(i, arrays[i]), state.changed.get(i, arrays[i]), rtol=1e-9, atol=self.allowed[i])
            for i in following.intersection(self.mine)
        ):
            return None
        return self.program.evaluate(hypothesis.edit, known)
