"""Many edits at once give what each gives alone."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from tests.test_debug_names import recorded
from tinynet.debug.hypotheses import Hypotheses
from tinynet.debug.many import evaluate_each
from tinynet.debug.program import Edit, Program

MOST = 300  # hypotheses of one kind about one quantity


@pytest.mark.parametrize("network", ["rnn", "lstm", "gru", "mlp", "conv_net"])
@pytest.mark.parametrize("before", [False, True], ids=["alone", "after another edit"])
def test_each_of_many_edits_gives_what_it_gives_alone(network: str, before: bool) -> None:
    program = Program(recorded(network))
    hypotheses = Hypotheses(program)
    gradients = [v for v in program.run.values if v.of is not None and v.of.kind == "parameter" and v.share is None]
    wanted, only = gradients[0].index, program.between(gradients[0].index, set())
    loss = program.run.loss
    assert loss is not None
    doubled = {program.made_by[loss.index]: lambda x, look: 2 * x}
    base, known = (
        (Edit(outputs=doubled), {gradients[-1].index: np.full(gradients[-1].shape, 3.0)}) if before else (Edit(), {})
    )
    compared = 0
    for quantity in hypotheses.quantities(only, wanted):
        for search in (hypotheses.about, hypotheses.further, hypotheses.at_some_steps):
            some = list(islice(search(quantity), 5, None, 7))[: MOST // 7]
            edits = [base | hypothesis.edit for hypothesis in some]
            for h, edit, found in zip(some, edits, evaluate_each(program, edits, known, only, wanted), strict=True):
                changed = program.evaluate(edit, known, only)
                assert (found is None) == (changed is None), h.sentence
                if changed is not None:
                    alone = changed.get(wanted, program.arrays[wanted])
                    size = np.abs(alone[np.isfinite(alone)]).max(initial=0)
                    np.testing.assert_allclose(found, alone, rtol=1e-9, atol=1e-9 * size)
                    compared += 1
    assert compared > 100
