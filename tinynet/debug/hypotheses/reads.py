"""Something else is read than what belongs there: in what computes one quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses.base import Facts, Hypothesis, Key, Members, Place, Places, alone, symbol
from tinynet.debug.hypotheses.replacements import likely, scaled
from tinynet.debug.program import Change, Edit, Look
from tinynet.run import INITIAL, Value

# How the result of an operation is called.
RESULTS = {"add": "the sum", "subtract": "the difference", "multiply": "the product", "divide": "the quotient"}


class Read(NamedTuple):
    """What the computation of a quantity reads: the places by what is read, by distance in time, and their time."""

    places: dict[Key, Places]
    at_a_distance: dict[Key, Places]
    times: dict[Place, int | None]


def read_by(facts: Facts, values: Members) -> Read:
    """What the computation of ``values`` reads."""
    read = Read({}, {}, {})
    for t, index in values.items():
        for i in facts.local(index):
            for k, operand in enumerate(facts.run.steps[i].operands):
                if isinstance(operand, Value) and (
                    operand.index in facts.named or operand.index in facts.shared or operand.kind != "computed"
                ):
                    own = facts.run.steps[i].time  # of a share of a gradient that is summed over time
                    at = t if t is not None else operand.time if own is None else own
                    key = facts.reference(operand, at)
                    read.places.setdefault(key, {})[i, k] = operand
                    away = None if operand.time is None or at is None else operand.time - at
                    read.at_a_distance.setdefault((*key[:2], away) if key[0] else key, {})[i, k] = operand
                    read.times[i, k] = at
    return read


def misread(facts: Facts, values: Members, title: str) -> Iterator[Hypothesis]:
    """Something else is read than what belongs there."""
    read = read_by(facts, values)
    for key, places in read.places.items():
        sample = next(iter(places.values()))
        for label, change in likely(facts, sample, facts.said(sample, key)):
            yield Hypothesis(f"{title}: {label}", Edit(reads=dict.fromkeys(places, alone(change))))
        yield from _of_copies(facts, sample, facts.said(sample, key))
    for key, places in read.at_a_distance.items():
        said = facts.said(next(iter(places.values())), key)
        yield from other_quantities(facts, places, read.times, said, title)
        uses = _uses(facts, places)
        for (primitive, _), use in uses.items() if len(uses) > 1 else ():
            of = RESULTS.get(primitive, "one place")
            yield from other_quantities(facts, use, read.times, f"the {said} of {of}", title)


def _of_copies(facts: Facts, sample: Value, said: str) -> Iterator[Hypothesis]:
    """The same mistake wherever lengths or targets are read that were given twice: to a layer, and to a loss."""
    if sample.kind != "input" or sample.array.dtype.kind not in "iu":
        return
    copies = [v.index for v in facts.run.leaves if v.kind == "input" and np.array_equal(v.array, sample.array)]
    slots = facts.readings(copies)
    for label, change in likely(facts, sample, said) if len(copies) > 1 else ():
        yield Hypothesis(f"everywhere, {label}", Edit(reads=dict.fromkeys(slots, alone(change))))


def _uses(facts: Facts, places: Places) -> dict[tuple[str, int], Places]:
    """The places where the same is read, by what is computed there: y of (g · y) · (1 − y), say."""
    uses: dict[tuple[str, int], Places] = {}
    for (i, k), operand in places.items():
        uses.setdefault((facts.run.steps[i].primitive, k), {})[i, k] = operand
    return uses


def other_quantities(
    facts: Facts, places: Places, times: dict[Place, int | None], said: str, title: str, after: str = ": "
) -> Iterator[Hypothesis]:
    """Another quantity, or the same at another step, is read; ``title`` says where, ``after`` ends it."""
    sample = next(iter(places.values()))
    phase = facts.run.steps[next(iter(places))[0]].phase
    for (quantity, _), members in facts.seen(phase):
        first = facts.run.values[next(iter(members.values()))]
        turned = sample.quantity is None and first.shape == sample.shape[::-1] and len(first.shape) == 2
        if first.array.dtype.kind != "f" or not (turned or first.shape == sample.shape):
            continue
        for how, pick in _picks(members):
            reads: dict[Place, Change] = {}
            if all(other is None or facts.is_constant(other) for other in map(pick, map(times.get, places))):
                continue
            for place, operand in places.items():
                other = pick(times[place])
                if other is not None and other != operand.index and facts.may_read(other, place[0]):
                    reads[place] = instead_of(other, turned)
            word = symbol(quantity) + how
            if reads and (word != said or sample.quantity is None):  # an edit before this may be for other steps only
                instead = f"{word} itself is used" if word == said else f"{word} is used where {said} belongs"
                yield Hypothesis(f"{title}{after}{instead}", Edit(reads=reads))
            if reads and word != said and facts.is_share(first):
                less = {place: (lambda x, look, f=f: 1 - f(x, look)) for place, f in reads.items()}
                yield Hypothesis(f"{title}{after}1 − {word} is used where {said} belongs", Edit(reads=less))


def instead_of(other: int, turned: bool = False) -> Change:
    """Another value (or its transpose) is read."""
    return lambda x, look: P.transpose(look(other), axes=(1, 0)) if turned else look(other)


def _picks(members: Members) -> list[tuple[str, Callable[..., int | None]]]:
    """Which step of a quantity is read: the same, a neighbour, always the first or always the last."""
    if len(members) == 1:
        return [("", lambda t: next(iter(members.values())))]
    times = sorted(t for t in members if t is not None)
    out: list[tuple[str, Callable[..., int | None]]] = []
    for away in (0, -1, 1, -2):
        how = f"[t{away:+d}]" if away else ""
        out.append((how, lambda t, a=away: members.get(max((t or 0) + a, INITIAL))))
    for name, t0 in (("initial" if times[0] == INITIAL else str(times[0]), times[0]), (str(times[-1]), times[-1])):
        out.append((f"[{name}]", lambda t, t0=t0: members[t0]))
    return out


def exchanged(facts: Facts, found: dict[Key, Places], target: str) -> Iterator[Hypothesis]:
    """Two of the things that are read are taken for each other."""
    keys = [k for k in found if k[0]]
    for n, one in enumerate(keys):
        for two in keys[n + 1 :]:
            a, b = (next(iter(found[k].values())) for k in (one, two))
            if a.shape != b.shape:
                continue
            reads: dict[Place, Change] = {}
            for here, there in zip(sorted(found[one]), sorted(found[two]), strict=False):
                reads[here] = instead_of(found[two][there].index)
                reads[there] = instead_of(found[one][here].index)
            text = f"{target}: {facts.said(a, one)} and {facts.said(b, two)} are taken for each other"
            yield Hypothesis(text, Edit(reads=reads))


def together(facts: Facts, found: dict[Key, Places], title: str) -> Iterator[Hypothesis]:
    """The same mistake with all weights and biases of one shape that are read."""
    groups: dict[tuple[int, ...], dict[Key, Places]] = {}
    for key, places in found.items():
        sample = next(iter(places.values()))
        if sample.kind == "parameter" or facts.is_piece(sample):
            groups.setdefault(sample.shape, {})[key] = places
    for group in groups.values():
        if len(group) > 1:
            names = (facts.said(next(iter(places.values())), key) for key, places in group.items())
            said = f"each of {' and '.join(names)}"
            slots = [place for places in group.values() for place in places]
            for label, change in scaled(facts, said):
                yield Hypothesis(f"{title}: {label}", Edit(reads=dict.fromkeys(slots, alone(change))))


def blocks(facts: Facts, places: Places, said: str, target: str) -> Iterator[Hypothesis]:
    """The part of one gate, in what stands for all, is another quantity."""
    sample = next(iter(places.values()))
    size = sample.shape[-1] if len(sample.shape) > 1 else 0
    if sample.quantity is not None or facts.gates < 2 or size % facts.gates or size == facts.gates:
        return
    block, shape = size // facts.gates, (*sample.shape[:-1], size // facts.gates)
    for (quantity, _), members in facts.series.items():
        if facts.run.values[next(iter(members.values()))].shape != shape:
            continue
        for b, gate in enumerate(facts.gate_names()):
            reads: dict[Place, Change] = {}
            for i, k in places:
                t = facts.run.steps[i].time
                other = members.get(t, members.get(None))
                if other is not None and facts.may_read(other, i):
                    reads[i, k] = _with_block(other, b * block, (b + 1) * block)
            if reads:
                text = f"{target}: {symbol(quantity)} is used for gate {gate} in {said}"
                yield Hypothesis(text, Edit(reads=reads))


def _with_block(other: int, start: int, end: int) -> Change:
    """Another value stands in the last axis from ``start`` to ``end``."""

    def change(x: Any, look: Look) -> Any:
        parts = [P.getitem(x, index=(..., slice(0, start))), look(other), P.getitem(x, index=(..., slice(end, None)))]
        return P.concatenate(*parts, axis=len(x.shape) - 1)

    return change
