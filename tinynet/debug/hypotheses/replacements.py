"""What a value may be replaced by: a function or a multiple of itself, other axes, other blocks of gates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, permutations
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses.base import Facts, times
from tinynet.debug.program import Plain
from tinynet.debug.windows.axes import reordered
from tinynet.run import Value

Found = Iterator[tuple[str, Plain]]
Shape = tuple[int, ...]


def functions() -> dict[str, Plain]:
    """What a number may be passed through by mistake: {how it is written: function}."""
    return {
        "σ({})": P.sigmoid,
        "tanh({})": P.tanh,
        "relu({})": P.relu,
        "1 − {}": lambda x: 1 - x,
        "{0}·(1 − {0})": lambda x: x * (1 - x),
        "1 − {}²": lambda x: 1 - x * x,
        "{}²": lambda x: x * x,
        "σ({0})·(1 − σ({0}))": lambda x: P.sigmoid(x) * (1 - P.sigmoid(x)),
        "1 − tanh²({})": lambda x: 1 - P.tanh(x) * P.tanh(x),
        "[{} > 0]": lambda x: P.where(x > 0, 1.0, 0 * x),
        "[{} ≥ 0]": lambda x: P.where(x >= 0, 1.0, 0 * x),
        "√{}": lambda x: P.sqrt(P.absolute(x)),
        "1 / {}": lambda x: 1 / x,
        "exp({})": P.exp,
        "ln({})": P.log,
        "the largest of {} everywhere (as if it masked nothing)": lambda x: 0 * x + float(np.max(_numbers(x))),
        "{} the other way round (1 for 0)": lambda x: float(np.max(_numbers(x))) - x,
    }


def softmax(x: Any, axis: int) -> Any:
    """The softmax along an axis, of an array or a Tensor."""
    e = P.exp(x - np.max(_numbers(x), axis=axis, keepdims=True))
    return e / P.sum(e, axis=axis, keepdims=True)


def _numbers(x: Any) -> np.ndarray:
    return np.asarray(getattr(x, "data", x))


def taken(x: Any, axis: int, places: np.ndarray) -> Any:
    """The numbers at some places along an axis."""
    return P.getitem(x, index=(slice(None),) * axis + (places,))


def likely(facts: Facts, value: Value, said: str) -> Found:
    """What a value is easily replaced by: nothing, a multiple, a function of itself."""
    kind = value.array.dtype.kind
    if kind == "f":
        yield from scaled(facts, said)
        for how, function in functions().items():
            yield f"{how.format(said)} is used where {said} belongs", function
    elif kind == "b":
        yield f"{said} is left out, as if it held everywhere", lambda x: P.equal(x, x)
        yield f"{said} is the wrong way round", lambda x: P.equal(x, 0)
    else:
        yield from _counted(said)


def _counted(said: str) -> Found:
    """Places and lengths: counted from the wrong end, or all taken to be alike."""
    yield f"{said} is one too large", lambda x: x + 1
    yield f"{said} is one too small", lambda x: x - 1
    for word, one in (("largest", np.max), ("mean", np.mean)):
        yield f"the {word} of {said} is used for each", lambda x, f=one: np.full(x.shape, f(_numbers(x)))


def rarely(facts: Facts, value: Value, said: str) -> Found:
    """The same numbers in other places, or a part of them changed."""
    yield from _axes(value.shape, said)
    if len(value.shape) > 2:
        yield from _in_other_order(value.shape, said)
    if value.array.dtype.kind == "f":
        pieces = facts.pieces.get(value.index, [])
        for name, index in pieces:
            yield from _of_piece(name, value.shape, index)
            yield from _for_others(name, value.shape, index, [piece for piece in pieces if piece[0] != name])
        yield from orders(facts, value, said, (0, len(value.shape) - 1))


def scaled(facts: Facts, said: str) -> Found:
    """Nothing, one, or a multiple."""
    yield f"{said} is left out (0 in its place)", lambda x: 0 * x
    yield f"{said} is left out as a factor (1 in its place)", lambda x: 0 * x + 1
    yield f"{said} is counted twice", lambda x: 2 * x
    yield f"{said} has the wrong sign", lambda x: -x
    for label, factor in facts.constants.items():
        yield f"{said} is multiplied by {times(label, factor)}", lambda x, c=factor: c * x
        yield f"{said} is divided by {times(label, factor)}", lambda x, c=factor: x / c


# Axes
def _axes(shape: Shape, said: str) -> Found:
    """The numbers along one axis in other places, and two axes for each other."""
    for axis in range(len(shape)):
        if shape[axis] > 1:
            yield f"{said} is reversed along axis {axis}", lambda x, a=axis: P.flip(x, axis=a)
            for by in (1, -1):
                yield (
                    f"{said} is shifted by {by:+d} along axis {axis}",
                    lambda x, a=axis, b=by, n=shape[axis]: taken(x, a, (np.arange(n) - b) % n),
                )
            yield from _along(axis, shape, said)
    if len(shape) == 1 < shape[0]:
        yield f"{said} is spread along the other axis, as a column", lambda x: P.reshape(x, shape=(-1, 1))
    if len(shape) > 1 and min(shape[-2:]) == 1 < max(shape[-2:]):
        yield f"{said} is spread along the other axis", P.swap_last_axes
    for a in range(len(shape)):
        for b in range(a + 1, len(shape)):
            axes = list(range(len(shape)))
            axes[a], axes[b] = axes[b], axes[a]
            if shape[a] == shape[b] > 1:
                text = f"{said} is transposed" if len(shape) == 2 else f"axes {a} and {b} of {said} are swapped"
                yield text, lambda x, order=tuple(axes): P.transpose(x, axes=order)
            if shape[a] > 1 and shape[b] > 1:
                yield (
                    f"{said} is reshaped where its transpose is meant",
                    lambda x, order=tuple(axes), s=shape: P.reshape(P.transpose(x, axes=order), shape=s),
                )


def _in_other_order(shape: Shape, said: str) -> Found:
    """The axes lie in another order, and are only given the right shape."""
    for label, change, _ in reordered(shape, f"the numbers of {said}"):
        yield label, change


def _along(axis: int, shape: Shape, said: str) -> Found:
    """The first or the last along an axis is all that is used, or is left out; the mean is taken off."""
    n = shape[axis]
    for which, place in (("first", 0), ("last", n - 1)):
        mask = np.zeros([n if a == axis else 1 for a in range(len(shape))])
        mask[(slice(None),) * axis + (place,)] = 1
        yield (
            f"only the {which} of {said} along axis {axis} is used, for all",
            lambda x, p=place: taken(x, axis, np.full(n, p)),
        )
        yield f"only the {which} of {said} along axis {axis} counts, the rest is 0", lambda x, m=mask: x * m
        yield f"the {which} of {said} along axis {axis} is left out", lambda x, m=mask: x * (1 - m)
    yield (
        f"{said} with its mean along axis {axis} taken off is used",
        lambda x: x - P.sum(x, axis=axis, keepdims=True) / n,
    )


# Gates
def _of_piece(name: str, shape: Shape, index: Any) -> Found:
    """One named part of a leaf is changed."""
    changes: list[tuple[str, Plain]] = [
        (f"{name} is missing (0 in its place)", lambda x: 0 * x),
        (f"{name} is counted twice", lambda x: 2 * x),
        (f"{name} has the wrong sign", lambda x: -x),
        (f"1 is added to {name}", lambda x: x + 1),
    ]
    rows = np.zeros(shape)[index].shape
    if len(rows) == 2 and rows[0] == rows[1] > 1:
        changes.append((f"{name} is transposed", lambda x: P.transpose(x, axes=(1, 0))))
    for label, change in changes:
        yield (
            label,
            lambda x, f=change, i=index, s=shape: (
                x + P.scatter(f(P.getitem(x, index=i)) - P.getitem(x, index=i), index=i, shape=s)
            ),
        )


def _for_others(name: str, shape: Shape, index: Any, pieces: list[tuple[str, Any]]) -> Found:
    """One named part of a leaf is used for other parts of it as well."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    alike = [(other, there) for other, there in pieces if numbers[there].shape == numbers[index].shape]
    for some in chain.from_iterable(combinations(alike, n + 1) for n in range(len(alike))):
        places = numbers.copy()
        for _, there in some:
            places[there] = numbers[index]
        belong = " and ".join(other for other, _ in some) + (" belongs" if len(some) == 1 else " belong")
        yield f"{name} is used where {belong}", lambda x, p=places.reshape(-1): _from_places(x, p, shape)  # noqa: B008


