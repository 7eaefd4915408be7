"""How well a bug is found, through the public ``tinynet.debug.compare``: for tests and for ``benchmarks.diagnosis``.

    found = measured(bug, seed)        # found.place, found.named, found.true, found.seconds, found.report
    false = falsely_found(variant …)   # a right computation that is called wrong

The explanation is *true* if it foretells what the buggy code computes on other data, which the search never saw.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from unittest import mock

import numpy as np

import tinynet as tn
from tests import test_wrong
from tests.test_debug_names import tinynet_conv_net
from tests.wrong import NETWORKS, Bug, Variant, data
from tinynet.debug import Report, compare
from tinynet.debug.comparison import Comparison
from tinynet.debug.hypotheses import Hypothesis
from tinynet.debug.names import match
from tinynet.debug.program import Program
from tinynet.debug.search import Explanation
from tinynet.debug.search.following import following
from tinynet.debug.search.state import State

ELSEWHERE = 3  # what is added to a seed for other numbers of the same sizes


@dataclass
class Found:
    """What a comparison with the numbers of one bug came to."""

    bug: Bug
    seed: int
    report: Report
    seconds: float
    place: str  # see ``placed``
    true: bool = False  # the first explanation
    any_true: bool = False
    untrue: tuple[str, ...] = field(default=())  # other explanations, if they are offered

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        return self.report.diagnosis.explanations if self.report.diagnosis else ()

    @property
    def named(self) -> bool:
        """An explanation was found that reproduces every array."""
        return bool(self.explanations)


class Memory:
    """How the states of a search came about."""

    comparison: Comparison  # what was searched

    def __init__(self) -> None:
        self.before: dict[int, tuple[State, Hypothesis]] = {}
        self.found: list[State] = []

    def following(self, comparison: Comparison, hypothesis: Hypothesis, state: State) -> Iterator[State]:
        self.comparison = comparison
        for next_state in following(comparison, hypothesis, state):
            self.before[id(next_state)] = state, hypothesis
            self.found.append(next_state)  # kept, so that no other gets its id
            yield next_state

    def states(self, explanation: Explanation) -> list[State]:
        """The states, all of which reproduce everything, that an explanation may stand for."""
        said = (state for state in self.found if state.sentences == explanation.sentences)
        return [state for state in said if not self.comparison.wrong(state.changed)]

    def repeated(self, state: State, there: Comparison) -> State | None:
        """What the same hypotheses lead to on other numbers."""
        if id(state) not in self.before:  # where the search began
            changed = there.program.evaluate(state.edit)
            return None if changed is None else State(changed, (), state.edit)
        parent, hypothesis = self.before[id(state)]
        start = self.repeated(parent, there)
        states = [] if start is None else list(following(there, hypothesis, start))
        return next((s for s in states if s.sentences == state.sentences), None)


@contextmanager
def remembering() -> Iterator[Memory]:
    """Remember how the search within comes to what it finds."""
    memory = Memory()
    with mock.patch("tinynet.debug.search.search.following", memory.following):
        yield memory


@lru_cache(maxsize=200)
def recorded(network: str, kind: str = "plain", seed: int = 0) -> tn.Run:
    """Our run on the data of ``tests.wrong``."""
    arguments = data(network, kind, seed)
    if network == "mlp":
        return test_wrong.tinynet_mlp(arguments)
    if network == "conv_net":
        return tinynet_conv_net(arguments)
    if network == "adam":
        return test_wrong.tinynet_adam(arguments)
    return test_wrong.tinynet_recurrent(network, arguments)


def numbers(network: str, kind: str = "plain", seed: int = 0, bug: Any = None, **options: Any) -> dict[str, Any]:
    """What an independent network computes, right or wrong."""
    with np.errstate(all="ignore"):
        found = dict(NETWORKS[network](**data(network, kind, seed), bug=bug, **options))
    if kind == "outer":  # theirs leaves out the gradients that come from outside
        del found["loss"]
    return found


def measured(bug: Bug, seed: int = 0, truth: bool = True) -> Found:
    """Compare what one bug computes with our run."""
    run, mine = recorded(bug.network, bug.data, seed), numbers(bug.network, bug.data, seed, bug)
    with remembering() as memory:
        start = time.process_time()
        report = compare(run, mine)
        seconds = time.process_time() - start
    found = Found(bug, seed, report, seconds, placed(bug, report, mine))
    if truth and found.named:
        verdicts = {"; ".join(e.sentences): is_true(bug, seed, memory, e) for e in found.explanations}
        found.true, found.any_true = next(iter(verdicts.values())), any(verdicts.values())
        found.untrue = tuple(sentence for sentence, true in verdicts.items() if not true)
    return found


def placed(bug: Bug, report: Report, mine: dict[str, Any]) -> str:
    """Where the first difference was reported: "exact", by quantity and time, where the bug says that it shows first.

    "beside" where neither of the two is computed from the other, so that both are first in some order; else "wrong".
    """
    if bug.equivalent or report.first is None:
        return "exact" if bug.equivalent and report.first is None else "wrong"
    name, index = re.fullmatch(r"(\w+)(?:\[(-?\d+)\])?", bug.first).groups()  # type: ignore[union-attr]
    cell = name if index is None else f"{name}[{int(index) % len(mine[name])}]"
    run, sources = report.run, report.matched.sources
    there = {i for i, source in sources.items() for one in source.split(", ") if one in (cell, name)}
    reported = run.find(report.first.name).index
    if reported in there:
        return "exact"
    program = Program(run)
    seen = {i for i in there if _differs(program, report, i)}
    return "beside" if seen and not any(reported in program.after([i]) for i in seen) else "wrong"


def _differs(program: Program, report: Report, i: int) -> bool:
    ours, yours = program.arrays[i], np.asarray(report.matched.arrays[i], float)
    return not np.all(np.abs(ours - yours) <= report.tolerance * max(1e-12, float(np.abs(ours).max(initial=0))))


def is_true(bug: Bug, seed: int, memory: Memory, explanation: Explanation) -> bool:
    """Does an explanation also reproduce what the same code computes from numbers that the search never saw?"""
    run, mine = (f(bug.network, bug.data, seed + ELSEWHERE) for f in (recorded, lambda *a: numbers(*a, bug=bug)))
    there = Comparison(Program(run.astype(np.float64)), match(run, mine).arrays, memory.comparison.tolerance)
    for state in memory.states(explanation):
        repeated = memory.repeated(state, there)
        if repeated is not None and not there.wrong(repeated.changed):
            return True
    return False


def falsely_found(
    network: str, variant: Variant | None, kind: str, seed: int, filler: float | None = None
) -> Report | None:
    """The report on a right computation, if it finds anything wrong. Behind an end a ``filler`` may be stored."""
    options = {} if variant is None else {"bug": variant, "dtype": variant.dtype}
    mine = numbers(network, kind, seed, **options)
    if filler is not None:
        mine = filled(mine, data(network, kind, seed)["lengths"], filler)
    report = compare(recorded(network, kind, seed), mine, explain=False)
    return None if report.first is None else report


def filled(mine: dict[str, Any], lengths: np.ndarray, filler: float) -> dict[str, Any]:
    """Every quantity (T, N, …) of the forward pass holds ``filler`` where its sequence has ended."""
    steps = len(mine["h"])
    beyond = np.arange(steps)[:, None] >= lengths
    whole = (name for name in mine if mine[name].ndim > 2 and mine[name].shape[:2] == beyond.shape)
    forward = (name for name in whole if not name.startswith(("d", "new_")))
    found = dict(mine)
    for name in forward:
        found[name] = np.where(beyond.reshape(*beyond.shape, *[1] * (mine[name].ndim - 2)), filler, mine[name])
    return found
