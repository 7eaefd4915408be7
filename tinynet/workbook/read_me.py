"""The sheet Read me: what this is, a map whose every line is a link, how to read it, colours, names."""

from __future__ import annotations

from typing import Any

from tinynet.workbook import style
from tinynet.workbook.book import CHECKS, STEPS, Area, Book, cell_name
from tinynet.workbook.budget import values_only
from tinynet.workbook.colours import CONTROL_ROW
from tinynet.workbook.expressions import Position
from tinynet.workbook.families import last_part
from tinynet.workbook.keys import WHOLE
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import FIRST_SLOT, ColumnSheet, MapSheet, Sheet
from tinynet.workbook.style import Styles
from tinynet.workbook.time_steps import TIME_STEPS, state_gradients
from tinynet.workbook.words import clipped
from tinynet.workbook.yours import LIMIT, YOURS, fits, needed

WIDE, CHARACTERS = 110, 135  # the column of texts, and how many characters surely fit into its width


class ReadMe:
    """The first sheet: what this is, a map whose every line is a link, how to read it, colours, names."""

    def __init__(self, book: Book, ws: Any, styles: Styles):
        self.book, self.ws, self.s, self.row = book, ws, styles, 0

    def write(self, names: dict[str, Area]) -> None:
        ws, s = self.ws, self.s
        ws.hide_gridlines(2)
        ws.set_column(0, 0, 27 if len(self.book.sheets) == 1 else 44)
        ws.set_column(1, 1, WIDE)
        ws.set_row(0, 30)
        ws.write_string(
            0,
            0,
            f"{self.book.title}: every number is a formula",
            s(bold=True, font_size=17, font_color=style.INK),
        )
        ws.write_string(1, 0, self.book.run.description, s(font_color="#7A8190"))
        self.row = 3
        self.where_to_go()
        self.map()
        self.parameters()
        self.how_to_read()
        self.colours()
        self.names(names)
        ws.print_area(0, 0, self.row - 1, 1)
        ws.set_paper(9)
        ws.set_landscape()
        ws.fit_to_pages(1, 0)
        ws.set_margins(left=0.5, right=0.5, top=0.5, bottom=0.5)

    def head(self, text: str) -> None:
        fmt = self.s(bold=True, font_size=11, font_color="#FFFFFF", bg_color=style.INK)
        self.ws.write_string(self.row, 0, text, fmt)
        self.ws.write_blank(self.row, 1, None, fmt)
        self.row += 1

    def line(self, left: str, text: str, link: str | None = None) -> None:
        if link is not None:
            blue = self.s(font_color="#2451B3", underline=1, valign="vcenter")
            self.ws.write_url(self.row, 0, f"internal:{link}", blue, left)
        else:
            self.ws.write_string(self.row, 0, left, self.s(bold=True, font_color=style.INK, valign="vcenter"))
        self.text(text, self.s(font_color="#2B3140", text_wrap=True, valign="vcenter"))

    def text(self, text: str, fmt: Any) -> None:
        """Write beside what is explained, in as many lines as it takes."""
        self.ws.write_string(self.row, 1, text, fmt)
        self.ws.set_row(self.row, style.wrapped([text], CHARACTERS))
        self.row += 1

    def where_to_go(self) -> None:
        self.head("Where to go")
        first = self.book.sheets[0]
        control = cell_name(CONTROL_ROW, FIRST_SLOT)
        self.line(
            first.name,
            "The network. Choose a step in the orange cell: what it computes lights up, what it reads is outlined.",
            f"'{first.name}'!{control}",
        )
        for sheet in self.book.sheets[1:]:
            self.line(sheet.name, self.about(sheet), f"'{sheet.name}'!A1")
        self.line(
            STEPS,
            f"Every step ({len(self.book.moments.all)}) as a table: the equation, and one element worked out, live.",
            f"{STEPS}!A1",
        )
        loss = "" if self.book.run.loss is None else " And what did your edits do to the loss?"
        self.line(CHECKS, f"Is every cell what it was when this was recorded?{loss}", f"{CHECKS}!A1")
        if fits(self.book):
            text = "Paste your own numbers beside ours: what differs turns red, and the first block that does is named."
            self.line(YOURS, text, f"{YOURS}!A1")
        else:
            text = f"Left out, because it would be too large ({needed(self.book):,} formulas, at most {LIMIT:,}): "
            self.line(YOURS, text + "the sheet to paste your own numbers into.")
        if state_gradients(self.book):
            text = "A link to every time step, and how large the gradient is there: does it vanish on its way back?"
            self.line(TIME_STEPS, text, f"'{TIME_STEPS}'!A1")
        self.row += 1

    @staticmethod
    def about(sheet: Sheet) -> str:
        """What a reader finds on a sheet."""
        again = f" Round {sheet.update + 1} of training." if sheet.update else ""
        passes = " and ".join(band.phase for band in sheet.bands)
        if not isinstance(sheet, MapSheet):
            return again.strip() or f"Rows of units: {passes.replace(' and ', ', ', passes.count(' and ') - 1)}."
        if any(band.phase == "forward" for band in sheet.bands):
            return "Forward: each kernel beside the maps that it makes." + again
        return f"{passes.capitalize()}: the gradients in the columns of what they belong to." + again

    def parameters(self) -> None:
        """How many parameters each layer has."""
        layers: dict[str, list[Block]] = {}
        for block in self.book.plan.blocks:
            if block.kind == "parameter":
                layers.setdefault(block.quantity.rpartition(".")[0] or "no layer", []).append(block)
        if not layers:
            return
        self.head("Parameters")
        for layer, blocks in layers.items():
            each = [f"{last_part(b.quantity)} {'×'.join(map(str, b.ids.shape)) or 1} = {b.ids.size:,}" for b in blocks]
            self.line(layer, f"{sum(b.ids.size for b in blocks):,}   ({', '.join(each)})")
        total = sum(block.ids.size for blocks in layers.values() for block in blocks)
        self.line("all", f"{total:,}")
        self.row += 1

    def map(self) -> None:
        self.head("Map of the network")
        for sheet in self.book.sheets:
            for band in sheet.bands:
                for part in band.parts:
                    several = len(self.book.sheets) > 1
                    families = [g.family for g in part.groups if g.family is not None and g.family.computed]
                    said = [] if part.is_update else [self.book.words.of_family(f) for f in families]
                    equations = [clipped(equation, 1000) for equation in said]
                    text = (
                        ",   ".join(equations)
                        or ", ".join(r.label for r in part.rectangles)
                        or ", ".join(g.symbol for g in part.groups)
                    )
                    self.line(
                        f"{sheet.name} ▸ {part.title}" if several else f"{band.phase}: {part.title}",
                        text,
                        f"'{sheet.name}'!{cell_name(part.head, 0)}",
                    )
        self.row += 1

    def how_to_read(self) -> None:
        self.head("How to read it")
        blocks, timed = self.book.plan.blocks, self.book.layout.timed
        backward = any(block.phase == "backward" for block in blocks)
        if any(isinstance(sheet, MapSheet) for sheet in self.book.sheets):
            self.line("Squares = pixels", "Images in grey; feature maps in blue and red. One strip for each channel.")
            self.line(
                "Left = kernels",
                "A map is its kernel laid on every window of what is above: SUMPRODUCT(window, kernel).",
            )
            if any(isinstance(block.expression, Position) for block in blocks):
                passes = "; only it passes the gradient back" * backward
                self.line("Yellow = chosen", f"The largest of each pooling window{passes}.")
        if any(isinstance(sheet, ColumnSheet) for sheet in self.book.sheets):
            self.rows_and_columns(timed, backward)
        if backward:
            self.line(
                "Below = gradients" if len(self.book.sheets) == 1 else "δ = gradient",
                "δx is dLoss/dx: the same rows and columns as its forward block, further down, in mirrored order.",
            )
        if timed and any(block.value.share for block in blocks):
            self.line(
                "δh ← t,  δh ← t+1",
                "What arrives of a gradient from its own time step, and what arrives from the next one.",
            )
        named = {"parameter": "parameters", "input": "inputs", "hyperparameter": "the learning rate"}
        typed = ", ".join(text for kind, text in named.items() if any(block.kind == kind for block in blocks))
        self.line("Edit anything framed", f"Typed in: {typed}. All else recomputes.")
        self.row += 1

    def rows_and_columns(self, timed: bool, backward: bool) -> None:
        self.line("Down = units", "Each row is one unit. Units, steps and samples are counted from 0, as in Python.")
        if timed:
            reverse = " The backward pass uses the same columns, read right to left." * backward
            self.line("Right = time", f"Each column is one time step, all samples of a batch under it.{reverse}")
            columns = (sheet for sheet in self.book.sheets if isinstance(sheet, ColumnSheet))
            if any(time == WHOLE for sheet in columns for time, _ in sheet.keys):
                self.line("All steps", "Behind the last step stands what each sequence has once, such as its length.")
        else:
            self.line("Right = samples", "Each column is one sample of the batch.")
        if any(block.kind == "parameter" for block in self.book.plan.blocks):
            self.line("Left = weights", "Weights and biases stand on the rows of the quantity that they produce.")

    def colours(self) -> None:
        self.head("Colours")
        swatch = {"num_format": "0.000", "align": "center", "border": 1}
        for fmt, text in (
            (
                self.s(**swatch, border_color=style.AMBER, font_color="#2451B3"),
                "parameter: edit me, everything recomputes",
            ),
            (
                self.s(**swatch, border_color=style.LINE, bg_color=style.INPUT),
                "what else is typed in, such as inputs: edit me, too",
            ),
            (
                self.s(**swatch, border_color=style.LINE, bg_color=style.ORANGE, bold=True),
                "computed at the current step",
            ),
            (self.s(**swatch, border_color="#D97B00", bg_color="#FFE9C7"), "read by the current step"),
            (
                self.s(**swatch, border_color=style.LINE, bg_color=style.PALE, font_color="#C9CDD6"),
                "not computed yet at the current step",
            ),
        ):
            self.ws.write_number(self.row, 0, 0.123, fmt)
            self.ws.write_string(self.row, 1, text, self.s(font_color="#2B3140"))
            self.row += 1
        frozen = dict.fromkeys(block.quantity for block in values_only(self.book.plan))
        if frozen:
            self.ws.write_number(self.row, 0, 0.123, self.s(**swatch, **style.FROZEN))
            text = f"numbers only, they do NOT recompute (beyond the budget of cells): {', '.join(frozen)}"
            self.text(clipped(text, 1000), self.s(font_color="#9C1C10", bold=True, text_wrap=True))
        phases = {block.phase for block in self.book.plan.blocks}
        for kind, largest in self.book.scales.items():
            if not kind.startswith("gradients") or "backward" in phases:
                self.line(
                    kind,
                    f"blue −{largest:g} · white 0 · red +{largest:g}   (one scale for all its blocks: colours compare)",
                )
        self.row += 1

    def names(self, names: dict[str, Area]) -> None:
        self.head("Names you can use in your own formulas")
        plain = [name for name in names if not name.startswith(("d_", "new_"))]
        for start in range(0, len(plain), 12):
            self.line("values" if not start else "", ",  ".join(plain[start : start + 12]))
        others = [name for name in names if name not in plain]
        if others:
            text = f"d_ + name and new_ + name, for example {',  '.join(others[:3])}"
            self.line("gradients, updated", text)
