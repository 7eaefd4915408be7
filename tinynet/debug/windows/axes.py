"""Axes in another order, where several become one or one becomes several."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations

import numpy as np

from tinynet import primitives as P
from tinynet.debug.program import Array, Edit, Plain, Program
from tinynet.debug.windows.layout import Axes

MOST_AXES = 4  # whose orders are tried


def reordered(shape: Axes, said: str) -> Iterator[tuple[str, Plain, Plain]]:
    """Arrays whose axes come in another order and are given the right shape by a reshape; with the way back."""
    for axes in _orders(shape):
        there, back = _merged(axes, shape), _split(axes, shape)
        if axes == (*(a for a in range(len(shape)) if a != 1), 1):
            order = "the channels last"
        else:
            order = f"their axes in the order {axes}"
        yield f"{said} have {order} and are only reshaped", there, back
        yield f"{said} are read as if they had {order}", back, there


def _orders(shape: Axes) -> list[Axes]:
    """Orders of the axes in which the numbers come in another order."""
    real = [a for a, n in enumerate(shape) if n > 1]
    if not 1 < len(real) <= MOST_AXES:
        return []
    found: dict[Axes, Axes] = {}
    for axes in permutations(range(len(shape))):
        found.setdefault(tuple(a for a in axes if shape[a] > 1), axes)
    return [axes for order, axes in found.items() if list(order) != real]


def _merged(axes: Axes, shape: Axes) -> Plain:
    return lambda x: P.reshape(P.transpose(x, axes=axes), shape=shape)


def _split(axes: Axes, shape: Axes) -> Plain:
    """From numbers that lie in the order ``axes`` to ``shape``."""
    other, inverse = tuple(shape[a] for a in axes), tuple(int(a) for a in np.argsort(axes))
    return lambda x: P.transpose(P.reshape(x, shape=other), axes=inverse)


def of_reshape(program: Program, i: int) -> Iterator[tuple[str, str, Edit]]:
    """The axes come in another order where several become one, or one becomes several."""
    step = program.steps[i]
    before, after = step.operands[0].shape, step.output.shape
    real = [sum(n > 1 for n in shape) for shape in (before, after)]
    if real[0] == real[1] or max(real) < 3:
        return
    merges = real[0] > real[1]
    for axes in _orders(before if merges else after):
        change = _merged(axes, after) if merges else _split(axes, after)
        last = " (the channels last)" if axes == (0, *range(2, len(axes)), 1) else ""
        how = "before the axes are joined" if merges else "where one axis becomes several"
        text = f"the axes are taken in the order {axes}{last} {how}"
        yield "", text, Edit(steps={i: lambda look, x, f=change: f(x)})
    if not merges and len(after) > 2:
        places = tuple(range(2, len(after)))
        for label, scale in (("mean", 1 / math.prod(after[2:])), ("sum", 1.0)):
            text = f"each place gets the same, the {label} over all places"
            yield "", text, Edit(outputs={i: lambda x, look, c=scale: _level(x, places, c)})


def _level(x: Array, axes: Axes, scale: float) -> Array:
    return P.broadcast_to(scale * P.sum(x, axis=axes, keepdims=True), shape=x.shape)
