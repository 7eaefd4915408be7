"""Random right cases at smooth points: every primitive and functional, of random shapes, with moderate values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
from benchmarks.checker.case import Case, case
from tinynet import functional as F
from tinynet import primitives as P
from tinynet.primitives import TABLE

Random = np.random.Generator
Maker = Callable[[Random], Case]
AWAY = 0.01  # from a kink at least


def shape(rng: Random, least: int = 0, most: int = 3) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 5, rng.integers(least, most + 1)))


def numbers(rng: Random, *size: int) -> np.ndarray:
    return np.asarray(rng.uniform(-2, 2, size))


def positive(rng: Random, *size: int) -> np.ndarray:
    return np.asarray(rng.uniform(0.1, 3, size))


def nonzero(rng: Random, *size: int) -> np.ndarray:
    return np.asarray(rng.choice([-1, 1], size) * rng.uniform(AWAY, 2, size))


def apart(rng: Random, *size: int) -> np.ndarray:
    """All different, by ``AWAY`` at least."""
    count = int(np.prod(size))
    return rng.permutation((np.arange(count) - count / 2) * 3 * AWAY + rng.uniform(0, AWAY, count)).reshape(size)


def _pair(rng: Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast."""
    whole = shape(rng)
    a, b = (tuple(1 if rng.random() < 0.2 else n for n in whole) for _ in range(2))
    return (a, b[rng.integers(0, len(b) + 1) :]) if rng.random() < 0.5 else (a[rng.integers(0, len(a) + 1) :], b)


def unary(rng: Random) -> Case:
    name, draw = UNARY[rng.integers(len(UNARY))]
    return case(name, TABLE[name], draw(rng, *shape(rng)))


UNARY: list[tuple[str, Callable[..., np.ndarray]]] = [
    *((name, numbers) for name in ("negative", "exp", "tanh", "sigmoid", "erf", "sin", "cos")),
    *((name, positive) for name in ("log", "sqrt")),
    *((name, nonzero) for name in ("relu", "absolute")),
]


