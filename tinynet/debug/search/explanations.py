"""What is said of the computations that reproduce everything: one explanation for all that are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinynet.debug.comparison import Comparison
from tinynet.debug.hypotheses import SHOWN_ONLY, is_mask
from tinynet.debug.program import Edit, Program
from tinynet.debug.rounds import smaller_numbers
from tinynet.debug.search.state import State

# What says least about the mistake comes last; otherwise the shorter sentence is the better one.
AWKWARD = (
    "factor is kept",
    "term of add is kept",
    "the second term is",
    "a part of the sum",
    "the parameter is left out",
    "1 / ",
    "holds",
    "multiplied by",
    "is used where",
    "instead of",
    "only the first",
    "only the last",
    "in the forward pass",
    "everywhere",
    "at t =",
    "at all steps but",
    " 0]",
    "1 in its place",
)
CLEARER = 10  # letters less, as which a word counts that says what kind of mistake it is


@dataclass(frozen=True)
class Explanation:
    """Sentences (one for each bug) that together reproduce every array, and how many values they explain.

    ``alike`` holds other sentences for the same computation: they fit these data as well, and all others.
    """

    sentences: tuple[str, ...]
    explained: int
    alike: tuple[str, ...] = ()


def awkward(sentence: str) -> int:
    """How little a sentence says: the larger, the less."""
    sentence = re.sub(r" \(a (sum|mean) instead of .*\)|: `=` instead of `\+=`", "", sentence)  # a remark
    length = len(sentence) - CLEARER * ("the derivative of" in sentence)
    return length + 100 * sum((1 + rank) for rank, word in enumerate(reversed(AWKWARD)) if word in sentence)


class Explanations:
    """Tells computations apart that agree on the numbers there are, by what they make of ``other`` numbers."""

    def __init__(self, comparison: Comparison):
        self.comparison, self.program = comparison, comparison.program

    def distinct(self, found: list[State], wrong: int) -> Iterator[Explanation]:
        """One explanation for all sentences that stand for the same computation: on other numbers too.

        ``wrong`` is how many values are explained.
        """
        groups: list[tuple[dict[int, np.ndarray] | None, list[State]]] = []
        for state in _telling(found):
            elsewhere = self._elsewhere(state)
            for other, members in groups:
                if self._same(other, elsewhere):
                    members.append(state)
                    break
            else:
                groups.append((elsewhere, [state]))
        for _, members in groups:
            best = min(members, key=lambda s: (len(s.sentences), sum(map(awkward, s.sentences))))
            others = (m.sentences for m in members if m.sentences != best.sentences)
            yield Explanation(best.sentences, wrong, tuple(dict.fromkeys("; ".join(o) for o in others)))

    def _same(self, a: dict[int, np.ndarray] | None, b: dict[int, np.ndarray] | None) -> bool:
        if a is None or b is None:
            return False
        arrays = self.other.arrays
        with np.errstate(all="ignore"):
            for i in self.comparison.mine:
                one, two = a.get(i, arrays[i]), b.get(i, arrays[i])
                size = float(np.abs(arrays[i]).max(initial=0))
                same = np.isclose(one, two, rtol=1e-7, atol=1e-9 * (1 + size), equal_nan=True)
                if not np.all(same | self.comparison.irrelevant.get(i, False)):
                    return False
        return True

    def _elsewhere(self, state: State) -> dict[int, np.ndarray] | None:
        """What the same edits do to other numbers."""
        if state.edit == Edit():
            return None
        return self.other.differentiated(state.edit) if state.differentiated else self.other.evaluate(state.edit)

    @cached_property
    def other(self) -> Program:
        """The same program on other numbers of the same size."""
        rng = np.random.default_rng(0)
        given = (v for v in self.program.recorded.leaves if v.kind in ("parameter", "input"))
        leaves = {
            v.index: v.array + rng.normal(size=v.shape) * max(float(np.abs(v.array).max(initial=0)), 0.1) * 0.5
            for v in given
            if v.array.dtype.kind == "f" and not is_mask(v.array)
        }
        return Program(self.program.recorded.recomputed(leaves | smaller_numbers(self.program.recorded)))


def _telling(found: list[State]) -> list[State]:
    """Those that say something.

    A number that was measured explains nothing where there is a reason without one; and that only what is shown is
    wrong says nothing where nothing that was brought is computed from it.
    """
    found = [state for state in found if not state.fitted] or found
    said = {state.sentences for state in found}
    used = [(state, tuple(x.removesuffix(SHOWN_ONLY) for x in state.sentences)) for state in found]
    return [state for state, sentences in used if sentences == state.sentences or sentences not in said]
