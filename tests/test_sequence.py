"""Losses over sequences: which steps count, how they are added up, and that each stage is a quantity of its own."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet import functional as F

LOSSES = np.arange(1.0, 7.0).reshape(3, 2)  # (T, N)
LENGTHS = np.array([3, 2])
EXPECTED = {
    ("mean", "mean", False): LOSSES.mean(),
    ("sum", "sum", False): LOSSES.sum(),
    ("sum", "mean", False): LOSSES.sum() / 2,
    ("last", "sum", False): 5.0 + 6.0,
    ("mean", "mean", True): ((1 + 3 + 5) / 3 + (2 + 4) / 2) / 2,
    ("sum", "sum", True): 1 + 3 + 5 + 2 + 4.0,
    ("last", "mean", True): (5 + 4) / 2,
}


@pytest.mark.parametrize("time, batch, masked", EXPECTED)
def test_a_sequence_loss_is_its_closed_form(time: str, batch: str, masked: bool):
    lengths = LENGTHS if masked else None
    assert F.sequence_loss(tn.tensor(LOSSES), lengths, time, batch).item() == pytest.approx(
        EXPECTED[time, batch, masked]
    )
    assert tn.testing.check_gradients(lambda x: F.sequence_loss(x, lengths, time, batch), LOSSES, order=2)


def test_steps_beyond_a_length_get_no_gradient():
    losses = tn.tensor(LOSSES, requires_grad=True)
    F.sequence_loss(losses, LENGTHS, "mean").backward()
    assert losses.grad is not None
    np.testing.assert_array_equal(losses.grad.numpy() == 0, [[False, False], [False, False], [False, True]])


def test_each_stage_has_a_name():
    with tn.record() as run:
        F.sequence_loss(tn.tensor(LOSSES, requires_grad=True, name="nll"), LENGTHS, "sum").backward()
    np.testing.assert_array_equal(run["loss.counted"], [[1, 2], [3, 4], [5, 0]])
    np.testing.assert_array_equal(run["loss.sequence"], [9, 6])
    assert run["loss"] == 7.5


@pytest.mark.parametrize(
    "losses, lengths, time, said",
    [
        (LOSSES[0], None, "mean", r"expected \(T, N\)"),
        (LOSSES, [3, 2, 1], "mean", "2 integers"),
        (LOSSES, [3.0, 2.0], "mean", "2 integers"),
        (LOSSES, None, "median", "expected mean, sum or last"),
    ],
)
def test_a_fault_is_met_with_what_was_expected(losses, lengths, time: str, said: str):
    with pytest.raises(ValueError, match=said):
        F.sequence_loss(tn.tensor(losses), lengths, time)
