"""Where windows lie, rightly or by mistake, and the numbers under them.

Wherever windows lie, they read numbers by a table (windows, K) of places; what is not there is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from tinynet import primitives as P
from tinynet.debug.program import Array

Axes = tuple[int, ...]

# What a place outside an axis of n numbers is taken for.
OUTSIDE: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "": lambda at, n: at,
    "outside the input, its nearest number is read instead of 0": lambda at, n: np.clip(at, 0, n - 1),
    "outside the input, its mirror image is read instead of 0": lambda at, n: (n - 1) - np.abs((n - 1) - np.abs(at)),
    "outside the input, its other end is read instead of 0": lambda at, n: at % n,
    "before the input, its other end is read instead of 0": lambda at, n: np.where(at < 0, at + n, at),
}


@dataclass(frozen=True)
class Layout:
    """``count`` windows of ``size`` places on an input of ``length``, stored with a ``border``: all along each axis."""

    length: Axes
    border: tuple[tuple[int, int], ...]
    count: Axes
    size: Axes
    stride: Axes
    padding: Axes
    dilation: Axes
    outside: str = ""
    turned: bool = False  # row for column
    only: int | None = None  # one window is read for all

    @property
    def stored(self) -> Axes:
        """The spatial shape of the input with its border."""
        return tuple(n + low + high for n, (low, high) in zip(self.length, self.border, strict=True))

    def table(self) -> np.ndarray:
        """The place in the stored input, flattened, that each window reads: (windows, K). One past the end is none."""
        return _table(self)


@lru_cache(maxsize=64)
def _table(layout: Layout) -> np.ndarray:
    axes = len(layout.size)
    windows = np.indices(layout.count).reshape(axes, -1, 1)
    offsets = np.indices(layout.size).reshape(axes, 1, -1)
    flat, inside = np.zeros((1, 1), int), np.ones((1, 1), bool)
    for axis, window in enumerate(windows[::-1] if layout.turned else windows):
        n, (low, high) = layout.length[axis], layout.border[axis]
        start = window * layout.stride[axis] - layout.padding[axis]
        at = OUTSIDE[layout.outside](start + offsets[axis] * layout.dilation[axis], n)
        inside = inside & (at >= -low) & (at < n + high)
        flat = flat * layout.stored[axis] + at + low
    table = np.where(inside, flat, math.prod(layout.stored))
    return table if layout.only is None else np.broadcast_to(table[layout.only], table.shape)


def misplaced(right: Layout, what: str) -> Iterator[tuple[str, Layout]]:
    """Where the windows may lie by mistake, with the words for it."""
    strides = [("", right.stride), *_mistaken(right.stride, "stride", what, 1)]
    strides.append((f"the size of the window is taken for the stride of the {what}", right.size))
    paddings = [("", right.padding), *_mistaken(right.padding, "padding", what, 0)]
    seen = {right}
    for (a, stride), (b, padding), turned in product(strides, paddings, (False, len(right.size) > 1)):
        c = "row and column of the output are taken for each other" if turned else ""
        yield from _new(seen, (a, b, c), replace(right, stride=stride, padding=padding, turned=turned))
    for label, dilation in _mistaken(right.dilation, "dilation", what, 1):
        yield from _new(seen, (label,), replace(right, dilation=dilation))
    yield from _new(seen, ("height and width of the window are swapped",), replace(right, size=right.size[::-1]))
    for axis, by in product(range(len(right.size)), (1, -1)):
        padding = tuple(p - by * (k == axis) for k, p in enumerate(right.padding))
        label = f"the windows begin one {unit(axis, right)} {'late' if by == 1 else 'early'}"
        yield from _new(seen, (label,), replace(right, padding=padding))
    for label in OUTSIDE if any(map(any, right.border)) else ():
        yield from _new(seen, (label,), replace(right, outside=label))
    for which, place in (("last", -1), ("first", 0)):
        label = f"the {which} window is read in place of every one (as from one buffer that is written again and again)"
        yield from _new(seen, (label,), replace(right, only=place))


def _new(seen: set[Layout], labels: Iterable[str], layout: Layout) -> Iterator[tuple[str, Layout]]:
    if layout not in seen:
        seen.add(layout)
        yield ", and ".join(filter(None, labels)), layout


def _mistaken(right: Axes, word: str, what: str, none: int) -> Iterator[tuple[str, Axes]]:
    """What may stand for a number along each axis."""
    yield f"the {word} of the {what} is left out", (none,) * len(right)
    if len(right) == 2:
        yield f"the {word}s of rows and columns of the {what} are swapped", right[::-1]
        for axis, name in enumerate(("rows", "columns")):
            yield f"the {word} of the {name} of the {what} is used for both axes", (right[axis],) * 2


def unit(axis: int, layout: Layout) -> str:
    return ("row", "column")[axis] if len(layout.size) == 2 else "place"


# What is read and written by a table
def gathered(x: Array, table: np.ndarray) -> Array:
    """The numbers under each window: (N, C, *S) to (N, C, windows, K)."""
    flat = P.reshape(x, shape=(*x.shape[:2], -1))
    flat = P.pad(flat, pad_width=((0, 0), (0, 0), (0, 1)))
    return P.getitem(flat, index=(slice(None), slice(None), table))


ORDERS = {  # in which numbers overwrite each other that were to be added up
    "where windows overlap, the last one overwrites the others: `=` instead of `+=`": "by window",
    "where windows overlap, the last place of the kernel overwrites the others: `=` instead of `+=`": "by place",
}


def put_back(x: np.ndarray, table: np.ndarray, shape: Axes, overwrite: str = "") -> np.ndarray:
    """Each number to its place, added up or as in ``ORDERS``: (N, C, windows, K) to ``shape`` (N, C, *S)."""
    n, c, places = shape[0], shape[1], math.prod(shape[2:]) + 1
    out: np.ndarray
    if overwrite:
        out = np.zeros((n, c, places))
        if overwrite == "by place":
            table, x = table.T, np.swapaxes(x, 2, 3)
        for k, at in enumerate(table):
            out[:, :, at] = x[:, :, k]
    else:
        index = np.arange(n * c)[:, None] * places + table.reshape(-1)
        out = np.bincount(index.reshape(-1), x.reshape(-1), n * c * places).reshape(n, c, places)
    return out[:, :, :-1].reshape(shape)
