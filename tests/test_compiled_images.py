"""Compiled convolutions and poolings: every value as it was recorded, in all options and for awkward numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.test_compiled import assert_same
from tinynet import functional as F
from tinynet import nn, optim
from tinynet import primitives as P

SMALL = st.integers(1, 3)


def recorded(function, *arrays):
    """A function's run with a nonlinear loss, so that the cotangents are numbers of their own."""
    leaves = [tn.tensor(a, requires_grad=True, name=f"v{i}") for i, a in enumerate(arrays)]
    with tn.record() as run:
        (function(*leaves) ** 2).sum().backward()
    return run


def assert_compiles(run, **leaves):
    """Twice, since nothing may be left over from one call for the next, and for other numbers."""
    step = run.compile()
    for _ in range(2):
        step()
        assert_same(step, run)
    if leaves:
        step(**leaves)
        assert_same(step, run.replay(**leaves))


@st.composite
def convolutions(draw):
    axes, groups = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 1, 1, 2]))
    each = st.tuples(*[SMALL] * axes)
    kernel, stride, dilation = draw(each), draw(each), draw(each)
    padding = draw(st.tuples(*[st.integers(0, 3)] * axes))
    sizes = [max(1, d * (k - 1) + 1 + draw(st.integers(0, 6))) for k, d in zip(kernel, dilation, strict=True)]
    x = (draw(SMALL), groups * draw(SMALL), *sizes)
    w = (groups * draw(SMALL), x[1] // groups, *kernel)
    return f"conv{axes}d", x, w, (stride, padding, dilation, groups)


@given(convolutions(), st.booleans())
@settings(deadline=None, max_examples=80)
def test_any_convolution(call, bias):
    function, x, w, options = call
    arrays = [spread(*x), spread(*w, seed=1), *([spread(w[0], seed=2)] if bias else [])]
    run = recorded(lambda x, w, b=None: getattr(F, function)(x, w, b, *options), *arrays)
    assert_compiles(run, v0=spread(*x, seed=3), v1=spread(*w, seed=4))


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_side_by_side(dim, bias):
    arrays = [spread(3, 2, 5, 5), spread(4, 2, 3, 3, seed=1), spread(4, 2, 3, 3, seed=2), spread(4, seed=3)]

    def both(x, v, w, b):
        b = b if bias else None
        return F.cat((F.conv2d(x, v, b, padding=1), F.conv2d(x, w, b, padding=1)), dim)

    assert_compiles(recorded(both, *arrays), v0=spread(3, 2, 5, 5, seed=4))


@given(st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL), st.integers(0, 1), st.integers(1, 2), st.booleans())
@settings(deadline=None, max_examples=40)
def test_any_pooling(size, stride, padding, dilation, largest):
    """Of numbers many of which are equal."""
    x = np.round(spread(2, 3, 7, 8))
    padding = min(padding, *(k // 2 for k in size))

    def pooled(x):
        if largest:
            return F.max_pool2d(x, size, stride, padding, dilation)
        return F.avg_pool2d(x, size, stride, padding)

    assert_compiles(recorded(pooled, x), v0=np.round(spread(2, 3, 7, 8, seed=1)))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2)])
@pytest.mark.parametrize("padding", [0, 1])
def test_a_network_goes_on_training(padding, order):
    def training():
        net = nn.Sequential(
            *(nn.Conv2d(2, 3, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(3, 5, 2, stride=2, dilation=2), nn.ReLU(), nn.AvgPool2d(2, 1)),
            *(nn.Flatten(), nn.Linear(20, 4)),
        )
        net.load_state_dict({k: spread(*a.shape, seed=i) / 4 for i, (k, a) in enumerate(net.state_dict().items())})
        optimizer = optim.SGD(net.parameters(), lr=0.05)

        def train(x):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(tn.tensor(x, name="x")), np.arange(6) % 4)
            loss.backward()
            optimizer.step()
            return loss.item()

        return net, train

    batches = [spread(6, 2, 16, 16, seed=i) for i in order]
    (eager, train), (_, train_recorded) = training(), training()
    with tn.record() as run:
        train_recorded(batches[0])
    step = run.compile()
    for x in batches:
        assert step(x=x) == pytest.approx(train(x), rel=1e-11)
    for name, array in step.parameters.items():
        np.testing.assert_allclose(array, eager.state_dict()[name], rtol=1e-10, atol=1e-12)


