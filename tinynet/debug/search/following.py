"""What follows of a hypothesis for all that is computed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinynet.debug.comparison import Comparison
from tinynet.debug.hypotheses import Hypothesis
from tinynet.debug.program import Edit, Program
from tinynet.debug.search.state import State


def following(comparison: Comparison, hypothesis: Hypothesis, state: State) -> Iterator[State]:
    """What follows if the backward pass is as it was written, and if it is that of the changed forward pass."""
    program = comparison.program
    said, fitted = (*state.sentences, hypothesis.sentence), state.fitted or hypothesis.fitted
    if hypothesis.known is not None:
        changed = program.evaluate(state.edit, {**state.changed, **hypothesis.known})
        if changed is not None:
            yield State(changed, said, state.edit, fitted=fitted)
        return
    if hypothesis.shown_only:
        changed = _shown(program, hypothesis, state)
        if changed is not None:
            yield State({**state.changed, **changed}, said, state.edit, fitted=fitted)
        return
    edit = state.edit | hypothesis.edit
    changed = _after_differentiation(comparison, hypothesis, state) if state.differentiated else program.evaluate(edit)
    if changed is not None:
        yield State(changed, said, edit, differentiated=state.differentiated, fitted=fitted)
    if any(program.steps[i].phase == "forward" for i in edit.touched):
        changed = program.differentiated(edit)
        if changed is not None:
            sentence = f"{hypothesis.sentence} (the backward pass agrees with that)"
            yield State(changed, (*state.sentences, sentence), edit, differentiated=True, fitted=fitted)


def _shown(program: Program, hypothesis: Hypothesis, state: State) -> dict[int, np.ndarray] | None:
    """What a hypothesis about numbers that are changed after use makes of these."""
    shown = {program.steps[i].output.index for i in hypothesis.edit.touched}
    used = {i: array for i, array in state.changed.items() if i not in shown}
    return program.evaluate(hypothesis.edit, used, sorted(hypothesis.edit.touched))


def _after_differentiation(
    comparison: Comparison, hypothesis: Hypothesis, state: State
) -> dict[int, np.ndarray] | None:
    """What an edit of the backward pass changes, where what follows of it is computed as it was recorded."""
    program, touched = comparison.program, hypothesis.edit.touched
    if any(program.steps[i].phase == "forward" for i in touched):
        return None
    after = program.after({program.steps[i].output.index for i in touched})
    known = {i: array for i, array in state.changed.items() if i not in after}
    recorded = program.evaluate(Edit(), known)
    arrays = program.arrays
    if recorded is None or not all(
        np.allclose(recorded.get(i, arrays[i]), state.changed.get(i, arrays[i]), rtol=1e-9, atol=comparison.allowed[i])
        for i in after.intersection(comparison.mine)
    ):
        return None
    return program.evaluate(hypothesis.edit, known)
