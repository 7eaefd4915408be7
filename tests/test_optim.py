"""Optimisers: the update itself. Whole trainings against PyTorch's are in test_nn."""

from __future__ import annotations

import json
from contextlib import nullcontext

import numpy as np
import pytest

import tinynet as tn
from tests.spreadsheets import require
from tinynet import nn, optim


def parameter(numbers=(1.0, 2.0), gradient=None):
    p = tn.Parameter(np.array(numbers))
    p.grad = None if gradient is None else tn.tensor(gradient)
    return p


@pytest.mark.parametrize("recorded", [False, True])
def test_sgd_goes_down_the_gradient(recorded):
    p, still = parameter(gradient=[10.0, -10.0]), parameter()
    with tn.record() if recorded else nullcontext():
        tn.optim.SGD([p, still], lr=0.1).step()
    np.testing.assert_array_equal(p.numpy(), [0.0, 3.0])
    np.testing.assert_array_equal(still.numpy(), [1.0, 2.0])
    assert p.requires_grad and p.node is None


@pytest.mark.parametrize("size", [3, 2**15])
def test_a_learning_rate_may_change_from_step_to_step(size):
    """Whatever is kept of it to save time, for small parameters or for large ones."""
    p = nn.Parameter(np.zeros(size))
    optimizer = tn.optim.SGD([p], lr=0.5)
    for lr in (0.5, 0.25, 2.0):
        optimizer.lr = lr
        p.grad = tn.tensor(np.ones(size))
        optimizer.step()
    np.testing.assert_array_equal(p.numpy(), -2.75)


def test_an_update_leaves_earlier_copies_alone():
    p = parameter(gradient=[1.0, 1.0])
    before = p.numpy()
    tn.optim.SGD([p], lr=1.0).step()
    np.testing.assert_array_equal(before, [1.0, 2.0])


@pytest.mark.parametrize("recorded", [False, True])
def test_float32_parameters_stay_float32(recorded):
    p = tn.Parameter(np.ones(2, dtype="float32"))
    p.grad = tn.tensor(np.ones(2, dtype="float32"))
    with tn.record() if recorded else nullcontext():
        tn.optim.SGD([p], lr=np.float64(0.1)).step()
    assert p.dtype == "float32"


def test_zero_grad_forgets():
    p = parameter(gradient=[1.0, 1.0])
    tn.optim.SGD([p], lr=1.0).zero_grad()
    assert p.grad is None


def test_messages():
    with pytest.raises(ValueError, match="no parameters"):
        tn.optim.SGD([], lr=0.1)
    with pytest.raises(ValueError, match="lr is -1, expected a learning rate of at least 0"):
        tn.optim.SGD([parameter()], lr=-1)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (200, 200)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_parameter_keeps_its_shape_and_dtype(shape, dtype):
    p = tn.Parameter(np.full(shape, 2.0, dtype))
    (p * p).sum().backward()
    tn.optim.SGD([p], lr=0.1).step()
    assert isinstance(p.data, np.ndarray) and (p.shape, p.dtype) == (shape, np.dtype(dtype))
    np.testing.assert_allclose(p.data, 1.6, rtol=1e-6)


# Against PyTorch

OPTIMISERS = {
    "sgd": ("SGD", {"lr": 0.1}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "momentum, decay": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "nesterov": True}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop, decay": ("RMSprop", {"lr": 0.05, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
    "adam": ("Adam", {}),
    "adam, decay": ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    "adamw": ("AdamW", {}),
    "adamw, decay": ("AdamW", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.5}),
}
SHAPES = [(3, 4), (5,), (), (200, 200)]
STEPS = 8


def ours(kind, start):
    name, options = OPTIMISERS[kind]
    ps = [tn.Parameter(array.copy()) for array in start]
    return ps, getattr(tn.optim, name)(ps, **options)


def theirs(kind, start):
    torch = pytest.importorskip("torch")
    name, options = OPTIMISERS[kind]
    ps = [torch.tensor(array, requires_grad=True) for array in start]
    return ps, getattr(torch.optim, name)(ps, **options)


def drawn(seed, dtype="float64", steps=STEPS):
    """Where parameters start, and gradients (steps, parameters): the last parameter gets none at every third step."""
    rng = np.random.default_rng(seed)
    start = [np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES]
    gradients = [[np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES] for _ in range(steps)]
    for t in range(0, steps, 3):
        gradients[t][-1] = None
    return start, gradients


def train(ps, optimizer, gradients, tensor=tn.tensor, each=nullcontext):
    for step in gradients:
        for p, g in zip(ps, step, strict=True):
            p.grad = None if g is None else tensor(g)
        with each():
            optimizer.step()
    return [np.array(p.detach().numpy()) for p in ps]


