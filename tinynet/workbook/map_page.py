"""Sheets of images and feature maps: square cells, images in grey, a strip for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.workbook import style
from tinynet.workbook.book import Area, cell_name
from tinynet.workbook.colours import CONTROL_ROW
from tinynet.workbook.expressions import Position
from tinynet.workbook.maps import BARS, samples_drawn
from tinynet.workbook.page import Page
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import FIRST_SLOT, HEADER_ROW, SYMBOL, UNIT, Band, MapPart, MapSheet, Part
from tinynet.workbook.stepping import PER_MOMENT

LARGE, SMALL = 4.6, 3.3  # widths of a square cell, in characters
LONGEST = 28  # characters of a bar
POINTS = {LARGE: 27.75, SMALL: 21.0}  # the heights that make them square
PIXELS = {LARGE: 37.5, SMALL: 29.5}


class MapPage(Page):
    """Writes one sheet of maps."""

    sheet: MapSheet
    span_of_number = 2

    @property
    def width(self) -> float:
        return SMALL if self.sheet.pictures else LARGE

    def columns(self) -> None:
        self.ws.set_column(SYMBOL, SYMBOL, style.WIDTHS["symbol"])
        self.ws.set_column(UNIT, UNIT, style.WIDTHS["unit"])
        self.ws.set_column(FIRST_SLOT, max(self.offset - 1, self.right), self.width)

    def width_of(self, column: int) -> float:
        return self.width

    def header(self) -> None:
        self.ws.freeze_panes(HEADER_ROW, FIRST_SLOT)

    def part(self, band: Band, part: Part) -> None:
        assert isinstance(part, MapPart)
        self.part_head(band, part)
        self.ws.set_row(part.head + 1, style.HEIGHTS["number"])
        for row in dict.fromkeys(row for row, *_ in part.labels):
            self.labels(row, [(column, text) for r, column, text in part.labels if r == row], end=0)
        bold = self.styles(bold=True, align="right", valign="top", font_color=style.INK)
        for channel, (top, rows) in enumerate(part.strips):
            for row in range(top, top + rows):
                self.ws.set_row(row, POINTS[self.width])
            self.ws.set_row(top + rows, style.HEIGHTS["gap"] + 3)
            if len(part.strips) > 1:
                self.ws.write_string(top, SYMBOL, f"channel {channel}", bold)

    def role(self, block: Block) -> str:
        role = super().role(block)
        return "place" if role == "whole" and block.ids.ndim > 2 else role

    def look(self, role: str, small: bool, edge: bool) -> Any:
        return self.styles.square(role, small, self.width)

    def equations(self, part: Part) -> str:
        """Within a sheet, its own quantities go without the name of their layer."""
        scopes = {f.quantity.removeprefix("d_").rpartition(".")[0] for f in part.section.families}
        text = super().equations(part)
        for scope in filter(None, scopes):
            text = text.replace(f"{scope}.", "")
        return text

    def cells(self) -> None:
        self.chosen()  # before the colours: what comes first wins
        super().cells()
        if self.sheet.bars is not None:
            self.bars(*self.sheet.bars)

    def chosen(self) -> None:
        """Frame the cells that were the largest of their window, where windows lie side by side."""
        layout, number = self.book.layout, self.book.sheets.index(self.sheet)
        look = self.styles.differential(bold=True, border=1, border_color="#1B1B1B", bg_color="#FFE08A")
        for block in self.book.plan.blocks:
            if not isinstance(block.expression, Position):
                continue
            tiles = layout.spatial.tiles(block.value, block.ids)
            if tiles is None:
                continue
            windows = np.zeros((block.ids.max() + 1, block.expression.ids.shape[1]), dtype=int)
            windows[block.ids.reshape(-1)] = block.expression.ids
            for tile in (tile for channel in tiles for tile in channel):
                area = self.book.area(windows[tile])
                if layout.sheet[windows[tile].flat[0]] == number and area.sheet is self.sheet:
                    moment = int(self.book.moments.mark[tile.flat[0]]) // PER_MOMENT
                    self.frame(tile, windows[tile], area, moment, look)

    def frame(self, tile: np.ndarray, windows: np.ndarray, area: Area, moment: int, look: Any) -> None:
        """One rule for a map: is my place in my window the one that was chosen, and has it been chosen yet?"""
        height, width = tile.shape
        first, corner = self.book.area(windows[0, 0]), self.book.area(tile[:1, :1])
        rows, columns = first.bottom - first.top + 1, first.right - first.left + 1
        if (area.bottom - area.top + 1, area.right - area.left + 1) != (rows * height, columns * width):
            return
        end = self.book.area(tile)
        span = f"{cell_name(corner.top, corner.left, True)}:{cell_name(end.bottom, end.right, True)}"
        down, right = f"(ROW()-{area.top + 1})", f"(COLUMN()-{area.left + 1})"
        chosen = f"INDEX({span},INT({down}/{rows})+1,INT({right}/{columns})+1)"
        step = cell_name(CONTROL_ROW, FIRST_SLOT, absolute=True)
        mine = f"{chosen}=MOD({down},{rows})*{columns}+MOD({right},{columns})"
        criteria = f"=AND(OR({step}=0,{step}>={moment}),{mine})"
        rule = {"type": "formula", "criteria": criteria, "format": look}
        self.ws.conditional_format(area.top, area.left, area.bottom, area.right, rule)

    def bars(self, top: int, left: int) -> None:
        """The probability of every class as a bar, for each sample; the largest is what the network reads."""
        families = self.book.layout.families.probabilities()
        for family in families:
            who = family.quantity.partition(".")[0] + " " if len(families) > 1 else ""
            ids = family.blocks[0].ids
            for cells in ids.reshape(-1, ids.shape[-1])[: samples_drawn(family)]:
                self.bars_of(top, left, cells.tolist(), who)
                left += BARS

    def bars_of(self, top: int, left: int, cells: list[int], who: str) -> None:
        home = self.book.sheets.index(self.sheet)
        references = [self.book.addresses.reference(cell, home) for cell in cells]
        values = self.book.values[cells]
        first, last = (cell_name(row, left + 1, True) for row in (top, top + len(cells) - 1))
        line = f"{first}:{last}"
        reads = f'="{who}reads "&MATCH(MAX({line}),{line},0)-1'
        bold = self.styles(bold=True, font_color="#A85400")
        self.ws.write_formula(top - 1, left, reads, bold, f"{who}reads {int(values.argmax())}")
        small = {"align": "center", "valign": "vcenter", "font_size": 8}
        for k, (reference, p) in enumerate(zip(references, values.tolist(), strict=True)):
            row = top + k
            self.ws.write_number(row, left, k, self.styles(bold=True, **small))
            self.ws.write_formula(row, left + 1, f"={reference}", self.styles(num_format="0.00", **small), p)
            here = cell_name(row, left + 1, absolute=True)
            bar = self.styles(font_color=style.NAVY, valign="vcenter", font_size=9)
            self.ws.write_formula(
                row, left + 2, f'=REPT("█",ROUND({LONGEST}*{here},0))', bar, "█" * _round(LONGEST * p)
            )
            best = self.styles.differential(font_color=style.ORANGE)
            rule = {"type": "formula", "criteria": f"={here}=MAX({line})", "format": best}
            self.ws.conditional_format(row, left, row, left + 2, rule)

    # Paper
    def paper(self) -> tuple[bool, float]:
        """As wide as the page."""
        inches = ((self.right - FIRST_SLOT) * PIXELS[self.width] + 130) / 96
        upright = 7.3 / inches > 0.4
        return not upright, (7.3 if upright else 10.7) / inches

    def breaks(self, landscape: bool, scale: float) -> list[int]:
        """Strips stay whole."""
        room = (6.8 if landscape else 10.2) * 72 / scale  # the height of a page in points
        found: list[int] = []
        used = 155.0  # the head of the sheet
        for part in self.sheet.parts:
            assert isinstance(part, MapPart)
            for i, (top, rows) in enumerate(part.strips):
                height = rows * POINTS[self.width] + style.HEIGHTS["gap"] + (0 if i else 40)
                if used + height > room:
                    found.append(top if i else part.head)
                    used = 0.0
                used += height
        return found


def _round(x: float) -> int:
    """As spreadsheets round: halves up."""
    return int(x + 0.5)
