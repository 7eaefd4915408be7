"""Recurrent layers, one time step after another: the definitions that a workbook shows.

A layer is a *step* (the equations of its cell) unrolled over time. ``unroll`` is common to all: it also knows
sequences of different lengths, the reverse direction and truncated backpropagation. ``suffix`` tells layers and
directions apart: ``""`` for a single one, ``_l0``, ``_l1_reverse`` … otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tinynet import primitives as P
from tinynet.functional.composite import composite
from tinynet.functional.kernels.gru import gru_backward, gru_forward
from tinynet.functional.kernels.lstm import lstm_backward, lstm_forward
from tinynet.functional.kernels.rnn import rnn_backward, rnn_forward
from tinynet.functional.shapes import stack
from tinynet.recording import name, time_step
from tinynet.run import INITIAL
from tinynet.tensor import Tensor

LSTM_GATES = {"i": "input gate", "f": "forget gate", "g": "candidate", "o": "output gate"}
COUPLED_GATES = {"i": "input gate", "g": "candidate", "o": "output gate"}
STATES = {"h": "hidden state", "c": "cell state"}
GRU_GATES = {"r": "reset gate", "z": "update gate", "n": "candidate"}


class Weights(NamedTuple):
    """The parameters of a cell, the rows of its gates stacked: (gates · H, I), (gates · H, H), (gates · H,) twice."""

    ih: Tensor
    hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None

    def from_x(self, x: Tensor) -> Tensor:
        """W_ih x + b_ih."""
        return _affine(x, self.ih, self.b_ih)

    def from_h(self, h: Tensor) -> Tensor:
        """W_hh h + b_hh."""
        return _affine(h, self.hh, self.b_hh)

    def rows(self, first: int, last: int, gates: int) -> Weights:
        """The recurrent weights of the gates from ``first`` up to, not including, ``last``."""
        size = self.hh.shape[0] // gates
        rows = slice(first * size, last * size)
        return Weights(self.ih, self.hh[rows], self.b_ih, None if self.b_hh is None else self.b_hh[rows])


class Peepholes(NamedTuple):
    """Weights (H,) through which the gates i, f (None where coupled) and o look at the cell state."""

    i: Tensor
    f: Tensor | None
    o: Tensor


# One time step of each cell


#
# ``suffix`` ends the names of all quantities, ``new`` those of the states that are not final yet.


def rnn_step(
    x: Tensor, h: Tensor, weights: Weights, nonlinearity: str = "tanh", suffix: str = "", new: str = ""
) -> tuple[Tensor]:
    """h' = tanh(z) or relu(z), z = W_ih x + b_ih + W_hh h + b_hh. Source: Elman, Finding structure in time (1990)."""
    z = name(weights.from_x(x) + weights.from_h(h), f"z{suffix}", title="hidden state")
    return (name(P.tanh(z) if nonlinearity == "tanh" else P.relu(z), f"h{new}{suffix}", title=_state("h", new)),)


