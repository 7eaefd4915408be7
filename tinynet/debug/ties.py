"""Where the gradient of what was pooled means nothing: behind a ReLU that is 0, where the maxima of a window tie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinynet.debug.program import Program
from tinynet.run import Value

POOLING = {"put_along_axis", "fold", "reshape"}  # what carries a gradient back to the largest of each window


def masked(program: Program, mine: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Where the ReLU before a max pooling gave 0, in those gradients of it that are among the arrays ``mine``.

    Which of several maxima gets the gradient is a convention; where they are 0, the ReLU drops it anyway. Where it is
    not dropped in ``mine``, it matters.
    """
    found = {i: _dropped(program, mine, i) for i in mine if _is_pooled(program, i)}
    return {i: mask for i, mask in found.items() if mask is not None}


def _is_pooled(program: Program, index: int) -> bool:
    """Whether a value is computed by what takes a gradient back through a max pooling."""
    seen = set()
    while index in program.made_by:
        step = program.steps[program.made_by[index]]
        if step.phase == "forward" or step.primitive not in POOLING or not isinstance(step.operands[0], Value):
            break
        seen.add(step.primitive)
        index = step.operands[0].index
    return "put_along_axis" in seen


def _dropped(program: Program, mine: Mapping[int, np.ndarray], index: int) -> np.ndarray | None:
    pooled = program.run.values[index].of
    maker = None if pooled is None else program.made_by.get(pooled.index)
    if pooled is None or maker is None or program.steps[maker].primitive != "relu":
        return None
    dropped = np.asarray(mine.get(pooled.index, program.arrays[pooled.index])) == 0
    after = [program.steps[i].output.index for i in program.readers.get(index, ())]
    return None if any(np.any(mine[i][dropped]) for i in after if i in mine) else dropped
