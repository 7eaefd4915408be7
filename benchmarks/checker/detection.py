"""How many wrong derivatives are found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.checker.case import Case, backward, forward
from benchmarks.checker.mutants import Mutant, mutants, planted
from benchmarks.checker.peers import ERROR, WRONG, Checker
from benchmarks.checker.points import points

SAME = 1e-12  # of the largest number: a mutant that changes no more is none
POINTS = 2  # at which a mutant is tried, of those where it changes something: spread over the list


class Fate(NamedTuple):
    """What became of a mutant: what each checker said at each point where its numbers are others."""

    mutant: Mutant
    runs: bool  # it raises at no less than all points otherwise
    told: list[tuple[Case, dict[str, str]]]

    @property
    def equivalent(self) -> bool:
        return self.runs and not self.told

    def found(self, checker: str) -> bool:
        return any(is_found(said[checker]) for _, said in self.told)


def is_found(verdict: str) -> bool:
    """A checker that raises, because of a shape for instance, has noticed too."""
    return verdict in (WRONG, ERROR)


def fates(checkers: dict[str, Checker], only: str) -> list[Fate]:
    """Of every mutant whose description contains ``only``."""
    with np.errstate(all="ignore"):
        return [_fate(mutant, checkers) for mutant in mutants() if only in f"{mutant} {mutant.kind}"]


def _fate(mutant: Mutant, checkers: dict[str, Checker]) -> Fate:
    changed = [(point, _changed(mutant, point)) for point in points(mutant.primitive)]
    others = [point for point, differs in changed if differs]
    tried = others[:: max(1, len(others) // POINTS)][:POINTS]
    with planted(mutant):
        told = [(point, {name: checker(point, 0)[0] for name, checker in checkers.items()}) for point in tried]
    return Fate(mutant, any(differs is not None for _, differs in changed), told)


def _changed(mutant: Mutant, point: Case) -> bool | None:
    """Tell whether the gradients are others; None where the mutant raises."""
    rng = np.random.default_rng(1)
    y = forward(point, point.inputs)
    g = rng.choice([-1, 1], y.shape) * rng.uniform(0.5, 1.5, y.shape)
    right = backward(point, point.inputs, g)
    try:
        with planted(mutant):
            wrong = backward(point, point.inputs, g)
        return any(_differ(np.asarray(a), np.asarray(b)) for a, b in zip(right, wrong, strict=True))
    except Exception:
        return None


def _differ(right: np.ndarray, wrong: np.ndarray) -> bool:
    if right.shape != wrong.shape:
        return True
    return not np.all(np.abs(right - wrong) <= SAME * np.max(np.abs(right), initial=0))
