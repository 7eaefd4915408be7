"""Optimisers: the update itself. Whole trainings against PyTorch's are in test_nn."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

import tinynet as tn


def parameter(numbers=(1.0, 2.0), gradient=None):
    p = tn.Parameter(np.array(numbers))
    p.grad = None if gradient is None else tn.tensor(gradient)
    return p


@pytest.mark.parametrize("recorded", [False, True])
def test_sgd_goes_down_the_gradient(recorded):
    p, still = parameter(gradient=[10.0, -10.0]), parameter()
    with tn.record() if recorded else nullcontext():
        tn.optim.SGD([p, still], lr=0.1).step()
    np.testing.assert_array_equal(p.numpy(), [0.0, 3.0])
    np.testing.assert_array_equal(still.numpy(), [1.0, 2.0])
    assert p.requires_grad and p.node is None


def test_an_update_leaves_earlier_copies_alone():
    p = parameter(gradient=[1.0, 1.0])
    before = p.numpy()
    tn.optim.SGD([p], lr=1.0).step()
    np.testing.assert_array_equal(before, [1.0, 2.0])


@pytest.mark.parametrize("recorded", [False, True])
def test_float32_parameters_stay_float32(recorded):
    p = tn.Parameter(np.ones(2, dtype="float32"))
    p.grad = tn.tensor(np.ones(2, dtype="float32"))
    with tn.record() if recorded else nullcontext():
        tn.optim.SGD([p], lr=np.float64(0.1)).step()
    assert p.dtype == "float32"


def test_zero_grad_forgets():
    p = parameter(gradient=[1.0, 1.0])
    tn.optim.SGD([p], lr=1.0).zero_grad()
    assert p.grad is None


def test_messages():
    with pytest.raises(ValueError, match="no parameters"):
        tn.optim.SGD([], lr=0.1)
    with pytest.raises(ValueError, match="lr is -1, expected a learning rate of at least 0"):
        tn.optim.SGD([parameter()], lr=-1)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (200, 200)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_parameter_keeps_its_shape_and_dtype(shape, dtype):
    p = tn.Parameter(np.full(shape, 2.0, dtype))
    (p * p).sum().backward()
    tn.optim.SGD([p], lr=0.1).step()
    assert isinstance(p.data, np.ndarray) and (p.shape, p.dtype) == (shape, np.dtype(dtype))
    np.testing.assert_allclose(p.data, 1.6, rtol=1e-6)
