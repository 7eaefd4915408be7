"""What a quantity is by itself: other numbers, nothing, a multiple, clipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinynet.debug.hypotheses import Hypothesis, symbol
from tinynet.debug.program import Edit
from tinynet.debug.relations.base import HERE, Beside, Brought, clip, members_of, said_of, shown_or_used
from tinynet.run import Value


def other_numbers(brought: Brought, value: Value) -> Iterator[Hypothesis]:
    """What nothing computes is other numbers than ours."""
    sentence = f"your {symbol(str(value.quantity))} are other numbers than ours: all else follows from them"
    known = {i: np.asarray(brought.mine[i], float) for i in members_of(brought, value)}
    yield Hypothesis(sentence, Edit(), known=known)


def multiples(seen: Beside) -> Iterator[Hypothesis]:
    """Nothing, a multiple, or something added to all numbers."""
    if np.all(np.abs(seen.yours) <= seen.allowed):
        yield from shown_or_used(
            f"{seen.name} is zero, as if it was never computed, or never added to", seen.made, lambda x: 0 * x
        )
    weight = float(seen.here @ seen.here)
    factor = float(seen.yours @ seen.here) / weight if weight else 0.0
    if abs(factor) > 1e-12 and seen.fits(factor * seen.here):
        said = said_of(factor)
        fitted = HERE in said
        if seen.several or not fitted:
            yield from shown_or_used(f"{seen.name} {said}", seen.made, lambda x: factor * x, fitted)
    added = float(np.mean((seen.yours - seen.here)[seen.counts])) if seen.several else 0.0
    if added and seen.fits(seen.here + added):
        number = f"{added:.4g}" if seen.brought.facts.is_simple(added) else f"a number{HERE} {added:.4g})"
        text = f"{number} is added to all of {seen.name}"
        yield from shown_or_used(text, seen.made, lambda x: x + added, True)


def clipped(seen: Beside) -> Iterator[Hypothesis]:
    """Cut off at the largest number there is, or at that of each step."""
    bound = float(np.abs(seen.yours).max(initial=0))
    if bound <= seen.allowed or not seen.several:
        return
    at_bound = int(np.sum(np.abs(seen.yours) >= bound * (1 - 1e-12)))
    beyond = at_bound > 1 and float(np.abs(seen.here).max()) > bound
    if beyond or seen.fits(np.clip(seen.here, -bound, bound)):
        yield from shown_or_used(f"{seen.name} is clipped to ±{bound:.4g}", seen.made, lambda x: clip(x, bound))
    ends = np.cumsum([seen.brought.counts(i).size for i in seen.members])[:-1]
    yours, here = np.split(seen.yours, ends), np.split(seen.here, ends)
    bounds = [float(np.abs(part).max(initial=0)) for part in yours]
    cut = sum(bool(np.any(np.abs(part) > b * (1 + 1e-9))) for part, b in zip(here, bounds, strict=True))
    limits = np.concatenate([np.full(part.size, b) for part, b in zip(here, bounds, strict=True)])
    if cut > 1 and min(bounds) > seen.allowed and seen.fits(np.clip(seen.here, -limits, limits)):
        clips = {m: (lambda x, look, b=b: clip(x, b)) for m, b in zip(seen.made, bounds, strict=True)}
        yield Hypothesis(f"{seen.name} is clipped at every step", Edit(outputs=clips))
