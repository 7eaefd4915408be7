"""How a quantity differs by another one: that is added, or missing, or a factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses import SHOWN_ONLY, Hypothesis, family_of, functions, softmax, symbol
from tinynet.debug.hypotheses.base import Members
from tinynet.debug.program import Array, Change, Edit
from tinynet.debug.relations.base import HERE, Beside
from tinynet.run import Value

SIGNS = {-1.0: "is missing", 1.0: "is added once too often"}


@dataclass(frozen=True)
class Other:
    """Another quantity, laid beside the members of one: ``pairs`` of value indexes, and its numbers in their order."""

    word: str
    pairs: dict[int, int]
    numbers: np.ndarray


def differences(seen: Beside) -> Iterator[Hypothesis]:
    """What is too much or missing is a multiple of another quantity; or that, of some function, is a factor."""
    bases, others = list(_read(seen)), list(_others(seen))
    yield from _two_differences(seen, others)
    yield from _products(seen, others)
    for other in others:
        yield from _difference(seen, other)
        for how, function in [*functions().items(), ("{}", lambda x: x), *_softmaxes(seen)]:
            yield from _factor(seen, other, bases, how.format(other.word), function)


def _difference(seen: Beside, other: Other) -> Iterator[Hypothesis]:
    """A multiple of another quantity is added. One number alone is a multiple of any other, which says nothing."""
    added = np.where(np.isfinite(other.numbers) & seen.counts, other.numbers, 0.0)
    size = float(added @ added)
    k = float((seen.yours - seen.here) @ added) / size if size else 0.0
    said = SIGNS.get(round(k, 6))
    if k and (said or seen.several) and seen.fits(seen.here + k * added):
        text = f"{other.word} {said}" if said else f"a multiple of {other.word} is added{HERE} {k:.4g} times)"
        yield from _beside(seen, other, f"{seen.name}: {text}", lambda x, w: x + k * w, fitted=said is None)


def _factor(
    seen: Beside, other: Other, bases: list[Other], said: str, function: Callable[[Array], Array]
) -> Iterator[Hypothesis]:
    """A function of another quantity is a factor, a divisor, or all there is."""
    there, name, here = np.isfinite(other.numbers), seen.name, seen.here
    with np.errstate(all="ignore"):
        factor = np.where(there, np.asarray(function(np.where(there, other.numbers, 0.0))), 1.0)
        changes: list[tuple[str, np.ndarray, Callable[..., Array]]] = [
            (f"{name} is multiplied by {said}", here * factor, lambda x, w: x * function(w)),
            (f"{name} is divided by {said}", here / factor, lambda x, w: x / function(w)),
            (f"{name} holds {said}", np.where(there, factor, here), lambda x, w: function(w) + 0 * x),
        ]
        products = [(base, base.numbers * factor) for base in bases]
    for text, numbers, change in changes:
        if seen.fits(numbers):
            yield from _beside(seen, other, text, change)
    for base, numbers in products:
        if seen.fits(numbers):
            outputs: dict[int, Change] = {
                seen.brought.facts.program.made_by[i]: (
                    lambda x, look, i=i, b=base: look(b.pairs[i]) * function(look(other.pairs[i]))
                )
                for i in seen.members
                if i in base.pairs and i in other.pairs
            }
            yield Hypothesis(f"{name} is {base.word} times {said}", Edit(outputs=outputs))


def _two_differences(seen: Beside, others: list[Other]) -> Iterator[Hypothesis]:
    """Two terms at once are missing, or too many: both biases, say."""
    whole = [o for o in others if np.all(np.isfinite(o.numbers)) and o.numbers.any()]
    for (a, b), (p, q) in product(combinations(whole, 2), product(SIGNS, SIGNS)):
        if seen.fits(seen.here + p * a.numbers + q * b.numbers):
            outputs: dict[int, Change] = {
                seen.brought.facts.program.made_by[i]: (
                    lambda x, look, i=i, a=a, b=b, p=p, q=q: x + p * look(a.pairs[i]) + q * look(b.pairs[i])
                )
                for i in a.pairs
                if i in b.pairs
            }
            text = f"{seen.name}: {a.word} {SIGNS[p]}, and {b.word} {SIGNS[q]}"
            yield Hypothesis(text, Edit(outputs=outputs))


def _products(seen: Beside, others: list[Other]) -> Iterator[Hypothesis]:
    """The product of two quantities is missing, or is added once too often: a peephole, say, or a bias in a sum."""
    if not seen.several:
        return
    laid = [o for o in others if np.any(np.where(np.isfinite(o.numbers), o.numbers, 0.0))]
    missing = seen.yours - seen.here
    for a, b in combinations(laid, 2):
        numbers = np.where(np.isfinite(a.numbers + b.numbers), a.numbers * b.numbers, 0.0)
        sign = 1.0 if float(missing @ np.where(seen.counts, numbers, 0.0)) > 0 else -1.0
        if seen.fits(seen.here + sign * numbers):
            outputs: dict[int, Change] = {
                seen.brought.facts.program.made_by[i]: _plus_product(sign, a.pairs[i], b.pairs[i])
                for i in a.pairs
                if i in b.pairs
            }
            yield Hypothesis(f"{seen.name}: {a.word} times {b.word} {SIGNS[sign]}", Edit(outputs=outputs))


def _plus_product(sign: float, a: int, b: int) -> Change:
    return lambda x, look: x + sign * look(a) * look(b)


# What is laid beside it
def _others(seen: Beside) -> Iterator[Other]:
    """Every quantity that could stand beside the members: at the same step, the one before, the one after."""
    facts, sample = seen.brought.facts, seen.members[0]
    for _, others in facts.seen(facts.run.steps[facts.program.made_by[sample]].phase):
        first = facts.run.values[next(iter(others.values()))]
        alike = first.array.size > 1 or facts.program.arrays[sample].size == 1  # one number beside many says nothing
        if first.array.dtype.kind not in "fb" or not alike:
            continue
        for away in (0, -1, 1):
            pairs = _pairs(seen, others, away)
            if pairs and all(facts.is_constant(j) for j in pairs.values()):
                continue
            if pairs and (len(seen.members) <= 2 or len(pairs) >= len(seen.members) - 1):
                word = facts.called(first) + (f"[t{away:+d}]" if away else "")
                yield Other(word, pairs, np.concatenate([_laid(seen, i, pairs.get(i)) for i in seen.members]))


def _pairs(seen: Beside, others: Members, away: int) -> dict[int, int]:
    """What stands beside each member, so many steps away."""
    facts, pairs = seen.brought.facts, {}
    for i in seen.members:
        t = facts.run.values[i].time
        j = others.get(None) if t is None or (None in others and away == 0) else others.get(t + away)
        if j is None or j == i or (t is None and away):
            continue
        if _broadcasts(facts.run.values[j].shape, facts.run.values[i].shape):
            pairs[i] = j
    return pairs


def _laid(seen: Beside, i: int, j: int | None) -> np.ndarray:
    """The numbers of ``j`` as those of ``i`` lie; none where there is no ``j``."""
    shape = seen.brought.facts.run.values[i].shape
    numbers = np.full(shape, np.nan) if j is None else np.broadcast_to(seen.brought.yours(j), shape)
    return numbers.reshape(-1)


def _read(seen: Beside) -> Iterator[Other]:
    """The gradients that the members are computed from, and those that these are computed from."""
    found: dict[str, dict[int, int]] = {}
    for i in seen.members:
        near = _gradients_read(seen, i, i)
        for operand in [further for o in near for further in (o, *_gradients_read(seen, o.index, i))]:
            found.setdefault(family_of(operand)[0], {})[i] = operand.index
    for quantity, pairs in found.items():
        if len(pairs) == len(seen.members):
            numbers = np.concatenate([_laid(seen, i, pairs[i]) for i in seen.members])
            yield Other(symbol(quantity), pairs, numbers)


def _gradients_read(seen: Beside, value: int, like: int) -> list[Value]:
    """The gradients that a value is computed from and that have the shape of another."""
    facts, shape = seen.brought.facts, seen.brought.facts.run.values[like].shape
    read = (o for n in facts.local(value) for o in facts.run.steps[n].operands if isinstance(o, Value))
    return [o for o in read if o.of is not None and o.shape == shape]


def _softmaxes(seen: Beside) -> list[tuple[str, Callable[[Array], Array]]]:
    """Softmaxes along each axis, of numbers laid out as the members are, one after the other."""
    shape = seen.brought.facts.run.values[seen.members[0]].shape
    if len(seen.members) > 1:
        return []

    def along(axis: int) -> Callable[[Array], Array]:
        return lambda x: P.reshape(softmax(P.reshape(x, shape=shape), axis), shape=x.shape)

    return [(f"a softmax of {{}} along axis {axis}", along(axis)) for axis in range(len(shape))]


def _beside(
    seen: Beside, other: Other, sentence: str, change: Callable[..., Array], fitted: bool = False
) -> Iterator[Hypothesis]:
    outputs: dict[int, Change] = {}
    for i, j in other.pairs.items():
        outputs[seen.brought.facts.program.made_by[i]] = _with(change, j)
    yield Hypothesis(sentence, Edit(outputs=outputs), fitted=fitted)
    yield Hypothesis(f"{sentence}{SHOWN_ONLY}", Edit(outputs=outputs), shown_only=True, fitted=fitted)


def _with(change: Callable[..., Array], other: int) -> Change:
    return lambda x, look: change(x, look(other))


def _broadcasts(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, large) == large
    except ValueError:
        return False
