"""An update as a whole: weight decay in the wrong place, hyper-parameters taken for each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Place, symbol
from tinynet.debug.hypotheses.reads import instead_of
from tinynet.debug.program import Change, Edit
from tinynet.run import Value


def of_update(facts: Facts, beside: Value) -> Iterator[Hypothesis]:
    """What may be wrong wherever the updates of the parameter ``beside`` read something."""
    word = symbol(str(beside.quantity))
    read = [
        ((i, k), operand)
        for i, step in enumerate(facts.run.steps)
        for k, operand in enumerate(step.operands)
        if step.phase == "update" and isinstance(operand, Value)
    ]
    gradients = {place: o.of.index for place, o in read if o.of is not None and (o.of.copy_of or o.of) is beside}
    for number in (v for v in facts.run.leaves if v.kind == "hyperparameter"):
        plus = {place: _plus(number.index, parameter) for place, parameter in gradients.items()}
        text = f"the update of {word}: {symbol(str(number.quantity))} times {word} is added to its gradient"
        yield Hypothesis(text, Edit(reads=plus))
    yield from exchanged(read, f"the update of {word}")


def exchanged(read: list[tuple[Place, Value]], title: str) -> Iterator[Hypothesis]:
    """Two of the hyper-parameters that are read are taken for each other."""
    numbers = dict.fromkeys(operand for _, operand in read if operand.kind == "hyperparameter")
    for a, b in combinations(numbers, 2):
        other = {a.index: b.index, b.index: a.index}
        reads = {place: instead_of(other[operand.index]) for place, operand in read if operand.index in other}
        names = " and ".join(symbol(str(number.quantity)) for number in (a, b))
        yield Hypothesis(f"{title}: {names} are taken for each other", Edit(reads=reads))


def _plus(number: int, parameter: int) -> Change:
    return lambda x, look: x + look(number) * look(parameter)
