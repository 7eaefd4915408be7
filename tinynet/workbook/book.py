"""Book: everything that the sheets of one workbook share while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np

from tinynet.backend import to_host
from tinynet.collection import without_collection
from tinynet.run import Run
from tinynet.workbook import budget
from tinynet.workbook.addresses import Addresses, column_letters, quoted
from tinynet.workbook.expressions import Expression, picks
from tinynet.workbook.families import Family, parameter_of
from tinynet.workbook.formulas import formulas
from tinynet.workbook.layout import Layout
from tinynet.workbook.plan import Block, Plan, make_plan
from tinynet.workbook.sheet import Sheet
from tinynet.workbook.stepping import Moments
from tinynet.workbook.style import magnitude
from tinynet.workbook.texts import Texts
from tinynet.workbook.words import Words

KINDS = ("activations", "weights", "gradients of activations", "gradients of weights")
READ_ME, STEPS, CHECKS, GRAPH = "Read me", "Steps", "Checks", "Graph"


@dataclass(eq=False)
class Area:
    """A rectangle of cells on a network sheet, 0-based and inclusive."""

    sheet: Sheet
    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Entry:
    """A named block as a reader finds it: ``kind`` is its phase, or what is typed in there; ``ids`` are its cells."""

    name: str
    ids: np.ndarray
    kind: str
    area: Area

    @property
    def shape(self) -> tuple[int, ...]:
        return self.ids.shape


class Book:
    """A run, planned, laid out, addressed and put in words."""

    @without_collection()
    def __init__(self, run: Run, detail: str, title: str, max_cells: int | None = None, values_beyond: bool = False):
        self.run, self.title, self.detail = run, title, detail
        self.plan: Plan = make_plan(run, detail)
        if max_cells is not None:
            budget.keep_to(self.plan, max_cells, values_beyond)
        self.budget = max_cells if budget.values_only(self.plan) else None
        self.layout = Layout(self.plan)
        self.sheets = self.layout.sheets
        names = [sheet.name for sheet in self.sheets]
        self.addresses = Addresses(self.layout.sheet, self.layout.row, self.layout.column, names)
        self.moments = Moments(self.layout)
        self.words = Words(self.layout)
        self.layout.forget()
        self.values = self._numbers()
        self.choices = self._choices()

    def _numbers(self) -> np.ndarray:
        """The value of every cell by id. Raises ValueError where a number is not finite: no cell can hold it."""
        out = np.zeros(self.plan.cells + 1)
        for block in self.plan.blocks:
            if block.ids.size:
                first = int(block.ids.item(0))
                out[first : first + block.ids.size] = to_host(block.value.array).reshape(-1)
        strange = ~np.isfinite(out)
        if strange.any():
            block = next(block for block in self.plan.blocks if strange[block.ids].any())
            worst = out[block.ids][strange[block.ids]].item(0)
            raise ValueError(
                f"{block.name} contains {worst}, which no spreadsheet cell can hold: "
                "find where it first appears with print(run), then export a run without it"
            )
        out += 0.0  # −0.0 becomes 0.0
        return out

    def _choices(self) -> dict[int, int]:
        """Of blocks that index others: among how many each number chooses (by the id of the block)."""
        found: dict[int, int] = {}
        for pick in (p for b in self.plan.blocks if b.expression is not None for p in picks(b.expression)):
            block = self.plan.blocks[self.layout.families.owner[pick.index[0]]]
            found[id(block)] = min(found.get(id(block), pick.choices.shape[1]), pick.choices.shape[1])
        return found

    @property
    def whole(self) -> np.ndarray:
        """Whether each cell, by its id, holds a whole number: a class, a length, a comparison."""
        found = np.zeros(self.plan.cells + 1, dtype=bool)
        for block in (block for block in self.plan.blocks if block.is_whole):
            found[block.ids] = True
        return found

    @property
    def formula_cells(self) -> int:
        return budget.formula_cells(self.plan)

    @cached_property
    def formulas(self) -> Texts:
        """The formulas of all cells by id; none where numbers stand."""
        found = Texts(self._formulas())
        self.addresses.forget()
        return found

    def _formulas(self) -> Iterator[str]:
        yield ""
        for block in sorted((block for block in self.plan.blocks if block.ids.size), key=lambda b: b.ids.item(0)):
            if block.is_formula:
                assert isinstance(block.expression, Expression)
                home = int(self.layout.sheet[block.ids.item(0)])
                yield from formulas(block.expression, block.ids.size, self.addresses, home, block.name)
            else:
                yield from repeat("", block.ids.size)

    def area(self, ids: np.ndarray) -> Area:
        """The rectangle that the cells ``ids`` span."""
        flat = ids.reshape(-1)
        row, column = self.layout.row[flat], self.layout.column[flat]
        sheet = self.sheets[int(self.layout.sheet[flat[0]])]
        return Area(sheet, int(row.min()), int(column.min()), int(row.max()), int(column.max()))

    def family_ids(self, family: Family) -> np.ndarray:
        return np.concatenate([block.ids.reshape(-1) for block in family.blocks])

    def range(self, area: Area, sheet: str | None = None, absolute: bool = False) -> str:
        """An area as formulas write it: ``Network!N50:Q52``."""
        start, end = cell_name(area.top, area.left, absolute), cell_name(area.bottom, area.right, absolute)
        span = start if start == end else f"{start}:{end}"
        return f"{quoted(sheet or area.sheet.name)}!{span}"

    def recorded_sheet(self, sheet: Sheet) -> str:
        """The hidden sheet that keeps the recorded numbers of a network sheet, at the same addresses."""
        return "Recorded" if len(self.sheets) == 1 else f"Recorded {self.sheets.index(sheet) + 1}"

    def recorded_range(self, area: Area) -> str:
        return self.range(area, self.recorded_sheet(area.sheet))

    def numbers_in(self, area: Area) -> np.ndarray:
        """All numbers of an area, 0 where nothing stands."""
        grid = self.grids[self.sheets.index(area.sheet)]
        return grid[area.top : area.bottom + 1, area.left : area.right + 1]

    @cached_property
    def grids(self) -> list[np.ndarray]:
        """The numbers of every network sheet, as they stand."""
        layout, out = self.layout, []
        for number in range(len(self.sheets)):
            cells = np.flatnonzero(layout.sheet[1:] == number) + 1
            rows, columns = layout.row[cells], layout.column[cells]
            grid = np.zeros((int(rows.max(initial=0)) + 1, int(columns.max(initial=0)) + 1))
            grid[rows, columns] = self.values[cells]
            out.append(grid)
        return out

    def forget(self) -> None:
        """Drop the grids, when all areas have been looked at; they are made again where one asks for them."""
        self.__dict__.pop("grids", None)

    @cached_property
    def scales(self) -> dict[str, float]:
        """One magnitude for each kind of quantity, shared by all its blocks so that colours compare."""
        groups: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
        for block in self.plan.blocks:
            if not block.ids.size or block.kind in ("hyperparameter", "state", "input") or block.value.shape == ():
                continue
            kind = "weights" if block.kind == "parameter" or block in self.layout.families.mirrored else "activations"
            kind = f"gradients of {kind}" if block.phase == "backward" or block.value.beside is not None else kind
            groups[kind].append(block.ids.reshape(-1))
        ids = {kind: np.concatenate(parts or [np.zeros(1, dtype=int)]) for kind, parts in groups.items()}
        return {kind: magnitude(self.values[cells]) for kind, cells in ids.items()}

    @cached_property
    def entries(self) -> list[Entry]:
        """Every named block in the order of execution; parameters, gradients and updates by their pieces."""
        families = self.layout.families
        whole = [block for block in self.plan.blocks if block.ids.size and id(block) in families.of_block]
        found = [(block.order, Entry(block.name, block.ids, kind_of(block), self.area(block.ids))) for block in whole]
        for sheet, rectangle in ((s, r) for s in self.sheets for part in s.parts for r in part.rectangles):
            name = f"{rectangle.name}#{sheet.update + 1}" if sheet.update else rectangle.name
            block = self.plan.blocks[families.owner[rectangle.ids.flat[0]]]
            ids = self._as_named(rectangle.ids, block)
            found.append((block.order, Entry(name, ids, kind_of(block), self.area(ids))))
        return [entry for _, entry in sorted(found, key=lambda item: item[0])]

    def _as_named(self, ids: np.ndarray, block: Block) -> np.ndarray:
        """The cells of a parameter, its gradient or new value, or of a named part of it, in the shape it has there."""
        if ids.size == block.ids.size:
            return block.ids
        leaf = parameter_of(block) or block.value
        offset = int(block.ids.flat[0] - self.plan.ids[leaf.index].flat[0])
        cells = np.sort(ids, axis=None)
        parts = (part + offset for _, part in self.plan.aliases if part.size == ids.size)
        return next((part for part in parts if np.array_equal(np.sort(part, axis=None), cells)), ids)

    def block_of_value(self, value: Any) -> Block | None:
        return next((block for block in self.plan.blocks if block.value is value), None)


def kind_of(block: Block) -> str:
    """``forward``, ``backward`` or ``update`` for formulas; ``parameter``, ``input`` … for what is typed in."""
    return block.phase if block.expression is not None else block.kind


def cell_name(row: int, column: int, absolute: bool = False) -> str:
    """(0, 0) → A1, or $A$1."""
    mark = "$" if absolute else ""
    return f"{mark}{column_letters(column)}{mark}{row + 1}"