def test_an_image_that_is_trained_is_convolved_as_it_is_at_the_time():
    """The updated image has the old one's buffer: its columns are not the old one's."""
    image = tn.Parameter(spread(2, 1, 4, 4))
    w = tn.tensor(spread(2, 1, 2, 2, seed=1), requires_grad=True, name="w")
    with tn.record() as run:
        for _ in range(2):
            image.grad = None
            (F.conv2d(image, w) ** 2).sum().backward()
            optim.SGD([image], lr=0.1).step()
    step = run.compile()
    step()
    assert_same(step, run)


def test_the_same_image_under_two_kernels():
    x, w, v = spread(2, 2, 6, 6), spread(3, 2, 3, 3, seed=1), spread(2, 2, 2, 2, seed=2)
    run = recorded(lambda x, w, v: F.conv2d(x, w).sum() + (F.conv2d(x, v, stride=2) ** 2).sum(), x, w, v)
    assert_compiles(run, v0=x[::-1].copy(), v2=v + 1)


def test_windows_that_begin_alike_and_go_on_differently():
    x, w = spread(2, 2, 5, 5), spread(3, 2, 2, 2, seed=1)
    assert_compiles(recorded(lambda x, w: F.conv2d(x, w, stride=2) + F.conv2d(x[:, :, :3, :3], w), x, w))


@pytest.mark.parametrize(
    "index", [np.s_[:, :, 1:-1, -4:], np.s_[:, :, ::2, 1::3], np.s_[1:, :, 1:, :5], np.s_[..., 1:5]]
)
def test_the_gradient_of_a_part_is_convolved(index):
    """A scatter that is no convolution's: its zeros lie elsewhere."""
    x, w = tn.tensor(spread(3, 2, 6, 7), requires_grad=True, name="x"), tn.tensor(spread(1, 2, 2, 2, seed=1), name="w")
    with tn.record() as run:
        y = x[index]
        (g,) = tn.grad((y * y * y).sum(), (x,))
        tn.name(F.conv2d(g, w), "z")
    assert any(step.primitive == "scatter" for step in run)
    assert_compiles(run, x=spread(3, 2, 6, 7, seed=3))


@pytest.mark.parametrize("size", [2, 3, (1, 4)])
def test_awkward_numbers(size):
    """Zeros of both signs are equal, and the first NaN is larger than anything."""
    rng = np.random.default_rng(0)
    numbers = rng.choice([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan], (8, 2, 6, 8), p=[0.2, 0.2, 0.2, 0.1, 0.2, 0.1])
    x = tn.tensor(numbers, requires_grad=True, name="x")
    with tn.record() as run:
        y = F.relu(F.max_pool2d(x, size))
        y.backward(spread(*y.shape))
    step = run.compile()
    step()
    for new, old in zip(step.run.values, run.values, strict=True):
        if old.name is not None:
            np.testing.assert_array_equal(new.array, old.array)
    np.testing.assert_array_equal(step.run.grad["x"], run.grad["x"])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_other_dtypes_stay(dtype):
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    for parameter in net.parameters():
        parameter.data = parameter.data.astype(dtype)
    with tn.record() as run:
        net(tn.tensor(spread(3, 2, 6, 6).astype(dtype), name="x")).sum().backward()
    step = run.compile()
    step()
    floating = [(new, old) for new, old in zip(step.run.values, run.values, strict=True) if old.array.dtype.kind == "f"]
    assert {new.array.dtype for new, _ in floating} == {np.dtype(dtype)}
    for new, old in floating:
        if old.name is not None:
            np.testing.assert_allclose(new.array, old.array, rtol=1e-2, atol=1e-2)


POOLED = {"size": (2, 2), "stride": (2, 2), "dilation": (1, 1)}


def test_windows_that_somebody_can_ask_for_are_there():
    x = tn.tensor(spread(2, 3, 4, 6), name="x")
    with tn.record() as run:
        fields = tn.name(P.windows(x, **POOLED), "fields")
        tn.name(P.take_along_axis(fields, P.argmax(fields, axis=4), axis=4), "largest")
    assert_compiles(run, x=spread(2, 3, 4, 6, seed=1))


def test_windows_may_be_read_where_others_have_their_largest():
    x, y = (tn.tensor(spread(2, 3, 4, 6, seed=i), name=f"v{i}", requires_grad=True) for i in (0, 1))
    with tn.record() as run:
        place = P.argmax(P.windows(y, **POOLED), axis=4)
        tn.name((P.take_along_axis(P.windows(x, **POOLED), place, axis=4) ** 2).sum(), "loss").backward()
    assert_compiles(run, v0=spread(2, 3, 4, 6, seed=2), v1=spread(2, 3, 4, 6, seed=3))
