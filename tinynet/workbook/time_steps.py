"""The sheet Time steps: a link to every step, and the size of the gradient there, as numbers and as a chart.

That gradients vanish or explode on their way back through time (Pascanu, Mikolov and Bengio, 2013) is seen here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.run import time_label
from tinynet.workbook import style
from tinynet.workbook.book import READ_ME, Book, cell_name
from tinynet.workbook.expressions import Cells, Literal
from tinynet.workbook.families import Family
from tinynet.workbook.sheet import HEADER_ROW, ColumnSheet
from tinynet.workbook.style import Styles

TIME_STEPS = "Time steps"
FIRST_ROW = 4  # of the table, 0-based


def state_gradients(book: Book) -> list[Family]:
    """The gradients of states: of the quantities whose gradient also arrives from a neighbouring step.

    Those that only pass on what arrives, as that of a running total does, are as large at every step.
    """
    families = [f for f in book.layout.families.all if f.phase == "backward"]
    states = {id(f.of) for f in families if f.share in ("next", "previous")}
    found = [f for f in families if f.share is None and f.blocks[0].value.of is not None and id(f.of) in states]
    return [f for f in found if not all(isinstance(block.expression, (Cells, Literal)) for block in f.blocks)]


class TimeStepsSheet:
    """Writes the table and the chart of one workbook."""

    def __init__(self, book: Book, out: Any, ws: Any, styles: Styles):
        self.book, self.out, self.ws, self.s = book, out, ws, styles
        self.families = [f for f in state_gradients(book) if f.update == 0]

    def write(self) -> None:
        ws, s = self.ws, self.s
        ws.hide_gridlines(2)
        ws.set_column(0, 0, 10)
        longest = max(len(_head(family)) for family in self.families)
        ws.set_column(1, len(self.families), max(13, 1.05 * longest + 1))
        ws.set_row(0, 24)
        ws.write_string(0, 0, "Time steps: how large the gradient is", s(bold=True, font_size=15, font_color=style.INK))
        ws.write_url(1, 0, f"internal:'{READ_ME}'!A1", s(font_color="#2451B3", underline=1), "Read me")
        note = (
            "Size: the root of the sum of squares over all units and samples of a step. Read it from the last step up."
        )
        ws.write_string(2, 0, note, s(italic=True, font_size=9, font_color="#7A8190"))
        dark = s(bold=True, font_color="#FFFFFF", bg_color=style.INK, align="center")
        ws.write_string(FIRST_ROW - 1, 0, "step", dark)
        for column, family in enumerate(self.families, start=1):
            ws.write_string(FIRST_ROW - 1, column, _head(family), dark)
        times = sorted({block.time for family in self.families for block in family.blocks if block.time is not None})
        for row, time in enumerate((t for t in times if t >= 0), start=FIRST_ROW):
            self.step(row, time)
        last = FIRST_ROW + len([t for t in times if t >= 0]) - 1
        ws.freeze_panes(FIRST_ROW, 1)
        self.chart(last)
        ws.set_paper(9)
        ws.set_landscape()
        ws.fit_to_pages(1, 0)

    def step(self, row: int, time: int) -> None:
        link = self.s(font_color="#2451B3", underline=1, align="center")
        self.ws.write_url(row, 0, f"internal:{self.head_of(time)}", link, f"t = {time_label(time)}")
        for column, family in enumerate(self.families, start=1):
            block = next((block for block in family.blocks if block.time == time), None)
            if block is not None:
                size = float(np.sqrt(np.sum(self.book.values[block.ids] ** 2)))
                formula = f"=SQRT(SUMSQ({self.book.range(self.book.area(block.ids))}))"
                self.ws.write_formula(row, column, formula, self.s(num_format="0.0E+0", align="center"), size)

    def head_of(self, time: int) -> str:
        """Where a step begins on the first sheet that shows it."""
        for sheet in (s for s in self.book.sheets if isinstance(s, ColumnSheet)):
            for i, key in enumerate(sheet.keys):
                if key[0] == time:
                    return f"'{sheet.name}'!{cell_name(HEADER_ROW, sheet.value_start + i)}"
        block = next(block for family in self.families for block in family.blocks if block.time == time)
        return self.book.range(self.book.area(block.ids))

    def chart(self, last: int) -> None:
        chart = self.out.add_chart({"type": "line"})
        colours = ("#2451B3", "#C0392B", "#2E6B34", "#8E44AD")
        for i, family in enumerate(self.families):
            line = {"color": colours[i % len(colours)], "width": 2}
            chart.add_series(
                {
                    "name": _head(family),
                    "categories": [TIME_STEPS, FIRST_ROW, 0, last, 0],
                    "values": [TIME_STEPS, FIRST_ROW, i + 1, last, i + 1],
                    "line": line,
                    "marker": {"type": "circle", "size": 5, "fill": {"color": line["color"]}, "border": line},
                }
            )
        chart.set_title({"name": "The gradient on its way back through time", "name_font": {"size": 12}})
        chart.set_y_axis({"log_base": 10, "num_format": "0E+0", "major_gridlines": {"visible": True}})
        chart.set_x_axis({"label_position": "low"})
        chart.set_legend({"position": "bottom"})
        chart.set_size({"width": 640, "height": 340})
        self.ws.insert_chart(FIRST_ROW - 1, len(self.families) + 2, chart)


def _head(family: Family) -> str:
    return f"size of {family.symbol}"
