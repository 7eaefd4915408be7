"""Layout: which sheets there are, and where every cell stands.

Quantities with images stand on map sheets, one for each section (a layer, as a rule) and one for its way back; all
else stands on sheets whose rows are units and whose columns are time steps, forward and backward below one another.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tinynet.run import Value
from tinynet.workbook.columns import ColumnBuilder
from tinynet.workbook.families import Families, Family, Piece, Section, last_part, mirror_role, parameter_of
from tinynet.workbook.maps import MapBuilder
from tinynet.workbook.plan import Block, Plan
from tinynet.workbook.sheet import MAX_COLUMNS, MAX_ROWS, ColumnSheet, MapSheet, Sheet
from tinynet.workbook.spatial import Spatial
from tinynet.workbook.tags import NONE, Tags

MIRRORED = ("gradient", "copy", "new")  # what every optimiser has in the shape of a parameter
NAME_ROOM = 20  # characters of a sheet's name, which with what is added may have 31
# Sheets that every book has besides those of the network; the last is Excel's own.
RESERVED = re.compile(r"read me|steps|checks|yours|graph|time steps|recorded( \d+)?|history", re.IGNORECASE)


@dataclass(eq=False)
class Round:
    """One round of training: its gradients, and what belongs to none of its sections."""

    layout: Layout
    update: int
    gradients: list[Family]
    elsewhere: list[Family] = field(default_factory=list)  # gradients of inputs that stand on the first sheet
    optimiser: list[Family] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)  # of the parameters that stand beside rows here
    homeless: list[Block] = field(default_factory=list)  # the parameters that stand beside nothing here
    closing: Sheet | None = None  # the sheet that takes what has no other place

    def unplaced(self) -> list[Block]:
        """Further gradients of parameters: backward() ran more than once."""
        mirrored = self.layout.families.mirrored
        again = [block for block in mirrored if block.phase == "backward" and block.update == self.update]
        return [block for block in again if block not in self.layout.mirrors.values()]


class Layout:
    """Where every cell stands: ``sheet``, ``row`` and ``column`` by cell id (0-based)."""

    def __init__(self, plan: Plan):
        self.plan = plan
        nameless = [b for b in plan.blocks if b.value.quantity is None and b.expression is not None]
        self.tags = Tags(plan.run, {b.value.index: b.time for b in nameless if b.time is not None})
        self.spatial = Spatial(plan.run)
        self.families = Families(plan, self.tags, self.spatial)
        updates = sorted({0} | {f.update for f in self.families.all} | {b.update for b in self.families.mirrored})
        sections = [self.families.forward_sections(update) for update in updates]
        self.pieces, self.attached = self.families.pieces([s for found in sections for s in found])
        last = Counter(last_part(piece.name) for piece in self.pieces)
        self.symbols = {p.name: (p.name if last[last_part(p.name)] > 1 else last_part(p.name)) for p in self.pieces}
        self.mirrors: dict[tuple[int, str, int], Block] = {}
        for block in self.families.mirrored:
            leaf = parameter_of(block)
            assert leaf is not None
            self.mirrors.setdefault((leaf.index, mirror_role(block), block.update), block)
        self.sheet, self.row, self.column = (np.zeros(plan.cells + 1, dtype=np.int32) for _ in range(3))
        self.placed = np.zeros(plan.cells + 1, dtype=bool)
        self.timed = any(np.any(tag != NONE) for tag in self.tags.time.values())
        self.sheets: list[Sheet] = []
        for update, found in zip(updates, sections, strict=True):
            self._round(update, len(updates), found)
        self._check()

    def _round(self, update: int, rounds: int, sections: list[Section]) -> None:
        current = self._gradients(sections, update)
        self._parameters(current, sections)
        chunks = self._chunks(sections)
        if all(map(self._has_maps, chunks)) and (current.homeless or not chunks):
            chunks.append([])  # a sheet for what stands on none of the others
        builders: list[tuple[MapBuilder | ColumnBuilder, Sheet]] = []
        for chunk in chunks:
            name = self._sheet_name(chunk, update, rounds, alone=len(chunks) == 1)
            sheet: MapSheet | ColumnSheet
            if self._has_maps(chunk):
                sheet = MapSheet(name, update)
                self.sheets.append(sheet)
                builders.append((MapBuilder(self, sheet, chunk[0], current), sheet))
                continue
            sheet = ColumnSheet(name, update)
            self.sheets.append(sheet)
            builders.append((ColumnBuilder(self, sheet, chunk, current), sheet))
            current.closing = sheet
        for builder, _ in builders:
            builder.build()
        for builder, forward in reversed(builders):
            homeless = current.closing is None and (current.optimiser or current.elsewhere)
            if isinstance(builder, MapBuilder) and (builder.has_way_back or homeless):
                back = MapSheet(self._unused(f"{forward.name} back"), update)
                self.sheets.append(back)
                current.closing = current.closing or back
                builder.build_back(back)

    def _gradients(self, sections: list[Section], update: int) -> Round:
        """The gradients of one round. An intermediate stands with what it is computed from, or else for."""
        families = self.families.all
        gradients = [f for f in families if f.phase == "backward" and f.update == update]
        home = {id(family) for section in sections for family in section.families}
        for family in gradients:
            if family.of is None:
                near = [f.of or f for f in self.families.reads[id(family)]]
                near += [f.of for f in gradients if family in self.families.reads[id(f)] and f.of is not None]
                family.of = next((f for f in near if id(f) in home), sections[-1].families[-1] if sections else None)
        elsewhere = [f for f in gradients if id(f.of) not in home]
        rates = [f for f in families if f.blocks[0].kind in ("hyperparameter", "state") and f.update == update]
        extra = [f for f in families if f.phase == "update" and f.update == update]
        return Round(self, update, gradients, elsewhere, rates + extra)

    def _parameters(self, current: Round, sections: list[Section]) -> None:
        """The parameters of one round: a piece needs its quantity on a sheet of rows, what is attached one of maps."""
        maps = {f.quantity for s in sections if self.families.is_map(s) for f in s.families}
        rows = {f.quantity for s in sections if not self.families.is_map(s) for f in s.families}
        beside = {block.value.index for quantity in maps for block in self.attached.get(quantity, [])}
        adrift = {piece.leaf.index for piece in self.pieces if piece.family.quantity not in rows}
        current.pieces = [piece for piece in self.pieces if piece.leaf.index not in adrift]
        beside |= {piece.leaf.index for piece in current.pieces}
        parameters = [block for block in self.plan.blocks if block.kind == "parameter"]
        here = {index for index, _, update in self.mirrors if update == current.update}
        here |= {block.value.index for block in parameters if current.update == 0}
        current.homeless = [block for block in parameters if block.value.index in here - beside]

    # Sheets
    def _has_maps(self, chunk: list[Section]) -> bool:
        return bool(chunk) and self.families.is_map(chunk[0])

    def _chunks(self, sections: list[Section]) -> list[list[Section]]:
        """What shares a sheet: neighbours that are maps of one layer, or neighbours that are no maps."""
        chunks: list[list[Section]] = []
        for section in sections:
            maps = self.families.is_map(section)
            last = chunks[-1] if chunks and self.families.is_map(chunks[-1][0]) == maps else None
            if last is None or (maps and section.scope not in ("", last[0].scope)):
                chunks.append([section])
            elif maps:
                last[0] = Section(last[0].families + section.families)
            else:
                last.append(section)
        return chunks

    def _sheet_name(self, chunk: list[Section], update: int, rounds: int, alone: bool) -> str:
        """``Network``, or what the layers on it are called."""
        if alone:
            return "Network" if rounds == 1 else f"Update {update + 1}"
        families = [family for section in chunk for family in section.families if family.computed]
        loss = self.plan.run.loss
        if not self._has_maps(chunk) and loss is not None and any(f.quantity == loss.quantity for f in families):
            name = "Head"
        else:
            name = _common([section.scope for section in chunk if section.scope])
            plain = "Input" if update == 0 and not self.sheets else "Layer"
            name = name or (plain if chunk else "Parameters")
        name = re.sub(r"[\[\]:*?/\\'\x00-\x1f\ufffe\uffff]", "_", name)[-NAME_ROOM:]
        return self._unused(name if rounds == 1 else f"{name} {update + 1}")

    def _unused(self, name: str) -> str:
        taken = {sheet.name.lower() for sheet in self.sheets}
        number, candidate = 2, name
        while candidate.lower() in taken or RESERVED.fullmatch(candidate):
            candidate, number = f"{name}_{number}", number + 1
        return candidate

    def place(self, ids: np.ndarray, sheet: Sheet, rows: np.ndarray, columns: np.ndarray) -> None:
        flat = ids.reshape(-1)
        self.sheet[flat] = self.sheets.index(sheet)
        self.row[flat], self.column[flat], self.placed[flat] = rows.reshape(-1), columns.reshape(-1), True
        sheet.edge = max(sheet.edge, int(columns.max(initial=0)) + 1)

    def roles(self, update: int) -> dict[str, str]:
        """What the update of one round has in the shapes of parameters, in order, and titles: the new ones last."""
        here = [(role, block) for (_, role, u), block in self.mirrors.items() if u == update and role not in MIRRORED]
        titles = {role: block.value.title + " before" * role.startswith("old_") for role, block in here}
        return titles | {"new": ""}

    def mirrored(self, leaf: Value, role: str, update: int) -> Block | None:
        """Return the gradient, new value or copy of a parameter, or what is kept for it, in one round of training."""
        return self.mirrors.get((leaf.index, role, update))

    def forget(self) -> None:
        """Drop what is needed only until all cells have places, marks and names."""
        del self.tags, self.families.tags
        for expression in (block.expression for block in self.plan.blocks if block.expression is not None):
            vars(expression).pop("reads", None)

    def _check(self) -> None:
        """Every cell has a place of its own, and all places exist."""
        if not np.all(self.placed[1:]):
            lost = self.plan.blocks[self.families.owner[int(np.argmin(self.placed[1:])) + 1]]
            raise ValueError(f"{lost.name} found no place on any sheet: is it updated twice in one round of training?")
        rows, columns = (int(line.max(initial=0)) + 1 for line in (self.row, self.column))
        places = (self.sheet[1:].astype(np.int64) * rows + self.row[1:]) * columns + self.column[1:]
        order = np.argsort(places)
        same = np.flatnonzero(places[order[1:]] == places[order[:-1]])
        if same.size:
            one, two = (self.plan.blocks[self.families.owner[order[same[0] + k] + 1]].name for k in (0, 1))
            raise ValueError(f"{one} and {two} would stand in the same cell: give one of them another name")
        for sheet in self.sheets:
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


def _common(scopes: list[str]) -> str:
    """What the names of layers have in common, or else the first: ``net.fc1`` and ``net.fc2`` are ``net``."""
    paths = [scope.split(".") for scope in scopes]
    shared = [parts[0] for parts in zip(*paths, strict=False) if len(set(parts)) == 1]
    return ".".join(shared) or next(iter(scopes), "")
