"""Diagnose: which edit of the computation reproduces somebody's numbers, all of them?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses import Hypotheses, Hypothesis, family_of
from tinynet.debug.program import Edit, Program
from tinynet.debug.relations import relations
from tinynet.run import Value

SECONDS = 20.0  # that a search may take
MOST_BUGS = 3


@dataclass(frozen=True)
class Explanation:
    """Sentences (one for each bug) that together reproduce every array, and how many values they explain.

    ``alike`` holds other sentences that fit these data as well, but would not on others.
    """

    sentences: tuple[str, ...]
    explained: int
    alike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and how many hypotheses were tried; ``complete`` is False where time ran out."""

    explanations: tuple[Explanation, ...]
    tried: int
    seconds: float
    complete: bool


@dataclass(frozen=True)
class State:
    """A computation with some edits: what it changes, by value index, and the sentences that say so."""

    changed: dict[int, np.ndarray]
    sentences: tuple[str, ...] = ()
    edit: Edit = field(default_factory=Edit)
    differentiated: bool = False


# What says least about the mistake comes last; otherwise the shorter sentence is the better one.
AWKWARD = (
    "holds",
    "multiplied by",
    "is used where",
    "instead of",
    "only the",
    "in the forward pass",
    "everywhere",
    "at t =",
    "1 in its place",
)


def _awkward(sentence: str) -> int:
    return len(sentence) + 100 * sum((1 + rank) for rank, word in enumerate(reversed(AWKWARD)) if word in sentence)


