"""Convolutions and their transposes: PyTorch's in all options, a sum worked by hand, names and messages."""

from __future__ import annotations

from itertools import product
from typing import Any

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

CONVOLUTIONS = [
    (axes, stride, padding, dilation, groups)
    for axes, stride, padding, dilation, groups in product((1, 2), (1, 2, 3), (0, 2, "same"), (1, 2), (1, 2))
    if padding != "same" or stride == 1
]
UNEVEN: list[dict[str, Any]] = [
    {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)},
    {"stride": (1, 3), "padding": (1, 0), "groups": 2},
    {"padding": "same", "dilation": (2, 1)},
    {"padding": "valid", "stride": 2},
]


def operands(axes, groups=1, batch=2, channels=4, kernels=6):
    """An input, kernels and biases; sizes and kernels differ in the two directions."""
    size, kernel = (7, 8)[:axes], (2, 3)[:axes]
    return spread(batch, channels, *size), spread(kernels, channels // groups, *kernel, seed=1), spread(kernels, seed=2)


def both(torch, function):
    return getattr(F, function), getattr(torch.nn.functional, function)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's: it may be slow
@pytest.mark.parametrize(("axes", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_convolutions_agree_with_pytorch(torch, axes, stride, padding, dilation, groups):
    mine, theirs = both(torch, f"conv{axes}d")
    options = (stride, padding, dilation, groups)
    assert_agrees(torch, lambda *a: mine(*a, *options), lambda *a: theirs(*a, *options), *operands(axes, groups))


@pytest.mark.parametrize("options", UNEVEN, ids=str)
def test_each_direction_has_its_own_options(torch, options):
    mine, theirs = both(torch, "conv2d")
    arrays = operands(2, options.get("groups", 1))
    assert_agrees(torch, lambda *a: mine(*a, **options), lambda *a: theirs(*a, **options), *arrays)


@pytest.mark.parametrize("axes", [1, 2])
def test_one_example_and_no_bias(torch, axes):
    mine, theirs = both(torch, f"conv{axes}d")
    x, w, _ = operands(axes)
    assert_agrees(torch, lambda x, w: mine(x, w, padding=1), lambda x, w: theirs(x, w, padding=1), x[0], w)


def test_a_kernel_for_each_channel(torch):
    """Depthwise: as many groups as channels."""
    mine, theirs = both(torch, "conv2d")
    x, w, b = operands(2, groups=4, kernels=8)
    assert_agrees(torch, lambda *a: mine(*a, groups=4), lambda *a: theirs(*a, groups=4), x, w, b)


def test_a_batch_of_none():
    w = tn.tensor(spread(6, 4, 2, 3), requires_grad=True)
    z = F.conv2d(tn.tensor(np.zeros((0, 4, 5, 5))), w, stride=2)
    z.sum().backward()
    assert z.shape == (0, 6, 2, 2)
    np.testing.assert_array_equal(w.grad.numpy(), np.zeros(w.shape))


TRANSPOSED = [
    (stride, padding, more, groups, dilation)
    for stride, padding, more, groups, dilation in product((1, 2, 3), (0, 1, 3), (0, 1, 2), (1, 2), (1, 2))
    if more < max(stride, dilation)
]


@pytest.mark.parametrize(("stride", "padding", "more", "groups", "dilation"), TRANSPOSED)
def test_transposed_convolutions_agree_with_pytorch(torch, stride, padding, more, groups, dilation):
    mine, theirs = both(torch, "conv_transpose2d")
    x, w, b = spread(2, 4, 7, 8), spread(4, 6 // groups, 3, 2, seed=1), spread(6, seed=2)
    options = (stride, padding, more, groups, dilation)
    assert_agrees(torch, lambda *a: mine(*a, *options), lambda *a: theirs(*a, *options), x, w, b)


def test_transposed_convolutions_have_their_own_options_in_each_direction(torch):
    mine, theirs = both(torch, "conv_transpose2d")
    options = {"stride": (2, 1), "padding": (0, 3), "output_padding": (1, 0), "dilation": (1, 2)}
    x, w = spread(3, 4, 5), spread(3, 2, 3, 2, seed=1)
    assert_agrees(torch, lambda *a: mine(*a, **options), lambda *a: theirs(*a, **options), x, w)


SMALL = st.integers(1, 3)


@st.composite
def convolutions(draw):
    """Any call with small numbers, also one that does not fit."""
    axes, groups = draw(st.sampled_from([1, 2])), draw(SMALL)
    channels = groups * draw(SMALL) + draw(st.sampled_from([0, 0, 0, 1]))
    shape = (draw(SMALL), channels, *(draw(st.integers(1, 6)) for _ in range(axes)))
    kernels = groups * draw(SMALL) + draw(st.sampled_from([0, 0, 0, 1]))
    weight = (kernels, max(1, channels // groups), *(draw(SMALL) for _ in range(axes)))
    pairs = st.one_of(SMALL, st.tuples(*[SMALL] * axes))
    padding = draw(st.one_of(st.integers(0, 3), st.tuples(*[st.integers(0, 2)] * axes), st.just("same")))
    return f"conv{axes}d", shape, weight, (draw(pairs), padding, draw(pairs), groups)


@given(convolutions())
@settings(max_examples=60, deadline=None)
def test_any_convolution_is_pytorchs_or_refused_by_both(call):
    torch = require("torch")
    function, shape, weight, options = call
    mine, theirs = both(torch, function)
    x, w = spread(*shape), spread(*weight, seed=1)
    try:
        theirs(torch.tensor(x), torch.tensor(w), None, *options)
    except (RuntimeError, ValueError):
        with pytest.raises(ValueError, match=function):
            mine(tn.tensor(x), tn.tensor(w), None, *options)
    else:
        assert_agrees(torch, lambda *a: mine(*a, None, *options), lambda *a: theirs(*a, None, *options), x, w)


@given(
    places=st.tuples(SMALL, SMALL),
    kernel=st.tuples(SMALL, SMALL),
    stride=SMALL,
    dilation=SMALL,
    groups=st.integers(1, 2),
)
@settings(max_examples=25, deadline=None)
def test_the_transpose_is_the_transpose(places, kernel, stride, dilation, groups):
    """⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩ for all x and y."""
    w, y = tn.tensor(spread(2 * groups, 2, *kernel)), tn.tensor(spread(2, 2 * groups, *places, seed=1))
    back = F.conv_transpose2d(y, w, None, stride, groups=groups, dilation=dilation)
    x = tn.tensor(spread(*back.shape, seed=2))
    z = F.conv2d(x, w, None, stride, 0, dilation, groups)
    assert (z * y).sum().item() == pytest.approx((x * back).sum().item(), abs=1e-10)


def test_a_convolution_by_hand():
    x, w, b = tn.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]), tn.tensor([[[[1.0, 10.0]]]]), tn.tensor([0.5])
    np.testing.assert_array_equal(F.conv2d(x, w, b).numpy(), [[[21.5, 32.5], [54.5, 65.5]]])
    np.testing.assert_array_equal(F.conv_transpose2d(x[:, :, :2], w).numpy(), [[[1, 12, 20], [4, 45, 50]]])


# Layers


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kind", "args", "options", "shape"),
    [
        ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, (2, 4, 7)),
        ("Conv2d", (2, 3, (3, 2)), {"padding": "same"}, (2, 2, 5, 4)),
        ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "output_padding": 1, "groups": 2, "dilation": 2}, (4, 3, 4)),
    ],
)
def test_layers_have_pytorchs_parameters_and_results(torch, kind, args, options, shape, bias):
    mine, theirs = twins(torch, kind, *args, bias=bias, **options)
    x = spread(*shape)
    own, other = tn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    z, expected = mine(own), theirs(other)
    np.testing.assert_allclose(z.numpy(), expected.detach().numpy(), **EXACT)
    (z * z).sum().backward(), (expected * expected).sum().backward()
    np.testing.assert_allclose(own.grad.numpy(), other.grad.numpy(), **EXACT)
    for path, parameter in mine.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), theirs.get_parameter(path).grad.numpy(), **EXACT)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("inputs", "outputs", "size", "groups"), [(3, 5, (2, 3), 1), (4, 6, (3, 3), 2)])
