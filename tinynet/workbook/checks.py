"""The sheet Checks: is every block what was recorded, and what did the reader's edits do to the loss?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.workbook import style
from tinynet.workbook.book import READ_ME, Book, Entry
from tinynet.workbook.families import parameter_of
from tinynet.workbook.formulas import LIMIT
from tinynet.workbook.rows import Rows
from tinynet.workbook.runs import grouped
from tinynet.workbook.sheet import Rectangle
from tinynet.workbook.style import Styles
from tinynet.workbook.texts import Texts

Formulas = Callable[[np.ndarray], list[str]]  # those of any of many cells, by their places among them

# Of a block's size: far above rounding, far below any edit that one can see. Where large numbers cancel, programs
# differ in what is left of them: so much of the largest number of the book is no difference either.
TOLERANCE, ROUNDING = 1e-9, 1e-14

SMALL_EDITS = "Gradients say where a small edit takes the loss; what they miss shrinks with the square of the edit."


def _note(unpredicted: list[tuple[str, str]]) -> str:
    """The formula of what is to be said of the prediction: what it leaves out, where that was edited."""
    names = "&".join(f'IF({count}>0," {label.replace(chr(34), 2 * chr(34))}","")' for label, count in unpredicted)
    counts = "+".join(count for _, count in unpredicted)
    formula = f'=IF({counts or 0}=0,"{SMALL_EDITS}","not predicted, no gradient was recorded:"&{names or 0})'
    return formula if len(formula) <= LIMIT else f'="{SMALL_EDITS}"'


class ChecksSheet:
    """Is every block what was recorded? And what did the reader change?"""

    def __init__(self, book: Book, ws: Any, styles: Styles):
        self.book, self.ws, self.s, self.row = book, ws, styles, 0
        self.number = styles(align="center", num_format="0.000000")

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
        box = self.s(
            bold=True,
            font_size=12,
            font_color="#1D6B2F",
            bg_color="#E2F3E4",
            border=1,
            border_color=style.LINE,
        )
        self.ws.set_row(2, 22)
        self.ws.write_string(2, 0, "status", label)
        self.ws.merge_range(2, 1, 2, 4, "", box)
        self.ws.write_formula(2, 1, formula, box, "ALL CELLS ARE AS RECORDED")
        amber, red = (
            self.s.differential(bg_color="#FFE9C7", font_color="#8A4B00"),
            self.s.differential(bg_color="#F9D7D2", font_color="#9C1C10"),
        )
        self.ws.conditional_format(
            2, 1, 2, 4, {"type": "formula", "criteria": '=LEFT($B$3,6)="EDITED"', "format": amber}
        )
        self.ws.conditional_format(
            2, 1, 2, 4, {"type": "formula", "criteria": '=LEFT($B$3,9)="DIFFERENT"', "format": red}
        )

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
        first, owner, needed = self.row, book.layout.families.owner, self.read_by_the_loss()
        unpredicted: list[tuple[str, str]] = []  # by the loss, but without a gradient: its name, and how often edited
        for label, ids, gradient in self.typed_in():
            area = book.area(ids)
            edited = f"=SUMPRODUCT(({book.range(area)}<>{book.recorded_range(area)})*1)"
            ws.write_string(self.row, 0, label, s())
            ws.write_formula(self.row, 1, edited, s(align="center", num_format="0"), 0)
            if gradient is None:
                reaches = not needed.isdisjoint(owner[ids.reshape(-1)].tolist())
                said = "no gradient recorded" if reaches else "not part of the loss"
                ws.write_string(self.row, 2, said, s(align="center", font_color="#9AA1AE", italic=True))
                unpredicted += [(label, f"B{self.row + 1}")] * reaches
            else:
                predicted = self.prediction(ids, gradient)
                ws.write_formula(self.row, 2, predicted, s(align="center", num_format="0.000000"), 0)
            self.row += 1
        last = self.row
        bold = s(bold=True, align="center", num_format="0", top=1)
        ws.write_string(self.row, 0, "all", s(bold=True, top=1))
        ws.write_formula(self.row, 1, f"=SUM(B{first + 1}:B{last})" if last > first else "=0", bold, 0)
        ws.write_formula(
            self.row,
            2,
            f"=SUM(C{first + 1}:C{last})" if last > first else "=0",
            s(bold=True, align="center", num_format="0.000000", top=1),
            0,
        )
        edited, predicted = f"B{self.row + 1}", f"C{self.row + 1}"
        self.row += 2
        self.loss(predicted, unpredicted)
        return edited

    def read_by_the_loss(self) -> set[int]:
        """The blocks (by their index) that the loss is computed from."""
        blocks = self.book.plan.blocks
        found: set[int] = set()
        waiting = [i for i, block in enumerate(blocks) if block.value is self.book.run.loss]
        while waiting:
            block = waiting.pop()
            if block not in found:
                found.add(block)
                waiting += self.book.layout.families.sources[block]
        return found

    def typed_in(self) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
        """Everything that can be edited: its cells, and those of the gradient of the loss where there is one."""
        book, out = self.book, []
        for rectangle in (r for sheet in book.sheets for part in sheet.parts for r in part.rectangles):
            if book.plan.blocks[book.layout.families.owner[rectangle.ids.flat[0]]].expression is None:
                out.append((rectangle.name, rectangle.ids, self.gradient(rectangle)))
        known = [(block.value, block.ids) for block in book.plan.blocks] + book.plan.aliases
        gradients = [(value, ids) for value, ids in known if value.of and value.share is None and value.update == 0]
        for block in book.plan.blocks:
            stands_alone = block.kind != "parameter" and parameter_of(block) is None
            if block.expression is None and stands_alone and block.ids.size:
                own = (ids for value, ids in gradients if value.of is block.value and ids.shape == block.ids.shape)
                out.append((block.name, block.ids, next(own, None)))
        return out

    def gradient(self, rectangle: Rectangle) -> np.ndarray | None:
        """The cells of the gradient of a parameter, in the order of those of the parameter."""
        book = self.book
        owner = book.plan.blocks[book.layout.families.owner[rectangle.ids.flat[0]]]
        block = book.layout.mirrored(owner.value, "gradient", 0)
        return None if block is None else block.ids.reshape(-1)[rectangle.ids - int(owner.ids.flat[0])]

    def prediction(self, ids: np.ndarray, gradient: np.ndarray) -> str:
        """The recorded gradient times the edits: of whole areas where both stand alike, else piece by piece."""
        book, layout = self.book, self.book.layout

        def products(one: np.ndarray, two: np.ndarray) -> str:
            here, slope = book.area(one), book.area(two)
            edit = f"{book.range(here)}-{book.recorded_range(here)}"
            return f"SUMPRODUCT({book.recorded_range(slope)},{edit})"

        def offsets(cells: np.ndarray) -> np.ndarray:
            places = np.stack([layout.row[cells.reshape(-1)], layout.column[cells.reshape(-1)]])
            return places - places.min(axis=1, keepdims=True)

        if np.array_equal(offsets(ids), offsets(gradient)):
            return "=" + products(ids, gradient)
        ids, gradient, key = ids.reshape(-1), gradient.reshape(-1), book.addresses.key
        _, order, lines = next(grouped(Rows.each(key[ids][None]), Rows.each(key[gradient][None])))
        ids, gradient = ids[order[0]], gradient[order[0]]
        places = [slice(line.start, line.start + line.count) for line in lines if line.step == line.other]
        places += [slice(i, i + 1) for x in lines if x.step != x.other for i in range(x.start, x.start + x.count)]
        return "=" + "+".join(products(ids[place], gradient[place]) for place in places)

    def loss(self, predicted: str, unpredicted: list[tuple[str, str]]) -> None:
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
        grey = s(italic=True, font_size=9, font_color="#7A8190")
        ws.write_formula(self.row, 0, _note(unpredicted), grey, SMALL_EDITS)
        self.row += 2

    # What must hold
    def probabilities(self) -> list[int]:
        """The probabilities of every sample sum to 1."""
        families = [f for f in self.book.layout.families.all if f.title == "probabilities" and f.phase == "forward"]
        if not families:
            return []
        self.head("Probabilities", "sum", "expected", "difference", "allowed", "differs")
        ids = [self.book.family_ids(family) for family in families]
        live = [f"=SUM({self.book.range(self.book.area(cells))})" for cells in ids]
        expected = np.array([float(round(self.book.values[cells].sum())) for cells in ids])
        rows = self.row + np.arange(len(families))
        for row, family in zip(rows.tolist(), families, strict=True):
            self.ws.write_string(row, 0, family.quantity, self.s())
        self.ws.write_numbers(rows, 2, expected, self.number)
        self.compare(rows, live, expected, [f"=ABS(B{row}-C{row})" for row in rows + 1], TOLERANCE * expected)
        self.row += 1
        return rows.tolist()

    def blocks(self) -> list[int]:
        """Every computed block in the order of execution, live, against the hidden sheet of recorded numbers."""
        self.head("Block", "sum of squares, live", "recorded", "distance", "allowed", "differs")
        book = self.book
        entries = [entry for entry in book.entries if entry.kind in ("forward", "backward", "update")]
        here = Texts(book.range(entry.area) for entry in entries)
        recorded = Texts(book.recorded_range(entry.area) for entry in entries)
        sizes = np.array([self.sum_of_squares(entry) for entry in entries])
        rows = self.row + np.arange(len(entries))
        link = self.s(font_color="#2451B3")
        for i, entry in enumerate(entries):
            self.ws.write_url(int(rows[i]), 0, f"internal:{here[i]}", link, entry.name)

        def squares(places: Texts) -> Formulas:
            return lambda chosen: [f"=SUMSQ({place})" for place in places.at(chosen)]

        def distances(chosen: np.ndarray) -> list[str]:
            pairs = zip(here.at(chosen), recorded.at(chosen), strict=True)
            return [f"=SQRT(SUMPRODUCT(({a}-{b})*({a}-{b})))" for a, b in pairs]

        self.ws.write_formulas(rows, 2, squares(recorded), sizes, self.number)
        allowed = TOLERANCE * np.sqrt(sizes) + ROUNDING * float(np.abs(book.values).max())
        self.compare(rows, squares(here), sizes, distances, allowed)
        return rows.tolist()

    def sum_of_squares(self, entry: Entry) -> float:
        area, numbers = entry.area, self.book.values[entry.ids]
        if numbers.size < (area.bottom - area.top + 1) * (area.right - area.left + 1):  # others stand between them
            numbers = self.book.numbers_in(area)
        with np.errstate(over="ignore"):
            total = float(np.sum(numbers**2))
        if np.isinf(total):
            raise ValueError(
                f"{entry.name} has numbers up to {np.abs(numbers).max():.0e}: a workbook adds up their squares to "
                "check them, and no cell can hold more than 1.8e308"
            )
        return total

    def compare(
        self,
        rows: np.ndarray,
        live: list[str] | Formulas,
        numbers: np.ndarray,
        distances: list[str] | Formulas,
        allowed: np.ndarray,
    ) -> None:
        """Beside what was recorded: what is there now, how far it is from that, how far it may be, and the verdict."""
        if not rows.size:
            return
        zero = np.zeros(len(rows), dtype=int)
        tiny, flag = self.s(align="center", num_format="0.0E+0"), self.s(align="center", num_format="0")
        self.ws.write_formulas(rows, 1, live, numbers, self.number)
        self.ws.write_formulas(rows, 3, distances, zero, tiny)
        self.ws.write_numbers(rows, 4, allowed, tiny)

        # An error in the block is a difference too: it must not hide the verdict.
        def differs(chosen: np.ndarray) -> list[str]:
            return [f"=IF(ISNUMBER(D{row}),IF(D{row}<=E{row},0,1),1)" for row in (rows[chosen] + 1).tolist()]

        self.ws.write_formulas(rows, 5, differs, zero, flag)
        red = self.s.differential(bg_color="#F9D7D2", font_color="#9C1C10", bold=True)
        rule = {"type": "formula", "criteria": f"=$F{rows[0] + 1}=1", "format": red}
        self.ws.conditional_format(int(rows[0]), 3, int(rows[-1]), 5, rule)
        self.row += len(rows)
