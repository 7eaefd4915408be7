"""Layout: rows are units, columns are time steps; forward on top, backward below as its mirror, the update last.

Weights stand at the left, on the rows of the quantity that they produce; a gradient stands in the columns of its
forward block. One sheet holds one round of training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tinynet.run import INITIAL, Value
from tinynet.workbook.families import (
    Families,
    Family,
    Piece,
    Section,
    column_keys,
    is_tagged,
    last_part,
    mirror_role,
    parameter_of,
    ranks,
)
from tinynet.workbook.plan import Block, Plan
from tinynet.workbook.tags import NONE, Tags

SYMBOL, UNIT, FIRST_SLOT = 0, 1, 2  # columns
CUT = "✂ "  # before the head of a time step where backpropagation was truncated
HEADER_ROW = 6  # title, subtitle, control, sentence, numbers and a gap stand above it
MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384


@dataclass(eq=False)
class Slot:
    """A stretch of columns for weights; the bias has its own. ``partner`` is what the first of them multiply."""

    partner: str | None
    width: int
    start: int = 0
    shared: bool = False  # by weights of several partners, or by vectors that are not all biases

    @property
    def head(self) -> str:
        if self.partner is None:
            return "vectors" if self.shared else "bias"
        return "weights" if self.shared else f"from {self.partner}"


@dataclass(eq=False)
class Group:
    """The rows of one family (or of the weights of one that has no rows of its own here)."""

    top: int
    rows: int
    symbol: str
    family: Family | None


@dataclass(eq=False)
class Rectangle:
    """A block of parameter cells: the parameter itself, its gradient or its new value."""

    name: str
    label: str
    role: str  # "parameter", "gradient" or "new"
    ids: np.ndarray
    top: int
    left: int


@dataclass(eq=False)
class Part:
    """A section as it stands on the sheet."""

    section: Section
    title: str
    head: int
    groups: list[Group] = field(default_factory=list)
    rectangles: list[Rectangle] = field(default_factory=list)

    @property
    def is_update(self) -> bool:
        """Whether new parameters stand here: the groups then only lend them their rows."""
        return bool(self.rectangles) and self.rectangles[0].role == "new"


@dataclass(eq=False)
class Band:
    """A pass: forward, backward or update."""

    phase: str
    row: int
    parts: list[Part] = field(default_factory=list)


@dataclass(eq=False)
class Sheet:
    """One sheet of the network."""

    name: str
    update: int
    slots: list[Slot]
    keys: list[tuple[int, int]]
    value_start: int
    bands: list[Band] = field(default_factory=list)
    bottom: int = 0
    edge: int = 0  # the first column that nothing stands in
    cuts: set[int] = field(default_factory=set)  # time steps whose states send no gradient back

    @property
    def right(self) -> int:
        """The column behind those of steps and samples."""
        return self.value_start + max(len(self.keys), 1)

    @property
    def samples(self) -> int:
        return len({sample for _, sample in self.keys})

    @property
    def parts(self) -> Iterator[Part]:
        return (part for band in self.bands for part in band.parts)


class Layout:
    """Where every cell stands: ``sheet``, ``row`` and ``column`` by cell id (0-based)."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.tags = Tags(plan.run)
        self.families = Families(plan, self.tags)
        self.pieces, self.homeless = self.families.pieces()
        last = Counter(last_part(piece.name) for piece in self.pieces)
        self.symbols = {p.name: (p.name if last[last_part(p.name)] > 1 else last_part(p.name)) for p in self.pieces}
        self.mirrors: dict[tuple[int, str, int], Block] = {}
        for block in self.families.mirrored:
            leaf = parameter_of(block)
            assert leaf is not None
            self.mirrors.setdefault((leaf.index, mirror_role(block), block.update), block)
        self.sheet, self.row, self.column = (np.zeros(plan.cells + 1, dtype=np.int64) for _ in range(3))
        self.placed = np.zeros(plan.cells + 1, dtype=bool)
        self.timed = any(np.any(tag != NONE) for tag in self.tags.time.values())
        updates = sorted({0, *(family.update for family in self.families.all if family.phase == "forward")})
        self.sheets: list[Sheet] = []
        for update in updates:
            name = "Network" if len(updates) == 1 else f"Update {update + 1}"
            self._sheet(name, update)
        if not np.all(self.placed[1:]):
            lost = self.plan.blocks[self.families.owner[int(np.argmin(self.placed[1:])) + 1]]
            raise AssertionError(f"{lost.name} found no place on any sheet")
        places = np.stack([self.sheet, self.row, self.column])[:, 1:]
        if len(np.unique(places, axis=1).T) != plan.cells:
            raise AssertionError("two cells were given the same place")

    def _sheet(self, name: str, update: int) -> None:
        sections = self.families.forward_sections(update)
        sheet = Sheet(name, update, self._slots(sections, update), self._keys(update), 0)
        sheet.cuts = self._cuts(update)
        self.sheets.append(sheet)
        start = FIRST_SLOT
        for slot in sheet.slots:
            slot.start = start
            start += slot.width + 1
        sheet.value_start = start
        builder = _Builder(self, sheet)
        builder.forward(sections)
        builder.backward(sections)
        builder.update(sections)
        sheet.bottom, sheet.edge = builder.row, max(sheet.edge, sheet.right)
        columns = 2 * sheet.edge + 64  # the marks of the step control stand in as many again
        if columns > MAX_COLUMNS:
            raise ValueError(
                f"the sheet would need {columns} columns, a spreadsheet has {MAX_COLUMNS}: "
                "export fewer time steps, samples or inputs"
            )
        if sheet.bottom > MAX_ROWS:
            raise ValueError(
                f"the sheet would need {sheet.bottom} rows, a spreadsheet has {MAX_ROWS}: export fewer units"
            )

    def _keys(self, update: int) -> list[tuple[int, int]]:
        """The columns of values: (time, sample), in order; all samples under each step."""
        found: set[tuple[int, int]] = set()
        for family in self.families.all:
            if family.update == update:
                for block in family.blocks:
                    if is_tagged(block, self.tags, self.timed):
                        found |= set(map(tuple, column_keys(block, self.tags).tolist()))
        return sorted(found) or [(NONE, NONE)]

    def _cuts(self, update: int) -> set[int]:
        """Where backpropagation through time was truncated: the state has a gradient there, of which nothing
        arrives from the step that follows, although elsewhere something does."""
        cuts: set[int] = set()
        backward = [f for f in self.families.all if f.phase == "backward" and f.update == update]
        for shared in (f for f in backward if f.share in ("next", "previous")):
            way = 1 if shared.share == "next" else -1
            whole = {b.time for f in backward if f.of is shared.of and f.share is None for b in f.blocks}
            arrives = {block.time for block in shared.blocks}
            both = (t for t in whole if t is not None and t + way in whole)
            cuts |= {t + way for t in both if t >= 0 and t not in arrives}
        return cuts

    def _slots(self, sections: list[Section], update: int) -> list[Slot]:
        """Share the columns at the left among all sections: the same partner, the same columns."""
        slots: list[Slot] = []
        bias = 0
        for section in sections:
            section.pieces = [piece for piece in self.pieces if any(_same(piece, f) for f in section.families)]
            taken: list[Slot] = []
            biases: dict[int, int] = {}
            for piece in section.pieces:
                width = piece.places.shape[1]
                if piece.partner is None:
                    biases[id(piece.family)] = biases.get(id(piece.family), 0) + width
                    continue
                free = [slot for slot in slots if slot not in taken]
                alone = sum(other.partner is not None for other in section.pieces) == 1
                same = next((s for s in free if s.partner == piece.partner), None) if alone else None
                slot = same or next(iter(free), None)
                if slot is None:
                    slot = Slot(piece.partner, width)
                    slots.append(slot)
                slot.width = max(slot.width, width)
                slot.shared |= slot.partner != piece.partner
                taken.append(slot)
                piece.slots[update] = slot
            bias = max([bias, *biases.values()])
        vectors = [last_part(p.name) for s in sections for p in s.pieces if p.partner is None]
        odd = not all(name.startswith("b") for name in vectors)
        return [*slots, *([Slot(None, bias, shared=odd)] if bias else [])]

    def place(self, ids: np.ndarray, sheet: Sheet, rows: np.ndarray, columns: np.ndarray) -> None:
        flat = ids.reshape(-1)
        self.sheet[flat] = self.sheets.index(sheet)
        self.row[flat], self.column[flat], self.placed[flat] = rows.reshape(-1), columns.reshape(-1), True
        sheet.edge = max(sheet.edge, int(columns.max(initial=0)) + 1)

    def mirrored(self, leaf: Value, role: str, update: int) -> Block | None:
        """Return the gradient, new value or copy of a parameter in one round of training."""
        return self.mirrors.get((leaf.index, role, update))


