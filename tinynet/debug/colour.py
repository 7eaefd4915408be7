"""Colour for a report that is read in a terminal, and nowhere else."""

from __future__ import annotations

import os
from typing import TextIO

RED, GREEN, YELLOW, BOLD_RED, BOLD = "31", "32", "33", "1;31", "1"

# How a line begins, and the colour of that.
HEADS = {
    "all of them agree": GREEN,
    "those compared agree": YELLOW,
    "FIRST DIFFERENCE": BOLD_RED,
    "   ours": GREEN,
    "   yours": RED,
    "WHY": BOLD,
    "  or": BOLD,
    " and": BOLD,
    "not matched": YELLOW,
}


def wanted(stream: TextIO) -> bool:
    """Whether colour is of use: on a terminal that knows it, unless NO_COLOR (no-color.org) is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str) -> str:
    """The same lines, the heads of some in colour (ANSI)."""
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    head = next((head for head in HEADS if line.startswith(head)), None)
    return line if head is None else f"\x1b[{HEADS[head]}m{head}\x1b[0m{line.removeprefix(head)}"
