"""Recurrent networks: a layer over a sequence, and a linear layer with softmax cross-entropy on its last state."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.networks.by_hand import cross_entropy, update
from benchmarks.networks.network import Network, Step

CLASSES = 2


class _Recurrent(Network):
    kind = "RNN"  # the layer of ``nn``
    gates = 1
    fused = True

    def __init__(self, inputs: int, units: int, steps: int, batch: int, dtype: Any = "float64"):
        shapes: dict[str, tuple[int, ...]] = {
            "layer.weight_ih_l0": (self.gates * units, inputs),
            "layer.weight_hh_l0": (self.gates * units, units),
            "layer.bias_ih_l0": (self.gates * units,),
            "layer.bias_hh_l0": (self.gates * units,),
            "head.weight": (CLASSES, units),
            "head.bias": (CLASSES,),
        }
        name = f"{self.kind} {units} units, {steps} steps, batch {batch}"
        super().__init__(name, dtype, shapes, scale=0.5 / units**0.5)
        self.sizes = inputs, units, steps, batch
        self.x, self.y = self.normal((steps, batch, inputs)), self.rng.integers(CLASSES, size=batch)

    def module(self, nn: Any) -> Any:
        (inputs, units, *_), kind = self.sizes, self.kind

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer, self.head = getattr(nn, kind)(inputs, units), nn.Linear(units, CLASSES)

            def forward(self, x: Any) -> Any:
                return self.head(self.layer(x)[0][-1])

        return Net()

    def loss(self, ops: Any, p: dict[str, Any], x: Any, y: Any) -> Any:
        """What does not wait for the state is one product for all time steps."""
        z = ops.linear(x, p["layer.weight_ih_l0"], p["layer.bias_ih_l0"] + p["layer.bias_hh_l0"])
        h = self.last_state(ops, z, p["layer.weight_hh_l0"].T)
        return ops.cross_entropy(ops.linear(h, p["head.weight"], p["head.bias"]), y)

    def last_state(self, ops: Any, z: Any, w: Any) -> Any:
        raise NotImplementedError

    def numpy(self) -> Step:
        """One matrix holds all weights of the layer, for rows of what the state before, a one and x have put together.

        So each time step is one product, without sums for the projection and the biases, and the gradients of all
        weights are one product for all time steps. The two biases are kept as their sum, which learns twice as fast.
        """
        w_ih, w_hh, b_ih, b_hh, w, b = (array.copy() for array in self.state.values())
        inputs, units, steps, batch = self.sizes
        weights = np.ascontiguousarray(np.hstack([w_hh, (b_ih + b_hh)[:, None], w_ih]).T)
        rows = np.zeros((steps + 1, batch, units + 1 + inputs), self.dtype)
        rows[:, :, units], rows[:-1, :, units + 1 :] = 1, self.x
        forward, backward = self.by_hand(weights, rows)
        flat, last = rows[:-1].reshape(steps * batch, -1), rows[-1, :, :units]
        z, dh, d_weights = np.empty((batch, CLASSES), self.dtype), np.empty_like(last), np.empty_like(weights)
        dw, db = np.empty_like(w), np.empty_like(b)
        loss_of_z = cross_entropy(z, self.y)

        def step() -> float:
            forward()
            np.dot(last, w.T, z)
            np.add(z, b, z)
            loss = loss_of_z()  # z is now its gradient
            np.dot(z.T, last, dw)
            np.add.reduce(z, 0, None, db)
            np.dot(z, w, dh)
            np.dot(flat.T, backward(dh), d_weights)
            d_weights[units] *= 2
            update([(weights, d_weights), (w, dw), (b, db)])
            return loss

        return step

    def by_hand(self, weights: np.ndarray, rows: np.ndarray) -> tuple[Any, Any]:
        """Two functions: one fills the states in ``rows``, one takes dh of the last to dz of all (T · N, gates)."""
        raise NotImplementedError


class Rnn(_Recurrent):
    def last_state(self, ops: Any, z: Any, w: Any) -> Any:
        return ops.loop(lambda h, z_t: ops.tanh(z_t + h @ w), ops.zeros(z[0]), z)

    def by_hand(self, weights: np.ndarray, rows: np.ndarray) -> tuple[Any, Any]:
        _, units, steps, batch = self.sizes
        states = rows[1:, :, :units]
        recurrent = weights[:units].T
        after, slope, dz = (np.empty((steps, batch, units), self.dtype) for _ in range(3))
        ahead = list(zip(rows, after, states, strict=False))
        back = list(zip(slope, dz, strict=True))[::-1]

        def forward() -> None:
            for before, h, place in ahead:
                np.dot(before, weights, h)
                np.tanh(h, place)

        def backward(dh: np.ndarray) -> np.ndarray:
            np.multiply(states, states, slope)
            np.subtract(1, slope, slope)
            for slope_t, dz_t in back:
                np.multiply(dh, slope_t, dz_t)
                np.dot(dz_t, recurrent, dh)
            return dz.reshape(steps * batch, units)

        return forward, backward


class Lstm(_Recurrent):
    kind, gates = "LSTM", 4

    def last_state(self, ops: Any, z: Any, w: Any) -> Any:
        units = self.sizes[1]

        def step(state: tuple[Any, Any], z_t: Any) -> tuple[Any, Any]:
            h, c = state
            gates = z_t + h @ w
            i, f, g, o = (gates[:, k * units : (k + 1) * units] for k in range(4))
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            return ops.sigmoid(o) * ops.tanh(c), c

        zeros = ops.zeros(z[0][:, :units])
        return ops.loop(step, (zeros, zeros), z)[0]

    def by_hand(self, weights: np.ndarray, rows: np.ndarray) -> tuple[Any, Any]:
        """σ(z) = (1 + tanh(z/2)) / 2, so that one tanh serves all gates; i, f, g and c lie side by side, then o."""
        _, n, steps, batch = self.sizes
        scale = np.full(4 * n, 0.5, self.dtype)
        scale[2 * n : 3 * n] = 1
        shift = 1 - scale
        halved = np.empty_like(weights)
        recurrent = weights[:n].T
        gates, factor, dz = (np.empty((steps, batch, 4 * n), self.dtype) for _ in range(3))
        cells = np.zeros((steps + 1, batch, n), self.dtype)
        tanh_c, c_from_h = (np.empty((steps, batch, n), self.dtype) for _ in range(2))
        i, f, g, o = (gates[:, :, k * n : (k + 1) * n] for k in range(4))
        states, new = rows[1:, :, :n], np.empty((batch, n), self.dtype)
        ahead = list(zip(rows, gates, i, f, g, o, cells, cells[1:], tanh_c, states, strict=False))
        thrice, fourth = dz.reshape(steps, batch, 4, n)[:, :, :3], dz[:, :, 3 * n :]
        factors, factor_o = factor.reshape(steps, batch, 4, n)[:, :, :3], factor[:, :, 3 * n :]
        back = list(zip(c_from_h, factors, thrice, factor_o, fourth, f, dz, strict=True))[::-1]

        def forward() -> None:
            np.multiply(weights, scale, halved)
            for before, all_t, i_t, f_t, g_t, o_t, c_before, c_t, tanh_c_t, h_t in ahead:
                np.dot(before, halved, all_t)
                np.tanh(all_t, all_t)
                np.multiply(all_t, scale, all_t)
                np.add(all_t, shift, all_t)
                np.multiply(f_t, c_before, c_t)
                np.multiply(i_t, g_t, new)
                np.add(c_t, new, c_t)
                np.tanh(c_t, tanh_c_t)
                np.multiply(o_t, tanh_c_t, h_t)

        def known_for_all_steps() -> None:
            """dz is what arrives at c (thrice) and at h, times these factors."""
            np.subtract(1, gates, factor)
            np.multiply(gates, factor, factor)
            np.multiply(g, g, factor[:, :, 2 * n : 3 * n])
            np.subtract(1, factor[:, :, 2 * n : 3 * n], factor[:, :, 2 * n : 3 * n])
            for k, other in enumerate((g, cells[:-1], i, tanh_c)):
                part = factor[:, :, k * n : (k + 1) * n]
                np.multiply(part, other, part)
            np.multiply(tanh_c, tanh_c, c_from_h)
            np.subtract(1, c_from_h, c_from_h)
            np.multiply(c_from_h, o, c_from_h)

        def backward(dh: np.ndarray) -> np.ndarray:
            known_for_all_steps()
            dc = np.zeros((batch, 1, n), self.dtype)
            flat_dc = dc[:, 0]
            for from_h, factors_t, thrice_t, factor_o_t, o_t, f_t, dz_t in back:
                np.multiply(dh, from_h, new)
                np.add(flat_dc, new, flat_dc)
                np.multiply(dc, factors_t, thrice_t)
                np.multiply(dh, factor_o_t, o_t)
                np.multiply(flat_dc, f_t, flat_dc)
                np.dot(dz_t, recurrent, dh)
            return dz.reshape(steps * batch, 4 * n)

        return forward, backward
