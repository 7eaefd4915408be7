"""Whether what gradients claim along a line is what was measured, and was measured well enough to say so."""

from __future__ import annotations

import math

import numpy as np

from tinynet.testing.lines import Lines
from tinynet.testing.numerical import EPSILON
from tinynet.testing.richardson import Estimate

FEW = 16  # elements, of which each is measured; more are first tried all at once
INEXACT = 0.01  # error of a numerical derivative, as a share of it, beyond which it proves nothing
ROUNDINGS = 100  # that a gradient may have gathered; at most INEXACT in all
NONE = 10 * EPSILON  # of the cotangents' size: what the rounding of numbers about 1 may leave of a derivative
CLEAR = 8  # times all known errors, beyond which a difference is clear
FAR = 100  # times what is known of errors, beyond which a difference is none of them
STEP = 0.02  # of each number's size, to see how a backward pass rounds
ELSEWHERE = (0.5, 0.1, 0.0)  # shares of the point


class Agreement:
    """The gradients that are claimed, held against what is measured along the same lines.

    ``precision`` is the largest error of what agreed, as a share of what it is the error of.
    """

    def __init__(self, lines: Lines):
        self.lines, self.precision = lines, 0.0
        parts = np.split(lines.claimed, lines.ends[:-1])
        self.usual = np.concatenate([np.full(part.size, _usual(part)) for part in parts])

    def right(self, group: np.ndarray, along: np.ndarray, estimate: Estimate) -> bool:
        """Whether a group agrees with an estimate that is precise enough to prove something."""
        if not self.agrees(group, along, estimate) or self.inexact(group, along, estimate):
            return False
        self.precision = max(self.precision, estimate.error / self._scale(group, along, estimate))
        return True

    def inexact(self, group: np.ndarray, along: np.ndarray, estimate: Estimate) -> bool:
        return estimate.error > INEXACT * self._scale(group, along, estimate)

    def _scale(self, group: np.ndarray, along: np.ndarray, estimate: Estimate) -> float:
        """What an error is to be small beside: the derivative, or what is usual of those by the same input."""
        size = max(abs(estimate.value), _norm(self.lines.claimed[group] * along))
        # What may be zero is measured well enough where half the digits of the function are known of it.
        zero = math.sqrt(self.lines.function_rounding) / INEXACT * self.lines.unit if size <= estimate.error else 0.0
        scale = max(size, float(np.max(self.usual[group] * np.abs(along))), zero)
        return scale if 0 < scale < math.inf else 1.0

    def agrees(self, group: np.ndarray, along: np.ndarray, estimate: Estimate) -> bool:
        """Whether what the gradients claim along a group is what was measured, up to rounding."""
        gap, known = self._gap(group, along, estimate)
        if estimate.doubt or not np.isfinite(gap) or gap > known + NONE * self.lines.unit:
            return False
        if gap <= FAR * known + estimate.hidden:
            return True
        return gap <= FAR * self._backward_noise(group, along)

    def disagrees(self, group: np.ndarray, along: np.ndarray, estimate: Estimate) -> bool:
        """Whether it is so far from what was measured that another direction, which may hide that, proves nothing."""
        gap, known = self._gap(group, along, estimate)
        return not estimate.doubt and gap > CLEAR * known

    def _gap(self, group: np.ndarray, along: np.ndarray, estimate: Estimate) -> tuple[float, float]:
        """How far what is claimed is from what was measured, and what the known errors of both come to.

        Each element is rounded by itself, so what the roundings of many come to is the root of their squares' sum.
        """
        terms = self.lines.claimed[group] * along
        shares = np.minimum(ROUNDINGS * self.lines.rounding[group], INEXACT)
        return abs(float(np.sum(terms)) - estimate.value), estimate.error + _norm(shares * terms)

    def _backward_noise(self, group: np.ndarray, along: np.ndarray) -> float:
        """What rounding does to a slope that is claimed: what cancelling numbers leave is no smooth function.

        It is infinite where that cannot be seen. What rounding has made a constant is none far away.
        """
        lines = self.lines
        step = STEP * lines.direction * np.minimum(1.0, np.abs(lines.point))
        slopes = np.array([self._claimed(lines.point + k * step, group, along) for k in range(-3, 4)])
        if not np.all(np.isfinite(slopes)):
            return math.inf
        if np.any(slopes != slopes[0]):
            return 2 * abs(float(np.diff(slopes, 6)[0])) / math.sqrt(math.comb(12, 6))
        away = 0.3 * lines.direction / np.maximum(1.0, np.abs(lines.point))
        others = [self._claimed(share * lines.point + away, group, along) for share in ELSEWHERE]
        return 0.0 if all(other == slopes[0] for other in others) else math.inf

    def _claimed(self, point: np.ndarray, group: np.ndarray, along: np.ndarray) -> float:
        """The slope that is claimed at another point; nan where there is none."""
        arrays = self.lines.at(point)
        try:
            gradients = self.lines.subject.backward(arrays, self.lines.cotangents)
            filled = [np.zeros(a.shape) if g is None else g for a, g in zip(arrays, gradients, strict=True)]
            return float(np.sum(self.lines.flat(filled)[group] * along))
        except Exception:  # somebody's function may refuse what is outside its domain
            return math.nan


def _norm(numbers: np.ndarray) -> float:
    """The root of the sum of the squares, none of which overflows; of the finite numbers."""
    sizes = np.abs(numbers[np.isfinite(numbers)])
    largest = float(np.max(sizes, initial=0.0))
    return largest * float(np.sqrt(np.sum((sizes / largest) ** 2))) if largest else 0.0


def _usual(gradient: np.ndarray) -> float:
    """Of few elements the root mean square; of many, which are measured together, the root of the sum of squares."""
    return _norm(gradient) / (math.sqrt(max(1, gradient.size)) if gradient.size <= FEW else 1.0)
