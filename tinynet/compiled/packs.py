"""Steps that do the same, as one step on arrays with an axis more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinynet.compiled.lanes import is_shared, runs, stacked
from tinynet.compiled.program import Program, values
from tinynet.primitives import TABLE
from tinynet.run import Step, Value

FEW = 4  # calls that cost as little as one by the long way
LARGE = 4096  # bytes of a result from where on a call costs little beside its work


def is_packable(step: Step) -> bool:
    """Whether steps like this one can be done at once."""
    if step.primitive == "matmul":
        return all(isinstance(operand, Value) and len(operand.shape) == 2 for operand in step.operands)
    kind = TABLE[step.primitive].kind
    return kind == "elementwise" or (kind == "reduction" and step.arguments["axis"] is not None)


def calls(program: Program, steps: Sequence[Step]) -> Iterator[Step]:
    """As few steps that do what ``steps`` do as the places of operands and results allow, and speed."""
    columns = [[value.array for value in each] for each in zip(*map(_arrays, steps), strict=True)]
    for part in runs(columns):
        yield from _faster(packed(program, steps[part]), steps[part])


def _faster(together: Step, apart: Sequence[Step]) -> Sequence[Step]:
    """NumPy has a short way where all arrays lie in one piece and have one shape; a few such calls beat the long way.

    So do a few large ones, whose loops are longer apart.
    """
    better_apart = _is_short(apart[0]) or apart[0].output.array.nbytes >= LARGE
    return apart if len(apart) <= FEW and better_apart and not _is_short(together) else [together]


def _is_short(step: Step) -> bool:
    arrays = [value.array for value in _arrays(step)]
    alike = all(array.shape in ((), step.output.shape) for array in arrays)
    return alike and all(array.flags.c_contiguous for array in arrays)


def _arrays(step: Step) -> list[Value]:
    return [*values(step), step.output]


def with_plain_operands(program: Program, step: Step) -> Step:
    """The short way: numbers as arrays without axes, and operands that are as many as the results in their shape."""
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
