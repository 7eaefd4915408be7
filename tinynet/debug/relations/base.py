"""What is measured: somebody's numbers of one quantity, beside what our formula makes of their other numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses import SHOWN_ONLY, Facts, Hypothesis, family_of, symbol
from tinynet.debug.program import Array, Edit
from tinynet.run import Value


@dataclass(frozen=True)
class Brought:
    """What was brought, ``mine``, and all else as it is by now; in some places ``irrelevant`` (see ``endings``)."""

    facts: Facts
    mine: Mapping[int, np.ndarray]
    irrelevant: Mapping[int, np.ndarray]
    changed: Mapping[int, np.ndarray]

    def yours(self, i: int) -> np.ndarray:
        """Their numbers, or ours where they brought none."""
        return np.asarray(self.mine.get(i, self.changed.get(i, self.facts.program.arrays[i])), float)

    def expected(self, i: int) -> np.ndarray:
        """What our formula makes of the other numbers that were brought."""
        program = self.facts.program
        known = {j: self.yours(j) if a.dtype.kind == "f" else a for j, a in self.mine.items() if j != i}
        steps = program.between(i, set(known))
        inside = {program.steps[n].output.index for n in steps}
        outside = {j: a for j, a in {**self.changed, **known}.items() if j not in inside}
        found = program.evaluate(Edit(), outside, steps)
        return np.asarray(program.arrays[i] if found is None else found.get(i, program.arrays[i]), float)

    def counts(self, i: int) -> np.ndarray:
        """Where their numbers count."""
        return ~np.broadcast_to(self.irrelevant.get(i, False), self.facts.program.arrays[i].shape)


@dataclass(frozen=True)
class Beside:
    """All of one quantity that was brought, ``members``: yours beside what is expected ``here``, one after the other.

    Where a number does not count, both are 0.
    """

    brought: Brought
    name: str
    members: list[int]
    yours: np.ndarray
    here: np.ndarray
    counts: np.ndarray
    allowed: float

    def fits(self, array: np.ndarray) -> bool:
        """Whether these numbers are yours."""
        self.brought.facts.program.work.add(1, self.yours.size)
        return bool(np.all((np.abs(array - self.yours) <= self.allowed) | ~self.counts))

    @property
    def several(self) -> bool:
        """Whether there is more than one number: one alone fits any one factor, which says nothing."""
        return int(self.counts.sum()) > 1

    @property
    def made(self) -> list[int]:
        """The steps that give the members."""
        return [self.brought.facts.program.made_by[i] for i in self.members]


def beside(brought: Brought, value: Value, allowed: float) -> Beside | None:
    """``value`` and the other steps of its quantity; None where they hold no numbers that can be measured."""
    made_by = brought.facts.program.made_by
    members = [i for i in members_of(brought, value) if i in made_by]  # an initial state is a leaf
    counts = np.concatenate([brought.counts(i).reshape(-1) for i in members])
    yours, here = (
        np.where(counts, np.concatenate([array(i).reshape(-1) for i in members]), 0.0)
        for array in (brought.yours, brought.expected)
    )
    if value.array.dtype.kind != "f" or not (np.all(np.isfinite(yours)) and np.all(np.isfinite(here))):
        return None
    return Beside(brought, symbol(str(value.quantity)), members, yours, here, counts, allowed)


def members_of(brought: Brought, value: Value) -> list[int]:
    """The steps of a quantity that were brought."""
    return [i for i in brought.facts.series[family_of(value)].values() if i in brought.mine]


def shown_or_used(
    sentence: str, made: list[int], change: Callable[[Array], Array], fitted: bool = False
) -> Iterator[Hypothesis]:
    """The number itself is wrong, or only the copy that is shown."""
    edit = Edit(outputs=dict.fromkeys(made, lambda x, look: change(x)))
    yield Hypothesis(sentence, edit, fitted=fitted)
    yield Hypothesis(f"{sentence}{SHOWN_ONLY}", edit, shown_only=True, fitted=fitted)


def clip(x: Array, bound: float) -> Array:
    """``x`` between ± ``bound``."""
    return P.minimum(P.maximum(x, -bound), bound)


HERE = " (in these data"  # before a number that was measured: in others it may be another
NAMED = {-1.0: "has the wrong sign", 2.0: "is twice what it should be", 0.5: "is half of what it should be"}


def said_of(factor: float) -> str:
    """What a factor means."""
    for number, words in NAMED.items():
        if abs(factor - number) < 1e-9 * abs(number):
            return words
    if abs(factor) < 1 and abs(1 / factor - round(1 / factor)) < 1e-6:
        return f"is divided by {round(1 / factor)} once too often (a mean instead of a sum?)"
    if abs(factor) > 1 and abs(factor - round(factor)) < 1e-6:
        return f"is {round(factor)} times too large (a sum instead of a mean?)"
    return f"is a multiple of what it should be{HERE} {factor:.6g} times)"
