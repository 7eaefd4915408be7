"""What is always zero, such as the gradient of a part that nothing reads, is not added, nor cut out again."""

from __future__ import annotations

import math

import numpy as np

from tinynet.compiled.program import VIEWS, Program, producers
from tinynet.compiled.regions import extent, region_of
from tinynet.primitives import TABLE
from tinynet.run import Step, Value


def drop_zeros(program: Program) -> None:
    """x + 0 is x, and so is what is read from where x was put among zeros."""
    by = producers(program.steps)
    taken_apart = {step.operands[0].index for step in program.steps if step.primitive in VIEWS}
    written: dict[int, np.ndarray] = {}  # where a value that has zeros is written: (its shape) of booleans
    for i, step in enumerate(program.steps):
        begins = step.primitive in ("scatter", "pad") and step.output.index in taken_apart
        if begins or (step.primitive in VIEWS and step.operands[0].index in written):
            before = written.get(step.operands[0].index, np.broadcast_to(np.True_, step.operands[0].shape))
            written[step.output.index] = TABLE[step.primitive].forward(np, before, **step.arguments)
        value = _unmoved(step, by) if step.primitive == "getitem" else _other(step, written)
        if value is not None:
            program.steps[i] = program.alias(step, value)


def _other(step: Step, written: dict[int, np.ndarray]) -> Value | None:
    """What zeros are added to."""
    if step.primitive == "add" and all(isinstance(operand, Value) for operand in step.operands):
        for zero, other in (step.operands, step.operands[::-1]):
            if zero.index in written and not written[zero.index].any() and _is_alike(other, step.output):
                return other
    return None


def _unmoved(step: Step, by: dict[int, Step]) -> Value | None:
    """What a part that is read was before it was put among zeros."""
    placed = by.get(step.operands[0].index)
    if placed is None or placed.primitive != "scatter":
        return None
    there, read = (region_of(each.arguments["index"], placed.output.shape) for each in (placed, step))
    value = placed.operands[0]
    whole = there is not None and there == read and math.prod(extent(there)) == math.prod(value.shape)
    return value if whole else None


def _is_alike(value: Value, output: Value) -> bool:
    return value.shape == output.shape and value.array.dtype == output.array.dtype
