"""Which steps are done at once: all of a family, but not of a loop; and in a loop, parts with a common factor.

Such are the gradients of an LSTM's gates i, f and g: each is that of the cell state, times what was known before.
Source: superword-level parallelism; Larsen and Amarasinghe, Exploiting superword level parallelism with multimedia
instruction sets, PLDI 2000.
"""

from __future__ import annotations

from collections.abc import Hashable

from tinynet.compiled.families import Families
from tinynet.compiled.packs import is_packable
from tinynet.run import Step, Value


def at_once(families: Families) -> list[list[Step]]:
    """All steps, in an order in which they can run; those in one list can be done at once."""
    found: list[list[Step]] = []
    for number, group in enumerate(families.groups):
        if number in families.loops:
            found += _siblings(group)
        elif is_packable(group[0]):
            found.append(group)
        else:
            found += [[step] for step in group]
    return found


def _siblings(steps: list[Step]) -> list[list[Step]]:
    """The steps of a loop in order, those that are products with a common factor and parts of one value in one list."""
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
