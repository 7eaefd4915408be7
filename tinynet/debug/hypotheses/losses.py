"""Other softmaxes and cross-entropies: of probabilities as if they were scores, with a guard, without the shift."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug.cross_entropy import CrossEntropy, cross_entropies
from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, symbol
from tinynet.debug.program import Edit

GUARDS = [10.0**-k for k in range(1, 13)]


def other_losses(facts: Facts, values: Members, target: str) -> Iterator[Hypothesis]:
    """What ``values`` may be instead, if they are the losses or the probabilities of a cross-entropy."""
    for site in cross_entropies(facts.program):
        if site.nll.index in values.values():
            yield from _other_loss(facts, site, target)
        if site.p.index in values.values():
            text = f"{target}: e^{symbol(str(site.scores.quantity))} is taken without taking off the largest first"
            yield Hypothesis(text, Edit(steps={facts.program.made_by[site.p.index]: site.unshifted}))


def _other_loss(facts: Facts, site: CrossEntropy, target: str) -> Iterator[Hypothesis]:
    step = facts.program.made_by[site.nll.index]
    for (quantity, _), members in facts.series.items():
        other = facts.run.values[next(iter(members.values()))]
        if other is not site.scores and other.shape == site.scores.shape and facts.may_read(other.index, step):
            text = f"{target}: the cross-entropy is that of {symbol(quantity)}, as if these were scores"
            yield Hypothesis(text, Edit(steps={step: site.of_scores(other.index)}))
    for guard in GUARDS:
        text = f"{target}: {guard:g} is added to {symbol(str(site.p.quantity))} before the logarithm"
        yield Hypothesis(text, Edit(steps={step: site.of_probabilities(guard)}))
    text = f"{target}: the logarithm of {symbol(str(site.p.quantity))} is taken, which may be that of 0"
    yield Hypothesis(text, Edit(steps={step: site.of_probabilities(0.0)}))
