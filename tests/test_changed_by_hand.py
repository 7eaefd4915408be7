"""Numbers that are changed in place while a run is recorded: the run never computes from the old ones."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet import functional as F
from tinynet import nn
from tinynet.workbook import verify


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


# In place, on tensors


def trained(update, rounds=3):
    """Losses of a small net, with an update of its own: ``update(parameters)``."""
    tn.manual_seed(0)
    net, losses = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), []
    x, y = tn.tensor([[1.0, -2.0], [0.5, 3.0]], name="x"), tn.tensor([0, 1], name="y")
    for _ in range(rounds):
        net.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        update(list(net.parameters()))
        losses.append(loss.item())
    return losses


def by_hand(parameters):
    with tn.no_grad():
        for p in parameters:
            p -= 0.5 * p.grad


def by_sgd(parameters):
    tn.optim.SGD(parameters, lr=0.5).step()


def test_an_update_in_place_is_that_of_sgd():
    assert trained(by_hand) == trained(by_sgd)


def test_recorded_it_is_an_update_like_that_of_an_optimizer(tmp_path):
    with tn.record() as run:
        losses = trained(by_hand)
    with tn.record() as expected:
        trained(by_sgd)
    assert set(expected.names) - set(run.names) == {"lr"} and set(run.names) <= set(expected.names)
    assert [float(run.replay()[f"loss{end}"]) for end in ("", "#2", "#3")] == losses
    assert {step.phase for step in run.steps if step.name and step.name.startswith("new_")} == {"update"}
    step, like = run.compile(), expected.compile()
    assert [step() for _ in range(3)] == pytest.approx([like() for _ in range(3)], rel=1e-12)
    run.to_excel(tmp_path / "x.xlsx")
    assert verify(tmp_path / "x.xlsx").ok


def test_all_four_operations_work_in_place():
    p = same = tn.tensor([4.0, 8.0], requires_grad=True)
    with tn.no_grad():
        p += 1
        p -= [1, 1]
        p *= tn.tensor([0.5, 1.0])
        p /= 2.0
    assert p is same and p.requires_grad and p.node is None
    np.testing.assert_array_equal(p.numpy(), [1, 4])


def test_a_leaf_is_not_changed_in_place_where_it_is_differentiated():
    p = nn.Parameter(np.ones(2), name="p")
    with pytest.raises(RuntimeError, match=r"p takes gradients .*with tn\.no_grad\(\): p -= lr \* p\.grad"):
        p -= 1
    with tn.no_grad(), pytest.raises(ValueError, match=r"p of shape \(2,\) cannot become \(3, 2\) in place"):
        p += np.ones((3, 2))


def test_a_float32_leaf_stays_one():
    p = nn.Parameter(np.ones(2, "float32"))
    with tn.no_grad():
        p += np.ones(2)
    assert p.dtype == np.float32


def test_any_other_name_is_given_to_the_result():
    x = total = tn.tensor([1.0])
    total += 1
    h = before = nn.Parameter(np.ones(1)) * 2
    h *= 3
    assert (x.item(), total.item(), before.item(), h.item()) == (1, 2, 2, 6) and h.requires_grad
