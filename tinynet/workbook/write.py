"""Write a run as a workbook: the network, its guide, and what is needed to check it and read it back."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinynet
from tinynet.backend import to_host
from tinynet.collection import without_collection
from tinynet.run import Run
from tinynet.serialization import encoded
from tinynet.workbook.book import CHECKS, GRAPH, READ_ME, STEPS, Area, Book
from tinynet.workbook.budget import BUDGET, WARN, forecast, values_only
from tinynet.workbook.checks import ChecksSheet
from tinynet.workbook.column_page import ColumnPage
from tinynet.workbook.map_page import MapPage
from tinynet.workbook.read_me import ReadMe
from tinynet.workbook.sheet import MapSheet
from tinynet.workbook.steps import StepsSheet
from tinynet.workbook.style import Styles
from tinynet.workbook.time_steps import TIME_STEPS, TimeStepsSheet, state_gradients
from tinynet.workbook.worksheet import ExactWorksheet
from tinynet.workbook.xlsx import defined_name, open_workbook
from tinynet.workbook.yours import LIMIT, YOURS, Beside, YoursSheet, fits, places

FORMAT = "tinynet workbook 1"
CHUNK = 32_000  # characters in a cell of the hidden graph sheet


@dataclass(frozen=True)
class Written:
    """What was written: the path, the sheets that show, the formula cells and the bytes."""

    path: Path
    sheets: list[str]
    formula_cells: int
    size: int
    loss: float | None
    values_only: list[str]  # quantities beyond the budget


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


def write(
    run: Run,
    path: Any,
    detail: str = "names",
    title: str | None = None,
    max_cells: int = BUDGET,
    values_beyond: bool = False,
    tell: Callable[[str], None] = _warn,
) -> Written:
    """Write ``run`` to ``path`` (.xlsx) with a live formula and its cached value in every computed cell.

    ``detail`` is "names" (what has no name is written into the next formula) or "ops" (every operation has cells).
    With more formula cells than ``max_cells`` a run is refused, or, with ``values_beyond``, its largest quantities are
    written as hatched numbers that do not recompute. ``tell`` is called with a forecast before something large is
    written. The file appears only once it is complete. A float32 run is computed again in float64, in which
    spreadsheets calculate. Raises ValueError for a run without steps, with numbers that are not finite, with an array
    of no numbers, or beyond the budget, TypeError for a title that is no text, RuntimeError while it is being recorded,
    and OSError where the file cannot be written.
    """
    target = _target(path)
    run.require_complete("exported")
    if not run.steps:
        raise ValueError("this run recorded no operation: compute something with Tensors inside record()")
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title is {title!r}, expected a text")
    for value in run.values:
        if value.name is not None and not math.prod(value.shape):
            raise ValueError(
                f"{value.name} has shape {value.shape}, without a single number: a workbook has no cell for it"
            )
    book = Book(_in_float64(run), detail, title or run.title or "Network", max_cells, values_beyond)
    if book.formula_cells > WARN:
        tell(forecast(book.plan))
    formula_cells = book.formula_cells
    loss = None if run.loss is None else float(to_host(book.run.values[run.loss.index].array).item())
    further = [*([YOURS] if fits(book) else []), *([TIME_STEPS] if state_gradients(book) else [])]
    shown = [READ_ME, *(s.name for s in book.sheets), STEPS, CHECKS, *further]
    frozen = list(dict.fromkeys(block.quantity for block in values_only(book.plan)))
    with without_collection(), open_workbook(target) as out:
        _fill(out, book)
        del book  # the sheets have what they need, and only now become XML
    return Written(target, shown, formula_cells, target.stat().st_size, loss, frozen)


def _target(path: Any) -> Path:
    target = Path(path)
    if target.suffix.lower() != ".xlsx":
        raise ValueError(f"{target} does not end in .xlsx: that is the only format written")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}: make it first")
    return target


def _in_float64(run: Run) -> Run:
    floating = [value.array.dtype for value in run.leaves if value.array.dtype.kind == "f"]
    return run.astype(np.float64) if any(dtype != np.float64 for dtype in floating) else run


def write_beside(
    run: Run,
    numbers: Mapping[int, np.ndarray],
    path: Any,
    tolerance: float = 1e-6,
    title: str = "Compared",
) -> Path:
    """Write ``run`` with somebody's numbers (by the index of the value) beside ours, on the sheet Yours.

    What differs by more than ``tolerance`` of a block's largest number is red; the workbook opens at the first of them.
    Raises ValueError where the run is too large for the sheet, and as ``write`` does.
    """
    target = _target(path)
    run.require_complete("exported")
    book = Book(_in_float64(run), "names", title, BUDGET)
    if not fits(book):
        raise ValueError(f"the run needs more than {LIMIT:,} cells on the sheet {YOURS!r}: compare a smaller one")
    cells: dict[int, float] = {}
    for index, array in numbers.items():
        ids = book.plan.ids_of(index)
        if ids is not None:
            cells |= dict(zip(ids.reshape(-1).tolist(), np.asarray(array, float).reshape(-1).tolist(), strict=True))
    write_book(book, target, Beside({cell: x for cell, x in cells.items() if np.isfinite(x)}, tolerance))
    return target


def write_book(book: Book, target: Path, beside: Beside | None = None) -> None:
    """Write a book that is planned already; ``beside`` puts numbers on the sheet Yours, at which it then opens."""
    with without_collection(), open_workbook(target) as out:
        _fill(out, book, beside)


def _fill(out: Any, book: Book, beside: Beside | None = None) -> None:
    """Put everything on the sheets of a workbook."""
    styles = Styles(out)

    def sheet(name: str) -> Any:
        return out.add_worksheet(name, worksheet_class=ExactWorksheet)

    read_me = sheet(READ_ME)
    networks = [sheet(s.name) for s in book.sheets]
    steps, checks = sheet(STEPS), sheet(CHECKS)
    yours = places(book)
    page_of_yours = YoursSheet(book, yours, sheet(YOURS), styles, beside) if yours else None
    if page_of_yours is not None:
        page_of_yours.write()
    if state_gradients(book):
        TimeStepsSheet(book, out, sheet(TIME_STEPS), styles).write()
    recorded = [sheet(book.recorded_sheet(s)) for s in book.sheets]
    graph = sheet(GRAPH)
    names = _names(book)
    for layout_sheet, ws in zip(book.sheets, networks, strict=True):
        page: Any = MapPage if isinstance(layout_sheet, MapSheet) else ColumnPage
        page(book, layout_sheet, ws, styles).write()
    StepsSheet(book, steps, styles).write()
    ChecksSheet(book, checks, styles).write()
    book.forget()
    ReadMe(book, read_me, styles).write(names)
    for layout_sheet, ws in zip(book.sheets, recorded, strict=True):
        _write_recorded(book, layout_sheet, ws)
        ws.hide()
    _write_graph(book, graph)
    graph.hide()
    for name, area in names.items():
        out.define_name(name, "=" + book.range(area, absolute=True))
    read_me.activate()
    if beside is not None and page_of_yours is not None:
        page_of_yours.select_first()


def _names(book: Book) -> dict[str, Area]:
    """A range name for every parameter, its gradient and its update, and for every quantity over all its steps."""
    found: dict[str, Area] = {}
    taken: set[str] = set()

    def add(name: str, area: Area) -> None:
        legal = defined_name(name)
        while legal.lower() in taken:
            legal += "_"
        taken.add(legal.lower())
        found[legal] = area

    for sheet in book.sheets:
        number = book.sheets.index(sheet)
        suffix = f"_{sheet.update + 1}" if sheet.update else ""
        for part in sheet.parts:
            for group in part.groups:
                family = group.family
                if family is not None and not part.is_update:
                    ids = book.family_ids(family)
                    ids = ids[book.layout.sheet[ids] == number]
                    if ids.size:
                        add(family.quantity, book.area(ids))
            for rectangle in part.rectangles:
                add(rectangle.name + suffix, book.area(rectangle.ids))
    return found


def _write_recorded(book: Book, sheet: Any, ws: Any) -> None:
    """The recorded numbers, at the addresses of the network sheet."""
    layout, values, number = book.layout, book.values, book.sheets.index(sheet)
    sheets, rows, columns = layout.sheet, layout.row, layout.column

    def numbers() -> None:
        cells = np.flatnonzero(sheets[1:] == number) + 1
        ws.write_numbers(rows[cells], columns[cells], values[cells])

    ws.write_string(0, 0, "The numbers as recorded, at the same addresses as on the network sheet. Checks reads them.")
    ws.later.append(numbers)


def _write_graph(book: Book, ws: Any) -> None:
    """The run as JSON, so that the workbook can be verified and read back."""
    settings = {"detail": book.detail, "title": book.title, "budget": book.budget, "version": tinynet.__version__}
    run = book.run

    def program() -> None:
        texts = list(_chunks(encoded(run)))
        ws.write_texts(2 + np.arange(len(texts)), 0, texts)

    ws.write_string(0, 0, FORMAT)
    ws.write_string(1, 0, json.dumps(settings, ensure_ascii=False))
    ws.later.append(program)


def _chunks(pieces: Iterable[str]) -> Iterator[str]:
    """The same JSON in texts that fill a cell. Where ``_x0041_`` is an A to a spreadsheet, JSON has other words."""
    left = ""
    for piece in pieces:
        text = left + piece.replace("_x", r"\u005fx")
        end = len(text) - len(text) % CHUNK
        yield from (text[start : start + CHUNK] for start in range(0, end, CHUNK))
        left = text[end:]
    yield left
