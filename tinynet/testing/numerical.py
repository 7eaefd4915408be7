"""A numerical derivative that knows its own error, and knows when there is none.

Three differences are made of the same evaluations and extrapolated: from both sides, from the left and from the right.
Where left and right disagree, there is no derivative. How much noise the function has is measured too (as in Moré and
Wild, Estimating computational noise, SIAM Journal on Scientific Computing 33, 2011).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.testing.richardson import SAFETY, Estimate, Table

EPSILON = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)
NOTHING = 1e-290  # a derivative that counts as none
ENOUGH = 1e-10  # relative error at which halving stops
STALE = 4  # halvings after which an error that is small for the function is not going to shrink any more
USEFUL = 1e-4  # relative error up to which the estimate decides anything
VAGUE = 1e-3  # relative error from which on it is worth another look
LOST = 1e-6  # of a usual derivative, may be lost to rounding altogether
ROUGH = 0.1  # the same for each side, which only has to show a kink
HALVINGS = 30
AGAIN = 6  # times that noise is found to be more than was known
# The steps do not quite halve: with the same digits, rounding would do the same to all of them, and not be seen.
UNEVEN = (1.0, 0.9371, 1.0353, 0.9893, 1.0617, 0.9541, 1.0177)

Function = Callable[[float], np.ndarray]  # of t, a flat array whose sum is differentiated


class Line:
    """The three tables of the sum of ``function(t)`` at t = 0."""

    def __init__(
        self, function: Function, scale: float, noise: np.ndarray, displaced: float, unit: float, least: float
    ):
        self.function, self.scale, self.noise = function, scale, noise
        self.displaced, self.unit = displaced, unit
        self.least = max(least, TINY)  # step
        self.here = function(0.0)
        self.stair = np.full(self.here.shape, np.inf)  # the smallest move, of what moved to both sides
        self.scatter = 0.0  # what rounding has been seen to do to the sum

    def _begin(self) -> None:
        self.both, self.left, self.right = Table(2), Table(1), Table(1)
        self.natural = 0.0  # the derivative that a change by all of the function over ``scale`` would have
        self.changed = np.zeros(self.here.shape, dtype=bool)  # by any step so far
        self.rounded = math.inf  # what rounding may do to the function
        self.moves: list[float] = []  # from one side to the other
        self.most = 0.0  # that anything has moved

    def look(self) -> Estimate:
        """Measure; again from the beginning where noise has shown that was not known before."""
        for _ in range(AGAIN):
            self._begin()
            found = self._halved()
            if found is not None:
                return found
        return self._judged()

    def _halved(self) -> Estimate | None:
        """Halve the step until the estimate is good enough, or rounding has eaten everything. None: begin again."""
        for t in self._steps():
            if not self._add(t):
                return None
            if self._settled() and self._confirmed(t):
                return self._told()
        scatter = self._scatter()
        if scatter > 2 * self.rounded and not self._jumps():
            self.scatter = scatter
            return None
        return self._judged()

    def _scatter(self) -> float:
        """How far the sums are from the best estimate at steps smaller than its own, where only noise is left."""
        both = self.both
        later = both.steps[len(both.steps) - both.age :]
        return float(np.median([abs(slope - both.best.value) * t for t, slope in later])) if len(later) > 2 else 0.0

    def _steps(self) -> Iterator[float]:
        for halving in range(HALVINGS):
            t = 0.1 * self.scale * UNEVEN[halving % len(UNEVEN)] / 2**halving
            if t < self.least:
                return
            yield t

    def _add(self, t: float) -> bool:
        """Add a row to each table. Returns false, and adds none, where noise has shown that was not known before."""
        up, down = self.function(t), self.function(-t)
        rise, fall, whole = up - self.here, self.here - down, up - down
        moves = np.minimum(np.abs(rise), np.abs(fall))
        still = (rise == 0) & (fall == 0) & (self.stair < np.inf) & (self.stair > self.noise)
        if np.any(still):  # rounded to coarse numbers: what moved by a larger step does not move at all by this one
            self.noise = np.where(still, self.stair, self.noise)
            return False
        self.stair = np.where(moves > 0, np.minimum(self.stair, moves), self.stair)
        self.changed |= (rise != 0) | (fall != 0)
        moved = float(np.nansum(np.abs(rise)) + np.nansum(np.abs(fall)))
        rounding = EPSILON * np.abs(self.here) + self.noise
        noise = float(np.sum(rounding[self.changed])) + EPSILON * moved + self.displaced + TINY * rounding.size
        noise = self.rounded = max(noise, self.scatter)
        # Where nothing has moved, each number may still have changed by less than its rounding.
        concerned = self.here[self.changed] if np.any(self.changed) else self.here
        self.natural = (float(np.sum(np.abs(concerned))) + moved) / self.scale
        self.both.add(t, float(np.sum(whole)) / (2 * t), noise / t)
        self.right.add(t, float(np.sum(rise)) / t, 2 * noise / t)
        self.left.add(t, float(np.sum(fall)) / t, 2 * noise / t)
        self.moves.append(float(np.sum(whole)))
        self.most = max(self.most, moved)
        return True

    def _settled(self) -> bool:
        best = self.both.best
        size = max(abs(best.value), self.natural, NOTHING)  # nan where there is no estimate: not settled
        enough = max(abs(best.value), 0.001 * self.natural, NOTHING) if self.both.age < STALE else size
        return best.error <= ENOUGH * enough and self._sides_agree(size)

    def _confirmed(self, t: float) -> bool:
        """A much smaller step, in no simple ratio to the others, would see what all of them have stepped over."""
        best, small = self.both.best, t / 67.3
        slope = float(np.sum(self.function(small) - self.function(-small))) / (2 * small)
        curved = abs(self.both.row[0][0] - best.value) / 1000
        return abs(slope - best.value) <= SAFETY * (best.error + self.rounded / small) + curved

    def _sides_agree(self, size: float) -> bool:
        both, left, right = self.both.best, self.left.best, self.right.best
        agree = left.agrees(right) and left.agrees(both) and right.agrees(both)
        return agree and max(left.error, right.error) <= 10 * USEFUL * size

    def _jumps(self) -> bool:
        """Whether the last steps, each half of the one before, all moved the function by as much."""
        last = np.abs(self.moves[-4:])
        return len(last) == 4 and float(np.max(last) - np.min(last)) < 0.01 * float(np.min(last))

    def _told(self) -> Estimate:
        best = self.both.best
        return Estimate(best.value, SAFETY * best.error + 10 * EPSILON * self.natural, hidden=self._hidden())

    def _hidden(self) -> float:
        """What may be missing because it is less than the rounding of a number that has not moved."""
        # Where nothing moves in the end, that may be for an intermediate's rounding, of a size that is not known.
        lost = len(self.moves) > 0 and self.moves[-1] == 0 and self.most <= LOST * self.unit
        still = 10 * EPSILON * np.where(self.changed, 0.0, np.abs(self.here)) / self.scale
        if float(np.sum(still)) > LOST * self.unit:  # of large numbers, only those that have to do with it at all
            far = max(1000.0, float(np.max(np.abs(self.here)))) * self.scale
            moved = (self.function(far) != self.here) | (self.function(-far) != self.here)
            still = np.where(moved, still, 0.0)
        return float(np.sum(still)) + (LOST * self.unit if lost else 0.0)

    def _judged(self) -> Estimate:
        """What the steps say, none of which was good enough by itself."""
        finite = len(self.moves) > 0 and bool(np.all(np.isfinite(self.moves)))
        if finite and self.most <= 10 * min(EPSILON * self.unit, self.rounded):  # all that moves is rounding
            return Estimate(0.0, 100 * EPSILON * self.unit / self.scale, hidden=self._hidden())
        best, left, right = self.both.best, self.left.best, self.right.best
        for side, name in ((left, "to the left"), (right, "to the right")):
            if not math.isfinite(side.error):
                return Estimate(best.value, math.inf, f"the function is not finite, or fails, a little {name}")
        size = max(abs(best.value), self.natural, abs(left.value), abs(right.value), self.unit, NOTHING)
        gap, slopes = abs(left.value - right.value), None
        if max(left.error, right.error) <= ROUGH * size and gap > USEFUL * size and not left.agrees(right):
            slopes = (left.value, right.value)
            doubt = f"a kink: the slope is {left.value:.6g} on the left and {right.value:.6g} on the right"
        elif self._jumps():
            doubt = "a jump: however small the step, the function changes by as much"
        elif best.error > USEFUL * size or not self._sides_agree(100 * size):
            doubt = "the function is too rough, or too noisy, to be measured here"
        else:
            return self._told()
        return Estimate(best.value, max(best.error, gap), doubt, slopes=slopes)


def derivative(
    function: Function,
    near: float,
    noise: np.ndarray,
    displaced: float = 0.0,
    unit: float = 0.0,
    first: float = 1.0,
    rounded: np.ndarray | float = 0.0,
) -> Estimate:
    """Return the derivative at t = 0 of the sum of ``function(t)``, a flat array, with its error.

    Steps begin at 0.1; where these do not succeed, at a tenth of ``near``, the size of what t is added to. ``noise`` is
    that of the function, as ``noise_of`` measures it, ``displaced`` what the rounding of its inputs may move the sum
    by, and ``unit`` a size of derivative that is so usual that a small share of it counts as none. Another ``first``
    than 1 makes all steps others. ``rounded`` is the noise that the function has at least.
    """
    least = 8 * EPSILON * near  # of a step that moves an input of size ``near``

    def look(scale: float, noise: np.ndarray) -> Estimate:
        return Line(function, first * scale, noise, displaced, unit, least).look()

    found = look(1.0, noise)
    if near and (found.doubt or found.error > VAGUE * abs(found.value)):
        own = look(1.0, np.maximum(noise_of(function), rounded))  # that of this line alone may be less
        found = own if not own.doubt and (found.doubt or own.error < found.error) else found
    if not found.doubt or not near:
        return found
    other = look(near, np.maximum(noise_of(function, near), rounded))
    if near < 1 or other.doubt or not math.isfinite(found.error):
        return found if other.doubt else other
    # Steps of a large number may pass over what the small ones, with all their noise, still have seen.
    missed = abs(found.value - other.value) > found.error
    return found if missed else Estimate(other.value, max(other.error, found.error), hidden=other.hidden)


def noise_of(function: Function, scale: float = 1.0) -> np.ndarray:
    """Measure the rounding errors of ``function(t)`` about t = 0, for each of its numbers.

    Differences of sixth order over steps of 1e-6 ``scale`` see nothing of a smooth function and all of its noise. What
    they see of a kink shrinks with the step.
    """
    steps = (1e-6, 3.1e-8)
    (coarse, values), (fine, _) = (_sixth(function, step * scale) for step in steps)
    least, found = 16 * EPSILON * np.max(np.abs(values), axis=0), np.maximum(coarse, fine)
    with np.errstate(all="ignore"):
        kink = np.abs(fine / coarse * steps[0] / steps[1] - 1) < 0.2
    return np.where(kink | (found <= least), np.minimum(found, least), found)


def _sixth(function: Function, step: float) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([function(k * step) for k in range(-3, 4)])
    sixth = 2 * np.abs(np.diff(values, 6, axis=0)[0]) / math.sqrt(math.comb(12, 6))
    return np.where(np.isfinite(sixth), sixth, 0.0), values
