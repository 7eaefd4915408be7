"""What the gradient checker says of gradients that are right, wrong, or cannot be told, by closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.test_numerical import FORMS, POINTS
from tinynet import functional as F
from tinynet import primitives as P
from tinynet.testing import GradientError, Report, check_backward, check_gradients
from tinynet.testing.numerical import HALVINGS, UNEVEN

RANDOM = np.random.default_rng(0)
X, Y, SQUARE, OBLONG = (
    RANDOM.normal(size=4),
    RANDOM.normal(size=4),
    RANDOM.normal(size=(3, 3)),
    RANDOM.normal(size=(2, 5)),
)
LARGE = RANDOM.normal(size=(300, 300))


def wrong(check: Callable[..., Report], *arguments: Any, **options: Any) -> Report:
    """The report of a gradient that has to be wrong."""
    with pytest.raises(GradientError) as caught:
        check(*arguments, **options)
    report = caught.value.report
    assert report.verdict == "wrong" and not report
    return report


class Rule(NamedTuple):
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: tuple[Any, ...] = (X,)


RIGHT = {
    "product": Rule(np.multiply, lambda g, x, y: (g * y, g * x), (X, Y)),
    "0-d": Rule(np.sin, lambda g, x: g * np.cos(x), (np.array(0.4),)),
    "a Python number": Rule(lambda x: x**3, lambda g, x: 3 * g * x**2, (1.5,)),
    "of size 1": Rule(np.sin, lambda g, x: g * np.cos(x), (np.full((1, 1, 1), 0.4),)),
    "empty": Rule(np.sin, lambda g, x: g * np.cos(x), (np.zeros((0, 3)),)),
    "empty beside full": Rule(lambda x, y: 2 * y, lambda g, x, y: (0 * x, 2 * g), (np.zeros((0, 3)), X)),
    "empty output": Rule(lambda x: x[:0], lambda g, x: 0 * x),
    "broadcast and summed": Rule(np.add, lambda g, x, b: (g, g.sum(0)), (SQUARE, X[:3])),
    "a number of them": Rule(lambda x: float(np.sum(x**2)), lambda g, x: 2 * g * x),
    "nested outputs": Rule(lambda x: (x, (2 * x, [x * x])), lambda g, x: g[0] + 2 * g[1][0] + 2 * g[1][1][0] * x),
    "integers, with None": Rule(
        lambda x, i: x[i], lambda g, x, i: (np.bincount(i, g, 4), None), (X, np.array([2, 0, 2]))
    ),
    "integers, left out": Rule(lambda x, i: x[i], lambda g, x, i: np.bincount(i, g, 4), (X, np.array([2, 0, 2]))),
    "truth values": Rule(lambda m, x: m * x, lambda g, m, x: g * m, (X > 0, X)),
    "integer output beside": Rule(lambda x: (x * x, np.arange(3)), lambda g, x: 2 * g[0] * x),
    "None where nothing depends": Rule(lambda x, y: 2 * x, lambda g, x, y: (2 * g, None), (X, Y)),
    "a list of gradients": Rule(np.multiply, lambda g, x, y: [g * y, g * x], (X, Y)),
    "a list of numbers as input": Rule(np.sin, lambda g, x: g * np.cos(x), ([0.3, 0.4],)),
    "constant": Rule(lambda x: np.full(3, 7.0), lambda g, x: 0 * x),
    "float32 inside": Rule(lambda x: np.exp(x.astype("float32")), lambda g, x: g * np.exp(x)),
    "float32 gradient": Rule(np.exp, lambda g, x: (g * np.exp(x)).astype("float32"), (X.astype("float32"),)),
    "float16 gradient": Rule(np.exp, lambda g, x: (g * np.exp(x)).astype("float16"), (X.astype("float16"),)),
    "of sizes far apart": Rule(np.log, lambda g, x: g / x, (10.0 ** np.arange(-12, 6),)),
    "few of sizes far apart": Rule(np.log, lambda g, x: g / x, (np.array([1e-12, 1.0]),)),
    "subnormal": Rule(lambda x: 1e-310 * x, lambda g, x: 1e-310 * g),
    "enormous": Rule(lambda x: 1e300 * x, lambda g, x: 1e300 * g),
    "about to overflow": Rule(np.exp, lambda g, x: g * np.exp(x), (np.array([700.0, 709.0]),)),
    "trend and season": Rule(lambda t: t + np.sin(t), lambda g, t: g * (1 + np.cos(t)), (np.array([3.0, 1e5, 1e7]),)),
    "close to a kink": Rule(np.abs, lambda g, x: g * np.sign(x), (np.array([1e-3, -1e-5, 2.0]),)),
    "large": Rule(np.sin, lambda g, x: g * np.cos(x), (LARGE,)),
    "large with kinks": Rule(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), (LARGE,)),
}


@pytest.mark.parametrize("case", RIGHT)
@pytest.mark.parametrize("seed", [0, 1])
def test_right(case: str, seed: int):
    forward, backward, inputs = RIGHT[case]
    report = check_backward(forward, backward, *inputs, seed=seed)
    assert report
    assert (report.verdict, report.wrong, report.doubtful) == ("right", [], [])


class Wrong(NamedTuple):
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: tuple[Any, ...]
    said: str  # in the reason
    where: str = ""  # the first wrong element


def spoiled(amount: float) -> Callable[..., np.ndarray]:
    """The gradient of the sine with one wrong element."""

    def backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        found = g * np.cos(x)
        found[17, 230] += amount
        return found

    return backward


def kept_sum() -> Callable[..., np.ndarray]:
    total = np.zeros(4)

    def backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        nonlocal total
        total = total + 2 * g
        return total

    return backward


def changing(*, position: int) -> Callable[..., np.ndarray]:
    def backward(*given: np.ndarray) -> np.ndarray:
        found = 2 * given[0]
        given[position][...] *= 2
        return found

    return backward


def forward_in_place(x: np.ndarray) -> np.ndarray:
    x *= 2
    return x


AT_20 = np.full(20, 20.0)
WRONG = {
    "sign": Wrong(np.sin, lambda g, x: -g * np.cos(x), (X,), "the gradient of x has the wrong sign", "x[0]"),
    "twice": Wrong(np.exp, lambda g, x: 2 * g * np.exp(x), (X,), "is twice what it should be", "x[0]"),
    "half": Wrong(
        lambda x: x * x, lambda g, x: g * x, (X,), "4 of 4 elements; the gradient of x is half of what it should be"
    ),
    "minus twice": Wrong(np.exp, lambda g, x: -2 * g * np.exp(x), (X,), "is minus twice what it should be"),
    "zero": Wrong(
        lambda x, y: x * y, lambda g, x, y: (g * y, 0 * g), (X, Y), "4 of 8 elements; the gradient of y is zero"
    ),
    "None": Wrong(lambda x, y: x * y, lambda g, x, y: (g * y, None), (X, Y), "the gradient of y is zero", "y[0]"),
    "swapped": Wrong(
        lambda x, y: x * y,
        lambda g, x, y: (g * x, g * y),
        (X, Y),
        "the gradient of x is that of y; the gradient of y is that of x",
    ),
    "transposed": Wrong(lambda x: x.T * 2, lambda g, x: g * 2, (SQUARE,), "the gradient of x is transposed", "x[0, 1]"),
    "reversed": Wrong(lambda x: 2 * x, lambda g, x: 2 * g[::-1], (X,), "is reversed along axis 0", "x[0]"),
    "mean": Wrong(
        lambda x: x**3, lambda g, x: 3 * g * x * x / 5, (OBLONG,), "is divided by 5, the size of axis 1", "x[0, 0]"
    ),
    "sum": Wrong(
        lambda x: np.mean(x, 1), lambda g, x: g[:, None] + 0 * x, (OBLONG,), "is multiplied by 5, the size of axis 1"
    ),
    "one element": Wrong(
        lambda x: 3 * x, lambda g, x: 3 * g + np.array([0, 0, 0, 1e-7]), (X,), "1 of 4 elements", "x[3]"
    ),
    "0-d": Wrong(np.sin, lambda g, x: g, (np.array(0.4),), "1 of 1 elements", "x: "),
    "nan": Wrong(lambda x: 2 * x, lambda g, x: g * [2, 2, np.nan, 2], (X,), "1 of 4 elements", "x[2]: yours nan"),
    "infinite": Wrong(lambda x: 2 * x, lambda g, x: g * np.inf, (X[:1],), "1 of 1 elements", "x[0]: yours"),
    "one of many infinite": Wrong(
        lambda x: 2 * x, lambda g, x: np.append(2 * g[:-1], np.inf), (AT_20,), "1 of 20", "x[19]: yours inf"
    ),
    "absolute cotangent": Wrong(lambda x: 2 * x, lambda g, x: 2 * np.abs(g), (X[:1],), "1 of 1"),
    "clipped cotangent": Wrong(lambda x: 2 * x, lambda g, x: 2 * np.clip(g, -1, 1), (LARGE[:10],), "elements"),
    "cotangent ignored": Wrong(lambda x: x * x, lambda g, x: 2 * x, (X,), "4 of 4"),
    "only the first output": Wrong(lambda x: (x, x * x), lambda g, x: g[0], (X,), "4 of 4"),
    "large": Wrong(np.sin, spoiled(1e-3), (LARGE,), "1 of 90000 elements", "x[17, 230]"),
    "large, all of it": Wrong(lambda x: x**2, lambda g, x: g * x, (LARGE,), "at least", "x[0, 0]"),
    "beside larger numbers": Wrong(
        lambda x, b: np.sum(np.exp(x)) + np.sum(2 * b),
        lambda g, x, b: (g * np.exp(x), 0 * b),
        (AT_20, np.ones(2)),
        "the gradient of b is zero",
    ),
    "no number": Wrong(lambda x: np.max(x), lambda g, x: np.nan * g * x, (X,), "4 of 4"),
    "little": Wrong(lambda x: 1e-11 * x, lambda g, x: 1.1e-11 * g, (X,), "4 of 4"),
    "not summed": Wrong(
        lambda x, b: x + b,
        lambda g, x, b: (g, g),
        (SQUARE, X[:3]),
        "the gradient of b has shape (3, 3), b has (3,) (not summed over what was broadcast?)",
    ),
    "summed too far": Wrong(
        lambda x: 2 * x, lambda g, x: 2 * g.sum(0), (SQUARE,), "the gradient of x has shape (3,), x has (3, 3)"
    ),
    "kept sum": Wrong(lambda x: 2 * x, kept_sum(), (X,), "is another one at the second call: is an old sum added to?"),
    "forward in place": Wrong(forward_in_place, lambda g, x: 2 * g, (X,), "forward changes its input 0 in place"),
    "backward in place": Wrong(lambda x: 2 * x, changing(position=1), (X,), "backward changes its input 0 in place"),
    "cotangent in place": Wrong(
        lambda x: 2 * x, changing(position=0), (X,), "backward changes its cotangent 0 in place"
    ),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("seed", [0, 1])
def test_wrong(case: str, seed: int):
    if case == "kept sum" and seed:
        return
    forward, backward, inputs, said, where = WRONG[case]
    report = wrong(check_backward, forward, backward, *inputs, seed=seed)
    assert said in report.reason
    assert str([*report.wrong, ""][0]).startswith(where)


def test_a_wrong_element_has_both_values_and_an_error_bar_around_the_true_one():
    report = wrong(check_backward, np.sin, lambda g, x: g * np.cos(x) + [0, 0, 0.5, 0], X)
    (element,), (g,) = report.wrong, report.cotangents
    assert (element.input, element.index, element.doubt) == ("x", (2,), "")
    assert element.yours == pytest.approx(g[2] * np.cos(X[2]) + 0.5, rel=1e-15)
    assert abs(element.numerical - g[2] * np.cos(X[2])) <= element.error <= 1e-8


def test_the_report_has_every_measured_derivative_with_its_error():
    report = check_backward(np.multiply, lambda g, x, y: (g * y, g * x), X, Y)
    (x, y), (g,) = report.inputs, report.cotangents
    np.testing.assert_array_equal([x, y], [X, Y])
    for claimed, found, error, true in zip(
        report.gradients, report.numerical, report.error, (g * Y, g * X), strict=True
    ):
        np.testing.assert_array_equal(claimed, true)
        assert np.all(np.abs(found - true) <= error)
        assert np.all(error <= 1e-8)


@given(st.sampled_from([name for name in FORMS if "ripples" not in name]), POINTS, st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_the_gradient_of_a_closed_form_is_never_wrong(name: str, x: float, seed: int):
    function, slope = FORMS[name]
    with np.errstate(all="ignore"):
        if np.isfinite(slope(np.array(x))):
            assert check_backward(function, lambda g, x: g * slope(x), np.array(x), seed=seed).verdict != "wrong"


@given(
    st.sampled_from(["exp", "sin", "cube", "bell", "sigmoid"]), st.floats(0.1, 2), st.sampled_from([1e-6, 1e-3, 1.0])
)
@settings(max_examples=60, deadline=None)
def test_the_gradient_of_a_closed_form_that_is_off_is_wrong(name: str, x: float, amount: float):
    function, slope = FORMS[name]
    wrong(check_backward, function, lambda g, x: g * (slope(x) + amount), np.array(x))


CANNOT_TELL: dict[str, tuple[Rule, str]] = {
    "kink": (Rule(np.abs, lambda g, x: 0 * g, (np.zeros(2),)), "a kink: the slope is"),
    "kinks everywhere": (Rule(lambda x: np.maximum(x, 0), lambda g, x: 0 * g, (np.zeros((40, 40)),)), "a kink"),
    "jump": (Rule(np.sign, lambda g, x: 0 * g, (np.zeros(1),)), "a jump"),
    "domain": (Rule(np.sqrt, lambda g, x: 0 * g, (np.zeros(1),)), "not finite"),
    "nan": (Rule(np.log, lambda g, x: g / x, (np.array([-1.0, 1.0]),)), "the function is not finite at these inputs"),
    "overflow": (Rule(np.exp, lambda g, x: g * np.exp(x), (np.array([800.0]),)), "the function is not finite at these"),
    "random": (Rule(lambda x: x + RANDOM.normal(size=4), lambda g, x: g), "the function is not deterministic"),
    "random, hardly": (
        Rule(lambda x: x + 1e-6 * RANDOM.normal(size=4), lambda g, x: g),
        "seed what is random inside it",
    ),
    "random shape": (
        Rule(lambda x: x[: RANDOM.integers(1, 5)] if RANDOM.random() else x, lambda g, x: g, (np.ones(1000),)),
        "not deterministic: two calls gave outputs of different shapes",
    ),
    "half precision": (
        Rule(lambda x: np.exp(x.astype("float16")), lambda g, x: g * np.exp(x)),
        "too rough, or too noisy",
    ),
}


@pytest.mark.parametrize("case", CANNOT_TELL)
def test_cannot_tell(case: str):
    (forward, backward, inputs), reason = CANNOT_TELL[case]
    report = check_backward(forward, backward, *inputs)
    assert report.verdict == "cannot tell"
    assert not report and not report.wrong
    assert reason in report.reason


def test_a_kink_names_its_element_and_leaves_the_others_alone():
    report = check_backward(np.abs, lambda g, x: g * np.sign(x), np.array([1.0, 0.0, -2.0]))
    assert [(e.input, e.index) for e in report.doubtful] == [("x", (1,))]


def test_wrong_beside_a_kink_is_wrong():
    report = wrong(check_backward, np.abs, lambda g, x: 2 * g * np.sign(x), np.array([1.0, 0.0]))
    assert [e.index for e in report.wrong] == [(0,)]
    assert [e.index for e in report.doubtful] == [(1,)]


@pytest.mark.parametrize("distance", [0.05, 1e-3])
def test_the_edge_of_a_domain_may_raise(distance: float):
    def strict(x: np.ndarray) -> np.ndarray:
        if np.any(x <= 0):
            raise ValueError("not positive")
        return np.log(x)

    assert check_backward(strict, lambda g, x: g / x, np.array([distance, 1.0]))


def test_outputs_may_have_other_shapes_nearby():
    def positive(x: np.ndarray) -> np.ndarray:
        return x[x > 0]

    def backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        found = np.zeros(x.shape)
        found[x > 0] = g
        return found

    assert check_backward(positive, backward, np.array([0.05, 1.0, 2.0, -1.0]))


@pytest.mark.parametrize("off", [1, 2])
def test_float32_only(off: int):
    """Such a function is measured in float32, and gets cotangents of float32."""

    def cube(x: np.ndarray) -> np.ndarray:
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return x**3

    def backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        assert g.dtype == x.dtype == np.float32
        return off * 3 * g * x**2

    x = np.array([1.5, -0.7], dtype="float32")
    if off == 1:
        assert check_backward(cube, backward, x)
    else:
        assert "is twice" in wrong(check_backward, cube, backward, x).reason


def test_an_error_of_the_function_is_its_own():
    with pytest.raises(ZeroDivisionError, match="mine"):
        check_backward(lambda x: (_ for _ in ()).throw(ZeroDivisionError("mine")), lambda g, x: g, X)


def test_a_cache():
    def forward(x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return np.tanh(x), {"y": np.tanh(x)}

    assert check_backward(forward, lambda g, cache: g * (1 - cache["y"] ** 2), X, cache=True)
    wrong(check_backward, forward, lambda g, cache: g * (1 - cache["y"]), X, cache=True)


def test_a_cache_that_backward_uses_up_is_there_again_at_the_next_call():
    assert check_backward(lambda x: (2 * x, [2.0]), lambda g, cache: cache.pop() * g, X, cache=True)


@pytest.mark.parametrize("given", [X, (X, X, X), [X, {}]])
def test_cache_wants_a_pair(given: Any):
    with pytest.raises(ValueError, match=r"with cache=True forward is expected to return a pair \(output, cache\)"):
        check_backward(lambda x: given, lambda g, cache: g, X, cache=True)


def test_a_cache_that_was_not_announced():
    with pytest.raises(TypeError, match=r"an output is dict .*cache=True"):
        check_backward(lambda x: (2 * x, {"x": x}), lambda g, cache: 2 * g, X)


def test_pytorch(torch: Any):
    x, w = torch.randn(3, 2, requires_grad=True), torch.nn.Parameter(torch.randn(2, 4))
    assert check_backward(torch.matmul, lambda g, x, w: (g @ w.T, x.T @ g), x, w)
    report = wrong(check_backward, lambda x, w: x @ w, lambda g, x, w: (g @ w.T, 2 * x.T @ g), x, w)
    assert "the gradient of w is twice what it should be" in report.reason


def test_pytorch_gets_tensors_of_float64_and_integers_as_they_are(torch: Any):
    kinds = set()

    def take(x: Any, i: Any) -> Any:
        kinds.update([x.dtype, i.dtype])
        return x[i]

    def backward(g: Any, x: Any, i: Any) -> Any:
        kinds.add(g.dtype)
        return torch.zeros_like(x).index_add(0, i, g)

    assert check_backward(take, backward, torch.randn(4), torch.tensor([2, 0, 2]))
    assert kinds == {torch.float64, torch.int64}


def test_pytorch_with_weights_of_float32(torch: Any):
    w = torch.randn(4, 3)
    assert check_backward(lambda x: x @ w, lambda g, x: g @ w.T, torch.randn(2, 4))
    wrong(check_backward, lambda x: x @ w, lambda g, x: 1.1 * g @ w.T, torch.randn(2, 4))


def test_pytorch_in_place(torch: Any):
    report = wrong(check_backward, lambda x: 2 * x, lambda g, x: g.mul_(2), torch.randn(4))
    assert "backward changes its cotangent 0 in place" in report.reason


def test_tensors():
    """Tensors or arrays, of any dtype; several outputs; integers."""
    i = np.array([2, 0, 2])
    assert check_gradients(
        lambda x, i: (x[i.numpy()], [x.exp() * 2, x.sum()]), tn.tensor(X, requires_grad=True), i, order=2
    )
    assert check_gradients(lambda x: x.tanh(), X.astype("float32"), order=2)
    assert check_gradients(F.softmax, SQUARE, order=2)
    assert check_gradients(lambda x: x * 2, np.zeros((0, 3)), order=2)
    assert check_gradients(lambda x: x * x, np.array(3.0), order=2)
    assert check_gradients(lambda x: tn.tensor(Y), X, order=2)


def test_what_is_given_stays_as_it_is():
    x, leaf = X.copy(), tn.tensor(X, requires_grad=True)
    assert check_gradients(lambda x, y: x * y, x, leaf)
    np.testing.assert_array_equal(x, X)
    assert leaf.grad is None and leaf.dtype == np.float64


def test_detached_is_wrong():
    assert "is half of what it should be" in wrong(check_gradients, lambda x: x * x.detach(), X).reason
    assert "the gradient of x is zero" in wrong(check_gradients, lambda x: x.detach() * 2, X).reason


@pytest.mark.parametrize("surroundings", [tn.no_grad, tn.record])
@pytest.mark.parametrize("order", [1, 2])
def test_what_stands_around_does_not_matter(surroundings: Any, order: int):
    with surroundings():
        assert check_gradients(lambda x: x * x, X, order=order)


def test_a_function_that_changes_its_input_in_place():
    def double(x: tn.Tensor) -> tn.Tensor:
        x.data *= 2
        return x

    assert "forward changes its input 0 in place" in wrong(check_gradients, double, X).reason


def flat_slope(x: tn.Tensor) -> tn.Tensor:
    """The cube; its first derivative is right and does not know that it depends on x."""
    here = x.detach()
    return here**3 + (x - here) * 3 * here**2


def test_a_second_derivative_that_is_wrong():
    assert check_gradients(flat_slope, X)
    report = wrong(check_gradients, flat_slope, X, order=2)
    assert report.order == 2
    assert [(e.input, e.index) for e in report.wrong] == [("x", (i,)) for i in range(4)]
    for element in report.wrong:
        assert element.yours == 0
        assert element.numerical != 0
    assert str(report).startswith(
        "gradient of the gradient of flat_slope: wrong, 4 of 8 elements; the gradient of x is zero"
    )


def test_the_second_derivative_of_a_square_is_measured_as_two():
    report = check_gradients(lambda x: x * x, X, order=2)
    g, u = report.inputs[1], report.cotangents[0]
    np.testing.assert_allclose(report.numerical[0], 2 * g * u, rtol=1e-9)
    np.testing.assert_allclose(report.numerical[1], 2 * X * u, rtol=1e-9)
    assert report.order == 2


def test_a_kink_of_the_gradient_is_one_of_second_order():
    def bend(x: tn.Tensor) -> tn.Tensor:
        return x + F.relu(x) ** 2

    assert check_gradients(bend, np.zeros(2))
    report = check_gradients(bend, np.zeros(2), order=2)
    assert (report.verdict, report.order) == ("cannot tell", 2)


@pytest.mark.parametrize("order", [1, 2])
def test_the_first_order_is_judged_first(order: int):
    assert wrong(check_gradients, lambda x: x * x.detach(), X, order=order).order == 1


@pytest.mark.parametrize("seed", [0, 7])
def test_the_same_seed_gives_the_same_report(seed: int):
    first, second = (wrong(check_backward, np.sin, lambda g, x: g, X, seed=seed) for _ in range(2))
    assert first.wrong == second.wrong
    np.testing.assert_array_equal(first.cotangents, second.cotangents)


def test_another_seed_takes_another_cotangent():
    reports = [check_backward(np.sin, lambda g, x: g * np.cos(x), X, seed=seed) for seed in range(3)]
    assert len({tuple(r.cotangents[0]) for r in reports}) == 3


def test_cotangents_are_of_either_sign_and_neither_small_nor_large():
    (g,) = check_backward(np.sin, lambda g, x: g * np.cos(x), LARGE[:9]).cotangents
    assert np.any(g < 0) and np.any(g > 0)
    assert np.all((np.abs(g) >= 0.5) & (np.abs(g) <= 1.5))


def test_the_global_random_numbers_are_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    check_gradients(lambda x: x * x, X, order=2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_nothing_is_hinted_that_one_number_shows_by_chance():
    report = wrong(check_backward, lambda x: x**3, lambda g, x: 3.1 * g * x * x, np.array([[0.4]]))
    assert report.reason == "1 of 1 elements"


def test_nothing_is_hinted_where_nothing_fits():
    assert wrong(check_backward, np.sin, lambda g, x: g * np.sin(x), X).reason == "4 of 4 elements"


def test_names_are_those_of_the_function_where_it_tells():
    def scaled(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
        return weight * x

    assert wrong(check_backward, scaled, lambda g, w, x: (g * x, g), X, Y).wrong[0].input == "x"
    assert (
        wrong(check_backward, lambda *both: both[0] * both[1], lambda g, w, x: (g * x, g), X, Y).wrong[0].input
        == "input 1"
    )


def test_messages():
    report = wrong(check_backward, lambda x: 2 * x, lambda g, x: 0 * g, np.ones((1, 2)))
    (g,) = report.cotangents
    first, *elements, weights = str(report).splitlines()
    assert weights == "  (all numbers are times random cotangents, summed over the outputs: report.cotangents)"
    assert first == "gradient: wrong, 2 of 2 elements; the gradient of x is zero"
    for k, line in enumerate(elements):
        value = f"{2 * g[0, k]:.8g}"
        assert line.startswith(f"  x[0, {k}]: yours {'-' if g[0, k] < 0 else ''}0, numerical {value} ± ")
    assert len(elements) == 2
    right = check_backward(np.sin, lambda g, x: g * np.cos(x), X)
    assert str(right) == f"gradient of sin: right, measured to {right.precision:.1g}" and 0 < right.precision < 1e-9
    doubtful = check_backward(np.abs, lambda g, x: 0 * g, np.zeros(1))
    first, *elements, weights = str(doubtful).splitlines()
    assert first == f"gradient of absolute: cannot tell, {doubtful.reason}"
    assert weights == f"  (all numbers are times the cotangent, {doubtful.cotangents[0][0]:.8g})"
    assert [line.partition("cannot tell ")[2] for line in elements] == [f"({doubtful.reason})"]


def test_a_message_shows_some_elements_and_counts_the_rest():
    lines = str(wrong(check_backward, np.sin, lambda g, x: 2 * g, LARGE[0, :16])).splitlines()
    assert len(lines) == 11
    assert lines[-2] == "  … and 8 more"


def test_a_message_never_shows_two_equal_numbers():
    report = wrong(check_backward, lambda x: 3 * x, lambda g, x: 3 * g * (1 + 1e-10), np.array(1.0))
    yours, numerical = str(report.wrong[0]).removeprefix("x: yours ").partition(" ± ")[0].split(", numerical ")
    assert yours != numerical


def test_a_report_is_shown_as_its_message():
    """pytest shows it so where an assertion fails."""
    report = check_backward(np.abs, lambda g, x: 0 * g, np.zeros(2))
    assert repr(report) == str(report)


def test_a_gradient_error_is_an_assertion_error_with_the_report():
    with pytest.raises(AssertionError, match=r"^gradient of sin: wrong, 4 of 4 elements") as caught:
        check_backward(np.sin, lambda g, x: g, X)
    assert isinstance(caught.value, GradientError)
    assert str(caught.value) == str(caught.value.report)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no input": (lambda: check_gradients(lambda: tn.tensor(1.0)), ValueError, "no input is floating-point"),
    "integers only": (
        lambda: check_gradients(lambda x: x * 2.0, np.arange(3)),
        ValueError,
        "nothing to differentiate by",
    ),
    "integer output": (
        lambda: check_gradients(lambda x: tn.tensor([1, 2]), X),
        ValueError,
        "no output is floating-point",
    ),
    "no output": (lambda: check_gradients(lambda x: (), X), ValueError, "no output is floating-point"),
    "order": (lambda: check_gradients(lambda x: x, X, order=3), ValueError, "order is 3, expected 1 or 2"),
    "arrays": (
        lambda: check_gradients(lambda x: x.numpy(), X),
        TypeError,
        "gave ndarray, expected a Tensor.*check_backward",
    ),
    "None": (lambda: check_gradients(lambda x: None, X), TypeError, "gave NoneType, expected a Tensor"),
    "text": (lambda: check_gradients(lambda x: x, "abc"), TypeError, "input 0 is str of dtype"),
    "complex": (
        lambda: check_gradients(lambda x, y: x, X, 1j * X),
        TypeError,
        "input 1 is ndarray of dtype complex128",
    ),
    "nothing": (lambda: check_backward(np.sin, lambda g, x: g, None), TypeError, "input 0 is NoneType"),
    "dictionary": (lambda: check_backward(np.sin, lambda g, x: g, {"a": X}), TypeError, "input 0 is dict"),
    "complex output": (lambda: check_backward(lambda x: (x, 1j * x), lambda g, x: g[0], X), TypeError, "complex128"),
    "complex gradient": (lambda: check_backward(np.sin, lambda g, x: 1j * g, X), TypeError, "complex128"),
    "text for a gradient": (lambda: check_backward(np.sin, lambda g, x: "g", X), TypeError, "gradient is str"),
    "too few gradients": (
        lambda: check_backward(np.multiply, lambda g, x, y: g * y, X, Y),
        ValueError,
        "backward gave 1 gradients, expected one for each of the 2 inputs.*return None for an input that has none",
    ),
    "too many gradients": (
        lambda: check_backward(np.sin, lambda g, x: (g, g, g), X),
        ValueError,
        "backward gave 3 gradients",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str):
    call, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        call()


def test_of_a_module_the_parameters_are_checked_by_their_paths(monkeypatch):
    net = tn.nn.Sequential(tn.nn.Linear(2, 3), tn.nn.BatchNorm1d(3), tn.nn.Sigmoid())
    before = net.state_dict()
    report = check_gradients(net, SQUARE[:, :2], order=2)
    assert report and report.names == ["input", "0.weight", "0.bias", "1.weight", "1.bias", "cotangent"]
    assert all(np.array_equal(array, before[path]) for path, array in net.state_dict().items())
    assert all(isinstance(parameter, tn.Parameter) for parameter in net.parameters())
    monkeypatch.setattr(P.sigmoid, "vjps", (lambda g, y, x: g * y,))
    assert "0.weight[0, 0]: yours" in str(wrong(check_gradients, net, SQUARE[:, :2]))


def test_what_only_the_steps_of_one_measurement_see_makes_nothing_wrong():
    """2x, but x where the checker first looks: each of its steps, and those that confirm them."""
    steps = 0.1 * np.array([UNEVEN[k % len(UNEVEN)] / 2**k for k in range(HALVINGS)])
    steps = np.concatenate([steps, steps / 67.3])

    def function(x):
        return np.where(np.min(np.abs(np.abs(x) / steps[:, None] - 1), axis=0) < 1e-12, x, 2 * x)

    report = check_backward(function, lambda g, x: 2 * g, np.zeros(1))
    assert report.verdict == "cannot tell" and "two measurements differ" in report.reason


STEPPED_OVER = {
    "a pole": (lambda x: 1e-300 / x, lambda g, x: -g * (1e-300 / x**2), np.array([-1e-150, 1e150, -6e-13])),
    "rounding": (
        lambda x: x * 0.5 * (1 + P.erf(tn.tensor(x / np.sqrt(2))).data),
        lambda g, x: g * (0.5 * math.erfc(-x.item() / 2**0.5) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)),
        np.array([-7.67]),
    ),
}


@pytest.mark.parametrize("name", STEPPED_OVER)
def test_a_right_gradient_that_most_steps_pass_over_is_not_wrong(name):
    function, rule, x = STEPPED_OVER[name]
    for seed in range(5):
        assert check_backward(function, rule, x, seed=seed).verdict != "wrong"


def test_kinks_of_a_recurrent_net_at_many_distances_make_no_gradient_wrong():
    x = [[-1.9165071566792573, 1.3497741085378327e-08], [-3.9907679135671194e-07, -0.8300829275131108]]
    x += [[1.979489351623919, 0.252985125001252], [-3.8693234375401018e-13, 1.7359516317443266e-09]]
    x += [[3.407033171183557e-08, -4.331379486506389e-06], [1.9823624489769826e-13, 0.45358567174034503]]
    x += [[0.18392722041207454, 0.00017420006551925569], [5.434719251867876e-12, -3.629644089754627e-11]]
    x += [[0.0, 1.4672025303592857e-05]]
    weights = np.array([[1.870400681666653, 1.1993814764463568]]), np.array([[-0.3933855260694732]])
    arrays = np.array(x).reshape(3, 3, 2), np.zeros((3, 1)), *weights, np.zeros(1), np.zeros(1)
    for seed in (0, 1225):
        report = check_gradients(lambda *a: F.rnn(*a, nonlinearity="relu")[0], *arrays, seed=seed)
        assert report.verdict == "cannot tell"
