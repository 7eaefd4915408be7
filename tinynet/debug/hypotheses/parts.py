"""The parts that a value is used in: the gates that are computed together, the halves of two directions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinynet.debug.hypotheses.base import Facts, symbol
from tinynet.run import Value


class Part(NamedTuple):
    """Places along an axis, called by what is computed from them."""

    start: int
    stop: int
    name: str


def parts_of(facts: Facts, value: Value) -> tuple[int, list[Part]]:
    """The axis and the parts that the forward pass cuts a value into, or what it is the gradient of.

    No parts where it is not cut, or where they are not all of it, one after the other.
    """
    whole = value.of or value
    by_axis: dict[int, set[Part]] = {}
    for i in facts.program.readers.get(whole.index, ()):
        step = facts.run.steps[i]
        if step.primitive == "getitem" and step.phase == "forward":
            axis, places = _cut(whole.shape, step.arguments["index"])
            if places.size and np.all(np.diff(places) == 1):
                part = Part(int(places[0]), int(places[-1]) + 1, _called(facts, step.output))
                by_axis.setdefault(axis, set()).add(part)
    for axis, found in by_axis.items():
        parts = sorted(found)
        starts, stops = [part.start for part in parts], [part.stop for part in parts]
        if len(parts) > 1 and [*starts, whole.shape[axis]] == [0, *stops]:
            return axis, parts
    return 0, []


def _cut(shape: tuple[int, ...], index: Any) -> tuple[int, np.ndarray]:
    """The axis along which an index takes a part only, and the places there; no places where there is no such axis."""
    taken = np.arange(int(np.prod(shape))).reshape(shape)[index]
    places = [np.unique(along) for along in np.unravel_index(taken, shape)] if taken.ndim == len(shape) else []
    axes = [axis for axis, along in enumerate(places) if len(along) < shape[axis]]
    return (axes[0], places[axes[0]]) if len(axes) == 1 else (0, np.empty(0, int))


def _called(facts: Facts, value: Value) -> str:
    """The first quantity that is computed from a value, which may be it itself."""
    waiting = [value]
    while waiting:
        value = waiting.pop(0)
        if value.quantity is not None:
            return symbol(value.quantity)
        waiting += [facts.run.steps[i].output for i in facts.program.readers.get(value.index, ())]
    return "?"
