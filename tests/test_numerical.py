"""A numerical derivative and its error bar, held against closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinynet.testing.numerical import EPSILON, derivative, noise_of
from tinynet.testing.richardson import Estimate, Table

Scalar = Callable[[np.ndarray], np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))


FORMS: dict[str, tuple[Scalar, Scalar]] = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "sin of 100 x": (lambda x: np.sin(100 * x), lambda x: 100 * np.cos(100 * x)),
    "1/x": (lambda x: 1 / x, lambda x: -1 / (x * x)),
    "cube": (lambda x: x**3, lambda x: 3 * x * x),
    "log": (lambda x: np.log(np.abs(x)), lambda x: 1 / x),
    "square root": (lambda x: np.sqrt(np.abs(x)), lambda x: 0.5 * np.sign(x) / np.sqrt(np.abs(x))),
    "tanh": (np.tanh, lambda x: 4 * sigmoid(2 * x) * sigmoid(-2 * x)),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "bell": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "line with ripples": (lambda x: x + 1e-6 * np.sin(1e4 * x), lambda x: 1 + 0.01 * np.cos(1e4 * x)),
    "trend and season": (lambda x: x + np.sin(x), lambda x: 1 + np.cos(x)),
    "absolute": (np.abs, np.sign),
    "constant": (lambda x: 0 * x + 3, lambda x: 0 * x),
}
SIZES = st.builds(
    lambda digits, power, sign: sign * digits * 10.0**power,
    st.floats(1, 10),
    st.integers(-12, 5),
    st.sampled_from([-1, 1]),
)
POINTS = st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3) | SIZES


def measured(function: Scalar, x: float, slope: float = 0.0) -> Estimate:
    def along(t: float) -> np.ndarray:
        return np.atleast_1d(function(np.array(x + t)))

    with np.errstate(all="ignore"):
        noise = noise_of(along, max(1.0, abs(x)))
        return derivative(along, abs(x), noise, EPSILON * abs(x * slope))


@given(st.sampled_from([name for name in FORMS if "ripples" not in name]), POINTS)
@example("trend and season", 1e6)
@example("trend and season", 1e9)
@example("tanh", 160.0)
@example("log", 1e-12)
@example("absolute", 1e-7)
@settings(max_examples=600, deadline=None)
def test_the_true_derivative_lies_within_the_error_bar(name: str, x: float):
    function, slope = FORMS[name]
    with np.errstate(all="ignore"):
        value, true = float(function(np.array(x))), float(slope(np.array(x)))
    if not (np.isfinite(value) and np.isfinite(true)):
        return
    estimate = measured(function, x, true)
    # What is computed of the product of a large number is off by its rounding, whoever computes it.
    inherited = 10_000 * EPSILON * max(1.0, abs(x)) if name == "sin of 100 x" else 0.0
    assert estimate.doubt or abs(estimate.value - true) <= estimate.error + 4 * EPSILON * abs(true) + inherited


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("x", [0.01, 0.3, 1.0, 2.7, -2.0])
def test_an_ordinary_point_is_told_to_eight_digits(name: str, x: float):
    function, slope = FORMS[name]
    true = float(slope(np.array(x)))
    estimate = measured(function, x, true)
    assert not estimate.doubt
    assert estimate.error <= 1e-8 * max(1.0, abs(true), abs(float(function(np.array(x)))))
    assert estimate.value == pytest.approx(true, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("x", [1e-12, 1e-6, 1e-3])
@pytest.mark.parametrize("name", ["log", "1/x", "square root"])
def test_close_to_the_edge_of_a_domain_steps_are_smaller(name: str, x: float):
    function, slope = FORMS[name]
    true = float(slope(np.array(x)))
    estimate = measured(function, x, true)
    assert not estimate.doubt
    assert estimate.value == pytest.approx(true, rel=1e-7)


DOUBTS: dict[str, tuple[Scalar, float, str]] = {
    "kink": (np.abs, 0.0, "a kink: the slope is -1 on the left and 1 on the right"),
    "kink on a slope": (
        lambda x: 3 * x + np.abs(x - 1),
        1.0,
        "a kink: the slope is 2 on the left and 4 on the right",
    ),
    "kink where it is curved": (lambda x: np.maximum(np.exp(x), 1), 0.0, "a kink"),
    "jump": (lambda x: np.where(x >= 1, x + 5, x), 1.0, "a jump"),
    "jump in front of a large number": (lambda x: np.sign(x - 2) + 100, 2.0, "a jump"),
    "end on the left": (np.sqrt, 0.0, "a little to the left"),
    "end on the right": (lambda x: np.sqrt(1 - x), 1.0, "a little to the right"),
    "alone": (lambda x: np.where(x == 1, 2.0, np.nan), 1.0, "not finite"),
    "infinite slope": (np.cbrt, 0.0, ""),
    "infinite slope on both sides": (lambda x: np.sqrt(np.abs(x)), 0.0, ""),
    "wild": (lambda x: np.sin(1 / (x + 1e-30)), 0.0, ""),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_where_there_is_no_derivative_none_is_told(case: str):
    function, x, doubt = DOUBTS[case]
    found = measured(function, x).doubt
    assert found
    assert doubt in found


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_nearby_is_not_taken_for_one_here(side: int, distance: float):
    """Nor for the mean of its two slopes."""
    estimate = measured(np.abs, side * distance)
    assert estimate.doubt or abs(estimate.value - side) <= estimate.error
    assert not estimate.doubt or distance < 1e-7


@pytest.mark.parametrize("power", range(1, 26))
def test_a_wave_that_every_power_of_two_steps_over_is_seen(power: int):
    """It is zero at each multiple of 2**-power: only a step in no simple ratio to the others sees it."""
    estimate = measured(lambda x: x + 1e-3 * np.sin(2 * np.pi * 2**power * x), 0.0)
    true = 1 + 1e-3 * 2 * np.pi * 2**power
    assert estimate.doubt or abs(estimate.value - true) <= estimate.error + 1e-9 * true


@pytest.mark.parametrize("size", [1e-13, 1e-10, 1e-7, 1e-4])
def test_noise_is_measured_and_widens_the_error_bar(size: float):
    random = np.random.default_rng(0)

    def noisy(x: np.ndarray) -> np.ndarray:
        return np.exp(x) + size * random.uniform(-1, 1, np.shape(x))

    noise = noise_of(lambda t: noisy(np.array([0.3 + t])))
    assert size / 10 < noise[0] < 20 * size
    for _ in range(20):
        estimate = measured(noisy, 0.3)
        assert estimate.doubt or abs(estimate.value - np.exp(0.3)) <= estimate.error


@pytest.mark.parametrize("name", FORMS)
def test_a_smooth_function_has_the_noise_of_float64(name: str):
    function, _ = FORMS[name]
    noise = noise_of(lambda t: np.atleast_1d(function(np.array(0.7 + t))))
    assert noise[0] < 1e-12


def test_a_kink_is_no_noise():
    assert noise_of(lambda t: np.array([abs(t)]))[0] < 1e-12


def test_the_noise_of_each_number_is_its_own():
    random = np.random.default_rng(0)
    noise = noise_of(lambda t: np.array([np.exp(t), np.exp(t) + 1e-6 * random.uniform()]))
    assert noise[0] < 1e-13 < 1e-8 < noise[1]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("scale", [1.0, np.pi])
@pytest.mark.parametrize("x", [0.3, 1.0, 2.7])
def test_what_is_rounded_inside_is_not_constant(dtype: str, scale: float, x: float):
    """Steps below the rounding do not move it at all: that is no derivative of zero."""
    estimate = measured(lambda x: scale * np.exp(x.astype(dtype)).astype(float), x)
    true = scale * np.exp(x)
    assert estimate.doubt or abs(estimate.value - true) <= estimate.error


def test_richardson_is_exact_for_a_polynomial():
    """Differences from both sides of x**5 + x at 1 are 6 + 10 t² + t⁴: two columns take both away."""
    table = Table(2)
    for t in (0.5, 0.25, 0.125, 0.0625):
        table.add(t, 6 + 10 * t**2 + t**4, 0.0)
    assert table.best.value == 6
    assert table.best.error == 0


def test_richardson_forgets_what_came_before_a_nan():
    table = Table(1)
    for step, value in ((1.0, 1.0), (0.5, 1.0), (0.25, np.nan)):
        table.add(step, value, 0.0)
    assert table.best.error == np.inf
    table.add(0.125, 2.0, 0.0)
    table.add(0.0625, 2.0, 0.0)
    assert table.best.value == 2


def test_estimates_agree_within_their_errors():
    assert Estimate(1.0, 0.01).agrees(Estimate(1.1, 0.01))
    assert not Estimate(1.0, 0.001).agrees(Estimate(1.1, 0.001))