class Search:
    """Looks for the edits that turn a run's numbers into those of ``mine`` ({value index: array})."""

    def __init__(self, program: Program, mine: Mapping[int, np.ndarray], tolerance: float, seconds: float = SECONDS):
        self.program, self.mine, self.tolerance = program, mine, tolerance
        self.hypotheses = Hypotheses(program)
        self.tried, self.end = 0, time.monotonic() + seconds
        self.order = sorted(mine, key=lambda index: (program.made_by.get(index, -1), index))
        self.scales = self._scales()

    def _scales(self) -> dict[int, float]:
        """What differences are measured by: the largest number of a quantity, over all its steps."""
        largest: dict[tuple, float] = {}
        for index in self.mine:
            family = family_of(self.program.run.values[index])
            size = float(np.abs(self.program.arrays[index]).max(initial=0))
            largest[family] = max(largest.get(family, 0.0), size)
        return {i: max(largest[family_of(self.program.run.values[i])], 1e-12) for i in self.mine}

    # Comparing
    def agrees(self, index: int, array: np.ndarray) -> bool:
        with np.errstate(all="ignore"):
            distance = np.abs(np.asarray(array, float) - self.mine[index])
            same = (distance <= self.tolerance * self.scales[index]) | (np.isnan(array) & np.isnan(self.mine[index]))
            return bool(np.all(same | (np.asarray(array) == self.mine[index])))

    def wrong(self, state: State) -> list[int]:
        """The values that differ, in the order of execution."""
        arrays = self.program.arrays
        return [i for i in self.order if not self.agrees(i, state.changed.get(i, arrays[i]))]

    def _distinct(self, found: list[State], wrong: int) -> Iterator[Explanation]:
        """One explanation for all sentences that stand for the same computation: on other numbers too."""
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
                if not np.allclose(one, two, rtol=1e-7, atol=1e-9 * (1 + size), equal_nan=True):
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
        leaves = {
            v.index: v.array + rng.normal(size=v.shape) * max(float(np.abs(v.array).max(initial=0)), 0.1) * 0.5
            for v in self.program.run.leaves
            if v.kind in ("parameter", "input") and v.array.dtype.kind == "f"
        }
        return Program(self.program.run._recomputed(leaves))

    # Searching
    def run(self) -> Diagnosis:
        start = time.monotonic()
        first = State({})
        wrong = self.wrong(first)
        found = self._explain(first, wrong, MOST_BUGS)
        if not found:
            for other in self._formulations():
                found = found or self._explain(other, self.wrong(other) or wrong, MOST_BUGS)
        explanations = tuple(self._distinct(found, len(wrong)))
        return Diagnosis(explanations, self.tried, time.monotonic() - start, time.monotonic() < self.end)

    def _formulations(self) -> Iterator[State]:
        """The same numbers computed in another way, in which other mistakes are possible: the loss from p."""
        values, made = self.program.run.values, self.program.made_by
        edits = Edit()
        for p in (v for v in values if v.quantity is not None and v.quantity.endswith("loss.p") and v.index in made):
            nll = next((v for v in values if v.quantity == str(p.quantity).replace("loss.p", "loss.nll")), None)
            scores = next(
                iter(self.program.steps[made[i]].operands[0] for i in made if values[i].quantity == "loss.max"), None
            )
            if nll is None or not isinstance(scores, Value):
                continue
            taken = next(
                (s for s in self.program.steps if s.primitive == "take_along_axis" and s.operands[0] is scores), None
            )
            if taken is None:
                continue
            target, axis = taken.operands[1].index, taken.arguments["axis"]
            steps = {
                made[nll.index]: lambda look, *x, p=p.index, a=axis, y=target: (
                    -P.log(P.take_along_axis(look(p), look(y), axis=a))
                )
            }
            gradient = next((v for v in values if v.of is scores and v.share is None and v.index in made), None)
            arrived = next((v for v in values if v.of is nll and v.share is None), None)
            if gradient is not None and arrived is not None:
                size = scores.shape[axis]
                steps[made[gradient.index]] = lambda look, *x, p=p.index, a=axis, y=target, n=size, g=arrived.index: (
                    (
                        look(p)
                        - P.put_along_axis(0 * P.take_along_axis(look(p), look(y), axis=a) + 1, look(y), axis=a, size=n)
                    )
                    * look(g)
                )
            edits = edits | Edit(steps=steps)
        changed = self.program.evaluate(edits)
        if changed:
            yield State(changed, (), edits)

    def _explain(self, state: State, wrong: list[int], bugs: int) -> list[State]:
        """States in which nothing is wrong any more, each with as few edits as possible."""
        whole: list[State] = []
        partial: list[tuple[int, State, list[int]]] = []
        nearby = self._nearby(state, wrong[0])
        for hypothesis in self._hypotheses(state, wrong[0]):
            if time.monotonic() > self.end:
                break
            self.tried += 1
            if not self._fits(hypothesis, state, wrong[0], nearby):
                continue
            for next_state in self._consequences(hypothesis, state):
                left = self.wrong(next_state)
                if not left:
                    whole.append(next_state)
                elif left[0] != wrong[0] and self.order.index(left[0]) > self.order.index(wrong[0]):
                    partial.append((len(left), next_state, left))
        if whole or bugs == 1:
            return whole
        partial.sort(key=lambda item: item[0])
        for count, next_state, left in partial[:3]:
            if count < len(wrong) or len(wrong) < 3:
                whole += self._explain(next_state, left, bugs - 1)
            if whole:
                break
        return whole

    def _hypotheses(self, state: State, wrong: int) -> Iterator[Hypothesis]:
        """All that may have led to a wrong value: relations first, then edits of what computes it."""
        values = self.program.run.values
        yield from relations(self.program, self.mine, state.changed, values[wrong], self.tolerance, self.scales)
        if wrong not in self.program.made_by:
            return
        known = {i for i in self.order if i != wrong}
        steps = self.program.between(wrong, known)
        yield from self._of_all_parameters(values[wrong])
        families = self.hypotheses.quantities(steps, wrong)
        for search in (self.hypotheses.about, self.hypotheses.further, self.hypotheses.at_some_steps):
            for family in families:
                yield from search(family)

    def _of_all_parameters(self, value: Value) -> Iterator[Hypothesis]:
        values = self.program.run.values
        if value.copy_of is not None:
            alike = [v for v in values if v.copy_of is not None and v.update == value.update]
            yield from self.hypotheses.about_all([family_of(v) for v in alike], "the updated parameters")
        elif value.of is not None and value.of.kind == "parameter" and value.share is None:
            alike = [v for v in values if v.of is not None and v.of.kind == "parameter" and v.update == value.update]
            yield from self.hypotheses.about_all([family_of(v) for v in alike], "the gradients of the parameters")

    def _nearby(self, state: State, wrong: int) -> tuple[list[int], set[int], dict[int, np.ndarray]]:
        """The steps that compute a value from what was brought, and what the state holds elsewhere."""
        steps = self.program.between(wrong, {i for i in self.order if i != wrong})
        inside = {self.program.steps[i].output.index for i in steps}
        return steps, set(steps), {i: array for i, array in state.changed.items() if i not in inside}

    def _fits(self, hypothesis: Hypothesis, state: State, wrong: int, nearby: tuple) -> bool:
        """Does the edit reproduce the first wrong value? Only what computes it is looked at."""
        if hypothesis.known is not None:
            return True
        steps, inside, outside = nearby
        if inside.isdisjoint(hypothesis.edit.touched):
            return False
        edit = hypothesis.edit if state.edit == Edit() else state.edit | hypothesis.edit
        changed = self.program.evaluate(edit, outside, steps)
        return changed is not None and wrong in changed and self.agrees(wrong, changed[wrong])

    def _consequences(self, hypothesis: Hypothesis, state: State) -> Iterator[State]:
        """What follows if the backward pass is as it was written, and if it is that of the changed forward pass."""
        said = (*state.sentences, hypothesis.sentence)
        if hypothesis.known is not None:
            changed = self.program.evaluate(state.edit, {**state.changed, **hypothesis.known})
            if changed is not None:
                yield State(changed, said, state.edit)
            return
        if hypothesis.shown_only:
            changed = self.program.evaluate(hypothesis.edit, {}, sorted(hypothesis.edit.touched))
            if changed is not None:
                yield State({**state.changed, **changed}, said, state.edit)
            return
        edit = state.edit | hypothesis.edit
        if not state.differentiated:
            changed = self.program.evaluate(edit)
            if changed is not None:
                yield State(changed, said, edit)
        if any(self.program.steps[i].phase == "forward" for i in edit.touched):
            forward = Edit(
                {k: f for k, f in edit.reads.items() if self.program.steps[k[0]].phase == "forward"},
                {k: f for k, f in edit.steps.items() if self.program.steps[k].phase == "forward"},
                {k: f for k, f in edit.outputs.items() if self.program.steps[k].phase == "forward"},
            )
            changed = self.program.differentiated(forward)
            if changed is not None:
                sentence = f"{hypothesis.sentence} (the backward pass agrees with that)"
                yield State(changed, (*state.sentences, sentence), edit, differentiated=True)
