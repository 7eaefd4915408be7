"""The sheet Yours: paste your own numbers beside ours; the first block that differs is named. No Python is needed.

Every block has a head, our live numbers as NumPy prints them (a row for each index but the last), and as large an
empty rectangle beside them. Hidden columns to the right hold what the verdict is looked up in: a row of figures for
each block, and the first block that differs once more, number by number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.workbook import style
from tinynet.workbook.addresses import column_letters
from tinynet.workbook.book import READ_ME, Book, Entry, cell_name
from tinynet.workbook.sheet import MAX_COLUMNS, MAX_ROWS
from tinynet.workbook.style import Styles

YOURS = "Yours"
LIMIT = 20_000  # formula cells of this sheet: it doubles those of the network
TOLERANCE = 1e-6  # of a block's largest number, at least of 1
FIRST_ROW = 7  # of the blocks, 0-based
USUAL = 10  # columns: blocks up to so wide start yours in one column
PORTRAIT, PAGE = 16, 40  # columns: up to so many, the sheet is printed upright, and on one page beside another
NOTHING, PASTE = "nothing pasted yet", "paste yours here"
VERDICT_ROW, TOLERANCE_ROW, COUNT_ROW, HOW_ROW = 2, 3, 4, 5
# Hidden columns: of every block its name, size, width, columns and figures; then the search and the letters of columns.
NAME, SIZE, WIDTH, OURS_AT, YOURS_AT, ALLOWED, PASTED, RAW, DIFFER, FLAG, SEARCH, LETTERS = range(12)
HOW = (
    "Paste the numbers that your own code computes into the green cells, in rows as NumPy prints them (for a sequence "
    "one row for each time step and sample): what differs turns red, and the first block that differs, in the order of "
    "execution, is named above."
)


@dataclass(frozen=True)
class Place:
    """Where a block stands, 0-based: its head, the rows below it, and the first columns of ours and of yours."""

    name: str
    entry: Entry
    head: int
    rows: int
    width: int
    ours: int
    yours: int

    def cell(self, element: int) -> tuple[int, int]:
        """Where one element of yours stands: row and column."""
        return self.head + 1 + element // self.width, self.yours + element % self.width

    def range(self, left: int) -> str:
        """The rectangle of ours or of yours."""
        start = cell_name(self.head + 1, left)
        end = cell_name(self.head + self.rows, left + self.width - 1)
        return start if start == end else f"{start}:{end}"


def fits(book: Book) -> bool:
    """Whether the sheet is not too large."""
    shapes = [_spread(entry) for entry in book.entries]
    rows, widths = zip(*shapes, strict=True)
    high = sum(rows) + 2 * len(rows) + 64
    return needed(book) <= LIMIT and 2 * max(widths) + 64 <= MAX_COLUMNS and high <= MAX_ROWS


def places(book: Book) -> list[Place]:
    """Every named block in the order of execution, one below the other; none where the sheet would be too large."""
    if not fits(book):
        return []
    usual = max((width for _, width in map(_spread, book.entries) if width <= USUAL), default=0)
    found, head, seen = [], FIRST_ROW, Counter[str]()
    for entry in book.entries:
        rows, width = _spread(entry)
        seen[entry.name] += 1
        name = entry.name if seen[entry.name] == 1 else f"{entry.name} ({seen[entry.name]})"
        found.append(Place(name, entry, head, rows, width, 1, 2 + max(width, usual)))
        head += rows + 2
    return found


def _spread(entry: Entry) -> tuple[int, int]:
    """The rows and the columns that a block takes."""
    width = entry.ids.shape[-1] if entry.ids.ndim else 1
    return entry.ids.size // width, width


def needed(book: Book) -> int:
    """How many formula cells the sheet takes: every number, six for each block, the search, the verdict."""
    sizes = [entry.ids.size for entry in book.entries]
    return sum(sizes) + 6 * len(sizes) + max(sizes, default=0) + 14


@dataclass(frozen=True)
class Beside:
    """Somebody's numbers, by cell id, that are to stand beside ours; what differs by more than ``tolerance`` is red."""

    numbers: Mapping[int, float]
    tolerance: float


@dataclass(frozen=True)
class Told:
    """What the formulas of a block will say: how many numbers there are, and which of all its elements differ."""

    pasted: int
    allowed: float
    differ: np.ndarray


