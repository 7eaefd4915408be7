"""Sums over cells as text, for all elements of a block that read alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinynet.workbook.addresses import Addresses
from tinynet.workbook.rows import Rows
from tinynet.workbook.runs import Line

ARGUMENTS = 200  # of a function: Excel takes 255
FEW = 100  # elements that are not worth a search for those that read alike
EXPLICIT = 6  # a sum of up to so many products is written out


@dataclass(frozen=True)
class Side:
    """One side of a contraction: ``ids`` (all elements, K), of which the ``elements`` read their terms in ``order``."""

    addresses: Addresses
    home: int
    ids: Rows
    elements: np.ndarray
    order: Rows

    @property
    def count(self) -> int:
        """How many terms there are."""
        return self.order.width

    @cached_property
    def different(self) -> tuple[np.ndarray, list[int]]:
        """The places of elements that read different cells, and of each element the one of these that reads alike."""
        if len(self.elements) <= FEW:
            return np.arange(len(self.elements)), list(range(len(self.elements)))
        kinds = self.ids.which[self.elements].astype(np.int64) * len(self.order.table) + self.order.which
        _, first, kind = np.unique(kinds, return_index=True, return_inverse=True)
        return first, kind.tolist()

    @cached_property
    def few(self) -> np.ndarray:
        """All terms (n, m) of few elements."""
        return self.ids[self.elements][np.arange(len(self.elements))[:, None], self.order[:]]

    def ids_of(self, k: int) -> np.ndarray:
        """Term k of those that are different."""
        if len(self.elements) <= FEW:
            return self.few[:, k]
        places, _ = self.different
        return self.ids.table[self.ids.which[self.elements[places]], self.order.table[self.order.which[places], k]]

    def of_all(self, texts: list) -> list:
        """The texts of those that are different, for all elements."""
        return [texts[kind] for kind in self.different[1]]

    def cells(self, k: int) -> list[str | None]:
        """Term k of each element."""
        return self.of_all(self.addresses.references(self.ids_of(k), self.home))

    def ranges(self, line: Line) -> list[str]:
        """From the first to the last cell of a line, for each element."""
        starts = self.addresses.references(self.ids_of(line.start), self.home)
        if line.count == 1:
            return self.of_all([str(start) for start in starts])
        ends = self.addresses.all_at(self.ids_of(line.start + line.count - 1))
        return self.of_all([f"{start}:{end}" for start, end in zip(starts, ends, strict=True)])


def sums(side: Side, lines: list[Line]) -> list[str | None]:
    """The sum of the cells that stand in lines, for each element."""
    if side.count == 1:
        return side.cells(0)
    return [_chunked_sum(list(ranges)) for ranges in zip(*map(side.ranges, lines), strict=True)]


def products(a: Side, b: Side, lines: list[Line]) -> list[str]:
    """The sum of the products of two sides, for each element."""
    parts: list[list[str]] = []
    for line in lines:
        if a.count <= EXPLICIT or line.count == 1:
            for k in range(line.start, line.start + line.count):
                parts.append([f"{x}*{y}" for x, y in zip(a.cells(k), b.cells(k), strict=True)])
            continue
        pairs = zip(a.ranges(line), b.ranges(line), strict=True)
        if line.step == line.other:
            parts.append([f"SUMPRODUCT({one},{two})" for one, two in pairs])
        elif line.step == 1:
            parts.append([f"SUM(MMULT({row},{column}))" for row, column in pairs])
        else:
            parts.append([f"SUM(MMULT({row},{column}))" for column, row in pairs])
    return ["+".join(terms) for terms in zip(*parts, strict=True)]


def _chunked_sum(ranges: list[str]) -> str:
    return "+".join(f"SUM({','.join(chunk)})" for chunk in chunks(ranges))


def chunks(arguments: list[str]) -> list[list[str]]:
    """As many at a time as a function takes."""
    return [arguments[i : i + ARGUMENTS] for i in range(0, len(arguments), ARGUMENTS)]
