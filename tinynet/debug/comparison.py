"""Somebody's numbers beside those of a program: where they agree, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinynet.debug.endings import behind_ends, irrelevant
from tinynet.debug.hypotheses import family_of
from tinynet.debug.program import Program

NOTHING: Mapping[int, np.ndarray] = {}


class Comparison:
    """The arrays of ``mine`` ({value index: array}), laid beside the values of a program.

    ``order`` is that of execution, ``rank`` a value's place in it; ``allowed`` says how far each value may be off:
    ``tolerance`` times its scale.
    """

    def __init__(self, program: Program, mine: Mapping[int, np.ndarray], tolerance: float):
        self.program, self.tolerance = program, tolerance
        self.irrelevant = irrelevant(program, mine, tolerance)
        self.mine = {i: self._relevant(i, array) for i, array in mine.items()}
        self.order = sorted(mine, key=lambda index: (program.made_by.get(index, -1), index))
        self.rank = {index: n for n, index in enumerate(self.order)}
        self.scales = self._scales()
        self.allowed = {i: tolerance * scale for i, scale in self.scales.items()}

    def _relevant(self, index: int, array: np.ndarray) -> np.ndarray:
        """The user's array, in float64; where anything may stand, ours is put."""
        array = array.astype(float) if array.dtype.kind == "f" else np.asarray(array)
        return np.where(self.irrelevant.get(index, False), self.program.arrays[index], array)

    def _scales(self) -> dict[int, float]:
        """What differences are measured by: the largest number of a quantity, over all its steps."""
        largest: dict[tuple, float] = {}
        for index in self.mine:
            family = family_of(self.program.run.values[index])
            size = float(np.abs(self.program.arrays[index]).max(initial=0))
            largest[family] = max(largest.get(family, 0.0), size)
        return {i: max(largest[family_of(self.program.run.values[i])], 1e-12) for i in self.mine}

    def agrees(self, index: int, array: np.ndarray) -> np.ndarray:
        """Where an array is theirs, or need not be."""
        self.program.work.add(1, self.mine[index].size)
        with np.errstate(all="ignore"):
            distance = np.abs(np.asarray(array, float) - self.mine[index])
            size = np.abs(np.where(np.isfinite(self.mine[index]), self.mine[index], 0.0))
            allowed = np.maximum(self.allowed[index], self.tolerance * size)
            same = (distance <= allowed) | (np.isnan(array) & np.isnan(self.mine[index]))
            return same | (np.asarray(array) == self.mine[index]) | self.irrelevant.get(index, False)

    def wrong(self, changed: Mapping[int, np.ndarray] = NOTHING) -> list[int]:
        """The values that differ, in the order of execution, where some have ``changed``."""
        arrays = self.program.arrays
        return [i for i in self.order if not np.all(self.agrees(i, changed.get(i, arrays[i])))]

    def behind_ends(self, wrong: list[int]) -> bool:
        """Whether all that is ``wrong`` with our numbers lies behind the ends of sequences."""
        beyond = behind_ends(self.program, wrong)
        return all(np.all(self.agrees(i, self.program.arrays[i]) | beyond.get(i, False)) for i in wrong)
