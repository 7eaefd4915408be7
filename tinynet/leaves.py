"""What may take the place of a leaf's numbers when a run is computed again: the same in ``replay`` and compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.backend import is_array
from tinynet.nonstandard import dtype_name
from tinynet.primitives import PLACES, TABLE, check_places

if TYPE_CHECKING:
    from tinynet.run import Run, Step, Value


def accepted(leaf: Value, numbers: Any, sizes: dict[int, int]) -> Any:
    """Return new numbers for a leaf as an array; ``sizes`` are what ``sizes_of_places`` says of the run.

    Raises ValueError for another shape, TypeError where the leaf's dtype cannot hold such numbers (an integer no
    fraction, a real number no complex one), and IndexError for places that are not there.
    """
    given = numbers if is_array(numbers) else np.asarray(numbers)
    shape = tuple(given.shape)
    if shape != leaf.shape:
        raise ValueError(f"{leaf.name} has shape {leaf.shape} in this run, got {shape}: record another run")
    if type(given) is not type(leaf.array) or given.dtype != leaf.array.dtype:
        held, got = dtype_name(leaf.array.dtype), dtype_name(given.dtype)
        if not np.can_cast(got, held, casting="same_kind"):
            raise TypeError(f"{leaf.name} holds {held} in this run, got {got}")
    if leaf.index in sizes:
        check_places(given, sizes[leaf.index], leaf.name)
    return given


def sizes_of_places(run: Run) -> dict[int, int]:
    """For each leaf that chooses places, by its index: how many there are (the fewest, where it is used twice)."""
    made = {step.output.index: step for step in run.steps}
    sizes: dict[int, int] = {}
    for step in run.steps:
        if step.primitive in PLACES:
            for source in sources_of_places(step, made):
                sizes[source.index] = min(size_of(step), sizes.get(source.index, size_of(step)))
    return {index: size for index, size in sizes.items() if index not in made}


def sources_of_places(step: Step, made: dict[int, Step]) -> list[Value]:
    """What the places of a step were before they were moved: leaves, or what another step has computed."""
    found, waiting = [], [step.operands[1]]
    while waiting:
        value = waiting.pop()
        before = made.get(value.index)
        if before is not None and TABLE[before.primitive].kind == "structural":
            waiting += before.operands
        else:
            found.append(value)
    return found


def size_of(step: Step) -> int:
    """Among how many places a step chooses."""
    if "size" in step.arguments:
        return step.arguments["size"]
    return step.operands[0].shape[step.arguments.get("axis", 0)]
