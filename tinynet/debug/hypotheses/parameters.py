"""All parameters at once: what is done alike to each of them, in its gradient or in its update."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug.hypotheses.base import Facts, Family, Hypothesis, Key, Place, alone, symbol
from tinynet.debug.hypotheses.operations import instead
from tinynet.debug.hypotheses.replacements import scaled
from tinynet.debug.hypotheses.sums import shares_of
from tinynet.debug.program import Compute, Edit
from tinynet.run import Value


def of_all(facts: Facts, families: list[Family], role: str) -> Iterator[Hypothesis]:
    """The same mistake in the computation of each of ``families``, which ``role`` names together."""
    groups: dict[tuple[int, str], list[int]] = {}
    reads: dict[Key, list[Place]] = {}
    shares: dict[str, dict[int, Compute]] = {}
    for index in (i for family in families for i in facts.series[family].values()):
        for n, i in enumerate(reversed(facts.local(index))):
            step = facts.run.steps[i]
            groups.setdefault((n, step.primitive), []).append(i)
            for k, operand in enumerate(step.operands):
                if isinstance(operand, Value):
                    reads.setdefault((n, step.primitive, k, _role(operand)), []).append((i, k))
        for label, root, compute in shares_of(facts, index):
            shares.setdefault(label, {})[root] = compute
    for label, computed in shares.items():
        yield Hypothesis(f"{role}: {label}", Edit(steps=computed))
    for (_, primitive), places in groups.items():
        if primitive in ("add", "subtract", "multiply", "divide", "sum"):
            for label, compute in instead(facts, facts.run.steps[places[0]]):
                steps = dict.fromkeys(places, lambda look, *x, f=compute: f(*x))
                yield Hypothesis(f"{role}: {label}", Edit(steps=steps))
    for (_, _, _, said), slots in reads.items():
        for label, change in scaled(facts, said):
            yield Hypothesis(f"{role}: {label}", Edit(reads=dict.fromkeys(slots, alone(change))))


def _role(operand: Value) -> str:
    """What an operand is to any parameter."""
    if operand.kind == "parameter":
        return "the parameter"
    if operand.of is not None and operand.of.kind == "parameter":
        return "its gradient"
    return symbol(operand.quantity) if operand.quantity else "what it is computed from"
