"""Additions of numbers that are always zero, such as the gradient of a part that nothing reads, are left out."""

from __future__ import annotations

import numpy as np

from tinynet.compiled.program import VIEWS, Program
from tinynet.primitives import TABLE
from tinynet.run import Step, Value


def drop_zeros(program: Program) -> None:
    """x + 0 is x."""
    written: dict[int, np.ndarray] = {}  # where a value made of zeros and something else is written
    zeros: set[int] = set()
    for i, step in enumerate(program.steps):
        _follow(step, written, zeros)
        if step.primitive == "add":
            for zero, other in (step.operands, step.operands[::-1]):
                if isinstance(zero, Value) and zero.index in zeros and _is_alike(other, step.output):
                    program.steps[i] = program.alias(step, other)
                    break


def _follow(step: Step, written: dict[int, np.ndarray], zeros: set[int]) -> None:
    operand = step.operands[0]
    if not isinstance(operand, Value) or step.primitive not in (*VIEWS, "scatter", "pad"):
        return
    before = written.get(operand.index)
    if step.primitive in VIEWS:
        if before is None:
            return
    elif before is None:
        before = np.broadcast_to(np.True_, operand.shape)
    there = TABLE[step.primitive].forward(np, before, **step.arguments)
    if there.any():
        written[step.output.index] = there
    else:
        zeros.add(step.output.index)
        written[step.output.index] = there


def _is_alike(value: object, output: Value) -> bool:
    return isinstance(value, Value) and value.shape == output.shape and value.array.dtype == output.array.dtype