def test_the_number_of_parameters(inputs, outputs, size, groups, bias):
    field, biases = size[0] * size[1], outputs if bias else 0

    def count(module):
        return sum(p.size for p in module.parameters())

    assert (
        count(nn.Conv2d(inputs, outputs, size, groups=groups, bias=bias)) == inputs // groups * outputs * field + biases
    )
    transposed = nn.ConvTranspose2d(inputs, outputs, size, groups=groups, bias=bias)
    assert count(transposed) == inputs * outputs // groups * field + biases
    assert count(nn.Conv1d(inputs, outputs, 3, groups=groups, bias=bias)) == inputs // groups * outputs * 3 + biases


def test_layers_start_within_pytorchs_bounds():
    layers = [
        (nn.Conv1d(8, 60, 8, groups=4), 1 / 4),
        (nn.Conv2d(4, 60, 2), 1 / 4),
        (nn.ConvTranspose2d(60, 4, 2), 1 / 4),
    ]
    for module, bound in layers:
        for parameter in module.parameters():
            largest = np.abs(parameter.numpy()).max()
            assert (0.9 if parameter.size > 9 else 0.2) * bound < largest <= bound


def test_a_layer_takes_its_number_type_from_its_parameters():
    tn.set_default_dtype("float32")
    try:
        conv = nn.Conv2d(1, 2, 2)
    finally:
        tn.set_default_dtype("float64")
    assert conv(tn.tensor(np.ones((1, 1, 3, 3), dtype="float32"))).dtype == "float32"


