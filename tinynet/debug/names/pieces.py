"""An array that is read in one way, cut into numbers for our values; a value that is filled with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinynet.backend import to_host
from tinynet.debug.names.closeness import distance
from tinynet.debug.names.ways import Way
from tinynet.run import Value


class Piece(NamedTuple):
    """Numbers for a value of ours, or for a part of it; ``there`` is what the user would call them."""

    value: Value
    place: tuple[Any, ...]
    numbers: np.ndarray
    there: str


def pieces(name: str, way: Way, array: np.ndarray) -> Iterator[Piece]:
    """The numbers of an array, one of our values at a time."""
    arranged = -way.layout.arranged(array) if way.opposite else way.layout.arranged(array)
    if way.less is not None:
        offset = to_host(way.less.series.values[None].array)[slice(*(way.less.rows or (None,)))]
        arranged = arranged - offset.astype(arranged.dtype)
    series = way.goal.first
    stepped = way.times is not None and series.timed and not way.single
    for position, t in enumerate(way.times or (None,)):
        step = arranged[position] if stepped else arranged
        there = "-" * way.opposite + name + (way.layout.subscript(array, position) if stepped else "")
        yield from _parts(way, t, step, there, array.ndim - (stepped and not way.layout.merged))


def _parts(way: Way, t: int | None, step: np.ndarray, there: str, axes: int) -> Iterator[Piece]:
    """The same of one step; ``axes``: how many theirs has."""
    parts = way.goal.parts
    if way.gates is not None and len(parts) > 1:
        parts = tuple(parts[k] for k in way.gates)
    elif way.gates is not None:
        blocks = np.split(step, len(way.gates))
        step = np.concatenate([blocks[way.gates.index(k)] for k in range(len(blocks))])
    place: tuple[Any, ...] = ()
    if t is not None and not way.goal.first.timed:
        place, t = (*[slice(None)] * way.at, t), None
    if way.less is not None:
        there = f"{there} - {way.less.series.label}"
    start = 0
    for part in parts:
        if not part.has(t):
            start += part.shape[-1] if part.shape else 1
            continue
        numbers, called = step, there
        if len(parts) > 1:
            stop = start + part.shape[-1]
            numbers, called = step[..., start:stop], f"{there}[{':, ' * (axes - 1)}{start}:{stop}]"
            start = stop
        if way.layout.order == (1, 0) and len(parts) == 1 and step.ndim == 2:
            called += ".T"
        yield Piece(part.series.values[t], place if part.rows is None else (slice(*part.rows),), numbers, called)
        if part.twin is not None:
            yield Piece(part.twin, (), numbers, called)


def ours_in(way: Way) -> np.ndarray:
    """Our numbers, flat, where an array that is read in this way has its own."""
    found = []
    for t in way.times or (None,):
        for part in way.goal.parts:
            if part.has(t):
                whole = to_host(part.series.values[t if part.series.timed else None].array)
                cut = whole if t is None or part.series.timed else whole.take(t, axis=way.at)
                found.append(np.ravel(cut if part.rows is None else cut[slice(*part.rows)]))
    return np.concatenate(found) if found else np.zeros(0)


def error(way: Way, array: np.ndarray) -> float:
    """How far an array, read in this way, is from ours, relative to ours."""
    cut = list(pieces("", way, array))
    theirs = [np.ravel(piece.numbers) for piece in cut]
    ours = [np.ravel(to_host(piece.value.array)[piece.place]) for piece in cut]
    return distance(np.concatenate(theirs), np.concatenate(ours)) if cut else np.inf


class Filled:
    """A value of ours that is filled with the user's numbers."""

    def __init__(self, value: Value):
        self.value = value
        self.array: np.ndarray = np.zeros(0)
        self.there = np.zeros(value.shape, bool)
        self.sources: list[str] = []
        self.names: list[str] = []

    def add(self, piece: Piece, name: str) -> None:
        """Put numbers into their place, unless something is there."""
        if self.there[piece.place].any():
            return
        dtype = np.result_type(self.array.dtype, piece.numbers.dtype) if self.names else piece.numbers.dtype
        before, self.array = self.array, np.zeros(self.there.shape, dtype)
        if self.names:
            self.array[...] = before
        self.array[piece.place] = piece.numbers
        self.there[piece.place] = True
        self.sources.append(piece.there)
        self.names.append(name)

    @property
    def complete(self) -> bool:
        return bool(self.there.all())
