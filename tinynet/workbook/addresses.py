"""Addresses: where cells stand, as formulas write it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np

from tinynet.workbook.runs import DOWN, SHEET


class Addresses:
    """Cell addresses as text, and as sortable keys, by cell id."""

    def __init__(self, sheet: np.ndarray, row: np.ndarray, column: np.ndarray, sheets: Sequence[str]):
        self.sheet, self.row, self.column = sheet, row, column
        self.prefixes = [quoted(name) + "!" for name in sheets]

    # Tables of all cells. They take much memory: ``forget`` them when all formulas are written.
    @cached_property
    def key(self) -> np.ndarray:
        found = self.sheet.astype(np.int64)
        found *= SHEET
        found += np.multiply(self.row + 1, DOWN, dtype=np.int64)
        found += self.column + 1
        found[0] = 0
        return found

    @cached_property
    def text(self) -> list[str]:
        letters = [column_letters(c) for c in range(int(self.column.max(initial=0)) + 1)]
        places = zip((self.row[1:] + 1).tolist(), self.column[1:].tolist(), strict=True)
        return ["0", *(f"{letters[c]}{r}" for r, c in places)]

    @cached_property
    def sheet_of(self) -> list[int]:
        return self.sheet.tolist()

    def forget(self) -> None:
        for name in ("key", "text", "sheet_of"):
            self.__dict__.pop(name, None)

    # Some cells
    def at(self, cell: int) -> str:
        """The address of one cell on its sheet."""
        return f"{column_letters(int(self.column[cell]))}{self.row[cell] + 1}"

    def reference(self, cell: int, home: int) -> str | None:
        """The address of one cell as a formula on sheet ``home`` writes it; None for the constant zero."""
        if cell == 0:
            return None
        sheet = int(self.sheet[cell])
        return self.at(cell) if sheet == home else self.prefixes[sheet] + self.at(cell)

    def references(self, ids: np.ndarray, home: int) -> list[str | None]:
        text, sheet, prefixes = self.text, self.sheet_of, self.prefixes
        cells = ids.tolist()
        return [(text[i] if sheet[i] == home else prefixes[sheet[i]] + text[i]) if i else None for i in cells]

    def range(self, first: int, last: int, home: int) -> str:
        start = self.reference(first, home)
        assert start is not None
        return start if first == last else f"{start}:{self.at(last)}"


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
