"""A vanilla RNN, an LSTM and a GRU: plain loops over time, forward and backward, from the papers' equations.

    Elman (1990); Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000) and the peepholes of Gers
    and Schmidhuber (2000); GRU of Cho et al. (2014) in PyTorch's form. Backward: Werbos, Backpropagation through time:
    what it does and how to do it (1990).

Inputs ``x`` (T, N, I), integer classes ``target`` (T, N), initial states (N, H), weights by PyTorch's names. Every
step has scores; the loss is the mean over the steps of each sequence, then over the batch. Of sequences with
``lengths`` (N,), a state is kept where its sequence has ended, and only steps before the end count; with ``last``, only
the last of them does. ``outer`` are gradients of the last states, by name, that arrive from another part of a larger
net, whose loss is not ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tests.wrong.network import Array, Arrays, Change, Classifier, Numbers, sigmoid


class Recurrent(Classifier):
    """What the three have in common. A subclass has ``rows``, ``step`` and ``step_back``."""

    rows: tuple[str, ...]  # the pre-activations, in the order of their rows in the weights
    symbols: ClassVar[Mapping[str, str]] = {
        "W_ih": "weight_ih_l0",
        "W_hh": "weight_hh_l0",
        "b_ih": "bias_ih_l0",
        "b_hh": "bias_hh_l0",
        "W_ci": "weight_ci_l0",
        "W_cf": "weight_cf_l0",
        "W_co": "weight_co_l0",
        "W_out": "head.weight",
        "b_out": "head.bias",
    }

    def __init__(
        self,
        x: Array,
        target: Array,
        weights: Arrays,
        states: Arrays,
        bug: Change | None = None,
        dtype: Any = np.float64,
        lengths: Array | None = None,
        last: bool = False,
        outer: Arrays | None = None,
        lr: float = 0.1,
    ):
        super().__init__(target, weights, bug, dtype, lr)
        self.T, self.N = target.shape
        self.H = self.weights["W_hh"].shape[1]
        self.states = tuple(states)
        self.lengths, self.last = np.full(self.N, self.T) if lengths is None else np.array(lengths), last
        self.outer = {state: self.array(gradient) for state, gradient in (outer or {}).items()}
        for t in range(self.T):
            self["x", t] = self.array(x[t])
        for state, initial in states.items():
            self[state, -1] = self.array(initial)

    # The loops
    def forward(self) -> None:
        for t in range(self.T):
            self.step(t)
        for t in range(self.T):
            self["logits", t] = self.scores(self.features(t))
        for t in range(self.T):
            self["p", t] = self.softmax(self["logits", t])
        self["loss"] = self.loss()

    def backward(self) -> None:
        for t in reversed(range(self.T)):
            self["dlogits", t] = self.dlogits(self["p", t], self.target_at(t), self.dnll(t))
        for t in reversed(range(self.T)):
            self.step_back(t)
        for state in self.states:
            self[f"d{state}", -1] = self.carried(state, -1)

    def step(self, t: int) -> None:
        raise NotImplementedError

    def step_back(self, t: int) -> None:
        raise NotImplementedError

    # Forward formulas
    def x_at(self, t: int) -> Array:
        """The input (N, I) of a step."""
        return self["x", t]

    def before(self, state: str, t: int) -> Array:
        """The state (N, H) that a step starts from."""
        return self[state, t - 1]

    def from_x(self, t: int) -> Array:
        """W_ih x + b_ih (N, gates · H)."""
        return self.x_at(t) @ self.weights["W_ih"].T + self.weights["b_ih"]

    def from_h(self, t: int) -> Array:
        """W_hh h + b_hh (N, gates · H)."""
        return self.before("h", t) @ self.weights["W_hh"].T + self.weights["b_hh"]

    def part(self, stacked: Array, z: str) -> Array:
        """The columns of one pre-activation (N, H)."""
        k = self.rows.index(z)
        return stacked[:, k * self.H : (k + 1) * self.H]

    def block(self, symbol: str, z: str) -> Array:
        """The rows of one pre-activation in a weight (H, …)."""
        k = self.rows.index(z)
        return self.weights[symbol][k * self.H : (k + 1) * self.H]

    def z_of(self, z: str, t: int) -> Array:
        """A pre-activation (N, H)."""
        return self.part(self.from_x(t), z) + self.part(self.from_h(t), z)

    def sigmoid(self, z: Array) -> Array:
        return sigmoid(z)

    def running(self, state: str, t: int) -> Array:
        """1 where a sequence has not ended yet, else 0 (N, 1)."""
        return (t < self.lengths)[:, None].astype(self.dtype)

    def kept(self, state: str, t: int, new: Array) -> Array:
        """The new state (N, H), or the old one where the sequence has ended."""
        return np.where(self.running(state, t) > 0, new, self.before(state, t))

    # The output and the loss
    def features(self, t: int) -> Array:
        """What the output layer sees (N, H)."""
        return self["h", t]

    def target_at(self, t: int) -> Array:
        return self.target[t]

    def counts(self) -> Array:
        """1 where a step counts in the loss, else 0 (T, N)."""
        steps = np.arange(self.T)[:, None]
        return (steps == self.lengths - 1 if self.last else steps < self.lengths).astype(self.dtype)

    def shares(self) -> Array:
        """The mean over each sequence, then over the batch (T, N)."""
        counts = self.counts()
        return counts / counts.sum(axis=0) / self.array(self.N)

    def share(self, *t: int) -> Array:
        return self.shares()[t][:, None]

    def loss(self) -> Array:
        return self.summed(
            (self.nll(self["logits", t], self.target_at(t)) * self.share(t)).sum() for t in range(self.T)
        )

    # Backward formulas
    def dh(self, t: int) -> Array:
        """From the scores of this step, and from the next step (N, H)."""
        return self.dfeatures(self["dlogits", t]) + self.carried("h", t)

    def carried(self, state: str, t: int) -> Array:
        """What arrives at a state from the step after it: through its formulas, or past them (N, H)."""
        if t + 1 == self.T:
            return self.from_outside(state)
        before = {"h": self.dh_before, "c": self.dc_before}[state]
        return before(t + 1) + self.past(state, t + 1)

    def through(self, state: str, t: int) -> Array:
        """The gradient of the new state, before it was kept or not (N, H)."""
        return self.running(state, t) * self[f"d{state}", t]

    def from_outside(self, state: str) -> Array:
        """What arrives at the last state from elsewhere (N, H)."""
        return self.outer.get(state, self.zeros(self.N, self.H))

    def past(self, state: str, t: int) -> Array:
        """What goes back to the old state because it was kept (N, H)."""
        return (1 - self.running(state, t)) * self[f"d{state}", t]

    def dh_before(self, t: int) -> Array:
        """What a step sends to the h that it started from (N, H)."""
        return self.d_from_h(t) @ self.weights["W_hh"]

    def dc_before(self, t: int) -> Array:
        """What a step sends to the c that it started from (N, H)."""
        raise NotImplementedError

    def d_from_x(self, t: int) -> Array:
        """The gradient of W_ih x + b_ih (N, gates · H)."""
        return np.concatenate([self[f"d{z}", t] for z in self.rows], axis=1)

    def d_from_h(self, t: int) -> Array:
        """The gradient of W_hh h + b_hh (N, gates · H)."""
        return self.d_from_x(t)

    def dx(self, t: int) -> Array:
        return self.d_from_x(t) @ self.weights["W_ih"]

    # Gradients of the weights
    def over_time(self, symbol: str, share: Callable[[int], Array]) -> Array:
        """The gradient of a weight: the shares of all steps, the last one first."""
        return self.summed(share(t) for t in reversed(range(self.T)))

    def dW_ih(self) -> Array:
        return self.over_time("W_ih", lambda t: self.d_from_x(t).T @ self.x_at(t))

    def dW_hh(self) -> Array:
        return self.over_time("W_hh", lambda t: self.d_from_h(t).T @ self.before("h", t))

    def db_ih(self) -> Array:
        return self.over_time("b_ih", lambda t: self.d_from_x(t).sum(axis=0))

    def db_hh(self) -> Array:
        return self.over_time("b_hh", lambda t: self.d_from_h(t).sum(axis=0))

    def dW_out(self) -> Array:
        return self.over_time("W_out", lambda t: self["dlogits", t].T @ self.features(t))

    def db_out(self) -> Array:
        return self.over_time("b_out", lambda t: self["dlogits", t].sum(axis=0))


class RNN(Recurrent):
    """h[t] = tanh(z), z = W_ih x[t] + b_ih + W_hh h[t-1] + b_hh."""

    rows = ("z",)

    def step(self, t: int) -> None:
        self["z", t] = self.z_of("z", t)
        self["h", t] = self.kept("h", t, self.h(t))

    def step_back(self, t: int) -> None:
        self["dh", t] = self.dh(t)
        self["dz", t] = self.dz(t)
        self["dx", t] = self.dx(t)

    def h(self, t: int) -> Array:
        return np.tanh(self["z", t])

    def dz(self, t: int) -> Array:
        return self.through("h", t) * self.tanh_slope("h", self["h", t], self["z", t])


class LSTM(Recurrent):
    """i, f, o = σ(z_i), σ(z_f), σ(z_o); g = tanh(z_g); c[t] = f c[t-1] + i g; h[t] = o tanh(c[t])."""

    rows = ("z_i", "z_f", "z_g", "z_o")

    def step(self, t: int) -> None:
        for gate in "ifg":
            self[f"z_{gate}", t] = self.z_of(f"z_{gate}", t)
        for gate in "ifg":
            self[gate, t] = self.gate(gate, self[f"z_{gate}", t])
        self["c", t] = self.kept("c", t, self.c(t))
        self["z_o", t] = self.z_of("z_o", t)
        self["o", t] = self.gate("o", self["z_o", t])
        self["tanh_c", t] = self.tanh_c(t)
        self["h", t] = self.kept("h", t, self.h(t))

    def step_back(self, t: int) -> None:
        self["dh", t] = self.dh(t)
        self["do", t] = self.do(t)
        self["dtanh_c", t] = self.dtanh_c(t)
        self["dz_o", t] = self.dz("o", t)
        self["dc", t] = self.dc(t)
        self["di", t] = self.di(t)
        self["df", t] = self.df(t)
        self["dg", t] = self.dg(t)
        for gate in "ifg":
            self[f"dz_{gate}", t] = self.dz(gate, t)
        self["dx", t] = self.dx(t)

    # Forward
    def gate(self, gate: str, z: Array) -> Array:
        return np.tanh(z) if gate == "g" else self.sigmoid(z)

    def c(self, t: int) -> Array:
        return self["f", t] * self.before("c", t) + self["i", t] * self["g", t]

    def tanh_c(self, t: int) -> Array:
        return np.tanh(self["c", t])

    def h(self, t: int) -> Array:
        return self["o", t] * self["tanh_c", t]

    # Backward
    def do(self, t: int) -> Array:
        return self.through("h", t) * self["tanh_c", t]

    def dtanh_c(self, t: int) -> Array:
        return self.through("h", t) * self["o", t]

    def dc(self, t: int) -> Array:
        """From the h of this step, and from the next step (N, H)."""
        return self.dc_here(t) + self.carried("c", t)

    def dc_here(self, t: int) -> Array:
        return self["dtanh_c", t] * self.tanh_slope("tanh_c", self["tanh_c", t], self["c", t])

    def di(self, t: int) -> Array:
        return self.through("c", t) * self["g", t]

    def df(self, t: int) -> Array:
        return self.through("c", t) * self.before("c", t)

    def dg(self, t: int) -> Array:
        return self.through("c", t) * self["i", t]

    def dz(self, gate: str, t: int) -> Array:
        slope = self.tanh_slope if gate == "g" else self.sigmoid_slope
        return self[f"d{gate}", t] * slope(gate, self[gate, t], self[f"z_{gate}", t])

    def dc_before(self, t: int) -> Array:
        return self.through("c", t) * self["f", t]


class PeepholeLSTM(LSTM):
    """An LSTM whose gates look at the cell through weights (H,): i and f at c[t-1], o at c[t]."""

    def z_of(self, z: str, t: int) -> Array:
        return super().z_of(z, t) + (0 if z == "z_g" else self.peep(z, t))

    def peep(self, z: str, t: int) -> Array:
        """What a gate sees of the cell (N, H)."""
        return self.weights[f"W_c{z[-1]}"] * self.seen(z, t)

    def seen(self, z: str, t: int) -> Array:
        return self["c", t] if z == "z_o" else self.before("c", t)

    def dc_here(self, t: int) -> Array:
        return super().dc_here(t) + self["dz_o", t] * self.weights["W_co"]

    def dc_before(self, t: int) -> Array:
        seen = self["dz_i", t] * self.weights["W_ci"] + self["dz_f", t] * self.weights["W_cf"]
        return super().dc_before(t) + seen

    def dW_ci(self) -> Array:
        return self.over_time("W_ci", lambda t: (self["dz_i", t] * self.seen("z_i", t)).sum(axis=0))

    def dW_cf(self) -> Array:
        return self.over_time("W_cf", lambda t: (self["dz_f", t] * self.seen("z_f", t)).sum(axis=0))

    def dW_co(self) -> Array:
        return self.over_time("W_co", lambda t: (self["dz_o", t] * self.seen("z_o", t)).sum(axis=0))


class GRU(Recurrent):
    """r, z = σ(z_r), σ(z_z); n = tanh(W_in x + b_in + r u_n), u_n = W_hn h[t-1] + b_hn; h[t] = (1-z) n + z h[t-1]."""

    rows = ("z_r", "z_z", "z_n")

    def step(self, t: int) -> None:
        for gate in "rz":
            self[f"z_{gate}", t] = self.z_of(f"z_{gate}", t)
        for gate in "rz":
            self[gate, t] = self.sigmoid(self[f"z_{gate}", t])
        self["u_n", t] = self.u_n(t)
        self["z_n", t] = self.z_n(t)
        self["n", t] = self.n(t)
        self["h", t] = self.kept("h", t, self.h(t))

    def step_back(self, t: int) -> None:
        self["dh", t] = self.dh(t)
        self["dn", t] = self.dn(t)
        self["dz_n", t] = self.dz_n(t)
        self["dr", t] = self.dr(t)
        self["du_n", t] = self.du_n(t)
        self["dz", t] = self.dz(t)
        for gate in "zr":
            self[f"dz_{gate}", t] = self.dz_of(gate, t)
        self["dx", t] = self.dx(t)

    # Forward
    def u_n(self, t: int) -> Array:
        return self.part(self.from_h(t), "z_n")

    def z_n(self, t: int) -> Array:
        return self.part(self.from_x(t), "z_n") + self["r", t] * self["u_n", t]

    def n(self, t: int) -> Array:
        return np.tanh(self["z_n", t])

    def h(self, t: int) -> Array:
        return (1 - self["z", t]) * self["n", t] + self["z", t] * self.before("h", t)

    # Backward
    def dn(self, t: int) -> Array:
        return self.through("h", t) * (1 - self["z", t])

    def dz_n(self, t: int) -> Array:
        return self["dn", t] * self.tanh_slope("n", self["n", t], self["z_n", t])

    def dr(self, t: int) -> Array:
        return self["dz_n", t] * self["u_n", t]

    def du_n(self, t: int) -> Array:
        return self["dz_n", t] * self["r", t]

    def dz(self, t: int) -> Array:
        return self.through("h", t) * (self.before("h", t) - self["n", t])

    def dz_of(self, gate: str, t: int) -> Array:
        return self[f"d{gate}", t] * self.sigmoid_slope(gate, self[gate, t], self[f"z_{gate}", t])

    def d_from_h(self, t: int) -> Array:
        shares = {z: self[f"d{z}", t] for z in self.rows} | {"z_n": self["du_n", t]}
        return np.concatenate([shares[z] for z in self.rows], axis=1)

    def from_outside(self, state: str) -> Array:
        """What arrives at the last state from elsewhere (N, H)."""
        return self.outer.get(state, self.zeros(self.N, self.H))

    def past(self, state: str, t: int) -> Array:
        """What goes back to the old state because it was kept (N, H)."""
        return (1 - self.running(state, t)) * self[f"d{state}", t]

    def dh_before(self, t: int) -> Array:
        return self.dh_direct(t) + super().dh_before(t)

    def dh_direct(self, t: int) -> Array:
        """What the old h gets because z keeps some of it (N, H)."""
        return self.through("h", t) * self["z", t]


def rnn(x: Array, target: Array, weights: Arrays, h0: Array, bug: Change | None = None, **options: Any) -> Numbers:
    """All numbers of a vanilla RNN; ``options`` of ``Recurrent``."""
    return RNN(x, target, weights, {"h": h0}, bug, **options).run()


def lstm(
    x: Array, target: Array, weights: Arrays, h0: Array, c0: Array, bug: Change | None = None, **options: Any
) -> Numbers:
    """All numbers of an LSTM, with peepholes if there are weights for them; ``options`` of ``Recurrent``."""
    network = PeepholeLSTM if "weight_ci_l0" in weights else LSTM
    return network(x, target, weights, {"h": h0, "c": c0}, bug, **options).run()


def gru(x: Array, target: Array, weights: Arrays, h0: Array, bug: Change | None = None, **options: Any) -> Numbers:
    """All numbers of a GRU; ``options`` of ``Recurrent``."""
    return GRU(x, target, weights, {"h": h0}, bug, **options).run()
