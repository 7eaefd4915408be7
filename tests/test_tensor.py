"""Tensor: construction, dtypes, operators, shapes and messages."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinynet as tn
from tests.gradients import spread


@pytest.fixture
def default_float32():
    tn.set_default_dtype("float32")
    yield
    tn.set_default_dtype("float64")


def test_python_floats_become_float64():
    assert tn.tensor(1.0).dtype == tn.tensor([[1.0, 2]]).dtype == "float64"
    assert tn.get_default_dtype() is np.float64


def test_the_default_dtype_can_be_float32(default_float32):
    assert tn.tensor([1.0]).dtype == "float32"
    assert {str(p.dtype) for p in tn.nn.LSTM(2, 3).parameters()} == {"float32"}
    assert tn.tensor(np.ones(2)).dtype == "float64"


def test_the_default_dtype_is_a_floating_one():
    with pytest.raises(TypeError, match="must be a floating dtype"):
        tn.set_default_dtype("int64")
    assert tn.get_default_dtype() is np.float64


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_data_keeps_its_dtype(dtype):
    assert tn.tensor(np.ones(3, dtype=dtype)).dtype == dtype
    assert tn.tensor(np.ones(3), dtype=dtype).dtype == dtype
    assert tn.tensor(np.dtype(dtype).type(1)).dtype == dtype


def test_a_numpy_number_becomes_an_array():
    assert type(tn.tensor(np.float32(1)).numpy()) is np.ndarray


def test_numbers_do_not_change_float32():
    x = tn.tensor(np.ones(2, dtype="float32"), requires_grad=True)
    for y in (
        x * 2,
        0.5 + x,
        x - np.float64(1),
        np.float64(3) / x,
        x**2,
        2.0**x,
        tn.functional.maximum(x, 0.5),
    ):
        assert y.dtype == "float32"
        assert tn.grad(y.sum(), x).dtype == "float32"


@pytest.mark.parametrize("numbers", [[1, 2], [True, False], np.arange(3)])
def test_integers_and_booleans_take_no_gradient(numbers):
    with pytest.raises(TypeError, match="only floating-point tensors can take a gradient"):
        tn.tensor(numbers, requires_grad=True)
    assert not (tn.tensor(numbers) * 1).requires_grad


@pytest.mark.parametrize("data", ["text", None, [1, "a"], 1j, [[1], [1, 2]], np.array(["a"]), np.array([1j]), {}])
def test_what_is_not_real_numbers_is_refused(data):
    with pytest.raises(TypeError, match="cannot make a tensor"):
        tn.tensor(data)


def test_item_needs_one_element():
    assert tn.tensor([[2.5]]).item() == 2.5 and type(tn.tensor([[2.5]]).item()) is float
    with pytest.raises(ValueError, match=r"one element, this one has shape \(2,\)"):
        tn.tensor([1.0, 2.0]).item()


def test_it_looks_like_an_array():
    x = tn.tensor(spread(2, 3, 4), requires_grad=True)
    assert (x.shape, x.ndim, x.size, len(x)) == ((2, 3, 4), 3, 24, 2)
    np.testing.assert_array_equal(np.asarray(x), x.numpy())
    np.testing.assert_array_equal([row.numpy() for row in x], x.numpy())
    assert repr(tn.tensor([1.0], name="x", requires_grad=True)) == "tensor([1.], name='x', requires_grad=True)"
    with pytest.raises(TypeError, match="no length"):
        len(tn.tensor(1.0))


pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3).map(lambda s: s.input_shapes)


ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@given(pairs, st.sampled_from(ARITHMETIC + COMPARISONS))
@settings(max_examples=60, deadline=None)
def test_operators_compute_what_numpy_computes(shapes, apply):
    a, b = (np.abs(spread(*shape, seed=seed)) + 0.1 for seed, shape in enumerate(shapes))
    x, y = tn.tensor(a), tn.tensor(b)
    for result in (apply(x, y), apply(a, y), apply(x, b)):
        assert isinstance(result, tn.Tensor)
        np.testing.assert_array_equal(result.numpy(), apply(a, b))


SAME_NAME_IN_TORCH = {
    "T": lambda x: x[0].T,
    "transpose": lambda x: x.transpose(0, -1),
    "permute": lambda x: x.permute(2, 0, 1),
    "reshape": lambda x: x.reshape(4, -1),
    "reshape to a tuple": lambda x: x.reshape((6, 4)),
    "unsqueeze": lambda x: x.unsqueeze(-1).unsqueeze(1),
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "squeeze all": lambda x: x[:1, :1].squeeze(),
    "squeeze nothing": lambda x: x.squeeze(1),
    "expand": lambda x: x[:, :1].expand(5, -1, 3, 4),
    "slices": lambda x: x[1:, ::2, -3:],
    "integers and ellipsis": lambda x: x[..., 1][0, None],
    "integer lists": lambda x: x[:, [0, 0, 2]],
    "sum": lambda x: x.sum(),
    "sum over axes": lambda x: x.sum((0, -1)),
    "mean": lambda x: x.mean(),
    "mean over an axis": lambda x: x.mean(-2),
    "max": lambda x: x.max(),
    "min": lambda x: x.min(),
    "functions": lambda x: x.exp() + x.tanh() * x.sigmoid() - x.relu() / x.abs(),
    "log and sqrt": lambda x: (x + 2).log() * (x + 2).sqrt(),
    "unary": lambda x: abs(-x),
    "reversed": lambda x: (1 - x) * 2 / (3 + x) + 2**x,
    "matmul": lambda x: x @ x.transpose(1, 2),
    "matmul with a vector": lambda x: x @ x[0, 0],
    "vector times matrices": lambda x: x[0, :, 0] @ x,
    "vector times vector": lambda x: x[0, 0] @ x[1, 1],
}


@pytest.mark.parametrize("what", SAME_NAME_IN_TORCH)
def test_methods_agree_with_pytorch(torch, what):
    method = SAME_NAME_IN_TORCH[what]
    x = tn.tensor(spread(2, 3, 4), requires_grad=True)
    t = torch.tensor(x.numpy(), requires_grad=True)
    y, expected = method(x), method(t)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-14)
    weights = spread(*y.shape, seed=5)
    y.backward(weights)
    expected.backward(torch.tensor(weights))
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_an_array_multiplies_a_tensor_from_the_left():
    a, x = spread(2, 3), tn.tensor(spread(3, 4), requires_grad=True)
    (a @ x).sum().backward()
    np.testing.assert_array_equal((a @ x).numpy(), a @ x.numpy())
    np.testing.assert_allclose(x.grad.numpy(), np.repeat(a.sum(0)[:, None], 4, 1))


def test_a_single_truth_value_decides():
    x = tn.tensor(2.0)
    assert x > 1 and not x < 1 and x != 1
    with pytest.raises(ValueError, match="ambiguous"):
        bool(tn.tensor([1.0, 2.0]) > 1)


def test_indexing_with_a_tensor_picks_rows():
    x = tn.tensor(spread(4, 2), requires_grad=True)
    y = x[tn.tensor([[3, 0], [3, 3]])]
    np.testing.assert_array_equal(y.numpy(), x.numpy()[[[3, 0], [3, 3]]])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[1, 1], [0, 0], [0, 0], [3, 3]])


@pytest.mark.parametrize(
    "mask", [np.array([True, False]), [True, False], tn.tensor([True, False]), (tn.tensor([True, False]), 0)]
)
def test_boolean_masks_are_refused(mask):
    with pytest.raises(TypeError, match="a boolean mask has no fixed shape"):
        tn.tensor(spread(2, 2))[mask]


def test_an_index_array_that_changes_later_does_not_change_the_gradient():
    x, index = tn.tensor(spread(3), requires_grad=True), np.array([0, 1])
    y = x[index].sum()
    index[:] = 2
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 0])


def test_messages():
    x = tn.tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"cannot reshape \(2, 3\) \(6 elements\) to \(4, -1\)"):
        x.reshape(4, -1)
    with pytest.raises(ValueError, match=r"cannot multiply \(2, 3\) by \(2, 3\): the inner sizes"):
        x @ x
    with pytest.raises(ValueError, match=r"mean over no elements.*\(0, 3\)"):
        tn.tensor(np.ones((0, 3))).mean()


def test_one_number_is_a_float_and_takes_its_formats():
    loss = tn.tensor([[0.123456]])
    assert float(loss) == 0.123456 and f"{loss:.3f}" == "0.123" and f"{loss}" == repr(loss)
    with pytest.raises(ValueError, match=r"item\(\) needs a tensor with one element"):
        float(tn.tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="format"):
        f"{tn.tensor([1.0, 2.0]):.3f}"
