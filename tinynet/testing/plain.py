"""A sheet of numbers about a wrong gradient: what was claimed, what was measured, and live differences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.testing.verdict import Report
from tinynet.workbook import style
from tinynet.workbook.book import cell_name
from tinynet.workbook.style import Styles
from tinynet.workbook.worksheet import ExactWorksheet
from tinynet.workbook.xlsx import open_workbook

SHEET = "Counterexample"
WIDEST = 12  # numbers of a row that are shown of each array
FRAME = {"align": "center", "border": 1, "border_color": style.LINE, "num_format": "0.000000"}
ERROR = "error of that"
SMALL = {ERROR: {"num_format": "0.0E+0"}}
TOP = 5  # the first row below the head


def write_plain(report: Report, path: Path, why: str) -> Path:
    """Write each input beside its gradient as claimed, as measured, the error of that, and the difference.

    ``why`` tells why there are no formulas of the function.
    """
    with open_workbook(path) as out:
        sheet = PlainSheet(out.add_worksheet(SHEET, worksheet_class=ExactWorksheet), Styles(out))
        sheet.head(report, why)
        for i, cotangent in enumerate(report.cotangents):
            sheet.beside({f"cotangent of output {i}": cotangent})
        for i, name in enumerate(report.names):
            sheet.input(name, report, i)
    return path


class PlainSheet:
    """Arrays as blocks, what belongs together side by side."""

    def __init__(self, ws: Any, styles: Styles):
        self.ws, self.s, self.row = ws, styles, TOP
        self.heading = styles(bold=True, font_color=style.INK)
        ws.hide_gridlines(2)
        ws.set_column(0, 0, 3)
        ws.set_column(1, 5 * (WIDEST + 1), 10)
        ws.freeze_panes(TOP - 1, 0)
        ws.set_landscape()
        ws.fit_to_pages(1, 0)

    def head(self, report: Report, why: str) -> None:
        self.ws.set_row(0, 24)
        title = self.s(bold=True, font_size=15, font_color=style.INK)
        self.ws.write_string(0, 0, "A gradient that is wrong: claimed, measured, and the difference", title)
        self.ws.write_string(1, 0, str(report).splitlines()[0], self.s(bold=True, font_color="#9C1C10"))
        grey = self.s(italic=True, font_size=9, font_color="#7A8190")
        if report.gradients:
            self.ws.write_string(
                2, 0, "Red: the difference is larger than the error of the numerical derivative.", grey
            )
        self.ws.write_string(3, 0, f"Numbers only: {why}.", grey)

    def input(self, name: str, report: Report, i: int) -> None:
        """An input and, where it has a gradient, all that is known of that."""
        arrays: dict[str, Any] = {name: report.inputs[i]}
        if not report.gradients or report.gradients[i] is None:
            self.beside(arrays)
            return
        arrays |= {f"d_{name}, claimed": report.gradients[i], "numerical": report.numerical[i], ERROR: report.error[i]}
        starts, row = self.beside(arrays), self.row
        self.row = starts[0][0] - 1
        self.difference(_rows(np.asarray(report.gradients[i]) - report.numerical[i]), starts)
        self.row = row

    def difference(self, rows: np.ndarray, starts: list[tuple[int, int]]) -> None:
        """Live differences, red where they are larger than the error."""
        top, left = starts[-1][0], starts[-1][1] + rows.shape[1] + 1
        self.ws.write_string(top - 1, left, "claimed − numerical", self.heading)
        look = self.s(**FRAME | SMALL[ERROR])
        for r, c in np.ndindex(rows.shape):
            claimed, numerical = (cell_name(row + r, column + c) for row, column in starts[1:3])
            known = bool(np.isfinite(rows[r, c]))
            formula = f'=IF(COUNT({claimed},{numerical})=2,{claimed}-{numerical},"")'
            self.ws.write_formula(top + r, left + c, formula, look, float(rows[r, c]) if known else "")
        here, bound = cell_name(top, left), cell_name(*starts[3])
        red = self.s.differential(bg_color="#F9D7D2", font_color="#9C1C10")
        rule = {"type": "formula", "criteria": f"=AND(ISNUMBER({here}),ABS({here})>{bound})", "format": red}
        self.ws.conditional_format(top, left, top + len(rows) - 1, left + rows.shape[1] - 1, rule)

    def beside(self, arrays: Mapping[str, Any]) -> list[tuple[int, int]]:
        """Write arrays of one shape side by side; return where each of them begins."""
        starts, column, height = [], 1, 0
        for k, (label, array) in enumerate(arrays.items()):
            rows = _rows(np.asarray(array))
            shape = "" if k else f" {np.shape(array)}"
            self.ws.write_string(self.row, column, label + shape, self.heading)
            look = self.s(**FRAME | ({"bg_color": style.INPUT} if not k else {}) | SMALL.get(label, {}))
            for r, c in np.ndindex(rows.shape):
                self.number(self.row + 1 + r, column + c, float(rows[r, c]), look)
            starts.append((self.row + 1, column))
            column, height = column + rows.shape[1] + 1, len(rows)
        self.row += height + 2
        return starts

    def number(self, row: int, column: int, number: float, look: Any) -> None:
        if np.isfinite(number):
            self.ws.write_number(row, column, number, look)
        else:
            self.ws.write_string(row, column, str(number), look)


def _rows(array: np.ndarray) -> np.ndarray:
    """All axes but the last as rows, and of the last as much as is shown."""
    width = array.shape[-1] if array.ndim else 1
    return np.asarray(array, dtype=float).reshape(-1, max(1, width))[:, :WIDEST]
