"""The sheets round the network: Read me (the map), Steps and Checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.run import time_label
from tinynet.workbook import style
from tinynet.workbook.book import CHECKS, READ_ME, STEPS, Area, Book, cell_name
from tinynet.workbook.families import Family, Piece
from tinynet.workbook.layout import FIRST_SLOT, Rectangle
from tinynet.workbook.network import CONTROL_ROW, FIRST_STEP_ROW, READS_COLUMN, START_SENTENCE, scales
from tinynet.workbook.stepping import MOST_READ, Moment
from tinynet.workbook.style import Styles

TOLERANCE = 1e-9  # of a block's size: far above rounding, far below any edit that one can see


class ReadMe:
    """The first sheet: what this is, a map whose every line is a link, how to read it, colours, names."""

    def __init__(self, book: Book, ws: Any, styles: Styles):
        self.book, self.ws, self.s, self.row = book, ws, styles, 0

    def write(self, names: dict[str, Area]) -> None:
        ws, s = self.ws, self.s
        ws.hide_gridlines(2)
        ws.set_column(0, 0, 27)
        ws.set_column(1, 1, 110)
        ws.set_row(0, 30)
        ws.write_string(0, 0, f"{self.book.title}: every number is a formula", s(bold=True, font_size=17, font_color=style.INK))
        ws.write_string(1, 0, self.book.run.description, s(font_color="#7A8190"))
        self.row = 3
        self.where_to_go()
        self.map()
        self.how_to_read()
        self.colours()
        self.names(names)
        ws.set_paper(9)
        ws.set_landscape()
        ws.fit_to_pages(1, 0)
        ws.set_margins(left=0.5, right=0.5, top=0.5, bottom=0.5)

    def head(self, text: str) -> None:
        fmt = self.s(bold=True, font_size=11, font_color="#FFFFFF", bg_color=style.INK)
        self.ws.write_string(self.row, 0, text, fmt)
        self.ws.write_blank(self.row, 1, None, fmt)
        self.row += 1

    def line(self, left: str, text: str, link: str | None = None, fmt: Any = None) -> None:
        if link is not None:
            self.ws.write_url(self.row, 0, f"internal:{link}", self.s(font_color="#2451B3", underline=1), left)
        else:
            self.ws.write_string(self.row, 0, left, fmt or self.s(bold=True, font_color=style.INK))
        self.ws.write_string(self.row, 1, text, self.s(font_color="#2B3140"))
        self.row += 1

    def where_to_go(self) -> None:
        self.head("Where to go")
        first = self.book.sheets[0]
        control = cell_name(CONTROL_ROW, FIRST_SLOT)
        self.line(first.name, "The network. Choose a step in the orange cell: what it computes lights up, what it reads is outlined.", f"'{first.name}'!{control}")
        for sheet in self.book.sheets[1:]:
            self.line(sheet.name, "The next round of training, from the updated weights.", f"'{sheet.name}'!A1")
        self.line(STEPS, f"All {len(self.book.moments.all)} steps as a table: the equation, and one element worked out in live numbers.", f"{STEPS}!A1")
        self.line(CHECKS, "Is every cell what it was when this was recorded? And what did your edits do to the loss?", f"{CHECKS}!A1")
        self.row += 1

    def map(self) -> None:
        self.head("Map of the network")
        for sheet in self.book.sheets:
            for band in sheet.bands:
                for part in band.parts:
                    prefix = "" if len(self.book.sheets) == 1 else f"{sheet.name}: "
                    families = [g.family for g in part.groups if g.family is not None and g.family.computed]
                    new = bool(part.rectangles) and part.rectangles[0].role == "new"
                    equations = [self.book.words.equation(f.computed[min(1, len(f.computed) - 1)]) for f in families if not new]
                    text = ",   ".join(equations) or ", ".join(r.label for r in part.rectangles) or ", ".join(g.symbol for g in part.groups)
                    self.line(f"{prefix}{band.phase}: {part.title}", text, f"'{sheet.name}'!{cell_name(part.head, 0)}")
        self.row += 1

    def how_to_read(self) -> None:
        self.head("How to read it")
        timed = self.book.layout.timed
        self.line("Down = units", "Each row is one unit. Units, steps and samples are counted from 0, as in Python.")
        right = "Each column is one time step; all samples of a batch stand under it. The backward pass uses the same columns, read right to left."
        self.line("Right = time" if timed else "Right = samples", right if timed else "Each column is one sample of the batch.")
        self.line("Left = weights", "Weights and biases stand on the rows of the quantity that they produce.")
        self.line("Below = gradients", "δx is dLoss/dx: the same rows and columns as its forward block, further down, in mirrored order.")
        if timed and any(block.value.share for block in self.book.plan.blocks):
            self.line("δh ← t,  δh ← t+1", "The share of a gradient that arrives from its own time step, and the share that arrives from the next one.")
        self.line("Edit anything framed", "Parameters, inputs, targets and the learning rate are typed in; all else recomputes, loss and gradients too.")
        self.row += 1

    def colours(self) -> None:
        self.head("Colours")
        swatch = {"num_format": "0.000", "align": "center", "border": 1}
        for fmt, text in (
            (self.s(**swatch, border_color=style.AMBER, font_color="#2451B3"), "parameter: edit me, everything recomputes"),
            (self.s(**swatch, border_color=style.LINE, bg_color=style.INPUT), "input, target, learning rate, initial state: edit me"),
            (self.s(**swatch, border_color=style.LINE, bg_color=style.ORANGE, bold=True), "computed at the current step"),
            (self.s(**swatch, border_color="#D97B00", bg_color="#FFE9C7"), "read by the current step"),
            (self.s(**swatch, border_color=style.LINE, bg_color=style.PALE, font_color="#C9CDD6"), "not computed yet at the current step"),
        ):
            self.ws.write_number(self.row, 0, 0.123, fmt)
            self.ws.write_string(self.row, 1, text, self.s(font_color="#2B3140"))
            self.row += 1
        for kind, largest in scales(self.book).items():
            if kind != "inputs":
                self.line(kind, f"blue −{largest:g} · white 0 · red +{largest:g}   (one scale for all blocks of the kind, so colours compare)")
        self.row += 1

    def names(self, names: dict[str, Area]) -> None:
        self.head("Names you can use in your own formulas")
        plain = [name for name in names if not name.startswith(("d_", "new_"))]
        for start in range(0, len(plain), 12):
            self.line("values" if not start else "", ",  ".join(plain[start : start + 12]))
        self.line("gradients, updated", "d_ + name and new_ + name, for example " + ",  ".join([n for n in names if n not in plain][:3]))


class StepsSheet:
    """Every moment: its number, phase, equation, worked numbers, and a link to its block."""

    HEADS = ("step", "phase", "time", "what is computed", "one element worked out, live", "block", "go")

    def __init__(self, book: Book, ws: Any, styles: Styles):
        self.book, self.ws, self.s = book, ws, styles

    def write(self) -> None:
        ws, s = self.ws, self.s
        ws.hide_gridlines(2)
        for column, width in enumerate((6, 10, 8, 78, 78, 17, 5, 9)):
            ws.set_column(column, column, width)
        ws.set_column(7, READS_COLUMN + MOST_READ, 6, None, {"hidden": 1})
        ws.set_row(0, 24)
        ws.write_string(0, 0, "Steps: all that is computed, in order", s(bold=True, font_size=15, font_color=style.INK))
        ws.write_url(1, 0, f"internal:'{READ_ME}'!A1", s(font_color="#2451B3", underline=1), "Read me")
        dark = s(bold=True, font_color="#FFFFFF", bg_color=style.INK)
        for column, text in enumerate(self.HEADS):
            ws.write_string(FIRST_STEP_ROW - 1, column, text, dark)
        self.start()
        for moment in self.book.moments.all:
            self.moment(moment)
        ws.freeze_panes(FIRST_STEP_ROW, 1)
        ws.set_paper(9)
        ws.set_landscape()
        ws.fit_to_pages(1, 0)
        ws.repeat_rows(FIRST_STEP_ROW - 1)

    def start(self) -> None:
        row = FIRST_STEP_ROW
        self.ws.write_number(row, 0, 0, self.s(align="center"))
        self.ws.write_string(row, 1, "start", self.s())
        self.ws.write_string(row, 3, START_SENTENCE, self.s())
        self.ws.write_string(row, 4, "Blue numbers in amber frames are parameters, green cells are inputs: change one.", self.s())
        self.ws.write_string(row, 7, f"'{self.book.sheets[0].name}'!A1")
        self.ws.write_string(row, 2, "")
        for k in range(MOST_READ):
            self.ws.write_number(row, READS_COLUMN + k, 0)

    def moment(self, moment: Moment) -> None:
        ws, s, row = self.ws, self.s, FIRST_STEP_ROW + moment.number
        band = s(font_color=style.BANDS[moment.phase], bold=True)
        ws.write_number(row, 0, moment.number, s(align="center"))
        ws.write_string(row, 1, moment.phase, band)
        ws.write_string(row, 2, "" if moment.time is None else _head(moment.time), s())
        ws.write_string(row, 3, self.sentence(moment), s())
        block = moment.blocks[0]
        worked = self.book.words.worked(block, self.book.addresses)
        ws.write_formula(row, 4, worked if len(worked) < 8000 else '=""', s(font_color="#A85400"), "")
        target = self.book.range(self.book.area(block.ids))
        ws.write_string(row, 5, target.partition("!")[2] if len(self.book.sheets) == 1 else target, s(font_color="#7A8190"))
        ws.write_url(row, 6, f"internal:{target}", s(font_color="#2451B3", underline=1, align="center"), "→")
        ws.write_string(row, 7, target)
        for k in range(MOST_READ):
            ws.write_number(row, READS_COLUMN + k, moment.reads[k] if k < len(moment.reads) else 0)

    def sentence(self, moment: Moment) -> str:
        """``t = 1: forget gate: f = σ(z_f)``; several equations at once where they belong to one moment."""
        equations = [self.book.words.equation(block) for block in moment.blocks]
        titles = list(dict.fromkeys(self.title(block) for block in moment.blocks if self.title(block)))
        times = {block.time for block in moment.blocks if block.value.share != "next"} or {moment.time}
        time = "" if moment.time is None or len(times) > 1 else f"{_head(moment.time)}:  "
        what = ", ".join(titles) + ":  " if titles and len(titles) < 5 else ""
        text = ";  ".join(equations)
        return time + what + (text if len(text) < 170 else ";  ".join(equations[:2]) + f";  … ({len(equations)} quantities)")

    @staticmethod
    def title(block: Any) -> str:
        if block.value.of is not None:
            of = block.value.of.title.partition(":")[0]
            return f"gradient: {of}" if of else ""
        return block.value.title if len(block.value.title) < 60 else ""


def _head(time: int) -> str:
    return time_label(time) if time < 0 else f"t = {time}"


class ChecksSheet:
    """Is every block what was recorded? And what did the reader change?"""

    def __init__(self, book: Book, ws: Any, styles: Styles):
        self.book, self.ws, self.s, self.row = book, ws, styles, 0

    def write(self) -> None:
        ws, s = self.ws, self.s
        ws.hide_gridlines(2)
        for column, width in enumerate((34, 17, 17, 17, 17, 13)):
            ws.set_column(column, column, width)
        ws.set_row(0, 24)
        ws.write_string(0, 0, "Checks", s(bold=True, font_size=15, font_color=style.INK))
        ws.write_url(1, 0, f"internal:'{READ_ME}'!A1", s(font_color="#2451B3", underline=1), "Read me")
        self.row = 5
        edited = self.changes()
        rows = self.probabilities()
        rows += self.blocks()
        self.status(edited, rows)
        ws.freeze_panes(4, 0)
        ws.set_paper(9)
        ws.set_landscape()
        ws.fit_to_pages(1, 0)

    def status(self, edited: str, rows: list[int]) -> None:
        """The one cell that says it all."""
        flags = f"F{min(rows) + 1}:F{max(rows) + 1}" if rows else "F1:F1"
        first = f"INDEX(A{min(rows) + 1}:A{max(rows) + 1},MATCH(1,{flags},0))" if rows else '""'
        formula = (
            f'=IF(SUM({flags})=0,IF({edited}=0,"ALL CELLS ARE AS RECORDED","EDITED, AND NO COMPUTED CELL CHANGED"),'
            f'IF({edited}>0,"EDITED: the sheet has recomputed, see below","DIFFERENT, first: "&{first}))'
        )
        label = self.s(bold=True, font_size=12, font_color=style.INK)
        box = self.s(bold=True, font_size=12, font_color="#1D6B2F", bg_color="#E2F3E4", border=1, border_color=style.LINE)
        self.ws.set_row(2, 22)
        self.ws.write_string(2, 0, "status", label)
        self.ws.merge_range(2, 1, 2, 4, "", box)
        self.ws.write_formula(2, 1, formula, box, "ALL CELLS ARE AS RECORDED")
        amber, red = self.s.differential(bg_color="#FFE9C7", font_color="#8A4B00"), self.s.differential(bg_color="#F9D7D2", font_color="#9C1C10")
        self.ws.conditional_format(2, 1, 2, 4, {"type": "formula", "criteria": '=LEFT($B$3,6)="EDITED"', "format": amber})
        self.ws.conditional_format(2, 1, 2, 4, {"type": "formula", "criteria": '=LEFT($B$3,9)="DIFFERENT"', "format": red})

    def head(self, *texts: str) -> None:
        dark = self.s(bold=True, font_color="#FFFFFF", bg_color=style.INK)
        for column in range(6):
            self.ws.write_string(self.row, column, texts[column] if column < len(texts) else "", dark)
        self.row += 1

    # What the reader changed
    def changes(self) -> str:
        """Count edited cells and set the first-order prediction of the loss beside the loss; returns the count."""
        book, ws, s = self.book, self.ws, self.s
        self.head("What you changed", "cells edited", "predicted Δ loss")
        first = self.row
        for label, area, gradient in self.typed_in():
            here, recorded = book.range(area), book.recorded_range(area)
            ws.write_string(self.row, 0, label, s())
            ws.write_formula(self.row, 1, f"=SUMPRODUCT(({here}<>{recorded})*1)", s(align="center", num_format="0"), 0)
            if gradient is None:
                ws.write_string(self.row, 2, "no gradient recorded", s(align="center", font_color="#9AA1AE", italic=True))
            else:
                prediction = f"=SUMPRODUCT({book.recorded_range(gradient)},{here}-{recorded})"
                ws.write_formula(self.row, 2, prediction, s(align="center", num_format="0.000000"), 0)
            self.row += 1
        last = self.row
        bold = s(bold=True, align="center", num_format="0", top=1)
        ws.write_string(self.row, 0, "all", s(bold=True, top=1))
        ws.write_formula(self.row, 1, f"=SUM(B{first + 1}:B{last})" if last > first else "=0", bold, 0)
        ws.write_formula(self.row, 2, f"=SUM(C{first + 1}:C{last})" if last > first else "=0", s(bold=True, align="center", num_format="0.000000", top=1), 0)
        edited, predicted = f"B{self.row + 1}", f"C{self.row + 1}"
        self.row += 2
        self.loss(edited, predicted)
        return edited

    def typed_in(self) -> list[tuple[str, Area, Area | None]]:
        """Everything that can be edited, with the recorded gradient of the loss where there is one."""
        book, out = self.book, []
        for part in book.sheets[0].parts:
            for rectangle in part.rectangles:
                if rectangle.role == "parameter":
                    out.append((rectangle.name, book.area(rectangle.ids), self.gradient(rectangle)))
        for block in book.plan.blocks:
            if block.expression is None and block.kind != "parameter" and block.ids.size:
                gradients = [b for b in book.plan.blocks if b.value.of is block.value and b.value.share is None]
                same = gradients and gradients[0].ids.shape == block.ids.shape
                out.append((block.name, book.area(block.ids), book.area(gradients[0].ids) if same else self.input_gradient(block)))
        return out

    def input_gradient(self, block: Any) -> Area | None:
        """The gradient of an input that is used step by step stands as one family on the same columns."""
        family = self.book.layout.families.of_block.get(id(block))
        for other in self.book.layout.families.all:
            if other.of is family and other.phase == "backward" and other.share is None and other.update == 0:
                area, own = self.book.area(self.book.family_ids(other)), self.book.area(block.ids)
                if (area.left, area.right, area.bottom - area.top) == (own.left, own.right, own.bottom - own.top):
                    return area
        return None

    def gradient(self, rectangle: Rectangle) -> Area | None:
        for part in self.book.sheets[0].parts:
            for other in part.rectangles:
                if other.name == f"d_{rectangle.name}":
                    return self.book.area(other.ids)
        return None

    def loss(self, edited: str, predicted: str) -> None:
        book, ws, s = self.book, self.ws, self.s
        block = None if book.run.loss is None else book.block_of_value(book.run.loss)
        if block is None:
            return
        area = book.area(block.ids)
        value = float(book.values[block.ids.flat[0]])
        exact = s(align="center", num_format="0.000000000")
        live, recorded = book.range(area), book.recorded_range(area)
        rows = (
            ("loss as recorded", f"={recorded}", value),
            ("loss predicted to first order", f"={recorded}+{predicted}", value),
            ("loss that the sheet now computes", f"={live}", value),
            ("what the prediction misses", f"=B{self.row + 4}-B{self.row + 3}", 0.0),
        )
        self.head("The loss")
        for label, formula, cached in rows:
            ws.write_string(self.row, 0, label, s())
            ws.write_formula(self.row, 1, formula, exact, cached)
            self.row += 1
        note = "Gradients say where a small edit takes the loss; what they miss shrinks with the square of the edit."
        ws.write_string(self.row, 0, note, s(italic=True, font_size=9, font_color="#7A8190"))
        self.row += 2

    # What must hold
    def probabilities(self) -> list[int]:
        """The probabilities of every sample sum to 1."""
        rows = []
        families = [f for f in self.book.layout.families.all if f.title == "probabilities" and f.phase == "forward"]
        if not families:
            return rows
        self.head("Probabilities", "sum", "expected", "difference", "allowed", "differs")
        for family in families:
            ids = self.book.family_ids(family)
            expected = float(round(self.book.values[ids].sum()))
            total = f"SUM({self.book.range(self.book.area(ids))})"
            rows.append(self.check(family.quantity, f"={total}", expected, expected, TOLERANCE * expected))
        self.row += 1
        return rows

    def blocks(self) -> list[int]:
        """Every computed block, live, against the hidden sheet of recorded numbers."""
        self.head("Block", "sum of squares, live", "recorded", "distance", "allowed", "differs")
        book, rows = self.book, []
        for name, ids in self.computed():
            area = book.area(ids)
            here, recorded = book.range(area), book.recorded_range(area)
            numbers = book.values[ids.reshape(-1)]
            allowed = TOLERANCE * max(1.0, float(np.sqrt(np.sum(numbers**2))))
            row = self.row
            rows.append(self.check(name, f"=SUMSQ({here})", f"=SUMSQ({recorded})", float(np.sum(numbers**2)), allowed, f"=SQRT(SUMPRODUCT(({here}-{recorded})*({here}-{recorded})))"))
            self.ws.write_url(row, 0, f"internal:{here}", self.s(font_color="#2451B3"), name)
        return rows

    def computed(self) -> list[tuple[str, np.ndarray]]:
        out: list[tuple[str, np.ndarray]] = []
        for sheet in self.book.sheets:
            for part in sheet.parts:
                for group in part.groups:
                    if group.family is not None and group.family.computed and sheet.update == group.family.update:
                        if part.rectangles and part.rectangles[0].role == "new" and group.family.phase == "forward":
                            continue
                        ids = np.concatenate([b.ids.reshape(-1) for b in group.family.computed])
                        out.append((group.family.quantity, ids))
                out += [(r.name, r.ids) for r in part.rectangles if r.role != "parameter"]
        return out

    def check(self, label: str, live: str, recorded: Any, cached: float, allowed: float, distance: str | None = None) -> int:
        ws, s, row = self.ws, self.s, self.row
        number = s(align="center", num_format="0.000000")
        ws.write_string(row, 0, label, s())
        ws.write_formula(row, 1, live, number, cached)
        if isinstance(recorded, str):
            ws.write_formula(row, 2, recorded, number, cached)
        else:
            ws.write_number(row, 2, recorded, number)
        tiny = s(align="center", num_format="0.0E+0")
        ws.write_formula(row, 3, distance or f"=ABS(B{row + 1}-C{row + 1})", tiny, 0)
        ws.write_number(row, 4, allowed, tiny)
        # An error in the block is a difference too: it must not hide the verdict.
        ws.write_formula(row, 5, f"=IF(ISNUMBER(D{row + 1}),IF(D{row + 1}<=E{row + 1},0,1),1)", s(align="center", num_format="0"), 0)
        red = self.s.differential(bg_color="#F9D7D2", font_color="#9C1C10", bold=True)
        ws.conditional_format(row, 3, row, 5, {"type": "formula", "criteria": f"=$F${row + 1}=1", "format": red})
        self.row += 1
        return row


