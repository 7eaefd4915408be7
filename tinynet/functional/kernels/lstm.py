"""A long short-term memory layer over a whole sequence.

σ(z) = (1 + tanh(z/2)) / 2, so that one tanh serves all four gates: i, f, g, o.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from tinynet.backend import namespace
from tinynet.functional.kernels.recurrent import Rows, added, backwards, copied, fits, is_plain, last, through_rows
from tinynet.functional.kernels.workspace import Workspace, borrow

BLOCK = 2**20  # bytes of factors that are computed at once: they stay in the processor's cache till they are used


class Ahead(Workspace):
    """Rows [h | 1 | x] and all gates. ``scale`` and ``shift`` are as large as gates: to stretch them takes longer."""

    def __init__(self, xp: Any, steps: int, batch: int, inputs: int, units: int, bias: bool, dtype: Any):
        self.rows = Rows(xp, steps, batch, units, inputs, 4 * units, bias, dtype)
        self.scale = xp.full((batch, 4 * units), 0.5, dtype=dtype)
        self.scale[:, 2 * units : 3 * units] = 1
        self.shift = 1 - self.scale
        self.gates = xp.empty((steps, batch, 4 * units), dtype=dtype)
        self.by_gate = self.gates.reshape(steps, batch, 4, units).transpose(2, 0, 1, 3)
        self.cells = xp.empty((steps + 1, batch, units), dtype=dtype)
        self.tanh_c, self.new = xp.empty((steps, batch, units), dtype=dtype), xp.empty((batch, units), dtype=dtype)
        self.states = self.rows.left[1:]
        gates = (self.gates, *self.by_gate)
        states = (self.cells[:-1], self.cells[1:], self.tanh_c, self.states)
        products = [row.dot for row in self.rows.rows[:-1]]  # as methods: half the time of xp.dot for small matrices
        self.steps = list(zip(products, *gates, *states, strict=True))


class Back(Workspace):
    """dz: what arrives at c (for i, f and g) and at h (for o), times factors that are known beforehand.

    They are computed for many time steps at once, a block, the numbers of each gate together.
    """

    def __init__(self, xp: Any, steps: int, batch: int, units: int, dtype: Any):
        self.weight = xp.empty((4 * units, units), dtype=dtype, order="F")  # which BLAS is quicker with
        self.dz, self.new = xp.empty((steps, batch, 4 * units), dtype=dtype), xp.empty((batch, units), dtype=dtype)
        self.flat = self.dz.reshape(steps * batch, 4 * units)
        size = min(max(BLOCK // max(self.dz[0].nbytes, 1), 1), steps)
        self.gates, self.factors = (xp.empty((4, size, batch, units), dtype=dtype) for _ in range(2))
        self.h_to_c = xp.empty((size, batch, units), dtype=dtype)
        self.blocks = [slice(max(stop - size, 0), stop) for stop in range(steps, 0, -size)]
        self.steps = [self._step(t - block.start, t) for block in self.blocks for t in range(steps)[block][::-1]]

    def _step(self, k: int, t: int) -> tuple:
        """The views for time step t, the k-th of its block."""
        parts, of_c = self.dz[t].reshape(len(self.new), 4, -1), self.factors[:3, k].transpose(1, 0, 2)
        return self.h_to_c[k], of_c, parts[:, :3], self.factors[3, k], parts[:, 3], self.gates[1, k], self.dz[t].dot

    def load(self, xp: Any, ahead: Ahead, block: slice) -> None:
        """The factors of a block."""
        size = block.stop - block.start
        gates, factors, h_to_c = self.gates[:, :size], self.factors[:, :size], self.h_to_c[:size]
        gates[...], tanh_c = ahead.by_gate[:, block], ahead.tanh_c[block]
        i, _, g, o = gates
        xp.subtract(1, gates, factors)
        xp.multiply(gates, factors, factors)
        xp.multiply(g, g, factors[2])
        xp.subtract(1, factors[2], factors[2])
        for factor, other in zip(factors, (g, ahead.cells[block], i, tanh_c), strict=True):
            xp.multiply(factor, other, factor)
        xp.multiply(tanh_c, tanh_c, h_to_c)
        xp.subtract(1, h_to_c, h_to_c)
        xp.multiply(h_to_c, o, h_to_c)


def lstm_forward(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, suffix, *options):
    """All h (T, N, H), the last h and the last c."""
    if not _is_usual(*options[:4]) or not is_plain(*options[4:]):
        return None
    if not fits(4, x, (h, c), weight_ih, weight_hh, bias_ih, bias_hh):
        return None
    xp, bias = namespace(x), added(bias_ih, bias_hh)
    loan = borrow(Ahead, xp, *x.shape, h.shape[-1], bias is not None, x.dtype)
    ahead = loan.workspace
    ahead.rows.load(weight_hh, bias, weight_ih)
    ahead.rows.weights *= ahead.scale[:1].T
    ahead.rows.left[0], ahead.rows.right[:-1], ahead.cells[0] = h, x, c
    tanh, multiply, add = xp.tanh, xp.multiply, xp.add
    weights, scale, shift, new = ahead.rows.product, ahead.scale, ahead.shift, ahead.new
    for product, gates, i, f, g, o, c_before, c_after, tanh_c, state in ahead.steps:
        product(weights, gates)
        tanh(gates, gates)
        multiply(gates, scale, gates)
        add(gates, shift, gates)
        multiply(f, c_before, c_after)
        multiply(i, g, new)
        add(c_after, new, c_after)
        tanh(c_after, tanh_c)
        multiply(o, tanh_c, state)
    states = copied(ahead.states)
    return (states, states[-1].copy(), ahead.cells[-1].copy()), loan


def _is_usual(projection, peepholes, coupled, cell_clip):
    """Whether there is nothing but the four gates."""
    return projection is None and peepholes is None and cell_clip is None and not coupled


def lstm_backward(gs, saved, wanted, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, *_):
    xp, ahead = namespace(*gs), saved.workspace
    loan = borrow(Back, xp, *ahead.tanh_c.shape, ahead.new.dtype)
    back = loan.workspace
    back.weight[...] = weight_hh
    dh, dc = (last(xp, g, ahead.new.shape, ahead.new.dtype) for g in gs[1:])
    stretched, weight, new = dc[:, None], back.weight, back.new
    add, multiply = xp.add, xp.multiply
    steps = zip(backwards(gs[0], len(back.steps)), back.steps, strict=True)
    for block in back.blocks:
        back.load(xp, ahead, block)
        for arriving, (h_to_c, of_c, dz_of_c, of_h, dz_of_h, f, product) in islice(steps, block.stop - block.start):
            if arriving is not None:
                add(dh, arriving, dh)
            multiply(dh, h_to_c, new)
            add(dc, new, dc)
            multiply(of_c, stretched, dz_of_c)
            multiply(of_h, dh, dz_of_h)
            multiply(dc, f, dc)
            product(weight, dh)
    dx, *parameters = through_rows(ahead.rows, back.flat, wanted[0], x, weight_ih, bias_ih, bias_hh)
    return dx, dh, dc, *parameters
