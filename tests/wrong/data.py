"""Small random data on which the bugs show: all sizes different, states and biases not zero, no symmetry.

``data(network, kind, seed)`` gives the arguments of ``rnn``, ``lstm``, ``gru``, ``mlp``, ``conv_net`` or ``adam``. The
kinds, for all classifiers: ``plain``, and ``saturated`` (e^logit overflows). For recurrent nets: ``rest`` (states of
0), ``rest_unbiased`` (and bias_hh of 0), ``single`` (one step), ``long`` (50 steps), ``short`` (sequences that end
early), ``last`` (the same, and only the last step of each counts), ``outer`` (gradients of the last states), ``turned``
(T = N), ``turned_short``, ``peephole``. For an MLP: ``square`` (equal sizes). For a convolutional net: ``ties`` (equal
maxima).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.wrong.network import Array

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Sizes(NamedTuple):
    """Steps, batch, inputs, hidden units, classes."""

    T: int
    N: int
    I: int
    H: int
    C: int


SIZES = [Sizes(4, 2, 3, 5, 6), Sizes(5, 3, 2, 4, 6), Sizes(6, 2, 4, 3, 5)]

OTHER_SIZES = {
    "single": {"T": 1},
    "long": {"T": 50},
    "turned": {"T": 4, "N": 4},
    "turned_short": {"T": 4, "N": 4},
}
CLASSIFIED = ("plain", "saturated")
UNROLLED = (*CLASSIFIED, "rest", "rest_unbiased", "single", "long", "short", "last", "outer", "turned", "turned_short")
KINDS = {
    "rnn": UNROLLED,
    "lstm": (*UNROLLED, "peephole"),
    "gru": UNROLLED,
    "mlp": (*CLASSIFIED, "square"),
    "conv_net": (*CLASSIFIED, "ties"),
    "adam": ("plain",),
}


def data(network: str, kind: str = "plain", seed: int = 0) -> dict[str, Any]:
    """The arguments of a network; ``weights`` by PyTorch's names. Raises ValueError for a kind that there is not."""
    if kind not in KINDS[network]:
        raise ValueError(f"{network} has no data {kind!r}, only {', '.join(KINDS[network])}")
    rng = np.random.default_rng([seed, *map(ord, network)])
    if network in GATES:
        arguments = recurrent_data(rng, network, kind, SIZES[seed % len(SIZES)])
    else:
        arguments = {"mlp": mlp_data, "conv_net": conv_data, "adam": adam_data}[network](rng, kind)
    if kind == "saturated":
        arguments["weights"]["head.bias"][0] += 2000
    return arguments


def recurrent_data(rng: np.random.Generator, network: str, kind: str, sizes: Sizes) -> dict[str, Any]:
    T, N, I, H, C = sizes._replace(**OTHER_SIZES.get(kind, {}))
    rows = GATES[network] * H
    shapes = {"weight_ih_l0": (rows, I), "weight_hh_l0": (rows, H), "bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}
    peepholes = {f"weight_c{gate}_l0": (H,) for gate in "ifo"} if kind == "peephole" else {}
    states = {"h0": (N, H), "c0": (N, H)} if network == "lstm" else {"h0": (N, H)}
    arguments: dict[str, Any] = {
        "x": rng.normal(size=(T, N, I)),
        "target": targets(rng, C, T, N),
        "weights": normal(rng, shapes | peepholes | {"head.weight": (C, H), "head.bias": (C,)}),
        **normal(rng, states, 0.0 if kind.startswith("rest") else 0.8),
    }
    if kind == "rest_unbiased":
        arguments["weights"]["bias_hh_l0"][:] = 0
    if kind == "outer":
        arguments["outer"] = {name[0]: gradient for name, gradient in normal(rng, states).items()}
    if kind in ("short", "last", "turned_short"):
        arguments |= {"lengths": np.array([T, T - 2, T - 1, T][:N]), "last": kind == "last"}
    return arguments


def mlp_data(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    N, I, first, second, C = (4, 4, 4, 4, 4) if kind == "square" else (3, 4, 7, 5, 6)
    shapes = {"fc1.weight": (first, I), "fc1.bias": (first,), "fc2.weight": (second, first), "fc2.bias": (second,)}
    return {
        "x": rng.normal(size=(N, I)),
        "target": targets(rng, C, N),
        "weights": normal(rng, shapes | {"head.weight": (C, second), "head.bias": (C,)}),
        "mask": rng.permuted(np.arange(first) % 3 != 0, axis=0) * np.ones((N, 1)),
        "rate": 0.3,
    }


def conv_data(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    """Pictures of 8×6, kernels of 3×2 that leave a remainder of one row, pooling windows that overlap."""
    shapes = {"conv.weight": (4, 2, 3, 2), "conv.bias": (4,), "head.weight": (5, 4 * 4 * 3), "head.bias": (5,)}
    arguments: dict[str, Any] = {
        "x": rng.normal(size=(3, 2, 8, 6)),
        "target": targets(rng, 5, 3),
        "weights": normal(rng, shapes),
        "stride": (2, 1),
        "padding": (2, 1),
        "pool": (2, 3),
        "pool_stride": (1, 2),
    }
    if kind == "ties":
        arguments["x"] = rng.integers(0, 3, arguments["x"].shape).astype(float)
        arguments["weights"]["conv.weight"] = rng.integers(-1, 3, shapes["conv.weight"]).astype(float)
        arguments["weights"]["conv.bias"] = np.arange(1.0, 5.0)
    return arguments


def adam_data(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    return {"gradients": rng.normal(size=(4, 3, 2)), "weights": {"weight": rng.normal(size=(3, 2))}}


def targets(rng: np.random.Generator, classes: int, *shape: int) -> Array:
    """All classes about equally often, never class 0 alone."""
    return rng.permuted((np.arange(np.prod(shape)) + 1) % classes).reshape(shape)


def normal(rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]], scale: float = 0.6) -> dict[str, Array]:
    return {name: rng.normal(size=shape) * scale for name, shape in shapes.items()}
