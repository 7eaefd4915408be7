"""What is done to a sum is done to one of its terms instead, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, symbol
from tinynet.debug.hypotheses.operations import UNARY
from tinynet.debug.program import Compute, Edit, Plain
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
    """f(a) + b as f(a + b), and c − f(a) as f(c − a)."""
    if step.primitive not in ("add", "subtract"):
        return
    for k, operand in enumerate(step.operands):
        made = facts.program.made_by.get(operand.index) if isinstance(operand, Value) else None
        inner = None if made is None or operand.index in facts.named else _function(facts.run.steps[made])
        if inner is None:
            continue
        name, function, a = inner
        other = step.operands[1 - k]
        word = symbol(str(other.quantity)) if isinstance(other, Value) and other.quantity else "the other term"
        label = (
            f"{word} is added before {name}, not after it"
            if step.primitive == "add"
            else f"{name} is taken of the whole difference, not of {facts.said(a, facts.reference(a, a.time))} alone"
        )
        joined = TABLE[step.primitive]

        def compute(look: Any, *x: Any, k: int = k, f: Any = function, a: int = a.index, joined: Any = joined) -> Any:
            return f(joined(look(a), x[1]) if k == 0 else joined(x[0], look(a)))

        yield label, compute


def _function(step: Step) -> tuple[str, Plain, Value] | None:
    """An operation on one value: what it is called, what it does, and to what."""
    x = step.operands[0]
    if step.primitive in UNARY:
        return step.primitive, TABLE[step.primitive], x
    if step.primitive == "multiply" and x is step.operands[1]:
        return "the square", lambda value: value * value, x
    return None
