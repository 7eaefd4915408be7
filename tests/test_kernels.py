"""What the kernels of images do beyond their definitions: the order in memory, and exact selection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import functional as F
from tinynet import nn
from tinynet import primitives as P
from tinynet.functional.kernels import convolution
from tinynet.selection import kept


def image_net() -> nn.Module:
    tn.manual_seed(0)
    layers = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
    ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 4 * 4, 5))


IMAGES = [spread(16, 3, 24, 24, seed=i) for i in range(3)]


def gradients(net: nn.Module) -> list[np.ndarray]:
    return [p.grad.numpy().copy() for p in net.parameters()]


def trained(net: nn.Module, x: np.ndarray) -> list[np.ndarray]:
    net.zero_grad()
    F.cross_entropy(net(tn.tensor(x)), np.arange(16) % 5).backward()
    return gradients(net)


def test_a_forward_pass_leaves_an_earlier_one_alone():
    """Two forward passes, then their backward passes; and one of them once more."""
    net = image_net()
    expected = [trained(net, x) for x in IMAGES]
    losses = [F.cross_entropy(net(tn.tensor(x)), np.arange(16) % 5) for x in IMAGES]
    for i in (1, 0, 2, 1):
        net.zero_grad()
        losses[i].backward()
        for found, other in zip(gradients(net), expected[i], strict=True):
            np.testing.assert_allclose(found, other, rtol=1e-12, atol=1e-15)


def test_results_and_gradients_stay_as_they_are():
    net = image_net()
    x = tn.tensor(IMAGES[0], requires_grad=True)
    layers = [x]
    for _, layer in net.children():
        layers.append(layer(layers[-1]))
    F.cross_entropy(layers[-1], np.arange(16) % 5).backward()
    held = [*layers[1:], x.grad, *(p.grad for p in net.parameters())]
    before = [t.numpy().copy() for t in held]
    for other in IMAGES[1:]:
        trained(net, other)
    for tensor, numbers in zip(held, before, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), numbers)


def test_gradients_lie_apart():
    x, w, b = (tn.tensor(spread(*s), requires_grad=True) for s in [(8, 2, 30, 30), (4, 2, 3, 3), (4,)])
    y = F.max_pool2d(F.relu(F.conv2d(x, w, b)), 2)
    found: list[Any] = [g.data for g in tn.grad(y, (x, w, b), np.ones(y.shape))] + [x.data, w.data, b.data, y.data]
    for i, a in enumerate(found):
        assert not any(np.shares_memory(a, other) for other in found[:i])


def test_images_stay_row_by_row_in_memory_from_layer_to_layer():
    x = tn.tensor(IMAGES[0])
    for _, layer in list(image_net().children())[:6]:
        x = layer(x)
        assert x.data.transpose(2, 1, 3, 0).flags.c_contiguous


@pytest.mark.parametrize("batch", [1, 4])
def test_flattened_images_and_their_gradients_lie_column_by_column(batch):
    images = tn.tensor(np.abs(spread(3, 2, 3, batch)).transpose(3, 1, 0, 2), requires_grad=True)
    x = F.relu(images)  # which leaves them as they are, and their gradients in the order in which they arrive
    flat = F.flatten(x, 1)
    assert flat.data.T.flags.c_contiguous
    np.testing.assert_array_equal(flat.numpy(), np.reshape(x.numpy(), (batch, -1)))
    w, b, seed = (tn.tensor(spread(*shape, seed=1), requires_grad=True) for shape in [(5, 18), (5,), (batch, 5)])
    found = tn.grad(F.linear(flat, w, b), (images, w, b), seed)
    assert found[0].data.transpose(1, 2, 3, 0).flags.c_contiguous
    expected = [(seed.data @ w.data).reshape(batch, 2, 3, 3), seed.data.T @ flat.data, seed.data.sum(0)]
    for g, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(g.numpy(), other, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("bias", [True, False])
def test_columns_too_large_to_be_kept_are_computed_again(monkeypatch, bias):
    conv, x = nn.Conv2d(3, 8, 3, stride=2, groups=1, bias=bias), tn.tensor(IMAGES[0], requires_grad=True)
    expected = [g.numpy() for g in tn.grad((conv(x) ** 2).sum(), (x, *conv.parameters()))]
    monkeypatch.setattr(convolution, "LARGEST", 0)
    found = tn.grad((conv(x) ** 2).sum(), (x, *conv.parameters()))
    for g, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(g.numpy(), other)


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (3, 0, 1, 2), (2, 3, 1, 0)])
def test_any_order_in_memory_gives_the_same_numbers(axes, pool):
    x = spread(4, 6, 8, 10)
    moved = np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))
    w, seed = tn.tensor(spread(4, 3, 3, 2, seed=1)), spread(4, 4, 3, 4)
    results = []
    for a, s in ((x, seed), (moved, np.asfortranarray(seed))):
        t = tn.tensor(a, requires_grad=True)
        y = pool(F.relu(F.conv2d(t, w, groups=2)), 2)
        results.append((y.numpy(), tn.grad(y, t, s).numpy()))
    for found, other in zip(*results, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-13, atol=1e-15)


# Awkward numbers

AWKWARD = [0.0, -0.0, 1.5, -2.5, np.inf, -np.inf, np.nan, 5e-324, -5e-324]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_kept_is_where_to_the_bit(dtype):
    x = np.array(AWKWARD * 2).astype(dtype) if dtype != "int64" else np.arange(18) - 9
    condition = np.arange(18) < 9
    for out in (None, np.ones(18, x.dtype)):
        assert kept(condition, x, out).tobytes() == np.where(condition, x, 0).astype(dtype).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(2, 9), (2, 1), (9,)])
@pytest.mark.parametrize("condition", [np.arange(18).reshape(2, 9) % 3 == 0, np.arange(2)[:, None], np.True_, [True]])
def test_where_is_numpys_to_the_bit(condition, shape, dtype):
    x = np.array([0.0, -0.0, 1.5, 2.5, 3.5, -4.5, 5e-324, -7.0, 8.0] * 2)[: np.prod(shape)].reshape(shape).astype(dtype)
    with np.errstate(invalid="ignore"):
        x = x if dtype == "int64" else x * np.where(x == 1.5, np.inf, np.where(x == 2.5, np.nan, 1)).astype(dtype)
    for other in (0, 0.0, 1):
        found, expected = P.where(np.asarray(condition), x, other), np.where(condition, x, other)
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu_of_awkward_numbers_is_its_definitions(dtype):
    numbers = np.array([[a, b] for a in AWKWARD for b in AWKWARD], dtype)
    derivatives = []
    for relu in (F.relu, F.relu.definition):
        x = tn.tensor(numbers[:, :1], requires_grad=True)
        y = relu(x)
        derivatives.append((y.numpy(), tn.grad(y, x, numbers[:, 1:]).numpy()))
    (y, g), (expected, slope) = derivatives
    np.testing.assert_array_equal(y, expected)
    assert g.tobytes() == slope.tobytes()


def awkward_images() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.choice([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan], (20, 2, 6, 6), p=[0.2, 0.2, 0.2, 0.1, 0.2, 0.1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [(2,), (2, 1), (3, 2, 1), ((2, 3), 1, (0, 1), 2)])
def test_a_relu_after_the_pooling_of_awkward_numbers_is_one_before_it(options, dtype):
    x = tn.tensor(awkward_images().astype(dtype), requires_grad=True)
    relu, pool = nn.ReLU(), nn.MaxPool2d(*options)
    found, expected = nn.Sequential(relu, pool)(x), pool(relu(x))
    seed = spread(*found.shape).astype(dtype)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    np.testing.assert_array_equal(tn.grad(found, x, seed).numpy(), tn.grad(expected, x, seed).numpy())


@pytest.mark.filterwarnings("ignore:invalid value")  # in the gradient of the kernels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_convolution_joined_with_what_follows_takes_awkward_numbers_as_it_does_alone(dtype):
    conv, relu, pool = nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d(2)
    conv.load_state_dict({"weight": np.ones((2, 1, 1, 1)), "bias": np.array([0.5, -1.0])})
    for parameter in conv.parameters():
        parameter.data = parameter.data.astype(dtype)
    x = tn.tensor(awkward_images().reshape(40, 1, 6, 6).astype(dtype), requires_grad=True)
    found, expected = nn.Sequential(conv, relu, pool)(x), pool(relu(conv(x)))
    seed = spread(*found.shape).astype(dtype)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    np.testing.assert_array_equal(tn.grad(found, x, seed).numpy(), tn.grad(expected, x, seed).numpy())


@pytest.mark.parametrize("size", [2, (2, 3), 3])
def test_pooling_of_awkward_numbers_is_its_definitions(size):
    """Zeros of both signs are equal; the first NaN is larger than anything."""
    x = tn.tensor(awkward_images(), requires_grad=True)
    for stride, padding in ((None, 0), (1, 0), (2, 1)):
        y = F.max_pool2d(x, size, stride, padding)
        found = y.numpy(), tn.grad(y, x, spread(*y.shape)).numpy()
        with tn.record():
            y = F.max_pool2d(x, size, stride, padding)
            expected = y.numpy(), tn.grad(y, x, spread(*y.shape)).numpy()
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, other)


def test_a_backward_pass_can_be_recorded_after_a_kernel_ran():
    net, x = image_net(), tn.tensor(IMAGES[0][:2], name="x")
    loss = (net(x) ** 2).sum()
    expected = [g.numpy() for g in tn.grad(loss, list(net.parameters()))]
    with tn.record():
        found = tn.grad(loss, list(net.parameters()))
    for g, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(g.numpy(), other, rtol=1e-10, atol=1e-12)
