"""Relations between two arrays: what turns our numbers into somebody's, found by measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses import Hypothesis, family_of, functions, softmax, symbol
from tinynet.debug.program import Change, Edit, Program
from tinynet.run import INITIAL, Value

NAMED = {-1.0: "has the wrong sign", 2.0: "is twice what it should be", 0.5: "is half of what it should be"}


def relations(
    program: Program,
    mine: Mapping[int, np.ndarray],
    changed: Mapping[int, np.ndarray],
    value: Value,
    tolerance: float,
    scales: Mapping[int, float],
) -> Iterator[Hypothesis]:
    """Hypotheses about ``value`` and the other steps of its quantity, each true of all of them that were brought."""
    run = program.run
    members = [v.index for v in run.values if v.quantity is not None and family_of(v) == family_of(value)]
    members = [i for i in members if i in mine]
    if value.index not in program.made_by or (value.time == INITIAL and value.of is None):
        sentence = f"your {symbol(str(value.quantity))} are other numbers than ours: all else follows from them"
        yield Hypothesis(sentence, Edit(), known={i: np.asarray(mine[i], float) for i in members})
        return
    if value.array.dtype.kind != "f":
        return
    members = [i for i in members if i in program.made_by]  # an initial state is a leaf

    def ours(i: int) -> np.ndarray:
        return np.asarray(mine.get(i, changed.get(i, program.arrays[i])), float)

    yours = np.concatenate([mine[i].reshape(-1) for i in members]).astype(float)
    expected = [_expected(program, mine, changed, i) for i in members]
    here = np.concatenate([array.reshape(-1) for array in expected])
    if not (np.all(np.isfinite(yours)) and np.all(np.isfinite(here))):
        return
    made = [program.made_by[i] for i in members]
    name, allowed = symbol(str(value.quantity)), tolerance * scales[value.index]

    def fits(array: np.ndarray) -> bool:
        return bool(np.all(np.abs(array - yours) <= allowed))

    if not np.any(yours):
        yield from _both(f"{name} is zero: it is never computed, or never added to", made, lambda x: 0 * x)
    weight = float(here @ here)
    factor = float(yours @ here) / weight if weight else 0.0
    if abs(factor) > 1e-12:
        said = _said_of(factor)
        # One number always fits one factor: only a factor that means something says anything about it.
        if fits(factor * here) and (yours.size > 1 or "the factor" not in said):
            yield from _both(f"{name} {said}", made, lambda x, c=factor: c * x)
    added = float(np.mean(yours - here))
    if added and yours.size > 1 and fits(here + added):
        yield from _both(f"{added:.4g} is added to all of {name}", made, lambda x, k=added: x + k)
    bound = float(np.abs(yours).max(initial=0))
    at_bound = int(np.sum(np.abs(yours) >= bound * (1 - 1e-12)))
    if (
        bound
        and yours.size > 1
        and (fits(np.clip(here, -bound, bound)) or (at_bound > 1 and float(np.abs(here).max()) > bound))
    ):
        text = f"{name} is clipped to ±{bound:.4g}"
        yield from _both(text, made, lambda x, b=bound: _clipped(x, b))
    bounds = [float(np.abs(mine[i]).max(initial=0)) for i in members]
    cut = sum(bool(np.any(np.abs(e) > b * (1 + 1e-9))) for e, b in zip(expected, bounds, strict=True))
    if (
        cut > 1
        and all(bounds)
        and all(
            np.all(np.abs(np.clip(e, -b, b) - mine[i]) <= allowed)
            for i, e, b in zip(members, expected, bounds, strict=True)
        )
    ):
        clips = {m: (lambda x, look, b=b: _clipped(x, b)) for m, b in zip(made, bounds, strict=True)}
        yield Hypothesis(f"{name} is clipped at every step", Edit(outputs=clips))
    yield from _of_all(program, mine, changed, value, lambda i: tolerance * scales[i])
    yield from _differences(program, members, yours, here, ours, name, fits)


def _expected(program: Program, mine: Mapping[int, np.ndarray], changed: Mapping, i: int) -> np.ndarray:
    """What our formula makes of the other numbers that were brought."""
    known = {j: np.asarray(array, float) if array.dtype.kind == "f" else array for j, array in mine.items() if j != i}
    steps = program.between(i, set(known))
    inside = {program.steps[n].output.index for n in steps}
    found = program.evaluate(Edit(), {j: a for j, a in {**changed, **known}.items() if j not in inside}, steps)
    return np.asarray(program.arrays[i] if found is None else found.get(i, program.arrays[i]), float)


def _said_of(factor: float) -> str:
    for number, words in NAMED.items():
        if abs(factor - number) < 1e-9 * abs(number):
            return words
    if abs(factor) < 1 and abs(1 / factor - round(1 / factor)) < 1e-6:
        return f"is divided by {round(1 / factor)} once too often (a mean instead of a sum?)"
    if abs(factor) > 1 and abs(factor - round(factor)) < 1e-6:
        return f"is {round(factor)} times too large (a sum instead of a mean?)"
    return f"is multiplied by the factor {factor:.6g}"


@dataclass(frozen=True)
class Other:
    """Another quantity, laid beside the members of one: ``pairs`` of value indexes, and its numbers in their order."""

    word: str
    pairs: dict[int, int]
    numbers: np.ndarray


def _others(program: Program, members: list[int], ours: Callable[[int], np.ndarray]) -> Iterator[Other]:
    """Every quantity that could stand beside the members: at the same step, the one before, the one after."""
    values = program.run.values
    series: dict[tuple[str, int], dict[int | None, int]] = {}
    for v in values:
        alike = v.array.size > 1 or program.arrays[members[0]].size == 1  # one number beside many says nothing
        if v.quantity is not None and v.array.dtype.kind == "f" and alike:
            series.setdefault(family_of(v), {})[v.time] = v.index
    for family, others in series.items():
        for away in (0, -1, 1):
            pairs: dict[int, int] = {}
            for i in members:
                t = values[i].time
                j = others.get(None) if t is None or (None in others and away == 0) else others.get(t + away)
                if j is not None and j != i and (t is not None or away == 0):
                    pairs[i] = j
            pairs = {i: j for i, j in pairs.items() if _broadcasts(program.arrays[j].shape, program.arrays[i].shape)}
            if not pairs or (len(members) > 2 and len(pairs) < len(members) - 1):
                continue
            numbers = [
                np.broadcast_to(ours(pairs[i]), program.arrays[i].shape).reshape(-1)
                if i in pairs
                else np.full(program.arrays[i].size, np.nan)
                for i in members
            ]
            yield Other(symbol(family[0]) + (f"[t{away:+d}]" if away else ""), pairs, np.concatenate(numbers))


def _differences(program, members, yours, here, ours, name, fits) -> Iterator[Hypothesis]:
    """What is too much or missing is a multiple of another quantity; or that, of some function, is a factor."""
    missing = yours - here
    bases = list(_read(program, members, ours, here.size))
    others = list(_others(program, members, ours))
    yield from _two_differences(program, others, here, missing, name, fits)
    for other in others:
        beside = np.isfinite(other.numbers)
        added = np.where(beside, other.numbers, 0.0)
        size = float(added @ added)
        k = float(missing @ added) / size if size else 0.0
        if k and fits(here + k * added):
            text = {1.0: f"{other.word} is added once too often", -1.0: f"{other.word} is missing"}.get(
                round(k, 6), f"{k:.4g} times {other.word} is added"
            )
            yield from _beside(program, other, f"{name}: {text}", lambda x, w, k=k: x + k * w)
        for how, function in [*functions().items(), ("{}", lambda x: x), *_softmaxes(program, members)]:
            said = how.format(other.word)
            with np.errstate(all="ignore"):
                factor = np.where(beside, np.asarray(function(added)), 1.0)
                changes: list[tuple[str, np.ndarray, Any]] = [
                    (f"{name} is multiplied by {said}", here * factor, lambda x, w, f=function: x * f(w)),
                    (f"{name} is divided by {said}", here / factor, lambda x, w, f=function: x / f(w)),
                    (f"{name} holds {said}", np.where(beside, factor, here), lambda x, w, f=function: f(w) + 0 * x),
                ]
            for text, numbers, change in changes:
                if fits(numbers):
                    yield from _beside(program, other, text, change)
            for base in bases:
                with np.errstate(all="ignore"):
                    product = base.numbers * factor
                if fits(product):
                    text = f"{name} is {base.word} times {said}"
                    outputs: dict[int, Change] = {
                        program.made_by[i]: (
                            lambda x, look, i=i, f=function, b=base, o=other: look(b.pairs[i]) * f(look(o.pairs[i]))
                        )
                        for i in members
                        if i in base.pairs and i in other.pairs
                    }
                    yield Hypothesis(text, Edit(outputs=outputs))


def _two_differences(program, others, here, missing, name, fits) -> Iterator[Hypothesis]:
    """Two terms at once are missing, or too many: both biases, say."""
    whole = [o for o in others if np.all(np.isfinite(o.numbers)) and o.numbers.any()]
    for n, a in enumerate(whole):
        for b in whole[n + 1 :]:
            for p, q in ((-1.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)):
                if fits(here + p * a.numbers + q * b.numbers):
                    said = [
                        f"{o.word} is {'missing' if k < 0 else 'added once too often'}" for o, k in ((a, p), (b, q))
                    ]
                    outputs: dict[int, Change] = {
                        program.made_by[i]: (
                            lambda x, look, i=i, a=a, b=b, p=p, q=q: x + p * look(a.pairs[i]) + q * look(b.pairs[i])
                        )
                        for i in a.pairs
                        if i in b.pairs
                    }
                    yield Hypothesis(f"{name}: {said[0]}, and {said[1]}", Edit(outputs=outputs))


def _softmaxes(program: Program, members: list[int]) -> list[tuple[str, Callable]]:
    """Softmaxes along each axis, of numbers laid out as the members are, one after the other."""
    shape = program.arrays[members[0]].shape
    if len(members) > 1:
        return []

    def along(x: Any, axis: int) -> Any:
        return P.reshape(softmax(P.reshape(x, shape=shape), axis), shape=x.shape)

    return [(f"a softmax of {{}} along axis {axis}", lambda x, a=axis: along(x, a)) for axis in range(len(shape))]


def _read(program: Program, members: list[int], ours: Callable, size: int) -> Iterator[Other]:
    """The gradients that the members are computed from."""
    named = {v.index for v in program.run.values if v.quantity is not None}
    found: dict[str, dict[int, int]] = {}
    for i in members:
        for n in program.between(i, named - {i}):
            for operand in program.steps[n].operands:
                if isinstance(operand, Value) and operand.of is not None and operand.shape == program.arrays[i].shape:
                    found.setdefault(family_of(operand)[0], {})[i] = operand.index
    for quantity, pairs in found.items():
        if len(pairs) == len(members):
            yield Other(symbol(quantity), pairs, np.concatenate([ours(pairs[i]).reshape(-1) for i in members]))


def _beside(program: Program, other: Other, sentence: str, change: Callable) -> Iterator[Hypothesis]:
    outputs: dict[int, Change] = {}
    for i, j in other.pairs.items():
        outputs[program.made_by[i]] = lambda x, look, j=j: change(x, look(j))
    yield Hypothesis(sentence, Edit(outputs=outputs))
    yield Hypothesis(f"{sentence}, in what is shown only", Edit(outputs=outputs), shown_only=True)


def _of_all(
    program: Program, mine: Mapping[int, np.ndarray], changed: Mapping, value: Value, allowed: Callable
) -> Iterator[Hypothesis]:
    """What is true of the gradients of all parameters alike, or of all updated parameters."""
    values = program.run.values
    if value.copy_of is not None:
        role, alike = "the updated parameters", [v for v in values if v.copy_of is not None]
    elif value.of is not None and value.of.kind == "parameter" and value.share is None:
        alike = [v for v in values if v.of is not None and v.of.kind == "parameter" and v.share is None]
        role = "the gradients of the parameters"
    else:
        return
    alike = [v for v in alike if v.update == value.update and v.index in mine]
    own = {v.index: (v.copy_of or v.of).index for v in alike}  # type: ignore[union-attr]
    yours, here, parameters = (
        {v.index: np.asarray(f(v), float).reshape(-1) for v in alike}
        for f in (
            lambda v: mine[v.index],
            lambda v: _expected(program, mine, changed, v.index),
            lambda v: program.arrays[own[v.index]],
        )
    )
    made = {i: program.made_by[i] for i in yours}

    def all_fit(numbers: dict[int, np.ndarray]) -> bool:
        return all(np.all(np.abs(numbers[i] - yours[i]) <= allowed(i)) for i in yours)

    first = value.index
    size = float(parameters[first] @ parameters[first])
    if size:
        k = float((yours[first] - here[first]) @ parameters[first]) / size
        if k and all_fit({i: here[i] + k * parameters[i] for i in yours}):
            outputs = {made[i]: (lambda x, look, j=own[i]: x + k * look(j)) for i in yours}
            yield Hypothesis(f"{role}: {k:.4g} times the parameter is added (weight decay?)", Edit(outputs=outputs))
    weight = float(here[first] @ here[first])
    if weight:
        c = float(yours[first] @ here[first]) / weight
        if c and all_fit({i: c * here[i] for i in yours}):
            text = f"{role}: each {_said_of(c)}"
            yield Hypothesis(text, Edit(outputs={m: (lambda x, look: c * x) for m in made.values()}))
    bounds = {i: float(np.abs(yours[i]).max(initial=0)) for i in yours}
    for limit, said in ((dict.fromkeys(yours, max(bounds.values())), "all"), (bounds, "each")):
        if all_fit({i: np.clip(here[i], -limit[i], limit[i]) for i in yours}):
            clips = {made[i]: (lambda x, look, b=limit[i]: _clipped(x, b)) for i in yours}
            yield Hypothesis(f"{role}: {said} clipped to ±{limit[first]:.4g}", Edit(outputs=clips))
    factors = {i: float(yours[i] @ here[i]) / float(here[i] @ here[i]) for i in yours if here[i].any()}
    if len(factors) == len(yours) and all_fit({i: factors[i] * here[i] for i in yours}):
        scaled = {made[i]: (lambda x, look, c=factors[i]: c * x) for i in yours}
        yield Hypothesis(f"{role}: each is scaled by a factor of its own (clipped by its norm?)", Edit(outputs=scaled))


def _broadcasts(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, large) == large
    except ValueError:
        return False


def _both(sentence: str, made: list[int], change) -> Iterator[Hypothesis]:
    """The number itself is wrong, or only the copy that is shown."""
    edit = Edit(outputs=dict.fromkeys(made, lambda x, look: change(x)))
    yield Hypothesis(sentence, edit)
    yield Hypothesis(f"{sentence}, in what is shown only", edit, shown_only=True)


def _clipped(x, bound: float):
    return P.minimum(P.maximum(x, -bound), bound)
