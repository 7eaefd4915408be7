"""A page: what every sheet of the network has, whatever stands on it: title, step control, heads, cells and marks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tinynet.workbook import style
from tinynet.workbook.book import READ_ME, STEPS, Book, cell_name
from tinynet.workbook.colours import CONTROL_ROW, HIDE_ROW, Colours
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import FIRST_SLOT, Band, ColumnSheet, Part, Sheet
from tinynet.workbook.stepping import MOST_READ
from tinynet.workbook.style import Styles
from tinynet.workbook.words import Words, clipped
from tinynet.workbook.worksheet import Looks, looks_of

SENTENCE_ROW, WORKED_ROW = 3, 4
PER_WIDTH = 1.35  # small letters in the width of a digit
LONG = {"D": 170, "E": 120}  # characters of a long sentence, and of long worked numbers
FIRST_STEP_ROW = 4  # of the Steps sheet, 0-based: step 0
READS_COLUMN = 8  # of the Steps sheet: the marks of the blocks that a step reads
BAND_TEXT = {
    "forward": "FORWARD",
    "backward": "BACKWARD   the mirror image: output first, inputs last",
    "update": "UPDATE   the new parameters, in the columns of the old",
}
START = "start"
START_HINT = "Blue numbers in amber frames are parameters, green cells are inputs: change one."
START_SENTENCE = "Everything is computed. Choose a step in the orange cell to walk through it."


def capitals(title: str) -> str:
    """A title in capitals, in which δ stays δ."""
    return re.sub(r"[^ ]+", lambda word: word[0] if re.search("[α-ω]", word[0]) else word[0].upper(), title)


def fitted(label: str, room: int) -> str:
    """``m: conv1.weight  3×3`` without its shape, its layer, its role or its end, where there is no room for them."""
    name = label.partition("  ")[0]
    short = re.sub(r"[^\s∂]*\.", "", name)
    shorter = (label, name, short, short.rpartition(": ")[2])
    return next((text for text in shorter if len(text) <= room), clipped(short, room))


class Page:
    """Writes one sheet of the network; a subclass knows what stands on it."""

    span_of_number = 1  # columns that a number of ordinary size takes

    def __init__(self, book: Book, sheet: Sheet, ws: Any, styles: Styles):
        self.book, self.sheet, self.ws, self.styles = book, sheet, ws, styles
        self.first = sheet is book.sheets[0]
        self.right = max(sheet.edge, FIRST_SLOT + 12 * self.span_of_number)
        self.offset = self.right + 1  # hidden columns: the mark of the cell this many columns to the left
        self.wide = list(range(FIRST_SLOT, self.right, self.span_of_number))
        self.words: Words = book.words
        self.edges: set[int] = set()  # columns that begin something, with a heavier line

    def write(self) -> None:
        self.ws.hide_gridlines(2)
        self.columns()
        hidden = max(self.right, MOST_READ)
        self.ws.set_column(self.offset, self.offset + hidden, style.WIDTHS["number"], None, {"hidden": 1})
        self.title()
        self.control()
        self.lookups()
        self.header()
        for band in self.sheet.bands:
            self.band(band)
            for part in band.parts:
                self.part(band, part)
        self.cells()
        self.print_setup()

    # What a subclass knows
    def columns(self) -> None:
        raise NotImplementedError

    def header(self) -> None:
        raise NotImplementedError

    def part(self, band: Band, part: Part) -> None:
        raise NotImplementedError

    def width_of(self, column: int) -> float:
        raise NotImplementedError

    def paper(self) -> tuple[bool, float]:
        """Whether a printed page lies on its side, and its scale, if that is neither too small nor too large."""
        raise NotImplementedError

    def breaks(self, landscape: bool, scale: float) -> list[int]:
        """The rows before which a printed page ends."""
        raise NotImplementedError

    # Frame
    def title(self) -> None:
        ws, s = self.ws, self.styles
        ws.set_row(0, 24)
        ws.write_string(0, 0, self.heading(), s(bold=True, font_size=15, font_color=style.INK))
        ws.write_string(1, 0, self.book.run.description, s(font_size=9, font_color="#7A8190"))

    def control(self) -> None:
        """The orange cell, what it shows in words and numbers, and the ways to other sheets."""
        ws, s = self.ws, self.styles
        ws.set_row(CONTROL_ROW, 21)
        ws.write_string(CONTROL_ROW, 0, "STEP ▸", s(bold=True, align="right", font_color=style.INK))
        self.step_cell()
        count = f"of {len(self.book.moments.all)}"
        ws.write_string(CONTROL_ROW, self.wide[1], count, s(font_color="#7A8190", valign="vcenter"))
        self.from_steps(
            CONTROL_ROW,
            self.wide[3],
            "B",
            START,
            s(bold=True, font_color="#D97B00", valign="vcenter", font_size=11),
        )
        link = s(font_color="#2451B3", underline=1, valign="vcenter")
        go = f'=HYPERLINK("#"&{self.step_entry("H")},"go to block ▸")'
        ws.write_formula(CONTROL_ROW, self.wide[5], go, link, "go to block ▸")
        ws.write_url(CONTROL_ROW, self.wide[7], f"internal:'{READ_ME}'!A1", link, "Read me")
        ws.write_url(CONTROL_ROW, self.wide[8], f"internal:{STEPS}!A1", link, "All steps")
        cream = {"bg_color": style.CREAM, "valign": "vcenter", "text_wrap": True}
        self.sentence(SENTENCE_ROW, "what", "D", s(bold=True, font_color=style.INK, **cream))
        self.sentence(WORKED_ROW, "numbers", "E", s(font_color="#A85400", font_size=11, **cream))
        self.hide_switch(s)

    def step_cell(self) -> None:
        """Chosen on the first sheet of the network; the others follow it."""
        s, last = self.styles, len(self.book.moments.all)
        box = s(bold=True, font_size=14, align="center", valign="vcenter", border=5, border_color=style.ORANGE)
        if not self.first:
            self.follow(CONTROL_ROW, box)
            return
        rule = {
            "validate": "list",
            "source": f"={STEPS}!$A${FIRST_STEP_ROW + 1}:$A${FIRST_STEP_ROW + 1 + last}",
            "input_title": "Step",
            "input_message": f"0 shows everything; 1 to {last} walk through it.",
            "error_title": "No such step",
            "error_message": f"Type a whole number from 0 to {last}.",
        }
        self.joined(CONTROL_ROW, box)
        self.ws.write_number(CONTROL_ROW, FIRST_SLOT, 0, box)
        self.ws.data_validation(CONTROL_ROW, FIRST_SLOT, CONTROL_ROW, FIRST_SLOT, rule)

    def follow(self, row: int, fmt: Any) -> None:
        """Show what stands in the control cell of the first sheet."""
        where = cell_name(row, FIRST_SLOT, absolute=True)
        self.joined(row, fmt)
        self.ws.write_formula(row, FIRST_SLOT, f"='{self.book.sheets[0].name}'!{where}", fmt, 0)

    def joined(self, row: int, fmt: Any) -> None:
        """Make a cell as wide as a number, where columns are narrow."""
        if self.span_of_number > 1:
            self.ws.merge_range(row, FIRST_SLOT, row, FIRST_SLOT + self.span_of_number - 1, "", fmt)

    def heading(self) -> str:
        if len(self.book.sheets) == 1:
            return self.book.title
        return f"{self.book.title}   {self.sheet.name}"

    def hide_switch(self, s: Styles) -> None:
        ws = self.ws
        ws.write_string(HIDE_ROW, 0, "hide later ▸", s(align="right", font_size=9, font_color="#7A8190"))
        box = s(align="center", border=1, border_color=style.ORANGE, font_size=9)
        if self.first:
            self.joined(HIDE_ROW, box)
            ws.write_number(HIDE_ROW, FIRST_SLOT, 0, box)
            ws.data_validation(HIDE_ROW, FIRST_SLOT, HIDE_ROW, FIRST_SLOT, {"validate": "list", "source": ["0", "1"]})
        else:
            self.follow(HIDE_ROW, box)
        note = "1 = hide what is not computed yet, so that a class can predict it before it sees it"
        ws.write_string(
            HIDE_ROW, FIRST_SLOT + self.span_of_number, note, s(font_size=9, italic=True, font_color="#7A8190")
        )

    def step_entry(self, column: str) -> str:
        first, last = FIRST_STEP_ROW + 1, FIRST_STEP_ROW + 1 + len(self.book.moments.all)
        step = cell_name(CONTROL_ROW, FIRST_SLOT, absolute=True)
        return f"INDEX({STEPS}!${column}${first}:${column}${last},{step}+1)"

    def from_steps(self, row: int, column: int, source: str, cached: Any, fmt: Any) -> None:
        self.ws.write_formula(row, column, f"={self.step_entry(source)}", fmt, cached)

    def sentence(self, row: int, label: str, source: str, fmt: Any) -> None:
        small = {"italic": True, "align": "right", "valign": "vcenter", "font_size": 9}
        grey = self.styles(**small, bg_color=style.CREAM, font_color="#7A8190")
        narrow = len(self.wide) * style.WIDTHS["number"] < LONG[source]
        self.ws.set_row(row, 30 if narrow else 18)
        self.ws.write_string(row, 0, label, grey)
        self.ws.write_blank(row, 1, None, grey)
        self.ws.merge_range(row, FIRST_SLOT, row, self.right - 1, "", fmt)
        cached = START_SENTENCE if source == "D" else START_HINT
        self.from_steps(row, FIRST_SLOT, source, cached, fmt)

    def lookups(self) -> None:
        """In hidden cells, what this step is called in the heads, and the marks of what it reads."""
        small = self.styles(font_size=8)
        self.from_steps(0, self.offset, "C", "", small)
        for k in range(MOST_READ):
            letters = cell_name(0, READS_COLUMN + k)[:-1]
            self.ws.write_formula(1, self.offset + k, f"={self.step_entry(letters)}", small, 0)

    def span(self, row: int, left: int, right: int, text: str, fmt: Any) -> None:
        if left == right:
            self.ws.write_string(row, left, text, fmt)
        else:
            self.ws.merge_range(row, left, row, right, text, fmt)

    # Bands and parts
    def band(self, band: Band) -> None:
        text = BAND_TEXT[band.phase]
        if isinstance(self.sheet, ColumnSheet) and self.book.layout.timed and band.phase != "update":
            arrow = "time runs →" if band.phase == "forward" else "time runs ←"
            text = f"{text}   {arrow}" + ("   ✂ no gradient passes to the step before" if self.sheet.cuts else "")
        fill = self.styles(
            bold=True, font_size=12, font_color="#FFFFFF", bg_color=style.BANDS[band.phase], valign="vcenter"
        )
        self.row_of(band.row, "band", text, fill)

    def row_of(self, row: int, height: str, text: str, fmt: Any) -> None:
        self.ws.set_row(row, style.HEIGHTS[height])
        for column in range(self.right):
            self.ws.write_blank(row, column, None, fmt)
        self.ws.write_string(row, 0, text, fmt)

    def part_head(self, band: Band, part: Part) -> None:
        fill = style.HEADS[band.phase]
        head = self.styles(bold=True, bg_color=fill, font_color=style.INK, valign="vcenter")
        self.row_of(part.head, "head", capitals(part.title), head)
        equation = self.equations(part)
        if equation:
            plain = self.styles(bg_color=fill, font_color="#4A5368", valign="vcenter")
            title = capitals(part.title) + "    "
            self.ws.write_rich_string(
                part.head,
                0,
                self.styles(bold=True, font_color=style.INK),
                title,
                self.styles(font_color="#4A5368"),
                equation,
                plain,
            )

    def equations(self, part: Part) -> str:
        """The equations of a part, as far as they fit into its head."""
        if part.is_update:
            cell = int(part.rectangles[0].ids.flat[0])
            block = self.book.plan.blocks[self.book.layout.families.owner[cell]]
            if block.expression is None:
                return ""
            return self.words.element(block, cell - int(block.ids.flat[0]))
        families = [group.family for group in part.groups if group.family is not None and group.family.computed]
        text = "     ".join(self.words.of_family(family) for family in families)
        room = int(1.25 * style.WIDTHS["number"] * self.right) - len(part.title)
        return clipped(text, room)

    def labels(self, row: int, labels: list[tuple[int, str]], end: int) -> None:
        """Name what stands below, from a column on, as shortly as the room to the next name (or ``end``) asks for."""
        grey = self.styles(italic=True, font_size=9, font_color="#7A8190", align="left")
        labels = sorted(labels)
        ends = [column for column, _ in labels[1:]] + [end]
        for (column, text), stop in zip(labels, ends, strict=True):
            room = int(PER_WIDTH * sum(map(self.width_of, range(column, stop)))) if stop > column else len(text)
            self.ws.write_string(row, column, fitted(text, room), grey)

    # Cells
    def cells(self) -> None:
        index, sheet = self.book.sheets.index(self.sheet), self.book.layout.sheet
        blocks = [block for block in self.book.plan.blocks if block.ids.size and sheet[block.ids.flat[0]] == index]
        for block in blocks:
            self.validate(block)
        self.numbers([block for block in blocks if not block.is_formula])
        self.formulas([block for block in blocks if block.is_formula])
        self.marks(index)
        Colours(self.book, self.sheet, self.ws, self.styles, self.offset).write()

    def numbers(self, blocks: list[Block]) -> None:
        """The blocks that hold no formulas."""
        if blocks:
            ids, looks = self.standing(blocks)
            layout = self.book.layout
            self.ws.write_numbers(layout.row[ids], layout.column[ids], self.book.values[ids], looks)

    def formulas(self, blocks: list[Block]) -> None:
        if blocks:
            ids, looks = self.standing(blocks)
            row, column, ws = self.book.layout.row, self.book.layout.column, self.ws
            texts, values = self.book.formulas, self.book.values

            def write() -> None:
                ws.write_formulas(row[ids], column[ids], lambda k: texts.at(ids[k]), lambda k: values[ids[k]], looks)

            ws.later.append(write)

    def marks(self, index: int) -> None:
        """What the step control goes by: as far to the right as the cells are wide."""
        layout, mark, offset, ws = self.book.layout, self.book.moments.mark, self.offset, self.ws
        sheet, row, column = layout.sheet, layout.row, layout.column

        def write() -> None:
            ids = np.flatnonzero(sheet[1:] == index).astype(np.int32) + 1
            ws.write_numbers(row[ids], column[ids] + offset, mark[ids])

        ws.later.append(write)

    def standing(self, blocks: list[Block]) -> tuple[np.ndarray, Looks]:
        """The ids of all cells of some blocks, and how they look."""
        ids = np.concatenate([block.ids.reshape(-1) for block in blocks])
        kinds = [(self.role(block), self.is_small(block)) for block in blocks]
        known = {kind: 2 * i for i, kind in enumerate(dict.fromkeys(kinds))}
        formats = [self.look(*kind, edge=edge) for kind in known for edge in (False, True)]
        which = np.repeat([known[kind] for kind in kinds], [block.ids.size for block in blocks])
        which += np.isin(self.book.layout.column[ids], list(self.edges))
        return ids, looks_of(formats, which)

    @staticmethod
    def is_small(block: Block) -> bool:
        """Whether its numbers may be too small for three digits."""
        tiny = block.kind == "hyperparameter" and 0 < float(block.value.array) < 5e-4
        return tiny or block.phase == "backward" or block.value.beside is not None

    def look(self, role: str, small: bool, edge: bool) -> Any:
        """The format of cells; ``edge`` where something begins."""
        return self.styles.cell(role, small, edge)

    def validate(self, block: Block) -> None:
        """An index, such as a target class, must be one of the numbers that it can choose among."""
        choices = self.book.choices.get(id(block))
        if choices is not None and block.expression is None:
            area = self.book.area(block.ids)
            message = f"Type a whole number from 0 to {choices - 1}."
            rule = {"validate": "integer", "criteria": "between", "minimum": 0, "maximum": choices - 1}
            texts = {"error_title": "No such place", "error_message": message, "input_message": message}
            self.ws.data_validation(area.top, area.left, area.bottom, area.right, {**rule, **texts})

    def role(self, block: Block) -> str:
        if block.as_values:
            return "frozen"
        counts = block.kind == "state" or block.value.replaces_state
        if counts and block.value.beside is None:
            return "class" if block.expression is None else "place"
        if block.expression is not None:
            return "whole" if block.is_whole else "value"
        if block.kind == "parameter":
            return "parameter"
        return "class" if block.is_whole else "input"

    # Paper
    def print_setup(self) -> None:
        ws = self.ws
        landscape, fitting = self.paper()
        scale = max(0.1, min(0.85, fitting))
        ws.set_paper(9)
        if landscape:
            ws.set_landscape()
        ws.set_print_scale(int(100 * scale))
        ws.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        ws.print_area(0, 0, self.sheet.bottom, self.right - 1)
        ws.set_h_pagebreaks(self.breaks(landscape, scale))
        ws.set_footer(f"&L&8{self.book.title.replace('&', '&&')} · {self.sheet.name}&R&8Page &P of &N")
