"""backward, grad and no_grad: accumulation, order, higher derivatives and messages."""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import functional as F


def leaf(numbers):
    return tn.tensor(numbers, requires_grad=True)


def test_gradients_accumulate_over_backward_calls():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 8.0])


def test_backward_twice_through_one_graph_accumulates():
    x = leaf(3.0)
    y = x * x
    y.backward()
    y.backward()
    assert x.grad.item() == 12.0


def test_a_new_gradient_does_not_change_one_that_was_kept():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    kept = x.grad
    (x * x).sum().backward()
    np.testing.assert_array_equal(kept.numpy(), [2.0, 4.0])


@pytest.mark.parametrize("recorded", [False, True])
def test_a_gradient_is_an_array_of_its_own(recorded):
    """An addition sends one array to both operands; scaling one gradient in place must not scale the other."""
    x, y, gradient = leaf(np.ones(2)), leaf(np.ones(2)), tn.tensor([1.0, 2.0])
    with tn.record() if recorded else nullcontext():
        (x + y).backward(gradient)
    x.grad.numpy()[:] *= 10
    np.testing.assert_array_equal(y.grad.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(gradient.numpy(), [1.0, 2.0])


def test_a_tensor_used_many_times_gets_the_sum():
    x = leaf(2.0)
    y = x * x
    (y * y + y + x).backward()
    assert x.grad.item() == 4 * 2.0**3 + 2 * 2.0 + 1


def test_an_operand_used_twice_in_one_operation_counts_twice():
    x = leaf([1.0, -2.0])
    (x * x + x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, -3.0])


def test_broadcasting_is_undone_in_the_gradient():
    row, column, number = leaf(np.ones(4)), leaf(np.ones((3, 1))), leaf(1.0)
    (row * column * number).sum().backward()
    np.testing.assert_array_equal(row.grad.numpy(), [3.0] * 4)
    np.testing.assert_array_equal(column.grad.numpy(), [[4.0]] * 3)
    assert number.grad.item() == 12.0 and number.grad.shape == ()


def test_grad_returns_without_touching_the_attribute():
    x = leaf([1.0, 2.0])
    np.testing.assert_array_equal(tn.grad((x * x).sum(), x).numpy(), [2.0, 4.0])
    assert x.grad is None


@pytest.mark.parametrize("recorded", [False, True])
def test_what_grad_returns_can_be_changed(recorded):
    x, y = leaf(np.ones(2)), leaf(np.ones(2))
    with tn.record() if recorded else nullcontext():
        z = (x + y).sum()
        grads = tn.grad(z, (x, y, z))
    for g in grads:
        g.numpy()[...] *= 10
    assert [g.numpy().max() for g in (*grads, *tn.grad(z, (x, y, z)))] == [10, 10, 10, 1, 1, 1]


def test_grad_gives_a_tensor_for_a_tensor_and_a_tuple_for_a_sequence():
    x, y = leaf(2.0), leaf(5.0)
    z = x * y
    assert tn.grad(z, x).item() == 5.0
    assert [g.item() for g in tn.grad(z, [x, y, x])] == [5.0, 2.0, 5.0]


def test_grad_of_an_intermediate_and_of_what_it_was_computed_from():
    x = leaf(2.0)
    y = x * x
    z = y * x
    assert [g.item() for g in tn.grad(z, (y, x, z))] == [2.0, 12.0, 1.0]


def test_grad_of_something_else_is_zero():
    x, other = leaf(2.0), leaf([1.0, 2.0])
    np.testing.assert_array_equal(tn.grad(x * x, other).numpy(), [0.0, 0.0])


def test_derivatives_of_any_order():
    x = leaf(0.3)
    y, expected = x.exp() * x, 0.3
    for order in range(1, 7):
        y = tn.grad(y, x, create_graph=True)
        expected = (0.3 + order) * math.exp(0.3)
        assert y.item() == pytest.approx(expected, rel=1e-14)


def test_a_hessian_matches_pytorch(torch):
    numbers = spread(4)

    def function(x):
        return ((x**3).sum() * (x * 2).tanh().sum()).exp()

    x = leaf(numbers)
    gradient = tn.grad(function(x), x, create_graph=True)
    hessian = [tn.grad(gradient[i], x).numpy() for i in range(4)]
    expected = torch.autograd.functional.hessian(function, torch.tensor(numbers))
    np.testing.assert_allclose(hessian, expected.numpy(), rtol=1e-12, atol=1e-12)


def test_a_gradient_without_create_graph_has_no_history():
    x = leaf(2.0)
    assert not tn.grad(x * x, x).requires_grad
    assert tn.grad(x * x, x, create_graph=True).requires_grad


def test_no_grad_leaves_no_history_and_ends():
    x = leaf(2.0)
    with tn.no_grad():
        assert not (x * x).requires_grad
    assert (x * x).requires_grad


def test_no_grad_ends_after_an_error():
    with pytest.raises(ZeroDivisionError), tn.no_grad():
        raise ZeroDivisionError
    assert (leaf(2.0) * 2).requires_grad


