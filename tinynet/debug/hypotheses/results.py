"""The result itself is something else than what was computed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, alone
from tinynet.debug.hypotheses.parts import parts_of
from tinynet.debug.hypotheses.reads import other_quantities
from tinynet.debug.hypotheses.replacements import likely, rarely, softmax, taken
from tinynet.debug.program import Edit
from tinynet.run import Value

MOST_PARTS = 5  # that are put in every other order


def other_results(facts: Facts, values: Members, target: str, where: str) -> Iterator[Hypothesis]:
    """What is easily written instead of ``values``, those of ``target`` at the steps that ``where`` says."""
    sample, made = facts.run.values[next(iter(values.values()))], facts.made(values)
    for label, change in likely(facts, sample, target):
        yield Hypothesis(f"{label}{where}", Edit(outputs=dict.fromkeys(made, alone(change))))
    if sample.shape and sample.array.dtype.kind == "f":
        places = {(m, 0): facts.run.values[i] for m, i in zip(made, values.values(), strict=True)}
        times = {(m, 0): t for m, t in zip(made, values, strict=True)}
        for found in other_quantities(facts, places, times, target, target + where):
            yield Hypothesis(found.sentence, Edit(outputs={m: f for (m, _), f in found.edit.reads.items()}))
        for axis in range(len(sample.shape)):
            changed = alone(lambda x, a=axis: softmax(x, a))
            text = f"a softmax is applied to {target} along axis {axis}{where}"
            yield Hypothesis(text, Edit(outputs=dict.fromkeys(made, changed)))


def rearranged(facts: Facts, values: Members, target: str) -> Iterator[Hypothesis]:
    """The numbers of the result stand in other places, or a part of them is changed."""
    if values:
        sample, made = facts.run.values[next(iter(values.values()))], facts.made(values)
        for label, change in rarely(facts, sample, target):
            yield Hypothesis(label, Edit(outputs=dict.fromkeys(made, alone(change))))
        yield from _blocks_in_other_order(facts, sample, made, target)


def _blocks_in_other_order(facts: Facts, sample: Value, made: list[int], target: str) -> Iterator[Hypothesis]:
    """What is used in parts, or the gradient of such a value, is put together from its parts in another order."""
    axis, parts = parts_of(facts, sample)
    names = [part.name for part in parts]
    for order in permutations(range(len(parts))) if len(parts) <= MOST_PARTS else ():
        if list(order) != sorted(order):
            places = np.concatenate([np.arange(parts[k].start, parts[k].stop) for k in order])
            changed = alone(lambda x, p=places: taken(x, axis, p))
            text = f"the parts of {target} are in the order {', '.join(names[k] for k in order)}"
            yield Hypothesis(f"{text} instead of {', '.join(names)}", Edit(outputs=dict.fromkeys(made, changed)))