def lstm_step(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weights: Weights,
    suffix: str = "",
    projection: Tensor | None = None,
    peepholes: Peepholes | None = None,
    coupled: bool = False,
    cell_clip: float | None = None,
    new: str = "",
) -> tuple[Tensor, Tensor]:
    """i, f, o = σ(z_i), σ(z_f), σ(z_o); g = tanh(z_g); c' = f c + i g; h' = o tanh(c').

    Sources: Hochreiter and Schmidhuber (1997), the forget gate of Gers et al. (2000). ``peepholes``: z_i and z_f see
    p · c, z_o sees p · c' (Gers and Schmidhuber, 2000). ``coupled``: f = 1 − i (Greff et al., 2017). ``projection``
    (P, H): h' = W_hr (o tanh(c')) (Sak et al., 2014). ``cell_clip``: c' stays within ± this number.
    """
    z = weights.from_x(x) + weights.from_h(h)
    gates = COUPLED_GATES if coupled else LSTM_GATES
    parts = {gate: _part(z, k, len(gates)) for k, gate in enumerate(gates)}

    def before(gate: str, seen: Tensor) -> Tensor:
        look = getattr(peepholes, gate, None)
        z_gate = parts[gate] if look is None else parts[gate] + look * seen
        return name(z_gate, f"z_{gate}{suffix}", title=gates[gate])

    late = ["o"] if peepholes is not None else []
    z_of = {gate: before(gate, c) for gate in gates if gate not in late}
    i = name(P.sigmoid(z_of["i"]), f"i{suffix}", title=gates["i"])
    f = name(1 - i if coupled else P.sigmoid(z_of["f"]), f"f{suffix}", title=LSTM_GATES["f"])
    g = name(P.tanh(z_of["g"]), f"g{suffix}", title=gates["g"])
    o = None if late else name(P.sigmoid(z_of["o"]), f"o{suffix}", title=gates["o"])
    c = f * c + i * g
    if cell_clip is not None:
        c = P.minimum(P.maximum(name(c, f"c_unclipped{suffix}", title="cell state"), -cell_clip), cell_clip)
    c = name(c, f"c{new}{suffix}", title=_state("c", new) + ": keep f of the old, add i of the new")
    if o is None:
        o = name(P.sigmoid(before("o", c)), f"o{suffix}", title=gates["o"])
    tanh_c = name(P.tanh(c), f"tanh_c{suffix}", title="squashed cell state")
    if projection is None:
        return name(o * tanh_c, f"h{new}{suffix}", title=_state("h", new) + ": show o of the squashed cell"), c
    shown = name(o * tanh_c, f"m{suffix}", title="cell output before the projection")
    return name(shown @ projection.T, f"h{new}{suffix}", title="hidden state: the projection of the cell output"), c


def gru_step(
    x: Tensor, h: Tensor, weights: Weights, suffix: str = "", reset_after: bool = True, new: str = ""
) -> tuple[Tensor]:
    """r, z = σ(z_r), σ(z_z); n = tanh(z_n); h' = (1 − z) n + z h.

    ``reset_after``: z_n = W_in x + b_in + r (W_hn h + b_hn), as PyTorch and cuDNN; otherwise
    z_n = W_in x + b_in + W_hn (r h) + b_hn, as Cho et al. (2014).
    """
    from_x, from_h = weights.from_x(x), weights.from_h(h) if reset_after else weights.rows(0, 2, 3).from_h(h)
    z_r = name(_part(from_x, 0, 3) + _part(from_h, 0, 3 if reset_after else 2), f"z_r{suffix}", title=GRU_GATES["r"])
    z_z = name(_part(from_x, 1, 3) + _part(from_h, 1, 3 if reset_after else 2), f"z_z{suffix}", title=GRU_GATES["z"])
    r = name(P.sigmoid(z_r), f"r{suffix}", title=GRU_GATES["r"])
    z = name(P.sigmoid(z_z), f"z{suffix}", title=GRU_GATES["z"])
    if reset_after:
        u_n = name(_part(from_h, 2, 3), f"u_n{suffix}", title="state for the candidate")
        seen = r * u_n
    else:
        seen = weights.rows(2, 3, 3).from_h(name(r * h, f"r_h{suffix}", title="reset state"))
    z_n = name(_part(from_x, 2, 3) + seen, f"z_n{suffix}", title=GRU_GATES["n"])
    n = name(P.tanh(z_n), f"n{suffix}", title=GRU_GATES["n"])
    title = _state("h", new) + ": 1 − z of the candidate, z of the old"
    return (name((1 - z) * n + z * h, f"h{new}{suffix}", title=title),)


# Unrolled over time


