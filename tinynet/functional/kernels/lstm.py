"""A long short-term memory layer over a whole sequence.

σ(z) = (1 + tanh(z/2)) / 2, so that one tanh serves all four gates: i, f, g, o.
"""

from __future__ import annotations

from typing import Any

from tinynet.backend import namespace
from tinynet.functional.kernels.recurrent import Rows, added, backwards, parted
from tinynet.functional.kernels.workspace import Workspace, borrow


class Ahead(Workspace):
    """Rows [h | 1 | x] and all gates. ``scale`` and ``shift`` are as large as gates: to stretch them takes longer."""

    def __init__(self, xp: Any, steps: int, batch: int, inputs: int, units: int, bias: bool, dtype: Any):
        self.rows = Rows(xp, steps, batch, units, inputs, 4 * units, bias, dtype)
        self.scale = xp.full((batch, 4 * units), 0.5, dtype=dtype)
        self.scale[:, 2 * units : 3 * units] = 1
        self.shift = 1 - self.scale
        self.gates = xp.empty((steps, batch, 4 * units), dtype=dtype)
        self.i, self.f, self.g, self.o = (self.gates[:, :, k * units : (k + 1) * units] for k in range(4))
        self.cells = xp.empty((steps + 1, batch, units), dtype=dtype)
        self.tanh_c, self.new = xp.empty((steps, batch, units), dtype=dtype), xp.empty((batch, units), dtype=dtype)
        self.states = self.rows.left[1:]
        gates = (self.gates, self.i, self.f, self.g, self.o)
        states = (self.cells[:-1], self.cells[1:], self.tanh_c, self.states)
        self.steps = list(zip(self.rows.rows[:-1], *gates, *states, strict=True))


class Back(Workspace):
    """dz: what arrives at c and at h, times factors that are known for all time steps and stand where dz will.

    Side by side: what c sends to the c before it, then dz of i, f and g, all from c, and dz of o, from h.
    """

    def __init__(self, xp: Any, steps: int, batch: int, units: int, dtype: Any):
        self.weight = xp.empty((4 * units, units), dtype=dtype, order="F")  # which BLAS is quicker with
        self.dc = xp.empty((batch, 1, units), dtype=dtype)
        self.h_to_c = xp.empty((steps, batch, units), dtype=dtype)
        self.parts = xp.empty((steps + 1, batch, 5, units), dtype=dtype)
        side_by_side = self.parts.reshape(steps + 1, batch, 5 * units)
        self.dz = side_by_side[:-1, :, units:]
        self.flat = side_by_side.reshape(-1, 5 * units)[: steps * batch, units:]
        of_next, of_c, of_o = self.parts[1:, :, 0], self.parts[:-1, :, :4], self.parts[:-1, :, 4]
        self.steps = list(zip(self.h_to_c, of_next, of_c, of_o, self.dz, strict=True))[::-1]

    def load(self, xp: Any, ahead: Ahead, dc: Any) -> None:
        """The factors, and what arrives at the last c from outside."""
        self.parts[-1, :, 0] = dc
        c, i, f, g, o = (self.parts[:-1, :, k] for k in range(5))
        xp.subtract(1, ahead.gates, self.dz)
        xp.multiply(ahead.gates, self.dz, self.dz)
        xp.multiply(ahead.g, ahead.g, g)
        xp.subtract(1, g, g)
        for factor, other in ((i, ahead.g), (f, ahead.cells[:-1]), (g, ahead.i), (o, ahead.tanh_c)):
            xp.multiply(factor, other, factor)
        c[...] = ahead.f
        xp.multiply(ahead.tanh_c, ahead.tanh_c, self.h_to_c)
        xp.subtract(1, self.h_to_c, self.h_to_c)
        xp.multiply(self.h_to_c, ahead.o, self.h_to_c)


def lstm_forward(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, *_):
    """All h, then the last c: (T + 1, N, H)."""
    xp, bias = namespace(x), added(bias_ih, bias_hh)
    dtype = xp.result_type(x, h, c, weight_ih, weight_hh)
    loan = borrow(Ahead, xp, *x.shape, h.shape[-1], bias is not None, dtype)
    ahead = loan.workspace
    ahead.rows.load(weight_hh, bias, weight_ih)
    ahead.rows.weights *= ahead.scale[:1].T
    ahead.rows.left[0], ahead.rows.right[:-1], ahead.cells[0] = h, x, c
    dot, tanh, multiply, add = xp.dot, xp.tanh, xp.multiply, xp.add
    weights, scale, shift, new = ahead.rows.product, ahead.scale, ahead.shift, ahead.new
    for row, gates, i, f, g, o, c_before, c_after, tanh_c, state in ahead.steps:
        dot(row, weights, gates)
        tanh(gates, gates)
        multiply(gates, scale, gates)
        add(gates, shift, gates)
        multiply(f, c_before, c_after)
        multiply(i, g, new)
        add(c_after, new, c_after)
        tanh(c_after, tanh_c)
        multiply(o, tanh_c, state)
    result = xp.empty(ahead.cells.shape, dtype=dtype)
    result[:-1], result[-1] = ahead.states, ahead.cells[-1]
    return result, loan


def lstm_backward(g, saved, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, *_):
    xp, ahead = namespace(g), saved.workspace
    loan = borrow(Back, xp, *ahead.tanh_c.shape, ahead.cells.dtype)
    back = loan.workspace
    back.load(xp, ahead, g[-1])
    back.weight[...] = weight_hh
    dh, dc, flat_dc, weight = xp.zeros_like(ahead.new), back.dc, back.dc[:, 0], back.weight
    add, multiply, dot = xp.add, xp.multiply, xp.dot
    for arriving, (h_to_c, of_next, of_c, of_o, dz) in zip(backwards(g[:-1]), back.steps, strict=True):
        if arriving is not None:
            add(dh, arriving, dh)
        multiply(h_to_c, dh, h_to_c)
        add(of_next, h_to_c, flat_dc)
        multiply(of_c, dc, of_c)
        multiply(of_o, dh, of_o)
        dot(dz, weight, dh)

    def dx():
        return (loan.workspace.flat @ weight_ih).reshape(x.shape)

    d_weight_hh, d_bias, d_weight_ih = ahead.rows.gradients(back.flat)
    return dx, dh, back.parts[0, :, 0].copy(), d_weight_ih, d_weight_hh, *parted(d_bias, bias_ih, bias_hh)
