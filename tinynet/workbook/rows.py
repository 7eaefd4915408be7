"""Rows of cells, kept once each: the elements of a product of matrices read few different ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(eq=False)
class Rows:
    """n rows of K numbers: row i is row ``which[i]`` of ``table`` (m, K); ``room`` is where a long table stands."""

    table: np.ndarray
    which: np.ndarray
    room: Room | None = None

    @classmethod
    def each(cls, table: np.ndarray) -> Rows:
        """The rows of a table (n, K), one after the other."""
        return cls(table, np.arange(len(table), dtype=np.int32))

    def __len__(self) -> int:
        return len(self.which)

    def __getitem__(self, places: Any) -> np.ndarray:
        return self.table[self.which[places]]

    @property
    def width(self) -> int:
        return self.table.shape[1]

    @property
    def numbers(self) -> np.ndarray:
        """All numbers that stand in these rows, those of equal rows once."""
        return self.table[np.bincount(self.which, minlength=len(self.table)) > 0]

    def look_up(self, values: np.ndarray) -> Rows:
        """The rows of what stands in ``values`` at these numbers."""
        return Rows(values[self.table], self.which)

    def at(self, places: np.ndarray) -> Rows:
        """The rows at ``places`` (m,); at -1 it is a row of zeros."""
        none = places < 0
        if not none.any():
            return Rows(self.table, self.which[places])
        zeros = np.zeros_like(self.table, shape=(1, self.width))
        which = self.which[places] if len(self) else np.empty(len(places), dtype=np.int32)
        return Rows(np.concatenate([self.table, zeros]), np.where(none, np.int32(len(self.table)), which))

    def beside(self, other: Rows) -> Rows:
        """Every row with that of ``other`` behind it: this table stays where it is, if there is room behind it."""
        if len(self.table) != len(other.table) or not np.array_equal(self.which, other.which):
            return Rows.each(self[:]).beside(Rows.each(other[:]))
        start, end, room = self.width, self.width + other.width, self.room
        if room is None or room.used != start or room.buffer.shape[1] < end:
            columns = end if room is None else 2 * end
            room = Room(np.empty((len(self.table), columns), dtype=self.table.dtype), start)
            room.buffer[:, :start] = self.table
        room.buffer[:, start:end] = other.table
        room.used = end
        return Rows(room.buffer[:, :end], self.which, room)


@dataclass(eq=False)
class Room:
    """A buffer (m, C), of which a table takes the first ``used`` columns, and a longer one may take more.

    A sum over time grows by a term a step. So its terms are stored once, not once more with every step.
    """

    buffer: np.ndarray
    used: int
