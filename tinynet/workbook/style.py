"""How a workbook looks: colours, number formats, and the diverging scales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xlsxwriter

INK, NAVY, MAROON, GREEN = "#1F2A44", "#1F4E79", "#7B2C24", "#2E6B34"
HEADS = {"forward": "#DCE6F1", "backward": "#F4DFDC", "update": "#DDEBDC"}
BANDS = {"forward": NAVY, "backward": MAROON, "update": GREEN}
ORANGE, AMBER, PALE, CREAM, LINE = "#FF9F1C", "#D9A400", "#F5F6F8", "#FFF1D6", "#C9CED8"
INPUT = "#E2F3E4"
FROZEN = {"pattern": 14, "fg_color": "#D9DCE2", "bg_color": "#FFFFFF", "italic": True, "font_color": "#7A8190"}
ROLES: dict[str, dict[str, Any]] = {  # what a number is: some may be edited, a ``value`` is computed
    "parameter": {"border_color": AMBER, "font_color": "#2451B3"},
    "input": {"bg_color": INPUT},
    "class": {"bg_color": INPUT, "num_format": "0"},
    "whole": {"num_format": "0"},
    "place": {"num_format": "0", "font_color": "#7A8190"},
    "frozen": FROZEN,
    "value": {},
}
SQUARES: dict[str, dict[str, Any]] = {  # what is different in a map
    "input": {"border_color": "#6DB57A"},
    "class": {"font_size": 10},
}

# From the most negative to the most positive; the middle bin has no colour.
BINS = ["#5B8FCF", "#8FB4E3", "#B9D0EE", "#DEE9F7", None, "#FAE3DE", "#F4C3B9", "#EC9C8D", "#E36F5E"]

NUMBER = "0.000"
SMALL = "[>=0.0005]0.000;[<=-0.0005]-0.000;0.0E+0"

WIDTHS = {"symbol": 10.5, "unit": 3, "number": 8.3, "gap": 1.3}
HEIGHTS = {"band": 20, "head": 17, "labels": 12.5, "number": 15, "gap": 5}
MOST_LINES = 27  # of a row, which a spreadsheet program shows

Bin = tuple[float | None, float | None, str]  # above, up to (None for an open end), colour


def wrapped(texts: Iterable[str], characters: int) -> float:
    """The height of a row of texts that are wrapped where a line has so many characters."""
    lines = max(-(-len(text) // characters) for text in texts)
    return HEIGHTS["number"] * min(lines, MOST_LINES)


class Styles:
    """Cell formats by their properties, each made once."""

    def __init__(self, book: xlsxwriter.Workbook):
        self.book = book
        self.made: dict[tuple, Any] = {}

    def __call__(self, **properties: Any) -> Any:
        key = tuple(sorted(properties.items()))
        if key not in self.made:
            self.made[key] = self.book.add_format({"font_name": "Calibri", "font_size": 10, **properties})
        return self.made[key]

    def differential(self, **properties: Any) -> Any:
        """A format for a conditional rule: only what it changes."""
        key = ("differential", *sorted(properties.items()))
        if key not in self.made:
            self.made[key] = self.book.add_format(properties)
        return self.made[key]

    def cell(self, role: str, small: bool = False, edge: bool = False) -> Any:
        """A number cell in one of the ROLES; ``edge`` starts a step."""
        common = {
            "num_format": SMALL if small else NUMBER,
            "align": "center",
            "border": 1,
            "border_color": LINE,
        }
        if edge:
            common |= {"left": 2, "left_color": INK}
        return self(**common | ROLES[role])

    def square(self, role: str, small: bool, width: float) -> Any:
        """A cell of a map: less room, fewer digits."""
        digits = "[>=0.005]0.00;[<=-0.005]-0.00;0E+0" if small else "0.00"
        common = {"num_format": digits, "align": "center", "valign": "vcenter", "border": 1, "border_color": LINE}
        common |= {"font_size": 8 if width > 4 else 7}
        return self(**common | ROLES[role] | SQUARES.get(role, {}))


def magnitude(numbers: np.ndarray) -> float:
    """A round number that nearly all of ``numbers`` stay below in size: the ends of their colour scale."""
    sizes = np.abs(numbers[np.isfinite(numbers)])
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return 1.0
    size = min(
        max(float(np.quantile(sizes, 0.95, overwrite_input=True)), 1e-300), 1e300
    )  # whose powers of ten are numbers too
    power = 10.0 ** np.floor(np.log10(size))
    return float(next(step for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= size * 0.999) * power)


def diverging(largest: float) -> list[Bin]:
    """The bins of a diverging scale, from ``-largest`` to ``largest``."""
    return bins([largest * k / 9 for k in (-7, -5, -3, -1, 1, 3, 5, 7)], BINS)


def bins(edges: list[float], colours: Sequence[str | None]) -> list[Bin]:
    """The bins between the edges, and beyond the first and the last, that have a colour."""
    ends = [None, *edges, None]
    return [(low, high, colour) for low, high, colour in zip(ends[:-1], ends[1:], colours, strict=True) if colour]
