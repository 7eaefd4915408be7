"""Against stored values of PyTorch, which need no PyTorch (``tests/reference/make.py`` made them)."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn

REFERENCE = json.loads((Path(__file__).parent / "reference" / "torch.json").read_text())
BOTH_BODIES = pytest.mark.parametrize("recorded", [False, True], ids=["kernel", "definition"])


def check(case, leaves, outputs):
    sum((k + 1) * (y * y + y).sum() for k, y in enumerate(outputs)).backward()
    for y, expected in zip(outputs, case["outputs"], strict=True):
        np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-10)
    assert case["gradients"].keys() == leaves.keys()
    for name, expected in case["gradients"].items():
        np.testing.assert_allclose(leaves[name].grad.numpy(), expected, rtol=0, atol=1e-10)


@BOTH_BODIES
@pytest.mark.parametrize(
    "case", REFERENCE["recurrent"], ids=lambda case: "-".join([case["kind"], *case["options"].values()])
)
def test_backpropagation_through_time(case, recorded):
    units = len(case["inputs"]["h0"][0][0])
    module = getattr(tn.nn, case["kind"])(2, units, case["layers"], **case["options"])
    module.load_state_dict(case["parameters"])
    inputs = {name: tn.tensor(numbers, requires_grad=True) for name, numbers in case["inputs"].items()}
    x, *states = inputs.values()
    with tn.record() if recorded else nullcontext():
        if case["kind"] == "LSTM":
            output, last = module(x, tuple(states))
        else:
            output, *last = module(x, states[0])
        check(case, inputs | dict(module.named_parameters()), [output, *last])


@BOTH_BODIES
@pytest.mark.parametrize("case", REFERENCE["cross_entropy"], ids=lambda case: case["reduction"])
def test_cross_entropy(case, recorded):
    logits = tn.tensor(case["inputs"]["logits"], requires_grad=True)
    with tn.record() if recorded else nullcontext():
        loss = tn.functional.cross_entropy(logits, case["inputs"]["target"], reduction=case["reduction"])
        check(case, {"logits": logits}, [loss])
