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
from tinynet.workbook.reads import labels_read

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
        self.mark = np.zeros(layout.plan.cells + 1, dtype=np.int32)
        self.number = [0] * len(layout.plan.blocks)  # of the moment that a block is computed in
        self._leaves()
        for index, block in enumerate(layout.plan.blocks):
            if block.expression is not None:
                self._add(index, block)
        self._reads()

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

    def _add(self, index: int, block: Block) -> None:
        moment = self.all[-1] if self.all else None
        if moment is None or not self._joins(index, block, moment):
            moment = Moment(len(self.all) + 1, block.phase, block.time)
            self.all.append(moment)
        self.mark[block.ids] = PER_MOMENT * moment.number + len(moment.blocks)
        self.number[index] = moment.number
        moment.blocks.append(block)

    def _joins(self, index: int, block: Block, moment: Moment) -> bool:
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
        return all(self.number[source] != moment.number for source in self.layout.families.sources[index])

    def _turns(self, block: Block, first: Block) -> bool:
        """Whether an update of several steps turns to another parameter."""
        several = block.value.beside is not None or first.value.beside is not None
        computed = block.phase == "update" and block.update == block.value.update
        return several and computed and parameter_of(block) is not parameter_of(first)

    def _reads(self) -> None:
        """The marks that each moment reads; none where there are too many to be outlined."""
        blocks = [(moment.number, block) for moment in self.all for block in moment.blocks]
        parts = [(number, ids) for number, block in blocks for ids in block.expression.reads]  # type: ignore[union-attr]
        for number, mark in labels_read([ids for _, ids in parts], [number for number, _ in parts], self.mark):
            self.all[number - 1].reads.append(mark)
        for moment in self.all:
            if len(moment.reads) > MOST_READ:
                moment.reads = []


def _neighbours(a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and abs(a - b) == 1
