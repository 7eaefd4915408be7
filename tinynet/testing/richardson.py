"""Differences of ever smaller steps, extrapolated to step zero, and the error of that.

Source: Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4 (1982), for the table
and its error estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SAFETY = 20.0  # by which an estimated error may be too small
ORDERS = 5  # columns of the table: each takes away one more power of the step


@dataclass(frozen=True)
class Estimate:
    """A derivative, what it may be off by, and why it cannot be told (empty where it can).

    ``hidden`` is what it may be off by besides, if something that has not moved has changed by less than its rounding;
    ``slopes`` are those on the left and on the right of a kink.
    """

    value: float
    error: float
    doubt: str = ""
    hidden: float = 0.0
    slopes: tuple[float, float] | None = None

    def agrees(self, other: Estimate) -> bool:
        return abs(self.value - other.value) <= SAFETY * (self.error + other.error)


UNKNOWN = Estimate(math.nan, math.inf)


class Table:
    """Richardson's table of one kind of difference: every row has a smaller step than the row before."""

    def __init__(self, power: int):
        self.power = power  # the error has powers of this power of the step: 2 from both sides, 1 from one
        self.steps: list[tuple[float, float]] = []  # and their differences
        self.row: list[tuple[float, float]] = []  # value, and what rounding has done to it
        self.best = UNKNOWN
        self.age = 0  # rows since the best one

    def add(self, step: float, value: float, noise: float) -> None:
        """Add the difference of the next step; ``noise`` is what rounding may have done to it."""
        if not math.isfinite(value):
            self.steps, self.row, self.best = [], [], UNKNOWN
            return
        before, self.row, latest = self.row, [(value, noise)], UNKNOWN
        for (coarse, coarse_noise), (larger, _) in zip(before[:ORDERS], reversed(self.steps), strict=False):
            fine, fine_noise = self.row[-1]
            shrunk = (larger / step) ** self.power
            noise = fine_noise + (fine_noise + coarse_noise) / (shrunk - 1)
            better = Estimate(fine + (fine - coarse) / (shrunk - 1), abs(fine - coarse) + noise)
            if better.error <= latest.error:
                latest = better
            self.row.append((better.value, noise))
        self.steps.append((step, value))
        self.age += 1
        # Large steps may agree with each other and miss what is near: then the smaller ones are right.
        apart = abs(latest.value - self.best.value)
        if latest.error <= self.best.error or not apart <= SAFETY * self.best.error + 2 * latest.error:
            self.best, self.age = latest, 0
