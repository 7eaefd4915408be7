"""A vanilla recurrent layer over a whole sequence."""

from __future__ import annotations

from typing import Any

from tinynet.backend import namespace
from tinynet.functional.kernels.recurrent import Rows, added, backwards, copied, fits, is_plain, last, through_rows
from tinynet.functional.kernels.workspace import Workspace, borrow


class Ahead(Workspace):
    """Rows [h | 1 | x]; one z for all time steps; and all h, which are computed faster where they lie together."""

    def __init__(self, xp: Any, steps: int, batch: int, inputs: int, units: int, bias: bool, dtype: Any):
        self.rows = Rows(xp, steps, batch, units, inputs, units, bias, dtype)
        self.states, self.z = xp.empty((steps, batch, units), dtype=dtype), xp.empty((batch, units), dtype=dtype)
        products = [row.dot for row in self.rows.rows[:-1]]  # as methods: half the time of xp.dot for small matrices
        self.steps = list(zip(products, self.states, self.rows.left[1:], strict=True))


class Back(Workspace):
    """dz: what arrives at h, times a slope that is known for all time steps at once and stands where dz will."""

    def __init__(self, xp: Any, steps: int, batch: int, units: int, dtype: Any):
        self.dz = xp.empty((steps, batch, units), dtype=dtype)
        self.flat = self.dz.reshape(steps * batch, units)
        self.steps = [(dz, dz.dot) for dz in self.dz][::-1]


def rnn_forward(x, h, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity, suffix, *order):
    if not is_plain(*order) or not fits(1, x, (h,), weight_ih, weight_hh, bias_ih, bias_hh):
        return None
    xp, bias = namespace(x), added(bias_ih, bias_hh)
    loan = borrow(Ahead, xp, *x.shape, h.shape[-1], bias is not None, x.dtype)
    ahead = loan.workspace
    ahead.rows.load(weight_hh, bias, weight_ih)
    ahead.rows.left[0], ahead.rows.right[:-1] = h, x
    tanh, maximum, weights, z = xp.tanh, xp.maximum, ahead.rows.product, ahead.z
    for product, state, place in ahead.steps:
        product(weights, z)
        if nonlinearity == "tanh":
            tanh(z, state)
        else:
            maximum(z, 0, out=state)
        place[...] = state
    states = copied(ahead.states)
    return (states, states[-1].copy()), loan


def rnn_backward(gs, saved, wanted, x, h, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity, *_):
    xp, ahead = namespace(*gs), saved.workspace
    loan = borrow(Back, xp, *ahead.states.shape, ahead.z.dtype)
    back = loan.workspace
    if nonlinearity == "tanh":
        xp.multiply(ahead.states, ahead.states, back.dz)
        xp.subtract(1, back.dz, back.dz)
    else:
        back.dz[...] = ahead.states > 0
    dh = last(xp, gs[1], ahead.z.shape, ahead.z.dtype)
    add, multiply = xp.add, xp.multiply
    for arriving, (dz, product) in zip(backwards(gs[0], len(back.steps)), back.steps, strict=True):
        if arriving is not None:
            add(dh, arriving, dh)
        multiply(dz, dh, dz)
        product(weight_hh, dh)
    dx, *parameters = through_rows(ahead.rows, back.flat, wanted[0], x, weight_ih, bias_ih, bias_hh)
    return dx, dh, *parameters
