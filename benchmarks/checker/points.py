"""Points at which every primitive is checked: shapes square and not, broadcast, of size 1, and none; on no kink."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checker.case import Case, case
from tinynet import primitives as P
from tinynet.primitives import TABLE

RNG = np.random.default_rng(5)


def numbers(*shape: int) -> np.ndarray:
    """Between -2 and 2, none near 0, all different."""
    size = int(np.prod(shape))
    grid = (np.arange(size) - size // 2 + 0.5) * (4 / max(size, 4)) + 0.05 * RNG.uniform(size=size)
    return RNG.permutation(grid).reshape(shape)


def positive(*shape: int) -> np.ndarray:
    return RNG.uniform(0.4, 2.5, shape)


def of(primitive: str, *inputs: Any, **arguments: Any) -> Case:
    options = "".join(f", {key}={value}" for key, value in arguments.items())
    return case(f"{primitive}{options}", lambda *tensors: TABLE[primitive](*tensors, **arguments), *inputs)


SHAPES: list[tuple[int, ...]] = [(3,), (2, 3), (3, 3), (), (2, 2, 3), (1, 3), (5, 4)]
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)),
    ((3, 3), (3, 3)),
    ((2, 3), (3,)),
    ((2, 1), (2, 3)),
    ((), (2, 2)),
    ((3, 1), (1, 2)),
    ((2, 3), ()),
    ((3,), (3, 3)),
    ((1,), (1, 1)),
    ((2, 1, 3), (3, 1)),
]
CHOICE = np.array([[True, False, True], [False, False, True], [True, True, False]])
INDEX = np.array([2, 0, 2])
PLACES = np.array([[0, 2], [1, 1], [2, 0]])
PATHS: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1)}
DILATED: dict[str, Any] = {"stride": (3, 1), "dilation": (2, 3)}


def _elementwise() -> list[Case]:
    unary = ("negative", "exp", "tanh", "sigmoid", "erf", "relu", "absolute")
    binary = ("add", "subtract", "multiply", "maximum", "minimum")
    return [
        *(of(name, numbers(*shape)) for name in unary for shape in SHAPES),
        *(of(name, positive(*shape)) for name in ("log", "sqrt") for shape in SHAPES),
        *(of(name, numbers(*a), numbers(*b) + 0.03) for name in binary for a, b in PAIRS),
        *(of("divide", numbers(*a), np.sign(numbers(*b)) * positive(*b)) for a, b in PAIRS),
        *(of("power", positive(*a), numbers(*b)) for a, b in PAIRS),
        *(case(f"power {p}", lambda x, p=p: x**p, positive(3)) for p in (0, 1, 2, 3, -1, 0.5)),
        *(case(f"{p} to a power", lambda x, p=p: p**x, numbers(3)) for p in (0.5, 2.0)),
        case("where, square", lambda a, b: P.where(CHOICE, a, b), numbers(3, 3), numbers(3, 3)),
        case("where, broadcast", lambda a, b: P.where(CHOICE[:2], a, b), numbers(2, 1), numbers(3)),
        case("where, numbers", lambda a, b: P.where(CHOICE, a, b), numbers(), numbers(3, 3)),
    ]


def _reductions() -> list[Case]:
    axes = (None, 0, 1, -1, (0, 2), (-1, 0), ())
    shapes = ((2, 3, 4), (3, 3, 3), (1, 2, 2))
    return [
        *(
            of(name, numbers(*shape), axis=axis, keepdims=kept)
            for name in ("sum", "max", "min")
            for axis in axes
            for shape in shapes
            for kept in (False, True)
        ),
        of("sum", numbers(), axis=None, keepdims=False),
    ]


def _contractions() -> list[Case]:
    pairs = (
        ((2, 3), (3, 4)),
        ((3, 3), (3, 3)),
        ((1, 1), (1, 3)),
        ((2, 2, 3), (2, 3, 2)),
        ((2, 3, 2, 3), (3, 4)),
        ((3, 3, 3), (3, 3)),
        ((2, 3), (2, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)),
    )
    return [
        *(of("matmul", numbers(*a), numbers(*b)) for a, b in pairs),
        of("correlate", numbers(2, 2, 3, 4), numbers(3, 2, 2, 3), stride=(1, 1), groups=1),
        of("correlate", numbers(2, 2, 3, 3), numbers(2, 2, 2, 2), stride=(1, 1), groups=1),
        of("correlate", numbers(1, 2, 6, 4), numbers(2, 2, 2, 1), stride=(3, 2), groups=1),
        of("correlate", numbers(1, 1, 5, 5), numbers(1, 1, 3, 3), stride=(2, 2), groups=1),
        of("correlate", numbers(2, 4, 3, 3), numbers(2, 2, 2, 2), stride=(1, 2), groups=2),
        of("correlate", numbers(2, 2, 5), numbers(2, 1, 2), stride=(2,), groups=2),
        of("correlate", numbers(2, 2, 2, 2), numbers(2, 2, 2, 2), stride=(1, 1), groups=1),
        of("correlate", numbers(2, 3, 2), numbers(2, 3, 1), stride=(1,), groups=1),
    ]


def _structural() -> list[Case]:
    return [
        of("transpose", numbers(2, 3, 4), axes=(2, 1, 0)),
        of("transpose", numbers(2, 3, 4), axes=(1, 2, 0)),
        of("transpose", numbers(3, 3, 3), axes=(1, 2, 0)),
        of("transpose", numbers(3, 3), axes=(1, 0)),
        of("reshape", numbers(3, 4), shape=(2, 6)),
        of("reshape", numbers(3, 3), shape=(9,)),
        of("reshape", numbers(2, 2), shape=(1, 2, 2)),
        of("reshape", numbers(1, 1), shape=()),
        of("broadcast_to", numbers(4), shape=(2, 3, 4)),
        of("broadcast_to", numbers(3), shape=(3, 3)),
        of("broadcast_to", numbers(3, 1), shape=(3, 4)),
        of("broadcast_to", numbers(), shape=(2, 2)),
        of("getitem", numbers(4, 5), index=(slice(1, 4, 2), slice(None, None, -1))),
        of("getitem", numbers(3, 3), index=(slice(None, None, -1), slice(1, None))),
        of("getitem", numbers(3, 4), index=-1),
        of("getitem", numbers(3, 3), index=INDEX),
        of("getitem", numbers(3, 4), index=(INDEX, np.array([1, 3, 1]))),
        of("scatter", numbers(2, 5), index=slice(1, 5, 2), shape=(5, 5)),
        of("scatter", numbers(3, 3), index=INDEX, shape=(4, 3)),
        of("flip", numbers(3, 4), axis=-1),
        of("flip", numbers(3, 3), axis=0),
        of("flip", numbers(3, 3, 2), axis=(0, 1)),
        of("pad", numbers(3, 4), pad_width=((1, 0), (2, 3))),
        of("pad", numbers(3, 3), pad_width=((0, 2), (2, 0))),
        of("concatenate", numbers(3, 4), numbers(2, 4), axis=0),
        of("concatenate", numbers(3, 3), numbers(3, 3), numbers(3, 3), axis=1),
        of("concatenate", numbers(3, 4), numbers(3, 1), numbers(3, 2), axis=-1),
        of("windows", numbers(1, 2, 3, 4), size=(2, 3), **PATHS),
        of("windows", numbers(1, 2, 4, 4), size=(2, 2), **PATHS),
        of("windows", numbers(2, 1, 6, 4), size=(2, 2), **DILATED),
        of("windows", numbers(1, 2, 5), size=(2,), stride=(2,), dilation=(2,)),
        of("fold", numbers(1, 2, 2, 2, 6), shape=(1, 2, 3, 4), size=(2, 3), **PATHS),
        of("fold", numbers(1, 1, 2, 1, 4), shape=(1, 1, 6, 4), size=(2, 2), **DILATED),
        of("fold", numbers(1, 2, 2, 2), shape=(1, 2, 6), size=(2,), stride=(3,), dilation=(1,)),
    ]


def _indexed() -> list[Case]:
    return [
        case("take", lambda x: P.take(x, PLACES), numbers(3, 4)),
        case("take", lambda x: P.take(x, INDEX), numbers(3, 3)),
        case("take, one row", lambda x: P.take(x, np.array(1)), numbers(3, 4)),
        case("put", lambda x: P.put(x, INDEX, size=4), numbers(3, 4)),
        case("put", lambda x: P.put(x, INDEX, size=3), numbers(3, 3)),
        case("put, pairs", lambda x: P.put(x, PLACES, size=3), numbers(3, 2, 2)),
        case("take_along_axis", lambda x: P.take_along_axis(x, PLACES, axis=1), numbers(3, 4)),
        case("take_along_axis", lambda x: P.take_along_axis(x, PLACES, axis=0), numbers(3, 2)),
        case("take_along_axis, square", lambda x: P.take_along_axis(x, PLACES, axis=1), numbers(3, 3)),
        case("put_along_axis", lambda x: P.put_along_axis(x, PLACES, axis=1, size=5), numbers(3, 2)),
        case("put_along_axis", lambda x: P.put_along_axis(x, PLACES, axis=0, size=3), numbers(3, 2)),
    ]


POINTS = [*_elementwise(), *_reductions(), *_contractions(), *_structural(), *_indexed()]


def points(primitive: str) -> list[Case]:
    """Those of one primitive."""
    own = [point for point in POINTS if point.name.split(",")[0].split(" ")[0] == primitive]
    return [*own, *(point for point in POINTS if primitive == "power" and "to a power" in point.name)]
