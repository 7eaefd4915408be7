"""All parameters at once: what is done alike to each of them, in its gradient or in its update."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinynet.debug.hypotheses.base import Facts, Family, Hypothesis, Key, Place, alone, symbol
from tinynet.debug.hypotheses.operations import instead
from tinynet.debug.hypotheses.replacements import scaled
from tinynet.debug.hypotheses.sums import shares_of
from tinynet.debug.hypotheses.updates import exchanged
from tinynet.debug.program import Compute, Edit
from tinynet.run import Step, Value


def of_all(facts: Facts, families: list[Family], role: str) -> Iterator[Hypothesis]:
    """The same mistake in the computation of each of ``families``, which ``role`` names together."""
    groups: dict[tuple[int, str], list[int]] = {}
    reads: dict[Key, list[Place]] = {}
    shares: dict[str, dict[int, Compute]] = {}
    read: list[tuple[Place, Value]] = []
    owner: dict[int, Family] = {}  # of a step
    for family, index in ((f, i) for f in families for i in facts.computed(f).values()):
        for n, i in enumerate(reversed(facts.local(index))):
            step = facts.run.steps[i]
            owner[i] = family
            groups.setdefault((n, step.primitive), []).append(i)
            for k, operand in enumerate(step.operands):
                if isinstance(operand, Value):
                    read.append(((i, k), operand))
                    reads.setdefault((n, step.primitive, k, _place(step, k, operand)), []).append((i, k))
        for label, root, compute in shares_of(facts, index):
            shares.setdefault(label, {})[root] = compute

    def whose(steps: Iterable[int]) -> str:
        """All of them, or the only one."""
        found = {owner[i] for i in steps}
        return role if len(found) > 1 or len(families) == 1 else symbol(found.pop()[0])

    for label, computed in shares.items():
        yield Hypothesis(f"{whose(computed)}: {label}", Edit(steps=computed))
    for (_, primitive), places in groups.items():
        if primitive in ("add", "subtract", "multiply", "divide", "power", "sum"):
            for label, compute in instead(facts, facts.run.steps[places[0]]):
                steps = dict.fromkeys(places, lambda look, *x, f=compute: f(*x))
                yield Hypothesis(f"{whose(places)}: {label}", Edit(steps=steps))
    for (_, _, _, said), slots in reads.items():
        for label, change in scaled(facts, said):
            title = whose(i for i, _ in slots)
            yield Hypothesis(f"{title}: {label}", Edit(reads=dict.fromkeys(slots, alone(change))))
    yield from exchanged(read, role)


def _place(step: Step, k: int, operand: Value) -> str:
    """What an operand is to any parameter; of two hyper-parameters, beside which one."""
    others = [o for o in step.operands[:k] + step.operands[k + 1 :] if isinstance(o, Value)]
    beside = (f" beside {symbol(str(o.quantity))}" for o in others if o.kind == operand.kind == "hyperparameter")
    unnamed = "a part of the sum" if step.primitive == "add" else "what it is computed from"
    return (_role(operand) or unnamed) + "".join(beside)


def _role(operand: Value) -> str:
    """What an operand is to any parameter; nothing where it has no name."""
    if operand.kind == "parameter":
        return "the parameter"
    if operand.of is not None and operand.of.kind == "parameter":
        return "its gradient"
    return symbol(operand.quantity) if operand.quantity else ""
