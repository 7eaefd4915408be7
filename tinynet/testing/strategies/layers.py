"""Layers in all their configurations, with inputs that fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

import tinynet as tn
from tinynet.testing.strategies.arrays import arrays, distinct
from tinynet.testing.strategies.programs.program import array_text
from tinynet.testing.strategies.shapes import shapes

Drawn = tuple[str, tuple[np.ndarray, ...]]  # the Python that makes a layer, and its inputs


class LayerCase:
    """A layer, by the Python that makes it (``description``), and arrays to give it (``inputs``).

    ``module`` is the layer, in evaluation mode; its parameters, and buffers such as a running mean, are filled from
    the ``seed``. ``case(*tensors)`` runs it and gives one Tensor: of a recurrent layer, the outputs of all steps.
    """

    def __init__(self, description: str, inputs: tuple[np.ndarray, ...], seed: int = 0):
        self.description, self.inputs, self.seed = description, inputs, seed

    @cached_property
    def module(self) -> tn.nn.Module:
        module: tn.nn.Module = eval(self.description, {"tn": tn}).eval()
        generator = np.random.default_rng(self.seed)
        for parameter in module.parameters():
            tn.nn.init.uniform_(parameter, -1, 1, generator)
        for _, buffer in module.named_buffers():
            if buffer.dtype.kind == "f":
                buffer.data = generator.uniform(0.5, 1.5, buffer.shape).astype(buffer.dtype)
        return module

    def __call__(self, *tensors: tn.Tensor) -> tn.Tensor:
        found = self.module(*tensors)
        return found[0] if isinstance(found, tuple) else found

    def __repr__(self) -> str:
        inputs = "".join(f"{array_text(array)}, " for array in self.inputs).rstrip()
        return f"tn.testing.strategies.LayerCase({self.description!r}, ({inputs}), seed={self.seed})"


def layers(kind: str | None = None) -> st.SearchStrategy[LayerCase]:
    """``LayerCase`` of one kind, such as ``"Conv2d"``, or of any in ``tn.nn``; ``"Sequential"`` is a few layers.

    Inputs come in batches, of which no result depends on two examples, and lie on no kink. Raises ValueError for a
    kind that is not known.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"no layer is called {kind!r}; there are {', '.join(KINDS)}")
    return _layers(list(KINDS) if kind is None else [kind])


@st.composite
def _layers(draw, kinds: list[str]) -> LayerCase:
    kind = draw(st.sampled_from(kinds))
    description, inputs = KINDS[kind](draw, kind)
    return LayerCase(description, inputs, draw(st.integers(0, 99)))


# What the kinds share


def _size(draw, least: int = 1, most: int = 3) -> int:
    return draw(st.integers(least, most))


def _options(draw, **choices: list[Any]) -> dict[str, Any]:
    """Choose each; the first of the choices is the default, which needs not be written."""
    chosen = {name: draw(st.sampled_from(values)) for name, values in choices.items()}
    return {name: value for name, value in chosen.items() if value != choices[name][0]}


def _text(kind: str, *sizes: Any, **options: Any) -> str:
    return f"tn.nn.{kind}({', '.join([*map(repr, sizes), *(f'{name}={value!r}' for name, value in options.items())])})"


# The kinds


def _linear(draw, kind: str) -> Drawn:
    inputs, outputs = _size(draw), _size(draw)
    shape = (*draw(shapes(max_dims=2, max_side=3, min_dims=1)), inputs)
    return _text(kind, inputs, outputs, **_options(draw, bias=[True, False])), (draw(arrays(shape)),)


def _embedding(draw, kind: str) -> Drawn:
    rows, columns = _size(draw), _size(draw)
    places = draw(numpy_strategies.arrays(np.int64, shapes(max_dims=2, min_dims=1), elements=st.integers(0, rows - 1)))
    return _text(kind, rows, columns), (places,)


def _shapeless(choices: dict[str, list[Any]], least_dims: int = 1, smooth: bool = True) -> Callable[..., Drawn]:
    """A kind that takes arrays of ``least_dims`` axes or more; between the quarters, where 0 is a kink."""

    def drawn(draw, kind: str) -> Drawn:
        array = draw(arrays(shapes(max_side=3, min_dims=least_dims)))
        return _text(kind, **_options(draw, **choices)), (array if smooth else array + 0.125,)

    return drawn


def _conv(draw, kind: str) -> Drawn:
    axes, groups = int(kind[-2]), _size(draw, 1, 2)
    channels, kernels = groups * _size(draw, 1, 2), groups * _size(draw, 1, 2)
    kernel = tuple(_size(draw, 1, 2) for _ in range(axes))
    options = _options(draw, stride=[1, 2], padding=[0, 1], dilation=[1, 2], bias=[True, False])
    options |= {"groups": groups} if groups > 1 else {}
    covered = [options.get("dilation", 1) * (k - 1) + 1 for k in kernel]
    space = [_size(draw, c, c + 2) for c in covered]
    return _text(kind, channels, kernels, kernel, **options), (draw(arrays((_size(draw), channels, *space))),)


