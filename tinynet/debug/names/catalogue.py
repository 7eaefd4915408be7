"""Everything that a name can mean in a run."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from functools import cached_property

from tinynet.debug.names.cells import name_cells
from tinynet.debug.names.goals import EXACT, LAST_PART, LOOSE, OWN, Goal, Meaning, Part, Series
from tinynet.debug.names.layers import name_layers, name_net
from tinynet.debug.names.moments import name_moments
from tinynet.debug.names.quantities import Quantities
from tinynet.debug.names.readings import WITH_MOMENT, plain, readings_of, singulars
from tinynet.run import Run, Value


class Catalogue(Quantities):
    """The quantities of a run, under all the keys that people may use for them."""

    def __init__(self, run: Run, as_ours: bool = False):
        super().__init__(run)
        self.deltas: dict[str, Meaning] = {}
        if not as_ours:
            name_cells(self)
            name_layers(self)
            name_net(self)
        self._name_as_ours()
        name_moments(self)
        for meanings in self.keys.values():
            meanings.sort(key=lambda meaning: meaning.rank)

    def _name_as_ours(self) -> None:
        for series in self.first_round:
            goal = self.goal(series)
            self.file(plain(series.about), Meaning(OWN, goal))
            scores = series.about == f"{self.output}.z"  # any other z comes first
            self.file(plain(series.label), Meaning(LOOSE if scores else LAST_PART, goal))
            for key in singulars(plain(series.label)) if series.timed else ():
                self.file(key, Meaning(LOOSE, goal))

    def exact(self, name: str) -> list[Meaning]:
        """What is called just so in the run: a value, or a quantity in all its time steps."""
        series = self.series.get(name)
        whole = [] if series is None else [Meaning(EXACT, self.goal(series))]
        if series is not None and not series.by_round:
            return whole
        return whole + [Meaning(EXACT, self.goal(series), time) for series, time in self.called.get(name, ())]

    def name_after(self, name: str, goal: Goal) -> None:
        """From now on a name is that of a goal: the gradient and the update of it follow.

        Its delta is the gradient before the activation (Rumelhart, Hinton and Williams 1986).
        """
        before = [s for s in self.by_about[self._before(goal.first)] if s.role == "gradient"]
        self.deltas |= {plain(name): Meaning(EXACT, self.goal(series)) for series in before}
        for role in ("gradient", "next", "update"):
            made = [[s for s in self.by_about[part.series.about] if s.role == role] for part in goal.parts]
            if all(made):
                parts = tuple(Part(s[0], part.rows) for s, part in zip(made, goal.parts, strict=True))
                self.keys[role, plain(name)].append(Meaning(EXACT, replace(goal, parts=parts)))

    def number_after(self, name: str, goal: Goal) -> None:
        """From now on names with other numbers are the same parameter of the layers before and behind: syn0, syn1."""
        found, series = re.fullmatch(r"(.*\D)(\d+)", name), goal.first
        if not found or series.scope not in self.layers or not self.is_parameter(series):
            return
        first = int(found[2]) - self.layers.index(series.scope)
        for number, scope in enumerate(self.layers, start=first):
            for other in self.by_about[f"{scope}.{series.label}"]:
                if other.role == series.role:
                    self.keys["value", plain(f"{found[1]}{number}")].append(Meaning(EXACT, self.goal(other)))

    def _before(self, series: Series) -> str:
        """What an activation is computed from."""
        made = (step for step in self.run.steps if step.output is series.values.get(None))
        step = next(made, None)
        read = step.operands if step is not None else ()
        z = [v for v in read if isinstance(v, Value) and v.shape == series.shape]
        return str(z[0].quantity) if len(z) == len(read) == 1 else ""

    @cached_property
    def called(self) -> dict[str | None, list[tuple[Series, int | None]]]:
        """Every value by its full name."""
        found = defaultdict(list)
        for series in self.series.values():
            for time, value in series.values.items():
                found[self.given.values[value.index].name].append((series, time))
        return found

    def meanings(self, name: str) -> list[Meaning]:
        """Everything that a name can mean, the likeliest first."""
        found = [*self.exact(name)]
        for reading in readings_of(name):
            if reading.role == "gradient" and "delta" in plain(name) and reading.key in self.deltas:
                return [self.deltas[reading.key]]
            for meaning in self.keys.get((reading.role, reading.key), ()):
                sliced = reading.moment not in (None, "all") and not meaning.goal.first.timed
                rank = meaning.rank + reading.extra + WITH_MOMENT * sliced
                found.append(Meaning(rank, meaning.goal, reading.moment, reading.role, reading.said, reading.scope))
        return sorted(found, key=lambda meaning: meaning.rank)
