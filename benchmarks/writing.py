"""``python -m benchmarks.writing``: formula cells per second of ``run.to_excel``, beside plain XlsxWriter.

*to_excel* is everything, from the run to the file; *writer* begins with a book that is planned and laid out; *plain* is
XlsxWriter given the same cells of all sheets (formulas with their values, numbers and texts) and nothing else: no
looks, no colours, no names, no charts.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import openpyxl
import xlsxwriter

from benchmarks.networks import Convolution, Lstm, Mlp, Network
from benchmarks.peers.ours import recorded
from benchmarks.report import print_heading, save
from benchmarks.timing import medians
from tinynet.workbook.book import Book
from tinynet.workbook.write import write_book

NETWORKS: list[Network] = [
    Mlp(16, 16, 4, batch=16),
    Convolution((2, 3), pixels=12, batch=1, classes=4),
    Lstm(2, units=8, steps=50, batch=1),
]


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


def cells_of(path: Path) -> dict[str, list[Cell]]:
    """Those of all sheets of a workbook."""
    values = openpyxl.load_workbook(path, data_only=True)
    return {
        sheet.title: [
            Cell(cell.row - 1, cell.column - 1, cell.value, values[sheet.title][cell.coordinate].value)
            for row in sheet.iter_rows()
            for cell in row
            if cell.value is not None
        ]
        for sheet in openpyxl.load_workbook(path)
    }


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


def measured(network: Network, rounds: int) -> Writing:
    run = recorded(network)
    with tempfile.TemporaryDirectory() as folder:
        path, plain = Path(folder) / "ours.xlsx", Path(folder) / "plain.xlsx"
        formula_cells = run.to_excel(path).formula_cells
        book, sheets = Book(run, "names", "Network"), cells_of(path)
        ways = {
            "to_excel": lambda: run.to_excel(path),
            "writer": lambda: write_book(book, path),
            "plain": lambda: write_plain(plain, sheets),
        }
        return Writing(network.name, formula_cells, sum(map(len, sheets.values())), medians(ways, rounds))


def print_row(writing: Writing) -> None:
    speeds = "".join(f"{writing.formula_cells / seconds:12,.0f}" for seconds in writing.seconds.values())
    ratio = writing.seconds["writer"] / writing.seconds["plain"]
    print(f"{writing.network:34}{writing.formula_cells:12,}{writing.cells:12,}{speeds}{ratio:16.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writing")
    parser.add_argument("--only", default="", metavar="TEXT", help="only networks with this in their names")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="PATH", help="write the results there, too")
    arguments = parser.parse_args()
    print_heading()
    head = "".join(f"{title:>12}" for title in ("formulas", "all cells", "to_excel", "writer", "plain"))
    print(f"{'formula cells per second':34}{head}{'writer ÷ plain':>16}")
    rows = []
    for network in NETWORKS:
        if arguments.only.lower() in network.name.lower():
            rows.append(measured(network, arguments.rounds))
            print_row(rows[-1])
    save(arguments.json, writing=[row._asdict() for row in rows])


if __name__ == "__main__":
    main()
