"""Poolings: what is taken of the numbers under a window, and who of them gets its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.debug.program import Array, Edit, Plain, Program
from tinynet.debug.windows.convolution import maker
from tinynet.debug.windows.layout import ORDERS, Axes, Layout, gathered, misplaced, put_back
from tinynet.run import Step, Value


def _one(place: np.ndarray, size: Axes) -> np.ndarray:
    return np.eye(math.prod(size))[place]


def _ties(x: np.ndarray) -> np.ndarray:
    return (x == x.max(axis=-1, keepdims=True)).astype(float)


def _by_rows(place: np.ndarray, size: Axes) -> np.ndarray:
    """A place in a window, split into row and column by the number of rows."""
    other = np.arange(math.prod(size)).reshape(size[::-1]).T.reshape(-1)
    return _one(place, size)[..., other]


FIRST = "only the first of the largest numbers of a window gets the gradient"
MEAN = "the gradient is shared by all numbers of a window, as if their mean were taken"

# Which part of a window's gradient each of its numbers (..., K) gets, by the size of the window.
POLICIES: dict[str, Callable[[np.ndarray, Axes], np.ndarray]] = {
    FIRST: lambda x, k: _one(x.argmax(-1), k),
    "the last of several equal maxima gets the gradient; the first should": lambda x, k: _one(
        x.shape[-1] - 1 - x[..., ::-1].argmax(-1), k
    ),
    "every one of several equal maxima gets the full gradient; only the first should": lambda x, k: _ties(x),
    "several equal maxima share the gradient; only the first should get it": lambda x, k: (
        _ties(x) / _ties(x).sum(-1, keepdims=True)
    ),
    "the gradient goes to the smallest number of a window": lambda x, k: _one(x.argmin(-1), k),
    "the gradient goes to the first place of a window": lambda x, k: _one(0 * x.argmax(-1), k),
    "the gradient goes to the last place of a window": lambda x, k: _one(0 * x.argmax(-1) - 1, k),
    "every number of a window gets its full gradient": lambda x, k: np.ones_like(x),
    MEAN: lambda x, k: np.ones_like(x) / x.shape[-1],
    "the place of the largest in a window is split into row and column by the number of rows": lambda x, k: _by_rows(
        x.argmax(-1), k
    ),
}


def _largest(x: Array) -> Array:
    last = len(x.shape) - 1
    return P.reshape(P.take_along_axis(x, P.argmax(x, axis=last), axis=last), shape=x.shape[:last])


# What may be taken of the numbers (..., K) of a window.
REDUCTIONS: dict[str, Plain] = {
    "the largest": _largest,
    "the smallest": lambda x: -_largest(-x),
    "the mean": lambda x: P.sum(x, axis=-1, keepdims=False) / x.shape[-1],
    "the sum": lambda x: P.sum(x, axis=-1, keepdims=False),
    "the first": lambda x: P.getitem(x, index=(..., 0)),
    "the last": lambda x: P.getitem(x, index=(..., -1)),
}


TAKEN = {"take_along_axis": "the largest", "sum": "the mean"}


def _pooling(arguments: dict[str, Any], shape: Axes, count: Axes) -> Layout:
    """Of the windows of a ``windows`` or a ``fold`` on an input of ``shape`` (N, C, *S)."""
    axes = len(shape) - 2
    size, stride, dilation = (tuple(arguments[k]) for k in ("size", "stride", "dilation"))
    return Layout(shape[2:], ((0, 0),) * axes, count, size, stride, (0,) * axes, dilation)


def _flat(x: Array) -> Array:
    """(N, C, *P, K) to (N, C, windows, K)."""
    return x.reshape(*x.shape[:2], -1, x.shape[-1])


def of_pooling(program: Program, i: int, steps: list[int]) -> Iterator[tuple[str, str, Edit]]:
    """What may be wrong in the windows of a pooling, or in its result, if that is made by one of ``steps``."""
    step = program.steps[i]
    results = dict(_results(program, step.output))
    if results and not set(results) & set(steps):
        return
    (x,), fields = step.operands, step.output
    layout = _pooling(step.arguments, x.shape, fields.shape[2:-1])

    def read(wrong: Layout) -> Callable[..., Array]:
        return lambda look, x: P.reshape(gathered(x, wrong.table()), shape=fields.shape)

    for label, wrong in misplaced(layout, "pooling"):
        yield "", label, Edit(steps={i: read(wrong)})
    mixed = "the columns hold all channels of a place in a row, and are cut as if they held all places of a channel"
    yield "", mixed, Edit(outputs={i: lambda x, look: _cut_wrongly(x)})
    for end, taken in results.items():
        for label, reduce in REDUCTIONS.items():
            if label != taken:
                text = f"{label} of each window is taken instead of {taken}"
                yield "", text, Edit(steps={end: lambda look, *_, f=reduce: f(look(fields.index))})


def _cut_wrongly(fields: Array) -> Array:
    """(N, C, *P, K) laid out as (N, *P, K, C), and cut as if that were (N, *P, C, K)."""
    n, c, *places, k = fields.shape
    axes = tuple(range(2, 2 + len(places)))
    rows = P.reshape(P.transpose(fields, axes=(0, *axes, 2 + len(places), 1)), shape=(n, *places, c, k))
    return P.transpose(rows, axes=(0, 1 + len(places), *range(1, 1 + len(places)), 2 + len(places)))


def _results(program: Program, fields: Value) -> Iterator[tuple[int, str]]:
    """The steps that take one number (N, C, *P) of each window, and which one that is."""
    for i in program.readers.get(fields.index, []):
        step = program.steps[i]
        if step.primitive in TAKEN:
            yield from ((end, TAKEN[step.primitive]) for end in program.readers.get(step.output.index, [])[:1])


def of_pooling_backward(program: Program, i: int) -> Iterator[tuple[str, str, Edit]]:
    """What may be wrong where the gradients of windows go back to their places."""
    step = program.steps[i]
    (given,), shape = step.operands, step.arguments["shape"]
    right = _pooling(step.arguments, shape, given.shape[2:-1])

    def put(layout: Layout, overwrite: str = "") -> Callable[..., Array]:
        return lambda look, g: put_back(_flat(g), layout.table(), shape, overwrite)

    for overlap, order in ORDERS.items():
        yield "", overlap, Edit(steps={i: put(right, order)})
    for label, layout in misplaced(right, "pooling"):
        yield "", label, Edit(steps={i: put(layout)})
    for count, said in ((1, "first window"), (right.count[-1], "first row of windows")):
        text = f"only the {said} passes its gradient on (`return` within the loop?)"
        first = (np.arange(math.prod(right.count)) < count).reshape(*right.count, 1)
        yield "", text, Edit(reads={(i, 0): lambda g, look, first=first: g * first})
    fields, right_policy = _fields(program, step)
    if fields is None:
        return
    for label, policy in POLICIES.items():
        if label == right_policy:
            continue

        def share(g, look, policy=policy):
            return policy(look(fields.index), right.size) * g.sum(axis=-1, keepdims=True)

        edit = Edit(reads={(i, 0): share})
        yield "", label, edit
        for overlap, order in ORDERS.items():
            yield "", f"{label}; and {overlap}", edit | Edit(steps={i: put(right, order)})


def _fields(program: Program, fold: Step) -> tuple[Value | None, str]:
    """The numbers under the windows (N, C, *P, K) whose gradients a ``fold`` puts back, and the right policy."""
    given = maker(program, fold.operands[0])
    if given is not None and given.primitive == "put_along_axis":
        chosen = maker(program, given.operands[1])
        return (None if chosen is None or chosen.primitive != "argmax" else chosen.operands[0]), FIRST
    found = (s for s in program.steps if s.primitive == "windows" and s.operands[0] is fold.output.of)
    return next((s.output for s in found if s.output.shape == fold.operands[0].shape), None), MEAN
