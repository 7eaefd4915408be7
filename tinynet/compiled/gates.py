"""Sigmoids and tanhs of the slices of one value are one tanh of all of it, scaled and shifted.

σ(z) = (1 + tanh(z/2)) / 2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from tinynet.compiled.program import Program, producers
from tinynet.compiled.regions import Region, region_of, tiled_axis
from tinynet.run import Step, Value

SCALES = {"sigmoid": 0.5, "tanh": 1.0}  # y = s tanh(s z) + 1 − s
Gate = tuple[Region, Step, Step]  # where the slice lies, the step that cuts it out, and the one that squashes it


def squash_at_once(program: Program) -> None:
    by = producers(program.steps)
    gates: dict[int, list[Gate]] = defaultdict(list)
    for step in program.steps:
        part = by.get(step.operands[0].index) if step.primitive in SCALES else None
        region = _slice(part)
        if part is not None and region is not None:
            gates[part.operands[0].index].append((region, part, step))
    constants: dict[Hashable, tuple[Value, Value]] = {}
    written: dict[int, list[Step]] = {}
    for found in gates.values():
        written |= _at_once(program, found, constants)
    program.steps = [new for step in program.steps for new in written.get(step.output.index, [step])]


def _slice(part: Step | None) -> Region | None:
    if part is None or part.primitive != "getitem" or len(part.output.shape) != len(part.operands[0].shape):
        return None
    return region_of(part.arguments["index"], part.operands[0].shape)


def _at_once(
    program: Program, gates: Sequence[Gate], constants: dict[Hashable, tuple[Value, Value]]
) -> dict[int, list[Step]]:
    """What is computed instead of each gate: the first time all of them, then a slice of that."""
    first, whole = gates[0][2], gates[0][1].operands[0]
    ordered = sorted(gates, key=lambda gate: gate[0])
    axis = tiled_axis([region for region, _, _ in ordered], whole.shape)
    if axis is None:
        return {}
    kinds = tuple((step.primitive, step.output.shape[axis]) for _, _, step in ordered)
    key = (axis, len(whole.shape), whole.array.dtype, kinds)
    if key not in constants:
        constants[key] = _scales(program, kinds, len(whole.shape) - axis, whole.array.dtype)
    scale, shift = constants[key]
    steps = []
    value = whole
    for primitive, *constant in (("multiply", scale), ("tanh",), ("multiply", scale), ("add", shift)):
        steps.append(program.step(first, primitive, (value, *constant), whole.shape))
        value = steps[-1].output
    slices = {
        step.output.index: [Step(step.number, "getitem", (value,), part.arguments, step.output, step.phase, step.time)]
        for _, part, step in gates
    }
    slices[first.output.index] = [*steps, *slices[first.output.index]]
    return slices


def _scales(program: Program, kinds: Sequence[tuple[str, int]], axes: int, dtype: np.dtype) -> tuple[Value, Value]:
    """s and 1 − s, for each place along the first of the last ``axes``."""
    numbers = np.concatenate([np.full(n, SCALES[primitive], dtype) for primitive, n in kinds])
    scale = numbers.reshape(-1, *(1,) * (axes - 1))
    return program.constant(scale), program.constant(1 - scale)
