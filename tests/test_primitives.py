"""Every primitive: its derivatives against finite differences, its kinks and its dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import primitives as P
from tinynet.backend import placed
from tinynet.primitives import TABLE, Primitive, unbroadcast


class Case(NamedTuple):
    primitive: str
    note: str
    function: Callable[..., tn.Tensor]
    arrays: tuple[np.ndarray, ...]


def case(primitive, note, *arrays, **arguments):
    return Case(
        primitive,
        note,
        lambda *tensors: TABLE[primitive](*tensors, **arguments),
        tuple(map(np.asarray, arrays)),
    )


def fixed(array, beside):
    """The array in the library, and on the device, of a tensor or another array."""
    return placed(array, beside.data if isinstance(beside, tn.Tensor) else beside)


A, B = spread(3, 4), spread(3, 4, seed=1, shift=0.03)
ROW, COLUMN, SCALAR = spread(4, seed=2, shift=0.03), spread(3, 1, seed=3, shift=0.03), np.array(0.7)
POSITIVE = spread(3, 4) + 2
SHAPES = [
    ("same shape", A, B),
    ("row", A, ROW),
    ("column", COLUMN, A),
    ("0-d", SCALAR, A),
    ("outer", COLUMN, ROW),
]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum"]
UNARY = ["negative", "exp", "tanh", "sigmoid", "erf", "sin", "cos", "relu", "absolute"]
INDEX = np.array([2, 0, 2])
PLACES = np.array([[0, 3], [1, 1], [2, 0]])
CHOICE = np.array([[True, False, True, False], [False, False, True, True], [True, True, True, False]])

CASES = [
    *(case(primitive, note, a, b) for primitive in BINARY for note, a, b in SHAPES),
    *(case("divide", note, a, np.sign(b) * (np.abs(b) + 0.5)) for note, a, b in SHAPES),
    *(case("power", f"{note}, both operands", a + 2, b) for note, a, b in SHAPES),
    *(Case("power", f"exponent {p}", lambda x, p=p: x**p, (A,)) for p in (1, 2, 3, -1)),
    Case("power", "exponent 0.5", lambda x: x**0.5, (POSITIVE,)),
    Case("power", "base 2", lambda x: 2**x, (A,)),
    *(case(primitive, "", A) for primitive in UNARY),
    *(case(primitive, "", POSITIVE) for primitive in ("log", "sqrt")),
    Case("where", "", lambda a, b: P.where(fixed(CHOICE, a), a, b), (A, B)),
    Case("where", "broadcast", lambda a, b: P.where(fixed(CHOICE[:1], a), a, b), (COLUMN, ROW)),
    Case("where", "number", lambda a: P.where(fixed(CHOICE, a), a, 2.0), (A,)),
    *(
        case(primitive, f"axis {axis}, keepdims {keepdims}", spread(2, 3, 4), axis=axis, keepdims=keepdims)
        for primitive in ("sum", "max", "min")
        for axis in (None, 1, -1, (0, 2), (-1, 0), ())
        for keepdims in (False, True)
    ),
    case("sum", "0-d", SCALAR, axis=None, keepdims=False),
    case("matmul", "2-D", spread(2, 3), spread(3, 4)),
    case("matmul", "batch of both", spread(5, 2, 3), spread(5, 3, 4)),
    case("matmul", "batch by one matrix", spread(2, 5, 2, 3), spread(3, 4)),
    case("matmul", "one matrix by batch", spread(2, 3), spread(5, 3, 4)),
    case("matmul", "broadcast batch", spread(2, 1, 2, 3), spread(5, 3, 2)),
    case("correlate", "stride 1", spread(2, 2, 3, 4), spread(3, 2, 2, 3), stride=(1, 1), groups=1),
    case("correlate", "strides that leave a rest", spread(1, 2, 6, 4), spread(2, 2, 2, 1), stride=(3, 2), groups=1),
    case("correlate", "groups", spread(2, 4, 3, 3), spread(2, 2, 2, 2), stride=(1, 2), groups=2),
    case("correlate", "one axis", spread(2, 2, 5), spread(2, 1, 2), stride=(2,), groups=2),
    case("transpose", "reversed", spread(2, 3, 4), axes=(2, 1, 0)),
    case("transpose", "cycle", spread(2, 3, 4), axes=(1, 2, 0)),
    case("reshape", "", A, shape=(2, 6)),
    case("reshape", "to 0-d", spread(1, 1), shape=()),
    case("broadcast_to", "new axis", ROW, shape=(2, 3, 4)),
    case("broadcast_to", "stretched axis", COLUMN, shape=(3, 4)),
    case("broadcast_to", "0-d", SCALAR, shape=(2, 2)),
    case("getitem", "slices", spread(4, 5), index=(slice(1, 4, 2), slice(None, None, -1))),
    case("getitem", "integer", A, index=-1),
    case("getitem", "ellipsis and new axis", spread(2, 3, 4), index=(Ellipsis, None, 2)),
    case("getitem", "repeated indices", A, index=INDEX),
    case("getitem", "repeated pairs of indices", A, index=(INDEX, np.array([1, 3, 1]))),
    case("getitem", "list and slice", A, index=(slice(1, 3), [0, 0, 3])),
    case("scatter", "slices", spread(2, 5), index=slice(1, 5, 2), shape=(5, 5)),
    case("scatter", "repeated indices", A, index=INDEX, shape=(4, 4)),
    case("flip", "one axis", A, axis=-1),
    case("flip", "two axes", A, axis=(0, 1)),
    case("pad", "", A, pad_width=((1, 0), (2, 3))),
    case("concatenate", "first axis", A, spread(2, 4), axis=0),
    case("concatenate", "last axis, three", A, COLUMN, B, axis=-1),
    case("windows", "overlapping", spread(1, 2, 3, 4), size=(2, 3), stride=(1, 1), dilation=(1, 1)),
    case("windows", "apart, dilated, with a rest", spread(2, 1, 6, 4), size=(2, 2), stride=(3, 1), dilation=(2, 3)),
    case("windows", "one axis", spread(1, 2, 5), size=(2,), stride=(2,), dilation=(2,)),
    case("fold", "overlapping", spread(1, 2, 2, 2, 6), shape=(1, 2, 3, 4), size=(2, 3), stride=(1, 1), dilation=(1, 1)),
    case("fold", "one axis, with a rest", spread(1, 2, 2, 2), shape=(1, 2, 6), size=(2,), stride=(3,), dilation=(1,)),
    Case("take", "repeated rows", lambda x: P.take(x, fixed(PLACES % 3, x)), (A,)),
    Case("take", "a single row", lambda x: P.take(x, fixed(np.array(1), x)), (A,)),
    Case("put", "repeated rows", lambda x: P.put(x, fixed(INDEX, x), size=4), (A,)),
    Case("take_along_axis", "", lambda x: P.take_along_axis(x, fixed(PLACES, x), axis=1), (A,)),
    Case(
        "take_along_axis", "first axis", lambda x: P.take_along_axis(x, fixed(PLACES % 3, x), axis=0), (spread(3, 2),)
    ),
    Case("put_along_axis", "", lambda x: P.put_along_axis(x, fixed(PLACES, x), axis=1, size=5), (spread(3, 2),)),
]
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.primitive}: {case.note}")


@EACH_CASE
def test_first_and_second_derivatives_match_finite_differences(case):
    assert tn.testing.check_gradients(case.function, *case.arrays, order=2)


def test_every_primitive_with_a_derivative_has_a_case():
    assert {case.primitive for case in CASES} == {name for name, primitive in TABLE.items() if primitive.vjps}


@EACH_CASE
def test_float32_stays_float32_forward_and_backward(case):
    leaves = [tn.tensor(array.astype("float32"), requires_grad=True) for array in case.arrays]
    y = case.function(*leaves)
    first = tn.grad(y, leaves, np.ones(y.shape), create_graph=True)
    tracked = [g for g in first if g.requires_grad]
    second = [h for g in tracked for h in tn.grad(g, leaves, np.ones(g.shape))]
    assert {str(t.dtype) for t in (y, *first, *second)} == {"float32"}


@EACH_CASE
def test_plain_arrays_give_the_same_numbers_as_tensors(case):
    np.testing.assert_array_equal(case.function(*case.arrays), case.function(*map(tn.tensor, case.arrays)).numpy())


@pytest.mark.parametrize("name", ["greater", "less", "greater_equal", "less_equal", "equal", "not_equal"])
def test_comparisons_are_booleans_without_a_gradient(name):
    x = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = TABLE[name](x, 2.0)
    np.testing.assert_array_equal(y.numpy(), getattr(np, name)([1.0, 2.0, 3.0], 2.0))
    assert y.dtype == bool and not y.requires_grad


def test_sign_takes_no_gradient():
    y = P.sign(tn.tensor([-2.0, 0.0, 3.0], requires_grad=True))
    np.testing.assert_array_equal(y.numpy(), [-1.0, 0.0, 1.0])
    assert not y.requires_grad


def test_relu_and_absolute_have_derivative_0_at_0(torch):
    for mine, theirs in ((P.relu, torch.relu), (P.absolute, torch.abs)):
        assert_same_gradients(torch, mine, theirs, [-1.0, 0.0, 2.0])


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_ties_of_max_and_min_share_the_gradient_equally(torch, name, axis):
    x = [[1.0, 3.0, 3.0], [3.0, 0.0, 3.0], [1.0, 1.0, 1.0]]
    theirs = getattr(torch, f"a{name}")
    assert_same_gradients(torch, lambda t: getattr(t, name)(axis), lambda t: theirs(t, axis), x)


def test_ties_of_maximum_and_minimum_go_half_and_half(torch):
    a, b = [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]
    for name in ("maximum", "minimum"):
        assert_same_gradients(torch, TABLE[name], getattr(torch, name), a, b)


def test_powers_have_derivatives_of_every_order_at_0():
    for exponent, expected in ((0, [0, 0, 0]), (1, [1, 0, 0]), (2, [0, 2, 0]), (3, [0, 0, 6])):
        x = tn.tensor(0.0, requires_grad=True)
        y = x**exponent
        for order in range(3):
            y = tn.grad(y, x, create_graph=True)
            assert y.item() == expected[order]
            if not y.requires_grad:
                break


def test_a_power_of_0_is_flat_in_its_exponent(torch):
    assert_same_gradients(torch, P.power, torch.pow, [0.0, 0.0, 2.0], [1.0, 2.0, 3.0])


def test_sigmoid_and_tanh_do_not_overflow():
    x = tn.tensor([-1e4, -750.0, 0.0, 750.0, 1e4], requires_grad=True)
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(P.sigmoid(x).numpy(), [0, 0, 0.5, 1, 1], atol=1e-300)
        np.testing.assert_array_equal(tn.grad(P.sigmoid(x).sum(), x).numpy(), [0, 0, 0.25, 0, 0])
        np.testing.assert_array_equal(tn.grad(P.tanh(x).sum(), x).numpy(), [0, 0, 1, 0, 0])


def test_correlate_multiplies_every_window_by_every_kernel():
    x, w, stride = spread(2, 4, 5, 6), spread(6, 2, 2, 3, seed=1), (2, 1)
    out = P.correlate(x, w, stride=stride, groups=2)
    assert out.shape == (2, 6, 2, 4)
    for n, o, i, j in np.ndindex(out.shape):
        channels = slice(0, 2) if o < 3 else slice(2, 4)
        window = x[n, channels, 2 * i : 2 * i + 2, j : j + 3]
        assert out[n, o, i, j] == pytest.approx((window * w[o]).sum(), abs=1e-14)


def test_windows_hold_what_lies_under_them_and_fold_adds_it_back():
    x = np.arange(1.0, 7.0).reshape(1, 1, 6)
    fields = P.windows(x, size=(2,), stride=(1,), dilation=(2,))
    np.testing.assert_array_equal(fields, [[[[1, 3], [2, 4], [3, 5], [4, 6]]]])
    back = P.fold(fields, shape=(1, 1, 6), size=(2,), stride=(1,), dilation=(2,))
    np.testing.assert_array_equal(back, [[[1, 2, 6, 8, 5, 6]]])


@pytest.mark.parametrize("groups", [1, 2])
def test_kernels_turned_twice_are_themselves(groups):
    w = spread(4, 3, 2, 3)
    turned = P.turned(w, groups)
    assert turned.shape == (3 * groups, 4 // groups, 2, 3)
    np.testing.assert_array_equal(turned[0, 1], w[1, 0, ::-1, ::-1])
    np.testing.assert_array_equal(P.turned(turned, groups), w)


def test_argmax_finds_the_first_of_the_largest_and_takes_no_gradient():
    y = P.argmax(tn.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]], requires_grad=True), axis=1)
    np.testing.assert_array_equal(y.numpy(), [[1], [0]])
    assert not y.requires_grad


@pytest.mark.parametrize("shape", [(3, 4), (4,), (1, 4), (3, 1), (1, 1), ()])
def test_unbroadcast_sums_over_the_stretched_axes(shape):
    g = spread(2, 3, 4)
    expected = np.zeros(shape)
    for place in np.ndindex(g.shape):
        own = tuple(0 if n == 1 else p for p, n in zip(place[3 - len(shape) :], shape, strict=True))
        expected[own] += g[place]
    np.testing.assert_allclose(unbroadcast(g, shape), expected, rtol=1e-14)


def test_a_condition_takes_no_gradient():
    condition, x = (tn.tensor([1.0, 0.0], requires_grad=True) for _ in range(2))
    P.where(condition, x, 2.0).sum().backward()
    assert condition.grad is None
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 0.0])


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'tanh' is already in the table"):
        Primitive("tanh", "elementwise", lambda xp, x: x)


def assert_same_gradients(torch, mine, theirs, *numbers):
    own = [tn.tensor(x, requires_grad=True) for x in numbers]
    other = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
    mine(*own).sum().backward()
    theirs(*other).sum().backward()
    for x, t in zip(own, other, strict=True):
        np.testing.assert_array_equal(x.grad.numpy(), t.grad.numpy())