@pytest.mark.parametrize("kind", OPTIMISERS)
@pytest.mark.parametrize("recorded", ["not", "each step", "whole"])
def test_numbers_are_those_of_pytorch(kind, recorded):
    start, gradients = drawn(0)
    their_ps, their_optimizer = theirs(kind, start)
    expected = train(their_ps, their_optimizer, gradients, pytest.importorskip("torch").tensor)
    with tn.record() if recorded == "whole" else nullcontext():
        found = train(*ours(kind, start), gradients, each=tn.record if recorded == "each step" else nullcontext)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_what_is_recorded_is_what_runs_otherwise(kind):
    """In float32 too, where β2 = 0.999 has its own rounding."""
    start, gradients = drawn(1, "float32")
    ps, optimizer = ours(kind, start)
    recorded_ps, recorded_optimizer = ours(kind, start)
    train(ps, optimizer, gradients)
    with tn.record():
        train(recorded_ps, recorded_optimizer, gradients)
    for p, q in zip(ps, recorded_ps, strict=True):
        assert p.dtype == q.dtype == np.float32
        np.testing.assert_allclose(p.data, q.data, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_no_update_changes_an_array_that_others_have(kind):
    """Neither the parameter's old array nor the gradient's, nor those of a state dict or a run."""
    start, gradients = drawn(2)
    ps, optimizer = ours(kind, start)
    held = []
    for step in gradients:
        for p, g in zip(ps, step, strict=True):
            p.grad = None if g is None else tn.tensor(g)
        with tn.record() if len(held) == 3 else nullcontext() as run:
            before = [p.data for p in ps] + [p.grad.data for p in ps if p.grad is not None]
            optimizer.step()
        dicts = [array for state in optimizer.state_dict()["state"].values() for array in state.values()]
        values = [value.array for value in run.values] if run is not None else []
        held += [(array, np.array(array)) for array in [*before, *dicts, *values]]
    for array, was in held:
        np.testing.assert_array_equal(array, was)


# State dicts


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_a_state_dict_goes_on_where_it_was_saved(kind):
    start, gradients = drawn(3)
    expected = train(*ours(kind, start), gradients)
    ps, optimizer = ours(kind, start)
    middle = train(ps, optimizer, gradients[:4])
    saved = optimizer.state_dict()
    train(ps, optimizer, gradients[:1])  # the copies that were saved do not notice
    again, other = ours(kind, middle)
    other.lr = 77.0
    other.load_state_dict(saved)
    for a, b in zip(train(again, other, gradients[4:]), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_a_state_dict_of_pytorch_is_understood(kind):
    torch = pytest.importorskip("torch")
    start, gradients = drawn(4)
    their_ps, their_optimizer = theirs(kind, start)
    middle = train(their_ps, their_optimizer, gradients[:4], torch.tensor)
    ps, optimizer = ours(kind, middle)
    optimizer.load_state_dict(their_optimizer.state_dict())
    expected = train(their_ps, their_optimizer, gradients[4:], torch.tensor)
    for a, b in zip(train(ps, optimizer, gradients[4:]), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_a_state_dict_of_other_parameters_is_refused():
    p = parameter(gradient=[1.0, 1.0])
    adam = tn.optim.Adam([p])
    adam.step()
    with pytest.raises(ValueError, match="is for 1 parameters, this optimizer has 2"):
        tn.optim.Adam([p, parameter()]).load_state_dict(adam.state_dict())
    with pytest.raises(ValueError, match=r"exp_avg of parameter 0 has shape \(2,\), expected \(3,\)"):
        tn.optim.Adam([parameter([1.0, 2.0, 3.0])]).load_state_dict(adam.state_dict())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: tn.optim.SGD([p], 0.1, momentum=-1), "momentum is -1, expected a number of at least 0"),
        (lambda p: tn.optim.SGD([p], 0.1, weight_decay=-1), "weight_decay is -1"),
        (lambda p: tn.optim.SGD([p], 0.1, nesterov=True), "nesterov=True needs a momentum above 0"),
        (lambda p: tn.optim.RMSprop([p], alpha=1), "alpha is 1, expected at least 0 and below 1"),
        (lambda p: tn.optim.RMSprop([p], eps=-1), "eps is -1"),
        (lambda p: tn.optim.RMSprop([p], weight_decay=-1), "weight_decay is -1"),
        (lambda p: tn.optim.Adam([p], betas=(0.9, 1.0)), r"beta2 is 1\.0, expected at least 0 and below 1"),
        (lambda p: tn.optim.Adam([p], betas=(-0.1, 0.9)), r"beta1 is -0\.1"),
        (lambda p: tn.optim.Adam([p], eps=float("nan")), "eps is nan"),
        (lambda p: tn.optim.AdamW([p], weight_decay=-1), "weight_decay is -1"),
        (lambda p: tn.optim.Adam([p], lr=-1), "lr is -1, expected a learning rate of at least 0"),
        (lambda p: tn.optim.Adam([]), "Adam got no parameters"),
    ],
)
def test_messages_name_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make(parameter())


