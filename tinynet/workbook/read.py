"""Read a workbook back and verify it: every cell against NumPy, every formula against what the run would write."""

from __future__ import annotations

import json
import math
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl

import tinynet
from tinynet.run import Run
from tinynet.workbook.book import GRAPH, Book, cell_name
from tinynet.workbook.plan import Block
from tinynet.workbook.write import FORMAT, write_book
from tinynet.workbook.yours import YOURS, Place, places

SAVED_DIGITS = 6e-15  # LibreOffice saves 15 digits: a cell this close (relatively) to what was written is unedited
TOLERANCE = 1e-12  # of the largest number of a block, at least of 1
MOST_NUMBERS, MOST_CELLS, MOST_BYTES = 2**25, 2**25, 2**30  # of a run, of the sheets, of the unpacked file
UNKNOWN = "of an unknown version"  # its settings do not say

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
    """The result of ``verify``: formula cells compared, cells edited by hand, the worst error, and what differs.

    ``version`` is that of the tinynet that wrote the workbook, where it is not this one.
    """

    cells: int
    edited: list[str]
    worst: float
    worst_at: str
    differences: list[Difference]
    version: str = ""

    @property
    def ok(self) -> bool:
        return not self.differences

    @property
    def note(self) -> str:
        """What was not compared; empty where everything was."""
        if not self.version:
            return ""
        return f"written by tinynet {self.version}: its network was compared, not what its other sheets say"


@dataclass(frozen=True)
class Loaded:
    """A workbook as read: its book (as recorded), what its cells hold and show, the version of its tinynet."""

    path: Path
    book: Book
    contents: Cells
    shown: Cells
    version: str


def read_book(path: Any) -> Loaded:
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
        numbers = sum(value.array.size for value in run.values)
        if numbers > MOST_NUMBERS:
            raise ValueError(f"it holds {numbers:,} numbers, expected {MOST_NUMBERS:,} at most")
        run.title, budget, version = str(settings["title"]), settings.get("budget"), settings.get("version")
        book = Book(run, settings["detail"], run.title, budget, budget is not None)
    except Exception as error:  # a program that was tampered with can fail anywhere while it is laid out
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ValueError(f"the hidden sheet {GRAPH!r} of {target.name} is damaged: {reason}") from None
    missing = [sheet.name for sheet in book.sheets if sheet.name not in contents]
    if missing:
        raise ValueError(f"{target.name} lacks the sheet {missing[0]!r} that its network stands on")
    return Loaded(target, book, contents, shown, UNKNOWN if version is None else str(version)[:20])


def load(path: Any) -> Run:
    """Read a workbook as a model file: its Run, computed again from the numbers that its cells now hold.

    Parameters, inputs, targets and the learning rate may have been edited, in Excel, LibreOffice or openpyxl; all else
    follows from them in NumPy, so that nothing depends on what a program calculated. Raises FileNotFoundError where
    there is none, and ValueError, in one sentence, for a file that is damaged or not tinynet's, for a cell that holds
    no number, and for a computed cell whose formula was replaced, which no run would follow.
    """
    loaded = read_book(path)
    changed = next(iter(_changed_formulas(loaded)), None)
    if changed is not None:
        raise ValueError(
            f"{loaded.path.name}: {changed}. A run cannot follow that: put the formula back "
            "(edit only what is framed in amber or green), or see all such cells with tinynet verify"
        )
    if loaded.version != tinynet.__version__:
        _check_places(loaded)
    return _recomputed(loaded, _typed_in(loaded)[0])


def read_yours(path: Any) -> dict[str, np.ndarray]:
    """Return the numbers that were pasted into the sheet Yours, by our names, each in the shape of the block.

    Cells that were left empty are NaN; blocks into which nothing was pasted are left out. Raises ValueError where the
    sheet is missing or was moved about, and for a cell that holds no number.
    """
    return {place.name: numbers for place, numbers in _yours(read_book(path))}


def read_yours_whole(path: Any) -> dict[str, np.ndarray]:
    """Return the values of the run, by name, of which all numbers were pasted into the sheet Yours."""
    loaded = read_book(path)
    numbers: dict[int, float] = {}
    for place, pasted in _yours(loaded):
        flat = zip(place.entry.ids.reshape(-1).tolist(), pasted.reshape(-1).tolist(), strict=True)
        numbers |= {cell: number for cell, number in flat if math.isfinite(number)}
    whole = [block for block in loaded.book.plan.blocks if block.ids.size and set(block.ids.flat) <= numbers.keys()]
    return {block.name: np.vectorize(numbers.get, otypes=[float])(block.ids) for block in whole}