class YoursSheet:
    """Writes the sheet; ``places`` say where."""

    def __init__(self, book: Book, found: list[Place], ws: Any, styles: Styles, beside: Beside | None = None):
        self.book, self.places, self.ws, self.s = book, found, ws, styles
        self.beside = beside or Beside({}, TOLERANCE)
        self.told = {place.name: self.tell(place) for place in found}
        self.first = next((place for place in found if self.told[place.name].differ.any()), None)
        self.end = max(place.yours + place.width for place in found)  # the first column behind the numbers
        self.last = found[-1].head + found[-1].rows  # the last row of the blocks
        self.right = max(13, found[0].yours + 4)  # the last column of the verdict
        self.edge = max(self.end, self.right + 1)  # the first column that nothing shows in
        self.hidden = self.edge + 1
        self.longest = max(place.entry.ids.size for place in found)

    def tell(self, place: Place) -> Told:
        ids = place.entry.ids.reshape(-1)
        ours = self.book.values[ids]
        yours = np.array([self.beside.numbers.get(cell, np.nan) for cell in ids.tolist()])
        allowed = self.beside.tolerance * max(1.0, float(np.abs(ours).max()))
        return Told(int(np.isfinite(yours).sum()), allowed, np.abs(yours - ours) > allowed)

    def select_first(self) -> None:
        """Open the workbook here, at the first number that differs."""
        self.ws.activate()
        if self.first is not None:
            row, column = self.first.cell(int(np.argmax(self.told[self.first.name].differ)))
            self.ws.set_selection(row, column, row, column)
            self.ws.set_top_left_cell(max(FIRST_ROW, self.first.head - 1), 0)

    def write(self) -> None:
        ws, s = self.ws, self.s
        ws.hide_gridlines(2)
        ws.set_column(0, 0, 25)
        ws.set_column(1, self.edge, style.WIDTHS["number"])
        ws.set_column(self.hidden, self.hidden + LETTERS, 8, None, {"hidden": 1})
        ws.set_row(0, 24)
        title = s(bold=True, font_size=15, font_color=style.INK)
        ws.write_string(0, 0, "Yours: your own numbers beside ours", title)
        ws.write_url(1, 0, f"internal:'{READ_ME}'!A1", s(font_color="#2451B3", underline=1), "Read me")
        self.top()
        self.columns()
        self.first_difference()
        for place in self.places:
            self.block(place)
        self.search()
        ws.freeze_panes(FIRST_ROW, 1)
        ws.set_paper(9)
        if self.end > PORTRAIT:
            ws.set_landscape()
        ws.print_area(0, 0, self.last, self.edge - 1)
        ws.fit_to_pages(-(-self.edge // PAGE), 0)
        ws.repeat_rows(FIRST_ROW - 1)

    # Above: the verdict
    def top(self) -> None:
        ws, s = self.ws, self.s
        label = s(bold=True, font_size=12, font_color=style.INK, valign="vcenter")
        frame = {"valign": "vcenter", "border": 1, "border_color": style.LINE}
        box = s(bold=True, font_size=12, font_color="#4A5368", bg_color=style.PALE, indent=1, **frame)
        verdict = cell_name(VERDICT_ROW, 1, absolute=True)
        ws.set_row(VERDICT_ROW, 22)
        ws.write_string(VERDICT_ROW, 0, "verdict", label)
        ws.merge_range(VERDICT_ROW, 1, VERDICT_ROW, self.right, "", box)
        pasted = f"SUM({self.column(PASTED)})"
        formula = (
            f'=IF({pasted}=0,"{NOTHING}",IF({self.at(0)}=0,"all "&{pasted}&" pasted numbers agree",'
            f'"FIRST DIFFERENCE: "&INDEX({self.column(NAME)},{self.at(0)})&", at {YOURS}!"&{self.at(9)}'
            f'&", ours "&{self.at(10)}&", yours "&{self.at(11)}))'
        )
        ws.write_formula(VERDICT_ROW, 1, formula, box, self.verdict())
        green = s.differential(bg_color="#E2F3E4", font_color="#1D6B2F")
        red = s.differential(bg_color="#F9D7D2", font_color="#9C1C10")
        for start, look in (("all", green), ("FIRST", red)):
            rule = {"type": "formula", "criteria": f'=LEFT({verdict},{len(start)})="{start}"', "format": look}
            ws.conditional_format(VERDICT_ROW, 1, VERDICT_ROW, self.right, rule)
        grey = s(italic=True, font_size=9, font_color="#7A8190", indent=1)
        ws.write_string(TOLERANCE_ROW, 0, "tolerance", s(bold=True, font_color=style.INK))
        frame |= {"align": "center"}
        ws.write_number(TOLERANCE_ROW, 1, self.beside.tolerance, s(**frame, num_format="0E+0", bg_color=style.INPUT))
        ws.data_validation(TOLERANCE_ROW, 1, TOLERANCE_ROW, 1, {"validate": "decimal", "criteria": ">=", "value": 0})
        ws.write_string(TOLERANCE_ROW, 2, "relative to the block's largest number (at least 1): edit me", grey)
        ws.write_string(COUNT_ROW, 0, "numbers that differ", s(bold=True, font_color=style.INK))
        ws.write_formula(COUNT_ROW, 1, f"=SUM({self.column(DIFFER)})", s(**frame, num_format="0"), self.differing)
        wrapped = s(italic=True, font_size=9, font_color="#7A8190", text_wrap=True, valign="vcenter")
        ws.set_row(HOW_ROW, 32)
        ws.merge_range(HOW_ROW, 0, HOW_ROW, self.right, HOW, wrapped)

    def columns(self) -> None:
        """Above the blocks: what stands in which columns."""
        dark = self.s(bold=True, font_color="#FFFFFF", bg_color=style.INK, font_size=9)
        for column in range(self.edge):
            self.ws.write_blank(FIRST_ROW - 1, column, None, dark)
        heads = {0: "block", 1: "ours, live", min(place.yours for place in self.places): "yours"}
        for column, text in heads.items():
            self.ws.write_string(FIRST_ROW - 1, column, text, dark)

    @property
    def differing(self) -> int:
        return sum(int(told.differ.sum()) for told in self.told.values())

    def verdict(self) -> str:
        pasted = sum(told.pasted for told in self.told.values())
        if self.first is None:
            return f"all {pasted} pasted numbers agree" if pasted else NOTHING
        *_, address, ours, yours = self.figures_of_first()
        return f"FIRST DIFFERENCE: {self.first.name}, at {YOURS}!{address}, ours {ours}, yours {yours}"

    def figures_of_first(self) -> list[Any]:
        """What the hidden cells about the first difference will hold."""
        place = self.first
        if place is None:
            return [0] * 9 + ["none"] * 3
        element = int(np.argmax(self.told[place.name].differ))
        cell = int(place.entry.ids.reshape(-1)[element])
        block, (row, column) = place.head - FIRST_ROW + 1, place.cell(element)
        ours, yours = float(self.book.values[cell]), float(self.beside.numbers[cell])
        digits = 3 if abs(yours - ours) >= 0.001 else 9
        return [
            *(block, place.entry.ids.size, place.width, place.ours, place.yours, self.told[place.name].allowed),
            *(element, block + 1 + element // place.width, element % place.width, cell_name(row, column)),
            *(f"{round(number, digits):.{digits}f}" for number in (ours, yours)),
        ]

    def column(self, which: int) -> str:
        """A hidden column, over the rows of all blocks (of the search: over the numbers of the largest)."""
        rows = {SEARCH: self.longest, LETTERS: self.end}.get(which, self.last - FIRST_ROW + 1)
        left = self.hidden + which
        return f"{cell_name(FIRST_ROW, left, True)}:{cell_name(FIRST_ROW + rows - 1, left, True)}"

    def at(self, item: int) -> str:
        """One of the hidden cells above the columns, about the first difference."""
        return cell_name(1, self.hidden + item, absolute=True)

    def number_at(self, row: str, column: str) -> str:
        """The number in a row of the blocks (counted from 1) and a column of the sheet (A is 0)."""
        grid = f"{cell_name(FIRST_ROW, 1, True)}:{cell_name(self.last, self.end - 1, True)}"
        return f"INDEX({grid},{row},{column})"

    def first_difference(self) -> None:
        """In hidden cells: the first block that differs (0: none), its figures, its first number that differs."""
        block, _, width, ours_at, yours_at, _, element, row, column = map(self.at, range(9))
        found = f"=IF({block}=0,0,"
        formulas: list[tuple[str, Any]] = [
            (f"=IF(SUM({self.column(FLAG)})=0,0,MATCH(1,{self.column(FLAG)},0))", 0),
            *((f"{found}INDEX({self.column(which)},{block}))", 0) for which in range(SIZE, ALLOWED + 1)),
            (f"=IF(SUM({self.column(SEARCH)})=0,0,MATCH(1,{self.column(SEARCH)},0)-1)", 0),
            (f"{found}{block}+1+INT({element}/{width}))", 0),
            (f"{found}{element}-INT({element}/{width})*{width})", 0),
        ]
        ours, yours = self.number_at(row, f"{ours_at}+{column}"), self.number_at(row, f"{yours_at}+{column}")
        none = f'=IF({block}=0,"none",'
        address = f"INDEX({self.column(LETTERS)},{yours_at}+{column})&({row}+{FIRST_ROW})"
        formulas.append((f"{none}{address})", "none"))
        for number in (ours, yours):
            digits = f"IF(ABS({yours}-{ours})>=0.001,{_text(number, 3)},{_text(number, 9)})"
            plain = f'IF(ISNUMBER({number}),{_text(number, 3)},"no number")'
            formulas.append((f"{none}IF(ISNUMBER({ours}),IF(ISNUMBER({yours}),{digits},{plain}),{plain}))", "none"))
        for item, ((formula, _), cached) in enumerate(zip(formulas, self.figures_of_first(), strict=True)):
            self.ws.write_formula(1, self.hidden + item, formula, self.s(), cached)
        for i in range(self.end):  # B is 1
            self.ws.write_string(FIRST_ROW + i, self.hidden + LETTERS, column_letters(i + 1))

    def search(self) -> None:
        """In a hidden column: of every number of the first block that differs, whether it does."""
        block, size, width, ours_at, yours_at, allowed = map(self.at, range(6))
        for i in range(self.longest):
            row = f"{block}+1+INT({i}/{width})"
            column = f"{i}-INT({i}/{width})*{width}"
            ours, yours = (self.number_at(row, f"{left}+{column}") for left in (ours_at, yours_at))
            differs = f"IF(ISNUMBER({yours}),IF({_beyond(yours, ours, allowed)}>0,1,0),1)"
            formula = f"=IF({i}<{size},IF(ISNUMBER({ours}),IF(COUNTA({yours})=0,0,{differs}),1),0)"
            cached = 0 if self.first is None else int(i < len(found := self.told[self.first.name].differ) and found[i])
            self.ws.write_formula(FIRST_ROW + i, self.hidden + SEARCH, formula, self.s(), cached)

    # Below: the blocks
    def block(self, place: Place) -> None:
        self.head(place)
        self.figures(place)
        book, ws, ids = self.book, self.ws, place.entry.ids.reshape(-1)
        digits = self.digits(place)
        indices = list(np.ndindex(place.entry.ids.shape[:-1]))
        label = self.s(font_size=9, font_color="#7A8190", align="right")
        for i in range(place.rows):
            row, index = place.head + 1 + i, indices[i]
            if index:
                ws.write_string(row, 0, str(list(index)), label)
            edge = i > 0 and place.entry.shape[-2] > 1 and len(index) > 1 and not index[-1]
            plain, green = (self.look(digits, mine, edge) for mine in (False, True))
            for j, cell in enumerate(ids[i * place.width : (i + 1) * place.width].tolist()):
                where = book.addresses.reference(cell, home=-1)  # with the name of its sheet
                ws.write_formula(row, place.ours + j, f"={where}", plain, float(book.values[cell]))
                if cell in self.beside.numbers:
                    ws.write_number(row, place.yours + j, self.beside.numbers[cell], green)
                else:
                    ws.write_blank(row, place.yours + j, None, green)
        ws.set_row(place.head + place.rows + 1, style.HEIGHTS["gap"])
        first, ours = cell_name(place.head + 1, place.yours), cell_name(place.head + 1, place.ours)
        beyond = _beyond(first, ours, self.figure(place, ALLOWED))
        red = self.s.differential(bg_color="#F9D7D2", font_color="#9C1C10", bold=True)
        rule = {"type": "formula", "criteria": f"=IF(COUNTA({first})=0,0,IF(ISNUMBER({first}),{beyond}>0,1))"}
        bottom, right = place.cell(place.entry.ids.size - 1)
        ws.conditional_format(place.head + 1, place.yours, bottom, right, {**rule, "format": red})

    def digits(self, place: Place) -> str:
        """The number format of a block: whole numbers, such as classes, have no digits behind the point."""
        block = self.book.plan.blocks[self.book.layout.families.owner[place.entry.ids.flat[0]]]
        if block.value.array.dtype.kind in "iub":
            return "0"
        return style.SMALL if place.entry.kind == "backward" else style.NUMBER

    def look(self, digits: str, mine: bool, edge: bool) -> Any:
        """The format of a number; ``edge`` where a tile, or a time step, begins."""
        common = {"num_format": digits, "align": "center", "border": 1}
        common |= {"border_color": style.LINE} | ({"bg_color": style.INPUT} if mine else {})
        return self.s(**common | ({"top": 1, "top_color": "#7A8190"} if edge else {}))

    def head(self, place: Place) -> None:
        """Name (a link), shape and phase; above yours, what became of it."""
        ws, entry = self.ws, place.entry
        fill = {"bg_color": style.HEADS.get(entry.kind, "#E9ECF2"), "valign": "vcenter"}
        ws.set_row(place.head, style.HEIGHTS["head"])
        for column in range(1, place.yours + max(place.width, self.places[0].yours - 2)):
            ws.write_blank(place.head, column, None, self.s(**fill))
        link = self.s(**fill, bold=True, font_color="#2451B3")
        ws.write_url(place.head, 0, f"internal:{self.book.range(entry.area)}", link, place.name)
        shape = "×".join(map(str, entry.shape)) or "1"
        ws.write_string(place.head, 1, f"{shape}  {entry.kind}", self.s(**fill, font_color="#4A5368"))
        pasted, differ = self.figure(place, PASTED), self.figure(place, DIFFER)
        told, said = self.told[place.name], PASTE
        if told.pasted:
            wrong = int(told.differ.sum())
            said = f"{wrong} of {told.pasted} differ" if wrong else f"all {told.pasted} agree"
        formula = (
            f'=IF({pasted}=0,"{PASTE}",IF({differ}=0,"all "&{pasted}&" agree",{differ}&" of "&{pasted}&" differ"))'
        )
        ws.write_formula(place.head, place.yours, formula, self.s(**fill, italic=True, font_color="#4A5368"), said)
        red = self.s.differential(font_color="#9C1C10", bold=True)
        rule = {"type": "formula", "criteria": f"={differ}>0", "format": red}
        ws.conditional_format(place.head, place.yours, place.head, place.yours, rule)

    def figures(self, place: Place) -> None:
        """In the hidden columns: what the verdict needs to know of a block."""
        ours, yours = place.range(place.ours), place.range(place.yours)
        allowed, pasted, raw, differ = (self.figure(place, which) for which in (ALLOWED, PASTED, RAW, DIFFER))
        numbers = np.abs(self.book.values[place.entry.ids])
        tolerance = cell_name(TOLERANCE_ROW, 1, absolute=True)
        row, left = place.head, self.hidden
        self.ws.write_string(row, left + NAME, place.name)
        for which, number in zip(
            (SIZE, WIDTH, OURS_AT, YOURS_AT), (numbers.size, place.width, place.ours, place.yours), strict=True
        ):
            self.ws.write_number(row, left + which, number)
        beyond = f'SUMPRODUCT(({yours}<>"")*({_beyond(yours, ours, allowed)}))'
        told = self.told[place.name]
        wrong = int(told.differ.sum())
        for which, formula, cached in (
            (ALLOWED, f"={tolerance}*MAX(1,MAX({ours}),0-MIN({ours}))", told.allowed),
            (PASTED, f"=COUNTA({yours})", told.pasted),
            (RAW, f"={beyond}", wrong),  # an error where a number is one
            (DIFFER, f"=IF({pasted}=0,0,IF(ISNUMBER({raw}),{raw},1))", wrong),
            (FLAG, f"=IF({differ}>0,1,0)", int(wrong > 0)),
        ):
            self.ws.write_formula(row, left + which, formula, self.s(), cached)

    def figure(self, place: Place, which: int) -> str:
        return cell_name(place.head, self.hidden + which, absolute=True)


def _beyond(yours: str, ours: str, allowed: str) -> str:
    """1 where yours is too large or too small; a text is larger than any number."""
    return f"({yours}>{ours}+{allowed})+({yours}<{ours}-{allowed})"


def _text(number: str, digits: int) -> str:
    """A number in words, rounded first: TEXT alone rounds twice in IronCalc (0.16449 gives 0.165)."""
    return f'TEXT(ROUND({number},{digits}),"0.{"0" * digits}")'