@pytest.mark.parametrize("make", [optim.SGD, optim.RMSprop, optim.Adam, optim.AdamW])
def test_a_parameter_keeps_its_dtype_whatever_the_numbers_are(make):
    for lr, beside in ((np.float64(0.1), np.float32), (0.1, np.float64)):
        p = nn.Parameter(np.ones(3, np.float32))
        optimizer = make([p], lr=lr, weight_decay=np.float64(0.5))
        for recorded in (False, True):
            with tn.record() if recorded else nullcontext():
                p.grad = None
                (p * tn.tensor(np.ones(3, beside))).sum().backward()
                optimizer.step()
            assert p.dtype == np.float32


@pytest.mark.parametrize(
    "make, option",
    [
        (optim.SGD, {"momentum": 0.9, "maximize": True}),
        (optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
        (optim.RMSprop, {"momentum": 0.9}),
        (optim.RMSprop, {"centered": True}),
        (optim.Adam, {"amsgrad": True}),
    ],
)
def test_options_of_a_state_dict_that_are_not_known_are_refused(make, option):
    torch = require("torch")
    w = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    theirs = getattr(torch.optim, make.__name__)([w], lr=0.1, **option)
    (w**3).sum().backward()
    theirs.step()
    with pytest.raises(ValueError, match=f"has {list(option)[-1]}=.*, which {make.__name__} does not know"):
        make([nn.Parameter(np.ones(2))], lr=0.5).load_state_dict(theirs.state_dict())


def test_a_learning_rate_may_be_a_tensor_of_one_number():
    torch = require("torch")
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = optim.Adam([nn.Parameter(np.ones(2))], lr=0.5)
    optimizer.load_state_dict(torch.optim.Adam([w], lr=torch.tensor(0.1)).state_dict())
    assert type(optimizer.lr) is float and optimizer.lr == pytest.approx(0.1)
    with pytest.raises(ValueError, match="lr is text, expected a learning rate"):
        optim.Adam([nn.Parameter(np.ones(2))], lr="text")


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {}])
def test_an_optimiser_goes_on_when_its_module_is_moved(options):
    pytest.importorskip("array_api_strict")
    net = nn.Linear(2, 2)
    optimizer = optim.SGD(net.parameters(), lr=0.1, **options) if options else optim.Adam(net.parameters())
    for library in ("numpy", "array_api_strict", "numpy"):
        net.to(library)
        optimizer.zero_grad()
        net(tn.tensor(np.ones((3, 2))).to(library)).sum().backward()
        optimizer.step()
    assert np.all(np.isfinite(net.weight.numpy()))


# What an optimizer is given


WRONG = {
    "names": (lambda net: net.named_parameters(), TypeError, "SGD got tuple at 0, expected parameters, not of names"),
    "text": (lambda net: ["a"], TypeError, "SGD got str at 0, expected parameters"),
    "groups": (
        lambda net: [{"params": net.parameters()}],
        TypeError,
        "there are no groups: make an optimizer for each",
    ),
    "a tensor": (lambda net: net.weight, TypeError, "SGD got a tensor, expected several, in a list"),
    "twice": (lambda net: [net.weight, net.bias, net.weight], ValueError, "SGD got a parameter twice"),
    "computed": (lambda net: [net.weight * 2], ValueError, "SGD cannot update tensor 0, which was computed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_updated_is_refused(case):
    make, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        tn.optim.SGD(make(nn.Linear(2, 2)), lr=0.1)


@pytest.mark.parametrize("make", [lambda ps: optim.Adam(ps, 0.1), lambda ps: optim.SGD(ps, 0.1, momentum=0.9)])
def test_a_state_dict_survives_json(make):
    p, q = parameter(gradient=[1.0, -1.0]), parameter(gradient=[1.0, -1.0])
    one, other = make([p]), make([q])
    one.step(), other.step()
    state = one.state_dict()
    for memory in state["state"].values():
        memory |= {key: item.tolist() for key, item in memory.items() if isinstance(item, np.ndarray)}
    again = make([q])
    again.load_state_dict(json.loads(json.dumps(state)))
    one.step(), again.step()
    np.testing.assert_array_equal(p.numpy(), q.numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.clear(), "the state dict has no state and no param_groups: pass what"),
        (lambda state: state["state"].update({1: {}}), "the state dict remembers 1, expected 0 to 0"),
        (lambda state: state["state"].update(a={}), "the state dict remembers a, expected 0 to 0"),
        (
            lambda state: state["state"][0].update(max_exp_avg_sq=np.ones(2)),
            "parameter 0 has max_exp_avg_sq, which Adam",
        ),
    ],
)
def test_a_state_that_is_not_known_is_refused(change, message):
    optimizer = optim.Adam([parameter(gradient=[1.0, 1.0])])
    optimizer.step()
    state = optimizer.state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
