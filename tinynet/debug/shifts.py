"""What is taken off before a softmax makes no difference: nobody's backward pass goes through it."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from tinynet.backend import to_host
from tinynet.run import Run, Step, Value

NOTHING = 1e-12  # of a sum: a term that is rounding only


def without_shifts(run: Run) -> Run:
    """The run whose gradients do not go through the largest number, where nothing comes of that; else itself.

    In the backward pass as it was recorded it cancels, but in one with a mistake before it would not.
    """
    made = {step.output.index: step for step in run.steps}
    steps = [_without_shift(step, made) for step in run.steps]
    if all(new is old for new, old in zip(steps, run.steps, strict=True)):
        return run
    out = copy(run)
    out.steps = steps
    return out


def _without_shift(step: Step, made: dict[int, Step]) -> Step:
    """A sum of gradients without the one that comes through a largest number, if that is 0 but for rounding."""
    if step.primitive == "add" and step.phase == "backward" and all(isinstance(o, Value) for o in step.operands):
        sizes = [float(np.abs(to_host(o.array)).max(initial=0)) for o in step.operands]
        for k, operand in enumerate(step.operands):
            nothing = sizes[k] <= NOTHING * sizes[1 - k] and operand.shape == step.output.shape
            if nothing and _is_of_largest(operand, made):
                return replace(step, operands=tuple(0 if j == k else o for j, o in enumerate(step.operands)))
    return step


def _is_of_largest(value: Value, made: dict[int, Step]) -> bool:
    """Whether a gradient without a name goes to where the largest number stands."""
    waiting = [value]
    while waiting:
        step = made.get(waiting.pop().index)
        if step is not None and step.primitive == "equal":
            return True
        if step is not None and step.output.quantity is None and step.phase == "backward":
            waiting += [operand for operand in step.operands if isinstance(operand, Value)]
    return False
