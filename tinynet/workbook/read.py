"""Read a workbook back and verify it: every cell against NumPy, every formula against what the run would write."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl

from tinynet.run import Run
from tinynet.workbook.book import GRAPH, Book, cell_name
from tinynet.workbook.write import FORMAT, write_book

SAVED_DIGITS = 6e-15  # LibreOffice saves 15 digits: a cell this close (relatively) to what was written is unedited
TOLERANCE = 1e-12  # of the largest number of a block, at least of 1

Cells = dict[str, dict[str, Any]]  # sheet → address → content


@dataclass(frozen=True)
class Difference:
    """A cell that is not what it should be; ``what`` says how."""

    sheet: str
    address: str
    name: str
    what: str

    def __str__(self) -> str:
        label = f" ({self.name})" if self.name else ""
        return f"{self.sheet}!{self.address}{label}: {self.what}"


@dataclass(frozen=True)
class Verification:
    """The result of ``verify``: formula cells compared, cells edited by hand, the worst error, and what differs."""

    cells: int
    edited: list[str]
    worst: float
    worst_at: str
    differences: list[Difference]

    @property
    def ok(self) -> bool:
        return not self.differences


@dataclass(frozen=True)
class Loaded:
    """A workbook as read: its book (as recorded), what its cells hold and show, and the settings it was made with."""

    path: Path
    book: Book
    contents: Cells
    shown: Cells


def load(path: Any) -> Loaded:
    """Read a workbook that tinynet wrote, saved since by any spreadsheet program.

    Raises FileNotFoundError where there is none, and ValueError, in one sentence, for a file that is damaged or
    not tinynet's. Nothing is executed from the file but registered primitives.
    """
    target = Path(path)
    if not target.is_file():
        raise FileNotFoundError(f"there is no file {target}")
    contents, shown = _read(target, formulas=True), _read(target, formulas=False)
    graph = shown.get(GRAPH, {})
    if graph.get("A1") != FORMAT:
        raise ValueError(f"{target.name} is not a workbook of tinynet: it has no hidden sheet {GRAPH!r} that says so")
    try:
        settings = json.loads(str(graph["A2"]))
        rows = sorted(int(address[1:]) for address in graph if re.fullmatch(r"A\d+", address))
        run = Run.from_json("".join(str(graph[f"A{row}"]) for row in rows if row > 2))
        book = Book(run, settings["detail"], settings["title"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the hidden sheet {GRAPH!r} of {target.name} is damaged: {error}") from None
    missing = [sheet.name for sheet in book.sheets if sheet.name not in contents]
    if missing:
        raise ValueError(f"{target.name} lacks the sheet {missing[0]!r} that its network stands on")
    return Loaded(target, book, contents, shown)


def verify(path: Any) -> Verification:
    """Recompute a workbook in NumPy from its typed-in cells and compare every cell, and every formula.

    A value may differ by 1e-12 of the largest number of its block (at least of 1). Edited inputs, weights and
    targets are not differences: the rest must follow from them.
    """
    loaded = load(path)
    book = loaded.book
    leaves, edited = _typed_in(loaded)
    try:
        run = book.run._recomputed(leaves)
    except IndexError as error:
        raise ValueError(f"the edited cells cannot be computed with: {error}") from None
    differences = list(_formula_differences(loaded))
    worst, worst_at, count = 0.0, "", 0
    for block in book.plan.blocks:
        if block.expression is None:
            continue
        expected = np.asarray(run.values[block.value.index].array, dtype=float)
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)))
        for cell, number in zip(block.ids.reshape(-1).tolist(), expected.reshape(-1).tolist(), strict=True):
            sheet, address = _where(book, cell)
            shown = loaded.shown[sheet].get(address)
            count += 1
            wrong_by = abs(shown - number) if isinstance(shown, (int, float)) else math.inf
            if worst < wrong_by < math.inf:
                worst, worst_at = wrong_by, f"{sheet}!{address}"
            if not wrong_by <= allowed:
                differences.append(Difference(sheet, address, block.name, _says(shown, number)))
    order = {(sheet.name): i for i, sheet in enumerate(book.sheets)}
    differences.sort(key=lambda d: (order.get(d.sheet, len(order)), _row_column(d.address)))
    return Verification(count, edited, worst, worst_at, differences)


def _says(shown: Any, number: float) -> str:
    if shown is None:
        return f"holds no value, NumPy computes {number!r} (open and save the file in a spreadsheet program)"
    return f"shows {shown!r}, NumPy computes {number!r}"


def _where(book: Book, cell: int) -> tuple[str, str]:
    layout = book.layout
    return book.sheets[int(layout.sheet[cell])].name, book.addresses.text[cell]


def _typed_in(loaded: Loaded) -> tuple[dict[int, np.ndarray], list[str]]:
    """Read the leaves: {value index: array}, and the addresses of the cells that were edited."""
    book, leaves, edited = loaded.book, {}, []
    for block in book.plan.blocks:
        if block.expression is not None:
            continue
        original = np.asarray(block.value.array)
        array = original.astype(float).reshape(-1).copy()
        for i, cell in enumerate(block.ids.reshape(-1).tolist()):
            sheet, address = _where(book, cell)
            number = loaded.shown[sheet].get(address)
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
                raise ValueError(f"{sheet}!{address} ({block.name}) holds {number!r}, expected a number")
            if abs(number - array[i]) > SAVED_DIGITS * abs(array[i]):
                edited.append(f"{sheet}!{address}")
                if original.dtype.kind in "iub" and number != int(number):
                    raise ValueError(f"{sheet}!{address} ({block.name}) holds {number}, expected a whole number")
                array[i] = number
        leaves[block.value.index] = array.reshape(original.shape).astype(original.dtype)
    return leaves, edited


def _formula_differences(loaded: Loaded) -> Iterator[Difference]:
    """Write the run again and compare the formulas of all sheets, and that nothing typed in stands over one."""
    book = loaded.book
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "expected.xlsx"
        write_book(book, fresh)
        expected = _read(fresh, formulas=True)
    names = _names_by_address(book)
    for sheet, cells in expected.items():
        found = loaded.contents.get(sheet)
        if found is None:
            yield Difference(sheet, "A1", "", "the sheet is missing")
            continue
        for address, content in cells.items():
            wanted, there = _formula(content), _formula(found.get(address))
            if wanted is not None and wanted != there:
                holds = found.get(address)
                label = f"the formula {holds}" if there is not None else f"{holds!r} and no formula"
                yield Difference(sheet, address, names.get((sheet, address), ""), f"holds {label}, expected {content}")
    for sheet, cells in loaded.contents.items():
        for address, content in cells.items():
            if _formula(content) is None or sheet not in expected:
                continue
            if _formula(expected[sheet].get(address)) is None and (sheet, address) in names:
                yield Difference(
                    sheet, address, names[sheet, address], f"holds the formula {content}, expected a number"
                )


def _names_by_address(book: Book) -> dict[tuple[str, str], str]:
    names = {}
    for block in book.plan.blocks:
        for cell in block.ids.reshape(-1).tolist():
            names[_where(book, cell)] = block.name
    return names


def _formula(content: Any) -> str | None:
    """A formula as programs agree on it: without spaces outside texts, with numbers of 14 digits."""
    if not (isinstance(content, str) and content.startswith("=")):
        return None
    parts = re.split(r'("(?:[^"]|"")*")', content)
    return "".join(part if i % 2 else _canonical(part) for i, part in enumerate(parts))


def _canonical(part: str) -> str:
    bare = re.sub(r"'([A-Za-z_]\w*)'!", r"\1!", part)  # quotes that are not needed
    bare = re.sub(r"(?<!\w) +| +(?!\w)", "", bare).upper()
    return re.sub(r"(?<![\w.$!:])\d+(\.\d+)?(E[+-]?\d+)?(?![\w(!])", lambda m: f"{float(m[0]):.14g}", bare)


def _read(path: Path, formulas: bool) -> Cells:
    try:
        book = openpyxl.load_workbook(path, data_only=not formulas, read_only=True)
        cells: Cells = {}
        for ws in book.worksheets:
            ws.reset_dimensions()
            rows = enumerate(ws.iter_rows(values_only=True))
            cells[ws.title] = {
                cell_name(r, c): getattr(content, "text", content)
                for r, row in rows
                for c, content in enumerate(row)
                if content is not None
            }
        book.close()
    except Exception as error:  # a damaged file can fail anywhere inside zipfile, XML or openpyxl
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path.name} cannot be read as an .xlsx workbook: {reason}") from None
    return cells


def _row_column(address: str) -> tuple[int, int]:
    match = re.fullmatch(r"([A-Z]+)(\d+)", address)
    assert match is not None
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - 64
    return int(match[2]), column
