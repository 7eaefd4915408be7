"""Shares of a sum: of what was to be accumulated only one is kept, say; or one is added after the nonlinearity."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, symbol
from tinynet.debug.hypotheses.operations import UNARY
from tinynet.debug.hypotheses.overwritten import of_repeated_places, put_over_each_other, summed
from tinynet.debug.program import Compute, Edit
from tinynet.primitives import TABLE
from tinynet.primitives.core import Primitive
from tinynet.run import Value


def other_shares(facts: Facts, values: Members, title: str) -> Iterator[Hypothesis]:
    """Not all shares of ``values`` are added, or some twice."""
    edits: dict[str, dict[int, Compute]] = {}
    for index in values.values():
        for label, root, compute in shares_of(facts, index):
            edits.setdefault(label, {})[root] = compute
        for label, i, compute in of_repeated_places(facts, index):
            edits.setdefault(label, {})[i] = compute
    for label, steps in edits.items():
        yield Hypothesis(f"{title}: {label}", Edit(steps=steps))


def shares_of(facts: Facts, index: int) -> Iterator[tuple[str, int, Compute]]:
    """What may become of the sum that gives a value: (sentence, its step, what is computed there)."""
    root = facts.program.made_by[index]
    terms = _terms(facts, root)
    n = len(terms)
    if n < 2:
        return
    for k in sorted({0, n - 1}):
        share = _said(facts, terms[k], k)
        yield f"only the share of {share} is kept: `=` instead of `+=`", root, summed([terms[k]])
        yield f"the share of {share} is missing", root, summed([t for j, t in enumerate(terms) if j != k])
        yield f"the share of {share} is counted twice", root, summed([*terms, terms[k]])
    yield "the mean of the shares instead of their sum", root, summed(terms, 1 / n)
    yield from put_over_each_other(facts, root, terms)


def moved_terms(facts: Facts, values: Members, title: str) -> Iterator[Hypothesis]:
    """One term of what a function is taken of is added to its result: tanh(a) + b for tanh(a + b)."""
    edits: dict[str, dict[int, Compute]] = {}
    for index in values.values():
        for i in facts.local(index):
            step = facts.run.steps[i]
            made = facts.program.made_by.get(step.operands[0].index) if step.primitive in UNARY else None
            terms = _terms(facts, made) if made is not None else []
            for term in terms if len(terms) > 1 else ():
                word = symbol(term.quantity) if term.quantity else facts.said(term, facts.reference(term, step.time))
                text = f"{word} is added to {step.primitive} of the rest, not within it"
                edits.setdefault(text, {})[i] = _added_after(TABLE[step.primitive], term.index)
    for label, steps in edits.items():
        yield Hypothesis(f"{title}: {label}", Edit(steps=steps))


def _added_after(function: Primitive, term: int) -> Compute:
    return lambda look, x: function(x - look(term)) + look(term)


def _terms(facts: Facts, root: int) -> list[Value]:
    """What a step adds, through all additions without a name."""
    step = facts.run.steps[root]
    if step.primitive != "add" or not all(isinstance(o, Value) for o in step.operands):
        return []
    terms: list[Value] = []
    for operand in step.operands:
        made = facts.program.made_by.get(operand.index)
        inner = _terms(facts, made) if made is not None and operand.quantity is None else []
        terms += inner or [operand]
    return terms


def _said(facts: Facts, term: Value, k: int) -> str:
    """What the k-th term, the first or the last, is called."""
    times = {facts.run.steps[i].time for i in facts.program.between(term.index, facts.named)} - {None}
    if len(times) == 1:
        return f"t = {times.pop()}"
    return symbol(term.quantity) if term.quantity else ("the first term" if k == 0 else "the last term")
