"""Moments: what the step control walks through. Quantities that do not wait for one another share a moment.

Every cell has a mark: 100 · moment + (number of its block within the moment); cells that are typed in have negative
marks. A sheet then needs three rules only: marked with this moment (computed now), later, or among those read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinynet.workbook.families import parameter_of
from tinynet.workbook.layout import Layout
from tinynet.workbook.plan import Block

PER_MOMENT = 100
MOST_READ = 48  # blocks that can be outlined at one moment


@dataclass(eq=False)
class Moment:
    """One press of the step control."""

    number: int
    phase: str
    time: int | None
    blocks: list[Block] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)  # marks


class Moments:
    """All moments of a layout, in order, and the ``mark`` of every cell."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.all: list[Moment] = []
        self.mark = np.zeros(layout.plan.cells + 1, dtype=np.int64)
        self._leaves()
        for block in layout.plan.blocks:
            if block.expression is not None:
                self._add(block)
        for moment in self.all:
            moment.reads = self._reads(moment)

    def _leaves(self) -> None:
        number = 0
        for rectangle in (r for sheet in self.layout.sheets for part in sheet.parts for r in part.rectangles):
            if rectangle.role == "parameter":
                number += 1
                self.mark[rectangle.ids] = -number
        for block in self.layout.plan.blocks:
            if block.expression is None and block.kind != "parameter":
                times = self.layout.tags.time[block.value.index]
                for time in np.unique(times):
                    number += 1
                    self.mark[block.ids[times == time]] = -number

    def _add(self, block: Block) -> None:
        moment = self.all[-1] if self.all else None
        if moment is None or not self._joins(block, moment):
            moment = Moment(len(self.all) + 1, block.phase, block.time)
            self.all.append(moment)
        self.mark[block.ids] = PER_MOMENT * moment.number + len(moment.blocks)
        moment.blocks.append(block)

    def _joins(self, block: Block, moment: Moment) -> bool:
        """A block joins the moment if it is at the same point of the computation and waits for none of it.

        Where an optimiser takes several steps to a new parameter, it is one parameter after the other.
        """
        first = moment.blocks[0]
        passed_on = block.value.share in ("next", "previous") and _neighbours(block.time, moment.time)
        together = block.time == moment.time or block.quantity == first.quantity or passed_on
        if not together or block.phase != moment.phase or len(moment.blocks) >= PER_MOMENT - 1:
            return False
        if block.update != first.update or self._turns(block, first):
            return False
        needed = block.expression.reads  # type: ignore[union-attr]
        return not needed or not np.any(self.mark[np.concatenate(needed)] // PER_MOMENT == moment.number)

    def _turns(self, block: Block, first: Block) -> bool:
        """Whether an update of several steps turns to another parameter."""
        several = block.value.beside is not None or first.value.beside is not None
        computed = block.phase == "update" and block.update == block.value.update
        return several and computed and parameter_of(block) is not parameter_of(first)

    def _reads(self, moment: Moment) -> list[int]:
        ids = [part for block in moment.blocks for part in block.expression.reads]  # type: ignore[union-attr]
        marks = {mark for part in ids for mark in self.mark[part].tolist()} - {0}
        return sorted(marks) if len(marks) <= MOST_READ else []


def _neighbours(a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and abs(a - b) == 1