# Recorded


def test_a_recorded_convolution_names_its_quantities():
    conv = nn.Conv2d(1, 2, 3, padding=1, dilation=2)
    with tn.record() as run:
        conv(tn.tensor(spread(1, 1, 5, 5), name="x")).sum().backward()
    forward = [f"conv2d.{quantity}" for quantity in ("weight", "bias", "padded", "dilated", "z")]
    backward = ["d_loss", "d_conv2d.z", "d_conv2d.bias", "d_conv2d.dilated", "d_conv2d.weight"]
    assert [name for name in run.names if name != "x"] == [*forward, "loss", *backward]
    assert run.find("conv2d.padded").title == "input with a border of zeros"


def test_a_recorded_transposed_convolution_names_its_quantities():
    transposed = nn.ConvTranspose2d(1, 2, 2, stride=2)
    with tn.record() as run:
        transposed(tn.tensor(spread(1, 1, 2, 2), name="x"))
    names = [f"convtranspose2d.{quantity}" for quantity in ("weight", "bias", "spread", "rotated", "z")]
    assert [name for name in run.names if name != "x"] == names


def test_a_plain_convolution_has_no_quantity_between():
    run = assert_recorded_alike(lambda x, w: F.conv2d(x, w, padding=0), *operands(2)[:2])
    assert not {"padded", "dilated"} & set(run.names)


# Messages


def zeros(*shape):
    return tn.tensor(np.zeros(shape))


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"conv2d expects \(N, C, H, W\) or \(C, H, W\), .* got \(5, 5\)", lambda: F.conv2d(zeros(5, 5), KERNEL)),
        (r"conv1d expects \(N, C, L\) or \(C, L\)", lambda: F.conv1d(zeros(1, 2, 5, 5), KERNEL)),
        (r"with sizes of at least 1, got \(1, 2, 0, 5\)", lambda: F.conv2d(zeros(1, 2, 0, 5), KERNEL)),
        (
            r"got input \(1, 3, 5, 5\), weight \(4, 2, 3, 3\) and groups=1: expected a weight \(O, C/groups, K, K'\)",
            lambda: F.conv2d(zeros(1, 3, 5, 5), KERNEL),
        ),
        (r"O and the 6 channels of the input multiples of", lambda: F.conv2d(zeros(1, 6, 5, 5), KERNEL, groups=3)),
        (r"weight \(4, 2, 3\) and groups=1: expected", lambda: F.conv2d(IMAGE, zeros(4, 2, 3))),
        (r"a bias of shape \(2,\), expected \(4,\)", lambda: F.conv2d(IMAGE, KERNEL, zeros(2))),
        (r"covers \(3, 3\) does not fit into input \(1, 2, 5, 2\)", lambda: F.conv2d(zeros(1, 2, 5, 2), KERNEL)),
        (r"a kernel that covers \(7, 7\) does not fit", lambda: F.conv2d(IMAGE, KERNEL, dilation=3)),
        ("stride is 0, expected an integer of at least 1, or 2 of", lambda: F.conv2d(IMAGE, KERNEL, stride=0)),
        (r"stride is \(1, 2, 3\), expected", lambda: F.conv2d(IMAGE, KERNEL, stride=(1, 2, 3))),
        ("padding is -1, expected an integer of at least 0", lambda: F.conv2d(IMAGE, KERNEL, padding=-1)),
        ("padding is 'full', expected an integer", lambda: F.conv2d(IMAGE, KERNEL, padding="full")),
        (r"'same' and stride \(2, 2\), expected stride 1", lambda: F.conv2d(IMAGE, KERNEL, stride=2, padding="same")),
        ("dilation is 1.5, expected", lambda: F.conv2d(IMAGE, KERNEL, dilation=1.5)),
        ("groups is 0, expected an integer of at least 1$", lambda: F.conv2d(IMAGE, KERNEL, groups=0)),
        (r"expected a weight \(2, O/groups, K, K'\)", lambda: F.conv_transpose2d(IMAGE, KERNEL)),
        ("output_padding is 1, expected less than", lambda: F.conv_transpose2d(IMAGE, TURNED, output_padding=1)),
        (r"would be \(-1, -1\) in size: use less padding", lambda: F.conv_transpose2d(IMAGE, TURNED, padding=4)),
        ("Conv2d got 3 input and 4 output channels for groups=2", lambda: nn.Conv2d(3, 4, 2, groups=2)),
        ("ConvTranspose2d: kernel_size is 0, expected", lambda: nn.ConvTranspose2d(3, 4, 0)),
    ],
)
def test_messages(message, call):
    with pytest.raises(ValueError, match=message):
        call()


IMAGE, KERNEL, TURNED = zeros(1, 2, 5, 5), zeros(4, 2, 3, 3), zeros(2, 4, 3, 3)
