"""Random right cases of awkward numbers: tiny, huge, mixed, float32, cancelling, ill-conditioned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.checker import smooth
from benchmarks.checker.case import Case, case, forward
from benchmarks.checker.smooth import Maker, Random, numbers, shape
from tinynet import functional as F
from tinynet import primitives as P

MAGNITUDES = (1e-310, 1e-300, 1e-150, 1e-12, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e12, 1e150)


def sized(rng: Random, *size: int) -> np.ndarray:
    """Of one awkward magnitude, or of several in one array."""
    scale = rng.choice(MAGNITUDES, size) if rng.random() < 0.4 else float(rng.choice(MAGNITUDES))
    return np.asarray(rng.uniform(0.3, 2, size) * rng.choice([-1, 1], size) * scale)


def small(rng: Random, *size: int) -> np.ndarray:
    return 10.0 ** rng.uniform(-300, -1, size) if rng.random() < 0.5 else 10.0 ** rng.uniform(-12, -1, size)


SIZED: list[tuple[str, Callable[..., Any]]] = [
    ("negative", P.negative),
    ("tanh", P.tanh),
    ("sigmoid", P.sigmoid),
    ("erf", P.erf),
    ("relu", P.relu),
    ("absolute", P.absolute),
    ("square", lambda t: t * t),
    ("sum", lambda t: t.sum()),
    ("mean", F.mean),
    ("softplus", F.softplus),
    ("elu", F.elu),
    ("softmax", lambda t: F.softmax(P.reshape(t, shape=(-1,)))),
    ("max", lambda t: t.max()),
    ("leaky_relu", F.leaky_relu),
]
ILL: list[tuple[str, Callable[..., Any], Callable[..., np.ndarray]]] = [
    ("log", P.log, small),
    ("sqrt", P.sqrt, small),
    ("1 / x", lambda t: 1 / t, lambda rng, *size: 10.0 ** rng.uniform(-12, -1, size)),
    ("x ** 0.5", lambda t: t**0.5, small),
    ("x ** -1", lambda t: t**-1, lambda rng, *size: 10.0 ** rng.uniform(-12, -1, size)),
    ("x ** 3", lambda t: t**3, small),
    ("x ** 1.5", lambda t: t**1.5, small),
    ("exp", P.exp, lambda rng, *size: rng.uniform(20, 700, size)),
    ("exp", P.exp, lambda rng, *size: rng.uniform(-700, -20, size)),
    ("sigmoid", P.sigmoid, lambda rng, *size: rng.uniform(-700, 700, size)),
    ("softmax", lambda t: F.softmax(P.reshape(t, shape=(-1,))), lambda rng, *size: rng.uniform(-700, 700, size)),
    ("log of softmax", lambda t: P.log(F.softmax(P.reshape(t, shape=(-1,)))), lambda rng, *s: rng.uniform(-30, 30, s)),
    ("gelu", F.gelu, lambda rng, *size: rng.uniform(-30, 30, size)),
    ("tanh", P.tanh, lambda rng, *size: rng.uniform(-30, 30, size)),
]
CANCELLING: list[tuple[str, Callable[..., Any]]] = [
    ("(x + 1e8) - 1e8", lambda t: (t + 1e8) - 1e8),
    ("(x + 1e12) - 1e12", lambda t: (t + 1e12) - 1e12),
    ("(1 + x)² - 1 - 2x", lambda t: (1 + 1e-4 * t) ** 2 - 1 - 2e-4 * t),
    ("exp(x) - 1 - x", lambda t: P.exp(1e-3 * t) - 1 - 1e-3 * t),
    ("variance about 1e6", lambda t: F.mean((t + 1e6 - F.mean(t + 1e6)) ** 2)),
    ("1e10 x - 1e10 tanh x", lambda t: 1e10 * (1e-2 * t) - 1e10 * P.tanh(1e-2 * t)),
    ("sqrt(x² + 1e16) - 1e8", lambda t: P.sqrt(t * t + 1e16) - 1e8),
    ("sin-like product", lambda t: (t - 1) * (t + 1) - t * t),
    ("1 - sigmoid(20 + x)", lambda t: 1 - P.sigmoid(20 + t)),
    ("sum beside 1e12", lambda t: P.tanh(t).sum() + 1e12),
]


def magnitudes(rng: Random) -> Case:
    name, function = SIZED[rng.integers(len(SIZED))]
    return case(name, function, sized(rng, *shape(rng)))


def pairs(rng: Random) -> Case:
    size, name = shape(rng), str(rng.choice(["add", "subtract", "multiply", "divide", "maximum"]))
    return case(name, getattr(P, name), sized(rng, *size), sized(rng, *size))


def products(rng: Random) -> Case:
    n, k, m = (int(v) for v in rng.integers(1, 4, 3))
    return case("matmul", P.matmul, sized(rng, n, k), sized(rng, k, m))


def ill_conditioned(rng: Random) -> Case:
    name, function, draw = ILL[rng.integers(len(ILL))]
    return case(name, function, np.asarray(draw(rng, *shape(rng))))


def cancelling(rng: Random) -> Case:
    name, function = CANCELLING[rng.integers(len(CANCELLING))]
    return case(name, function, numbers(rng, *shape(rng)))


def saturated_loss(rng: Random) -> Case:
    n, c = (int(v) for v in rng.integers(1, 5, 2))
    target = rng.integers(0, c, n)
    return case("cross_entropy", lambda t: F.cross_entropy(t, target), rng.uniform(-700, 700, (n, c)))


def normalised(rng: Random) -> Case:
    n, c = (int(v) for v in rng.integers(2, 5, 2))
    x = sized(rng, n, c) if rng.random() < 0.5 else numbers(rng, n, c) + 10.0 ** rng.uniform(1, 8)
    return case("layer_norm", lambda t: F.layer_norm(t, c), x)


def float32(rng: Random) -> Case:
    return smooth.MAKERS[rng.integers(len(smooth.MAKERS))](rng).single()


DRAWN: list[Maker] = [
    *(magnitudes, magnitudes, magnitudes, pairs, pairs, products, ill_conditioned, ill_conditioned, ill_conditioned),
    *(cancelling, cancelling, saturated_loss, normalised, float32, float32),
]


def finite(rng: Random) -> Case:
    """One of them, of which the function is finite: elsewhere there is nothing to check."""
    while True:
        drawn = DRAWN[rng.integers(len(DRAWN))](rng)
        with np.errstate(all="ignore"):
            if np.all(np.isfinite(forward(drawn, drawn.inputs))):
                return drawn


MAKERS: list[Maker] = [finite]
