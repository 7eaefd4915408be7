"""What came of it: somebody's arrays in the places of ours, and guesses for those that were not recognised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tinynet.debug.names.choosing import Chooser
from tinynet.debug.names.closeness import least_precise
from tinynet.debug.names.goals import EXACT, Goal, Meaning, Part, Series
from tinynet.debug.names.layouts import Layout
from tinynet.debug.names.pieces import Filled, error, pieces
from tinynet.debug.names.ways import Way
from tinynet.run import INITIAL

MOST_GUESSES = 3


@dataclass
class Unmatched:
    """An array that was not recognised, and at most three quantities that it may be."""

    name: str
    shape: tuple[int, ...]
    guesses: list[str]


@dataclass
class Matched:
    """Somebody's arrays in the places of ours.

    ``arrays`` by index of the run's value: the user's numbers in that value's shape and order of axes, in their own
    dtype. ``sources`` by the same index: what the user would call them (``h[2]``). ``layouts`` by the user's names:
    what was read into each. ``dtype`` is the least precise floating dtype among these arrays.
    """

    arrays: dict[int, np.ndarray] = field(default_factory=dict)
    sources: dict[int, str] = field(default_factory=dict)
    layouts: dict[str, str] = field(default_factory=dict)
    unmatched: list[Unmatched] = field(default_factory=list)
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float64))


class Assembler:
    """Puts the user's arrays, each read in its way, together to our values."""

    def __init__(self, chooser: Chooser, settled: Mapping[str, Way]):
        self.catalogue, self.mine, self.ways = chooser.catalogue, chooser.mine, chooser.ways
        self.hints, self.settled = chooser.hints, settled
        self.equal = {name for name, choice in chooser.choices.items() if choice.equal}

    def result(self) -> Matched:
        """Put the pieces together; what does not become a whole value stays unmatched."""
        matched = Matched(dtype=least_precise(self.mine.values()))
        filled: dict[int, Filled] = {}
        for name in [name for name in self.mine if name in self.settled]:
            for piece in pieces(name, self.settled[name], self.mine[name]):
                target = filled.setdefault(piece.value.index, Filled(piece.value))
                target.add(piece, name)
        for index, target in filled.items():
            if target.complete:
                matched.arrays[index], matched.sources[index] = target.array, ", ".join(target.sources)
        used = self.equal | {name for target in filled.values() if target.complete for name in target.names}
        for name, array in self.mine.items():
            if name in used:
                matched.layouts[name] = _words(self.settled[name])
            else:
                self._explain(name, filled)
                matched.unmatched.append(Unmatched(name, array.shape, self._guesses(name)))
        return matched

    def _explain(self, name: str, filled: dict[int, Filled]) -> None:
        for target in filled.values():
            if name in target.names:
                missing = f"{target.value.name} (a part of it: bring the rest too)"
                self.hints[name].append(missing)
                return

    def _guesses(self, name: str) -> list[str]:
        """What is known of an array that is not matched; then what has its shape, the closest first."""
        hints = self.hints[name][:MOST_GUESSES]
        array = self.mine[name]
        near: list[tuple[float, str]] = []
        for series in self.catalogue.series.values():
            for called, way in self._anywhere(series, array):
                near.append((error(way, array), called))
        near = list({called: (distance, called) for distance, called in sorted(near, reverse=True)}.values())
        near.sort()
        told = [
            f"{called} (same shape{', closest values' if not place else ''})" for place, (_, called) in enumerate(near)
        ]
        known = " ".join(hints)
        return [*hints, *(guess for guess in told if guess.split(" ")[0] not in known)][:MOST_GUESSES]

    def _anywhere(self, series: Series, array: np.ndarray) -> Iterator[tuple[str, Way]]:
        """The ways in which an array can be a quantity, or one time step of it, as it stands."""
        goal = Goal((Part(series),))
        for way in self.ways.ways(Meaning(EXACT, goal), array)[:1]:
            yield series.name, way
        for t, value in series.values.items() if array.shape == series.shape else ():
            if t is not None and value.name is not None:
                identity = tuple(range(array.ndim))
                yield value.name, Way(goal, (t,), True, Layout("", identity, array.shape))


def _words(way: Way) -> str:
    words = way.layout.words
    if way.gates is not None:
        stacked = "rows" if len(way.goal.parts) == 1 else "side by side"
        words += f", {stacked} {','.join(way.goal.gates[k] for k in way.gates)}"
    if way.less is not None:
        words += f", the sum of {way.goal.first.label} and {way.less.series.label}"
    if len(way.goal.parts) > 1 and way.gates is None:
        words += f", side by side {', '.join(part.series.label for part in way.goal.parts)}"
    if way.opposite:
        words += ", with the opposite sign"
    if way.times and not way.single and way.times[0] == INITIAL:
        words += f", from the initial state {'on' if way.times[-1] + 1 == way.goal.first.steps else 'on, one behind'}"
    return words
