"""Inside a loop, products with a common factor that are parts of one concatenation are computed at once.

Such are the gradients of an LSTM's gates i, f and g: each is that of the cell state, times what was known before.
Source: superword-level parallelism; Larsen and Amarasinghe, Exploiting superword level parallelism with multimedia
instruction sets, PLDI 2000.
"""

from __future__ import annotations

from collections.abc import Hashable

from tinynet.run import Step, Value


def siblings(steps: list[Step]) -> list[list[Step]]:
    """The steps of a loop in order, those in one list that can be done at once."""
    places = {
        operand.index: (step.output.index, place)
        for step in steps
        if step.primitive == "concatenate"
        for place, operand in enumerate(step.operands)
    }
    inside = {step.output.index for step in steps}
    groups: dict[Hashable, list[Step]] = {}
    for step in steps:
        key: Hashable = step.output.index
        if step.primitive == "multiply" and key in places:
            common, *other = step.operands
            if isinstance(common, Value) and not any(value.index in inside for value in other):
                key = places[step.output.index][0], common.index, step.output.shape
        groups.setdefault(key, []).append(step)
    return [sorted(group, key=lambda step: places.get(step.output.index, (0, 0))) for group in groups.values()]
