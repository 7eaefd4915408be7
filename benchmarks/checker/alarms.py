"""How often a right derivative is called wrong, or cannot be told."""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.checker import awkward, kinks, smooth
from benchmarks.checker.case import Case
from benchmarks.checker.peers import CANNOT_TELL, ERROR, RIGHT, WRONG, Checker, Said, ours
from benchmarks.checker.smooth import Maker

KINDS: dict[str, tuple[list[Maker], float]] = {  # and what share of the cases
    "smooth": (smooth.MAKERS, 0.5),
    "kinks and ties": (kinks.MAKERS, 0.25),
    "awkward numbers": (awkward.MAKERS, 0.25),
}
TWICE = 10  # every so many smooth cases are checked to second order too
VERDICTS = (RIGHT, WRONG, CANNOT_TELL, ERROR)


class Alarms(NamedTuple):
    """Verdicts by kind and checker; what is to be read of ours."""

    counts: dict[tuple[str, str], Counter[str]]
    bad: list[str]  # wrong, or an error, with what reproduces it
    doubts: dict[str, Counter[tuple[str, str]]]  # by kind: (reason, name of the case)


def alarms(checkers: dict[str, Checker], cases: int, seed: int, only: str) -> Alarms:
    found = Alarms(defaultdict(Counter), [], defaultdict(Counter))
    for kind, (makers, share) in KINDS.items():
        if only and only not in kind:
            continue
        for number in range(round(cases * share)):
            rng = np.random.default_rng((seed, zlib.crc32(kind.encode()), number))
            case = makers[rng.integers(len(makers))](rng)
            for name, checker in checkers.items():
                said = checker(case, number)
                found.counts[kind, name][said[0]] += 1
                if name == "tinynet":
                    _noted(found, kind, case, said)
            if kind == "smooth" and number % TWICE == 0:
                said = ours(case, number, order=2)
                found.counts["smooth, order 2", "tinynet"][said[0]] += 1
                _noted(found, "smooth, order 2", case, said)
    return found


def _noted(found: Alarms, kind: str, case: Case, said: Said) -> None:
    verdict, reason = said
    if verdict in (WRONG, ERROR):
        found.bad.append(f"{kind}: {verdict}: {case}\n      {reason}")
    elif verdict == CANNOT_TELL:
        found.doubts[kind][_without_numbers(reason), case.name] += 1


def _without_numbers(reason: str) -> str:
    return re.sub(r"-?\d[\d.e+-]*", "…", reason)


def worst(doubts: Counter[tuple[str, str]], by: Callable[[tuple[str, str]], str], count: int) -> list[tuple[str, int]]:
    """The most common reasons, or functions."""
    summed: Counter[str] = Counter()
    for key, times in doubts.items():
        summed[by(key)] += times
    return summed.most_common(count)
