"""Measurements as curves over doubling sizes, in a workbook: both axes are logarithms, so a slope is an exponent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import xlsxwriter

WIDTH, HEIGHT = 520, 340  # pixels of a chart
ROWS = 18  # of the sheet that a chart covers


class Curve(NamedTuple):
    """One line of a chart."""

    chart: str
    name: str
    sizes: Sequence[float]
    numbers: Sequence[float]


def write_charts(path: str, curves: Sequence[Curve], y_axis: str) -> None:
    """A chart for all curves of a title, and a sheet with their numbers."""
    with xlsxwriter.Workbook(path) as book:
        page, table = book.add_worksheet("Charts"), book.add_worksheet("Numbers")
        page.hide_gridlines(2)
        page.set_landscape()
        page.fit_to_pages(1, 1)
        for number, title in enumerate(dict.fromkeys(curve.chart for curve in curves)):
            chart = book.add_chart({"type": "scatter", "subtype": "straight_with_markers"})
            for column, curve in enumerate(curves):
                if curve.chart == title:
                    chart.add_series(_series(table, 3 * column, curve))
            sizes = [size for curve in curves if curve.chart == title for size in curve.sizes]
            heights = [math.log10(n) for curve in curves if curve.chart == title for n in curve.numbers]
            low, high = 10.0 ** math.floor(min(heights)), 10.0 ** math.ceil(max(heights))
            chart.set_title({"name": title, "name_font": {"size": 12}})
            chart.set_x_axis(
                {
                    "log_base": 2,
                    "major_unit": 2,
                    "min": min(sizes),
                    "max": max(sizes),
                    "major_gridlines": {"visible": True},
                }
            )
            chart.set_legend({"position": "bottom"})
            chart.set_y_axis({"name": y_axis, "log_base": 10, "min": low, "max": high})
            chart.set_size({"width": WIDTH, "height": HEIGHT})
            page.insert_chart(ROWS * (number // 2), 9 * (number % 2), chart)


def _series(table: xlsxwriter.worksheet.Worksheet, column: int, curve: Curve) -> dict:
    last = 1 + len(curve.sizes)
    table.write_row(0, column, [curve.chart, curve.name])
    table.write_column(2, column, curve.sizes)
    table.write_column(2, column + 1, curve.numbers)
    return {
        "name": curve.name,
        "categories": [table.name, 2, column, last, column],
        "values": [table.name, 2, column + 1, last, column + 1],
    }