def _conv_transpose(draw, kind: str) -> Drawn:
    groups = _size(draw, 1, 2)
    channels, kernels = groups * _size(draw, 1, 2), groups * _size(draw, 1, 2)
    kernel = tuple(_size(draw, 1, 2) for _ in range(2))
    options = _options(draw, stride=[1, 2], padding=[0, 1], bias=[True, False], dilation=[1, 2])
    if max(options.get("stride", 1), options.get("dilation", 1)) > 1:
        options |= _options(draw, output_padding=[0, 1])
    options |= {"groups": groups} if groups > 1 else {}
    space = [_size(draw, 1, 2) + 2 * options.get("padding", 0) for _ in range(2)]
    return _text(kind, channels, kernels, kernel, **options), (draw(arrays((_size(draw), channels, *space))),)


def _pool(draw, kind: str) -> Drawn:
    axes, largest = int(kind[-2]), kind.startswith("Max")
    kernel = _size(draw, 1, 2)
    options = _options(draw, stride=[None, 1, 2], padding=[0, 1][:kernel], ceil_mode=[False, True])
    options |= _options(draw, dilation=[1, 2]) if largest else _options(draw, count_include_pad=[True, False])
    covered = options.get("dilation", 1) * (kernel - 1) + 1
    shape = (_size(draw, 1, 2), _size(draw, 1, 2), *(_size(draw, covered, covered + 2) for _ in range(axes)))
    return _text(kind, kernel, **options), (draw(distinct(shape)) if largest else draw(arrays(shape)),)


def _adaptive_pool(draw, kind: str) -> Drawn:
    axes = int(kind[-2])
    bins = draw(st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * axes)))
    return _text(kind, bins), (draw(arrays(shapes(max_dims=axes + 2, min_dims=axes + 2))),)


def _batch_norm(draw, kind: str) -> Drawn:
    shape = draw(shapes(max_side=3, min_dims=2) if kind.endswith("1d") else shapes(max_dims=4, max_side=3, min_dims=4))
    options = _options(draw, eps=[1e-5, 0.5], affine=[True, False])
    return _text(kind, shape[1], **options), (draw(arrays(shape)),)


def _layer_norm(draw, kind: str) -> Drawn:
    shape = draw(shapes(max_side=3, min_dims=2))
    normalized = shape[_size(draw, 1, len(shape) - 1) :]
    options = _options(draw, elementwise_affine=[True, False], bias=[True, False])
    return _text(kind, normalized, eps=0.5, **options), (draw(arrays(shape)),)


RECURRENT: dict[str, dict[str, list[Any]]] = {
    "RNN": {"nonlinearity": ["tanh", "relu"]},
    "GRU": {"reset_after": [True, False]},
    "LSTM": {"proj_size": [0, 1], "peepholes": [False, True], "coupled_gates": [False, True]},
}


def _recurrent(draw, kind: str) -> Drawn:
    inputs, units = _size(draw), _size(draw)
    # A projection is smaller than the state.
    own = {name: values for name, values in RECURRENT[kind].items() if name != "proj_size" or units > 1}
    directions = {"batch_first": [False, True], "bidirectional": [False, True]}
    options = _options(draw, num_layers=[1, 2], bias=[True, False], **directions, **own)
    # Between the quarters, so that a relu is never fed with 0.
    return _text(kind, inputs, units, **options), (draw(arrays((_size(draw), _size(draw), inputs))) + 0.125,)


def _cell(draw, kind: str) -> Drawn:
    inputs, units = _size(draw), _size(draw)
    options = _options(draw, bias=[True, False], **({"nonlinearity": ["tanh", "relu"]} if kind == "RNNCell" else {}))
    return _text(kind, inputs, units, **options), (draw(arrays((_size(draw), inputs))) + 0.125,)


def _sequential(draw, kind: str) -> Drawn:
    """A few layers on the last axis, which have no kinks."""
    first = width = _size(draw)
    kinds = st.sampled_from(["Linear", "Tanh", "Sigmoid", "GELU", "Dropout", "LayerNorm"])
    pieces = []
    for piece in draw(st.lists(kinds, min_size=1, max_size=4)):
        sizes = {"Linear": [width, _size(draw)], "LayerNorm": [width]}.get(piece, [])
        options = {"eps": 0.5} if piece == "LayerNorm" else {}
        pieces.append(_text(piece, *sizes, **options))
        width = sizes[-1] if sizes else width
    return f"tn.nn.Sequential({', '.join(pieces)})", (draw(arrays((_size(draw), first))),)


KINDS: dict[str, Callable[[Any, str], Drawn]] = {
    "Linear": _linear,
    "Tanh": _shapeless({}),
    "Sigmoid": _shapeless({}),
    "GELU": _shapeless({"approximate": ["none", "tanh"]}),
    "Softplus": _shapeless({"beta": [1.0, 2.0]}),
    "ReLU": _shapeless({}, smooth=False),
    "LeakyReLU": _shapeless({"negative_slope": [0.01, 0.5]}, smooth=False),
    "ELU": _shapeless({"alpha": [1.0, 0.5]}, smooth=False),
    "Dropout": _shapeless({"p": [0.5, 0.0]}),
    "Flatten": _shapeless({}, least_dims=2),
    "Embedding": _embedding,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "ConvTranspose2d": _conv_transpose,
    "AvgPool1d": _pool,
    "AvgPool2d": _pool,
    "MaxPool1d": _pool,
    "MaxPool2d": _pool,
    "AdaptiveAvgPool1d": _adaptive_pool,
    "AdaptiveAvgPool2d": _adaptive_pool,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": _layer_norm,
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "RNNCell": _cell,
    "GRUCell": _cell,
    "LSTMCell": _cell,
    "Sequential": _sequential,
}
