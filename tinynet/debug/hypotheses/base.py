"""What is there: a run's quantities, constants and named pieces, and how all of them are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinynet.debug.program import Change, Edit, Plain, Program
from tinynet.debug.rounds import is_of_a_round
from tinynet.primitives import TABLE
from tinynet.run import INITIAL, Run, Value

Family = tuple[str, int]  # a quantity, and the update before which it is computed
Members = dict[int | None, int]  # the values of a quantity, by time
Place = tuple[int, int]  # a step, and which of its operands
Places = dict[Place, Value]  # what is read there
Key = tuple[Any, ...]  # an operand as seen from a time step
SHOWN_ONLY = ", in what is shown only"  # ends a sentence about numbers that are changed after use


@dataclass(frozen=True)
class Hypothesis:
    """A sentence, and the edit that it stands for."""

    sentence: str
    edit: Edit
    shown_only: bool = False  # the numbers were changed after use: nothing that follows is affected
    known: dict[int, np.ndarray] | None = None  # values that are simply other numbers
    fitted: bool = False  # a number in the sentence was measured, not foretold


def alone(function: Plain) -> Change:
    """A change that looks at nothing but the number itself."""
    return lambda x, look: function(x)


def times(label: str, factor: float) -> str:
    """``2`` → ``2``; ``T`` → ``T (6)``."""
    return label if label == f"{factor:g}" else f"{label} ({factor:g})"


def family_of(value: Value) -> Family:
    """The quantity that a value belongs to, at whatever time step."""
    return str(value.quantity), value.update if value.kind == "computed" else 0


def is_mask(array: np.ndarray) -> bool:
    """Whether an array holds 0 and one other number: what is dropped, and the scale of what is not."""
    numbers = np.unique(array)
    return array.size > 2 and len(numbers) == 2 and 0 in numbers


def symbol(quantity: str) -> str:
    """``d_here_lstm.h`` → ``dh from its own step``, ``lstm.W_ii`` → ``W_ii``."""
    for prefix, said in (
        ("d_here_", " from its own step"),
        ("d_next_", " from step t+1"),
        ("d_previous_", " from step t−1"),
    ):
        if quantity.startswith(prefix):
            return "d" + quantity.removeprefix(prefix).rpartition(".")[2] + said
    if quantity.startswith("d_"):
        return "d" + quantity[2:].rpartition(".")[2]
    if quantity.startswith("new_"):
        return "the updated " + quantity[4:].rpartition(".")[2]
    return quantity.rpartition(".")[2]


def moment(value: Value) -> str:
    """What a quantity beside a parameter is called without it: ``m``."""
    assert value.beside is not None
    return symbol(str(value.quantity)).removesuffix("_" + str(value.beside.quantity).rpartition(".")[2])


class Facts:
    """What hypotheses about a run are made from."""

    def __init__(self, program: Program):
        self.program, self.run = program, program.run
        self.named = {v.index for v in self.run.values if v.quantity is not None}
        self.series: dict[Family, Members] = {}
        for value in self.run.values:
            if value.quantity is not None:
                self.series.setdefault(family_of(value), {})[value.time] = value.index
        self.constants = _constants(self.run)
        self.pieces = _pieces(self.run)
        self.shared = self._shared()
        self._sources: dict[int, str] = {}

    def _shared(self) -> set[int]:
        """Values without a name that several quantities are computed from."""
        owners: dict[int, set[Family]] = {}
        for step in reversed(self.run.steps):
            out = step.output
            mine = {family_of(out)} if out.index in self.named else owners.get(out.index, set())
            for operand in step.operands:
                if isinstance(operand, Value) and operand.index not in self.named:
                    owners.setdefault(operand.index, set()).update(mine)
        return {index for index, quantities in owners.items() if len(quantities) > 1}

    def is_simple(self, number: float) -> bool:
        """Whether a number that was measured has a reason: a small count, or a size or another constant of the run."""
        known = np.array([*range(1, 11), *(float(abs(c)) for c in self.constants.values())])
        near = np.array([abs(number), 1 / abs(number)] if number else [])
        return bool(np.any(np.isclose(near[:, None], known, rtol=1e-6)))

    # Gates
    @property
    def gates(self) -> int:
        """How many gates a layer has, at most."""
        return max((len(parts) for parts in self.pieces.values()), default=0)

    def gate_names(self) -> list[str]:
        """The letters of the gates, in the order of their blocks."""
        parts = max(self.pieces.values(), key=len)
        return [name[-1] for name, _ in parts]

    def is_piece(self, value: Value) -> bool:
        """Whether a value is a named part of a leaf."""
        made = self.program.made_by.get(value.index)
        source = self.run.steps[made].operands[0] if made is not None else None
        return isinstance(source, Value) and source.index in self.pieces

    # Parameters
    def alike(self, value: Value) -> tuple[str, list[Value]]:
        """What a value is one of, in words, and all of them: gradients of parameters, or updated ones."""
        if value.copy_of is not None and not value.replaces_state:
            updated = [v for v in self.run.values if v.copy_of is not None and not v.replaces_state]
            return "the updated parameters", [v for v in updated if v.update == value.update]
        if value.beside is not None:
            kept = [v for v in self.run.values if v.beside is not None and v.replaces_state == value.replaces_state]
            kept = [v for v in kept if v.index in self.program.made_by]
            return " and ".join(dict.fromkeys(moment(v) for v in kept)), kept
        if value.share is not None or value.of is None or value.of.kind != "parameter":
            return "", []
        return "the gradients of the parameters", [
            v
            for v in self.run.values
            if v.of is not None and v.of.kind == "parameter" and v.share is None and v.update == value.update
        ]

    def seen(self, phase: str) -> list[tuple[Family, Members]]:
        """All quantities that may be taken for others in a pass: what an optimiser keeps is there for updates only."""
        every = list(self.series.items())
        return (
            every if phase == "update" else [(family, members) for family, members in every if not self.kept(members)]
        )

    def kept(self, members: Members) -> bool:
        """Whether an optimiser keeps a quantity, or computes it beside a parameter."""
        first = self.run.values[next(iter(members.values()))]
        return first.kind == "state" or first.beside is not None or first.replaces_state

    def is_constant(self, value: int) -> bool:
        """Whether a value holds one number, many times: an initial state of zeros, say. It stands for no quantity."""
        array = self.program.arrays[value]
        return array.size > 1 and bool(np.all(array == array.flat[0]))

    def is_share(self, value: Value) -> bool:
        """Whether all its numbers lie between 0 and 1, as those of a gate do: then 1 − x may be taken for x."""
        array = self.program.arrays[value.index]
        return bool(np.all((array >= 0) & (array <= 1)))

    # What computes what
    def local(self, value: int) -> list[int]:
        """The steps between a value and the named ones that it is computed from."""
        return self.program.between(value, self.named - {value})

    def computed(self, family: Family) -> Members:
        """The values of a quantity that some step gives: an initial state is none of them."""
        return {t: i for t, i in self.series[family].items() if i in self.program.made_by}

    def made(self, values: Members) -> list[int]:
        """The steps that give these values."""
        return [self.program.made_by[i] for i in values.values()]

    def readings(
        self, values: Iterable[int], passes: tuple[str, ...] = ("forward", "backward", "update")
    ) -> list[Place]:
        """Every step and operand, in these passes, that reads one of these values."""
        return [
            (i, k)
            for index in values
            for i in self.program.readers.get(index, [])
            for k, operand in enumerate(self.run.steps[i].operands)
            if isinstance(operand, Value) and operand.index == index and self.run.steps[i].phase in passes
        ]

    def may_read(self, value: int, step: int) -> bool:
        """What is there by then; or an updated parameter, which some update too early."""
        return self.program.made_by.get(value, -1) < step or self.run.values[value].copy_of is not None

    # How things are called
    def reference(self, operand: Value, t: int | None) -> Key:
        """An operand as seen from time step t: its quantity, and how many steps away it is."""
        if operand.quantity is None:
            made = self.program.made_by.get(operand.index)
            return ("", "" if made is None else self.run.steps[made].primitive, self.sources(operand), operand.shape)
        if operand.time == INITIAL:
            return (operand.quantity, operand.update, "initial")
        away = None if operand.time is None or t is None else operand.time - t
        return (operand.quantity, operand.update, away)

    def said(self, operand: Value, key: Key) -> str:
        """What an operand is called where it is referred to by ``key``."""
        if operand.quantity is None:
            return self._said_unnamed(operand)
        word = self.called(operand)
        away = key[2]
        if away == "initial":
            return f"the initial {word}"
        return word if not away else f"{word}[t{away:+d}]"

    def called(self, value: Value) -> str:
        """What a quantity is called; of what was drawn at random, what it is for."""
        return "the mask" if value.kind == "constant" and is_mask(value.array) else symbol(str(value.quantity))

    def _said_unnamed(self, operand: Value) -> str:
        """By the names of what it is computed from; one quantity that was only moved about keeps its name."""
        steps = self.program.between(operand.index, self.named)
        moved = all(TABLE[self.run.steps[i].primitive].kind == "structural" for i in steps)
        if operand.index in self.moved:
            return self.called(self.moved[operand.index])
        names = self.sources(operand)
        if not names:
            return "an intermediate"
        return names if moved and ", " not in names else f"what is computed from {names}"

    @cached_property
    def moved(self) -> dict[int, Value]:
        """What has a name only after it is put into another shape: by its index, what has the name."""
        steps = (step for step in self.run.steps if step.primitive == "reshape" and step.output.quantity is not None)
        return {step.operands[0].index: step.output for step in steps if step.operands[0].quantity is None}

    def sources(self, operand: Value) -> str:
        """The names of what an unnamed value is computed from."""
        if operand.index not in self._sources:
            steps = self.program.between(operand.index, self.named)
            read = (o for i in steps for o in self.run.steps[i].operands if isinstance(o, Value))
            self._sources[operand.index] = ", ".join(dict.fromkeys(symbol(o.quantity) for o in read if o.quantity))
        return self._sources[operand.index]


def _constants(run: Run) -> dict[str, float]:
    """Factors that are left out or put in by mistake: sizes of the arrays, and what one divides by."""
    found = {"2": 2.0}
    times = {v.time for v in run.values if v.time is not None and v.time >= 0 and not is_of_a_round(v)}
    inputs = [v for v in run.leaves if v.kind == "input" and v.array.dtype.kind == "f" and len(v.shape) > 1]
    if times:
        found["T"] = float(len(times))
    for value in inputs[:1]:
        axis = 1 if times and len(value.shape) > 2 else 0
        found["N"] = float(value.shape[axis])
        if times:
            found["N·T"] = found["N"] * found["T"]
    if run.loss is not None:
        scores = [s.operands[0] for s in run.steps if s.output.quantity == "loss.max" and s.operands]
        if scores:
            found["C"] = float(scores[0].shape[-1])
    for size in (s.operands[1].shape for s in run.steps if s.primitive == "correlate" and s.phase == "forward"):
        found |= {
            "the places of a window": float(np.prod(size[2:])),
            "the numbers under a window": float(np.prod(size[1:])),
        }
    found |= {
        f"{s.operands[1]:g}": float(s.operands[1])
        for s in run.steps
        if s.primitive == "divide" and isinstance(s.operands[1], (int, float)) and s.operands[1]
    }
    found["ln 10"] = float(np.log(10))
    unique = {round(x, 12): label for label, x in reversed(found.items()) if x not in (0.0, 1.0)}
    return {label: x for x, label in unique.items()}


def _pieces(run: Run) -> dict[int, list[tuple[str, Any]]]:
    """The named parts of each leaf, such as the rows of one gate: {leaf: [(name, index)]}."""
    found: dict[int, list[tuple[str, Any]]] = {}
    for step in run.steps:
        source = step.operands[0] if step.operands else None
        if step.primitive != "getitem" or not isinstance(source, Value) or source.kind != "parameter":
            continue
        if step.output.quantity is not None:
            found.setdefault(source.index, []).append((symbol(step.output.quantity), step.arguments["index"]))
    return found
