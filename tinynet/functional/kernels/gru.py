"""A gated recurrent layer over a whole sequence, whose reset gate r multiplies what h gives through the weights.

σ(z) = (1 + tanh(z/2)) / 2, so that one tanh serves both gates, r and z. What comes from x is kept apart from what comes
from h, u: the candidate is n = tanh(x's + r u).
"""

from __future__ import annotations

from typing import Any

from tinynet.backend import namespace
from tinynet.functional.kernels.recurrent import Rows, backwards, copied, fits, is_plain, last
from tinynet.functional.kernels.workspace import Workspace, borrow


class Ahead(Workspace):
    """Rows [h | 1] and [x | 1]; what comes from x, of which a part becomes n; and the gates r and z, side by side."""

    def __init__(self, xp: Any, steps: int, batch: int, inputs: int, units: int, biases: tuple[bool, bool], dtype: Any):
        self.from_x = Rows(xp, steps, batch, inputs, 0, 3 * units, biases[0], dtype)
        self.from_h = Rows(xp, steps, batch, units, 0, 3 * units, biases[1], dtype)
        self.half, self.halves = xp.full((), 0.5, dtype=dtype), xp.ones((3 * units, 1), dtype=dtype)
        self.halves[: 2 * units] = 0.5
        self.given, self.gates = (xp.empty((steps, batch, 2 * units), dtype=dtype) for _ in range(2))
        self.n, self.u = (xp.empty((steps, batch, units), dtype=dtype) for _ in range(2))
        self.r, self.z, self.new = self.gates[:, :, :units], self.gates[:, :, units:], xp.empty_like(self.n[0])
        self.states = self.from_h.left
        gates = (self.given, self.gates, self.r, self.z, self.u, self.n)
        products = [row.dot for row in self.from_h.rows[:-1]]  # as methods: half the time of xp.dot for small matrices
        states = (products, self.states[:-1], self.states[1:])
        self.steps = list(zip(*gates, *states, strict=True))

    def load(self, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> None:
        for side, weight, bias in ((self.from_x, weight_ih, bias_ih), (self.from_h, weight_hh, bias_hh)):
            side.load(weight, bias)
            side.weights *= self.halves

    def products(self, side: Rows) -> tuple[Any, Any]:
        """The weights for both gates, and those for u and n."""
        return side.product[:, : self.gates.shape[2]], side.product[:, self.gates.shape[2] :]


class Back(Workspace):
    """dz: what arrives at h, times factors that are known for all time steps and stand where dz will.

    Side by side: what h sends to the h before it past the gates, then dz of r, z and u, and of n.
    """

    def __init__(self, xp: Any, steps: int, batch: int, units: int, dtype: Any):
        self.weight = xp.empty((3 * units, units), dtype=dtype, order="F")  # which BLAS is quicker with
        self.parts = xp.empty((steps, batch, 5, units), dtype=dtype)
        side_by_side = self.parts.reshape(steps, batch, 5 * units)
        self.flat = side_by_side.reshape(steps * batch, 5 * units)[:, units : 4 * units]
        dz = side_by_side[:, :, units : 4 * units]
        self.steps = list(zip(self.parts, self.parts[:, :, 0], [dz_t.dot for dz_t in dz], strict=True))[::-1]

    def load(self, xp: Any, ahead: Ahead) -> None:
        past, r, z, u, n = (self.parts[:, :, k] for k in range(5))
        xp.subtract(1, ahead.z, past)
        xp.multiply(ahead.n, ahead.n, n)
        xp.subtract(1, n, n)
        xp.multiply(n, past, n)  # (1 − n²) (1 − z)
        xp.subtract(ahead.states[:-1], ahead.n, z)
        xp.multiply(z, past, z)
        xp.multiply(z, ahead.z, z)  # (h − n) z (1 − z)
        xp.multiply(n, ahead.r, u)
        xp.subtract(1, ahead.r, r)
        xp.multiply(r, u, r)
        xp.multiply(r, ahead.u, r)  # that of n, times u r (1 − r)
        past[...] = ahead.z

    def for_x(self) -> Any:
        """dz of r, z and n: what comes from x meets r no more."""
        self.parts[:, :, 3] = self.parts[:, :, 4]
        return self.flat


def gru_forward(x, h, weight_ih, weight_hh, bias_ih, bias_hh, suffix, reset_after, *order):
    if not reset_after or not is_plain(*order) or not fits(3, x, (h,), weight_ih, weight_hh, bias_ih, bias_hh):
        return None
    xp, biases = namespace(x), (bias_ih is not None, bias_hh is not None)
    loan = borrow(Ahead, xp, *x.shape, h.shape[-1], biases, x.dtype)
    ahead = loan.workspace
    ahead.load(weight_ih, weight_hh, bias_ih, bias_hh)
    ahead.from_x.left[:-1], ahead.states[0] = x, h
    tanh, multiply, add, subtract = xp.tanh, xp.multiply, xp.add, xp.subtract
    for_gates, for_n = ahead.products(ahead.from_x)
    ahead.from_x.flat.dot(for_gates, ahead.given.reshape(-1, ahead.given.shape[2]))
    ahead.from_x.flat.dot(for_n, ahead.n.reshape(-1, ahead.n.shape[2]))
    (for_gates, for_u), half, new = ahead.products(ahead.from_h), ahead.half, ahead.new
    for given, gates, r, z, u, n, product, before, after in ahead.steps:
        product(for_gates, gates)
        product(for_u, u)
        add(gates, given, gates)
        tanh(gates, gates)
        multiply(gates, half, gates)
        add(gates, half, gates)
        multiply(r, u, new)
        add(n, new, n)
        tanh(n, n)
        subtract(before, n, new)
        multiply(z, new, new)
        add(n, new, after)
    states = copied(ahead.states[1:])
    return (states, states[-1].copy()), loan


def gru_backward(gs, saved, wanted, x, h, weight_ih, weight_hh, bias_ih, bias_hh, *_):
    xp, ahead = namespace(*gs), saved.workspace
    loan = borrow(Back, xp, *ahead.n.shape, ahead.new.dtype)
    back = loan.workspace
    back.load(xp, ahead)
    back.weight[...] = weight_hh
    dh, weight = last(xp, gs[1], ahead.new.shape, ahead.new.dtype), back.weight
    stretched = dh[:, None]
    add, multiply = xp.add, xp.multiply
    for arriving, (parts, past, product) in zip(backwards(gs[0], len(back.steps)), back.steps, strict=True):
        if arriving is not None:
            add(dh, arriving, dh)
        multiply(parts, stretched, parts)
        product(weight, dh)
        add(dh, past, dh)
    d_weight_hh, d_bias_hh, _ = ahead.from_h.gradients(back.flat)
    flat = back.for_x()
    d_weight_ih, d_bias_ih, _ = ahead.from_x.gradients(flat)
    dx = (flat @ weight_ih).reshape(x.shape) if wanted[0] else None
    return dx, dh, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh
