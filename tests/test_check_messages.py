"""What the gradient checker says, to whom something goes wrong: names, weights, exceptions, other people's mistakes."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.test_check_gradients import wrong
from tinynet.testing import check_backward, check_gradients

X = np.random.default_rng(0).normal(size=4)


def bell(x: np.ndarray) -> np.ndarray:
    return np.exp(-x * x)


class Layer:
    def forward(self, x: np.ndarray) -> np.ndarray:
        return 2 * x


NAMED = {
    "a function": (bell, "gradient of bell: wrong"),
    "a ufunc": (np.sin, "gradient of sin: wrong"),
    "a method": (Layer().forward, "gradient of Layer.forward: wrong"),
    "a lambda": (lambda x: 2 * x, "gradient: wrong"),
    "without a name": (functools.partial(bell), "gradient: wrong"),
}


@pytest.mark.parametrize("case", NAMED)
def test_the_function_is_named(case: str):
    function, start = NAMED[case]
    assert str(wrong(check_backward, function, lambda g, x: 7 * g, X)).startswith(start)


def test_a_module_is_named_by_its_class():
    assert str(check_gradients(tn.nn.Linear(4, 2), X[None])).startswith("gradient of Linear: right")


def test_what_the_numbers_are_times_is_said():
    one = wrong(check_backward, lambda x: np.sum(x**2), lambda g, x: g * x, X)
    assert str(one).endswith(f"\n  (all numbers are times the cotangent, {float(one.cotangents[0]):.8g})")
    many = wrong(check_backward, bell, lambda g, x: g, X)
    assert str(many).endswith("times random cotangents, summed over the outputs: report.cotangents)")
    assert "cotangent" not in str(wrong(check_backward, bell, lambda g, x: g[:2], X))


def test_an_exception_of_the_function_nearby_is_told():
    def strict(x: np.ndarray) -> np.ndarray:
        if np.any(x < 0):
            raise ValueError("x must not be negative")
        return x**2

    report = check_backward(strict, lambda g, x: 2 * g * x, np.zeros(1))
    assert report.verdict == "cannot tell"
    assert report.reason.endswith("a little to the left (ValueError: x must not be negative)")


def test_an_array_for_a_cache_that_was_not_announced_is_asked_about():
    report = wrong(check_backward, lambda x: (x**2, x), lambda g, x: np.stack([x, x]), X)
    assert report.reason.endswith("x has (4,) (where the second output is a cache, say cache=True)")


def test_a_cache_that_backward_changes_in_place():
    def backward(g: np.ndarray, cache: list[np.ndarray]) -> np.ndarray:
        cache[0] *= 2
        return g * cache[0]

    report = wrong(check_backward, lambda x: (x**2, [x.copy()]), backward, X, cache=True)
    assert "backward changes its cache in place" in report.reason


def test_a_buffer_in_the_cache_may_be_overwritten():
    def backward(g: np.ndarray, cache: list[np.ndarray]) -> np.ndarray:
        x, buffer = cache
        np.multiply(g, 2 * x, out=buffer)
        return buffer.copy()

    assert check_backward(lambda x: (x**2, [x, np.empty_like(x)]), backward, X, cache=True)


def test_a_cotangent_that_is_not_used_is_told():
    report = wrong(check_backward, np.sin, lambda g, x: np.cos(x), X)
    assert report.reason.endswith("the gradient of x does not depend on the cotangent")
    assert "cotangent" not in wrong(check_backward, np.sin, lambda g, x: 0 * x, X).reason


def test_an_error_can_be_pickled_without_the_function():
    with pytest.raises(tn.testing.GradientError) as caught:
        check_backward(lambda x: 2 * x, lambda g, x: g, X)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value) and copy.report.wrong == caught.value.report.wrong
    assert copy.report.subject is None


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "forward": (lambda: check_backward(3, bell, X), "forward is int, expected a function"),
    "backward": (lambda: check_backward(bell, X), "backward is ndarray, expected a function"),
    "function": (lambda: check_gradients("sin", X), "function is str, expected a function"),
    "keywords": (
        lambda: check_backward(np.sum, lambda g, x, axis: 0 * x + g, X, axis=0),
        r"no option axis: .* functools.partial\(forward or backward, axis=\.\.\.\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str):
    call, message = REFUSED[case]
    with pytest.raises(TypeError, match=message):
        call()


def test_a_function_of_pytorch_is_sent_to_check_backward(torch: Any):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 3 * g * ctx.saved_tensors[0] ** 2

    for function in (torch.sin, Cube.apply, torch.nn.Linear(4, 2), lambda x: torch.sin(x)):
        with pytest.raises(TypeError, match=r"PyTorch's tensors is checked by check_backward"):
            check_gradients(function, X)

    def backward(g: Any, x: Any) -> Any:  # as the README has it
        x = x.detach().requires_grad_()
        return torch.autograd.grad(Cube.apply(x), x, g)

    report = check_backward(Cube.apply, backward, torch.tensor(X))
    assert str(report).startswith("gradient of Cube.apply: right")


# Kinks


def kinked(at_zero: float) -> Callable[..., np.ndarray]:
    return lambda g, x: g * np.where(x == 0, at_zero, np.sign(x))


@pytest.mark.parametrize("at_zero", [5.0, -5.0, 1e9])
def test_far_from_both_slopes_of_a_kink_is_wrong(at_zero: float):
    report = wrong(check_backward, np.abs, kinked(at_zero), np.array([0.0, 1.0]))
    assert [element.index for element in report.wrong] == [(0,)]
    g = abs(report.cotangents[0][0])
    assert f"the slope is {-g:.6g} on the left and {g:.6g} on the right" in str(report)


@pytest.mark.parametrize("at_zero", [-1.0, -0.5, 0.0, 1.0])
def test_between_the_slopes_of_a_kink_one_cannot_tell(at_zero: float):
    assert check_backward(np.abs, kinked(at_zero), np.array([0.0, 1.0])).verdict == "cannot tell"


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_each_rule_for_the_kinks_of_a_deep_net_is_allowed(at_zero: float):
    """At 0 without biases all its units are bent; what such rules give may be no slope of any side."""
    random = np.random.default_rng(0)
    weights = [random.normal(size=shape) for shape in ((3, 8), (8, 8), (8, 3))]

    def forward(x: np.ndarray) -> np.ndarray:
        for w in weights:
            x = np.maximum(x @ w, 0)
        return x

    def backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        bent = []
        for w in weights:
            bent.append(x @ w)
            x = np.maximum(bent[-1], 0)
        for w, z in zip(weights[::-1], bent[::-1], strict=True):
            g = (g * np.where(z == 0, at_zero, z > 0)) @ w.T
        return g

    assert check_backward(forward, backward, np.zeros((2, 3))).verdict == "cannot tell"


@pytest.mark.parametrize("at_zero", [0.0, 1.9])
def test_a_leaky_relu_of_two_relus_may_have_the_slope_of_none_or_both(at_zero: float):
    def leaky(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0) - 0.9 * np.maximum(-x, 0)

    report = check_backward(leaky, lambda g, x: g * np.where(x == 0, at_zero, np.where(x > 0, 1, 0.9)), np.zeros(2))
    assert report.verdict == "cannot tell"
