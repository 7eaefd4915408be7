"""A long short-term memory layer over a whole sequence.

σ(z) = (1 + tanh(z/2)) / 2, so that one tanh serves all four gates: i, f, g, o.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from tinynet.backend import namespace
from tinynet.functional.kernels.recurrent import Rows, added, backwards, parted
from tinynet.functional.kernels.workspace import Workspace, borrow

BLOCK = 2**20  # bytes of factors that are computed together: they stay in the processor's cache till they are used


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
        self.keep = list(self.f)[::-1]


class Back(Workspace):
    """dz: what arrives at c (for i, f and g) and at h (for o), times factors that stand where dz will.

    The factors are known beforehand, so that they are computed for many time steps at once, a block.
    """

    def __init__(self, xp: Any, steps: int, batch: int, units: int, dtype: Any):
        self.weight = xp.empty((4 * units, units), dtype=dtype, order="F")  # which BLAS is quicker with
        self.h_to_c, self.new = xp.empty((steps, batch, units), dtype=dtype), xp.empty((batch, units), dtype=dtype)
        self.dz = xp.empty((steps, batch, 4 * units), dtype=dtype)
        self.flat = self.dz.reshape(steps * batch, 4 * units)
        self.parts = self.dz.reshape(steps, batch, 4, units)
        self.steps = list(zip(self.h_to_c, self.parts[:, :, :3], self.parts[:, :, 3], self.dz, strict=True))[::-1]
        size = max(BLOCK // max(self.dz[0].nbytes, 1), 1)
        self.blocks = [slice(max(stop - size, 0), stop) for stop in range(steps, 0, -size)]

    def load(self, xp: Any, ahead: Ahead, steps: slice) -> None:
        """The factors of a block."""
        gates, dz, tanh_c, h_to_c = ahead.gates[steps], self.dz[steps], ahead.tanh_c[steps], self.h_to_c[steps]
        i, f, g, o = (self.parts[steps, :, k] for k in range(4))
        xp.subtract(1, gates, dz)
        xp.multiply(gates, dz, dz)
        xp.multiply(ahead.g[steps], ahead.g[steps], g)
        xp.subtract(1, g, g)
        for factor, other in ((i, ahead.g[steps]), (f, ahead.cells[steps]), (g, ahead.i[steps]), (o, tanh_c)):
            xp.multiply(factor, other, factor)
        xp.multiply(tanh_c, tanh_c, h_to_c)
        xp.subtract(1, h_to_c, h_to_c)
        xp.multiply(h_to_c, ahead.o[steps], h_to_c)


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
    loan = borrow(Back, xp, *ahead.tanh_c.shape, ahead.new.dtype)
    back = loan.workspace
    back.weight[...] = weight_hh
    dh, dc = xp.zeros_like(ahead.new), xp.empty_like(ahead.new)
    dc[...] = g[-1]
    stretched, weight, new = dc[:, None], back.weight, back.new
    add, multiply, dot = xp.add, xp.multiply, xp.dot
    steps = zip(backwards(g[:-1]), ahead.keep, back.steps, strict=True)
    for block in back.blocks:
        back.load(xp, ahead, block)
        for arriving, f, (h_to_c, of_c, of_h, dz) in islice(steps, block.stop - block.start):
            if arriving is not None:
                add(dh, arriving, dh)
            multiply(dh, h_to_c, new)
            add(dc, new, dc)
            multiply(of_c, stretched, of_c)
            multiply(of_h, dh, of_h)
            multiply(dc, f, dc)
            dot(dz, weight, dh)

    def dx():
        return (loan.workspace.flat @ weight_ih).reshape(x.shape)

    d_weight_hh, d_bias, d_weight_ih = ahead.rows.gradients(back.flat)
    return dx, dh, dc, d_weight_ih, d_weight_hh, *parted(d_bias, bias_ih, bias_hh)
