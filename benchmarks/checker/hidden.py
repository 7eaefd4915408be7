"""How often one wrong element among many is found, where the others are as large, or one of them is much larger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.checker.case import Case, case
from benchmarks.checker.detection import is_found
from benchmarks.checker.mutants import Mutant, planted
from benchmarks.checker.peers import RIGHT, Checker
from tinynet import primitives as P

SIZES = (4, 50, 500)
LARGEST = (1.0, 1e3, 1e6)  # of the numbers; the others are about 1
WRONG_BY = (-1.0, 0.1, 1e-3)  # the last element's derivative, as a share of it


def hidden(checkers: dict[str, Checker]) -> list[tuple[str, dict[str, float]]]:
    """For each kind of point the share of the errors that each checker finds, of the derivative of squares.

    A checker that rejects the right derivative there finds none.
    """
    found = []
    for size in SIZES:
        for largest in LARGEST:
            point = _squares(size, largest)
            accepted = {name: checker(point, 0)[0] == RIGHT for name, checker in checkers.items()}
            told: dict[str, list[bool]] = {name: [] for name in checkers}
            for share in WRONG_BY:
                with planted(Mutant("power", 0, "one element", f"off by {share}", _last_element_off(share))):
                    for name, checker in checkers.items():
                        told[name].append(accepted[name] and is_found(checker(point, 0)[0]))
            shares = {name: sum(verdicts) / len(verdicts) for name, verdicts in told.items()}
            found.append((f"{size} squares, of numbers up to {largest:g}", shares))
    return found


def _squares(size: int, largest: float) -> Case:
    x = np.random.default_rng(0).uniform(0.5, 1, size)
    x[0] = largest
    return case("squares", lambda t: t**2, x)


def _last_element_off(share: float) -> Callable[..., Any]:
    right = P.power.vjp

    def vjp(i, g, y, operands, arguments):
        found = right(i, g, y, operands, arguments)
        found[-1] *= 1 + share
        return found

    return vjp
