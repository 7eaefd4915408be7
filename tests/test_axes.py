"""Axes and sizes as arguments: counted from either end, in any integer type, and checked by name."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import functional as F

X = spread(2, 3)

OUT_OF_RANGE = {
    "unsqueeze": (lambda x: x.unsqueeze(9), 9),
    "squeeze": (lambda x: x.squeeze(9), 9),
    "flatten": (lambda x: F.flatten(x, 5), 5),
    "flatten, end": (lambda x: F.flatten(x, 0, 2), 2),
    "gather": (lambda x: F.gather(x, 7, tn.tensor([[0], [1]])), 7),
    "transpose": (lambda x: x.transpose(0, 5), 5),
    "permute": (lambda x: x.permute(0, 2), 2),
    "sum": (lambda x: x.sum(-3), -3),
    "sum of several": (lambda x: x.sum((0, 2)), 2),
    "mean": (lambda x: x.mean(5), 5),
    "max": (lambda x: x.max(2), 2),
    "min": (lambda x: x.min(2), 2),
    "flip": (lambda x: F.flip(x, 2), 2),
    "cat": (lambda x: F.cat([x, x], 2), 2),
    "stack": (lambda x: F.stack([x, x], 3), 3),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_a_dim_that_is_not_there_is_named(case):
    function, dim = OUT_OF_RANGE[case]
    with pytest.raises(IndexError, match=re.escape(f"dim {dim} is out of range for shape (2, 3)")):
        function(tn.tensor(X))


REFUSED = {
    "no integer": (lambda x: x.sum(0.5), TypeError, "expected an integer for a size or dim, got float 0.5"),
    "no size": (lambda x: x.reshape(2.0, 3), TypeError, "expected an integer for a size or dim, got float 2.0"),
    "twice": (lambda x: x.sum((0, -2)), ValueError, "dims (0, -2) name an axis of shape (2, 3) twice"),
    "permute": (lambda x: x.permute(0, 0), ValueError, "permute got (0, 0) for shape (2, 3): expected all 2 of its"),
    "backwards": (lambda x: F.flatten(x, 1, 0), ValueError, "start_dim 1 comes after end_dim 0 in shape (2, 3)"),
    "no tensors": (lambda x: F.cat([]), ValueError, "cat got no tensors"),
    "none to stack": (lambda x: F.stack([]), ValueError, "cat got no tensors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_dim_is_refused(case):
    function, error, message = REFUSED[case]
    with pytest.raises(error, match=re.escape(message)):
        function(tn.tensor(X))


def test_sizes_and_dims_are_given_one_by_one_or_together_in_any_integer_type():
    x, one = tn.tensor(X), np.int64(1)
    for order in ((1, 0), [1, 0], (one, np.int8(0))):
        np.testing.assert_array_equal(x.permute(order).numpy(), X.T)
        np.testing.assert_array_equal(x.permute(*order).numpy(), X.T)
    assert x.reshape(np.int64(6)).shape == x.reshape([6]).shape == x.reshape((-1,)).shape == (6,)
    assert x.expand(np.int64(4), 2, 3).shape == x.expand((4, -1, -1)).shape == (4, 2, 3)
    for dims in ([0, 1], (0, -1), (np.int64(0), one)):
        np.testing.assert_allclose(x.sum(dims).item(), X.sum())
        np.testing.assert_allclose(F.mean(x, dims).item(), X.mean())
    np.testing.assert_allclose(x.max(one).numpy(), X.max(1))
    np.testing.assert_array_equal(F.flip(x, [0, -1]).numpy(), X[::-1, ::-1])


def test_a_single_number_is_flattened_to_a_vector():
    assert F.flatten(tn.tensor(1.0)).shape == (1,)
