"""What is true of the gradients of all parameters alike, or of all updated parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from tinynet.debug.hypotheses import Hypothesis, family_of
from tinynet.debug.program import Edit
from tinynet.debug.relations.base import HERE, Brought, clip, said_of
from tinynet.run import Value


def of_all_parameters(brought: Brought, value: Value, allowed: Mapping[int, float]) -> Iterator[Hypothesis]:
    """A multiple of each parameter is added, or each is a multiple, or clipped."""
    role, alike = brought.facts.alike(value)
    alike = [v for v in alike if v.index in brought.mine and v.beside is None]
    own = {v.index: _before(brought, v).index for v in alike}
    if not own:
        return
    yours = {i: brought.yours(i).reshape(-1) for i in own}
    here = {i: brought.expected(i).reshape(-1) for i in own}
    parameters = {i: brought.yours(j).reshape(-1) for i, j in own.items()}
    made, first = {i: brought.facts.program.made_by[i] for i in own}, value.index

    def all_fit(numbers: dict[int, np.ndarray]) -> bool:
        return all(np.all(np.abs(numbers[i] - yours[i]) <= allowed[i]) for i in yours)

    yield from _exchanged(brought, yours, here, allowed)
    k = _share(yours[first] - here[first], parameters[first])
    if k and all_fit({i: here[i] + k * parameters[i] for i in yours}):
        outputs = {made[i]: (lambda x, look, j=own[i]: x + k * look(j)) for i in yours}
        yield Hypothesis(
            f"{role}: {k:.4g} times the parameter is added (weight decay?)", Edit(outputs=outputs), fitted=True
        )
    c = _share(yours[first], here[first])
    if c and all_fit({i: c * here[i] for i in yours}):
        text = f"{role}: each {said_of(c)}"
        yield Hypothesis(text, Edit(outputs={m: (lambda x, look: c * x) for m in made.values()}), fitted=HERE in text)
    bounds = {i: float(np.abs(yours[i]).max(initial=0)) for i in yours}
    for limit, said in ((dict.fromkeys(yours, max(bounds.values())), "all"), (bounds, "each")):
        if all(limit[i] > allowed[i] for i in yours) and all_fit(
            {i: np.clip(here[i], -limit[i], limit[i]) for i in yours}
        ):
            clips = {made[i]: (lambda x, look, b=limit[i]: clip(x, b)) for i in yours}
            yield Hypothesis(f"{role}: {said} clipped to ±{limit[first]:.4g}", Edit(outputs=clips))
    factors = {i: _share(yours[i], here[i]) for i in yours if here[i].any()}
    if len(factors) == len(yours) and all_fit({i: factors[i] * here[i] for i in yours}):
        yield from _of_some(brought, factors, made)
        scaled = {made[i]: (lambda x, look, c=factors[i]: c * x) for i in yours}
        yield Hypothesis(
            f"{role}: each is scaled by a factor of its own (clipped by its norm?)", Edit(outputs=scaled), fitted=True
        )


def _exchanged(
    brought: Brought, yours: Mapping[int, np.ndarray], here: Mapping[int, np.ndarray], allowed: Mapping[int, float]
) -> Iterator[Hypothesis]:
    """Two of them are each other."""
    values = brought.facts.run.values
    for i, j in combinations(yours, 2):
        if values[i].shape == values[j].shape and not np.array_equal(here[i], here[j]):
            there = (np.abs(yours[i] - here[j]) <= allowed[j]) & (np.abs(yours[j] - here[i]) <= allowed[i])
            if np.all(there):
                names = f"{_called(values[i])} and {_called(values[j])}"
                known = {i: brought.yours(i), j: brought.yours(j)}
                yield Hypothesis(f"the gradients of {names} are taken for each other", Edit(), known=known)


def _of_some(brought: Brought, factors: Mapping[int, float], made: Mapping[int, int]) -> Iterator[Hypothesis]:
    """Several are the same multiple, the others are right."""
    wrong = {i: c for i, c in factors.items() if abs(c - 1) > 1e-6}
    c = next(iter(wrong.values()), 1.0)
    if 1 < len(wrong) < len(factors) and np.ptp(list(wrong.values())) < 1e-6 * abs(c) and brought.facts.is_simple(c):
        names = [_called(brought.facts.run.values[i]) for i in wrong]
        text = f"the gradients of {', '.join(names[:-1])} and {names[-1]}: each {said_of(c)}"
        yield Hypothesis(text, Edit(outputs={made[i]: (lambda x, look: c * x) for i in wrong}))


def _called(value: Value) -> str:
    """The parameter that a gradient, or an updated one, belongs to."""
    parameter = value.of or value.copy_of
    assert parameter is not None
    return str(parameter.quantity)


def _before(brought: Brought, value: Value) -> Value:
    """The parameter that an updated one comes from, or that a gradient belongs to."""
    if value.time and value.copy_of is not None:  # in the round before
        return brought.facts.run.values[brought.facts.series[family_of(value)][value.time - 1]]
    parameter = value.copy_of or value.of
    assert parameter is not None
    return parameter


def _share(whole: np.ndarray, part: np.ndarray) -> float:
    """How often ``part`` is contained in ``whole``."""
    size = float(part @ part)
    return float(whole @ part) / size if size else 0.0
