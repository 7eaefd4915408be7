"""Addresses: where cells stand, as formulas write it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np

from tinynet.workbook.runs import DOWN, SHEET

MANY = 2**18  # cells, of which a table would take too much memory


class Addresses:
    """Cell addresses as text, and as sortable keys, by cell id."""

    def __init__(self, sheet: np.ndarray, row: np.ndarray, column: np.ndarray, sheets: Sequence[str]):
        self.sheet, self.row, self.column = sheet, row, column
        self.prefixes = [quoted(name) + "!" for name in sheets]

    @cached_property
    def key(self) -> np.ndarray:
        found = self.sheet.astype(np.int64)
        found *= SHEET
        found += np.multiply(self.row + 1, DOWN, dtype=np.int64)
        found += self.column + 1
        found[0] = 0
        return found

    @cached_property
    def letters(self) -> list[str]:
        """Those of all columns."""
        return [column_letters(c) for c in range(int(self.column.max(initial=0)) + 1)]

    @cached_property
    def text(self) -> list[str]:
        """Of all cells, for whoever looks for many one by one; it takes much memory."""
        return ["0", *self._made(np.arange(1, len(self.row)))]

    @cached_property
    def table(self) -> tuple[list[str], list[int]] | None:
        """The addresses and the sheets of all cells, of a book that is not large."""
        return (self.text, self.sheet.tolist()) if len(self.row) <= MANY else None

    def forget(self) -> None:
        """Drop what is of all cells, when all formulas are written; it is made again where one asks for it."""
        for name in ("key", "text", "table"):
            self.__dict__.pop(name, None)

    def at(self, cell: int) -> str:
        """The address of one cell on its sheet."""
        return f"{column_letters(int(self.column[cell]))}{self.row[cell] + 1}"

    def reference(self, cell: int, home: int) -> str | None:
        """The address of one cell as a formula on sheet ``home`` writes it; None for the constant zero."""
        if cell == 0:
            return None
        sheet = int(self.sheet[cell])
        return self.at(cell) if sheet == home else self.prefixes[sheet] + self.at(cell)

    def all_at(self, ids: np.ndarray) -> list[str]:
        """The addresses of cells (n,) on their sheets."""
        if self.table is None:
            return self._made(ids)
        text, _ = self.table
        return [text[i] for i in ids.tolist()]

    def _made(self, ids: np.ndarray) -> list[str]:
        letters, places = self.letters, zip(self.column[ids].tolist(), (self.row[ids] + 1).tolist(), strict=True)
        return [f"{letters[column]}{row}" for column, row in places]

    def references(self, ids: np.ndarray, home: int) -> list[str | None]:
        """The addresses of cells (n,) as formulas on sheet ``home`` write them; None for the constant zero."""
        if self.table is not None:
            (text, own), prefix, cells = self.table, self.prefixes, ids.tolist()
            return [(text[i] if own[i] == home else prefix[own[i]] + text[i]) if i else None for i in cells]
        prefixes = ["" if sheet == home else prefix for sheet, prefix in enumerate(self.prefixes)]
        letters, where = self.letters, (ids, self.sheet[ids], self.column[ids], self.row[ids])
        places = zip(*(numbers.tolist() for numbers in where), strict=True)
        return [f"{prefixes[sheet]}{letters[column]}{row + 1}" if i else None for i, sheet, column, row in places]

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
