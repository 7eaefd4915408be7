"""Recurrent layers with PyTorch's parameters: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``.

The reverse direction has ``_reverse`` behind the layer, a projection ``weight_hr_l0``, peepholes ``weight_ci_l0``,
``weight_cf_l0`` and ``weight_co_l0``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from tinynet import functional as F
from tinynet.backend import extent, kind, zeros
from tinynet.functional import recurrent as steps
from tinynet.functional.composite import composite
from tinynet.functional.random import check_probability
from tinynet.nn import init
from tinynet.nn.layers import empty_parameter
from tinynet.nn.module import Module
from tinynet.recording import part
from tinynet.tape import state
from tinynet.tensor import Parameter, Tensor, as_tensor, beside


class _Recurrent(Module):
    """Layers over directions over time: what the three kinds have in common.

    ``forward(input, states, lengths)``: ``input`` (T, N, input_size), (N, T, input_size) where ``batch_first``, or
    (T, input_size) without a batch; initial states (layers · directions, N, size), zeros if left out; ``lengths``
    (N,) where sequences end before T. Raises ValueError, saying what was expected, for anything else.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        truncate: int | tuple[int, int] | None = None,
    ):
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(f"{type(self).__name__} needs sizes and layers of at least 1")
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.bidirectional, self.truncate = batch_first, bidirectional, _truncation(truncate)
        self.dropout = check_probability(dropout)
        if dropout and num_layers == 1:
            warnings.warn(f"dropout={dropout} does nothing: it is between layers, and num_layers is 1", stacklevel=3)
        for layer, reverse in self.passes():
            columns = self.output_size * self.directions if layer else input_size
            for label, shape in self.parameter_shapes(columns).items():
                self._add(label, layer, reverse, shape)

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """The size of h, which is also that of the output of one direction."""
        return self.hidden_size

    def passes(self) -> list[tuple[int, bool]]:
        """Every (layer, whether it runs in reverse), in order."""
        return [(layer, bool(d)) for layer in range(self.num_layers) for d in range(self.directions)]

    def parameter_shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, columns), "weight_hh": (rows, self.output_size)}
        return shapes | ({"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {})

    def _add(self, label: str, layer: int, reverse: bool, shape: tuple[int, ...]) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        setattr(self, label + _ending(layer, reverse), init.uniform_(empty_parameter(*shape), -bound, bound))

    def parameter(self, label: str, layer: int, reverse: bool) -> Parameter | None:
        """Return a parameter of a layer and direction, None where there is none."""
        return getattr(self, label + _ending(layer, reverse), None)

    def weights(self, layer: int, reverse: bool) -> list[Any]:
        """Return weight_ih, weight_hh, bias_ih and bias_hh (None without bias)."""
        ending = _ending(layer, reverse)
        return [getattr(self, label + ending, None) for label in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def run(self, x: Any, states: list[Any], layer: int, reverse: bool, options: dict[str, Any]) -> tuple:
        """Run one layer in one direction: the outputs (T, N, size), then the last states."""
        raise NotImplementedError

    def forward(self, input: Tensor, states: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        input = as_tensor(input)
        batched = input.ndim == 3
        x, first = self._time_first(input)
        initial = self._initial(states, x, batched)
        sizes = self._lengths(lengths, x)
        last, label = [], first
        for layer in range(self.num_layers):
            series: Any = x if state.recorder is None else steps.time_steps(x, label)
            found = []
            for reverse in (False, True)[: self.directions]:
                place = layer * self.directions + reverse
                options = {"suffix": self._suffix(layer, reverse), "lengths": sizes, "truncate": self.truncate}
                with part(self._part(layer, reverse)):
                    outputs, *ends = self._directed(series, [s[place] for s in initial], layer, reverse, options)
                found.append(outputs)
                last.append(ends)
            x, label = (found[0] if len(found) == 1 else F.cat(found, -1)), None
            if layer + 1 < self.num_layers:
                x = F.dropout(x, self.dropout, self.training)
        ends = [_stacked(states) for states in zip(*last, strict=True)]
        if not batched:
            return x[:, 0], self._packed([end[:, 0] for end in ends])
        return (x.transpose(0, 1) if self.batch_first else x), self._packed(ends)

    def _directed(self, x: Any, states: list[Tensor], layer: int, reverse: bool, options: dict[str, Any]) -> tuple:
        """Unrecorded, a plain reverse pass is the forward one on the flipped sequence: the kernel can do that."""
        if reverse and state.recorder is None and options["lengths"] is None:
            outputs, *ends = self.run(F.flip(x, 0), states, layer, reverse, options)
            return (F.flip(outputs, 0), *ends)
        return self.run(x, states, layer, reverse, options | {"reverse": reverse})

    def _suffix(self, layer: int, reverse: bool) -> str:
        return (f"_l{layer}" if self.num_layers > 1 else "") + ("_reverse" if reverse else "")

    def _part(self, layer: int, reverse: bool) -> str:
        """What tells this pass apart in words."""
        layers = [f"layer {layer}"] if self.num_layers > 1 else []
        return ", ".join([*layers, *(["reverse (time runs ←, from the last step)"] if reverse else [])])

    # Checking what came in
    def _time_first(self, input: Tensor) -> tuple[Tensor, str | None]:
        expected = "(N, T, {})" if self.batch_first else "(T, N, {})"
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size or 0 in input.shape:
            raise ValueError(
                f"{type(self).__name__} expects {expected.format(self.input_size)} with T and N at least 1, "
                f"got {input.shape}"
            )
        if input.ndim == 2:
            return F.unsqueeze(input, 1), input.name
        return (input.transpose(0, 1) if self.batch_first else input), input.name

    def _state_sizes(self) -> list[int]:
        return [self.output_size]

    def _packed(self, states: list[Tensor]) -> Any:
        return states[0] if len(states) == 1 else tuple(states)

    def _initial(self, given: Any, x: Tensor, batched: bool) -> list[Any]:
        """The initial states by place (layer · directions + direction): given, or zeros."""
        count, sizes = self.num_layers * self.directions, self._state_sizes()
        if given is None:
            return [[Tensor._wrap(zeros((x.shape[1], size), beside=x.data)) for _ in range(count)] for size in sizes]
        states = _states(self, given, len(sizes))
        for state_, size in zip(states, sizes, strict=True):
            expected = (count, x.shape[1], size) if batched else (count, size)
            if state_.shape != expected:
                raise ValueError(f"an initial state has shape {state_.shape}, expected {expected}")
        return states if batched else [F.unsqueeze(s, 1) for s in states]

    def _lengths(self, lengths: Any, x: Tensor) -> Tensor | None:
        if lengths is None:
            return None
        if self.truncate is not None and self.truncate[0] < self.truncate[1]:
            raise ValueError("lengths go with truncate=k, not with k2 larger than k1")
        sizes = beside(x, lengths, name="lengths")
        if kind(sizes) not in "iu" or sizes.shape != (x.shape[1],):
            raise ValueError(f"lengths must be {x.shape[1]} integers, one a sequence, got {sizes.dtype} {sizes.shape}")
        shortest, longest = extent(sizes.data) if sizes.size else (1, 1)
        if shortest < 1 or longest > x.shape[0]:
            raise ValueError(f"lengths must be from 1 to {x.shape[0]}, got {sizes.numpy().tolist()}")
        return sizes


class RNN(_Recurrent):
    """Elman network: h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh), or relu.

    ``rnn(x, h0, lengths)``: see ``_Recurrent``; returns the outputs of the last layer (T, N, directions · hidden_size)
    and the last states (layers · directions, N, hidden_size). ``truncate`` (k1, k2), or one number for both, is
    truncated backpropagation through time; see ``unroll``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        truncate: int | tuple[int, int] | None = None,
    ):
        steps.check_nonlinearity(nonlinearity)
        options = (batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, num_layers, bias, *options, truncate=truncate)
        self.nonlinearity = nonlinearity

    def run(self, x: Any, states: list[Any], layer: int, reverse: bool, options: dict[str, Any]) -> tuple:
        return F.rnn(x, states[0], *self.weights(layer, reverse), **options | {"nonlinearity": self.nonlinearity})


class GRU(_Recurrent):
    """Gated recurrent unit, gates r, z, n stacked by rows; see ``functional.recurrent.gru_step``.

    ``gru(x, h0, lengths)`` as ``RNN``. ``reset_after=False`` resets the state before the recurrent product (Cho et
    al., 2014; ONNX ``linear_before_reset=0``); True, the default, resets the product (PyTorch, cuDNN).
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        truncate: int | tuple[int, int] | None = None,
        reset_after: bool = True,
    ):
        self.reset_after = reset_after
        options = (batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, num_layers, bias, *options, truncate=truncate)

    def run(self, x: Any, states: list[Any], layer: int, reverse: bool, options: dict[str, Any]) -> tuple:
        return F.gru(x, states[0], *self.weights(layer, reverse), **options | {"reset_after": self.reset_after})


class LSTM(_Recurrent):
    """Long short-term memory, gates i, f, g, o stacked by rows; see ``functional.recurrent.lstm_step``.

    ``lstm(x, (h0, c0), lengths)`` as ``RNN``; the last states are (h, c). Variants: ``proj_size`` (a projection of h),
    ``peepholes``, ``coupled_gates`` (f = 1 − i; gates i, g, o), ``cell_clip``, and ``forget_bias`` (what b_if starts
    with, so that the cell remembers from the beginning; Jozefowicz et al., 2015).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        truncate: int | tuple[int, int] | None = None,
        peepholes: bool = False,
        coupled_gates: bool = False,
        cell_clip: float | None = None,
        forget_bias: float | None = None,
    ):
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size is {proj_size}, expected 0 (none) to {hidden_size - 1}")
        if cell_clip is not None and cell_clip <= 0:
            raise ValueError(f"cell_clip is {cell_clip}, expected a positive number")
        self.proj_size, self.peepholes, self.coupled_gates = proj_size, peepholes, coupled_gates
        self.cell_clip, self.gates = cell_clip, 3 if coupled_gates else 4
        options = (batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, num_layers, bias, *options, truncate=truncate)
        if forget_bias is not None:
            self._set_forget_bias(forget_bias)

    @property
    def output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def parameter_shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        shapes = super().parameter_shapes(columns)
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        if self.peepholes:
            shapes |= {f"weight_c{gate}": (self.hidden_size,) for gate in ("io" if self.coupled_gates else "ifo")}
        return shapes

    def _set_forget_bias(self, forget_bias: float) -> None:
        if not self.bias or self.coupled_gates:
            raise ValueError("forget_bias needs bias=True and a forget gate of its own (coupled_gates=False)")
        for layer, reverse in self.passes():
            parameter = self.parameter("bias_ih", layer, reverse)
            assert parameter is not None
            parameter.data[self.hidden_size : 2 * self.hidden_size] = forget_bias

    def _state_sizes(self) -> list[int]:
        return [self.output_size, self.hidden_size]

    def run(self, x: Any, states: list[Any], layer: int, reverse: bool, options: dict[str, Any]) -> tuple:
        variants = {
            "projection": self.parameter("weight_hr", layer, reverse) if self.proj_size else None,
            "peepholes": self._peepholes(layer, reverse) if self.peepholes else None,
            "coupled": self.coupled_gates,
            "cell_clip": self.cell_clip,
        }
        return F.lstm(x, states[0], states[1], *self.weights(layer, reverse), **options | variants)

    def _peepholes(self, layer: int, reverse: bool) -> steps.Peepholes:
        looks: list[Any] = [self.parameter(f"weight_c{gate}", layer, reverse) for gate in "ifo"]
        return steps.Peepholes(*looks)


@composite(lambda x: (x[None].copy(), None), lambda g, saved, wanted, x: (g[0].copy(),))
def _alone(state_: Tensor) -> Tensor:
    return F.stack([state_])


def _stacked(states: Sequence[Tensor]) -> Tensor:
    """The last states of all passes, (passes, N, H), in memory of their own: a user may set some of them to zero."""
    return F.stack(states) if len(states) > 1 else _alone(states[0])


def _ending(layer: int, reverse: bool) -> str:
    """Of the names of a pass's parameters."""
    return f"_l{layer}_reverse" if reverse else f"_l{layer}"


def _truncation(truncate: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Return (k1, k2). Raises ValueError unless 1 ≤ k1 ≤ k2."""
    if truncate is None:
        return None
    k1, k2 = (truncate, truncate) if isinstance(truncate, int) else truncate
    if not 1 <= k1 <= k2:
        raise ValueError(f"truncate is {truncate}, expected a number of steps, or (k1, k2) with 1 ≤ k1 ≤ k2")
    return k1, k2


class _Cell(Module):
    """One time step: PyTorch's cells, with parameters ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh``."""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True):
        if min(input_size, hidden_size) < 1:
            raise ValueError(f"{type(self).__name__} needs sizes of at least 1")
        self.input_size, self.hidden_size = input_size, hidden_size
        bound, rows = 1 / math.sqrt(hidden_size), self.gates * hidden_size
        shapes: Sequence[tuple[str, tuple[int, ...]]] = (
            ("weight_ih", (rows, input_size)),
            ("weight_hh", (rows, hidden_size)),
            ("bias_ih", (rows,)),
            ("bias_hh", (rows,)),
        )
        for label, shape in shapes:
            wanted = bias or len(shape) == 2
            setattr(self, label, init.uniform_(empty_parameter(*shape), -bound, bound) if wanted else None)

    @property
    def cell_weights(self) -> steps.Weights:
        return steps.Weights(*(getattr(self, label) for label in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))

    def states(self, x: Tensor, given: Any, count: int = 1) -> list[Any]:
        """The states before ``x`` (N, input_size): given, or zeros. Raises ValueError for wrong shapes."""
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(f"{type(self).__name__} expects (N, {self.input_size}), got {x.shape}")
        expected = (*x.shape[:-1], self.hidden_size)
        if given is None:
            return [Tensor(zeros(expected, beside=x.data)) for _ in range(count)]
        states = _states(self, given, count)
        for state_ in states:
            if state_.shape != expected:
                raise ValueError(f"a state has shape {state_.shape}, expected {expected}")
        return states


class RNNCell(_Cell):
    """One step of ``RNN``: ``cell(x, h)``, x (N, input_size) and h (N, hidden_size), gives the next h."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"):
        steps.check_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, h: Tensor | None = None) -> Tensor:
        input = as_tensor(input)
        (h,) = self.states(input, h)
        return steps.rnn_step(input, h, self.cell_weights, self.nonlinearity)[0]


class LSTMCell(_Cell):
    """One step of ``LSTM``: ``cell(x, (h, c))`` gives the next (h, c), each (N, hidden_size)."""

    gates = 4

    def forward(self, input: Tensor, states: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        input = as_tensor(input)
        h, c = self.states(input, states, 2)
        return steps.lstm_step(input, h, c, self.cell_weights)


class GRUCell(_Cell):
    """One step of ``GRU``: ``cell(x, h)`` gives the next h, (N, hidden_size)."""

    gates = 3

    def forward(self, input: Tensor, h: Tensor | None = None) -> Tensor:
        input = as_tensor(input)
        (h,) = self.states(input, h)
        return steps.gru_step(input, h, self.cell_weights)[0]


def _states(module: Module, given: Any, count: int) -> list[Any]:
    """The one state, or the pair (h, c), that was given. Raises ValueError for anything else."""
    if count == 1 and hasattr(given, "shape"):
        return [given]
    if count > 1 and isinstance(given, (tuple, list)) and len(given) == count:
        return list(given)
    expected = "one state" if count == 1 else "states (h, c)"
    got = f"{len(given)} states" if isinstance(given, (tuple, list)) else "one"
    raise ValueError(f"{type(module).__name__} expects {expected}, got {got}")
