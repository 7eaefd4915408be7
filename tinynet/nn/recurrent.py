"""Recurrent layers with PyTorch's parameters: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet.nn import init
from tinynet.nn.layers import empty_parameter
from tinynet.nn.module import Module
from tinynet.tensor import Parameter, Tensor


class _Recurrent(Module):
    """Parameters of all layers, and the loop over them."""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True):
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers, self.bias = num_layers, bias
        bound = 1 / math.sqrt(hidden_size)
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            columns = hidden_size if layer else input_size
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, columns), "weight_hh": (rows, hidden_size)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            for label, shape in shapes.items():
                setattr(self, f"{label}_l{layer}", init.uniform_(empty_parameter(*shape), -bound, bound))

    def layer_parameters(self, layer: int) -> tuple[Parameter, Parameter, Parameter | None, Parameter | None]:
        """Return weight_ih, weight_hh, bias_ih and bias_hh (None without bias) of a layer."""
        labels = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weight_ih, weight_hh, bias_ih, bias_hh = (getattr(self, f"{label}_l{layer}", None) for label in labels)
        assert weight_ih is not None and weight_hh is not None
        return weight_ih, weight_hh, bias_ih, bias_hh

    def suffix(self, layer: int) -> str:
        """What tells the quantities of stacked layers apart; nothing for a single layer."""
        return f"_l{layer}" if self.num_layers > 1 else ""

    def initial(self, given: Tensor | None, x: Tensor, layer: int) -> Tensor:
        """The initial state (N, H) of a layer: from ``given`` (layers, N, H), or zeros."""
        shape = (self.num_layers, x.shape[1], self.hidden_size)
        if given is None:
            return Tensor(np.zeros(shape[1:], dtype=x.dtype))
        if given.shape != shape:
            raise ValueError(f"initial state has shape {given.shape}, expected {shape} (layers, N, hidden)")
        return given[layer]

    def check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[2] != self.input_size or 0 in x.shape:
            expected = f"(T, N, {self.input_size})"
            raise ValueError(f"{type(self).__name__} expects {expected} with T and N at least 1, got {x.shape}")


class RNN(_Recurrent):
    """Elman network: h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh), or relu.

    ``rnn(x, h0)``: x (T, N, input_size) and h0 (num_layers, N, hidden_size), zeros if left out, give the outputs
    of the last layer (T, N, hidden_size) and the last states (num_layers, N, hidden_size).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")
        super().__init__(input_size, hidden_size, num_layers, bias)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.check(input)
        last = []
        for layer in range(self.num_layers):
            h = self.initial(h0, input, layer)
            parameters = self.layer_parameters(layer)
            input = F.rnn(input, h, *parameters, self.nonlinearity, self.suffix(layer))
            last.append(input[-1])
        return input, F.stack(last)


class LSTM(_Recurrent):
    """Long short-term memory, gates i, f, g, o stacked by rows.

    ``lstm(x, (h0, c0))``: x (T, N, input_size) and states (num_layers, N, hidden_size), zeros if left out, give
    the outputs of the last layer (T, N, hidden_size) and the last states (h, c) in the states' shape.
    """

    gates = 4

    def forward(self, input: Tensor, states: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Any]:
        self.check(input)
        h0, c0 = states if states is not None else (None, None)
        last_h, last_c = [], []
        for layer in range(self.num_layers):
            h, c = self.initial(h0, input, layer), self.initial(c0, input, layer)
            input, c = F.lstm(input, h, c, *self.layer_parameters(layer), self.suffix(layer))
            last_h.append(input[-1])
            last_c.append(c)
        return input, (F.stack(last_h), F.stack(last_c))
