"""A workbook as the tests see it: the file, and where every number of its run stands in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl

from tests.spreadsheets import Value, Values
from tinynet.run import Run
from tinynet.workbook import Written, write
from tinynet.workbook.book import Book
from tinynet.workbook.plan import Block

Place = tuple[str, str]  # sheet and address
TOLERANCE = 1e-12  # of a block's largest number, at least of 1
ERROR = re.compile(r"#(NUM|REF|NAME|VALUE|DIV|N/A|NULL|N/IMPL|CIRC|SPILL|CALC|ERROR)|Err:\d+")


@dataclass(frozen=True)
class Sample:
    """A workbook that was written, with the addresses of everything on its network sheets."""

    run: Run
    book: Book
    written: Written

    @property
    def path(self) -> Path:
        return self.written.path

    @property
    def networks(self) -> list[str]:
        return [sheet.name for sheet in self.book.sheets]

    @property
    def computed(self) -> list[Block]:
        return [block for block in self.book.plan.blocks if block.expression is not None]

    @cached_property
    def formulas(self) -> dict[Place, str]:
        """Every formula of the file, by its place."""
        book = openpyxl.load_workbook(self.path, read_only=True)
        cells = ((ws.title, cell) for ws in book for row in ws.iter_rows() for cell in row)
        return {(sheet, cell.coordinate): str(cell.value) for sheet, cell in cells if cell.data_type == "f"}

    def places(self, block: Block) -> list[Place]:
        """Where the elements of a block stand, in their order."""
        return [self.place(cell) for cell in block.ids.reshape(-1).tolist()]

    def place(self, cell: int) -> Place:
        layout = self.book.layout
        return self.book.sheets[int(layout.sheet[cell])].name, self.book.addresses.text[cell]

    def place_of(self, leaf: str, *index: int) -> Place:
        """Where one element of a leaf is typed in."""
        return self.place(int(self.book.plan.ids[self.run.find(leaf).index][index]))

    def numbers(self, block: Block, run: Run | None = None) -> np.ndarray:
        """What the engine computed for a block, flat."""
        return np.asarray((run or self.run).values[block.value.index].array, dtype=float).reshape(-1)

    def worst(self, values: Values, run: Run | None = None) -> float:
        """How far ``values`` are from the engine's at worst, in multiples of what is allowed."""
        return max((miss for *_, miss in self.misses(values, run)), default=0.0)

    def misses(self, values: Values, run: Run | None = None) -> Iterator[tuple[Place, Value | None, float, float]]:
        """Every computed cell: (place, what it shows, what NumPy computed, the miss in multiples of the allowed)."""
        for block in self.computed:
            expected = self.numbers(block, run)
            allowed = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)))
            for (sheet, address), number in zip(self.places(block), expected.tolist(), strict=True):
                shown = values[sheet].get(address)
                miss = abs(shown - number) / allowed if isinstance(shown, float) else np.inf
                yield (sheet, address), shown, number, miss


def sample(run: Run, path: Path, detail: str = "names", title: str = "Network") -> Sample:
    """Write a run and plan it once more, so that the addresses come from the plan and not from the file."""
    return Sample(run, Book(run, detail, title), write(run, path, detail=detail, title=title))


def assert_agrees(one: Sample, values: Values, run: Run | None = None) -> None:
    """Hold all computed cells of the network sheets against the engine's values, and look for errors everywhere."""
    wrong = [(place, shown, number) for place, shown, number, miss in one.misses(values, run) if not miss <= 1]
    assert not wrong, f"{len(wrong)} cells differ, the first: {wrong[:3]}"
    assert errors(values) == []


def errors(values: Values) -> list[tuple[str, str, Value]]:
    """Every cell that shows an error."""
    cells = ((sheet, address, value) for sheet, found in values.items() for address, value in found.items())
    return [cell for cell in cells if isinstance(cell[2], str) and ERROR.match(cell[2])]


@lru_cache(maxsize=8)
def opened(path: Path, values: bool = False) -> openpyxl.Workbook:
    """A workbook, or the cached values of its cells, read once: change it by ``typed`` only."""
    return openpyxl.load_workbook(path, data_only=values)


def typed(path: Path, out: Path, edits: Mapping[Place, Any]) -> Path:
    """What openpyxl saves: the workbook with edits, and no cached value at all."""
    book = opened(path)
    cells = {place: book[place[0]][place[1]] for place in edits}
    before = {place: cell.value for place, cell in cells.items()}
    for place, content in edits.items():
        cells[place].value = content
    book.save(out)
    for place, content in before.items():
        cells[place].value = content
    return out


def row_of(values: Values, sheet: str, label: str) -> int:
    """The row that starts with ``label``."""
    return next(int(address[1:]) for address, value in values[sheet].items() if address[0] == "A" and value == label)


def changed(run: Run, leaf: str, index: tuple[int, ...], number: float) -> Run:
    """The run computed again with one element of a leaf replaced."""
    array: Any = run[leaf].copy()
    array[index] = number
    return run.replay(**{leaf: array})