def _yours(loaded: Loaded) -> Iterator[tuple[Place, np.ndarray]]:
    """What was pasted into each block of the sheet Yours that holds anything."""
    name, cells = loaded.path.name, loaded.shown.get(YOURS)
    if cells is None:
        raise ValueError(f"{name} has no sheet {YOURS!r}: it was removed, or left out of a large book (see Read me)")
    for place in places(loaded.book):
        if cells.get(cell_name(place.head, 0)) != place.name:
            where = f"{YOURS}!{cell_name(place.head, 0)}"
            raise ValueError(f"{name}: {where} does not say {place.name!r}: rows or columns of the sheet were moved")
        addresses = [cell_name(*place.cell(i)) for i in range(place.entry.ids.size)]
        if any(cells.get(address) is not None for address in addresses):
            numbers = [_pasted(cells.get(address), f"{YOURS}!{address} ({place.name})") for address in addresses]
            yield place, np.array(numbers).reshape(place.entry.shape)


def _pasted(content: Any, where: str) -> float:
    if content is None:
        return math.nan
    if isinstance(content, bool) or not isinstance(content, (int, float)):
        raise ValueError(f"{where} holds {content!r}, expected a number")
    return float(content)


def verify(path: Any) -> Verification:
    """Recompute a workbook in NumPy from its typed-in cells and compare every cell, and every formula.

    A value may differ by 1e-12 of the largest number of its block (at least of 1). Edited inputs, weights and
    targets are not differences: the rest must follow from them. Of a workbook that another version of tinynet wrote,
    only the network is compared, not what the other sheets say (``note`` tells so).
    """
    loaded = read_book(path)
    book = loaded.book
    leaves, edited = _typed_in(loaded)
    frozen = {b.value.index: np.asarray(b.value.array) for b in book.plan.blocks if b.as_values}
    run = _recomputed(loaded, leaves | frozen)
    same = loaded.version == tinynet.__version__
    differences = list(_formula_differences(loaded) if same else _changed_formulas(loaded))
    worst, worst_at, count = 0.0, "", 0
    for block in book.plan.blocks:
        if block.expression is None:
            continue
        expected = np.asarray(run.values[block.value.index].array, dtype=float)
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)))
        for cell, number in zip(block.ids.reshape(-1).tolist(), expected.reshape(-1).tolist(), strict=True):
            sheet, address = _where(book, cell)
            shown = loaded.shown[sheet].get(address)
            count += block.is_formula
            wrong_by = abs(shown - number) if isinstance(shown, (int, float)) else math.inf
            if worst < wrong_by < math.inf:
                worst, worst_at = wrong_by, f"{sheet}!{address}"
            if not wrong_by <= allowed:
                differences.append(Difference(sheet, address, block.name, _says(shown, number)))
    order = {(sheet.name): i for i, sheet in enumerate(book.sheets)}
    differences.sort(key=lambda d: (order.get(d.sheet, len(order)), _row_column(d.address)))
    return Verification(count, edited, worst, worst_at, differences, "" if same else loaded.version)


def _recomputed(loaded: Loaded, leaves: dict[int, np.ndarray]) -> Run:
    try:
        return loaded.book.run.recomputed(leaves)
    except IndexError as error:
        raise ValueError(f"the edited cells of {loaded.path.name} cannot be computed with: {error}") from None


def _check_places(loaded: Loaded) -> None:
    """Another version may have laid the sheets out differently: its recorded numbers must stand where ours would."""
    book = loaded.book
    for block in (block for block in book.plan.blocks if block.expression is None):
        for cell in block.ids.reshape(-1).tolist():
            sheet = book.sheets[int(book.layout.sheet[cell])]
            recorded = loaded.shown.get(book.recorded_sheet(sheet), {}).get(book.addresses.text[cell])
            original = float(book.values[cell])
            if not isinstance(recorded, (int, float)) or abs(recorded - original) > SAVED_DIGITS * abs(original):
                raise ValueError(
                    f"{loaded.path.name} was written by tinynet {loaded.version}, which laid its sheets out "
                    f"differently: read it with that version, not {tinynet.__version__}"
                )


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
            number = _number(loaded, sheet, address, block)
            if abs(number - array[i]) > SAVED_DIGITS * abs(array[i]):
                edited.append(f"{sheet}!{address}")
                array[i] = number
        leaves[block.value.index] = array.reshape(original.shape).astype(original.dtype)
    return leaves, edited


