"""A sum of parts that lie beside each other among zeros is their concatenation: nothing is added, nothing is zero."""

from __future__ import annotations

import math
from typing import Any

from tinynet.compiled.chains import Sums
from tinynet.compiled.program import Program
from tinynet.run import Step, Value

Region = tuple[tuple[int, int], ...]  # from where to where, on each axis


def join_parts(program: Program) -> None:
    """Write sums of ``scatter`` as ``concatenate``, such as the gradients of slices, or of single time steps."""
    sums = Sums(program)
    joined = {}
    for step in sums.steps:
        terms = sums.terms(step)
        parts = None if terms is None else [_part(sums, term) for term in terms]
        if parts is not None and all(parts):
            found = _concatenation(program, step, parts)
            if found is not None:
                joined[step.output.index] = found
    program.steps = [new for step in program.steps for new in joined.get(step.output.index, [step])]


def _part(sums: Sums, term: Value) -> tuple[Region, Value] | None:
    """Where a scattered term lies, and what lies there; None where it is no block or somebody else reads it."""
    step = sums.by.get(term.index)
    if step is None or step.primitive != "scatter" or sums.reads[term.index] > 1 or term.quantity is not None:
        return None
    region = _region(step.arguments["index"], term.shape)
    return None if region is None else (region, step.operands[0])


def _region(index: Any, shape: tuple[int, ...]) -> Region | None:
    parts = index if isinstance(index, tuple) else (index,)
    if parts and parts[0] is Ellipsis:
        parts = (slice(None),) * (len(shape) - len(parts) + 1) + parts[1:]
    if not all(isinstance(part, (int, slice)) for part in parts):
        return None
    bounds = []
    for axis, n in enumerate(shape):
        part = parts[axis] if axis < len(parts) else slice(None)
        if isinstance(part, int):
            part = slice(part % n, part % n + 1)
        start, stop, step = part.indices(n)
        if step != 1:
            return None
        bounds.append((start, stop))
    return tuple(bounds)


def _concatenation(program: Program, step: Step, parts: list[tuple[Region, Value]]) -> list[Step] | None:
    """The steps that put parts together which fill the sum's shape and differ along one axis."""
    shape = step.output.shape
    parts = sorted(parts, key=lambda part: part[0])
    axes = [axis for axis, n in enumerate(shape) if any(region[axis] != (0, n) for region, _ in parts)]
    if len(axes) != 1:
        return None
    (axis,) = axes
    edges = [0] + [region[axis][1] for region, _ in parts]
    if [region[axis][0] for region, _ in parts] != edges[:-1] or edges[-1] != shape[axis]:
        return None
    steps, operands = [], []
    for region, value in parts:
        extent = tuple(stop - start for start, stop in region)
        if math.prod(value.shape) != math.prod(extent):
            return None
        if value.shape != extent:
            steps.append(program.step(step, "reshape", (value,), extent, shape=extent))
            value = steps[-1].output
        operands.append(value)
    joined = Step(step.number, "concatenate", tuple(operands), {"axis": axis}, step.output, step.phase, step.time)
    return [*steps, joined]
