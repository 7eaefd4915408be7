"""Random right cases at kinks, ties and jumps, and near them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
from benchmarks.checker.case import Case, case
from benchmarks.checker.smooth import Maker, Random, numbers, shape
from tinynet import functional as F
from tinynet import primitives as P


def near(rng: Random, *size: int) -> np.ndarray:
    """At 0, near it, and anywhere else, mixed in one array, or all of one kind."""
    distance = 10.0 ** rng.uniform(-15, -1, size) * rng.choice([-1, 1], size)
    kinds = rng.choice(3, size, p=rng.dirichlet([0.5, 0.5, 0.5]))
    return np.choose(kinds, [np.zeros(size), distance, rng.uniform(-2, 2, size)])


def near_a_tie(rng: Random, *size: int) -> np.ndarray:
    """Few different numbers, each of them moved by next to nothing or by nothing."""
    return rng.integers(-1, 2, size) + near(rng, *size) * (rng.random(size) < 0.5) * 0.1


def _threshold(t: tn.Tensor) -> tn.Tensor:
    return P.where(t > 0, t + 1, 0.5 * t)


def _hinge(t: tn.Tensor) -> tn.Tensor:
    return P.relu(1 - (t + 1) * 1.0)


def _clipped(t: tn.Tensor) -> tn.Tensor:
    return F.minimum(F.maximum(t, -1.0), 1.0)


POINTWISE: list[tuple[str, Callable[[Any], Any]]] = [
    ("relu", P.relu),
    ("absolute", P.absolute),
    ("leaky_relu", F.leaky_relu),
    ("elu, 0.7", lambda t: F.elu(t, 0.7)),
    ("where, a jump of 1", _threshold),
    ("hinge", _hinge),
    ("relu squared", lambda t: P.relu(t) ** 2),
    ("relu cubed", lambda t: P.relu(t) ** 3),
    ("t times its size", lambda t: t * P.absolute(t)),
    ("relu, then sum", lambda t: P.relu(t).sum()),
    ("absolute, then tanh", lambda t: P.tanh(P.absolute(t))),
    ("softplus, at its threshold", lambda t: F.softplus(t + 20)),
    ("square", lambda t: t**2),
    ("small kink beside a large number", lambda t: 1e-3 * P.relu(t) + 10 * t),
    ("relu of relu", lambda t: P.relu(1 - P.relu(t))),
]


def pointwise(rng: Random) -> Case:
    name, function = POINTWISE[rng.integers(len(POINTWISE))]
    return case(name, function, near(rng, *shape(rng)))


def clipped(rng: Random) -> Case:
    return case("clip", _clipped, rng.choice([-1, 1]) + near(rng, *shape(rng)))


def pairs(rng: Random) -> Case:
    x = near_a_tie(rng, *shape(rng))
    y = np.where(rng.random(x.shape) < 0.5, x, near_a_tie(rng, *x.shape))
    name = str(rng.choice(["maximum", "minimum"]))
    return case(name, getattr(F, name), x, y)


def reduced(rng: Random) -> Case:
    x, name = near_a_tie(rng, *shape(rng, 1)), str(rng.choice(["max", "min"]))
    axis = None if rng.random() < 0.4 else int(rng.integers(x.ndim))
    return case(f"{name}, axis {axis}", lambda t: getattr(P, name)(t, axis=axis, keepdims=False), x)


def pooled(rng: Random) -> Case:
    axes = int(rng.integers(1, 3))
    x = near_a_tie(rng, 1, int(rng.integers(1, 3)), *(int(rng.integers(3, 6)),) * axes)
    function, stride = getattr(F, f"max_pool{axes}d"), int(rng.integers(1, 3))
    return case(f"max_pool{axes}d, 2, stride {stride}", lambda t: function(t, 2, stride), x)


def rectified_rnn(rng: Random) -> Case:
    t, n, i, h = (int(v) for v in rng.integers(1, 4, 4))
    x, weights = near(rng, t, n, i), (numbers(rng, h, i), numbers(rng, h, h), np.zeros(h), np.zeros(h))
    return case("rnn, relu", lambda *a: F.rnn(*a, nonlinearity="relu")[0], x, np.zeros((n, h)), *weights)


def rectified_layer(rng: Random) -> Case:
    n, i, h = (int(v) for v in rng.integers(1, 5, 3))
    inputs = near(rng, n, i), numbers(rng, h, i), near(rng, h)
    return case("linear and relu", lambda *a: P.relu(F.linear(*a)).sum(), *inputs)


MAKERS: list[Maker] = [
    *((pointwise,) * 6 + (pairs,) * 3 + (reduced,) * 3),
    *(clipped, pooled, rectified_layer, rectified_rnn),
]