def _number(loaded: Loaded, sheet: str, address: str, block: Block) -> float:
    """What a typed-in cell holds. Raises ValueError for anything but a number that fits."""
    number, content = loaded.shown[sheet].get(address), loaded.contents[sheet].get(address)
    where, kind = f"{sheet}!{address} ({block.name})", block.value.array.dtype
    if number is None and _is_formula(content):
        raise ValueError(f"{where} holds {content} without its value: open and save the file in a spreadsheet program")
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise ValueError(f"{where} holds {number!r}, expected a number")
    if kind.kind in "iub" and number != int(number):
        raise ValueError(f"{where} holds {number}, expected a whole number")
    low, high = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else (0, 1)
    if kind.kind in "iub" and not low <= number <= high:
        raise ValueError(f"{where} holds {number}, expected a number from {low} to {high}")
    return number


def _changed_formulas(loaded: Loaded) -> Iterator[Difference]:
    """The computed cells of the network that hold something else than their formula."""
    book = loaded.book
    for block in (block for block in book.plan.blocks if block.is_formula):
        for cell in block.ids.reshape(-1).tolist():
            sheet, address = _where(book, cell)
            holds, wanted = loaded.contents[sheet].get(address), book.formulas[cell]
            if holds != wanted and _formula(holds) != _formula(wanted):
                yield _not_its_formula(sheet, address, block.name, holds, wanted)


def _not_its_formula(sheet: str, address: str, name: str, holds: Any, wanted: str) -> Difference:
    label = f"the formula {holds}" if _is_formula(holds) else f"{holds!r} and no formula"
    return Difference(sheet, address, name, f"holds {label}, expected {wanted}")


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
            holds = found.get(address)
            if holds != content and _is_formula(content) and _formula(content) != _formula(holds):
                yield _not_its_formula(sheet, address, names.get((sheet, address), ""), holds, content)
    for (sheet, address), name in names.items():
        holds = loaded.contents[sheet].get(address)
        if _is_formula(holds) and not _is_formula(expected[sheet].get(address)):
            yield Difference(sheet, address, name, f"holds the formula {holds}, expected a number")


def _names_by_address(book: Book) -> dict[tuple[str, str], str]:
    names = {}
    for block in book.plan.blocks:
        for cell in block.ids.reshape(-1).tolist():
            names[_where(book, cell)] = block.name
    return names


def _is_formula(content: Any) -> bool:
    return isinstance(content, str) and content.startswith("=")


def _formula(content: Any) -> str | None:
    """A formula as programs agree on it: without spaces outside texts, with numbers of 14 digits."""
    if not _is_formula(content):
        return None
    parts = re.split(r'("(?:[^"]|"")*")', content)
    return "".join(part if i % 2 else _canonical(part) for i, part in enumerate(parts))


def _canonical(part: str) -> str:
    bare = re.sub(r"'([A-Za-z_]\w*)'!", r"\1!", part)  # quotes that are not needed
    bare = re.sub(r"(?<!\w) +| +(?!\w)", "", bare).upper()
    return re.sub(r"(?<![\w.$!:])\d+(\.\d+)?(E[+-]?\d+)?(?![\w(!])", lambda m: f"{float(m[0]):.14g}", bare)


def _read(path: Path, formulas: bool) -> Cells:
    """Every cell of every sheet: its formula, or the value that it shows."""
    try:
        _refuse_bomb(path)
        book = openpyxl.load_workbook(path, data_only=not formulas, read_only=True)
        seen, cells = 0, Cells()
        for ws in book.worksheets:
            ws.reset_dimensions()
            here = cells.setdefault(ws.title, {})
            for r, row in enumerate(ws.iter_rows(values_only=True)):
                seen += len(row) + 1
                if seen > MOST_CELLS:
                    raise ValueError(f"its sheets have more than {MOST_CELLS:,} cells")
                for c, content in enumerate(row):
                    if content is not None:
                        here[cell_name(r, c)] = getattr(content, "text", content)
        book.close()
    except Exception as error:  # a damaged file can fail anywhere inside zipfile, XML or openpyxl
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ValueError(f"{path.name} cannot be read as an .xlsx workbook: {reason}") from None
    return cells


def _refuse_bomb(path: Path) -> None:
    """A small file must not fill the memory: workbooks of ours unpack to about 6 times their size."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
    if unpacked > min(MOST_BYTES, max(MOST_BYTES // 16, 100 * path.stat().st_size)):
        raise ValueError(f"it would unpack to {unpacked:,} bytes")


def _row_column(address: str) -> tuple[int, int]:
    match = re.fullmatch(r"([A-Z]+)(\d+)", address)
    assert match is not None
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - 64
    return int(match[2]), column