class _Builder:
    """Fills one sheet from top to bottom."""

    def __init__(self, layout: Layout, sheet: Sheet):
        self.layout, self.sheet = layout, sheet
        self.families, self.tags = layout.families, layout.tags
        self.row = HEADER_ROW + (2 if sheet.samples > 1 and layout.timed else 1)

    def band(self, phase: str) -> Band:
        band = Band(phase, self.row)
        self.sheet.bands.append(band)
        self.row += 1
        return band

    def forward(self, sections: list[Section]) -> None:
        band = self.band("forward")
        for section in sections:
            role = "parameter" if self.sheet.update == 0 else "copy"
            self.part(band, section, section.families, role, section.title)
        homeless = self.layout.homeless
        if self.sheet.update:
            copies = [self.layout.mirrored(block.value, "copy", self.sheet.update) for block in homeless]
            homeless = [block for block in copies if block]
        self.loose(band, "parameters", homeless, "parameter")

    def backward(self, sections: list[Section]) -> None:
        gradients = [f for f in self.families.all if f.phase == "backward" and f.update == self.sheet.update]
        roles = [self.layout.mirrored(p.leaf, "gradient", self.sheet.update) for p in self.layout.pieces]
        if not gradients and not any(roles):
            return
        band = self.band("backward")
        home = {id(family): section for section in sections for family in section.families}
        for family in gradients:  # intermediates that got cells stand with what they were computed from
            if family.of is None:
                known = [f.of or f for f in self.families.reads[id(family)]]
                family.of = next((f for f in known if id(f) in home), sections[-1].families[-1])
        for section in reversed(sections):
            members = self.families.mirror_image([f for f in gradients if f.of in section.families])
            self.part(band, section, members, "gradient", section.title)
        self.elsewhere(band, gradients, home)
        found = [self.layout.mirrored(block.value, "gradient", self.sheet.update) for block in self.layout.homeless]
        self.loose(band, "parameters", [b for b in found if b], "gradient")
        # Where backward() ran more than once, a parameter has further gradients.
        mirrored = [b for b in self.families.mirrored if b.phase == "backward" and b.update == self.sheet.update]
        again = [b for b in mirrored if not np.all(self.layout.placed[b.ids])]
        self.loose(band, "parameters, again", again, "gradient")

    def elsewhere(self, band: Band, gradients: list[Family], home: dict[int, Section]) -> None:
        """Gradients of inputs that stand on the first sheet come last, on their own."""
        rest = [f for f in gradients if id(f.of) not in home]
        if rest:
            self.part(band, Section(rest), rest, "gradient", "inputs")

    def update(self, sections: list[Section]) -> None:
        update = self.sheet.update
        extra = [f for f in self.families.all if f.phase == "update" and f.update == update]
        rates = [f for f in self.families.all if f.blocks[0].kind == "hyperparameter" and f.update == update]
        blocks = [self.layout.mirrored(p.leaf, "new", update) for p in self.layout.pieces]
        loose = [self.layout.mirrored(b.value, "new", update) for b in self.layout.homeless]
        if not any(blocks) and not any(loose) and not extra and not rates:
            return
        band = self.band("update")
        if rates or extra:
            self.part(band, Section(rates + extra), rates + extra, "", "learning rate" if rates else "optimiser")
        for section in sections:
            if any(self.layout.mirrored(piece.leaf, "new", update) for piece in section.pieces):
                self.part(band, section, [], "new", section.title)
        self.loose(band, "parameters", [b for b in loose if b], "new")

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
            group = next((g for g in part.groups if _stands_for(g, piece.family)), None)
            if group is None:
                symbol = "δ" + piece.family.symbol if role == "gradient" else piece.family.symbol
                group = Group(self.row, piece.places.shape[0], symbol, None)
                group.family = piece.family if role == "new" else None
                part.groups.append(group)
                self.row += group.rows
            left = self.slot_column(piece, bias, group)
            name, label = _rectangle_name(piece.name, role, self.layout.symbols[piece.name])
            kind = "parameter" if role in ("parameter", "copy") else role
            part.rectangles.append(Rectangle(name, label, kind, ids, group.top, left))
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
        """Place the cells of a family; a summary (no step, no sample) stands at the right end."""
        rows = 0
        columns = {key: self.sheet.value_start + i for i, key in enumerate(self.sheet.keys)}
        for block in family.blocks:
            keys = column_keys(block, self.tags)
            if is_tagged(block, self.tags, self.layout.timed):
                row = ranks(keys)
                column = np.array([columns.get(tuple(key), self.sheet.value_start) for key in keys.tolist()])
            else:
                row, column = self.matrix(block)
            self.layout.place(block.ids, self.sheet, self.row + row, column)
            rows = max(rows, int(row.max(initial=0)) + 1)
        group = Group(self.row, rows, family.symbol, family)
        self.row += rows
        return group

    def matrix(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        width = block.ids.shape[-1] if block.ids.ndim > 1 else 1
        places = np.arange(block.ids.size)
        if block.kind == "hyperparameter":
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
            name, label = _rectangle_name(whole, role, whole)
            part.groups.append(Group(self.row + 1, ids.shape[0], label, None))
            part.rectangles.append(Rectangle(name, label, role, ids, self.row + 1, FIRST_SLOT))
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


def _rectangle_name(name: str, role: str, symbol: str) -> tuple[str, str]:
    if role == "gradient":
        return f"d_{name}", f"∂L/∂{symbol}"
    return (f"new_{name}", f"new {symbol}") if role == "new" else (name, symbol)


def time_heads(sheet: Sheet) -> list[tuple[int, int, str]]:
    """The heads above the value columns: (first column, last column, text) for each step or sample."""
    heads: list[tuple[int, int, str]] = []
    for i, (time, sample) in enumerate(sheet.keys):
        column = sheet.value_start + i
        if time == NONE:
            text = "value" if sample == NONE else f"sample {sample}"
        else:
            text = "initial" if time == INITIAL else f"{CUT}t = {time}" if time in sheet.cuts else f"t = {time}"
        if heads and heads[-1][2] == text:
            heads[-1] = (heads[-1][0], column, text)
        else:
            heads.append((column, column, text))
    return heads
