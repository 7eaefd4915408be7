"""A sum of products or of sums, such as the gradient of a weight over all time steps, is one of all rows together.

Σ AₜᵀBₜ = AᵀB, where A has the rows of all Aₜ, one below the other, and B those of all Bₜ.
"""

from __future__ import annotations

from typing import Any

from tinynet.compiled.chains import Sums
from tinynet.compiled.program import Program, exactly
from tinynet.run import INITIAL, Step, Value


def sum_at_once(program: Program) -> None:
    """Write sums of products AᵀB, and of sums over the first axis, as one."""
    sums = Sums(program)
    written: dict[int, list[Step]] = {}
    for step in sums.steps:
        terms = sums.terms(step)
        if terms is None:
            continue
        found = sorted((sums.source(term) for term in terms), key=_time)
        made = [made for made, _ in found if made is not None]
        moves = found[0][1]
        if len(made) < len(found) or any(_moves(other) != _moves(moves) for _, other in found):
            continue
        new = _product(program, step, made, sums) or _total(program, step, made)
        if new:
            for move in reversed(moves):
                new.append(program.step(step, move.primitive, (new[-1].output,), move.output.shape, **move.arguments))
            written[step.output.index] = [*new, program.alias(step, new[-1].output)]
    program.steps = [new for step in program.steps for new in written.get(step.output.index, [step])]


def _time(found: tuple[Step | None, list[Step]]) -> int:
    """All sums take their terms in the same order, so that they can share them."""
    made, _ = found
    return INITIAL if made is None or made.time is None else made.time


def _moves(steps: list[Step]) -> list[tuple[str, Any]]:
    return [(step.primitive, exactly(step.arguments)) for step in steps]


def _product(program: Program, step: Step, made: list[Step], sums: Sums) -> list[Step]:
    left, right = [], []
    for product in made:
        turned = sums.by.get(product.operands[0].index) if _is_flat(product) else None
        if turned is None or turned.primitive != "transpose" or tuple(turned.arguments["axes"]) != (1, 0):
            return []
        left.append(turned.operands[0])
        right.append(product.operands[1])
    if not _are_alike(step, left) or not _are_alike(step, right):
        return []
    a, b = _rows(program, step, left), _rows(program, step, right)
    rows, width = a.output.shape
    turn = program.step(step, "transpose", (a.output,), (width, rows), axes=(1, 0))
    return [a, b, turn, program.step(step, "matmul", (turn.output, b.output), (width, b.output.shape[1]))]


def _is_flat(product: Step) -> bool:
    flat = all(isinstance(operand, Value) and len(operand.shape) == 2 for operand in product.operands)
    return flat and product.primitive == "matmul"


def _total(program: Program, step: Step, made: list[Step]) -> list[Step]:
    parts = [total.operands[0] for total in made]
    if any(total.primitive != "sum" or total.arguments["axis"] not in (0, (0,)) for total in made):
        return []
    if not _are_alike(step, parts) or any(total.arguments != made[0].arguments for total in made):
        return []
    rows = _rows(program, step, parts)
    return [rows, program.step(step, "sum", (rows.output,), made[0].output.shape, **made[0].arguments)]


def _are_alike(step: Step, parts: list[Value]) -> bool:
    """Whether one can lie below the other, as numbers of the dtype of the sum."""
    return {(part.shape[1:], part.array.dtype) for part in parts} == {(parts[0].shape[1:], step.output.array.dtype)}


def _rows(program: Program, step: Step, parts: list[Value]) -> Step:
    shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
    return program.step(step, "concatenate", tuple(parts), shape, axis=0)
