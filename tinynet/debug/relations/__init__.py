"""Relations between two arrays: what turns our numbers into somebody's, found by measuring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tinynet.debug.hypotheses import Hypothesis
from tinynet.debug.relations.alone import clipped, multiples, other_numbers
from tinynet.debug.relations.base import Brought, beside
from tinynet.debug.relations.others import differences
from tinynet.debug.relations.parameters import of_all_parameters
from tinynet.run import INITIAL, Value

__all__ = ["Brought", "relations"]


def relations(brought: Brought, value: Value, allowed: Mapping[int, float]) -> Iterator[Hypothesis]:
    """Hypotheses about ``value`` and the other steps of its quantity, each true of all of them that were brought.

    ``allowed`` says how far a number may be off.
    """
    if value.index not in brought.facts.program.made_by or (value.time == INITIAL and value.of is None):
        yield from other_numbers(brought, value)
        return
    seen = beside(brought, value, allowed[value.index])
    if seen is not None:
        yield from multiples(seen)
        yield from clipped(seen)
        yield from of_all_parameters(brought, value, allowed)
        yield from differences(seen)
