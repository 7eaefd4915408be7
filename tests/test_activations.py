"""Activations: PyTorch's at ordinary, awkward and huge numbers, to any order; the error function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.pytorch import assert_agrees
from tinynet import functional as F
from tinynet import nn
from tinynet import primitives as P

# The same call of our module and of PyTorch's.
ACTIVATIONS = {
    "LeakyReLU": (),
    "LeakyReLU steep": (2.5,),
    "LeakyReLU downward": (-0.5,),
    "ELU": (),
    "ELU large": (1.7,),
    "GELU": (),
    "GELU tanh": ("tanh",),
    "Softplus": (),
    "Softplus sharp": (3.0, 5.0),
    "Tanh": (),
    "Sigmoid": (),
    "ReLU": (),
}
KINKS = [0.0, 5 / 3]  # where a branch ends: of most at 0, of the sharp softplus at 5 / 3
AWKWARD = [-1000.0, -700.0, -37.5, -5.0, -1e-8, -1e-300, 1e-300, 1e-8, 1.6, 1.7, 6.0, 19.0, 21.0, 700.0, 1000.0]
EACH = pytest.mark.parametrize("what", ACTIVATIONS)


def made(library, what):
    return getattr(library, what.split()[0])(*ACTIVATIONS[what])


@EACH
def test_activations_agree_with_pytorch(torch, what):
    assert_agrees(torch, made(nn, what), made(torch.nn, what), spread(3, 4))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert_agrees(torch, made(nn, what), made(torch.nn, what), np.array(AWKWARD))


@EACH
def test_at_a_kink_the_derivative_is_pytorchs(torch, what):
    """The first one: of the second, PyTorch itself takes it now from one side, now from the other."""
    mine, theirs = tn.tensor(KINKS, requires_grad=True), torch.tensor(KINKS, dtype=torch.float64, requires_grad=True)
    y, expected = made(nn, what)(mine), made(torch.nn, what)(theirs)
    y.sum().backward(), expected.sum().backward()
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy(), rtol=1e-14)


@EACH
def test_derivatives_match_finite_differences(what):
    assert tn.testing.check_gradients(made(nn, what), 3 * spread(3, 4), order=2)


@EACH
def test_derivatives_of_every_order_are_finite_at_huge_numbers(what):
    y = x = tn.tensor([-1000.0, -30.0, 0.0, 30.0, 1000.0], requires_grad=True)
    y = made(nn, what)(x)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for _ in range(4):
            assert np.isfinite(y.numpy()).all()
            if not y.requires_grad:
                break
            y = tn.grad(y.sum(), x, create_graph=True)


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (F.leaky_relu, 0.01),
        (lambda x: F.elu(x, 1.5), 1.5),
        (F.gelu, 0.5),
        (lambda x: F.gelu(x, "tanh"), 0.5),
        (F.softplus, 0.5),
        (lambda x: F.softplus(x, 4.0), 0.5),
    ],
)
def test_the_derivative_at_0(function, slope):
    x = tn.tensor(0.0, requires_grad=True)
    assert tn.grad(function(x), x).item() == slope


def test_softplus_is_the_number_itself_beyond_the_threshold():
    x = tn.tensor([4.9, 5.0, 5.1])
    y = F.softplus(x, beta=2.0, threshold=10.0).numpy()
    np.testing.assert_array_equal(y > x.numpy(), [True, True, False])


def test_recorded_they_are_named_after_what_they_came_from():
    names = ["leaky_relu", "elu", "gelu", "softplus"]
    for kind, name in zip((nn.LeakyReLU, nn.ELU, nn.GELU, nn.Softplus), names, strict=True):
        net = nn.Sequential({"hidden": nn.Linear(2, 3), "act": kind()})
        with tn.record() as run:
            net(tn.tensor(spread(1, 2)))
        assert run.names[-2:] == ["hidden.z", f"hidden.{name}"]


def test_messages():
    with pytest.raises(ValueError, match="approximate is 'erf', expected 'none' or 'tanh'"):
        F.gelu(tn.tensor(1.0), "erf")


# The error function

SEAMS = [s * (x + d) for s in (-1, 1) for x in (0.0, 0.46875, 0.5, 4.0, 6.0) for d in (-1e-9, 0.0, 1e-9)]


def test_erf_is_pythons_to_1e_15():
    x = np.array([*np.linspace(-7, 7, 2801), *SEAMS, *10.0 ** np.arange(-300, 300, 7), np.inf, -np.inf])
    expected = np.array([math.erf(number) for number in x])
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(P.erf(x), expected, rtol=1e-15, atol=0)


@given(st.floats(allow_nan=False))
def test_erf_is_odd_and_at_most_1(x):
    y = P.erf(np.array(x))
    assert abs(y) <= 1 and P.erf(np.array(-x)) == -y
    assert y == pytest.approx(math.erf(x), rel=1e-15)


def test_erf_of_no_number_is_none():
    assert np.isnan(P.erf(np.array(np.nan)))
