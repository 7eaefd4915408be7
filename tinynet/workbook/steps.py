"""The sheet Steps: every moment as a row; the step control of the network sheet looks its words up here."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.run import time_label
from tinynet.workbook import style
from tinynet.workbook.book import READ_ME, Book
from tinynet.workbook.page import FIRST_STEP_ROW, READS_COLUMN, START, START_HINT, START_SENTENCE
from tinynet.workbook.plan import Block
from tinynet.workbook.stepping import MOST_READ, Moment
from tinynet.workbook.style import Styles
from tinynet.workbook.words import clipped
from tinynet.workbook.worked import Worked

MOST_SAID = 1000  # characters of an equation
WIDE, CHARACTERS = 78, 80  # the columns of texts, and how many characters surely fit into their width


class StepsSheet:
    """Every moment: its number, phase, equation, worked numbers, and a link to its block."""

    HEADS = ("step", "phase", "time", "what is computed", "one element worked out, live", "block", "go")

    def __init__(self, book: Book, ws: Any, styles: Styles):
        self.book, self.ws, self.s = book, ws, styles
        self.worked = Worked(book.addresses, book.values, book.whole)
        self.several_rounds = any(moment.blocks[0].update for moment in book.moments.all)

    def write(self) -> None:
        ws, s = self.ws, self.s
        ws.hide_gridlines(2)
        for column, width in enumerate((6, 10, 8, WIDE, WIDE, 17, 5, 9)):
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
        self.reads()
        ws.freeze_panes(FIRST_STEP_ROW, 1)
        ws.set_paper(9)
        ws.set_landscape()
        ws.fit_to_pages(1, 0)
        ws.repeat_rows(FIRST_STEP_ROW - 1)

    def start(self) -> None:
        row = FIRST_STEP_ROW
        self.ws.write_number(row, 0, 0, self.s(align="center"))
        self.ws.write_string(row, 1, START, self.s())
        self.ws.write_string(row, 3, START_SENTENCE, self.s())
        self.ws.write_string(row, 4, START_HINT, self.s())
        self.ws.write_string(row, 7, f"'{self.book.sheets[0].name}'!A1")
        self.ws.write_string(row, 2, "")

    def moment(self, moment: Moment) -> None:
        ws, row = self.ws, FIRST_STEP_ROW + moment.number

        def s(**look: Any) -> Any:
            return self.s(valign="top", **look)

        ws.write_number(row, 0, moment.number, s(align="center"))
        ws.write_string(row, 1, moment.phase, s(font_color=style.BANDS[moment.phase], bold=True))
        ws.write_string(row, 2, "" if moment.time is None else _head(moment.time), s())
        sentence, block = self.sentence(moment), moment.blocks[0]
        ws.write_string(row, 3, sentence, s(text_wrap=True))
        formula, text = self.worked.line(block, self.label(block))
        ws.write_formula(row, 4, formula, s(font_color="#A85400", text_wrap=True), text)
        ws.set_row(row, style.wrapped([sentence, text], CHARACTERS))
        target = self.book.range(self.book.area(block.ids))
        where = target.partition("!")[2] if len(self.book.sheets) == 1 else target
        ws.write_string(row, 5, where, s(font_color="#7A8190"))
        ws.write_url(row, 6, f"internal:{target}", s(font_color="#2451B3", underline=1, align="center"), "→")
        ws.write_string(row, 7, target)

    def reads(self) -> None:
        """The marks of what every step reads; step 0 reads nothing."""
        marks = np.zeros((len(self.book.moments.all) + 1, MOST_READ), dtype=np.int32)
        for moment in self.book.moments.all:
            marks[moment.number, : len(moment.reads)] = moment.reads
        ws = self.ws

        def write() -> None:
            rows, columns = np.indices(marks.shape).reshape(2, -1)
            ws.write_numbers(FIRST_STEP_ROW + rows, READS_COLUMN + columns, marks.reshape(-1))

        ws.later.append(write)

    def label(self, block: Block) -> str:
        """What the first element of a block is called in words: ``c[3]``."""
        symbol = self.book.words.symbol(block.ids.flat[0])
        return symbol if block.time is None else f"{symbol}[{time_label(block.time)}]"

    def sentence(self, moment: Moment) -> str:
        """``t = 1: forget gate: f = σ(z_f)``; several equations at once where they belong to one moment."""
        equations = list(dict.fromkeys(self.book.words.equation(block) for block in moment.blocks))
        titles = self.titles(moment.blocks)
        what = ", ".join(titles) + ":  " if titles and len(titles) < 5 else ""
        text = ";  ".join(equations)
        if len(text) >= 170:
            text = ";  ".join(clipped(equation, MOST_SAID) for equation in equations[:2])
            text += f";  … ({len(equations)} quantities)"
        return self.when(moment) + what + text

    def when(self, moment: Moment) -> str:
        """``round 2, t = 1:``, as far as there are several rounds of training and steps."""
        blocks = [block for block in moment.blocks if block.value.share not in ("next", "previous")]
        times = list(dict.fromkeys(block.time for block in blocks)) or [moment.time]
        said = [f"round {moment.blocks[0].update + 1}"] if self.several_rounds else []
        if None not in times:
            ends = times if len(times) < 3 else [times[0], times[-1]]
            said.append((", " if len(times) < 3 else " … ").join(_head(time) for time in ends))  # type: ignore[arg-type]
        return ", ".join(said) + ":  " if said else ""

    @staticmethod
    def titles(blocks: list[Block]) -> list[str]:
        """What the quantities are in words, each once: ``reset gate``, ``gradients of candidate, reset gate``."""
        plain = [block.value.title for block in blocks if block.value.of is None and len(block.value.title) < 60]
        of = [block.value.of.title.partition(":")[0] for block in blocks if block.value.of is not None]
        gradients = list(filter(None, dict.fromkeys(of)))
        if gradients:
            gradients[0] = f"gradient{'s' * (len(gradients) > 1)} of {gradients[0]}"
        return list(filter(None, dict.fromkeys(plain))) + gradients


def _head(time: int) -> str:
    return time_label(time) if time < 0 else f"t = {time}"
