"""Where gradients are not what is measured: all elements at once first, then those that are not right one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinynet.testing.agreement import FEW, Agreement
from tinynet.testing.doubts import outside_a_kink, too_inexact, unrepeatable
from tinynet.testing.lines import Lines
from tinynet.testing.richardson import Estimate
from tinynet.testing.verdict import Element

ENOUGH = 8  # wrong elements, of more than that
DOUBTFUL = 20  # the same for those of which one cannot tell
MOST = 300  # measurements, of more than that
TRIED = 8  # elements of a group that is not right, before the rest of it is halved
CONFIRMED = 1  # wrong element that is looked at again: the verdict rests on it


class Search:
    """Look for elements that are not right: ``found``. ``numerical`` and ``error`` hold what was measured, by input."""

    def __init__(self, names: Sequence[str], lines: Lines):
        self.names, self.lines, self.agreement = names, lines, Agreement(lines)
        self.numerical = [None if g is None else np.full(g.shape, np.nan) for g in lines.gradients]
        self.error = [None if g is None else np.full(g.shape, np.nan) for g in lines.gradients]
        self.found: list[Element] = []
        self.measured: set[int] = set()
        self.measurements = 0
        self.unexplained = ""  # why what is not right together, of which no single element is wrong

    def run(self, together: bool = False) -> None:
        """Measure each element by itself where they are few; otherwise, or ``together``, what is not right at once."""
        lines = self.lines
        few = lines.size <= FEW
        suspects = [np.arange(lines.size)]
        if together or not few:
            suspects = [group for group in self._groups() if not self._right_together(group, inexact=False)]
        for group in suspects:
            self._ones(group if few else group[:: -(-group.size // TRIED)])
        for group in suspects:
            self._search(group)
        self.found.sort(key=lambda e: (self.names.index(e.input), e.index))

    @property
    def enough(self) -> bool:
        """Whether no more is looked for."""
        doubtful = sum(bool(element.doubt) for element in self.found)
        few = self.lines.size <= FEW
        wrong = len(self.found) - doubtful
        return not few and (wrong >= ENOUGH or doubtful >= DOUBTFUL or self.measurements >= MOST)

    def _groups(self) -> list[np.ndarray]:
        """The elements of each input, those of like slopes together: of one sum the largest hides the smallest."""
        found, lines = [], self.lines
        for elements in np.split(np.arange(lines.size), lines.ends[:-1]):
            slopes = np.abs(lines.claimed[elements] * lines.direction[elements])
            usual = np.isfinite(slopes) & (slopes > 0)
            largest = np.max(slopes, initial=0.0, where=usual)
            apart = np.log(largest) - np.log(np.where(usual, slopes, 1.0))
            orders = np.where(usual, apart // np.log(1000), -1)
            found += [elements[orders == order] for order in np.unique(orders)]
        return found

    def _search(self, group: np.ndarray) -> None:
        """Look for what is not right in the rest of a group; say so where no single element explains it."""
        before, rest = len(self.found), np.setdiff1d(group, list(self.measured))
        if not rest.size or (self.enough and self.found) or self._right_together(rest, inexact=False):
            return
        name = self.names[self.lines.place(int(rest[0]))[0]]
        if self._right_together(rest):
            self.unexplained = f"the numerical derivatives by the elements of {name} together are too inexact"
            return
        self._halve(rest)
        if len(self.found) == before:
            self.unexplained = f"the elements of {name} are not right together, and none of them is wrong by itself"

    def _halve(self, group: np.ndarray) -> None:
        """Look for single elements that are not right, in halves of halves."""
        waiting = [group]
        while waiting and not self.enough:
            group = waiting.pop()
            if group.size == 1:
                self._ones(group)
                continue
            middle = group.size // 2
            halves = (group[middle:], group[:middle])
            waiting += [half for half in halves if not self._right_together(half)]

    def _right_together(self, group: np.ndarray, inexact: bool = True) -> bool:
        """Whether a group is right as a whole, or may be, ``inexact``; if need be, when small numbers move by less."""
        along, sizes = self.lines.usual(group), np.abs(self.lines.point[group])
        smaller = along * np.where((sizes > 0) & (sizes < 1), sizes, 1.0)
        right = self.agreement.agrees if inexact else self.agreement.right
        directions = (along, smaller) if group.size > 1 and np.any(smaller != along) else (along,)
        for each in directions:
            estimate = self._estimate(group, each)
            if right(group, each, estimate):
                return True
            if self.agreement.disagrees(group, each, estimate):
                return False
        return False

    def _estimate(self, group: np.ndarray, along: np.ndarray) -> Estimate:
        self.measurements += 1
        return self.lines.estimate(group, along)

    def _ones(self, group: np.ndarray) -> None:
        """Measure elements, each by itself, and keep those that are not right."""
        for k in group.tolist():
            if not self.enough and k not in self.measured:
                self._one(k)

    def _one(self, k: int) -> None:
        self.measured.add(k)
        alone, along, (i, index) = np.array([k]), np.ones(1), self.lines.place(k)
        estimate = self._estimate(alone, along)
        numerical, error = self.numerical[i], self.error[i]
        assert numerical is not None and error is not None
        numerical[index], error[index] = estimate.value, estimate.error if not estimate.doubt else np.nan
        if self.agreement.right(alone, along, estimate):
            return
        claimed, doubt = float(self.lines.claimed[k]), self._doubt(k, estimate)
        element = Element(self.names[i], index, claimed, estimate.value, estimate.error, doubt, estimate.slopes)
        self.found.append(element)

    def _doubt(self, k: int, estimate: Estimate) -> str:
        """Why an element that is not right is not wrong either; "" where it is."""
        if outside_a_kink(self.lines, k, estimate):
            return ""
        if estimate.doubt:
            return estimate.doubt + (f" ({self.lines.failure})" if self.lines.failure else "")
        alone, along = np.array([k]), np.ones(1)
        if self.agreement.agrees(alone, along, estimate):
            return f"the numerical derivative, {estimate.value:.3g}, is off by up to {estimate.error:.1g}"
        confirmed = sum(not element.doubt for element in self.found) >= CONFIRMED
        inexact = too_inexact(float(self.lines.claimed[k]), estimate)
        return inexact or ("" if confirmed else unrepeatable(self.lines, k, estimate))
