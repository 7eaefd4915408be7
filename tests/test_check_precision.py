"""How well the gradient checker measures: it calls right only what it has measured, down to the smallest gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.test_check_gradients import wrong
from tinynet.testing import GradientError, check_backward

RANDOM = np.random.default_rng(0)
X, TWELVE = RANDOM.normal(size=4), RANDOM.normal(size=12)
BOLTZMANN = 1.380649e-23
Case = tuple[Callable[..., Any], Callable[..., Any], np.ndarray]


def single_sum(offset: float) -> Callable[..., Any]:
    return lambda x: (x.astype("float32") ** 2).sum(dtype="float32") + np.float32(offset)


def roots(tolerance: float) -> Callable[[np.ndarray], np.ndarray]:
    """Square roots by bisection."""

    def root(v: float) -> float:
        low, high = 0.0, 10.0
        while high - low > tolerance:
            middle = (low + high) / 2
            low, high = (middle, high) if middle * middle < v else (low, middle)
        return (low + high) / 2

    return lambda a: np.array([root(v) for v in a])


def verdict(*arguments: Any) -> str:
    try:
        return check_backward(*arguments).verdict
    except GradientError as error:
        return error.report.verdict


# What is measured too badly

LOST = {
    "float32 beside 1e5": (single_sum(1e5), np.linspace(0.5, 1.5, 10)),
    "float32 beside 1e4": (single_sum(1e4), np.linspace(0.5, 1.5, 10)),
    "float64 beside 1e12": (lambda x: (x**2).sum() + 1e12, TWELVE),
    "float64 beside 1e14": (lambda x: (x**2).sum() + 1e14, TWELVE),
    "many beside 1e12": (lambda x: (x**2).sum() + 1e13, RANDOM.normal(size=100)),
}


@pytest.mark.parametrize("factor", [0, 1, 1.03, 2])
@pytest.mark.parametrize("case", LOST)
def test_what_is_lost_beside_a_larger_number_is_not_called_right(case: str, factor: float):
    function, x = LOST[case]
    if factor not in (1, 1.03):
        assert verdict(function, lambda g, x: factor * 2 * g * x, x) != "right"
        return
    report = check_backward(function, lambda g, x: factor * 2 * g * x, x)
    assert report.verdict == "cannot tell" and "is off by up to" in report.reason


@pytest.mark.parametrize("size", [3, 30, 300, 3000])
@pytest.mark.parametrize(
    ("function", "slope"), [(np.sin, np.cos), (np.exp, np.exp), (np.tanh, lambda x: 1 - np.tanh(x) ** 2)]
)
def test_float32_is_measured_well_enough(function: Any, slope: Any, size: int):
    x = np.random.default_rng(1).normal(size=size)
    assert check_backward(lambda x: function(x.astype("float32")), lambda g, x: g * slope(x), x)
    assert check_backward(single_sum(0.0), lambda g, x: 2 * g * x, x)


ZERO: dict[str, Case] = {
    "nothing depends": (lambda x: np.full(3, 7.0), lambda g, x: 0 * x, X),
    "what is masked": (lambda x: (x * [1, 0, 1, 0]).sum() + 5, lambda g, x: g * np.array([1.0, 0, 1, 0]), X),
    "a minimum": (lambda x: np.cos(x - x.round(15)), lambda g, x: 0 * g, X),
    "differences": (lambda x: (x - x.mean()).sum(), lambda g, x: 0 * x, X),
    "saturated": (lambda x: 1 / (1 + np.exp(-x)), lambda g, x: g * np.exp(-x) / (1 + np.exp(-x)) ** 2, 90 * np.ones(3)),
    "in float32": (lambda x: np.cos(x.astype("float32")), lambda g, x: -g * np.sin(x), np.zeros(3)),
}


@pytest.mark.parametrize("case", ZERO)
def test_a_gradient_of_zero_of_what_is_measured_well_is_right(case: str):
    assert check_backward(*ZERO[case])


def test_the_report_says_how_precisely_it_was_measured():
    fine, coarse = (
        check_backward(roots(t), lambda g, a: g / 2 / np.sqrt(a), np.array([2.0, 3.3])) for t in (1e-9, 1e-6)
    )
    assert 0 < fine.precision < 1e-4 < coarse.precision < 0.01
    assert str(coarse) == f"gradient: right, measured to {coarse.precision:.1g}"


def test_many_elements_that_are_wrong_by_less_than_each_is_measured_to_are_not_right():
    x = RANDOM.normal(size=1000)
    report = check_backward(single_sum(0.0), lambda g, x: 1.01 * 2 * g * x, x)
    assert report.verdict == "cannot tell" and "the elements of x are not right together" in report.reason


# Small gradients

SMALL: dict[str, Case] = {
    "zero": (lambda T: 1.5 * BOLTZMANN * T, lambda g, T: 0 * T, np.array([300.0, 77.0])),
    "sign": (lambda T: 1.5 * BOLTZMANN * T, lambda g, T: -1.5 * BOLTZMANN * g, np.array([300.0, 77.0])),
    "0.1%": (lambda T: 1.5 * BOLTZMANN * T, lambda g, T: 1.5015 * BOLTZMANN * g, np.array([300.0, 77.0])),
    "a product": (lambda p: p.prod(), lambda g, p: 0 * p, np.full(30, 0.2)),
    "sign of a product": (lambda p: p.prod(), lambda g, p: -g * p.prod() / p, np.full(10, 0.01)),
    "1% of 1e-16": (lambda x: 1e-16 * np.sin(x), lambda g, x: 1.01e-16 * g * np.cos(x), X),
    "1e-16, not bent": (lambda x: 1e-16 * np.sin(x), lambda g, x: 1e-16 * g, X),
}


@pytest.mark.parametrize("case", SMALL)
def test_a_small_gradient_is_checked_like_any_other(case: str):
    wrong(check_backward, *SMALL[case])


ROUNDED: dict[str, Case] = {
    f"{name} at {x:g}": (function, backward, np.array([float(x), 0.3]))
    for x in (15, 30, 36, 36.7, 37.5, 50, 100)
    for name, function, backward in (
        # Each backward pass loses, to the rounding of 1, what its forward pass still has.
        ("softplus", lambda x: np.log1p(np.exp(-x)), lambda g, x: g * (1 / (1 + np.exp(-x)) - 1)),
        ("tanh", lambda x: 2 / (1 + np.exp(2 * x)), lambda g, x: -g * (1 - np.tanh(x) ** 2)),
    )
}


@pytest.mark.parametrize("case", ROUNDED)
def test_what_rounding_has_left_of_a_small_gradient_is_not_wrong(case: str):
    for seed in range(5):
        assert check_backward(*ROUNDED[case], seed=seed).verdict != "wrong"


# Coarse dtypes


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("factor", [1, 1 + 1e-5, 11])
def test_a_gradient_of_a_coarser_dtype_than_its_input_is_wrong_and_the_dtype_is_told(dtype: str, factor: float):
    report = wrong(check_backward, np.sin, lambda g, x: (factor * g * np.cos(x)).astype(dtype), X)
    assert report.reason.endswith(f"the gradient of x has dtype {dtype}, x has float64")


def test_the_dtype_is_told_where_no_number_is_lost_to_it():
    report = check_backward(lambda x: 2 * x, lambda g, x: (2 * g).astype("float32"), X)
    assert str(report) == "gradient: right, the gradient of x has dtype float32, x has float64"


@pytest.mark.parametrize(("dtype", "off"), [("float32", 1e-4), ("float16", 0.1), ("float16", 10)])
def test_a_gradient_may_be_as_coarse_as_its_input(dtype: str, off: float):
    x = X.astype(dtype)
    report = check_backward(np.sin, lambda g, x: (g * np.cos(x)).astype(dtype), x)
    assert report and "dtype" not in str(report)
    wrong(check_backward, np.sin, lambda g, x: ((1 + off) * g * np.cos(x)).astype(dtype), x)


def test_a_gradient_may_be_as_coarse_as_the_function():
    def tanh(x: np.ndarray) -> np.ndarray:
        return np.tanh(x.astype("float32"))

    report = check_backward(tanh, lambda g, x: g * (1 - tanh(x) ** 2), X)
    assert report and "dtype" not in str(report)


# Linear in the cotangent

NOT_LINEAR = {
    "clipped at 5": lambda g, x: 2 * x * np.clip(g, -5, 5),
    "nan of 0": lambda g, x: 2 * x * g * g / g,
    "a constant, of 0": lambda g, x: np.where(g == 0, 1.0, 2 * x * g),
    "the norm clipped": lambda g, x: 2 * x * g * min(1.0, 50 / np.linalg.norm(2 * x * g)) if np.any(g) else 0 * x,
}


@pytest.mark.parametrize("case", NOT_LINEAR)
def test_a_backward_pass_is_linear_at_every_scale(case: str):
    report = wrong(check_backward, lambda x: x**2, NOT_LINEAR[case], X)
    assert "the gradient of x is not linear in the cotangent" in report.reason


# Cost


def calls(factor: float, size: int) -> int:
    count = 0

    def square(x: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return x**2

    verdict(square, lambda g, x: factor * 2 * g * x, np.linspace(0.3, 2, size))
    return count


@pytest.mark.parametrize("size", [16, 17, 100, 1000, 1001, 100_000])
def test_a_wrong_gradient_costs_a_few_times_what_a_right_one_costs(size: int):
    assert calls(1.05, size) < 8 * calls(1.0, size)


def test_one_wrong_element_of_many_costs_no_more():
    def backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        found = 2 * g * x
        found[777] *= 1.001
        return found

    report = wrong(check_backward, lambda x: x**2, backward, np.linspace(0.3, 2, 1000))
    assert [element.index for element in report.wrong] == [(777,)] and report.reason == "1 of 1000 elements"


def test_of_many_wrong_elements_some_are_shown_of_each_input():
    x, y = RANDOM.normal(size=(2, 1000))
    report = wrong(check_backward, np.multiply, lambda g, x, y: (2 * g * y, 2 * g * x), x, y)
    assert {element.input for element in report.wrong} == {"x", "y"} or len(report.wrong) == 8
    assert report.reason == "at least 8 of 2000 elements"


def test_wrong_elements_are_found_among_kinks():
    x = np.where(np.arange(100) % 2, RANDOM.normal(size=100), 0.0)
    report = wrong(check_backward, np.abs, lambda g, x: 1.1 * g * np.sign(x), x)
    assert report.wrong and all(element.index[0] % 2 for element in report.wrong)


# What hides where many elements are measured at once


@pytest.mark.parametrize(("size", "factor"), [(4037, 2.0), (4037, 1.1), (6850, 1.1)])
def test_the_roundings_of_many_elements_hide_no_wrong_gradient(size: int, factor: float) -> None:
    x = np.random.default_rng(size).normal(size=size).astype(np.float32)  # whose slopes all but cancel where they move

    def backward(g: Any, x: np.ndarray) -> np.ndarray:
        return (factor * g * (1 - np.tanh(x) ** 2)).astype(np.float32)

    with pytest.raises(AssertionError, match="wrong"):
        check_backward(lambda x: np.tanh(x).sum(), backward, x)


@pytest.mark.parametrize("tiny", [1e-9, 1e-12, 1e-15])
def test_a_wrong_gradient_does_not_hide_where_numbers_are_tiny(tiny: float) -> None:
    numbers = np.random.default_rng(0).normal(size=(2, 50))
    x, factor = np.concatenate([numbers[0], tiny * numbers[1]]), np.repeat([1.0, 2.0], 50)
    with pytest.raises(AssertionError, match="wrong"):
        check_backward(lambda x: np.sin(x).sum(), lambda g, x: factor * g * np.cos(x), x)
    assert check_backward(lambda x: np.sin(x).sum(), lambda g, x: g * np.cos(x), x)
