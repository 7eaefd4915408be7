"""Pooling: PyTorch's in all options, ties, bins of different sizes, names and messages."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.pytorch import assert_agrees, assert_recorded_alike
from tests.spreadsheets import require
from tinynet import functional as F
from tinynet import nn

WINDOWS = list(product((2, 3), (None, 1, 3), (0, 1), (False, True)))
EACH_WINDOW = pytest.mark.parametrize(("size", "stride", "padding", "ceil_mode"), WINDOWS)
AXES = pytest.mark.parametrize("axes", [1, 2])


def assert_agrees_on(torch, function, x, *options):
    mine, theirs = getattr(F, function), getattr(torch.nn.functional, function)
    assert_agrees(torch, lambda x: mine(x, *options), lambda x: theirs(x, *options), x)


def image(axes):
    return spread(2, 2, *(7, 8)[:axes])


@AXES
@EACH_WINDOW
@pytest.mark.parametrize("dilation", [1, 2])
def test_max_pooling_agrees_with_pytorch(torch, axes, size, stride, padding, ceil_mode, dilation):
    assert_agrees_on(torch, f"max_pool{axes}d", image(axes), size, stride, padding, dilation, ceil_mode)


@AXES
@EACH_WINDOW
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_pooling_agrees_with_pytorch(torch, axes, size, stride, padding, ceil_mode, count_include_pad):
    assert_agrees_on(torch, f"avg_pool{axes}d", image(axes), size, stride, padding, ceil_mode, count_include_pad)


@pytest.mark.parametrize("output_size", [1, 4, (7, 4), (3, 5), (None, 2), (1, None), 9], ids=str)
def test_adaptive_pooling_agrees_with_pytorch(torch, output_size):
    assert_agrees_on(torch, "adaptive_avg_pool2d", image(2), output_size)
    assert_agrees_on(torch, "adaptive_avg_pool2d", image(2)[0], output_size)


@pytest.mark.parametrize("output_size", [1, 2, 3, 4, 7, 10, (3,)])
def test_adaptive_pooling_of_one_axis_agrees_with_pytorch(torch, output_size):
    assert_agrees_on(torch, "adaptive_avg_pool1d", image(1), output_size)


def test_each_direction_has_its_own_options_and_a_batch_is_not_needed(torch):
    x = image(2)[0]
    assert_agrees_on(torch, "max_pool2d", x, (3, 2), (1, 3), (1, 0), (2, 1), True)
    assert_agrees_on(torch, "avg_pool2d", x, (3, 2), (1, 3), (0, 1), True, False)
    assert_agrees_on(torch, "avg_pool1d", x[0], 3, 2, 1)


def test_windows_may_see_a_single_number(torch):
    assert_agrees_on(torch, "max_pool2d", np.array([[[0.3]]]), 6, 10, 3, 3, True)


NUMBERS = st.integers(0, 4)


@st.composite
def pools(draw):
    """Any call with small numbers, also one that does not fit; the input has many equal numbers."""
    kind, axes = draw(st.sampled_from(["max", "avg"])), draw(st.sampled_from([1, 2]))
    shape = (2, 1, *(draw(st.integers(1, 7)) for _ in range(axes)))
    some = st.one_of(st.integers(1, 4), st.tuples(*[st.integers(1, 4)] * axes))
    borders = st.one_of(st.integers(0, 2), st.tuples(*[st.integers(0, 2)] * axes))
    options = [draw(some), draw(st.none() | some), draw(borders)]
    rest = (
        [draw(st.integers(1, 3)), draw(st.booleans())] if kind == "max" else [draw(st.booleans()), draw(st.booleans())]
    )
    x = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 3, shape).astype("float64")
    return f"{kind}_pool{axes}d", x, [*options, *rest]


@given(pools())
@settings(max_examples=80, deadline=None)
def test_any_pooling_is_pytorchs_or_refused_by_both(call):
    """Except where a window sees nothing of the input: PyTorch then gives −∞."""
    torch = require("torch")
    function, x, options = call
    try:
        expected = getattr(torch.nn.functional, function)(torch.tensor(x, requires_grad=True), *options)
    except RuntimeError:
        expected = None
    if expected is None or not expected.isfinite().all():
        with pytest.raises(ValueError, match=function):
            getattr(F, function)(tn.tensor(x), *options)
    else:
        assert_agrees_on(torch, function, x, *options)


@given(st.integers(1, 9), st.integers(1, 9), st.tuples(st.integers(1, 10), st.integers(1, 10)))
@settings(max_examples=30, deadline=None)
def test_any_adaptive_pooling_is_pytorchs(height, width, sizes):
    assert_agrees_on(require("torch"), "adaptive_avg_pool2d", spread(1, 2, height, width), sizes)


@pytest.mark.parametrize("options", [(2, 2), (3, 1, 1), (2, 3, 1, 2), (3, 2, 1, 1, True)], ids=str)
def test_the_first_of_equal_numbers_gets_the_gradient(torch, options):
    for x in (np.zeros((1, 1, 6, 6)), np.tile([1.0, 2.0, 2.0], (1, 1, 6, 2))):
        assert_agrees_on(torch, "max_pool2d", x, *options)


def test_ties_by_hand():
    x = tn.tensor([[[[1.0, 2.0], [2.0, 2.0]]]], requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[[[0, 1], [0, 0]]]])


def test_means_by_hand():
    x = tn.tensor([[1.0, 2.0, 3.0, 4.0, 6.0]])
    np.testing.assert_array_equal(F.avg_pool1d(x, 2).numpy(), [[1.5, 3.5]])
    np.testing.assert_array_equal(F.avg_pool1d(x, 2, ceil_mode=True).numpy(), [[1.5, 3.5, 6.0]])
    np.testing.assert_array_equal(F.avg_pool1d(x, 3, 4, 1, False, False).numpy(), [[1.5, 5.0]])
    np.testing.assert_array_equal(F.adaptive_avg_pool1d(x, 2).numpy(), [[2.0, 13 / 3]])


@pytest.mark.parametrize(
    ("mine", "theirs", "x"),
    [
        (nn.MaxPool1d(3, 2, 1, 1, ceil_mode=True), lambda f, x: f.max_pool1d(x, 3, 2, 1, 1, True), image(1)),
        (nn.MaxPool2d((2, 3), dilation=2), lambda f, x: f.max_pool2d(x, (2, 3), dilation=2), image(2)),
        (nn.AvgPool1d(3, padding=1), lambda f, x: f.avg_pool1d(x, 3, padding=1), image(1)),
        (nn.AvgPool2d(3, 2, 1, True, False), lambda f, x: f.avg_pool2d(x, 3, 2, 1, True, False), image(2)),
        (nn.AdaptiveAvgPool1d(3), lambda f, x: f.adaptive_avg_pool1d(x, 3), image(1)),
        (nn.AdaptiveAvgPool2d((None, 3)), lambda f, x: f.adaptive_avg_pool2d(x, (None, 3)), image(2)),
    ],
)
def test_layers_pass_their_options_on(torch, mine, theirs, x):
    assert_agrees(torch, mine, lambda x: theirs(torch.nn.functional, x), x)


# Recorded


def test_a_recorded_pooling_is_named_after_what_it_pools():
    net = nn.Sequential(
        {"conv": nn.Conv2d(1, 2, 3), "act": nn.ReLU(), "pool": nn.MaxPool2d(2), "mean": nn.AvgPool2d(2)}
    )
    with tn.record() as run:
        net(tn.tensor(spread(1, 1, 6, 6), name="x"))
    names = ["weight", "bias", "z", "relu", "chosen", "pooled", "averaged"]
    assert [name for name in run.names if name != "x"] == [f"conv.{name}" for name in names]
    assert run["conv.chosen"].dtype.kind == "i"


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ([nn.MaxPool2d(2), nn.MaxPool2d(2)], ["chosen", "pooled", "chosen_2", "pooled_2"]),
        ([nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)], ["averaged", "averaged_2"]),
        (
            [nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.MaxPool2d(2)],
            ["relu", "chosen", "pooled", "relu_2", "chosen_2", "pooled_2"],
        ),
    ],
)
def test_poolings_in_a_row_are_no_series_in_time(layers: list[nn.Module], names: list[str]):
    net = nn.Sequential({"conv": nn.Conv2d(1, 2, 3), **{f"l{i}": layer for i, layer in enumerate(layers)}})
    with tn.record() as run:
        net(tn.tensor(spread(1, 1, 10, 10), name="x")).sum().backward()
    assert [name for name in run.names if name.startswith("conv.")][3:] == [f"conv.{name}" for name in names]
    assert f"d_conv.{names[-1]}" in run and all(value.time is None for value in run.values)


def test_a_loop_is_a_series_in_time_with_each_pooling_in_it():
    conv, x = nn.Conv2d(1, 1, 3, padding=1), tn.tensor(spread(1, 1, 4, 4), name="x")
    with tn.record() as run:
        for _ in range(2):
            F.avg_pool2d(F.avg_pool2d(conv(x), 2), 2)
    names = [name for name in run.names if "averaged" in name]
    assert names == [f"conv2d.averaged{again}[{t}]" for t in range(2) for again in ("", "_2")]


def test_a_recorded_pooling_of_one_example_makes_a_batch_of_it_once():
    run = assert_recorded_alike(lambda x: F.max_pool2d(x, 2), image(2)[0])
    assert [step.primitive for step in run if step.phase == "forward"].count("reshape") == 3


def test_a_recorded_average_is_a_sum_over_the_image_where_one_number_is_left():
    run = assert_recorded_alike(lambda x: F.adaptive_avg_pool2d(x, 1), image(2))
    assert [step.primitive for step in run if step.phase == "forward"] == ["sum", "divide"]


# Messages


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"max_pool2d expects \(N, C, H, W\) or \(C, H, W\), .* got \(4, 4\)", lambda x: F.max_pool2d(x[0, 0], 2)),
        (r"avg_pool1d expects \(N, C, L\) or \(C, L\)", lambda x: F.avg_pool1d(x, 2)),
        ("padding is 2, expected at most half of the kernel_size 3", lambda x: F.max_pool2d(x, 3, padding=2)),
        (r"a window that covers 5 does not fit into input \(1, 1, 4, 4\)", lambda x: F.max_pool2d(x, 3, dilation=2)),
        ("kernel_size is 0, expected an integer of at least 1", lambda x: F.avg_pool2d(x, 0)),
        ("stride is 0, expected", lambda x: F.avg_pool2d(x, 2, 0)),
        ("a window sees nothing of the 1 numbers", lambda x: F.max_pool2d(x[:, :, :1, :1], 2, 1, 1, 2)),
        ("output_size is 0, expected an integer of at least 1", lambda x: F.adaptive_avg_pool2d(x, 0)),
        (r"output_size is \(2, 2, None\)", lambda x: F.adaptive_avg_pool2d(x, (2, 2, None))),
    ],
)
def test_messages(message, call):
    with pytest.raises(ValueError, match=message):
        call(tn.tensor(np.zeros((1, 1, 4, 4))))
