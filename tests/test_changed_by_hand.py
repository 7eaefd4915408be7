"""Numbers that are changed in place while a run is recorded: the run never computes from the old ones."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet import functional as F
from tinynet import nn


def loss_of(p):
    return ((2 * p - 3) ** 2).sum()


def test_a_parameter_changed_in_place_is_another_leaf_from_there_on():
    net = nn.Linear(1, 1, bias=False)
    net.weight.data[...] = 1
    losses = []
    with pytest.warns(UserWarning, match=r"linear\.weight was given other numbers"), tn.record() as run:
        for _ in range(2):
            net.zero_grad()
            loss = (net(tn.tensor([[2.0]])) - 4).sum() ** 2
            loss.backward()
            losses.append(loss.item())
            net.weight.data -= 0.1 * net.weight.grad.data
    again = run.replay()
    assert [float(v.array) for v in again.values if v.quantity == "loss"] == losses
    assert losses[0] != losses[1]
    assert run["linear.weight"] == [[1]] and run["linear.weight_2"] != [[1]]
    assert run.find("linear.weight_2").kind == "parameter" and "d_linear.weight_2" in run


def test_clipping_gradients_in_place_is_told_and_kept():
    p = nn.Parameter(np.array([5.0, 1.0]), name="p")
    optimizer = tn.optim.SGD([p], lr=0.5)
    with pytest.warns(UserWarning, match="a gradient was given other numbers"), tn.record() as run:
        loss_of(p).backward()
        np.clip(p.grad.data, -1, 1, out=p.grad.data)
        optimizer.step()
    np.testing.assert_array_equal(run.replay()["new_p"], p.data)


def test_the_next_batch_in_the_same_memory_is_another_input(recwarn):
    x, w = tn.tensor([1.0, 2.0], name="x"), nn.Parameter(np.array([3.0, 4.0]), name="w")
    with tn.record() as run:
        (x * w).sum()
        x.data[...] = 10
        total = (x * w).sum()
    assert run.replay().values[-1].array == total.item() == 70
    assert {"x", "x_2"} <= set(run.names) and not recwarn.list


def test_not_a_number_is_no_change(recwarn):
    x, mask = tn.tensor([np.nan, 1.0], name="x"), np.array([1.0, np.nan])
    with tn.record() as run:
        (x * mask).sum()
        F.relu(x * mask)
    assert len(run.leaves) == 2 and not recwarn.list
