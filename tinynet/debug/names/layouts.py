"""How an array is laid out: time first or batch first, transposed, flat; what shapes allow, and no numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import prod

import numpy as np

from tinynet.debug.names.goals import Series

ORDERS = {  # of the axes, from the most usual one on: only these are looked for
    4: ((0, 1, 2, 3), (0, 2, 3, 1), (2, 3, 1, 0)),
    3: ((0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1)),
}


@dataclass(frozen=True)
class Layout:
    """``order``: which of our axes each of theirs is; ``shape``: their array's with all of our axes apart."""

    words: str
    order: tuple[int, ...]
    shape: tuple[int, ...]
    merged: bool = False  # steps and batch are one axis of theirs

    def arranged(self, array: np.ndarray) -> np.ndarray:
        """The user's array in our order of axes."""
        return array.reshape(self.shape).transpose(np.argsort(self.order))

    def subscript(self, array: np.ndarray, t: int) -> str:
        """``[2]``, ``[:, 2]``, ``[4:6]``: where their array has a place of our first axis."""
        at = self.order.index(0)
        if self.merged:
            size = self.shape[1]
            return f"[{t * size}:{(t + 1) * size}]" if at == 0 else f"[{t}::{size}]"
        if array.shape != self.shape:
            at = sum(size != 1 for size in self.shape[:at])
        return f"[{':, ' * at}{t}]"


def letters_of(series: Series, parameter: bool, T: int, N: int, output: str) -> list[str]:
    """What the axes of a value are called."""
    shape, count = series.shape, len(series.shape)
    if parameter:
        return _first(count, "O", "C", "K", "K′") if count > 2 else ["rows", "columns"][:count]
    last = "I" if series.label == "x" else "C" if series.scope in (output, "loss") else "H"
    if not series.timed and T and shape[:2] in ((T, N), (N, T)):
        return _first(count, *("TN" if shape[:2] == (T, N) else "NT"), last, "W")
    return _first(count, *(["N", last, "W"] if count < 4 else "NCHW" if count == 4 else "NCDHW"))


def _first(count: int, *letters: str) -> list[str]:
    return [*letters, *(f"axis {k}" for k in range(len(letters), count))][:count]


def layouts_of(shape: tuple[int, ...], ours: tuple[int, ...], letters: list[str], parameter: bool) -> list[Layout]:
    """All layouts in which an array of this shape can hold ours; axes of one element may be left out."""
    count = len(ours)
    found: dict[tuple[int, ...], Layout] = {}
    orders = ORDERS.get(count) or (tuple(permutations(range(count))) if count == 2 else (tuple(range(count)),))
    for order in orders:
        expected = tuple(ours[axis] for axis in order)
        if _squeezed(shape) == _squeezed(expected):
            words = _in_words(shape, expected, [letters[axis] for axis in order], parameter, order)
            found.setdefault(tuple(axis for axis in order if ours[axis] != 1), Layout(words, order, expected))
    return list(found.values()) or _merged(shape, ours, letters)


def _merged(shape: tuple[int, ...], ours: tuple[int, ...], letters: list[str]) -> list[Layout]:
    """Layouts that have steps and batch on one axis, or all axes but the first."""
    found, count = [], len(ours)
    if {"T", "N"} == set(letters[:2]) and shape == (ours[0] * ours[1], *ours[2:]):
        for order in ((0, 1), (1, 0)):
            axes = (*order, *range(2, count))
            words = f"({letters[order[0]]}·{letters[order[1]]}{''.join(', ' + letter for letter in letters[2:])})"
            found.append(Layout(words, axes, tuple(ours[axis] for axis in axes), merged=True))
    elif count > 2 and shape == (ours[0], prod(ours[1:])):
        found.append(Layout(f"flat, {shape}", tuple(range(count)), ours))
    return found


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _in_words(
    shape: tuple[int, ...], expected: tuple[int, ...], letters: list[str], parameter: bool, order: tuple[int, ...]
) -> str:
    if parameter and len(order) < 3:
        return "transposed" if order == (1, 0) else "as it is" if shape == expected else f"{shape} as {expected}"
    kept = letters if shape == expected else [a for a, size in zip(letters, expected, strict=True) if size != 1]
    text = ", ".join(kept)
    return f"({text},)" if len(kept) == 1 else f"({text})" if kept else "one number"
