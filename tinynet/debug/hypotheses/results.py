"""The result itself is something else than what was computed."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, alone
from tinynet.debug.hypotheses.reads import other_quantities
from tinynet.debug.hypotheses.replacements import likely, rarely, softmax
from tinynet.debug.program import Edit


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
