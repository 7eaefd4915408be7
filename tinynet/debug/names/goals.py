"""What a name can mean: our quantities in all their time steps, rows of them, several side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tinynet.debug.rounds import is_of_a_round
from tinynet.run import Value

# How well a name fits, from best to worst.
EXACT, OWN, LAST_PART, SYNONYM, LOOSE = range(5)


@dataclass(eq=False)
class Series:
    """A quantity of ours in all its time steps: ``d_lstm.c`` is the gradient (role) of ``lstm.c`` (about)."""

    name: str
    role: str
    about: str
    values: dict[int | None, Value]
    steps: int = 0  # of the layer it belongs to, 0 where nothing has time

    @property
    def timed(self) -> bool:
        return None not in self.values

    @property
    def sample(self) -> Value:
        return next(iter(self.values.values()))

    @property
    def by_round(self) -> bool:
        """Whether its steps are rounds of training."""
        return self.timed and is_of_a_round(self.sample)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one value."""
        return self.sample.shape

    @property
    def kind(self) -> str:
        return self.sample.kind

    @property
    def scope(self) -> str:
        return self.about.rpartition(".")[0]

    @property
    def label(self) -> str:
        return self.about.rpartition(".")[2]

    @property
    def given(self) -> bool:
        """Whether it is a leaf, whose numbers the user must have too."""
        return self.role == "value" and self.kind in ("parameter", "input")


class Part(NamedTuple):
    """A quantity, or these of its rows; ``twin`` is the value that holds just these."""

    series: Series
    rows: tuple[int, int] | None = None
    twin: Value | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        whole = self.series.shape
        return whole if self.rows is None else (self.rows[1] - self.rows[0], *whole[1:])

    def has(self, t: int | None) -> bool:
        return t in self.series.values or not self.series.timed


@dataclass(frozen=True)
class Goal:
    """What a name can mean: one part, or several side by side along the last axis."""

    parts: tuple[Part, ...]
    gates: str = ""  # the gates that its rows, or its parts, are
    proven: bool = False  # whether only equal numbers make it true

    @property
    def first(self) -> Series:
        return self.parts[0].series

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.parts[0].shape
        return shape if len(self.parts) == 1 else (*shape[:-1], sum(part.shape[-1] for part in self.parts))

    @property
    def joint(self) -> Any:
        """What it is about: the same for a value, its gradient and its update."""
        return tuple((part.series.about, part.rows) for part in self.parts)


class Meaning(NamedTuple):
    """A goal, with the moment that the name speaks of: a time step, ``"last"``, ``"before"``, ``"initial"``, None."""

    rank: int
    goal: Goal
    moment: int | str | None = None
    role: str = ""
    said: str = ""
    scope: str = ""
