"""Conditional colours: computed now, later, read by this step; then the diverging scale of each kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.workbook import style
from tinynet.workbook.book import Area, Book, cell_name
from tinynet.workbook.families import Family
from tinynet.workbook.sheet import FIRST_SLOT, Rectangle, Sheet
from tinynet.workbook.stepping import MOST_READ, PER_MOMENT
from tinynet.workbook.style import Styles

CONTROL_ROW, HIDE_ROW = 2, 5  # of the network sheet: the orange cell, and the switch that hides what comes later
GREYS = ["#FFFFFF", "#E4E4E4", "#C9C9C9", "#AEAEAE", "#929292", "#767676", "#5A5A5A", "#3E3E3E", "#222222"]
UNSCALED = ("inputs", "pictures", "states")


class Colours:
    """Writes the rules of one network sheet."""

    def __init__(self, book: Book, sheet: Sheet, ws: Any, styles: Styles, offset: int):
        self.book, self.sheet, self.ws, self.styles, self.offset = book, sheet, ws, styles, offset

    def write(self) -> None:
        for kind, areas in self.areas().items():
            self.rules(kind, areas)

    def areas(self) -> dict[str, list[Area]]:
        """The rectangles that share a colour scale, by kind of quantity."""
        found: dict[str, list[Area]] = {}
        for part in self.sheet.parts:
            for rectangle in part.rectangles:
                if self.is_frozen(rectangle.ids):
                    continue
                kind = self.kind_of(rectangle)
                found.setdefault(kind, []).append(self.book.area(rectangle.ids))
            for group in part.groups:
                if group.family is None or group.family.quantity.endswith("lr"):
                    continue
                ids = self.book.family_ids(group.family)
                ids = ids[self.book.layout.sheet[ids] == self.book.sheets.index(self.sheet)]
                if not ids.size or self.is_frozen(ids) or self.book.layout.row[ids].min() != group.top:
                    continue
                kind = "activations" if group.family.phase == "forward" else "gradients of activations"
                if self.book.layout.families.is_picture(group.family):
                    kind = "pictures"
                elif self.is_plain(group.family):
                    kind = "inputs"
                found.setdefault(kind, []).append(self.book.area(ids))
        return found

    @staticmethod
    def is_plain(family: Family) -> bool:
        """Whether its numbers are typed in, or counted."""
        value = family.blocks[0].value
        return not family.computed or value.array.dtype.kind in "iub" or value.replaces_state

    def kind_of(self, rectangle: Rectangle) -> str:
        if rectangle.role in ("parameter", "new"):
            return "weights"
        block = self.book.plan.blocks[self.book.layout.families.owner[rectangle.ids.flat[0]]]
        return "states" if block.kind == "state" else "gradients of weights"

    def is_frozen(self, ids: np.ndarray) -> bool:
        """Numbers that do not recompute are hatched, and have no other colour."""
        return self.book.plan.blocks[self.book.layout.families.owner[ids.flat[0]]].as_values

    def rules(self, kind: str, areas: list[Area]) -> None:
        """Where the step stands comes first; only then the colour of the number."""
        for area in areas:
            number = cell_name(area.top, area.left)
            zero = f"ISNUMBER({number}),{number}=0" if kind.startswith("gradients") or kind == "states" else ""
            for condition, look in self.stepping(area):
                if zero:
                    self.when(area, f"{condition},{zero}", stop_if_true=True, **look, num_format="0")
                self.when(area, condition, stop_if_true=True, **look)
            if kind == "pictures":
                self.greys(area)
            if zero:
                self.when(area, zero, num_format="0")
            for low, high, colour in [] if kind in UNSCALED else style.diverging(self.book.scales[kind]):
                self.bin(area, low, high, self.styles.differential(bg_color=colour))

    def greys(self, area: Area) -> None:
        """An image, from its smallest number in white to its largest in black."""
        numbers = self.book.numbers_in(area)
        low, high = float(numbers.min()), float(numbers.max())
        step = (high - low or 1.0) / len(GREYS)
        bins = style.bins([low + k * step for k in range(1, len(GREYS))], GREYS)
        for k, (start, end, colour) in enumerate(bins):
            ink = "#FFFFFF" if k > 4 else "#1B1B1B"
            self.bin(area, start, end, self.styles.differential(bg_color=colour, font_color=ink))

    def bin(self, area: Area, low: float | None, high: float | None, look: Any) -> None:
        """Give the numbers from ``low`` up to ``high`` a look; None is an open end."""
        if low is None:
            self.add(area, type="cell", criteria="<", value=high, format=look)
        elif high is None:
            self.add(area, type="cell", criteria=">=", value=low, format=look)
        else:
            self.add(area, type="cell", criteria="between", minimum=low, maximum=high, format=look)

    def stepping(self, area: Area) -> list[tuple[str, dict[str, Any]]]:
        """Computed now, hidden or pale because it comes later, read now: (conditions, look)."""
        step, hide = (cell_name(row, FIRST_SLOT, absolute=True) for row in (CONTROL_ROW, HIDE_ROW))
        reads = f"{cell_name(1, self.offset, True)}:{cell_name(1, self.offset + MOST_READ - 1, True)}"
        mark = cell_name(area.top, area.left + self.offset)
        later = f"{step}>0,{mark}>={PER_MOMENT}*({step}+1)"
        ink = "#1B1B1B"
        return [
            (f"{step}>0,INT({mark}/{PER_MOMENT})={step}", {"bg_color": style.ORANGE, "font_color": ink, "bold": True}),
            (f"{hide}=1,{later}", {"bg_color": "#FFFFFF", "font_color": "#FFFFFF"}),
            (later, {"bg_color": style.PALE, "font_color": "#C9CDD6"}),
            (
                f"{step}>0,{mark}<>0,COUNTIF({reads},{mark})>0",
                {"bg_color": "#FFE9C7", "font_color": ink, "border": 1, "border_color": "#D97B00"},
            ),
        ]

    def when(self, area: Area, conditions: str, stop_if_true: bool = False, **look: Any) -> None:
        """Give the numbers of which all conditions hold a look."""
        look = self.styles.differential(**look)
        self.add(area, type="formula", criteria=f"=AND({conditions})", format=look, stop_if_true=stop_if_true)

    def add(self, area: Area, **rule: Any) -> None:
        self.ws.conditional_format(area.top, area.left, area.bottom, area.right, rule)