def test_detach_stops_the_gradient_and_shares_the_numbers():
    x = leaf([1.0, 2.0])
    (x * x.detach()).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 2.0])
    assert x.detach().numpy() is x.numpy() and not x.detach().requires_grad


def test_backward_with_a_gradient_weighs_the_outputs():
    for gradient in ([1, 10], np.array([1.0, 10.0]), tn.tensor([1.0, 10.0])):
        x = leaf([1.0, 2.0])
        (x * x).backward(gradient)
        np.testing.assert_array_equal(x.grad.numpy(), [2.0, 40.0])


def test_a_gradient_of_another_dtype_does_not_change_the_dtype():
    x = tn.tensor(np.ones(2, dtype="float32"), requires_grad=True)
    (x + x).backward(np.ones(2))
    assert x.grad.dtype == "float32"


def test_only_leaves_that_require_a_gradient_get_one():
    x, fixed = leaf([1.0]), tn.tensor([2.0])
    y = x * fixed
    y.sum().backward()
    assert fixed.grad is None and y.grad is None and x.grad is not None


def test_constant_arrays_and_numbers_take_part():
    x = leaf([1.0, 2.0])
    (np.array([3.0, 4.0]) * x - np.float64(2) * x + [1.0, 1.0] * x @ np.eye(2)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 3.0])


def test_a_chain_of_any_length_needs_no_recursion():
    x = y = leaf(1.0)
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1.0


def test_a_diamond_ladder_takes_linear_time():
    x = y = leaf(1.0)
    for _ in range(60):  # 2**60 paths
        y = (y + y) * 0.5
    y.backward()
    assert x.grad.item() == 1.0


def test_messages():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match="only a single number has an implied gradient of 1"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), expected .* \(2,\)"):
        (x * x).backward(np.ones(3))
    with pytest.raises(ValueError, match="no history to differentiate"):
        tn.tensor(1.0).backward()
    with pytest.raises(ValueError, match="no history to differentiate"):
        x.detach().sum().backward()
    with pytest.raises(ValueError, match=r"xs\[1\] does not require a gradient"):
        tn.grad(x.sum(), [x, tn.tensor(1.0)])


@pytest.mark.parametrize("product", ["matmul", "linear", "multiply"])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_second_loss_is_differentiated_at_the_numbers_of_its_forward_pass(product, recorded):
    """Though an optimiser has replaced them in between, recorded or not."""
    x = tn.tensor([[1.0, 1.0]])
    w, v = tn.Parameter(np.array([[1.0, 2.0], [3.0, 4.0]])), tn.Parameter(np.array([[1.0, 3.0], [2.0, 4.0]]))
    operation = {"matmul": lambda a, b: a @ b, "linear": F.linear, "multiply": lambda a, b: a * b}[product]

    def loss():
        return operation(operation(x, w), v).sum()

    expected = tn.grad(2 * loss(), (w, v))
    optimizer = tn.optim.SGD([w, v], lr=0.1)
    with tn.record() if recorded else nullcontext():
        first, second = loss(), 2 * loss()
        first.backward()
        optimizer.step()
        optimizer.zero_grad()
        second.backward()
    for p, g in zip((w, v), expected, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), g.numpy())


def test_numbers_that_were_replaced_cannot_be_differentiated_twice():
    w = tn.Parameter(np.array([[1.0, 2.0]]), name="w")
    y = F.linear(w, w).sum()
    w.data = w.data + 1
    with pytest.raises(RuntimeError, match=r"w of shape .* between forward and backward"):
        tn.grad(y, w, create_graph=True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_of_tensors_have_gradients_of_their_own(copied):
    """They share the order of the operation that made them."""
    x = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 2
    z = copied(y)
    (y * z).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [8, 16, 24] if copied is copy.copy else [4, 8, 12])


def test_copies_of_one_of_several_outputs_have_gradients_of_their_own():
    rng = np.random.default_rng(0)
    weights = [tn.tensor(rng.normal(size=s), requires_grad=True) for s in ((12, 2), (12, 3), (12,), (12,))]
    x = tn.tensor(rng.normal(size=(3, 2, 2)), requires_grad=True)
    zero = tn.tensor(np.zeros((2, 3)))

    def gradient(with_copies):
        x.grad = None
        _, h, c = F.lstm(x, zero, zero, *weights)
        other_h, _ = copy.deepcopy((h, c))
        (c.sum() + (3 * other_h.sum() if with_copies else 0)).backward()
        return x.grad.numpy()

    np.testing.assert_array_equal(gradient(True), gradient(False))
    _, _, c = F.lstm(x, zero, zero, *weights)
    (twice,) = tn.grad((c * copy.copy(c)).sum(), (x,))
    _, _, c = F.lstm(x, zero, zero, *weights)
    (square,) = tn.grad((c * c).sum(), (x,))
    np.testing.assert_allclose(twice.numpy(), square.numpy(), rtol=1e-12)
