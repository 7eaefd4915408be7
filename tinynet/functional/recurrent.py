"""Recurrent layers, one time step after another: the definitions that a workbook shows.

``suffix`` is what tells the layers of a stack apart: ``""`` for a single one, ``_l0``, ``_l1`` … otherwise.
"""

from __future__ import annotations

from tinynet import primitives as P
from tinynet.functional.composite import composite
from tinynet.functional.kernels import recurrent as kernel
from tinynet.functional.shapes import cat, stack, unsqueeze
from tinynet.recording import name, time_step
from tinynet.run import INITIAL
from tinynet.tensor import Tensor

LSTM_GATES = {"i": "input gate", "f": "forget gate", "g": "candidate", "o": "output gate"}


@composite(kernel.rnn_forward, kernel.rnn_backward)
def rnn(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    nonlinearity: str = "tanh",
    suffix: str = "",
) -> Tensor:
    """A vanilla recurrent layer over a whole sequence: h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh).

    ``x`` (T, N, I), initial state ``h`` (N, H), weights (H, I) and (H, H), biases (H,); returns all h,
    (T, N, H).
    Source: Elman, Finding structure in time (1990); names as ``torch.nn.RNN``.
    """
    _name_whole(suffix, W_ih=weight_ih, W_hh=weight_hh, b_ih=bias_ih, b_hh=bias_hh)
    name(h, f"h{suffix}", INITIAL, title="hidden state")
    hidden = []
    for t, x_t in enumerate(_steps(x)):
        with time_step(t):
            z = x_t @ weight_ih.T + h @ weight_hh.T
            z = z if bias_ih is None or bias_hh is None else z + bias_ih + bias_hh
            name(z, f"z{suffix}", title="hidden state")
            h = P.tanh(z) if nonlinearity == "tanh" else P.relu(z)
            hidden.append(name(h, f"h{suffix}", title="hidden state"))
    return stack(hidden)


@composite(
    kernel.lstm_forward,
    kernel.lstm_backward,
    pack=lambda outputs: cat([outputs[0], unsqueeze(outputs[1], 0)]),
    unpack=lambda packed: (packed[:-1], packed[-1]),
)
def lstm(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    suffix: str = "",
) -> tuple[Tensor, Tensor]:
    """A long short-term memory layer over a whole sequence.

    i, f, o = σ(z_i), σ(z_f), σ(z_o); g = tanh(z_g); c[t] = f c[t-1] + i g; h[t] = o tanh(c[t]), where
    z = W_ih x[t] + b_ih + W_hh h[t-1] + b_hh holds z_i, z_f, z_g, z_o one below the other (PyTorch's order).
    ``x`` (T, N, I), initial states (N, H), weights (4H, I) and (4H, H), biases (4H,); returns all h (T, N, H)
    and the last c (N, H).
    Source: Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000).
    """
    size = h.shape[-1]
    _name_gates(weight_ih, weight_hh, bias_ih, bias_hh, size, suffix)
    name(h, f"h{suffix}", INITIAL, title="hidden state"), name(c, f"c{suffix}", INITIAL, title="cell state")
    hidden = []
    for t, x_t in enumerate(_steps(x)):
        with time_step(t):
            z = x_t @ weight_ih.T + h @ weight_hh.T
            z = z if bias_ih is None or bias_hh is None else z + bias_ih + bias_hh
            z_i, z_f, z_g, z_o = (
                name(z[..., k * size : (k + 1) * size], f"z_{gate}{suffix}", title=title)
                for k, (gate, title) in enumerate(LSTM_GATES.items())
            )
            i = name(P.sigmoid(z_i), f"i{suffix}", title="input gate")
            f = name(P.sigmoid(z_f), f"f{suffix}", title="forget gate")
            g = name(P.tanh(z_g), f"g{suffix}", title="candidate")
            o = name(P.sigmoid(z_o), f"o{suffix}", title="output gate")
            c = name(f * c + i * g, f"c{suffix}", title="cell state: keep f of the old, add i of the new")
            tanh_c = name(P.tanh(c), f"tanh_c{suffix}", title="cell state, squashed")
            h = name(o * tanh_c, f"h{suffix}", title="hidden state: show o of the squashed cell")
            hidden.append(h)
    return stack(hidden), c


def _steps(x: Tensor):
    """The time steps of ``x`` (T, …), each named ``x[t]`` if the sequence is an input with a name."""
    for t in range(x.shape[0]):
        x_t = x[t]
        if x.name is not None:
            name(x_t, x.name, t, title="input")
        yield x_t


def _name_whole(suffix: str, **parameters: Tensor | None) -> None:
    """Name parameters by their symbols, beside the names they have as attributes."""
    for symbol, parameter in parameters.items():
        if parameter is not None:
            name(parameter[:], f"{symbol}{suffix}")


def _name_gates(weight_ih, weight_hh, bias_ih, bias_hh, size, suffix):
    """Name the rows of each gate as PyTorch's documentation does: W_ii, W_hi, b_ii, b_hi …"""
    for k, gate in enumerate(LSTM_GATES):
        rows = slice(k * size, (k + 1) * size)
        name(weight_ih[rows], f"W_i{gate}{suffix}"), name(weight_hh[rows], f"W_h{gate}{suffix}")
        if bias_ih is not None and bias_hh is not None:
            name(bias_ih[rows], f"b_i{gate}{suffix}"), name(bias_hh[rows], f"b_h{gate}{suffix}")
