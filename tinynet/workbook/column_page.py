"""Sheets whose rows are units and whose columns are time steps and samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.workbook import style
from tinynet.workbook.book import Book, cell_name
from tinynet.workbook.page import Page
from tinynet.workbook.sheet import (
    CUT,
    FIRST_SLOT,
    HEADER_ROW,
    SYMBOL,
    UNIT,
    Band,
    ColumnSheet,
    Group,
    Part,
    Rectangle,
    time_heads,
)
from tinynet.workbook.style import Styles

PORTRAIT, LANDSCAPE = (7.4 * 96, 10.3 * 96), (10.8 * 96, 6.9 * 96)  # the pixels of a printed page
ROW, REPEATED = 20, 2  # the pixels of a row, and the rows that are repeated on every page
TOO_SMALL, READABLE = 0.42, 0.6  # scales of a page


class ColumnPage(Page):
    """Writes one sheet of rows and columns."""

    sheet: ColumnSheet

    def __init__(self, book: Book, sheet: ColumnSheet, ws: Any, styles: Styles):
        super().__init__(book, sheet, ws, styles)
        gaps = {slot.start + slot.width for slot in sheet.slots}
        self.wide = [column for column in range(FIRST_SLOT, self.right) if column not in gaps]
        self.edges = self.first_samples()

    def columns(self) -> None:
        ws, widths = self.ws, style.WIDTHS
        longest = max((len(group.symbol) for part in self.sheet.parts for group in part.groups), default=0)
        ws.set_column(SYMBOL, SYMBOL, max(widths["symbol"], min(28, 1.05 * longest + 1)))
        ws.set_column(UNIT, UNIT, widths["unit"])
        ws.set_column(FIRST_SLOT, max(self.offset - 1, self.right), widths["number"])
        for slot in self.sheet.slots:
            ws.set_column(slot.start + slot.width, slot.start + slot.width, widths["gap"])

    def width_of(self, column: int) -> float:
        gaps = (slot.start + slot.width for slot in self.sheet.slots)
        return style.WIDTHS["gap" if column in gaps else "number"]

    def header(self) -> None:
        ws, row = self.ws, HEADER_ROW
        dark = self.styles(bold=True, font_color="#FFFFFF", bg_color=style.INK, align="center", font_size=9)
        two_rows = self.sheet.samples > 1 and self.book.layout.timed
        for r in range(row, row + 1 + two_rows):
            for column in range(self.right):
                ws.write_blank(r, column, None, dark)
        ws.write_string(row, SYMBOL, "symbol", dark)
        ws.write_string(row, UNIT, "#", dark)
        for slot in self.sheet.slots:
            self.span(row, slot.start, slot.start + slot.width - 1, slot.head, dark)
        for left, right, text in time_heads(self.sheet):
            self.span(row, left, right, text, dark)
        if two_rows:
            for i, (_, sample) in enumerate(self.sheet.keys):
                ws.write_string(row + 1, self.sheet.value_start + i, f"sample {sample}", dark)
        now = self.styles.differential(bg_color=style.ORANGE, font_color="#FFFFFF")
        label = cell_name(0, self.offset, absolute=True)
        first = cell_name(row, self.sheet.value_start)
        ws.conditional_format(
            row,
            self.sheet.value_start,
            row,
            self.sheet.right - 1,
            {
                "type": "formula",
                "criteria": f'=AND({label}<>"",({first}={label})+({first}="{CUT}"&{label})>0)',
                "format": now,
            },
        )
        ws.freeze_panes(row + 1 + two_rows, FIRST_SLOT)
        ws.repeat_rows(row, row + two_rows)

    # Parts
    def part(self, band: Band, part: Part) -> None:
        self.part_head(band, part)
        for group in part.groups:
            self.group(group)
            self.pictures(group)
        for top in dict.fromkeys(rectangle.top for rectangle in part.rectangles):
            labels = [(r.left, _with_shape(r)) for r in part.rectangles if r.top == top]
            self.labels(top - 1, labels, end=self.sheet.value_start)
        end = max((group.top + group.rows for group in part.groups), default=part.head + 1)
        self.ws.set_row(end, style.HEIGHTS["gap"])

    def group(self, group: Group) -> None:
        symbol = self.styles(bold=True, align="right", font_color=style.INK)
        number = self.styles(align="center", font_size=8, font_color="#9AA1AE")
        for unit in range(group.rows):
            self.ws.set_row(group.top + unit, style.HEIGHTS["number"])
            self.ws.write_string(group.top + unit, SYMBOL, group.symbol, symbol)
            if group.rows > 1:
                self.ws.write_number(group.top + unit, UNIT, unit, number)

    def pictures(self, group: Group) -> None:
        """Draw an input whose samples are images in grey, in the empty columns beside its numbers."""
        block = group.family.blocks[0] if group.family is not None else None
        if block is None or block.kind != "input" or block.ids.ndim != 3 or self.book.layout.timed:
            return
        samples, height, width = block.ids.shape
        rows = min(3, group.rows // height)  # of the sheet for one pixel, which makes it nearly square
        room = self.sheet.value_start - FIRST_SLOT - 1
        fmt = self.styles(num_format=";;;")
        for sample in range(min(samples, (room + 1) // (width + 1))):
            left = FIRST_SLOT + sample * (width + 1)
            for i, j in np.ndindex(height, width):
                cell = int(block.ids[sample, i, j])
                for row in range(group.top + i * rows, group.top + (i + 1) * rows):
                    reference = f"={self.book.addresses.at(cell)}"
                    self.ws.write_formula(row, left + j, reference, fmt, float(self.book.values[cell]))
            grey = {"type": "2_color_scale", "min_color": "#FFFFFF", "max_color": "#1B1B1B"}
            self.ws.conditional_format(group.top, left, group.top + height * rows - 1, left + width - 1, grey)

    def first_samples(self) -> set[int]:
        """The columns where a new time step begins, if several samples stand under each."""
        starts = {left for left, right, _ in time_heads(self.sheet) if right > left}
        return starts if self.book.layout.timed else set()

    # Paper
    def paper(self) -> tuple[bool, float]:
        """As high as the longest pass and as wide as the sheet; where that is too small to be read, only as wide."""
        width = (self.right - FIRST_SLOT) * 63 + 110  # pixels, of which a printed inch has 96
        starts = [0, *(band.row for band in self.sheet.bands[1:]), self.sheet.bottom]
        height = ROW * (max(np.diff(starts)) + REPEATED)  # of the longest pass
        portrait = min(PORTRAIT[0] / width, PORTRAIT[1] / height)
        landscape = min(LANDSCAPE[0] / width, LANDSCAPE[1] / height)
        if max(portrait, landscape) >= TOO_SMALL:
            return landscape > portrait, max(portrait, landscape)
        upright = PORTRAIT[0] / width >= READABLE
        return not upright, min(READABLE, (PORTRAIT if upright else LANDSCAPE)[0] / width)

    def breaks(self, landscape: bool, scale: float) -> list[int]:
        """Every pass begins a page, and so does a part for which there is no more room."""
        room = (LANDSCAPE if landscape else PORTRAIT)[1] / scale / ROW - REPEATED
        heads = [part.head for part in self.sheet.parts] + [self.sheet.bottom]
        found: list[int] = []
        start = 0  # of the page
        for band in self.sheet.bands:
            if band.phase != "forward":
                found.append(start := band.row)
            for part in band.parts:
                end = heads[heads.index(part.head) + 1]
                if end - start > room + 1 and part.head > band.row + 1:
                    found.append(start := part.head)
        return found


def _with_shape(rectangle: Rectangle) -> str:
    """What a rectangle is called, with its shape."""
    rows, columns = rectangle.ids.shape
    label = f"{rectangle.label}{'ᵀ' * rectangle.turned}"
    return f"{label}  {rows}×{columns}" if columns > 1 else label
