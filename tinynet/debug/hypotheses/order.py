"""What is done to a sum is done to one of its terms instead, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, symbol
from tinynet.debug.hypotheses.operations import UNARY
from tinynet.debug.program import Compute, Edit
from tinynet.primitives import TABLE
from tinynet.run import Step, Value


def reordered(facts: Facts, values: Members, title: str) -> Iterator[Hypothesis]:
    """A function of a term is taken of the whole sum."""
    edits: dict[str, dict[int, Compute]] = {}
    for index in values.values():
        for i in facts.local(index):
            for label, compute in _of_the_sum(facts, facts.run.steps[i]):
                edits.setdefault(label, {})[i] = compute
    for label, steps in edits.items():
        yield Hypothesis(f"{title}: {label}", Edit(steps=steps))


def _of_the_sum(facts: Facts, step: Step) -> Iterator[tuple[str, Compute]]:
    """f(a) + b as f(a + b)."""
    if step.primitive != "add":
        return
    for k, operand in enumerate(step.operands):
        made = facts.program.made_by.get(operand.index) if isinstance(operand, Value) else None
        inner = None if made is None else facts.run.steps[made]
        if inner is None or inner.primitive not in UNARY or operand.index in facts.named:
            continue
        other = step.operands[1 - k]
        word = symbol(str(other.quantity)) if isinstance(other, Value) and other.quantity else "the other term"
        yield (
            f"{word} is added before {inner.primitive}, not after it",
            lambda look, *x, k=k, f=TABLE[inner.primitive], a=inner.operands[0].index: f(look(a) + x[1 - k]),
        )