def binary(rng: Random) -> Case:
    name, (a, b) = str(rng.choice(["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])), _pair(rng)
    left, right = numbers(rng, *a), numbers(rng, *b)
    if name in ("maximum", "minimum"):
        both = apart(rng, left.size + right.size)
        left, right = both[: left.size].reshape(a), both[left.size :].reshape(b)
    elif name == "power":
        left = positive(rng, *a)
    elif name == "divide":
        right = rng.choice([-1, 1], b) * positive(rng, *b)
    return case(name, TABLE[name], left, right)


def chosen(rng: Random) -> Case:
    a, b = _pair(rng)
    condition = rng.random(np.broadcast_shapes(a, b)) < 0.5
    return case("where", lambda x, y: P.where(condition, x, y), numbers(rng, *a), numbers(rng, *b))


def reduced(rng: Random) -> Case:
    name, x = str(rng.choice(["sum", "max", "min", "mean"])), apart(rng, *shape(rng, 1))
    axis = None if rng.random() < 0.3 else int(rng.integers(x.ndim))
    if name == "mean":
        return case(f"mean, axis {axis}", lambda t: F.mean(t, axis), x)
    kept = bool(rng.random() < 0.5)
    return case(f"{name}, axis {axis}", lambda t: TABLE[name](t, axis=axis, keepdims=kept), x)


def moved(rng: Random) -> Case:
    x = numbers(rng, *shape(rng, 2))
    axes = tuple(int(a) for a in rng.permutation(x.ndim))
    flat, rows = (x.size,), rng.integers(0, x.shape[0], 3)
    ways: list[tuple[str, Callable[[Any], Any]]] = [
        ("transpose", lambda t: P.transpose(t, axes=axes)),
        ("reshape", lambda t: P.reshape(t, shape=flat)),
        ("flip", lambda t: P.flip(t, axis=axes[0])),
        ("pad", lambda t: P.pad(t, pad_width=((1, 2),) * x.ndim)),
        ("getitem", lambda t: t[::-1, 0]),
        ("getitem, rows", lambda t: P.getitem(t, index=rows)),
        ("take", lambda t: P.take(t, rows)),
        ("broadcast_to", lambda t: P.broadcast_to(t, shape=(2, *x.shape))),
        ("concatenate", lambda t: P.concatenate(t, 2 * t, axis=0)),
        ("stack", lambda t: F.stack([t, t])),
        ("gather", lambda t: P.take_along_axis(t, np.argsort(x, axis=0), axis=0)),
    ]
    name, function = ways[rng.integers(len(ways))]
    return case(name, function, x)


def products(rng: Random) -> Case:
    n, k, m = (int(size) for size in rng.integers(1, 5, 3))
    batch = shape(rng, 0, 1)
    if rng.random() < 0.5:
        return case("matmul", P.matmul, numbers(rng, *batch, n, k), numbers(rng, k, m))
    return case("linear", F.linear, numbers(rng, *batch, n, k), numbers(rng, m, k), numbers(rng, m))


def activation(rng: Random) -> Case:
    x = nonzero(rng, *shape(rng))
    ways: list[tuple[str, Callable[[Any], Any]]] = [
        ("leaky_relu", F.leaky_relu),
        ("elu", lambda t: F.elu(t, 0.7)),
        ("gelu", F.gelu),
        ("gelu, tanh", lambda t: F.gelu(t, "tanh")),
        ("softplus", F.softplus),
    ]
    name, function = ways[rng.integers(len(ways))]
    return case(name, function, x)


def softmax(rng: Random) -> Case:
    x = numbers(rng, *shape(rng, 1))
    dim = int(rng.integers(x.ndim))
    return case(f"softmax, dim {dim}", lambda t: F.softmax(t, dim), x)


def loss(rng: Random) -> Case:
    x = numbers(rng, *shape(rng, 2))
    target = rng.integers(0, x.shape[-1], x.shape[:-1])
    reduction = str(rng.choice(["mean", "sum", "none"]))
    if rng.random() < 0.6:
        return case(f"cross_entropy, {reduction}", lambda t: F.cross_entropy(t, target, reduction=reduction), x)
    return case(f"mse_loss, {reduction}", lambda a, b: F.mse_loss(a, b, reduction=reduction), x, numbers(rng, *x.shape))


def convolution(rng: Random) -> Case:
    n, c, o, k = (int(v) for v in rng.integers(1, 3, 4))
    stride, padding, size = int(rng.integers(1, 3)), int(rng.integers(0, 2)), int(rng.integers(3, 6))
    which = int(rng.integers(3))
    axes = 1 if which == 0 else 2
    name = ("conv1d", "conv2d", "conv_transpose2d")[which]
    kernel = (c, o) if which == 2 else (o, c)
    inputs = numbers(rng, n, c, *(size,) * axes), numbers(rng, *kernel, *(k,) * axes), numbers(rng, o)
    options = {"stride": stride, "padding": min(padding, k - 1)}
    return case(f"{name}, {options}", lambda *t: getattr(F, name)(*t, **options), *inputs)


def pooling(rng: Random) -> Case:
    axes, size = int(rng.integers(1, 3)), int(rng.integers(3, 6))
    kind = str(rng.choice(["max_pool", "avg_pool", "adaptive_avg_pool"]))
    k, stride = 2, int(rng.integers(1, 3))
    x = apart(rng, int(rng.integers(1, 3)), int(rng.integers(1, 3)), *(size,) * axes)
    function = getattr(F, f"{kind}{axes}d")
    options = () if kind.startswith("adaptive") else (stride,)
    return case(f"{kind}{axes}d, {k} {options}", lambda t: function(t, k, *options), x)


def normalised(rng: Random) -> Case:
    n, c = int(rng.integers(3, 6)), int(rng.integers(2, 5))
    x = numbers(rng, n, c)
    kind = str(rng.choice(["layer_norm", "batch_norm, training", "batch_norm"]))
    if kind == "layer_norm":
        return case(kind, lambda t, w, b: F.layer_norm(t, c, w, b), x, numbers(rng, c), numbers(rng, c))
    training = kind == "batch_norm, training"
    mean, var = (None, None) if training else (tn.Tensor(numbers(rng, c)), tn.Tensor(positive(rng, c)))

    def function(t, w, b):
        return F.batch_norm(t, mean, var, w, b, training)

    return case(kind, function, x, numbers(rng, c), numbers(rng, c))


def recurrent(rng: Random) -> Case:
    kind = str(rng.choice(["lstm", "gru", "rnn"]))
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    t, n, i, h = (int(v) for v in rng.integers(1, 4, 4))
    states = [numbers(rng, n, h) for _ in range(2 if kind == "lstm" else 1)]
    weights = [numbers(rng, gates * h, i), numbers(rng, gates * h, h), numbers(rng, gates * h), numbers(rng, gates * h)]
    return case(kind, lambda *tensors: getattr(F, kind)(*tensors)[0], numbers(rng, t, n, i), *states, *weights)


def network(rng: Random) -> Case:
    """Two layers and a loss."""
    n, i, h, c = (int(v) for v in rng.integers(2, 5, 4))
    target, act = rng.integers(0, c, n), [F.tanh, F.sigmoid, F.gelu, F.softplus][rng.integers(4)]

    def function(x, v, a, w, b):
        return F.cross_entropy(F.linear(act(F.linear(x, v, a)), w, b), target)

    inputs = (numbers(rng, n, i), numbers(rng, h, i), numbers(rng, h), numbers(rng, c, h), numbers(rng, c))
    return case(f"network with {act.__name__}", function, *inputs)


def chain(rng: Random) -> Case:
    """Several smooth functions, one after the other."""
    chosen = rng.integers(0, len(STEPS), 4)

    def function(t):
        for k in chosen:
            t = STEPS[k](t)
        return t

    return case("chain", function, numbers(rng, *shape(rng)))


STEPS: list[Callable[[Any], Any]] = [
    *(P.tanh, P.sigmoid, P.erf),
    lambda t: t * t,
    lambda t: P.sqrt(1 + t * t),
    lambda t: P.exp(-t * t),
]
MAKERS: list[Maker] = [
    *(unary, unary, binary, binary, chosen, reduced, moved, products, activation, softmax, loss, normalised, chain),
    *(unary, binary, reduced, moved, products, activation, softmax, loss, chain, convolution, pooling),
    *(recurrent, network),
]
