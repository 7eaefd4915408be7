"""A compiled run computes what was recorded, trains as the eager steps do, and refuses what it was not made for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import tinynet as tn
from tests.gradients import spread
from tinynet import functional as F
from tinynet import models, nn, optim
from tinynet.testing.strategies import layers, programs

CLOSE = {"rtol": 1e-11, "atol": 1e-13}


def assert_same(compiled, run, close=CLOSE):
    """All that has a name (the rest may have no buffer): but parameters hold what the last update made of them."""
    final = {value.copy_of.index: value for value in run.values if value.copy_of is not None}
    for new, old in zip(compiled.run.values, run.values, strict=True):
        assert new.array.dtype == old.array.dtype and new.array.shape == old.array.shape
        if old.name is not None:
            shared = [i for i in final if np.shares_memory(new.array, compiled.run.values[i].array)]
            expected = final[old.index] if old.index in shared else None if shared else old
            if expected is not None:
                np.testing.assert_allclose(new.array, expected.array, **close)


@given(programs(smooth=False))
@settings(deadline=None, max_examples=80)
def test_any_program(program):
    with tn.record() as run:
        program(*(tn.tensor(a, requires_grad=True, name=f"v{i}") for i, a in enumerate(program.arrays))).backward()
    step = run.compile()
    for _ in range(2):  # nothing is left over from one call for the next
        np.testing.assert_allclose(step(), run.loss.array, **CLOSE)
        assert_same(step, run)
    other = {f"v{i}": 0.5 * a + 0.25 for i, a in enumerate(program.arrays)}
    step(**{name: a for name, a in other.items() if name in run})
    assert_same(step, run.replay(**{name: a for name, a in other.items() if name in run}))


@given(layers())
@settings(deadline=None, max_examples=40)
def test_any_layer(case):
    with tn.record() as run:
        outputs = case(*(tn.tensor(a, requires_grad=a.dtype.kind == "f") for a in case.inputs))
        (outputs * outputs).sum().backward()
    step = run.compile()
    step()
    assert_same(step, run)


MODELS = {"mlp": models.mlp, "rnn": models.rnn, "lstm": models.lstm}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("updates", [1, 3])
def test_a_model_and_its_updates(name, updates):
    run = MODELS[name](updates=updates)
    step = run.compile()
    step()
    assert_same(step, run)


def training():
    """A net, its data and a function that trains it once."""
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    net.load_state_dict({name: spread(*a.shape, seed=i) for i, (name, a) in enumerate(net.state_dict().items())})
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    def train(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(tn.tensor(x, name="x")), tn.tensor(y, name="y"))
        loss.backward()
        optimizer.step()
        return loss.item()

    return net, train


BATCHES = [(spread(5, 3, seed=10 + i), np.arange(5) % (2 - i % 2)) for i in range(6)]


def test_each_call_goes_on_training():
    (eager, train), (recorded, train_recorded) = training(), training()
    with tn.record() as run:
        train_recorded(*BATCHES[0])
    step = run.compile()
    for x, y in BATCHES:
        assert step(x=x, y=tn.tensor(y)) == pytest.approx(train(x, y), rel=1e-12)
    recorded.load_state_dict(step.parameters)
    for name, array in recorded.state_dict().items():
        np.testing.assert_allclose(array, eager.state_dict()[name], **CLOSE)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_go_on_from_call_to_call(momentum, dtype):
    tn.set_default_dtype(dtype)
    try:
        assert_statistics_go_on(momentum, {"float64": CLOSE, "float32": {"rtol": 2e-4, "atol": 2e-5}}[dtype])
    finally:
        tn.set_default_dtype("float64")


def assert_statistics_go_on(momentum, close):
    def training():
        tn.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, momentum=momentum), nn.Linear(3, 1))
        optimizer = optim.SGD(net.parameters(), lr=0.1)

        def train(x):
            optimizer.zero_grad()
            loss = (net(tn.tensor(x, name="x")) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss.item()

        return net, train

    batches = [spread(4, 2, seed=i).astype(tn.get_default_dtype()) for i in range(5)]
    (eager, train), (recorded, train_recorded) = training(), training()
    with tn.record() as run:
        train_recorded(batches[0])
    step = run.compile()
    for x in batches:
        assert step(x=x) == pytest.approx(train(x), rel=close["rtol"])
    recorded.load_state_dict(step.parameters)
    for name, array in recorded.state_dict().items():
        np.testing.assert_allclose(array, eager.state_dict()[name], **close)


def test_a_dropout_mask_stays_until_another_is_given():
    tn.manual_seed(0)
    x = tn.tensor(np.ones((2, 6)), requires_grad=True, name="x")
    with tn.record() as run:
        F.dropout(x, 0.5).sum().backward()
    with pytest.warns(UserWarning, match=r"dropout_mask: drawn when the run was recorded.*step\(\*\*\{'dropout_mask'"):
        step = run.compile()
    recorded = run["dropout_mask"]
    assert 0 < recorded.sum() < recorded.size and step() == step() == 2 * recorded.sum()
    assert step(dropout_mask=1 - recorded) == 2 * (1 - recorded).sum()
    np.testing.assert_array_equal(step["d_x"], 2 * (1 - recorded))


def test_the_run_it_came_from_stays_as_it_was():
    _, train = training()
    with tn.record() as run:
        train(*BATCHES[0])
    before = [value.array.copy() for value in run.values]
    step = run.compile()
    step(x=BATCHES[1][0])
    for value, array in zip(run.values, before, strict=True):
        np.testing.assert_array_equal(value.array, array)


def test_its_values_can_be_looked_at():
    run = models.lstm()
    step = run.compile()
    step(x=2 * run["x"])
    np.testing.assert_allclose(step["lstm.c[2]"], run.replay(x=2 * run["x"])["lstm.c[2]"], **CLOSE)


def test_a_parameter_that_is_read_after_its_update_keeps_its_number_until_the_end():
    p = nn.Linear(1, 1, bias=False)
    optimizer = optim.SGD(p.parameters(), lr=0.5)
    x = tn.tensor([[2.0]], name="x")
    with tn.record() as run:
        old = p.weight[0]
        loss = p(x).sum()
        loss.backward()
        optimizer.step()
        tn.name(old * 3.0, "late")
    step = run.compile()
    first, second = (step(), step["late#2"].item()), (step(), step["late#2"].item())
    assert first == (run.loss.array.item(), run["late#2"].item())
    assert second[0] == pytest.approx(first[0] - 0.5 * 4) and second[1] == pytest.approx(first[1] - 3.0)


def test_float32_stays_float32():
    net = nn.Linear(2, 2)
    for parameter in net.parameters():
        parameter.data = parameter.data.astype("float32")
    with tn.record() as run:
        net(tn.tensor(spread(3, 2).astype("float32"))).sigmoid().sum().backward()
    step = run.compile()
    step()
    assert {value.array.dtype for value in step.run.values} == {np.dtype("float32")}


def test_a_run_without_a_loss_returns_nothing():
    with tn.record() as run:
        tn.name(tn.tensor([1.0], name="x") * 2.0, "y")
    step = run.compile()
    assert step(x=[4.0]) is None and step["y"] == [8.0]


def indexed():
    with tn.record() as run:
        F.embedding(tn.tensor([1], name="index"), tn.tensor(spread(3, 2), requires_grad=True)).sum().backward()
    return run


def test_what_does_not_fit_is_refused():
    step = models.mlp().compile()
    with pytest.raises(KeyError, match="no leaf is called 'X'"):
        step(X=np.zeros(2))
    with pytest.raises(ValueError, match=r"x has shape \(.*\) in this run, got \(7,\): record another run"):
        step(x=np.zeros(7))
    with pytest.raises(TypeError, match="index holds int64 in this run, got float64"):
        indexed().compile()(index=[0.5])
