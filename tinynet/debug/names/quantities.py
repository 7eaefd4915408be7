"""Our quantities: the values of a run gathered into series, and the keys filed for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from itertools import product

from tinynet.backend import to_host
from tinynet.debug.names.closeness import sums_to_one
from tinynet.debug.names.goals import LOOSE, SYNONYM, Goal, Meaning, Part, Series
from tinynet.debug.rounds import as_series
from tinynet.run import INITIAL, Run, Value, full_name


class Quantities:
    """The quantities of a run, and the keys that people may use for them."""

    def __init__(self, run: Run):
        self.given, self.run = run, as_series(run)
        self.series: dict[str, Series] = {}
        self.keys: dict[tuple[str, str], list[Meaning]] = defaultdict(list)
        self.gates: dict[str, str] = {}  # of a parameter: the gates that its rows are
        for value in self.run.values:
            if value.quantity is not None:
                self._file(value)
        self._count_steps()

    def _file(self, value: Value) -> None:
        assert value.quantity is not None
        again = value.update if value.kind in ("computed", "constant") else 0
        name = full_name(value.quantity, again, None)
        if name not in self.series:
            of, role = value.of, "value"
            if of is not None:
                role, of = value.share or "gradient", of.copy_of or of
            elif value.copy_of is not None and not value.replaces_state:
                role, of = "update", value.copy_of
            self.series[name] = Series(name, role, (of or value).quantity or name, {})
        self.series[name].values.setdefault(value.time, value)
        if self.series[name].by_round and value.copy_of is not None:  # the parameter before the first update
            self.series[name].values.setdefault(INITIAL, value.copy_of)

    def _count_steps(self) -> None:
        """Every series knows the steps of its scope; what is recorded whole, those of the run."""
        counts: dict[tuple[str, bool], int] = defaultdict(int)
        for series in self.series.values():
            times = [t for t in series.values if t is not None]
            key = series.scope, series.by_round
            counts[key] = max(counts[key], *(t + 1 for t in times), 0)
        self.steps = max((count for (_, by_round), count in counts.items() if not by_round), default=0)
        for series in self.series.values():
            series.steps = counts[series.scope, series.by_round] if series.timed else self.steps
        sizes = [s.shape[0] for s in self.series.values() if s.timed and not s.by_round and len(s.shape) > 1]
        self.batch = sizes[0] if sizes else 0

    @cached_property
    def first_round(self) -> list[Series]:
        """What was recorded before the first update, and the update.

        Where sequences have ends, our tanh reads the new cell, and the gradient of the kept one is only what comes
        back from later steps: nobody else has such a quantity, and their dc is another. At the initial state it is.
        """
        found = []
        for series in self.series.values():
            if series.role == "gradient" and f"{series.scope}.tanh_{series.label}" in self.series:
                cell, _, suffix = series.label.partition("_")
                if f"{series.scope}.{cell}_new{'_' * bool(suffix)}{suffix}" in self.series:
                    series = replace(series, values={t: v for t, v in series.values.items() if t == INITIAL})
            if series.values and (series.role == "update" or next(iter(series.values.values())).update == 0):
                found.append(series)
        return found

    @cached_property
    def by_about(self) -> dict[str, list[Series]]:
        found: dict[str, list[Series]] = defaultdict(list)
        for series in self.first_round:
            if "#" not in series.name:
                found[series.about].append(series)
        return found

    @cached_property
    def layers(self) -> list[str]:
        """Scopes with a weight and a z: dense and convolutional layers, in order."""
        weighted = [s.scope for s in self.first_round if s.role == "value" and s.label == "weight"]
        return [scope for scope in dict.fromkeys(weighted) if f"{scope}.z" in self.by_about]

    @cached_property
    def output(self) -> str:
        """The scope of the last dense layer."""
        dense = [scope for scope in self.layers if self.dimensions(scope) == 2]
        return dense[-1] if dense else ""

    @cached_property
    def probabilities(self) -> str:
        """What the probabilities are called: ``loss.p``, or else the last value that sums to 1."""
        sums = [s.about for s in self.first_round if s.role == "value" and not s.given and self._sums_to_one(s)]
        return "loss.p" if "loss.p" in self.by_about or not sums else sums[-1]

    def _sums_to_one(self, series: Series) -> bool:
        array = to_host(next(iter(series.values.values())).array)
        return array.ndim > 1 and array.dtype.kind == "f" and sums_to_one(array, axes=(-1,))

    def dimensions(self, scope: str) -> int:
        return len(self.by_about[f"{scope}.weight"][0].shape)

    def is_parameter(self, series: Series) -> bool:
        """Whether it is a parameter, or its gradient, or its update, or kept beside it."""
        about = self.series.get(series.about)
        beside = series.sample.beside is not None
        return beside or series.kind == "parameter" or (about is not None and about.kind == "parameter")

    def is_state(self, series: Series) -> bool:
        """Whether it is, or is about, what has an initial value."""
        return self.initial(series) is not None

    def initial(self, series: Series) -> Value | None:
        """The initial value of what a series is about, or of the series itself."""
        about = self.series.get(series.about, series)
        return about.values.get(INITIAL) or (series.values.get(INITIAL) if series.by_round else None)

    # Which key means what
    def goal(self, series: Series) -> Goal:
        return Goal((Part(series),), self.gates.get(series.about, ""))

    def add(self, keys: str, rank: int, goals: list[Goal]) -> None:
        for key, goal in product(keys.split(), goals):
            self.file(key, Meaning(rank, goal))

    def file(self, key: str, meaning: Meaning) -> None:
        """File a meaning; a parameter that is followed through all rounds is what they were updated to."""
        series = meaning.goal.first
        self.keys[series.role, key].append(meaning)
        if series.role == "update" and series.by_round:
            self.keys["value", key].append(meaning._replace(rank=LOOSE))

    def call(self, about: str, words: tuple[str, str], suffix: str = "") -> None:
        """File all series about a quantity under its usual keys, and under those that mean it now and then."""
        goals = [self.goal(series) for series in self.by_about.get(about, [])]
        for rank, keys in zip((SYNONYM, LOOSE), words, strict=True):
            self.add(" ".join(key + suffix for key in keys.split()), rank, goals)
