"""Rectangles: where the cells of a contraction stand in line, so that one range says it all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinynet.workbook.rows import Rows

DOWN = 1 << 20  # a row down, in the key of an address; a column to the right is 1
SHEET = 1 << 42
FEW = 1 << 14  # keys that are not worth a search for elements that are alike


@dataclass(frozen=True)
class Line:
    """``length`` cells from position ``start`` on, stepping by ``step`` in one array (and ``other`` in the second);
    ``lines`` of them below one another make a rectangle."""

    start: int
    length: int
    step: int
    other: int
    lines: int = 1

    @property
    def count(self) -> int:
        return self.length * self.lines


def grouped(left: Rows, right: Rows | None) -> Iterator[tuple[np.ndarray, Rows, list[Line]]]:
    """Split the elements of a contraction by the shape of what they read.

    ``left`` and ``right`` hold address keys (n, K), 0 for the constant zero. Yields (elements, order, lines):
    ``order`` (len(elements), m) sorts the terms that are not zero; the lines hold for all the elements.
    """
    few = len(left) * left.width <= FEW
    each = np.arange(len(left))
    first, kind, counts = (each, each, np.ones_like(each)) if few else _kinds(left, right)
    one, other = left[first], None if right is None else right[first]
    found = list(by_address(one, other))
    if max((len(lines) for _, _, lines in found), default=0) > 1:
        # Several rectangles side by side: as they come, each may stay in one piece.
        as_they_come = list(_in_order(one, other, np.argsort(~_present(one, other), axis=1, kind="stable")))
        found = min(found, as_they_come, key=lambda parts: sum(counts[e].sum() * len(lines) for e, _, lines in parts))
    if few:
        yield from ((elements, Rows.each(order), lines) for elements, order, lines in found)
    else:
        yield from _of_all(found, kind)


def _kinds(left: Rows, right: Rows | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What different elements read: the place of one of each kind, the kind of each, how many are of each."""
    kinds = _shapes(left)
    if right is not None:
        others = _shapes(right)
        kinds = kinds * (int(others.max(initial=0)) + 1) + others
    _, first, kind, counts = np.unique(kinds, return_index=True, return_inverse=True, return_counts=True)
    return first, kind, counts


def _shapes(keys: Rows) -> np.ndarray:
    """Number what is read by each element (n,): rows that are one another, moved, have the same number."""
    table = keys.table
    moved = np.where(table > 0, table - table.max(axis=1, keepdims=True, initial=0), 1)
    out = np.empty(len(table), dtype=np.int64)
    for number, places in enumerate(_alike(moved)):
        out[places] = number
    return out[keys.which]


def _of_all(found: list, kind: np.ndarray) -> Iterator[tuple[np.ndarray, Rows, list[Line]]]:
    """What was found for one element of each kind, for all: ``kind`` (n,) is that of each."""
    group, place = np.empty((2, int(kind.max(initial=-1)) + 1), dtype=np.int32)
    for number, (kinds, *_) in enumerate(found):
        group[kinds], place[kinds] = number, np.arange(len(kinds))
    by_group = np.argsort(group[kind], kind="stable")
    ends = np.cumsum(np.bincount(group[kind], minlength=len(found)))
    for elements, (_, order, lines) in zip(np.split(by_group, ends[:-1]), found, strict=False):
        yield elements, Rows(order, place[kind[elements]]), lines


def by_address(left: np.ndarray, right: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray, list[Line]]]:
    """What ``grouped`` yields for keys (n, K), with the terms in the order of the addresses of the left."""
    keys = np.where(_present(left, right), left, np.iinfo(np.int64).max)
    return _in_order(left, right, np.argsort(keys, axis=1, kind="stable"))


def _present(left: np.ndarray, right: np.ndarray | None) -> np.ndarray:
    """Which terms are not zero."""
    return left > 0 if right is None else (left > 0) & (right > 0)


def _in_order(left: np.ndarray, right: np.ndarray | None, order: np.ndarray) -> Iterator:
    counts, rows = _present(left, right).sum(axis=1), np.arange(len(left))[:, None]
    half = max(left.shape[1] - 1, 0)
    steps = np.empty((len(left), 2 * half + 1), dtype=left.dtype)
    for k, keys in enumerate((left, left if right is None else right)):
        in_order = keys[rows, order]
        np.subtract(in_order[:, 1:], in_order[:, :-1], out=steps[:, k * half : (k + 1) * half])
    past_end = np.arange(half) >= counts[:, None] - 1
    steps[:, :half][past_end] = 0
    steps[:, half:-1][past_end] = 0
    steps[:, -1] = counts
    for elements in _alike(steps):
        pattern = steps[elements[0]]
        m = int(pattern[-1])
        yield elements, order[elements, :m], _lines(pattern[:half][: max(m - 1, 0)], pattern[half:-1], m)


def _alike(rows: np.ndarray) -> list[np.ndarray]:
    """The places of equal rows (a dictionary finds them many times as fast as np.unique, which sorts)."""
    found: dict[bytes, list[int]] = {}
    for i, row in enumerate(rows):
        found.setdefault(row.tobytes(), []).append(i)
    return [np.array(places) for places in found.values()]


def _lines(a: np.ndarray, b: np.ndarray, count: int) -> list[Line]:
    lines: list[Line] = []
    start = 0
    while start < count:
        end = start + 1
        if end < count and a[start] in (1, DOWN) and b[start] in (1, DOWN):
            step, other = int(a[start]), int(b[start])
            while end < count and a[end - 1] == step and b[end - 1] == other:
                end += 1
            lines.append(Line(start, end - start, step, other))
        else:
            lines.append(Line(start, 1, 1, 1))
        start = end
    return _stacked(lines, a, b)


def _stacked(lines: list[Line], a: np.ndarray, b: np.ndarray) -> list[Line]:
    """Join rows of equal length that stand directly below one another in both arrays."""
    out: list[Line] = []
    for line in lines:
        last = out[-1] if out else None
        if (
            last is not None
            and line.length > 1
            and (line.length, line.step, line.other) == (last.length, last.step, last.other) == (last.length, 1, 1)
        ):
            jump = slice(last.start + (last.lines - 1) * last.length, line.start)
            if a[jump].sum() == DOWN and b[jump].sum() == DOWN:
                out[-1] = Line(last.start, last.length, 1, 1, last.lines + 1)
                continue
        out.append(line)
    return out
