"""The same numbers computed in another way, in which other mistakes are possible."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_

from tinynet import primitives as P
from tinynet.debug.cross_entropy import cross_entropies
from tinynet.debug.endings import keeps, shown_as_nothing
from tinynet.debug.program import Change, Compute, Edit, Program


def formulations(program: Program) -> Iterator[Edit]:
    """Edits that change nothing that counts: one way or another, or all at once."""
    ways = [_with_kept_states(program), _gradients_of_probabilities(program), _losses_of_probabilities(program)]
    ways = [way for way in ways if way.touched]
    yield from ways
    if len(ways) > 1:
        yield reduce(or_, ways)


def _with_kept_states(program: Program) -> Edit:
    """Behind the end of a sequence its output is not 0 but the state that is kept, from which all is computed."""
    shown = [i for i, step in enumerate(program.steps) if shown_as_nothing(step)]
    outputs = {program.steps[i].output for i in shown if program.steps[i].phase == "forward"}
    both = [i for i in shown if program.steps[i].output in outputs or program.steps[i].operands[1].of in outputs]
    reads: dict[tuple[int, int], Change] = {}
    for step in filter(keeps, program.steps):
        running, new, old = step.operands
        for i in program.readers[new.index]:
            reader = program.steps[i]
            if reader is not step and reader.phase == "forward":
                reads[i, reader.operands.index(new)] = _kept(running.index, old.index)
    return Edit(reads, dict.fromkeys(both, lambda look, running, output, nothing: output))


def _kept(running: int, old: int) -> Change:
    return lambda x, look: P.where(look(running), x, look(old))


def _losses_of_probabilities(program: Program) -> Edit:
    """Each cross-entropy is −ln p."""
    made = program.made_by
    return Edit(steps={made[site.nll.index]: site.of_probabilities(0.0) for site in cross_entropies(program)})


def _gradients_of_probabilities(program: Program) -> Edit:
    """The gradient of each cross-entropy is p, less 1 at the target."""
    steps: dict[int, Compute] = {}
    gradients = [v for v in program.run.values if v.of is not None and v.share is None]
    for site in cross_entropies(program):
        result = next((v for v in gradients if v.of is site.scores and v.index in program.made_by), None)
        arrived = next((v for v in gradients if v.of is site.nll), None)
        if result is not None and arrived is not None:
            steps[program.made_by[result.index]] = site.gradient(arrived.index)
    return Edit(steps=steps)
