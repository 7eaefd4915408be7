"""What comes from the step after, or the one before, through several states at once: not at all, or not far enough."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, alone, family_of
from tinynet.debug.program import Change, Edit, Look, Program
from tinynet.run import Value

WAYS = {"d_next_": "from step t+1", "d_previous_": "from step t−1"}  # as their gradients are called
MOST_BACK = 8  # steps that a truncated gradient goes back
MOST_TIMES = 40  # of a sequence that is tried to be cut


def nothing_carried(facts: Facts) -> Iterator[Hypothesis]:
    """The gradients that each step hands on are computed, and never used: through none of the states."""
    for start, said in WAYS.items():
        families = [family for family in facts.series if family[0].startswith(start)]
        made = [i for family in families for i in facts.made(facts.computed(family))]
        if len(families) > 1:
            sentence = f"no gradient comes {said}, through any state"
            yield Hypothesis(sentence, Edit(outputs=dict.fromkeys(made, alone(lambda x: 0 * x))))


def truncated(facts: Facts) -> Iterator[Hypothesis]:
    """Backpropagation through time that ends too early: so many steps behind each loss, or at some of the steps."""
    states = _gradients_of_states(facts)
    times = sorted(set.intersection(*(set(members) for members in states))) if states else []
    if not 2 < len(times) <= MOST_TIMES:
        return
    carried = _Carried(facts.program, states)

    def edit(back: int, at: Collection[int]) -> Edit:
        made = facts.program.made_by
        return Edit(outputs={made[s[t]]: carried.change(s[t], t, back) for s in states for t in at})

    for back in range(1, min(len(times) - 1, MOST_BACK + 1)):
        steps = "1 step" if back == 1 else f"{back} steps"
        text = f"a gradient goes back {steps} only (truncated BPTT), through any state"
        yield Hypothesis(text, edit(back, times))
    for every in range(2, (len(times) + 1) // 2 + 1):
        for start in range(every):
            at = [t for t in times[:-1] if t % every == start]
            text = f"no gradient comes from the step after t = {', '.join(map(str, at))}, through any state"
            yield Hypothesis(text, edit(0, at))
    for t in times[:-1]:
        yield Hypothesis(f"no gradient comes from the step after t = {t}, through any state", edit(0, [t]))


def _gradients_of_states(facts: Facts) -> list[dict[int, int]]:
    """The gradients, by time, of what a step of the forward pass reads of the step before."""
    gradients, loss = facts.run.total_gradients, facts.run.loss
    found: dict[str, dict[int, int]] = {}
    for members in facts.series.values():
        for t, index in members.items():
            if t is not None and t > 0 and facts.run.values[index].of is None and index in facts.program.made_by:
                operands = (o for i in facts.local(index) for o in facts.run.steps[i].operands if isinstance(o, Value))
                for o in operands:
                    summed = loss is not None and o.quantity == loss.quantity  # over time, of what each step adds
                    if o.quantity is not None and o.time == t - 1 and not summed:
                        found.setdefault(o.quantity, _of_each(facts, facts.series[family_of(o)], gradients))
    return [members for members in found.values() if members]


def _of_each(facts: Facts, members: Members, gradients: dict[Value, Value]) -> dict[int, int]:
    """The gradients of a quantity, by time."""
    found = {t: gradients.get(facts.run.values[index]) for t, index in members.items() if t is not None and t >= 0}
    return {t: g.index for t, g in found.items() if g is not None and g.index in facts.program.made_by}


class _Carried:
    """Computes gradients of states again, with what comes from the step after cut off so many steps later."""

    def __init__(self, program: Program, states: list[dict[int, int]]):
        self.program = program
        self.at: dict[int, list[int]] = {}
        for members in states:
            for t, index in members.items():
                self.at.setdefault(t, []).append(index)
        self.chains: dict[int, list[int]] = {}

    def change(self, index: int, t: int, back: int) -> Change:
        return lambda x, look: self._gradient(index, t, back, look)

    def _gradient(self, index: int, t: int, back: int, look: Look) -> np.ndarray:
        """What a gradient at step ``t`` is if it comes from no more than ``back`` steps later."""
        after = self.at.get(t + 1, [])
        changed = {i: self._gradient(i, t + 1, back - 1, look) if back else 0 * look(i) for i in after}
        seen = _Seen(changed, look)
        for i in self._chain(index, after):
            step = self.program.steps[i]
            changed[step.output.index] = np.asarray(self.program.compute(i, step, Edit(), seen))
        return changed[index] if index in changed else np.asarray(look(index))

    def _chain(self, index: int, after: list[int]) -> list[int]:
        """The steps that lead from the gradients of the step after to this one."""
        if index not in self.chains:
            behind = {self.program.made_by[i] for i in self.program.after(after) - set(after)} if after else set()
            self.chains[index] = [i for i in self.program.between(index, set(after)) if i in behind]
        return self.chains[index]


class _Seen(dict[int, np.ndarray]):
    """What was changed here; all else as it is there."""

    def __init__(self, changed: dict[int, np.ndarray], look: Look):
        self.changed, self.look = changed, look

    def __contains__(self, index: object) -> bool:
        return True

    def __getitem__(self, index: int) -> np.ndarray:
        return self.changed[index] if index in self.changed else self.look(index)