def unroll(
    step: Callable[..., tuple[Tensor, ...]],
    x: Tensor | Sequence[Tensor],
    states: dict[str, Tensor],
    suffix: str = "",
    lengths: Tensor | None = None,
    reverse: bool = False,
    truncate: tuple[int, int] | None = None,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Run ``step(x[t], *states)`` over all time steps; return the first state at every step, and the last states.

    ``x`` (T, N, I), ``states`` by name, (N, H). Beyond its length (``lengths`` (N,)) a sequence keeps its state,
    and its output is 0. ``reverse`` runs from the end. ``truncate`` (k1, k2) is truncated backpropagation through time:
    the outputs of each k1 steps send their gradient k2 steps back, counted from the last of them (Williams and Peng,
    1990). Where k2 is larger than k1, the steps before are computed again, from a state that is cut off.
    """
    for quantity, state in states.items():
        name(state, f"{quantity}{suffix}", INITIAL, title=STATES[quantity])
    inputs = time_steps(x) if isinstance(x, Tensor) else x
    now, outputs = tuple(states.values()), list(inputs)
    order = list(reversed(range(len(inputs))) if reverse else range(len(inputs)))
    before: list[tuple[Tensor, ...]] = []
    for position, t in enumerate(order):
        before.append(now)
        with time_step(t):
            seen = now
            if truncate is not None and position > 0 and position % truncate[0] == 0:
                start = max(0, position + truncate[0] - truncate[1])
                seen = tuple(state.detach() for state in before[start]) if start else before[0]
                for earlier in order[start:position]:
                    with time_step(earlier):
                        seen = step(inputs[earlier], *seen, suffix=f"_again{position}{suffix}")
            if lengths is None:
                now = step(inputs[t], *seen, suffix=suffix)
                outputs[t] = now[0]
            else:
                running = P.reshape(P.greater(lengths, t), shape=(*lengths.shape, 1))
                name(running, f"running{suffix}", title="running sequences: 1 until the end of each")
                new = step(inputs[t], *seen, suffix=suffix, new="_new")
                now, outputs[t] = _masked(running, new, now, tuple(states), suffix)
    return outputs, now


def _masked(
    running: Tensor, new: tuple[Tensor, ...], states: tuple[Tensor, ...], quantities: tuple[str, ...], suffix: str
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The new states, though the sequences that have ended keep theirs; and the output, which is 0 for these."""
    kept = tuple(
        name(P.where(running, after, before), f"{quantity}{suffix}", title=f"{STATES[quantity]}: kept beyond the end")
        for quantity, after, before in zip(quantities, new, states, strict=True)
    )
    return kept, name(P.where(running, kept[0], 0), f"y{suffix}", title="output of the running sequences")


def time_steps(x: Tensor, label: str | None = None) -> list[Tensor]:
    """The time steps of ``x`` (T, …), each named ``x[t]`` if the sequence is an input with a name."""
    label = label or x.name
    return [x[t] if label is None else name(x[t], label, t, title="input") for t in range(x.shape[0])]


# Whole layers: the public function, and the definition with its kernel, which knows nothing of the options


def rnn(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    nonlinearity: str = "tanh",
    suffix: str = "",
    lengths: Tensor | None = None,
    reverse: bool = False,
    truncate: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """A vanilla recurrent layer: see ``rnn_step`` and ``unroll``.

    ``x`` (T, N, I), initial state ``h`` (N, H), weights (H, I) and (H, H), biases (H,); returns all h (T, N, H), and
    the last (N, H). Raises ValueError for a ``nonlinearity`` that is neither "tanh" nor "relu".
    """
    check_nonlinearity(nonlinearity)
    return _rnn(x, h, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity, suffix, lengths, reverse, truncate)


def check_nonlinearity(nonlinearity: str) -> None:
    """Raise ValueError for one that is not there."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")


@composite(rnn_forward, rnn_backward)
def _rnn(x, h, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity, suffix, lengths, reverse, truncate):
    weights = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    _name_whole(suffix, W_ih=weight_ih, W_hh=weight_hh, b_ih=bias_ih, b_hh=bias_hh)

    def step(x: Tensor, h: Tensor, **names: str) -> tuple[Tensor]:
        return rnn_step(x, h, weights, nonlinearity, **names)

    outputs, (h,) = unroll(step, x, {"h": h}, suffix, lengths, reverse, truncate)
    return stack(outputs), h


def lstm(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    suffix: str = "",
    projection: Tensor | None = None,
    peepholes: Peepholes | None = None,
    coupled: bool = False,
    cell_clip: float | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
    truncate: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """A long short-term memory layer: see ``lstm_step`` and ``unroll``.

    ``x`` (T, N, I), initial states (N, H), weights (4H, I) and (4H, H), biases (4H,), gates i, f, g, o stacked by
    rows (PyTorch's order; i, g, o where coupled); returns all h (T, N, H), the last h and the last c (N, H).
    """
    options = projection, peepholes, coupled, cell_clip, lengths, reverse, truncate
    return _lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, suffix, *options)


@composite(lstm_forward, lstm_backward)
def _lstm(
    x,
    h,
    c,
    weight_ih,
    weight_hh,
    bias_ih,
    bias_hh,
    suffix,
    projection,
    peepholes,
    coupled,
    cell_clip,
    lengths,
    reverse,
    truncate,
):
    gates = COUPLED_GATES if coupled else LSTM_GATES
    weights = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    _name_gates(weights, gates, suffix)
    _name_whole(suffix, W_hr=projection, **{f"p_{k}": p for k, p in zip("ifo", peepholes or (), strict=False)})

    def step(x: Tensor, h: Tensor, c: Tensor, **names: str) -> tuple[Tensor, Tensor]:
        return lstm_step(
            x,
            h,
            c,
            weights,
            projection=projection,
            peepholes=peepholes,
            coupled=coupled,
            cell_clip=cell_clip,
            **names,
        )

    outputs, (h, c) = unroll(step, x, {"h": h, "c": c}, suffix, lengths, reverse, truncate)
    return stack(outputs), h, c


def gru(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    suffix: str = "",
    reset_after: bool = True,
    lengths: Tensor | None = None,
    reverse: bool = False,
    truncate: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """A gated recurrent layer: see ``gru_step`` and ``unroll``.

    ``x`` (T, N, I), initial state ``h`` (N, H), weights (3H, I) and (3H, H), biases (3H,), gates r, z, n stacked by
    rows; returns all h (T, N, H), and the last (N, H).
    """
    return _gru(x, h, weight_ih, weight_hh, bias_ih, bias_hh, suffix, reset_after, lengths, reverse, truncate)


@composite(gru_forward, gru_backward)
def _gru(x, h, weight_ih, weight_hh, bias_ih, bias_hh, suffix, reset_after, lengths, reverse, truncate):
    weights = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    _name_gates(weights, GRU_GATES, suffix)

    def step(x: Tensor, h: Tensor, **names: str) -> tuple[Tensor]:
        return gru_step(x, h, weights, reset_after=reset_after, **names)

    outputs, (h,) = unroll(step, x, {"h": h}, suffix, lengths, reverse, truncate)
    return stack(outputs), h


def _state(quantity: str, new: str) -> str:
    """The title of a state, or of what it becomes if the sequence lasts."""
    return STATES[quantity] + (" if the sequence lasts" if new else "")


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out = x @ weight.T
    return out if bias is None else out + bias


def _part(z: Tensor, k: int, count: int) -> Tensor:
    """The k-th of ``count`` equal parts of the last axis."""
    size = z.shape[-1] // count
    return z[..., k * size : (k + 1) * size]


def _name_whole(suffix: str, **parameters: Tensor | None) -> None:
    """Name parameters by their symbols, beside the names they have as attributes."""
    for symbol, parameter in parameters.items():
        if parameter is not None:
            name(parameter[:], f"{symbol}{suffix}")


def _name_gates(weights: Weights, gates: dict[str, str], suffix: str) -> None:
    """Name the rows of each gate as PyTorch's documentation does: W_ii, W_hi, b_ii, b_hi …"""
    size = weights.hh.shape[0] // len(gates)
    for k, gate in enumerate(gates):
        rows = slice(k * size, (k + 1) * size)
        for symbol, parameter in zip(("W_i", "W_h", "b_i", "b_h"), weights, strict=True):
            if parameter is not None:
                name(parameter[rows], f"{symbol}{gate}{suffix}")
