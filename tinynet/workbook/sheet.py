"""What a sheet of the network is made of: bands, parts, groups of rows, rectangles of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tinynet.run import INITIAL
from tinynet.workbook import style
from tinynet.workbook.families import Family, Section, greek
from tinynet.workbook.keys import WHOLE
from tinynet.workbook.tags import NONE

SYMBOL, UNIT, FIRST_SLOT = 0, 1, 2  # columns
CUT = "✂ "  # before the head of a time step where backpropagation was truncated
HEADER_ROW = 6  # title, subtitle, control, sentence, numbers and a gap stand above it
MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384


@dataclass(eq=False)
class Slot:
    """A stretch of columns for weights, and what they multiply; or for vectors, and what these are called."""

    width: int = 0
    start: int = 0
    partners: list[str] = field(default_factory=list)
    vectors: str = ""

    @property
    def head(self) -> str:
        """``from x, h_l0``; what does not fit is left to the dots."""
        if self.vectors or "weights" in self.partners:  # of some it is not known what they multiply
            return self.vectors or "weights"
        room = int(style.WIDTHS["number"] * self.width) - len(" …")
        text = f"from {self.partners[0]}"
        for partner in self.partners[1:]:
            if len(text) + len(partner) > room:
                return f"{text} …"
            text += f", {partner}"
        return text


@dataclass(eq=False)
class Group:
    """The rows of one family (or of the weights of one that has no rows of its own here)."""

    top: int
    rows: int
    symbol: str
    family: Family | None


@dataclass(eq=False)
class Rectangle:
    """A block of parameter cells: the parameter itself, its gradient, its new value, or what is computed on the way.

    ``label`` stands above it, ``symbol`` in equations; ``turned`` says that its rows are the parameter's columns.
    """

    name: str
    label: str
    symbol: str
    role: str  # "parameter", "gradient", "new", or what an optimiser calls it, such as "m"
    ids: np.ndarray
    top: int
    left: int
    turned: bool = False


@dataclass(eq=False)
class Part:
    """A section as it stands on the sheet."""

    section: Section
    title: str
    head: int
    groups: list[Group] = field(default_factory=list)
    rectangles: list[Rectangle] = field(default_factory=list)

    @property
    def is_update(self) -> bool:
        """Whether an optimiser's numbers stand here: the groups then only lend them their rows."""
        return bool(self.rectangles) and self.rectangles[0].role not in ("parameter", "gradient")


@dataclass(eq=False)
class MapPart(Part):
    """A part of a map sheet: strips (first row, rows), one for each channel, below labels (row, column, text)."""

    strips: list[tuple[int, int]] = field(default_factory=list)
    labels: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass(eq=False)
class Band:
    """A pass: forward, backward or update."""

    phase: str
    row: int
    parts: list[Part] = field(default_factory=list)


@dataclass(eq=False)
class Sheet:
    """One sheet of the network, in one round of training (``update``)."""

    name: str
    update: int
    bands: list[Band] = field(default_factory=list)
    bottom: int = 0
    edge: int = 0  # the first column that nothing stands in

    @property
    def right(self) -> int:
        """The first column beyond those that are drawn."""
        return self.edge

    @property
    def parts(self) -> Iterator[Part]:
        return (part for band in self.bands for part in band.parts)


@dataclass(eq=False)
class ColumnSheet(Sheet):
    """Rows are units, columns are time steps and samples."""

    slots: list[Slot] = field(default_factory=list)
    keys: list[tuple[int, int]] = field(default_factory=list)
    value_start: int = 0
    cuts: set[int] = field(default_factory=set)  # time steps whose states send no gradient back

    @property
    def right(self) -> int:
        """The column behind those of steps and samples."""
        return self.value_start + max(len(self.keys), 1)

    @property
    def samples(self) -> int:
        return len({sample for _, sample in self.keys})


@dataclass(eq=False)
class MapSheet(Sheet):
    """Images and feature maps as square cells, a strip for each channel."""

    pictures: bool = False  # nothing but images: the cells may be small
    bars: tuple[int, int] | None = None  # where the probabilities of the classes are drawn: row, column


class Builder:
    """Fills a sheet from top to bottom; ``row`` is the first that is free."""

    sheet: Sheet
    row: int

    def band(self, phase: str) -> Band:
        """Begin a pass: its head takes a row."""
        band = Band(phase, self.row)
        self.sheet.bands.append(band)
        self.row += 1
        return band


def time_heads(sheet: ColumnSheet) -> list[tuple[int, int, str]]:
    """The heads above the value columns: (first column, last column, text) for each step or sample."""
    heads: list[tuple[int, int, str]] = []
    for i, (time, sample) in enumerate(sheet.keys):
        column = sheet.value_start + i
        if time == NONE:
            text = "value" if sample == NONE else f"sample {sample}"
        elif time == WHOLE:
            text = "all steps"
        else:
            text = "initial" if time == INITIAL else f"{CUT}t = {time}" if time in sheet.cuts else f"t = {time}"
        if heads and heads[-1][2] == text:
            heads[-1] = (heads[-1][0], column, text)
        else:
            heads.append((column, column, text))
    return heads


def rectangle_name(name: str, role: str, symbol: str) -> tuple[str, str, str]:
    """What a rectangle of a parameter is called in a role: its name, its label and its symbol."""
    if role in ("parameter", "copy"):
        return name, symbol, symbol
    if role in ("gradient", "new"):
        said = f"∂L/∂{symbol}" if role == "gradient" else f"new {symbol}"
        return f"{'d' if role == 'gradient' else role}_{name}", said, said
    said = "old " * role.startswith("old_") + greek(role.removeprefix("old_"))
    return f"{role}_{name}", f"{said}: {symbol}", said
