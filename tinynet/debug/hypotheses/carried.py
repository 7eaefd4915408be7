"""What comes from the step after, or the one before, through several states at once."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug.hypotheses.base import Facts, Hypothesis, alone
from tinynet.debug.program import Edit

WAYS = {"d_next_": "from step t+1", "d_previous_": "from step t−1"}  # as their gradients are called


def nothing_carried(facts: Facts) -> Iterator[Hypothesis]:
    """The gradients that each step hands on are computed, and never used: through none of the states."""
    for start, said in WAYS.items():
        families = [family for family in facts.series if family[0].startswith(start)]
        made = [i for family in families for i in facts.made(facts.computed(family))]
        if len(families) > 1:
            sentence = f"no gradient comes {said}, through any state"
            yield Hypothesis(sentence, Edit(outputs=dict.fromkeys(made, alone(lambda x: 0 * x))))
