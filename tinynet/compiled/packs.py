"""Steps that do the same, as one step on arrays with an axis more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinynet.compiled.lanes import is_shared, stacked
from tinynet.compiled.program import Program
from tinynet.primitives import TABLE
from tinynet.run import Step, Value

FEW = 4
LARGE = 1 << 12  # bytes


def is_packable(step: Step) -> bool:
    """Whether steps like this one can be done at once."""
    if step.primitive == "matmul":
        return len(step.output.shape) == 2
    kind = TABLE[step.primitive].kind
    return kind == "elementwise" or (kind == "reduction" and step.arguments["axis"] is not None)


def worthwhile(program: Program, steps: Sequence[Step]) -> Sequence[Step]:
    """One step for K whose operands and results lie at equal distances, where that is faster than each alone.

    NumPy takes a short way where all arrays lie in one piece and have one shape; the other way costs as much as four of
    those. And a few large ones are faster alone, as one loop over each.
    """
    together = packed(program, steps)
    if len(steps) > FEW or _is_short(together):
        return [together]
    return steps if _is_short(steps[0]) or steps[0].output.array.nbytes >= LARGE else [together]


def _is_short(step: Step) -> bool:
    arrays = [operand.array for operand in (*step.operands, step.output) if isinstance(operand, Value)]
    alike = all(array.shape in ((), step.output.shape) for array in arrays)
    return alike and all(array.flags.c_contiguous for array in arrays)


def with_plain_operands(program: Program, step: Step) -> Step:
    """Numbers as arrays without axes, and operands as many as the results in their shape: NumPy has less to find out."""
    out = step.output
    dtypes = {operand.array.dtype for operand in step.operands if isinstance(operand, Value)}
    operands = []
    for operand in step.operands:
        if isinstance(operand, Value):
            array = operand.array
            if array.size == out.array.size and array.shape != out.shape:
                operand = program.value(out.shape, array.dtype, array.reshape(out.shape))
        elif isinstance(operand, (int, float)) and len(dtypes) == 1 and next(iter(dtypes)).kind == "f":
            operand = program.constant(np.array(operand, next(iter(dtypes))))
        operands.append(operand)
    return replace(step, operands=tuple(operands))


def packed(program: Program, steps: Sequence[Step]) -> Step:
    """One step for K whose operands and results lie at equal distances."""
    first = steps[0]
    if len(steps) == 1:
        return first
    axes = len(first.output.shape) if TABLE[first.primitive].kind == "elementwise" else None
    operands = tuple(_stack(program, each, axes) for each in zip(*(step.operands for step in steps), strict=True))
    out = _stack(program, [step.output for step in steps], axes)
    if first.primitive == "matmul":
        operands, out = _flat(program, operands, out)
    arguments = dict(first.arguments)
    if "axis" in arguments:
        axis = arguments["axis"]
        rank = len(first.operands[0].shape)
        axis = (axis,) if isinstance(axis, int) else axis
        arguments["axis"] = tuple(a % rank + 1 for a in axis)
    return replace(first, operands=operands, output=out, arguments=arguments)


def _stack(program: Program, lanes: Sequence[Any], axes: int | None) -> Any:
    """Lanes as one value (K, …), each brought to a number of axes; what they share stays as it is."""
    first = lanes[0]
    if not isinstance(first, Value) or is_shared([lane.array for lane in lanes]):
        return first
    array = stacked([lane.array for lane in lanes])
    if axes is not None:
        array = array.reshape(len(lanes), *(1,) * (axes - first.array.ndim), *first.shape)
    return program.value(array.shape, array.dtype, array)


def _flat(program: Program, operands: tuple[Any, ...], out: Value) -> tuple[tuple[Any, ...], Value]:
    """Rows times one matrix: one product of all rows, where they lie so that no copy is needed."""
    left, right = operands
    if len(right.shape) != 2 or len(left.shape) != 3:
        return operands, out
    rows = [value.array.reshape(-1, value.shape[-1]) for value in (left, out)]
    if not all(np.may_share_memory(new, old.array) for new, old in zip(rows, (left, out), strict=True)):
        return operands, out
    left, out = (program.value(array.shape, array.dtype, array) for array in rows)
    return (left, right), out
