"""What may have led to a wrong value, the likely before the less likely."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tinynet.debug.comparison import Comparison
from tinynet.debug.hypotheses import Family, Hypotheses, Hypothesis
from tinynet.debug.relations import Brought, relations
from tinynet.debug.search.state import State

Kind = Callable[[State, int, list[int]], Iterator[Hypothesis]]  # about a value and the steps that compute it


class Candidates:
    """All hypotheses about a value that is ``wrong`` in a state, and that ``steps`` compute."""

    def __init__(self, comparison: Comparison):
        self.comparison, self.hypotheses = comparison, Hypotheses(comparison.program)

    def own(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        """Relations to what was brought, what is done to all parameters, and edits of its own formula."""
        there, value = self.comparison, self.comparison.program.run.values[wrong]
        brought = Brought(self.hypotheses, there.mine, there.irrelevant, state.changed)
        yield from relations(brought, value, there.allowed)
        if wrong in there.program.made_by:
            yield from self.hypotheses.about_all(value)
        for family in self._quantities(wrong, steps)[:1]:
            yield from self.hypotheses.about(family)
            yield from self.hypotheses.further(family)

    def likely(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        """Likely edits of all else that it is computed from."""
        for family in self._quantities(wrong, steps)[1:]:
            yield from self.hypotheses.about(family)

    def less_likely(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        """Further edits of these."""
        for family in self._quantities(wrong, steps)[1:]:
            yield from self.hypotheses.further(family)

    def at_some_steps(self, state: State, wrong: int, steps: list[int]) -> Iterator[Hypothesis]:
        """Edits at some time steps only, of all that it is computed from."""
        for family in self._quantities(wrong, steps):
            yield from self.hypotheses.at_some_steps(family)

    def _quantities(self, wrong: int, steps: list[int]) -> list[Family]:
        return self.hypotheses.quantities(steps, wrong) if wrong in self.comparison.program.made_by else []
