"""A sum of parts that lie beside each other among zeros is their concatenation: nothing is added, nothing is zero."""

from __future__ import annotations

import math

from tinynet.compiled.chains import Sums
from tinynet.compiled.program import Program
from tinynet.compiled.regions import Region, extent, region_of, tiled_axis
from tinynet.run import Step, Value


def join_parts(program: Program) -> None:
    """Write sums of ``scatter`` as ``concatenate``, such as the gradients of slices, or of single time steps."""
    sums = Sums(program)
    joined = {}
    for step in sums.steps:
        terms = sums.terms(step)
        parts = [part for term in terms or () if (part := _part(sums, term)) is not None]
        if terms is not None and len(parts) == len(terms):
            found = _concatenation(program, step, parts)
            if found is not None:
                joined[step.output.index] = found
    program.steps = [new for step in program.steps for new in joined.get(step.output.index, [step])]


def _part(sums: Sums, term: Value) -> tuple[Region, Value] | None:
    """Where a scattered term lies, and what lies there; None where it is no block."""
    step = sums.by.get(term.index)
    if step is None or step.primitive != "scatter":
        return None
    region = region_of(step.arguments["index"], term.shape)
    return None if region is None else (region, step.operands[0])


def _concatenation(program: Program, step: Step, parts: list[tuple[Region, Value]]) -> list[Step] | None:
    """The steps that put parts together which fill the sum's shape and differ along one axis."""
    parts = sorted(parts, key=lambda part: part[0])
    axis = tiled_axis([region for region, _ in parts], step.output.shape)
    if axis is None:
        return None
    steps, operands = [], []
    for region, value in parts:
        shape = extent(region)
        if math.prod(value.shape) != math.prod(shape):
            return None
        if value.shape != shape:
            steps.append(program.step(step, "reshape", (value,), shape, shape=shape))
            value = steps[-1].output
        operands.append(value)
    joined = Step(step.number, "concatenate", tuple(operands), {"axis": axis}, step.output, step.phase, step.time)
    return [*steps, joined]
