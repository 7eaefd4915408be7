"""All hypotheses about a run, the likely ones first."""

from __future__ import annotations

from collections.abc import Iterator

from tinynet.debug import windows
from tinynet.debug.hypotheses.base import Facts, Family, Hypothesis, Members, alone, family_of, symbol
from tinynet.debug.hypotheses.carried import nothing_carried, truncated
from tinynet.debug.hypotheses.everywhere import everywhere
from tinynet.debug.hypotheses.factors import forgotten_factors, moved_factors, slopes
from tinynet.debug.hypotheses.losses import other_losses
from tinynet.debug.hypotheses.operations import other_operations
from tinynet.debug.hypotheses.order import reordered
from tinynet.debug.hypotheses.parameters import of_all
from tinynet.debug.hypotheses.reads import blocks, exchanged, misread, read_by, together
from tinynet.debug.hypotheses.replacements import rarely
from tinynet.debug.hypotheses.results import other_results, rearranged
from tinynet.debug.hypotheses.sums import moved_terms, other_shares
from tinynet.debug.hypotheses.updates import of_update
from tinynet.debug.program import Edit
from tinynet.run import INITIAL, Value


class Hypotheses(Facts):
    """All hypotheses about one run."""

    def quantities(self, steps: list[int], value: int) -> list[Family]:
        """The quantities whose computation ``steps`` are, that of ``value`` first."""
        outs = [self.run.values[value], *(self.run.steps[i].output for i in reversed(steps))]
        return list(dict.fromkeys(family_of(v) for v in outs if v.quantity is not None))

    def about(self, family: Family) -> Iterator[Hypothesis]:
        """What is likely to be wrong in how a quantity is computed, at all its steps."""
        yield from self._here(family, self.computed(family), "")

    def further(self, family: Family) -> Iterator[Hypothesis]:
        """What is less likely: axes, blocks of gates, and mistakes wherever something is read."""
        values, target = self.computed(family), symbol(family[0])
        beside = self.run.values[next(iter(values.values()))].beside if values else None
        if beside is not None:
            yield from of_update(self, beside)
        read = read_by(self, values)
        for key, places in read.places.items():
            sample = next(iter(places.values()))
            said = self.said(sample, key)
            shared = any(self.run.steps[i].output.index in self.shared for i, _ in places)
            title = "" if shared and sample.kind == "parameter" else f"{target}: "  # other quantities read it there too
            for label, change in rarely(self, sample, said):
                yield Hypothesis(f"{title}{label}", Edit(reads=dict.fromkeys(places, alone(change))))
            yield from everywhere(self, places, key, said)
        yield from exchanged(self, read.places, target)
        yield from rearranged(self, values, target)
        yield from self._of_groups(values, target)

    def at_some_steps(self, family: Family) -> Iterator[Hypothesis]:
        """Mistakes at the first step, the last, or every second one; or at all but the first or the last."""
        values = self.computed(family)
        order = sorted(t for t in values if t is not None)
        if len(order) > 2:
            first, last = ("the initial state" if t == INITIAL else f"t = {t}" for t in (order[0], order[-1]))
            chosen = [(f" at {first}", order[:1]), (f" at {last}", order[-1:])]
            chosen += [(" at every second step", order[start::2]) for start in (0, 1)]
            chosen += [(f" at all steps but {first}", order[1:]), (f" at all steps but {last}", order[:-1])]
            for where, times in chosen:
                some: Members = {t: values[t] for t in times}
                yield from self._here(family, some, where)
                yield from self._of_groups(some, symbol(family[0]) + where)

    def _of_groups(self, values: Members, title: str) -> Iterator[Hypothesis]:
        """One gate's part of what is read, or all weights that are called alike."""
        read = read_by(self, values)
        for key, places in read.places.items():
            yield from blocks(self, places, self.said(next(iter(places.values())), key), title)
        yield from together(self, read.places, title)

    def about_all(self, value: Value) -> Iterator[Hypothesis]:
        """What is done alike to every parameter, to all weights or to all biases: in its gradient, or in its update."""
        role, alike = self.alike(value)
        kind, one = ("biases", True) if len(value.shape) == 1 else ("weights", False)
        same = [v for v in alike if (len(v.shape) == 1) == one]
        groups = {role: alike}
        if "parameters" in role and 1 < len(same) < len(alike):
            groups[role.replace("parameters", kind)] = same
        for said, group in groups.items():
            yield from of_all(self, list(dict.fromkeys(family_of(v) for v in group)), said)
        yield from nothing_carried(self)
        yield from truncated(self)

    def _here(self, family: Family, values: Members, where: str) -> Iterator[Hypothesis]:
        """What may be wrong in how ``values`` of a quantity are computed, at the steps that ``where`` says."""
        target = symbol(family[0])
        title = target + where
        yield from misread(self, values, title)
        yield from other_operations(self, values, title)
        yield from reordered(self, values, title)
        yield from other_shares(self, values, title)
        yield from forgotten_factors(self, values, title)
        yield from slopes(self, values, title)
        if not where:
            yield from moved_factors(self, values, target)
            yield from moved_terms(self, values, target)
        yield from other_losses(self, values, title)
        yield from other_results(self, values, target, where)
        found = windows.mistakes(self.program, map(self.local, values.values()), title, symbol)
        yield from (Hypothesis(*mistake) for mistake in found)
