"""In sums and products inside a loop, what the loop does not have to wait for is put together before the loop.

g · y · (1 − y) becomes g · (y · (1 − y)): one multiplication waits for g, and the rest is done for all times at once.
Source: tree height reduction; Kuck, Muraoka and Chen, On the number of operations simultaneously executable in
Fortran-like programs, IEEE Trans. Computers C-21 (1972). Products are rounded, and overflow, in another order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from tinynet.compiled.families import Families
from tinynet.compiled.program import Program, is_private, producers, readers
from tinynet.run import Step, Value

MOST = 8  # operands that are looked at together


def compute_early(program: Program) -> None:
    for primitive in ("multiply", "add"):
        families, by, reads = Families(program.steps), producers(program.steps), readers(program.steps)
        new: list[Step] = []
        for step in program.steps:
            if step.primitive == primitive and families.loop(step.output) is not None:
                new += _reordered(program, step, _operands(step, families, by, reads), families)
            else:
                new.append(step)
        program.steps = new


def _reordered(program: Program, step: Step, operands: list[Value], families: Families) -> list[Step]:
    """Steps that take the one operand of the loop last; the step itself where there is not just one, or no gain."""
    loop = families.loop(step.output)
    late = [operand for operand in operands if families.loop(operand) == loop]
    early = [operand for operand in operands if families.loop(operand) != loop]
    if len(late) != 1 or len(early) < 2 or any(o.array.dtype != step.output.array.dtype for o in operands):
        return [step]
    steps: list[Step] = []
    whole, *rest = sorted(early, key=lambda operand: families.time(operand) is not None)  # once for all times
    for operand in rest:
        shape = np.broadcast_shapes(whole.shape, operand.shape)
        steps.append(program.step(step, step.primitive, (whole, operand), shape))
        steps[-1].time = families.time(step.output)
        whole = steps[-1].output
    return [*steps, replace(step, operands=(*late, whole))]


def _operands(step: Step, families: Families, by: dict[int, Step], reads: Counter[int]) -> list[Value]:
    """What is multiplied (or added), in order, also by the steps before; [] for plain numbers."""
    found: list[Value] = []
    loop, time = families.loop(step.output), families.time(step.output)
    waiting = [*reversed(step.operands)]
    while waiting:
        operand = waiting.pop()
        if not isinstance(operand, Value):
            return []
        made = by.get(operand.index)
        if made is not None and made.primitive == step.primitive and operand.shape == step.output.shape:
            near = families.loop(operand) == loop and families.time(operand) == time
            own = families.loop(operand) != loop and reads[operand.index] == 1 and is_private(operand)
            if (near or own) and len(found) + len(waiting) < MOST:
                waiting += reversed(made.operands)
                continue
        found.append(operand)
    return found
