"""Something else is read wherever a quantity is used: in the forward pass, or in both passes."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Key, Place, Places, alone, family_of, symbol
from tinynet.debug.hypotheses.reads import instead_of, other_quantities
from tinynet.debug.hypotheses.replacements import likely, orders, rarely, scaled, softmax
from tinynet.debug.program import Change, Edit
from tinynet.run import INITIAL, Value

PASSES = ((("forward",), "in the forward pass"), (("forward", "backward"), "everywhere"))


def everywhere(facts: Facts, places: Places, key: Key, said: str) -> Iterator[Hypothesis]:
    """What is read at ``places``, and all that is alike, is something else wherever it is read."""
    sample = next(iter(places.values()))
    yield from _of_leaves(facts, sample)
    yield from _of_all_weights(facts, sample)
    yield from _of_all_gates(facts, sample)
    yield from _at_other_times(facts, sample, key, said)
    if sample.quantity is None:
        chosen = sorted({operand.index for operand in places.values()})
    else:
        members = facts.series[family_of(sample)]
        chosen = [i for t, i in members.items() if (t == INITIAL) == (key[2] == "initial")]
    for passes, text in PASSES:
        slots = facts.readings(chosen, passes)
        for label, change in (*likely(facts, sample, said), *rarely(facts, sample, said)):
            yield Hypothesis(f"{text}, {label}", Edit(reads=dict.fromkeys(slots, alone(change))))
        axis = len(sample.shape) - 1
        if axis >= 0 and sample.array.dtype.kind == "f":
            turned = alone(lambda x, a=axis: softmax(x, a))
            sentence = f"{text}, a softmax of {said} is used for {said}"
            yield Hypothesis(sentence, Edit(reads=dict.fromkeys(slots, turned)))


def _at_other_times(facts: Facts, sample: Value, key: Key, said: str) -> Iterator[Hypothesis]:
    """Another quantity, or the same at another step, is read wherever one is read from so many steps away."""
    if sample.quantity is None or sample.time is None or key[2] == "initial":
        return
    for passes, text in PASSES:
        places: Places = {}
        times: dict[Place, int | None] = {}
        for i, k in facts.readings(facts.series[family_of(sample)].values(), passes):
            operand, t = facts.run.steps[i].operands[k], facts.run.steps[i].time
            if t is not None and operand.time - t == key[2]:
                places[i, k], times[i, k] = operand, t
        if places:
            yield from other_quantities(facts, places, times, said, text, ", ")


def _of_all_gates(facts: Facts, sample: Value) -> Iterator[Hypothesis]:
    """The gates are taken in another order from all that holds them, what comes from x and what comes from h."""
    size = sample.shape[-1] if sample.shape else 0
    if sample.quantity is not None or facts.gates < 2 or size % facts.gates or size == facts.gates:
        return
    alike = [i for i in facts.shared if facts.run.values[i].shape == sample.shape]
    slots = [(i, k) for i, k in facts.readings(alike, ("forward",)) if facts.run.steps[i].primitive == "getitem"]
    for label, change in orders(facts, sample, "all that holds them", (len(sample.shape) - 1,)):
        yield Hypothesis(f"in the forward pass, {label}", Edit(reads=dict.fromkeys(slots, alone(change))))


def _of_leaves(facts: Facts, sample: Value) -> Iterator[Hypothesis]:
    """The same mistake with all biases of a layer, or all initial states; or two taken for each other."""
    group = _alike_leaves(facts, sample)
    if len(group) < 2:
        return
    if sample.time == INITIAL:
        every = "every initial state"
    else:
        every = f"every {symbol(str(sample.quantity)).partition('_')[0]} of the layer"
    for passes, text in PASSES:
        slots = {v.index: facts.readings([v.index], passes) for v in group}
        for label, change in scaled(facts, every):
            reads = {place: alone(change) for places in slots.values() for place in places}
            yield Hypothesis(f"{text}, {label}", Edit(reads=reads))
        for n, a in enumerate(group):
            for b in group[n + 1 :]:
                reads = dict.fromkeys(slots[a.index], instead_of(b.index))
                reads |= dict.fromkeys(slots[b.index], instead_of(a.index))
                names = " and ".join(facts.said(v, facts.reference(v, None)) for v in (a, b))
                yield Hypothesis(f"{text}, {names} are taken for each other", Edit(reads=reads))


def _alike_leaves(facts: Facts, sample: Value) -> list[Value]:
    """What is used like a leaf: the vectors of its layer that are called alike, or all initial states."""
    if sample.time == INITIAL:
        return [v for v in facts.run.values if v.time == INITIAL and v.of is None and v.shape == sample.shape]
    if sample.kind != "parameter" or len(sample.shape) != 1:
        return []
    scope, _, label = str(sample.quantity).rpartition(".")
    start = f"{scope}.{label.partition('_')[0]}" if scope else label.partition("_")[0]
    leaves = [v for v in facts.run.leaves if v.kind == "parameter" and v.shape == sample.shape]
    return [v for v in leaves if str(v.quantity).startswith(start)]


def _of_all_weights(facts: Facts, sample: Value) -> Iterator[Hypothesis]:
    """The blocks of the gates are read in another order, in all weights of the layer alike."""
    if sample.index not in facts.pieces:
        return
    scope = str(sample.quantity).rpartition(".")[0]
    leaves = [facts.run.values[i] for i in facts.pieces]
    leaves = [v for v in leaves if str(v.quantity).rpartition(".")[0] == scope]
    for passes, text in PASSES:
        edits: dict[str, dict[Place, Change]] = {}
        for leaf in leaves:
            places = facts.readings([leaf.index], passes)
            for label, change in orders(facts, leaf, "every weight and bias of the layer", axes=(0,)):
                edits.setdefault(label, {}).update(dict.fromkeys(places, alone(change)))
        for label, reads in edits.items():
            yield Hypothesis(f"{text}, {label}", Edit(reads=reads))
