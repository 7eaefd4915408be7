"""Which of somebody's gradients are wrong, and not only called like ours: their later gradients follow from them.

A variable may have the name of a gradient and be something else: dA before it is divided by the size of the batch, a
part of a sum, what is scaled in place later. Had it been used as that gradient, the gradients of the parameters would
be others than theirs. So names alone accuse nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, auto

import numpy as np

from tinynet.debug.comparison import Comparison
from tinynet.debug.hypotheses.base import Family, family_of
from tinynet.debug.program import Edit

MOST_STEPS = 3000  # of a program that is computed for each of these:
MOST_SIZES = 6  # by which, and by whose square root, somebody's gradients are tried to be too large


class Verdict(Enum):
    """Whether somebody used an array as the gradient that it is called."""

    USED = auto()
    UNUSED = auto()
    UNDECIDED = auto()  # their later gradients are wrong either way


class Consequences:
    """What follows from somebody's gradients for those that nothing follows from (``ends``, by value index)."""

    def __init__(self, comparison: Comparison, ends: Iterable[int]):
        self.program, self.comparison, self.ends = comparison.program, comparison, set(ends)
        self.known: dict[int, np.ndarray] = {}  # the wrong numbers that the user did use
        self.now: dict[int, np.ndarray] = {}  # what follows from these, by value index
        self.scales: list[float] = []  # that the user takes out later, as 1/m
        self.scaled: dict[int, float] = {}  # by value index: their numbers are so many times the gradient

    def judge(self, gradients: Iterable[int]) -> dict[int, Verdict]:
        """Of each gradient of the user's that is not what follows from those before, whether they used it."""
        waiting: dict[Family, list[int]] = {}
        for index in gradients:
            waiting.setdefault(family_of(self.program.run.values[index]), []).append(index)
        found: dict[int, Verdict] = {}
        while (family := self._first(waiting)) is not None:
            group = waiting.pop(family)
            verdict = self._judge(group)
            if not self._agree(group):
                found |= dict.fromkeys(group, verdict)
        return found

    def _first(self, waiting: dict[Family, list[int]]) -> Family | None:
        """The quantity that is not as expected at the first place; where the user scales, any may be such a one."""
        wrong = {family: [i for i in group if self.scales or not self._agree([i])] for family, group in waiting.items()}
        places = {family: min(self.comparison.rank[i] for i in group) for family, group in wrong.items() if group}
        return min(places, key=places.__getitem__) if places else None

    def _judge(self, group: list[int]) -> Verdict:
        first = self._effect(group, 1.0)
        if first is Verdict.USED:
            return first
        for scale in self.scales or self._likely_scales():
            if self._effect(group, scale) is Verdict.USED:
                return Verdict.USED
        self._note_scale(group)
        return first

    def _effect(self, group: list[int], scale: float) -> Verdict:
        """Whether more of the user's ends follow from these numbers, and none less; then they are known from now on."""
        theirs = {i: self.comparison.mine[i] / scale for i in group}
        after = self.program.evaluate(Edit(), self.known | theirs)
        if after is None:
            return Verdict.UNUSED
        changed = gained = lost = False
        for i in self.ends:
            old, new = self._expected(i), after.get(i, self.program.arrays[i])
            before, then = self.comparison.agrees(i, old), self.comparison.agrees(i, new)
            changed = changed or not np.allclose(old, new, rtol=1e-9, atol=self.comparison.allowed[i])
            gained, lost = gained or bool(np.any(then & ~before)), lost or bool(np.any(before & ~then))
        if gained and not lost:
            self.known, self.now = self.known | theirs, after
            self.scaled |= {i: scale for i in group if scale != 1}
            return Verdict.USED
        return Verdict.UNDECIDED if changed and not lost else Verdict.UNUSED

    def _agree(self, group: Iterable[int]) -> bool:
        """Whether the user's numbers are what is expected of those before."""
        return all(np.all(self.comparison.agrees(i, self._expected(i))) for i in group)

    def _expected(self, index: int) -> np.ndarray:
        return self.now.get(index, self.program.arrays[index])

    def _likely_scales(self) -> Iterator[float]:
        """The sizes of what is given: of a batch, of the vectors of an attention."""
        if len(self.program.steps) > MOST_STEPS:
            return
        sizes = {float(size) for leaf in self.program.run.leaves for size in leaf.shape if size > 1}
        for size in sorted(sizes)[:MOST_SIZES]:
            yield from (size, 1 / size, size**0.5, size**-0.5)

    def _note_scale(self, group: list[int]) -> None:
        """Remember how many times what is expected these are."""
        ours = np.concatenate([np.ravel(self._expected(i)) for i in group])
        theirs = np.concatenate([np.ravel(self.comparison.mine[i]) for i in group])
        size = float(ours @ ours)
        scale = float(ours @ theirs) / size if size else 0.0
        near = [scale * (1 - 1e-6), scale * (1 + 1e-6)]
        known = any(min(near) <= other <= max(near) for other in (0.0, 1.0, *self.scales))
        if not known and np.allclose(theirs, scale * ours, rtol=1e-6, atol=1e-9 * np.abs(theirs).max()):
            self.scales.append(scale)
