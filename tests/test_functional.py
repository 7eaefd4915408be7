"""Functions against PyTorch, and every composite's kernel against its definition."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import require
from tinynet import functional as F
from tinynet.functional import activations, convolution, joined, losses, pooling, recurrent
from tinynet.functional.composite import Composite
from tinynet.functional.kernels.axes import axes_of
from tinynet.functional.windows import windows_of


def assert_agrees(torch, mine, theirs, *arrays):
    """Outputs and gradients of a function of floating-point arrays."""
    own = [tn.tensor(a, requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, expected = mine(*own), theirs(*other)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    weights = spread(*y.shape, seed=9)
    y.backward(weights)
    expected.backward(torch.tensor(weights))
    for x, t in zip(own, other, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-12, atol=1e-14)


SAME_IN_TORCH = {
    "tanh": lambda f, x: f.tanh(x),
    "sigmoid": lambda f, x: f.sigmoid(x),
    "relu": lambda f, x: f.relu(x),
    "softmax": lambda f, x: f.softmax(x, dim=-1),
    "softmax by position": lambda f, x: f.softmax(x, 0),
    "flatten": lambda f, x: f.flatten(x, 1),
    "flatten some": lambda f, x: f.flatten(x, 0, -2),
    "reshape": lambda f, x: f.reshape(x, (-1, 6)),
    "squeeze": lambda f, x: f.squeeze(x[:, :, :1], -1),
    "unsqueeze": lambda f, x: f.unsqueeze(x, 1),
    "cat": lambda f, x: f.cat((x, x[:, :1], x), 1),
    "stack": lambda f, x: f.stack((x, 2 * x), -1),
    "flip": lambda f, x: f.flip(x, (0, 2)),
    "mean": lambda f, x: f.mean(x, (0, 1)),
    "maximum": lambda f, x: f.maximum(x, x[:1]),
    "minimum": lambda f, x: f.minimum(x, x[:1]),
    "matmul": lambda f, x: f.matmul(x, x[0].T),
    "where": lambda f, x: f.where(x > 0, x, x * x),
}


@pytest.mark.parametrize("what", SAME_IN_TORCH)
def test_functions_agree_with_pytorch(torch, what):
    function = SAME_IN_TORCH[what]
    assert_agrees(torch, lambda x: function(F, x), lambda x: function(torch, x), spread(2, 3, 4))


def test_linear_agrees_with_pytorch(torch):
    theirs = torch.nn.functional.linear
    assert_agrees(torch, F.linear, theirs, spread(5, 2, 3), spread(4, 3), spread(4))
    assert_agrees(torch, F.linear, theirs, spread(5, 3), spread(4, 3))


def test_gather_and_embedding_agree_with_pytorch(torch):
    index = np.array([[0, 2], [2, 2]])
    assert_agrees(
        torch,
        lambda x: F.gather(x, -1, tn.tensor(index)),
        lambda x: torch.gather(x, -1, torch.tensor(index)),
        spread(2, 3),
    )
    assert_agrees(
        torch,
        lambda w: F.embedding(tn.tensor(index), w),
        lambda w: torch.nn.functional.embedding(torch.tensor(index), w),
        spread(3, 4),
    )


def test_pad_puts_zeros_around():
    x = tn.tensor(spread(2, 2), requires_grad=True)
    y = F.pad(x, [(1, 0), (0, 2)])
    np.testing.assert_array_equal(y.numpy(), np.pad(x.numpy(), [(1, 0), (0, 2)]))
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones((2, 2)))


# Losses


@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from(["mean", "sum", "none"]), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_cross_entropy_agrees_with_pytorch(rows, classes, reduction, seed):
    torch = require("torch")
    rng = np.random.default_rng(seed)
    logits, target = rng.normal(scale=5, size=(rows, classes)), rng.integers(classes, size=rows)
    theirs = torch.nn.functional.cross_entropy
    assert_agrees(
        torch,
        lambda x: F.cross_entropy(x, target, reduction=reduction),
        lambda x: theirs(x, torch.tensor(target), reduction=reduction),
        logits,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse_loss_agrees_with_pytorch(torch, reduction):
    theirs = torch.nn.functional.mse_loss
    for shape in ((3,), (2, 3), ()):
        assert_agrees(
            torch,
            lambda x, y: F.mse_loss(x, y, reduction=reduction),
            lambda x, y: theirs(x, y, reduction=reduction),
            spread(*shape),
            spread(*shape, seed=1) + 1,
        )


def test_cross_entropy_takes_the_last_axis_for_the_classes():
    logits, target = spread(2, 3, 4), np.array([[0, 3, 1], [2, 2, 0]])
    whole = F.cross_entropy(tn.tensor(logits), target, reduction="none")
    flat = F.cross_entropy(tn.tensor(logits.reshape(6, 4)), target.reshape(6), reduction="none")
    assert whole.shape == (2, 3)
    np.testing.assert_array_equal(whole.numpy().reshape(6), flat.numpy())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_cross_entropy_takes_integers_of_any_size(dtype):
    """Also where the scores have more places than the dtype of their classes can count."""
    logits = np.random.default_rng(0).normal(size=(300, 7))
    target = np.arange(300) % 7
    x = tn.tensor(logits, requires_grad=True)
    F.cross_entropy(x, target.astype(dtype)).backward()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), (p - np.eye(7)[target]) / 300, rtol=1e-12, atol=1e-15)


def test_cross_entropy_and_softmax_survive_large_scores():
    x = tn.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss = F.cross_entropy(x, [1])
        loss.backward()
        p = F.softmax(x)
    assert loss.item() == 2e4
    np.testing.assert_array_equal(p.numpy(), [[1, 0, 0]])
    np.testing.assert_array_equal(x.grad.numpy(), [[1, -1, 0]])


def test_softmax_sums_to_one():
    np.testing.assert_allclose(F.softmax(tn.tensor(spread(3, 4)), dim=0).numpy().sum(0), np.ones(4), rtol=1e-15)


def test_losses_in_float32_stay_float32():
    x = tn.tensor(spread(2, 3).astype("float32"), requires_grad=True)
    target = tn.tensor(np.zeros((2, 3), dtype="float32"))
    for loss in (F.cross_entropy(x, [0, 1]), F.mse_loss(x, target), F.softmax(x).mean()):
        assert loss.dtype == tn.grad(loss, x).dtype == "float32"


def test_messages():
    x = tn.tensor(spread(2, 3))
    with pytest.raises(TypeError, match="target holds float64: cross_entropy expects integer classes"):
        F.cross_entropy(x, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"target has shape \(3,\), expected \(2,\) for logits \(2, 3\)"):
        F.cross_entropy(x, [0, 1, 2])
    for target, wrong in (([0, 3], 3), ([-1, 0], -1)):
        with pytest.raises(ValueError, match=f"target holds class {wrong}: expected 0 to 2"):
            F.cross_entropy(x, target)
    with pytest.raises(ValueError, match=r"target has shape \(2,\), expected \(2, 3\)"):
        F.mse_loss(x, [0.0, 1.0])
    for loss, target in ((F.cross_entropy, [0, 1]), (F.mse_loss, x)):
        with pytest.raises(ValueError, match="reduction is 'max', expected 'mean', 'sum' or 'none'"):
            loss(x, target, reduction="max")


# Composites


def rnn_operands(sizes, gates, states, bias):
    steps, batch, inputs, hidden = sizes
    shapes = [
        (steps, batch, inputs),
        *[(batch, hidden)] * states,
        (gates * hidden, inputs),
        (gates * hidden, hidden),
    ]
    shapes += [(gates * hidden,)] * 2 if bias else []
    arrays = [spread(*shape, seed=i) for i, shape in enumerate(shapes)]
    return arrays, [] if bias else [None, None]


@st.composite
def softmax_calls(draw):
    shape = draw(st.sampled_from([(3,), (2, 3), (2, 3, 2)]))
    return [spread(*shape)], [draw(st.integers(-len(shape), len(shape) - 1))]


@st.composite
def cross_entropy_calls(draw):
    rows, classes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    target = draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    return [spread(rows, classes)], [tn.tensor(np.array(target).reshape(rows, 1))]


SIZE = st.integers(1, 3)
PLAIN = (None, False, None)  # the order of time: lengths, reverse, truncate
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))


@st.composite
def rnn_calls(draw):
    arrays, rest = rnn_operands(draw(SIZES), 1, 1, draw(st.booleans()))
    return arrays, [*rest, draw(st.sampled_from(["tanh", "relu"])), draw(st.sampled_from(["", "_l1"])), *PLAIN]


@st.composite
def lstm_calls(draw):
    arrays, rest = rnn_operands(draw(SIZES), 4, 2, draw(st.booleans()))
    return arrays, [*rest, "", None, None, False, None, *PLAIN]


@st.composite
def gru_calls(draw):
    arrays, rest = rnn_operands(draw(SIZES), 3, 1, draw(st.booleans()))
    return arrays, [*rest, "", True, *PLAIN]


@st.composite
def linear_calls(draw):
    before, inputs, outputs = draw(st.sampled_from([(), (2,), (3, 1), (1, 2, 3)])), *draw(st.tuples(SIZE, SIZE))
    arrays = [spread(*before, inputs), spread(outputs, inputs, seed=1)]
    return (arrays, [None]) if draw(st.booleans()) else ([*arrays, spread(outputs, seed=2)], [])


@st.composite
def squared_error_calls(draw):
    shape = draw(st.sampled_from([(), (3,), (2, 3), (2, 1, 3)]))
    return [spread(*shape), spread(*shape, seed=1)], []


@st.composite
def mean_cross_entropy_calls(draw):
    """Of classes (…), without the axis of length 1."""
    arrays, (target,) = draw(cross_entropy_calls())
    return arrays, [target[..., 0]]


@st.composite
def relu_calls(draw):
    return [spread(*draw(st.sampled_from([(), (3,), (2, 3), (2, 3, 2, 2)])))], []


@st.composite
def convolution_calls(draw):
    """With their sizes per axis, as the public functions hand them on; also more borders than the kernel is wide."""
    axes, groups = draw(st.sampled_from([1, 2])), draw(st.integers(1, 2))
    per_axis = st.tuples(*[SIZE] * axes)
    kernel, steps, spacing = draw(per_axis), draw(per_axis), draw(per_axis)
    borders = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * axes))
    sizes = [d * (k - 1) + 1 + draw(st.integers(0, 3)) for k, d in zip(kernel, spacing, strict=True)]
    x = spread(draw(SIZE), groups * draw(st.integers(1, 2)), *sizes)
    weight = spread(groups * draw(st.integers(1, 2)), x.shape[1] // groups, *kernel, seed=1)
    rest = [steps, spacing, borders, groups]
    return ([x, weight], [None, *rest]) if draw(st.booleans()) else ([x, weight, spread(len(weight), seed=2)], rest)


@st.composite
def transposed_calls(draw):
    groups = draw(st.integers(1, 2))
    pair = st.tuples(SIZE, SIZE)
    kernel, steps, spacing = draw(pair), draw(pair), draw(pair)
    x = spread(draw(SIZE), groups * draw(st.integers(1, 2)), *draw(pair))
    weight = spread(x.shape[1], draw(st.integers(1, 2)), *kernel, seed=1)
    room = [s * (n - 1) + d * (k - 1) for n, k, s, d in zip(x.shape[2:], kernel, steps, spacing, strict=True)]
    borders = tuple((min(1, r // 2), min(1, r // 2)) for r in room)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(steps, spacing, strict=True))
    bias = [spread(weight.shape[1] * groups, seed=2)] if draw(st.booleans()) else []
    return [x, weight, *bias], [*([] if bias else [None]), steps, spacing, borders, more, groups]


@st.composite
def windows(draw, axes, dilation):
    """On an input with sizes from 5 to 7; some reach outside."""
    each = st.one_of(SIZE, st.tuples(*[SIZE] * axes))
    size, padding = draw(each), draw(st.booleans())
    borders = tuple(k // 2 * padding for k in ([size] * axes if isinstance(size, int) else size))
    x = tn.tensor(np.zeros((2, 2, *(draw(st.integers(5, 7)) for _ in range(axes)))))
    return x.shape, windows_of("pool", x.shape, axes, size, draw(each), borders, dilation, draw(st.booleans()))


@st.composite
def largest_calls(draw):
    """Some numbers are equal, and the batch may be left out."""
    shape, drawn = draw(windows(draw(st.sampled_from([1, 2])), draw(st.integers(1, 2))))
    x = np.round(spread(*shape))
    outside = any(w.reach_outside for w in drawn)
    places = tuple(w.places("pool") for w in drawn) if outside else None
    return [x[0] if draw(st.booleans()) else x], [drawn, places]


@st.composite
def joined_calls(draw):
    """A convolution, some of whose results are equal, and windows on these."""
    arrays, rest = draw(convolution_calls())
    steps, spacing, borders, _ = rest[-4:]
    (x, weight, *_), axes = arrays, len(steps)
    places = [a.places for a in axes_of(x.shape[2:], weight.shape[2:], steps, spacing, borders)][-axes:]
    size = tuple(draw(st.integers(1, min(3, n))) for n in places)
    padding = tuple(k // 2 * draw(st.booleans()) for k in size)
    drawn = windows_of("pool", (len(x), len(weight), *places), axes, size, draw(SIZE), padding, 1, draw(st.booleans()))
    outside = any(w.reach_outside for w in drawn)
    arrays = [np.round(2 * x), np.round(2 * weight), *arrays[2:]]
    return arrays, [*rest, drawn, tuple(w.places("pool") for w in drawn) if outside else None]


@st.composite
def average_calls(draw):
    shape, drawn = draw(windows(draw(st.sampled_from([1, 2])), 1))
    return [spread(*shape)], [drawn, draw(st.booleans())]


# Of each composite: calls as (arrays that take a gradient, the arguments that follow them).
CALLS = {
    F.linear: linear_calls(),
    F.relu: relu_calls(),
    F.tanh: relu_calls(),
    F.softmax: softmax_calls(),
    convolution.convolution: convolution_calls(),
    convolution._transposed: transposed_calls(),
    pooling.largest: largest_calls(),
    pooling._averaged: average_calls(),
    joined._relu_pooled: largest_calls(),
    joined._convolved_relu_pooled: joined_calls(),
    losses._mean_squared_error: squared_error_calls(),
    losses._cross_entropy: cross_entropy_calls(),
    losses._mean_cross_entropy: mean_cross_entropy_calls(),
    recurrent._rnn: rnn_calls(),
    recurrent._lstm: lstm_calls(),
    recurrent._gru: gru_calls(),
}


def test_every_composite_is_held_to_its_definition():
    found = {
        c
        for m in (activations, convolution, joined, losses, pooling, recurrent, F)
        for c in vars(m).values()
        if isinstance(c, Composite)
    }
    assert found == set(CALLS)
    kinds = {p.kind for c in found for p in c.signature.parameters.values()}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}  # a call that names all of them needs no binding


def weights(x, seed):
    return spread(*x.shape, seed=seed).astype(x.dtype)


def outputs_and_derivatives(function, arrays, rest):
    """All outputs, and the first and second derivatives of a sum of their squares with fixed random weights."""
    leaves = [tn.tensor(array, requires_grad=True) for array in arrays]
    outputs = function(*leaves, *rest)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weigh = [(weights(y, i) * y * y).sum() for i, y in enumerate(outputs)]
    total = sum(weigh[1:], weigh[0])
    once = tn.grad(total, leaves)
    slope = [(weights(g, 7) * g).sum() for g in tn.grad(total, leaves, create_graph=True)]
    twice = tn.grad(sum(slope[1:], slope[0]), leaves)
    return [t.numpy() for t in (*outputs, *once, *twice)]


@pytest.mark.parametrize("composite", CALLS, ids=lambda composite: composite.__name__)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_kernel_and_definition_are_equal(composite, data):
    arrays, rest = data.draw(CALLS[composite])
    fused = outputs_and_derivatives(composite, arrays, rest)
    defined = outputs_and_derivatives(composite.definition, arrays, rest)
    for mine, expected in zip(fused, defined, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("composite", CALLS, ids=lambda composite: composite.__name__)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_kernels_keep_float32(composite, data):
    arrays, rest = data.draw(CALLS[composite])
    results = outputs_and_derivatives(composite, [a.astype("float32") for a in arrays], rest)
    assert {str(result.dtype) for result in results} == {"float32"}


def test_the_definition_of_softmax_has_the_right_derivatives():
    assert tn.testing.check_gradients(lambda x: F.softmax.definition(x, 0), spread(3, 2), order=2)


def test_a_composite_takes_its_arguments_by_name():
    x = tn.tensor(spread(2, 3), requires_grad=True)
    by_name, by_position = F.softmax(dim=0, input=x), F.softmax(x, 0)
    np.testing.assert_array_equal(by_name.numpy(), by_position.numpy())
    np.testing.assert_array_equal(tn.grad(by_name[0, 0], x).numpy(), tn.grad(by_position[0, 0], x).numpy())
    arrays, _ = rnn_operands((2, 1, 2, 2), 1, 1, True)
    x, h, w_ih, w_hh, b_ih, b_hh = (tn.tensor(a, requires_grad=True) for a in arrays)
    F.rnn(x, h, weight_hh=w_hh, weight_ih=w_ih, bias_hh=b_hh, bias_ih=b_ih)[0].sum().backward()
    assert all(t.grad is not None for t in (x, h, w_ih, w_hh, b_ih, b_hh))


def test_a_composite_whose_operands_depend_on_each_other_counts_each_path_once():
    """Here one tensor is both weights, and the initial state is computed from the input."""

    def function(rnn, x, w):
        return rnn(x, x[0] * w[0], w, w, None, None, "tanh", "", *PLAIN)[0].sum()

    results = []
    for rnn in (recurrent._rnn, recurrent._rnn.definition):
        x, w = tn.tensor(spread(3, 1, 2), requires_grad=True), tn.tensor(spread(2, 2), requires_grad=True)
        first = tn.grad(function(rnn, x, w), (x, w), create_graph=True)
        results.append([*first, *tn.grad(sum((g * g).sum() for g in first), (x, w))])
    for mine, expected in zip(*results, strict=True):
        np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=1e-12, atol=1e-14)


def test_a_kernel_of_the_forward_pass_can_be_recorded_backward():
    x = tn.tensor(spread(2, 3), requires_grad=True, name="x")
    y = (F.softmax(x * 2, -1) ** 2).sum()
    expected = tn.grad(y, x).numpy()
    with tn.record():
        found = tn.grad(y, x)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_a_linear_layer_of_other_shapes_is_what_its_definition_makes_of_it():
    x = tn.tensor(spread(2, 3))
    assert F.linear(x, tn.tensor(spread(3))).shape == (2,)
    bias = tn.tensor(spread(1), requires_grad=True)
    F.linear(x, tn.tensor(spread(4, 3)), bias).sum().backward()
    assert bias.grad.shape == (1,)
    with pytest.raises(ValueError, match="cannot multiply"):
        F.linear(x, tn.tensor(spread(4, 2)))


def test_large_numbers_of_another_byte_order_are_multiplied_too():
    x, w = spread(200, 30), spread(200, 30, seed=1)
    swapped = [tn.tensor(a.astype(">f8")) for a in (x, w)]
    np.testing.assert_allclose(F.linear(*swapped).numpy(), x @ w.T)


def test_relu_of_what_is_no_floating_tensor():
    np.testing.assert_array_equal(F.relu([1.0, -1.0]), [1, 0])
    assert F.relu(-3.0) == 0
    np.testing.assert_array_equal(F.relu(tn.tensor([-2, 3])).numpy(), [0, 3])
    np.testing.assert_array_equal(F.relu(tn.tensor([[True, False]])).numpy(), [[1, 0]])
    with pytest.raises(TypeError, match=r"relu\(\) got an unexpected keyword argument 'inplace'"):
        F.relu(tn.tensor([1.0]), inplace=True)


def test_the_squared_error_of_small_integers_does_not_overflow():
    loss = F.mse_loss(tn.tensor(np.full(100, 2, np.int8)), tn.tensor(np.zeros(100, np.int8)))
    assert loss.item() == 4.0
