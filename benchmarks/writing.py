"""``python -m benchmarks.writing``: how fast ``run.to_excel`` writes formula cells, beside XlsxWriter and the limit.

*plan* is from the run to the places of all cells, *formulas* their texts, *writer* from there to the file. *plain* is
XlsxWriter given the same cells of all sheets (formulas with their values, numbers and texts) and nothing else: no
looks, no colours, no names, no charts. *streamed* is a loop that formats those cells to XML and compresses them: the
limit for anything in Python. *MB* is what the writer needs at most beyond the book.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import xlsxwriter

from benchmarks.networks import Convolution, Lstm, Mlp, Network
from benchmarks.peers.ours import recorded
from benchmarks.report import print_heading, save
from benchmarks.timing import medians, peak
from tinynet.workbook.addresses import column_letters
from tinynet.workbook.book import Book
from tinynet.workbook.package import LEVEL
from tinynet.workbook.write import write_book

NETWORKS: list[Network] = [
    Mlp(64, 128, 10, batch=128),
    Convolution((4, 8), pixels=28, batch=3),
    Lstm(8, units=16, steps=60, batch=4),
    Lstm(2, units=8, steps=475, batch=1),
]
MOST = 1_000_000  # formula cells
WAYS = ("plan", "formulas", "writer", "plain", "streamed")


class Cell(NamedTuple):
    row: int
    column: int
    content: Any  # a formula begins with =
    value: Any


class Writing(NamedTuple):
    network: str
    formula_cells: int
    cells: int
    seconds: dict[str, float]
    megabytes: float


def cells_of(path: Path) -> dict[str, list[Cell]]:
    """Those of all sheets of a workbook."""
    books = [openpyxl.load_workbook(path, read_only=True, data_only=data_only) for data_only in (False, True)]
    return {sheet.title: list(_cells(sheet, values)) for sheet, values in zip(*books, strict=True)}


def _cells(sheet: Any, values: Any) -> Iterator[Cell]:
    for row, shown in zip(sheet.iter_rows(), values.iter_rows(), strict=True):
        for cell, value in zip(row, shown, strict=True):
            if cell.value is not None:
                yield Cell(cell.row - 1, cell.column - 1, cell.value, value.value)


def write_plain(path: Path, sheets: dict[str, list[Cell]]) -> None:
    with xlsxwriter.Workbook(path) as book:
        for title, cells in sheets.items():
            sheet = book.add_worksheet(title)
            for row, column, content, value in cells:
                if isinstance(content, str) and content.startswith("="):
                    sheet.write_formula(row, column, content, None, value)
                elif isinstance(content, str):
                    sheet.write_string(row, column, content)
                else:
                    sheet.write_number(row, column, content)


def write_streamed(path: Path, sheets: dict[str, list[Cell]]) -> None:
    """Nothing but the XML of the cells, compressed as ours."""
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=LEVEL) as file:
        for title, cells in sheets.items():
            with file.open(f"{title}.xml", "w") as part:
                part.write("".join([_xml(*cell) for cell in cells]).encode())


def _xml(row: int, column: int, content: Any, value: Any) -> str:
    if not isinstance(content, str):
        return f'<c r="{column_letters(column)}{row + 1}"><v>{content!r}</v></c>'
    if content.startswith("="):
        return f'<c r="{column_letters(column)}{row + 1}"><f>{escape(content[1:])}</f><v>{value!r}</v></c>'
    return f'<c r="{column_letters(column)}{row + 1}" t="inlineStr"><is><t>{escape(content)}</t></is></c>'


def measured(network: Network, rounds: int) -> Writing:
    run = recorded(network)
    with tempfile.TemporaryDirectory() as folder:
        path, plain = Path(folder) / "ours.xlsx", Path(folder) / "plain.xlsx"
        formula_cells = run.to_excel(path, max_cells=MOST).formula_cells
        book, sheets = Book(run, "names", "Network"), cells_of(path)
        ways = {
            "plan": lambda: Book(run, "names", "Network"),
            "formulas": lambda: Book.formulas.func(book),
            "writer": lambda: write_book(book, path),
            "plain": lambda: write_plain(plain, sheets),
            "streamed": lambda: write_streamed(plain, sheets),
        }
        seconds = medians(ways, rounds)
        megabytes = peak(lambda: write_book(book, path)) / 1e6
        return Writing(network.name, formula_cells, sum(map(len, sheets.values())), seconds, megabytes)


def print_row(writing: Writing) -> None:
    speeds = "".join(f"{writing.formula_cells / seconds:12,.0f}" for seconds in writing.seconds.values())
    ratio = writing.seconds["plain"] / writing.seconds["writer"]
    counts = f"{writing.formula_cells:12,}{writing.cells:12,}"
    print(f"{writing.network:34}{counts}{speeds}{ratio:16.2f}{writing.megabytes:8.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writing")
    parser.add_argument("--only", default="", metavar="TEXT", help="only networks with this in their names")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="PATH", help="write the results there, too")
    arguments = parser.parse_args()
    print_heading()
    head = "".join(f"{title:>12}" for title in ("formulas", "all cells", *WAYS))
    print(f"{'formula cells per second':34}{head}{'plain ÷ writer':>16}{'MB':>8}")
    rows = []
    for network in NETWORKS:
        if arguments.only.lower() in network.name.lower():
            rows.append(measured(network, arguments.rounds))
            print_row(rows[-1])
    save(arguments.json, writing=[row._asdict() for row in rows])


if __name__ == "__main__":
    main()
