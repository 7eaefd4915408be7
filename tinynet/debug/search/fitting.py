"""Which hypotheses reproduce the first wrong value: only what computes it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from tinynet.debug.comparison import Comparison
from tinynet.debug.hypotheses import Hypothesis
from tinynet.debug.many import evaluate_each
from tinynet.debug.program import Edit, Program
from tinynet.debug.search.candidates import Kind
from tinynet.debug.search.state import State
from tinynet.debug.work import Limit
from tinynet.run import Value

AT_ONCE = 128  # hypotheses that are looked at together
MOST_NUMBERS = 1 << 18  # of one value, for all of these


class Nearby(NamedTuple):
    """The steps that compute a value from what was brought, what they read, and what was changed ``outside`` of them.

    What they ``read`` includes the value itself.
    """

    steps: list[int]
    inside: set[int]
    read: set[int]
    outside: dict[int, np.ndarray]


class Fitting:
    """Tries hypotheses, up to a limit; ``tried`` counts them."""

    def __init__(self, comparison: Comparison, limit: Limit):
        self.comparison, self.program, self.limit = comparison, comparison.program, limit
        self.tried = 0
        self.known: dict[tuple, list[Hypothesis]] = {}  # those that fitted, by kind, value and state

    def fitting(self, kind: Kind, state: State, target: int) -> Iterator[Hypothesis]:
        """Those that reproduce ``target``, up to the limit."""
        key = (kind.__name__, target, state.sentences, frozenset(state.edit.touched))
        if key in self.known:
            yield from self.known[key]
            return
        fitted: list[Hypothesis] = []
        nearby = self._nearby(state, target)
        hypotheses = kind(state, target, nearby.steps)
        if not state.sentences and state.edit.touched and not self._matters(state, nearby):
            before = _leading_to(self.program, state.edit)
            hypotheses = (h for h in hypotheses if not before.isdisjoint(h.edit.touched))
        for some in _several(hypotheses, self._at_once(nearby)):
            if self.limit.reached:
                return
            self.tried += len(some)
            self.program.work.add(sum(len(hypothesis.edit.touched) for hypothesis in some))
            for hypothesis in self._that_fit(some, state, target, nearby):
                fitted.append(hypothesis)
                yield hypothesis
        self.known[key] = fitted

    def _nearby(self, state: State, wrong: int) -> Nearby:
        """The steps that compute a value from what was brought, and what the state holds elsewhere."""
        steps = self.program.between(wrong, {i for i in self.comparison.order if i != wrong})
        inside = {self.program.steps[i].output.index for i in steps}
        read = {o.index for i in steps for o in self.program.steps[i].operands if isinstance(o, Value)}
        outside = {i: array for i, array in state.changed.items() if i not in inside}
        return Nearby(steps, set(steps), (read - inside) | {wrong}, outside)

    def _matters(self, state: State, nearby: Nearby) -> bool:
        """Whether another way to compute gives other numbers there, by more than rounding."""
        arrays = self.program.arrays
        changed = nearby.read.union(nearby.inside).intersection(state.changed)
        return not all(np.allclose(state.changed[i], arrays[i], rtol=1e-9, atol=1e-12) for i in changed)

    def _at_once(self, nearby: Nearby) -> int:
        """How many hypotheses are looked at together."""
        largest = max((self.program.arrays[i].size for i in nearby.inside), default=1)
        return max(1, min(AT_ONCE, MOST_NUMBERS // max(largest, 1)))

    def _that_fit(self, some: list[Hypothesis], state: State, wrong: int, nearby: Nearby) -> Iterator[Hypothesis]:
        """Those that reproduce the first wrong value."""
        edits = {
            n: h.edit if state.edit == Edit() else state.edit | h.edit
            for n, h in enumerate(some)
            if h.known is None and not nearby.inside.isdisjoint(h.edit.touched)
        }
        found = evaluate_each(self.program, list(edits.values()), nearby.outside, nearby.steps, wrong)
        results = dict(zip(edits, found, strict=True))
        for n, hypothesis in enumerate(some):
            result = results.get(n)
            if hypothesis.known is not None or (result is not None and np.all(self.comparison.agrees(wrong, result))):
                yield hypothesis


def _several(hypotheses: Iterator[Hypothesis], most: int) -> Iterator[list[Hypothesis]]:
    """All of them, ``most`` at a time."""
    while some := list(islice(hypotheses, most)):
        yield some


class _Read(dict[int, np.ndarray]):
    """Nothing is changed; remembered is what was asked for."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def __contains__(self, index: object) -> bool:
        self.asked.add(index)  # type: ignore[arg-type]
        return False


def _leading_to(program: Program, edit: Edit) -> set[int]:
    """The steps that what an edit touches is computed from, in either way: to edit others makes no difference."""
    read = _Read()
    for i in edit.touched:
        program.compute(i, program.steps[i], edit, read)
    outputs = {program.steps[i].output.index for i in edit.touched}
    return {i for value in outputs | read.asked for i in program.between(value, set())}
