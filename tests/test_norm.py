"""Normalisation: PyTorch's in training and evaluation, its running statistics, buffers, names and messages."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.pytorch import EXACT, assert_agrees, assert_recorded_alike, twins
from tests.spreadsheets import require
from tinynet import functional as F
from tinynet import nn

SHAPES = [(5, 3), (4, 3, 2), (2, 3, 2, 4)]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)
AFFINE = pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])


def learned(shape, affine):
    return [1 + spread(*shape, seed=1), spread(*shape, seed=2)] if affine else []


@EACH_SHAPE
@AFFINE
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_batch_norm_agrees_with_pytorch(torch, shape, affine, training):
    running = np.array([0.1, 0.2, -0.3]), np.array([1.5, 0.5, 1.0])

    def mine(x, *weights):
        kept = (tn.tensor(a.astype(x.dtype)) for a in running)
        return F.batch_norm(x, *kept, *(weights or (None, None)), training, 0.1, 1e-3)

    def theirs(x, *weights):
        kept = (torch.tensor(a) for a in running)
        return torch.nn.functional.batch_norm(x, *kept, *(weights or (None, None)), training, 0.1, 1e-3)

    assert_agrees(torch, mine, theirs, spread(*shape) + 0.5, *learned((3,), affine))


@AFFINE
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layer_norm_agrees_with_pytorch(torch, axes, affine):
    x = spread(2, 3, 4) + 0.5
    last = x.shape[-axes:]
    theirs = torch.nn.functional.layer_norm
    assert_agrees(
        torch,
        lambda x, *weights: F.layer_norm(x, last, *weights, eps=1e-3),
        lambda x, *weights: theirs(x, last, *weights, eps=1e-3),
        x,
        *learned(last, affine),
    )


def test_layer_norm_may_have_a_weight_and_no_bias(torch):
    theirs = torch.nn.functional.layer_norm
    assert_agrees(torch, lambda x, w: F.layer_norm(x, 4, w), lambda x, w: theirs(x, (4,), w), spread(3, 4), spread(4))


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.booleans(), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_any_shape_of_batch_norm_is_pytorchs_or_refused_by_both(shape, training, seed):
    torch = require("torch")
    x, mean, var = spread(*shape, seed=seed), spread(shape[1], seed=1), 2 + spread(shape[1], seed=2)
    theirs = torch.nn.functional.batch_norm
    try:
        theirs(torch.tensor(x), torch.tensor(mean), torch.tensor(var), training=training)
    except ValueError:
        with pytest.raises(ValueError, match="two numbers or more a channel"):
            F.batch_norm(tn.tensor(x), tn.tensor(mean), tn.tensor(var), training=training)
        return
    assert_agrees(
        torch,
        lambda x: F.batch_norm(x, *(tn.tensor(a.astype(x.dtype)) for a in (mean, var)), training=training),
        lambda x: theirs(x, torch.tensor(mean), torch.tensor(var), training=training),
        x,
    )


# Layers

KINDS = [("BatchNorm1d", (5, 3)), ("BatchNorm1d", (4, 3, 2)), ("BatchNorm2d", (2, 3, 2, 4))]
OPTIONS = [
    {"momentum": momentum, "affine": affine, "track_running_stats": tracked}
    for momentum, affine, tracked in product((0.3, None), (True, False), (True, False))
]


@pytest.mark.parametrize("recorded", [False, True], ids=["unrecorded", "recorded"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_batch_norm_layers_go_through_training_and_evaluation_as_pytorchs(torch, kind, shape, options, recorded):
    mine, theirs = twins(torch, kind, 3, eps=1e-3, **options)
    for batch in range(4):
        mine.train(batch != 2), theirs.train(batch != 2)
        x = (1 + batch) * spread(*shape, seed=batch) + batch
        other = torch.tensor(x, requires_grad=True)
        if recorded:
            with tn.record():
                own, y = stepped(mine, x)
        else:
            own, y = stepped(mine, x)
        expected = theirs(other)
        (expected * expected * expected).sum().backward()
        np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), **EXACT)
        np.testing.assert_allclose(own.grad.numpy(), other.grad.numpy(), **EXACT)
        for path, array in mine.state_dict().items():
            np.testing.assert_allclose(array, theirs.state_dict()[path].numpy(), **EXACT, err_msg=path)
        for path, parameter in mine.named_parameters():
            np.testing.assert_allclose(parameter.grad.numpy(), theirs.get_parameter(path).grad.numpy(), **EXACT)


def stepped(module, x):
    own = tn.tensor(x, requires_grad=True)
    y = module(own)
    (y * y * y).sum().backward()
    return own, y


@pytest.mark.parametrize("options", [{}, {"elementwise_affine": False}, {"bias": False}], ids=str)
def test_layer_norm_layers_are_pytorchs(torch, options):
    mine, theirs = twins(torch, "LayerNorm", (3, 4), **options)
    x = spread(2, 3, 4)
    np.testing.assert_allclose(mine(tn.tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy(), **EXACT)


def test_the_number_of_parameters_and_buffers():
    assert sum(p.size for p in nn.BatchNorm2d(5).parameters()) == 2 * 5
    assert sum(b.size for _, b in nn.BatchNorm2d(5).named_buffers()) == 2 * 5 + 1
    assert sum(p.size for p in nn.LayerNorm((2, 3)).parameters()) == 2 * 6
    assert not list(nn.BatchNorm1d(5, affine=False, track_running_stats=False).named_parameters())


def test_a_batch_has_mean_0_and_variance_1_afterwards():
    y = nn.BatchNorm2d(3, eps=0)(tn.tensor(100 + spread(4, 3, 5, 5))).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), np.zeros(3), atol=1e-12)
    np.testing.assert_allclose(y.var((0, 2, 3)), np.ones(3), rtol=1e-12)


def test_float32_layers_keep_float32_statistics():
    tn.set_default_dtype("float32")
    try:
        norm = nn.BatchNorm1d(3)
    finally:
        tn.set_default_dtype("float64")
    norm(tn.tensor(spread(5, 3).astype("float32")))
    norm(tn.tensor(spread(5, 3)))
    assert {str(b.dtype) for path, b in norm.named_buffers() if path != "num_batches_tracked"} == {"float32"}


# Buffers


def test_buffers_belong_to_the_state_but_are_not_learned():
    net = nn.Sequential({"conv": nn.Conv2d(1, 2, 2), "bn": nn.BatchNorm2d(2)})
    buffers = [f"bn.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")]
    assert [path for path, _ in net.named_buffers()] == buffers
    assert list(net.state_dict()) == ["conv.weight", "conv.bias", "bn.weight", "bn.bias", *buffers]
    assert not set(buffers) & {path for path, _ in net.named_parameters()}
    assert not any(buffer.requires_grad for _, buffer in net.named_buffers())


def test_a_state_dict_holds_copies_of_the_buffers():
    norm, other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    norm(tn.tensor(spread(5, 3)))
    state = norm.state_dict()
    other.load_state_dict(state)
    for module in (norm, other):
        module(tn.tensor(spread(5, 3)))
    assert state["num_batches_tracked"] == 1 and norm.num_batches_tracked.item() == 2
    for path, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[path])
        assert path in ("weight", "bias") or not np.array_equal(array, state[path])


def test_a_missing_buffer_is_named():
    state = nn.BatchNorm1d(3).state_dict()
    del state["running_var"]
    with pytest.raises(ValueError, match="cannot load into BatchNorm1d: missing running_var"):
        nn.BatchNorm1d(3).load_state_dict(state)


# Recorded


def test_a_recorded_batch_norm_names_its_quantities():
    net = nn.Sequential({"bn": nn.BatchNorm1d(3), "act": nn.Tanh()})
    with tn.record() as run:
        net(tn.tensor(spread(5, 3), name="x"))
        net.eval()(tn.tensor(spread(5, 3), name="x2"))
    names = ["weight", "bias", "num_batches_tracked", "new_num_batches_tracked", "mean", "centred", "var"]
    names += ["running_mean", "new_running_mean", "running_var"]
    names += ["new_running_var", "xhat[0]", "y[0]", "tanh[0]", "xhat[1]", "y[1]", "tanh[1]"]
    assert [name for name in run.names if name not in ("x", "x2")] == [f"bn.{name}" for name in names]
    assert run.find("bn.running_mean").kind == "input"
    np.testing.assert_array_equal(run["bn.running_mean"], np.zeros(3))
    np.testing.assert_array_equal(run["bn.new_running_mean"], net.bn.running_mean.numpy())


def test_evaluation_follows_the_running_statistics_of_a_replay():
    """In one recording, evaluation after training reads what training computed, not numbers of its own."""
    norm, (x, other) = nn.BatchNorm1d(3), (spread(5, 3, seed=seed) for seed in range(2))
    with tn.record() as run:
        norm(tn.tensor(x, name="x"))
        y = norm.eval()(tn.tensor(x, name="again"))
    assert run.steps[-1].output.array is not None
    again = nn.BatchNorm1d(3)
    again(tn.tensor(other))
    np.testing.assert_allclose(
        run.replay(x=other).steps[-1].output.array, again.eval()(tn.tensor(x)).numpy(), rtol=1e-12
    )
    np.testing.assert_array_equal(run.replay().steps[-1].output.array, y.numpy())


def test_a_recorded_layer_norm_names_its_quantities():
    norm = nn.LayerNorm(3)
    with tn.record() as run:
        norm(tn.tensor(spread(5, 3), name="x"))
    names = ["weight", "bias", "mean", "centred", "var", "xhat", "y"]
    assert [name for name in run.names if name != "x"] == [f"layernorm.{name}" for name in names]


def test_without_weights_the_standardised_numbers_are_the_result():
    run = assert_recorded_alike(lambda x: F.layer_norm(x, 3), spread(5, 3))
    assert "xhat" in run and "y" not in run


# Messages


def zeros(*shape):
    return tn.tensor(np.zeros(shape))


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"BatchNorm1d expects \(N, 3\) or \(N, 3, L\), got \(2, 4\)", lambda: nn.BatchNorm1d(3)(zeros(2, 4))),
        (r"BatchNorm2d expects \(N, 3, H, W\), got \(2, 3\)", lambda: nn.BatchNorm2d(3)(zeros(2, 3))),
        (r"layer_norm expects \(…, 3, 4\), got \(2, 4\)", lambda: nn.LayerNorm((3, 4))(zeros(2, 4))),
        (r"a bias of shape \(3,\), expected \(4,\)", lambda: F.layer_norm(zeros(2, 4), 4, None, zeros(3))),
        (r"batch_norm expects \(N, C\) or \(N, C, …\), got \(3,\)", lambda: F.batch_norm(zeros(3), None, None)),
        (
            r"a running_var of shape \(4,\), expected \(3,\), a number for each channel of the input \(2, 3\)",
            lambda: F.batch_norm(zeros(2, 3), zeros(3), zeros(4)),
        ),
        ("no running_mean or running_var, expected both", lambda: F.batch_norm(zeros(2, 3), None, zeros(3))),
        (r"two numbers or more a channel in training, got \(1, 3\)", lambda: nn.BatchNorm1d(3)(zeros(1, 3))),
    ],
)
def test_messages(message, call):
    with pytest.raises(ValueError, match=message):
        call()
