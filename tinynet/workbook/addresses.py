"""Addresses: where cells stand, as formulas write it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from tinynet.workbook.runs import DOWN, SHEET


class Addresses:
    """Cell addresses as text, and as sortable keys, by cell id."""

    def __init__(self, sheet: np.ndarray, row: np.ndarray, column: np.ndarray, sheets: Sequence[str]):
        self.key = np.where(np.arange(len(row)) > 0, sheet * SHEET + (row + 1) * DOWN + column + 1, 0)
        letters = [column_letters(c) for c in range(int(column.max(initial=0)) + 1)]
        places = zip((row[1:] + 1).tolist(), column[1:].tolist(), strict=True)
        self.text = ["0", *(f"{letters[c]}{r}" for r, c in places)]
        self.sheet = sheet.tolist()
        self.prefixes = [quoted(name) + "!" for name in sheets]

    def reference(self, cell: int, home: int) -> str | None:
        """The address of one cell as a formula on sheet ``home`` writes it; None for the constant zero."""
        if cell == 0:
            return None
        return self.text[cell] if self.sheet[cell] == home else self.prefixes[self.sheet[cell]] + self.text[cell]

    def references(self, ids: np.ndarray, home: int) -> list[str | None]:
        return [self.reference(cell, home) for cell in ids.tolist()]

    def range(self, first: int, last: int, home: int) -> str:
        start = self.reference(first, home)
        assert start is not None
        return start if first == last else f"{start}:{self.text[last]}"


@cache
def column_letters(column: int) -> str:
    """0 → A, 25 → Z, 26 → AA …"""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


@cache
def quoted(sheet: str) -> str:
    """A sheet's name as formulas write it; one that looks like an address or a truth value needs quotes."""
    strange = re.fullmatch(r"(?i)[a-z]{1,3}\d+|r\d*c?\d*|c\d*|true|false", sheet)
    plain = re.fullmatch(r"[A-Za-z_]\w*", sheet) and not strange
    return sheet if plain else "'" + sheet.replace("'", "''") + "'"
