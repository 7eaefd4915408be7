"""What stands behind the end of a short sequence: anything may, as nothing that counts is computed from it.

A state is kept there, by those who mask as we do; others store a filler, 0 say. But a state that goes on there, as if
the sequence lasted, was made of the padding: then all numbers of its layer are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tinynet.debug.program import Program
from tinynet.debug.rounds import is_of_a_round
from tinynet.debug.ties import masked
from tinynet.run import Step, Value


def behind_ends(program: Program, indexes: Iterable[int]) -> dict[int, np.ndarray]:
    """Where some of these values lie behind the ends of their sequences."""
    values = program.run.values
    lengths = next((v for v in program.run.leaves if str(v.quantity).endswith("lengths")), None)
    if lengths is None:
        return {}
    ends = program.arrays[lengths.index].reshape(-1)
    steps = len({v.time for v in values if v.time is not None and v.time >= 0 and not is_of_a_round(v)})
    behind = {i: _behind(values[i], ends, steps) for i in indexes}
    return {i: mask for i, mask in behind.items() if mask is not None}


def irrelevant(program: Program, mine: Mapping[int, np.ndarray], tolerance: float) -> dict[int, np.ndarray]:
    """Return where, in some of the arrays ``mine`` (by value index), anything may stand."""
    found = behind_ends(program, mine)
    going_on = list(_going_on(program, mine, found, tolerance))
    counting = set(found) - _of_outputs(program) - _of_new_states(program, going_on)
    for step in going_on:
        layer, _, suffix = str(step.operands[0].quantity).rpartition("running")
        for i in counting & set(found):
            quantity = str(program.run.values[i].quantity)
            if quantity.startswith(layer) and quantity.endswith(suffix):
                del found[i]
    return found | masked(program, mine)


def _of_outputs(program: Program) -> set[int]:
    """The outputs of sequences, 0 behind the end."""
    return {step.output.index for step in program.steps if shown_as_nothing(step)}


def _of_new_states(program: Program, going_on: list[Step]) -> set[int]:
    """What is computed from a new state where others take the one that is kept: a tanh, say."""
    went_on = {step.output.quantity for step in going_on}
    kept = (s for s in program.steps if keeps(s) and s.output.quantity not in went_on)
    return {program.steps[i].output.index for s in kept for i in program.readers[s.operands[1].index]}


def _behind(value: Value, ends: np.ndarray, steps: int) -> np.ndarray | None:
    """Where a value (N, …) of a time step, or one (T, N, …) of all steps, lies behind the ends (N,)."""
    if value.of is not None or is_of_a_round(value) or value.kind == "parameter":
        return None  # a gradient is 0 there, and a parameter has no end
    if value.time is not None and value.shape[:1] == ends.shape:
        beyond = value.time >= ends
    elif value.shape[:2] == (steps, len(ends)):
        beyond = np.arange(steps)[:, None] >= ends
    else:
        return None
    return np.broadcast_to(beyond.reshape(*beyond.shape, *[1] * (len(value.shape) - beyond.ndim)), value.shape)


def _going_on(
    program: Program, mine: Mapping[int, np.ndarray], behind: Mapping[int, np.ndarray], tolerance: float
) -> Iterator[Step]:
    """The steps that keep a state behind the end, where ``mine`` has neither a state that is kept nor a filler."""
    odd: dict[str | None, dict[Step, np.ndarray]] = {}
    for step in program.steps:
        if keeps(step) and step.output.index in behind:
            numbers = _not_kept(program, mine, step, behind[step.output.index], tolerance)
            odd.setdefault(step.output.quantity, {})[step] = numbers
    for states in odd.values():
        stored = np.concatenate(list(states.values()))
        if stored.size and not np.all((stored == stored[0]) | (np.isnan(stored) & np.isnan(stored[0]))):
            yield from (step for step, numbers in states.items() if numbers.size)


def _not_kept(
    program: Program, mine: Mapping[int, np.ndarray], step: Step, behind: np.ndarray, tolerance: float
) -> np.ndarray:
    """Of a state as somebody has it, the numbers behind the end that are not those of the step before."""
    state, before = step.output.index, step.operands[2].index
    theirs = np.asarray(mine[state], float)
    kept = np.asarray(mine.get(before, program.arrays[before]), float)
    allowed = tolerance * np.abs(program.arrays[state]).max(initial=1e-12)
    return theirs[behind & ~(np.abs(theirs - kept) <= allowed)]


def keeps(step: Step) -> bool:
    """Whether a step takes the new state while a sequence lasts, then the old one."""
    return _masks(step) and step.phase == "forward" and isinstance(step.operands[2], Value)


def shown_as_nothing(step: Step) -> bool:
    """Whether a step gives the output of a sequence (or its gradient), and 0 behind the end."""
    return _masks(step) and not isinstance(step.operands[2], Value) and isinstance(step.operands[1], Value)


def _masks(step: Step) -> bool:
    return step.primitive == "where" and "running" in str(step.operands[0].quantity).rpartition(".")[2]
