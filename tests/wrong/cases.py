"""Every bug on data that shows it, and right computations that differ in nothing but rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.wrong.adam import adam
from tests.wrong.bug import Bug
from tests.wrong.bugs import BUGS
from tests.wrong.convolution import conv_net
from tests.wrong.data import GATES, data
from tests.wrong.mlp import mlp
from tests.wrong.network import Array, Numbers
from tests.wrong.recurrent import gru, lstm, rnn

NETWORKS: dict[str, Callable[..., Numbers]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "mlp": mlp,
    "conv_net": conv_net,
    "adam": adam,
}


def cases(seeds: tuple[int, ...] = (0,)) -> Iterator[tuple[str, Bug, dict[str, Any]]]:
    """(network, bug, arguments) for every bug and seed; a seed also chooses the sizes of a recurrent net."""
    for bug in BUGS:
        for seed in seeds:
            yield bug.network, bug, data(bug.network, bug.data, seed)


def first_difference(right: Numbers, wrong: Numbers, tolerance: float = 1e-12) -> str | None:
    """The first cell, in the order of computation, that is not the same; a NaN differs from every number."""
    for name, cell in right.cells.items():
        if not np.all(np.abs(wrong.cells[name] - cell) <= tolerance):
            return name
    return None


# Right, though not to the last digit


class ByLoops(np.ndarray):
    """An array whose matrix products are loops over the numbers that they add."""

    def __matmul__(self, other: Any) -> Array:
        return self._added(range(self.shape[1]), np.asarray(other))

    def _added(self, order: Any, other: Array) -> Array:
        total = np.zeros((self.shape[0], other.shape[1]), self.dtype)
        for k in order:
            total = total + np.multiply.outer(np.asarray(self)[:, k], other[k])
        return total.view(type(self))


class Reversed(ByLoops):
    """An array whose sums and matrix products add the last number first."""

    def __matmul__(self, other: Any) -> Array:
        return self._added(reversed(range(self.shape[1])), np.asarray(other))

    def sum(self, axis: Any = None, **options: Any) -> Any:  # type: ignore[override]
        return np.flip(np.asarray(self), axis).sum(axis=axis, **options).view(type(self))


@dataclass(frozen=True)
class Variant:
    """A right computation that rounds in another way: no tool should call it wrong."""

    id: str
    what: str
    edits: Mapping[str, Any] = field(default_factory=dict)
    dtype: Any = np.float64
    data: str = "plain"
    networks: tuple[str, ...] = tuple(NETWORKS)


def kept_as(kind: type[np.ndarray]) -> dict[str, Any]:
    return {"array": lambda net, right, numbers: right(numbers).view(kind)}


def softmax_of_logarithms(net: Any, right: Any, logits: Array) -> Array:
    largest = logits.max(axis=1, keepdims=True)
    return np.exp(logits - (np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)) + largest))


RECURRENT = tuple(GATES)
CLASSIFIERS = (*RECURRENT, "mlp", "conv_net")
VARIANTS = [
    Variant("by-loops", "Matrix products are loops.", kept_as(ByLoops), networks=CLASSIFIERS),
    Variant(
        "reversed",
        "Every sum, that over the batch too, adds the last number first.",
        kept_as(Reversed),
        networks=CLASSIFIERS,
    ),
    Variant(
        "forward-in-time",
        "The gradients of the weights add the first step first.",
        {"summed": lambda net, right, shares: right(list(shares)[::-1])},
        networks=(*RECURRENT, "conv_net"),
    ),
    Variant(
        "softmax-of-logarithms",
        "p = e^(logit − ln Σ e^logit).",
        {"softmax": softmax_of_logarithms},
        networks=CLASSIFIERS,
    ),
    Variant(
        "sigmoid-by-tanh",
        "σ(z) = (1 + tanh(z / 2)) / 2.",
        {"sigmoid": lambda net, right, z: (1 + np.tanh(z / 2)) / 2},
        networks=("lstm", "gru"),
    ),
    Variant(
        "slopes-by-cosh",
        "tanh′(z) = 1 / cosh²(z).",
        {"tanh_slope": lambda net, right, quantity, y, z: 1 / np.cosh(z) ** 2},
        networks=(*RECURRENT, "mlp"),
    ),
    Variant("float32", "All numbers are float32.", dtype=np.float32),
    Variant(
        "float32-reversed",
        "All numbers are float32, and sums run backwards.",
        kept_as(Reversed),
        np.float32,
        networks=CLASSIFIERS,
    ),
    Variant("float32-long", "All numbers are float32, for 50 steps.", {}, np.float32, "long", RECURRENT),
]


def variants(seeds: tuple[int, ...] = (0,)) -> Iterator[tuple[str, Variant, dict[str, Any]]]:
    """(network, variant, arguments): to be run with ``bug=variant, dtype=variant.dtype``."""
    for variant in VARIANTS:
        for network in variant.networks:
            for seed in seeds:
                yield network, variant, data(network, variant.data, seed)
