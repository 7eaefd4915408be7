"""What a composite and its kernel agree on: which cotangents are wanted, several outputs, calls that are not for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tinynet.functional.composite import composite
from tinynet.functional.kernels import sums

asked: list[list[bool]] = []


def both_forward(x, y):
    if x.shape != y.shape:
        return None
    return (x * y, x + y, x - y), (x, y)


def both_backward(gs, saved, wanted, *arrays):
    """It returns all, whatever is wanted."""
    asked.append(wanted)
    x, y = saved
    product, total, difference = (np.zeros_like(x) if g is None else g for g in gs)
    return product * y + total + difference, product * x + total - difference


@composite(both_forward, both_backward)
def both(x: Any, y: Any) -> Any:
    return x * y, x + y, x - y


def leaves() -> tuple[tn.Tensor, tn.Tensor]:
    return tuple(tn.tensor(spread(3, seed=k), requires_grad=True) for k in range(2))


def loss(outputs: Any, places: Any) -> Any:
    """A sum of squares in which the outputs meet each other, and themselves."""
    chosen = [outputs[place] for place in places]
    total = chosen[0] * 1.5
    for k, output in enumerate(chosen[1:]):
        total = total * output + k * output
    return (total * total).sum()


PLACES = [(0,), (1,), (2,), (0, 1), (2, 0), (1, 1), (2, 1, 0), (0, 2, 0)]
several = pytest.mark.parametrize("places", PLACES, ids=str)


@several
def test_outputs_used_in_any_way_send_what_the_definition_sends(places):
    def first(function: Any) -> list[np.ndarray]:
        xs = leaves()
        return [g.numpy() for g in tn.grad(loss(function(*xs), places), xs)]

    np.testing.assert_allclose(first(both), first(both.definition), rtol=1e-12)


@several
def test_outputs_are_differentiated_twice(places):
    def second(function: Any) -> list[np.ndarray]:
        xs = leaves()
        first = tn.grad(loss(function(*xs), places), xs, create_graph=True)
        return [g.numpy() for g in tn.grad((first[0] * first[1]).sum(), xs)]

    np.testing.assert_allclose(second(both), second(both.definition), rtol=1e-12)


@several
def test_a_backward_pass_is_recorded_though_the_forward_pass_was_not(places):
    xs = leaves()
    total = loss(both(*xs), places)
    with tn.record():
        total.backward()
    expected = tn.grad(loss(both.definition(*(again := leaves())), places), again)
    for x, g in zip(xs, expected, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), g.numpy(), rtol=1e-12)


def test_an_output_may_be_what_is_differentiated_for():
    outputs = both(*(xs := leaves()))
    found = tn.grad(loss(outputs, (0, 2)), [*outputs[:2], *xs])
    np.testing.assert_allclose(found[0].numpy(), 4.5 * outputs[0].numpy() * outputs[2].numpy() ** 2)
    np.testing.assert_array_equal(found[1].numpy(), 0)
    for g, other in zip(found[2:], tn.grad(loss(both(*xs), (0, 2)), xs), strict=True):
        np.testing.assert_array_equal(g.numpy(), other.numpy())


def test_a_cotangent_that_nobody_wants_goes_nowhere():
    x, y = leaves()
    y = tn.tensor(y.numpy())
    asked.clear()
    loss(both(x, y), (0, 1)).backward()
    assert asked == [[True, False]]
    assert x.grad is not None and y.grad is None


def test_what_is_wanted_is_settled_when_an_operation_runs():
    """As in PyTorch: for a kernel and for a primitive alike."""
    for function in (both, both.definition):
        x, y = leaves()
        y.requires_grad = False
        total = loss(function(x, y), (0,))
        x.requires_grad, y.requires_grad = False, True
        total.backward()
        assert x.grad is not None and y.grad is None


def test_a_tensor_that_is_there_twice_gets_both_cotangents():
    x = leaves()[0]
    loss(both(x, x), (0,)).backward()
    np.testing.assert_allclose(x.grad.numpy(), 9 * x.numpy() ** 3)
    (g,) = tn.grad(loss(both(x, x), (0,)), [x], create_graph=True)
    np.testing.assert_allclose(g.numpy(), 9 * x.numpy() ** 3)
    x.grad, total = None, loss(both(x, x), (0,))
    with tn.record():
        total.backward()
    np.testing.assert_allclose(x.grad.numpy(), 9 * x.numpy() ** 3)


def test_a_call_that_the_kernel_cannot_do_is_for_the_definition():
    x, y = leaves()
    product, *_ = both(x, y[:1])
    np.testing.assert_array_equal(product.numpy(), x.numpy() * y.numpy()[:1])
    product.sum().backward()
    assert y.grad.shape == y.shape


def test_a_backward_pass_that_fails_leaves_nothing_behind():
    def fails(g, saved, wanted, x):
        raise FloatingPointError

    @composite(lambda x: (x * 1, None), fails)
    def same(x: Any) -> Any:
        return x * 1

    x, y = leaves()
    product = both(x, y)[0]
    with pytest.raises(FloatingPointError):
        (product * same(x)).sum().backward()
    assert x.grad is None and y.grad is None
    product.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["float64", "float32"]), st.sampled_from("CFS"))
def test_sums_are_products_with_ones(rows, columns, dtype, order):
    x = spread(rows, 2 * columns).astype(dtype)
    x = x[:, ::2] if order == "S" else np.asarray(x[:, :columns], order=order)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for found, axis in ((sums.of_columns(x), 0), (sums.of_rows(x), 1)):
        assert found.dtype == x.dtype
        np.testing.assert_allclose(found, x.sum(axis), rtol=tolerance, atol=tolerance)


def test_sums_of_very_many_numbers():
    x = np.ones((sums.LARGE + 1, 2))
    np.testing.assert_array_equal(sums.of_columns(x), sums.LARGE + 1)
    np.testing.assert_array_equal(sums.of_rows(x.T), sums.LARGE + 1)
