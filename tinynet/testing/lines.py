"""A function along straight lines through a point: what is measured there, beside what its gradients claim."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tinynet.testing.numerical import EPSILON, Function, derivative, noise_of
from tinynet.testing.richardson import Estimate
from tinynet.testing.subject import Arrays, Subject, is_floating
from tinynet.testing.verdict import Element

TOGETHER = 16  # elements; more are first tried all at once
ONE_BY_ONE = 1000  # elements; of more, what is not right is looked for in halves of halves
ENOUGH = 20  # elements that are not right, of those that are looked for in halves
SINGLE = float(np.finfo(np.float32).eps)
INEXACT = 0.01  # error of a numerical derivative, beyond which it proves nothing
DECADES = [0.83 * 10.0**-k for k in range(1, 25)]  # of steps
LARGE = [0.83 * 10.0 ** (-k / 2) for k in range(2, 7)]  # steps
NONE = 10 * EPSILON  # of the cotangents' size: what rounding leaves of a derivative that is zero


class Lines:
    """The sum of the outputs times ``cotangents``, along lines through ``arrays``; ``found`` is what is not right.

    The floating-point inputs are one flat vector here; a group is an index array into it.
    """

    def __init__(
        self,
        names: list[str],
        subject: Subject,
        arrays: Arrays,
        outputs: Arrays,
        cotangents: Arrays,
        gradients: list[np.ndarray | None],
    ):
        self.names, self.subject, self.arrays, self.outputs = names, subject, arrays, outputs
        self.cotangents, self.gradients = cotangents, gradients
        self.numerical = [None if g is None else np.full(g.shape, np.nan) for g in gradients]
        self.error = [None if g is None else np.full(g.shape, np.nan) for g in gradients]
        self.found: list[Element] = []
        self.floating = [i for i, a in enumerate(arrays) if is_floating(a)]
        self.point = np.concatenate([arrays[i].reshape(-1) for i in self.floating]).astype(np.float64)
        self.claimed = np.concatenate([np.asarray(gradients[i]).reshape(-1) for i in self.floating]).astype(np.float64)
        self.ends = np.cumsum([arrays[i].size for i in self.floating])
        self.size = self.point.size
        pairs = [(arrays[i], np.asarray(gradients[i])) for i in self.floating]
        self.rounding = max(float(np.finfo(a.dtype).eps) for pair in pairs for a in pair if is_floating(a))
        self.unit = float(np.sqrt(sum(float(np.sum(g * g)) for g in cotangents)))
        # Each element moves by about its own size: then the rounding of the large ones does not hide the small.
        random = np.random.default_rng(self.size)
        signs = random.choice([-1.0, 1.0], self.size)
        self.direction = signs * random.uniform(0.5, 1.0, self.size) * np.maximum(1.0, np.abs(self.point))

    def examine(self, together: bool = False) -> None:
        """Measure each input at once, or each element by itself where they are few, or something is not right."""
        if self.size > TOGETHER or together:
            suspects = [group for group in self._groups() if not self._right_together(group)]
        else:
            suspects = [np.arange(self.size)]
        for group in suspects:
            if group.size <= ONE_BY_ONE:
                for k in group.tolist():
                    self._one(k)
            else:
                self._halve(group)

    def _groups(self) -> list[np.ndarray]:
        """The elements of each input, those of like slopes together: of one sum the largest hides the smallest."""
        found = []
        for elements in np.split(np.arange(self.size), self.ends[:-1]):
            slopes = np.abs(self.claimed[elements] * self.direction[elements])
            usual = np.isfinite(slopes) & (slopes > 0)
            largest = np.max(slopes, initial=0.0, where=usual)
            orders = np.where(usual, np.log(largest / np.where(usual, slopes, 1.0)) // np.log(1000), -1)
            found += [elements[orders == order] for order in np.unique(orders)]
        return found

    def _halve(self, group: np.ndarray) -> None:
        """Look for single elements that are not right, in halves of halves; some are enough."""
        waiting = [group]
        while waiting and len(self.found) < ENOUGH:
            group = waiting.pop()
            if group.size == 1:
                self._one(int(group[0]))
                continue
            middle = group.size // 2
            halves = (group[middle:], group[:middle])
            waiting += [half for half in halves if not self._right_together(half)]

    @property
    def complete(self) -> bool:
        """Whether every element of every input with something wrong in it was measured."""
        return len(self.found) < ENOUGH or self.size <= ONE_BY_ONE

    def _one(self, k: int) -> None:
        """Measure one element, and keep it if it is not right."""
        group = np.array([k])
        estimate = self._estimate(group)
        i, index = self._place(k)
        numerical, error = self.numerical[i], self.error[i]
        assert numerical is not None and error is not None
        numerical[index], error[index] = estimate.value, estimate.error if not estimate.doubt else np.nan
        if self._agrees(group, self._usual(group), estimate):
            return
        claimed = float(self.claimed[k])
        doubt = estimate.doubt or self._too_inexact(claimed, estimate) or self._unrepeatable(group, estimate)
        self.found.append(Element(self.names[i], index, claimed, estimate.value, estimate.error, doubt))

    def _too_inexact(self, claimed: float, estimate: Estimate) -> str:
        """Why a numerical derivative proves nothing against a gradient that is another one; "" where it does."""
        if not np.isfinite(claimed):
            return ""
        if estimate.error > INEXACT * max(abs(estimate.value), abs(claimed)):
            return f"the numerical derivative, {estimate.value:.3g}, is off by up to {estimate.error:.1g}"
        if abs(claimed - estimate.value) <= estimate.error + estimate.hidden:
            return "the difference is so small that rounding may hide it"
        return ""

    def _unrepeatable(self, group: np.ndarray, estimate: Estimate) -> str:
        """Why other steps prove something else; "" where they do not. No gradient is called wrong by chance."""
        again = self._estimate(group, first=0.37)
        near = float(np.max(np.abs(self.point[group])))
        closer = self._estimate(group, first=0.37 * near) if 0 < near < 1 else again
        if again.doubt:
            return again.doubt
        differs = abs(again.value - estimate.value) > again.error + estimate.error
        if not closer.doubt:
            differs |= abs(closer.value - estimate.value) > closer.error + estimate.error
        else:  # too noisy to tell by itself, but a slope of another order is no noise
            differs |= abs(closer.value) > 1000 * (abs(estimate.value) + estimate.error)
        differs = differs or self._as_claimed_nearby(group, near, estimate)
        return "two measurements differ: something happens very near" if differs else ""

    def _as_claimed_nearby(self, group: np.ndarray, near: float, estimate: Estimate) -> bool:
        """Whether other steps have the slope that is claimed: small ones of three decades, or two of the largest."""
        gap = abs(float(self.claimed[group[0]]) - estimate.value)
        if not np.isfinite(gap):
            return False
        nearby = [self._in_a_row(group, [scale * t for t in DECADES], gap / 20) for scale in (1.0, near) if scale]
        return max(nearby) >= 3 or self._in_a_row(group, LARGE, gap / 3) >= 2

    def _in_a_row(self, group: np.ndarray, steps: list[float], gap: float) -> int:
        """How many steps in a row, each of which moves something, have the slope that is claimed."""
        claimed, function = float(self.claimed[group[0]]), self._along(group, np.ones(1))
        longest = found = 0
        for t in steps:
            rise = float(np.sum(function(t) - function(-t)))
            found = found + 1 if rise != 0 and abs(rise / (2 * t) - claimed) <= gap else 0
            longest = max(longest, found)
        return longest

    def _estimate(self, group: np.ndarray, along: np.ndarray | None = None, first: float = 1.0) -> Estimate:
        """The derivative by one element, or along a group of them."""
        near = abs(float(self.point[group[0]])) if group.size == 1 else 0.0
        displaced = self.rounding * float(np.sum(np.abs(self.claimed[group] * self.point[group])))
        displaced = displaced if np.isfinite(displaced) else 0.0
        function = self._along(group, self._usual(group) if along is None else along)
        return derivative(function, near, self.noise, displaced, self.unit, first)

    def _usual(self, group: np.ndarray) -> np.ndarray:
        return np.ones(1) if group.size == 1 else self.direction[group]

    def _right_together(self, group: np.ndarray) -> bool:
        """Whether a group is right as a whole; if need be, when small numbers move by less."""
        along, sizes = self._usual(group), np.abs(self.point[group])
        smaller = along * np.where((sizes > 0) & (sizes < 1), sizes, 1.0)
        return self._right(group, along) or (group.size > 1 and self._right(group, smaller))

    def _right(self, group: np.ndarray, along: np.ndarray) -> bool:
        return self._agrees(group, along, self._estimate(group, along))

    def _agrees(self, group: np.ndarray, along: np.ndarray, estimate: Estimate) -> bool:
        """Whether what the gradients claim along a group is what was measured, up to rounding."""
        terms = self.claimed[group] * along
        slope, rounding = float(np.sum(terms)), 100 * self.rounding * float(np.sum(np.abs(terms))) + NONE * self.unit
        return not estimate.doubt and np.isfinite(slope) and abs(slope - estimate.value) <= estimate.error + rounding

    def _place(self, k: int) -> tuple[int, tuple[int, ...]]:
        """The input, and the index in it, of an element of the flat vector."""
        which = int(np.searchsorted(self.ends, k, side="right"))
        i = self.floating[which]
        flat = k - (int(self.ends[which - 1]) if which else 0)
        return i, tuple(int(n) for n in np.unravel_index(flat, self.arrays[i].shape))

    def _along(self, group: np.ndarray, direction: np.ndarray) -> Function:
        def function(t: float) -> np.ndarray:
            pairs = zip(self._moved(group, t * direction), self.cotangents, strict=True)
            return np.concatenate([(o * g).reshape(-1) for o, g in pairs if is_floating(o)]).astype(np.float64)

        return function

    def _moved(self, group: np.ndarray, by: np.ndarray) -> Arrays:
        """The outputs, at the point with a group of its elements moved."""
        flat = self.point.copy()
        flat[group] += by
        arrays = list(self.arrays)
        for i, part in zip(self.floating, np.split(flat, self.ends[:-1]), strict=True):
            arrays[i] = part.reshape(arrays[i].shape).astype(arrays[i].dtype)
        try:
            outputs = self.subject.forward(arrays)
        except Exception:  # somebody's function may refuse what is outside its domain
            outputs = []
        if [o.shape for o in outputs] != [o.shape for o in self.outputs]:
            return [np.full(o.shape, np.nan) if is_floating(o) else o for o in self.outputs]
        return outputs

    @cached_property
    def noise(self) -> np.ndarray:
        """Of each number of the weighted outputs: as measured, or what float32 must have."""
        everything = np.arange(self.size)
        along = self._along(everything, self.direction)
        moved = self._moved(everything, 1e-3 * self.direction)
        pairs = [(a, b) for a, b in zip(self.outputs, moved, strict=True) if is_floating(a)]
        single = np.concatenate([np.full(a.size, _in_float32(a, b)) for a, b in pairs])
        return np.maximum(noise_of(along), SINGLE * single * np.abs(along(0.0)))


def _in_float32(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether numbers were rounded to float32: all of them fit into it, and not because none has moved."""
    return bool(np.any(before != after) and np.all(after.astype(np.float32) == after))
