"""A student's LSTM in plain NumPy, its backward pass written by hand, property-tested. One line of it is wrong.

    pytest examples/checked_lstm.py --tinynet-export .

Hypothesis draws shapes and numbers, ``check_backward`` holds the gradients against numerical derivatives, and the test
fails. What fails is shrunk to the smallest case, here two time steps of one unit: one is not enough, so something is
wrong between the steps. The case lies in a workbook, the last line above the summary says where: the LSTM below, under
its own variables' names, as live formulas with the right backward pass, and on the sheet Yours its gradients beside the
right ones. Correct the line (or say FIXED=1 before the command), and the test passes.
"""

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tinynet.testing.strategies import arrays


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x, W, U, b):
    """x (T, N, I), W (4H, I), U (4H, H), b (4H,): gates stacked as i, f, g, o. Returns all h (T, N, H), and a cache."""
    T, N, H = len(x), x.shape[1], U.shape[1]
    hs, cache = np.zeros((T, N, H)), []
    h, c = np.zeros((N, H)), np.zeros((N, H))
    for t in range(T):
        z = x[t] @ W.T + h @ U.T + b
        i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 3 * H :])
        g = np.tanh(z[:, 2 * H : 3 * H])
        cache.append((x[t], h, c, i, f, g, o))
        c = f * c + i * g
        h = o * np.tanh(c)
        hs[t] = h
    return hs, (cache, W, U)


def backward(dhs, cache):
    """The gradients of x, W, U and b, from those of all h."""
    steps, W, U = cache
    dx, dW, dU, db = [], np.zeros_like(W), np.zeros_like(U), np.zeros(len(W))
    dh_next = dc_next = 0
    for (x, h, c_prev, i, f, g, o), dh in reversed(list(zip(steps, dhs, strict=True))):
        tanh_c = np.tanh(f * c_prev + i * g)
        dh = dh + dh_next
        dc = dh * o * (1 - tanh_c**2) + dc_next
        dz = np.concatenate(
            [dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)], axis=1
        )
        dx.insert(0, dz @ W)
        dW, dU, db = dW + dz.T @ x, dU + dz.T @ h, db + dz.sum(axis=0)
        dh_next = dz @ U
        dc_next = dc * f if os.environ.get("FIXED") else dc
    return np.stack(dx), dW, dU, db


@st.composite
def cases(draw):
    """x, W, U and b of any small sizes."""
    T, N, I, H = (draw(st.integers(1, largest)) for largest in (4, 3, 3, 3))
    return [draw(arrays(shape)) for shape in ((T, N, I), (4 * H, I), (4 * H, H), (4 * H,))]


@given(cases())
@settings(deadline=None, max_examples=50)
def test_the_backward_pass_is_the_derivative_of_the_forward_pass(case):
    assert tn.testing.check_backward(forward, backward, *case, cache=True)
