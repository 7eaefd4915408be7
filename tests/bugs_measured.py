"""How well a bug is found, through the public ``tinynet.debug.compare``: for tests and for ``benchmarks.diagnosis``.

    found = measured(bug, seed)        # found.place, found.named, found.true, found.seconds, found.report
    false = falsely_found(variant …)   # a right computation that is called wrong

The explanation is *true* if it foretells what the buggy code computes on other data, which the search never saw.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
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
from tinynet.debug.diagnose import Explanation, Search, State
from tinynet.debug.names import match
from tinynet.debug.program import Program

comparing = importlib.import_module("tinynet.debug.compare")  # the name stands for the function
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


class Remembering(Search):
    """A search that can say how a state came about."""

    latest: Remembering

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.before: dict[int, tuple[State, Any]] = {}
        self.found: list[State] = []
        Remembering.latest = self

    def _consequences(self, hypothesis: Any, state: State) -> Iterator[State]:
        for following in super()._consequences(hypothesis, state):
            self.before[id(following)] = state, hypothesis
            self.found.append(following)  # kept, so that no other gets its id
            yield following

    def states(self, explanation: Explanation) -> list[State]:
        """The states, all of which reproduce everything, that an explanation may stand for."""
        return [s for s in self.found if s.sentences == explanation.sentences and not self.wrong(s)]

    def repeated(self, state: State, there: Search) -> State | None:
        """What the same hypotheses lead to on other numbers."""
        if id(state) not in self.before:  # where the search began
            changed = there.program.evaluate(state.edit)
            return None if changed is None else State(changed, (), state.edit)
        parent, hypothesis = self.before[id(state)]
        start = self.repeated(parent, there)
        following = [] if start is None else list(Search._consequences(there, hypothesis, start))
        return next((s for s in following if s.sentences == state.sentences), None)


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
    with mock.patch.object(comparing, "Search", Remembering):
        start = time.process_time()
        report = compare(run, mine)
        seconds = time.process_time() - start
    search = Remembering.latest
    found = Found(bug, seed, report, seconds, placed(bug, report, mine))
    if truth and found.named:
        verdicts = {"; ".join(e.sentences): is_true(bug, seed, search, e) for e in found.explanations}
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


def is_true(bug: Bug, seed: int, search: Remembering, explanation: Explanation) -> bool:
    """Does an explanation also reproduce what the same code computes from numbers that the search never saw?"""
    run, mine = (f(bug.network, bug.data, seed + ELSEWHERE) for f in (recorded, lambda *a: numbers(*a, bug=bug)))
    exact = run.astype(np.float64)
    program = Program(exact)
    there = Search(program, match(run, mine).arrays, search.tolerance)
    for state in search.states(explanation):
        repeated = search.repeated(state, there)
        if repeated is not None and not there.wrong(repeated):
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