def _from_places(x: Any, places: np.ndarray, shape: Shape) -> Any:
    return P.reshape(P.getitem(P.reshape(x, shape=(-1,)), index=places), shape=shape)


def orders(facts: Facts, value: Value, said: str, axes: tuple[int, ...]) -> Found:
    """Blocks of gates along one of ``axes`` in another order, one of them missing, all of them transposed."""
    blocks, shape = facts.gates, value.shape
    for axis, size in enumerate(shape):
        if blocks < 2 or size % blocks or size == blocks or axis not in axes:
            continue
        names = facts.gate_names()
        yield from _permuted(names, axis, size, said)
        yield from _of_gate(names, axis, shape, said)
        if len(shape) == 2 and shape[1 - axis] == size // blocks > 1:
            parts = np.split(np.arange(shape[0] * shape[1]).reshape(shape), blocks, axis=axis)
            places = np.concatenate([part.T for part in parts], axis=axis).reshape(-1)
            yield (
                f"{said} is transposed, gate by gate",
                lambda x, p=places, s=shape: _from_places(x, p, s),
            )


def _permuted(names: list[str], axis: int, size: int, said: str) -> Found:
    """The gates in every other order, and interleaved."""
    blocks, block = len(names), size // len(names)
    for order in permutations(range(blocks)):
        if list(order) != sorted(order):
            rows = np.concatenate([np.arange(block) + b * block for b in order])
            read = ", ".join(names[b] for b in order)
            text = f"the gates of {said} are in the order {read} instead of {', '.join(names)}"
            yield text, lambda x, r=rows: taken(x, axis, r)
    mixed = np.arange(size).reshape(block, blocks).T.reshape(-1)
    for rows in (mixed, np.argsort(mixed)):
        yield f"the gates of {said} are taken to be interleaved, unit by unit", lambda x, r=rows: taken(x, axis, r)


def _of_gate(names: list[str], axis: int, shape: Shape, said: str) -> Found:
    """The part of one gate is left out, counted twice, or of the wrong sign."""
    size = shape[axis]
    block = size // len(names)
    for b, gate in enumerate(names):
        keep = np.ones([size if a == axis else 1 for a in range(len(shape))])
        keep[(slice(None),) * axis + (slice(b * block, (b + 1) * block),)] = 0
        for word, factor in (("left out", 0.0), ("counted twice", 2.0), ("of the wrong sign", -1.0)):
            text = f"the part of gate {gate} in {said} is {word}"
            yield text, lambda x, k=keep, f=factor: x * (k + f * (1 - k))
