"""Rows are units, columns are time steps; forward on top, backward below as its mirror, the update last.

Weights stand at the left, on the rows of the quantity that they produce; a gradient stands in the columns of its
forward block.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tinynet.workbook.families import (
    Family,
    Piece,
    Section,
    last_part,
    optimiser_title,
    parameter_of,
)
from tinynet.workbook.keys import Keys, column_keys, pairs
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import (
    FIRST_SLOT,
    HEADER_ROW,
    Band,
    Builder,
    ColumnSheet,
    Group,
    Part,
    Rectangle,
    Slot,
    rectangle_name,
)
from tinynet.workbook.tags import NONE

if TYPE_CHECKING:
    from tinynet.workbook.layout import Layout, Round


class ColumnBuilder(Builder):
    """Fills one sheet from top to bottom: the forward pass, its mirror image, the update."""

    sheet: ColumnSheet

    def __init__(self, layout: Layout, sheet: ColumnSheet, sections: list[Section], round_: Round):
        self.layout, self.sheet, self.sections, self.round = layout, sheet, sections, round_
        self.families, self.tags = layout.families, layout.tags
        self.gradients = [f for f in round_.gradients if any(f.of in s.families for s in sections)]
        self.pieces = [piece for section in sections for piece in self._pieces_of(section)]
        sheet.keys, sheet.cuts = self._keys(), self._cuts()
        sheet.slots = self._slots()
        start = FIRST_SLOT
        for slot in sheet.slots:
            slot.start = start
            start += slot.width + 1
        sheet.value_start = start
        self.row = HEADER_ROW + (2 if sheet.samples > 1 and layout.timed else 1)

    def build(self) -> None:
        """Place everything; what belongs to no section comes last on the sheet that closes the round."""
        closing = self.round.closing is self.sheet
        homeless = self.round.homeless if closing else []
        self.forward(homeless)
        self.backward(homeless, self.round.elsewhere if closing else [], closing)
        self.update(homeless, self.round.optimiser if closing else [])
        self.sheet.bottom, self.sheet.edge = self.row, max(self.sheet.edge, self.sheet.right)

    def _pieces_of(self, section: Section) -> list[Piece]:
        section.pieces = [piece for piece in self.round.pieces if any(_same(piece, f) for f in section.families)]
        return section.pieces

    def _keys(self) -> list[tuple[int, int]]:
        """The columns of values: (time, sample), in order; all samples under each step.

        A summary of all samples has no column of its own, unless its quantity has numbers of single ones beside it.
        """
        found: set[tuple[int, int]] = set()
        summaries: set[tuple[int, int]] = set()
        families = [family for section in self.sections for family in section.families]
        for family in [*families, *self.gradients]:
            keys = column_keys(family.blocks, self.tags, self.layout.timed)
            keys = keys[keys.tagged(self.layout.timed)]
            _, first = np.unique(keys.pairs, return_index=True)
            here = set(zip(keys.time[first].tolist(), keys.sample[first].tolist(), strict=True))
            only_summaries = all(sample == NONE for _, sample in here)
            (summaries if only_summaries else found).update(here)
        sampled = {time for time, sample in found if sample != NONE}
        found |= {(time, sample) for time, sample in summaries if time not in sampled}
        return sorted(found) or [(NONE, NONE)]

    def _cuts(self) -> set[int]:
        """Where backpropagation through time was truncated: the state has a gradient there, of which nothing
        arrives from the step that follows, although elsewhere something does."""
        cuts: set[int] = set()
        for shared in (f for f in self.gradients if f.share in ("next", "previous")):
            way = 1 if shared.share == "next" else -1
            whole = {b.time for f in self.gradients if f.of is shared.of and f.share is None for b in f.blocks}
            arrives = {block.time for block in shared.blocks}
            both = (t for t in whole if t is not None and t + way in whole)
            cuts |= {t + way for t in both if t >= 0 and t not in arrives}
        return cuts

    def _slots(self) -> list[Slot]:
        """Share the columns at the left among all sections: the same partner, the same columns."""
        slots: list[Slot] = []
        bias = 0
        for section in self.sections:
            taken: list[Slot] = []
            biases: Counter[str] = Counter()
            for piece in section.pieces:
                width = piece.places.shape[1]
                if piece.partner is None:
                    biases[piece.family.quantity] += width
                    continue
                free = [slot for slot in slots if slot not in taken]
                alone = sum(other.partner is not None for other in section.pieces) == 1
                same = next((s for s in free if piece.partner in s.partners), None) if alone else None
                slot = same or next(iter(free), None)
                if slot is None:
                    slots.append(slot := Slot())
                slot.width = max(slot.width, width)
                slot.partners += [piece.partner] * (piece.partner not in slot.partners)
                taken.append(slot)
                piece.slots[self.sheet.update] = slot
            bias = max([bias, *biases.values()])
        vectors = [last_part(p.name) for p in self.pieces if p.partner is None]
        biases_only = all(name.startswith("b") for name in vectors)
        return [*slots, *([Slot(bias, vectors="bias" if biases_only else "vectors")] if bias else [])]

    def forward(self, homeless: list[Block]) -> None:
        band = self.band("forward")
        for section in self.sections:
            role = "parameter" if self.sheet.update == 0 else "copy"
            self.part(band, section, section.families, role, section.title)
        if self.sheet.update:
            homeless = self.mirrored(homeless, "copy")
        self.loose(band, "parameters", homeless, "parameter")

    def backward(self, homeless: list[Block], elsewhere: list[Family], closing: bool) -> None:
        roles = [self.layout.mirrored(piece.leaf, "gradient", self.sheet.update) for piece in self.pieces]
        lonely = self.mirrored(homeless, "gradient")
        again = self.round.unplaced() if closing else []
        if not self.gradients and not any(roles) and not elsewhere and not lonely and not again:
            return
        band = self.band("backward")
        for section in reversed(self.sections):
            members = self.families.mirror_image([f for f in self.gradients if f.of in section.families])
            self.part(band, section, members, "gradient", section.title)
        if elsewhere:  # gradients of inputs that stand on the first sheet
            self.part(band, Section(elsewhere), elsewhere, "gradient", "inputs")
        self.loose(band, "parameters", lonely, "gradient")
        # Where backward() ran more than once, a parameter has further gradients.
        self.loose(band, "parameters, again", again, "gradient")

    def update(self, homeless: list[Block], optimiser: list[Family]) -> None:
        found = [section for section in self.sections if any(self.mirror(p, "new") is not None for p in section.pieces)]
        lonely = self.mirrored(homeless, "new")
        if not found and not lonely and not optimiser:
            return
        band = self.band("update")
        if optimiser:
            self.part(band, Section(optimiser), optimiser, "", optimiser_title(optimiser))
        for section in found:
            for role, title in self.layout.roles(self.sheet.update).items():
                self.part(band, section, [], role, f"{section.title}: {title}" if title else section.title)
        for role in self.layout.roles(self.sheet.update):
            self.loose(band, "parameters", self.mirrored(homeless, role), role)

    def mirrored(self, blocks: list[Block], role: str) -> list[Block]:
        found = [self.layout.mirrored(block.value, role, self.sheet.update) for block in blocks]
        return [block for block in found if block is not None]

    def part(self, band: Band, section: Section, families: list[Family], role: str, title: str) -> None:
        """Write a head, the families one below the other, and the parameters beside the rows they belong to."""
        rectangles = [(piece, self.mirror(piece, role)) for piece in section.pieces]
        rectangles = [(piece, block) for piece, block in rectangles if block is not None]
        families = [f for f in families if f.blocks[0].kind != "hyperparameter" or band.phase == "update"]
        if not families and not rectangles:
            return
        part = Part(section, title, self.row)
        band.parts.append(part)
        self.row += 1
        if rectangles and (not families or any(_belongs(families[0], piece.family) for piece, _ in rectangles)):
            self.row += 1  # the labels of the weights; elsewhere they find room beside the rows above
        for family in families:
            part.groups.append(self.group(family))
        self.rectangles(part, rectangles, role)
        self.row += 1  # the gap

    def mirror(self, piece: Piece, role: str) -> np.ndarray | None:
        if role == "parameter":
            return self.layout.plan.ids[piece.leaf.index].reshape(-1)[piece.places]
        block = self.layout.mirrored(piece.leaf, role, self.sheet.update) if role else None
        return None if block is None else block.ids.reshape(-1)[piece.places]

    def rectangles(self, part: Part, found: list, role: str) -> None:
        """Place parameter pieces in the slots, on the rows of their family here (or rows of their own)."""
        bias: dict[int, int] = {}
        for piece, ids in found:
            own = (g for g in part.groups if _stands_for(g, piece.family))
            # A quantity of the same name may have fewer rows in this round, when another layer has made it.
            group = next((g for g in own if g.rows >= piece.places.shape[0]), None)
            if group is None:
                symbol = "δ" + piece.family.symbol if role == "gradient" else piece.family.symbol
                group = Group(self.row, piece.places.shape[0], symbol, None)
                group.family = piece.family if role in self.layout.roles(self.sheet.update) else None
                part.groups.append(group)
                self.row += group.rows
            left = self.slot_column(piece, bias, group)
            names = rectangle_name(piece.name, role, self.layout.symbols[piece.name])
            kind = "parameter" if role in ("parameter", "copy") else role
            part.rectangles.append(Rectangle(*names, kind, ids, group.top, left, piece.turned))
            rows = np.broadcast_to(group.top + np.arange(ids.shape[0])[:, None], ids.shape)
            columns = np.broadcast_to(left + np.arange(ids.shape[1]), ids.shape)
            self.layout.place(ids, self.sheet, rows, columns)

    def slot_column(self, piece: Piece, bias: dict, group: Group) -> int:
        if piece.partner is None:
            used = bias.get(id(group), 0)
            bias[id(group)] = used + piece.places.shape[1]
            return self.sheet.slots[-1].start + used
        return piece.slots[self.sheet.update].start

    def group(self, family: Family) -> Group:
        """Place the cells of a family; a summary of all samples (and steps) stands at the right end of its step."""
        keys = column_keys(family.blocks, self.tags, self.layout.timed)
        tagged = keys.tagged(self.layout.timed)
        standing = keys[tagged]
        row, column = standing.ranks(), self.columns(standing)
        self.layout.place(standing.ids, self.sheet, self.row + row, column)
        rows = int(row.max(initial=-1)) + 1
        for number in np.unique(keys.block[~tagged]):
            block = family.blocks[number]
            row, column = self.matrix(block)
            self.layout.place(block.ids, self.sheet, self.row + rows + row, column)
            rows += int(row.max(initial=0)) + 1
        group = Group(self.row, rows, family.symbol, family)
        self.row += rows
        return group

    def columns(self, keys: Keys) -> np.ndarray:
        """The columns of steps and samples; the last of a step for its summaries, the first for what is not shown."""
        known = pairs(*np.array(self.sheet.keys).T)
        found = np.searchsorted(known[:-1], keys.pairs)
        last = np.searchsorted(known, pairs(keys.time + 1, np.full_like(keys.sample, NONE))) - 1
        is_summary = (keys.sample == NONE) & (np.array(self.sheet.keys)[last, 0] == keys.time)
        shown = np.where(known[found] == keys.pairs, found, np.where(is_summary, last, 0))
        return self.sheet.value_start + shown

    def matrix(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        width = block.ids.shape[-1] if block.ids.ndim > 1 else 1
        places = np.arange(block.ids.size)
        if block.kind in ("hyperparameter", "state") or block.value.replaces_state:
            start = FIRST_SLOT
        elif self.sheet.keys == [(NONE, NONE)]:
            start = self.sheet.value_start
        else:  # a single number closes the last column; what is larger must not look like steps or samples
            start = self.sheet.right + 1 if block.ids.size > 1 else self.sheet.right - 1
        return places // width, start + places % width

    def loose(self, band: Band, title: str, blocks: list[Block], role: str) -> None:
        """Parameters that belong to no rows: each a matrix of its own."""
        if not blocks:
            return
        part = Part(Section([]), title, self.row)
        band.parts.append(part)
        self.row += 1
        for block in blocks:
            width = block.ids.shape[-1] if block.ids.ndim > 1 else 1
            ids = block.ids.reshape(-1, width)
            leaf = parameter_of(block)
            whole = str(block.name if leaf is None else leaf.name)
            names = rectangle_name(whole, role, whole)
            part.groups.append(Group(self.row + 1, ids.shape[0], names[1], None))
            part.rectangles.append(Rectangle(*names, role, ids, self.row + 1, FIRST_SLOT))
            rows = np.broadcast_to(self.row + 1 + np.arange(ids.shape[0])[:, None], ids.shape)
            self.layout.place(ids, self.sheet, rows, np.broadcast_to(FIRST_SLOT + np.arange(width), ids.shape))
            self.row += ids.shape[0] + 1
        self.row += 1


def _same(piece: Piece, family: Family) -> bool:
    """A piece belongs to its family in every round of training."""
    return piece.family.quantity == family.quantity


def _stands_for(group: Group, family: Family) -> bool:
    return group.family is not None and _belongs(group.family, family)


def _belongs(here: Family, family: Family) -> bool:
    """Tell whether the rows of ``here`` are those of ``family``: the quantity itself, or its whole gradient."""
    target = here.of if here.phase == "backward" and here.of is not None else here
    return target.quantity == family.quantity and here.share is None
