"""Mistakes of windows: where those of a convolution or a pooling lie, and what becomes of the numbers under them.

Wherever windows lie, they read numbers by a table (windows, K) of places; what is not there is 0. So a convolution is
z = x[table] · w, its gradients are dw = gᵀ · x[table] and dx[table] += g · w, and every mistake of stride, padding,
dilation, of rows and columns is another table, for one of the three or for several of them alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, combinations, permutations, product
from typing import Any, NamedTuple

import numpy as np

from tinynet import primitives as P
from tinynet.debug.program import Array, Edit, Program
from tinynet.run import Step, Value

Axes = tuple[int, ...]
Plain = Callable[[Array], Array]
Found = tuple[str, Edit]
MOST_AXES = 4  # whose orders are tried

# What a place outside an axis of n numbers is taken for.
OUTSIDE: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "": lambda at, n: at,
    "outside the input, its nearest number is read instead of 0": lambda at, n: np.clip(at, 0, n - 1),
    "outside the input, its mirror image is read instead of 0": lambda at, n: (n - 1) - np.abs((n - 1) - np.abs(at)),
    "outside the input, its other end is read instead of 0": lambda at, n: at % n,
    "before the input, its other end is read instead of 0": lambda at, n: np.where(at < 0, at + n, at),
}


# Where windows lie
@dataclass(frozen=True)
class Layout:
    """``count`` windows of ``size`` places on an input of ``length``, stored with a ``border``: all along each axis."""

    length: Axes
    border: tuple[tuple[int, int], ...]
    count: Axes
    size: Axes
    stride: Axes
    padding: Axes
    dilation: Axes
    outside: str = ""
    turned: bool = False  # row for column
    only: int | None = None  # one window is read for all

    @property
    def stored(self) -> Axes:
        """The spatial shape of the input with its border."""
        return tuple(n + low + high for n, (low, high) in zip(self.length, self.border, strict=True))

    def table(self) -> np.ndarray:
        """The place in the stored input, flattened, that each window reads: (windows, K). One past the end is none."""
        return _table(self)


@lru_cache(maxsize=64)
def _table(layout: Layout) -> np.ndarray:
    axes = len(layout.size)
    windows = np.indices(layout.count).reshape(axes, -1, 1)
    offsets = np.indices(layout.size).reshape(axes, 1, -1)
    flat, inside = np.zeros((1, 1), int), np.ones((1, 1), bool)
    for axis, window in enumerate(windows[::-1] if layout.turned else windows):
        n, (low, high) = layout.length[axis], layout.border[axis]
        start = window * layout.stride[axis] - layout.padding[axis]
        at = OUTSIDE[layout.outside](start + offsets[axis] * layout.dilation[axis], n)
        inside = inside & (at >= -low) & (at < n + high)
        flat = flat * layout.stored[axis] + at + low
    table = np.where(inside, flat, math.prod(layout.stored))
    return table if layout.only is None else np.broadcast_to(table[layout.only], table.shape)


def misplaced(right: Layout, what: str) -> Iterator[tuple[str, Layout]]:
    """Where the windows may lie by mistake, with the words for it."""
    strides = [("", right.stride), *_mistaken(right.stride, "stride", what, 1)]
    strides.append((f"the size of the window is taken for the stride of the {what}", right.size))
    paddings = [("", right.padding), *_mistaken(right.padding, "padding", what, 0)]
    seen = {right}
    for (a, stride), (b, padding), turned in product(strides, paddings, (False, len(right.size) > 1)):
        c = "row and column of the output are taken for each other" if turned else ""
        yield from _new(seen, (a, b, c), replace(right, stride=stride, padding=padding, turned=turned))
    for label, dilation in _mistaken(right.dilation, "dilation", what, 1):
        yield from _new(seen, (label,), replace(right, dilation=dilation))
    yield from _new(seen, ("height and width of the window are swapped",), replace(right, size=right.size[::-1]))
    for axis, by in product(range(len(right.size)), (1, -1)):
        padding = tuple(p - by * (k == axis) for k, p in enumerate(right.padding))
        label = f"the windows begin one {_unit(axis, right)} {'late' if by == 1 else 'early'}"
        yield from _new(seen, (label,), replace(right, padding=padding))
    for label in OUTSIDE if any(map(any, right.border)) else ():
        yield from _new(seen, (label,), replace(right, outside=label))
    for which, place in (("last", -1), ("first", 0)):
        label = f"the {which} window is read in place of every one (as from one buffer that is written again and again)"
        yield from _new(seen, (label,), replace(right, only=place))


def _new(seen: set[Layout], labels: Iterable[str], layout: Layout) -> Iterator[tuple[str, Layout]]:
    if layout not in seen:
        seen.add(layout)
        yield ", and ".join(filter(None, labels)), layout


def _mistaken(right: Axes, word: str, what: str, none: int) -> Iterator[tuple[str, Axes]]:
    """What may stand for a number along each axis."""
    yield f"the {word} of the {what} is left out", (none,) * len(right)
    if len(right) == 2:
        yield f"the {word}s of rows and columns of the {what} are swapped", right[::-1]
        for axis, name in enumerate(("rows", "columns")):
            yield f"the {word} of the {name} of the {what} is used for both axes", (right[axis],) * 2


def _unit(axis: int, layout: Layout) -> str:
    return ("row", "column")[axis] if len(layout.size) == 2 else "place"


# What is computed by a table
def gathered(x: Array, table: np.ndarray) -> Array:
    """The numbers under each window: (N, C, *S) to (N, C, windows, K)."""
    flat = P.reshape(x, shape=(*x.shape[:2], -1))
    flat = P.pad(flat, pad_width=((0, 0), (0, 0), (0, 1)))
    return P.getitem(flat, index=(slice(None), slice(None), table))


def put_back(x: np.ndarray, table: np.ndarray, shape: Axes, overwrite: bool = False) -> np.ndarray:
    """Each number to its place, added up or, row by row, overwritten: (N, C, windows, K) to ``shape`` (N, C, *S)."""
    n, c, places = shape[0], shape[1], math.prod(shape[2:]) + 1
    out: np.ndarray
    if overwrite:
        out = np.zeros((n, c, places))
        for window, at in enumerate(table):
            out[:, :, at] = x[:, :, window]
    else:
        index = np.arange(n * c)[:, None] * places + table.reshape(-1)
        out = np.bincount(index.reshape(-1), x.reshape(-1), n * c * places).reshape(n, c, places)
    return out[:, :, :-1].reshape(shape)


def _columns(x: Array, table: np.ndarray, groups: int) -> Array:
    """(N, C, *S) to (N, G, C/G · K, windows)."""
    windows = P.transpose(gathered(x, table), axes=(0, 1, 3, 2))
    n, c, k, count = windows.shape
    return P.reshape(windows, shape=(n, groups, c // groups * k, count))


def _rows(w: Array, groups: int) -> Array:
    """(O, C/G, *K) to (G, O/G, C/G · K)."""
    return P.reshape(w, shape=(groups, w.shape[0] // groups, -1))


# Convolutions
class Way(NamedTuple):
    """How somebody convolves: where the windows lie, and the kernels (O, C/G, *K) as they are laid over them.

    ``back`` brings a gradient of the latter into the order of the kernels.
    """

    label: str
    layout: Layout
    kernels: Plain = lambda w: w
    back: Plain = lambda w: w


@dataclass(frozen=True)
class Convolution:
    """A convolution of a run: its step, those of its gradients, and the index of the gradient that arrives."""

    forward: int
    layout: Layout
    groups: int
    kernel: Axes  # the shape of the kernels, without zeros between their numbers
    arrived: int | None
    into_x: int | None
    into_kernel: int | None
    x: Value
    stored: Value
    w: Value

    def _dense(self, w: Array) -> Array:
        if all(d == 1 for d in self.layout.dilation):
            return w
        return P.getitem(w, index=(slice(None), slice(None), *(slice(None, None, d) for d in self.layout.dilation)))

    def z(self, way: Way) -> Edit:
        """z = x[table] · w."""

        def compute(look, x, w):
            w = way.kernels(self._dense(w))
            z = P.matmul(_rows(w, self.groups), _columns(x, way.layout.table(), self.groups))
            return P.reshape(z, shape=(x.shape[0], w.shape[0], *way.layout.count))

        return Edit(steps={self.forward: compute})

    def dx(self, way: Way, overwrite: bool = False) -> Edit:
        """dx[table] += g · w."""
        if self.into_x is None:
            return Edit()

        def compute(look, *operands):
            w = _rows(way.kernels(self._dense(look(self.w.index))), self.groups)
            windows = np.matmul(np.swapaxes(w, -1, -2), self._split(look(self.arrived)))  # (N, G, C/G · K, windows)
            shape = self.stored.shape
            windows = windows.reshape(*shape[:2], -1, windows.shape[-1]).swapaxes(2, 3)
            return put_back(windows, way.layout.table(), shape, overwrite)

        return Edit(steps={self.into_x: compute})

    def dw(self, way: Way, window: slice = slice(None)) -> Edit:
        """dw = gᵀ · x[table], summed over some of the windows."""
        if self.into_kernel is None:
            return Edit()

        def compute(look, *operands):
            columns = _columns(look(self.stored.index), way.layout.table(), self.groups)[..., window]
            shares = np.matmul(self._split(look(self.arrived))[..., window], np.swapaxes(columns, -1, -2))
            return P.dilated(way.back(shares.sum(axis=0).reshape(self.kernel)), self.layout.dilation)

        return Edit(steps={self.into_kernel: compute})

    def _split(self, g: np.ndarray) -> np.ndarray:
        """(N, O, *P) to (N, G, O/G, windows)."""
        return g.reshape(g.shape[0], self.groups, g.shape[1] // self.groups, -1)

    def ways(self) -> Iterator[Way]:
        for label, layout in misplaced(self.layout, "convolution"):
            yield Way(label, layout)
        spatial = range(2, len(self.kernel))
        for axes in chain.from_iterable(combinations(spatial, n + 1) for n in range(len(spatial))):
            which = "" if len(axes) == len(spatial) else f" along its {_unit(axes[0] - 2, self.layout)}s"
            turn = _flipped(axes)
            yield Way(f"the kernel is turned round{which}", self.layout, turn, turn)
        for label, there, back in reordered(self.kernel, "the kernels"):
            yield Way(label, self.layout, there, back)


def _flipped(axes: Axes) -> Plain:
    return lambda w: P.flip(w, axis=axes)


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


def convolution(program: Program, forward: int) -> Convolution:
    """The convolution whose forward step it is."""
    step = program.steps[forward]
    stored, w = step.operands
    made = _maker(program, stored)
    x, border = (
        (made.operands[0], made.arguments["pad_width"][2:])
        if made is not None and made.primitive == "pad"
        else (stored, ((0, 0),) * (len(stored.shape) - 2))
    )
    dilation = _dilation(program, w)
    kernel = (*w.shape[:2], *((n - 1) // d + 1 for n, d in zip(w.shape[2:], dilation, strict=True)))
    layout = Layout(
        length=x.shape[2:],
        border=tuple(map(tuple, border)),
        count=step.output.shape[2:],
        size=kernel[2:],
        stride=tuple(step.arguments["stride"]),
        padding=tuple(low for low, _ in border),
        dilation=dilation,
    )
    into_kernel, arrived = _kernel_gradient(program, stored, w, layout)
    into_x, arrived = _input_gradient(program, w, arrived)
    return Convolution(forward, layout, step.arguments["groups"], kernel, arrived, into_x, into_kernel, x, stored, w)


def _dilation(program: Program, w: Value) -> Axes:
    made = _maker(program, w)
    if made is not None and made.primitive == "scatter" and isinstance(made.arguments["index"], tuple):
        return tuple(i.step or 1 for i in made.arguments["index"][2:])
    return (1,) * (len(w.shape) - 2)


def _kernel_gradient(program: Program, x: Value, w: Value, layout: Layout) -> tuple[int | None, int | None]:
    """The step of the kernels' gradient (O, C/G, *K), and the gradient that it is made of."""
    for i in _backward(program, "correlate"):
        left, right = program.steps[i].operands
        arrived = _origins(program, right)[3 + any(s > 1 for s in layout.stride) :]
        if x in _origins(program, left)[3:] and arrived and program.steps[i].output.shape[1] == w.shape[0]:
            readers = program.readers.get(program.steps[i].output.index, [])
            return (readers[0], arrived[0].index) if readers else (None, None)
    return None, None


def _input_gradient(program: Program, w: Value, arrived: int | None) -> tuple[int | None, int | None]:
    """The step of the input's gradient, and the gradient that it is made of."""
    for i in _backward(program, "correlate"):
        left, right = program.steps[i].operands
        origins = _origins(program, left)[:2]
        made = _maker(program, left)
        g = origins[-1] if made is not None and made.primitive == "scatter" else origins[0]
        if w in _origins(program, right) and arrived in (None, g.index):
            return i, g.index
    return None, arrived


def _backward(program: Program, primitive: str) -> Iterator[int]:
    return (i for i, s in enumerate(program.steps) if s.phase == "backward" and s.primitive == primitive)


def _maker(program: Program, value: Any) -> Step | None:
    return program.steps[program.made_by[value.index]] if value.index in program.made_by else None


def _origins(program: Program, value: Value) -> list[Value]:
    """The value, and what it was before it was moved about: the last four times."""
    found = [value]
    moved = ("reshape", "transpose", "flip", "scatter", "getitem")
    while len(found) < 5 and (made := _maker(program, found[-1])) is not None and made.primitive in moved:
        found.append(made.operands[0])
    return found


def _of_convolution(program: Program, i: int, symbol: Callable[[str], str]) -> Iterator[tuple[str, str, Edit]]:
    """What may be wrong in a step of a convolution: (quantity, sentence, edit)."""
    if program.steps[i].phase == "forward":
        site = convolution(program, i)
        dx, dw = _gradient(site.x, "x", symbol), _gradient(site.w, "W", symbol)
        for way in site.ways():
            edit = site.z(way)
            yield "", way.label, edit
            for said, other in ((dx, site.dx(way)), (dw, site.dw(way))):
                if other.touched:
                    yield "", f"{way.label}; so it is in {said}", edit | other
        return
    for forward in (k for k, s in enumerate(program.steps) if s.phase == "forward" and s.primitive == "correlate"):
        site = convolution(program, forward)
        right = Way("", site.layout)
        if site.into_x == i:
            dx = _gradient(site.x, "x", symbol)
            yield (
                dx,
                "where windows overlap, the last one overwrites the others: `=` instead of `+=`",
                site.dx(right, True),
            )
            for way in site.ways():
                yield dx, way.label, site.dx(way)
        if site.into_kernel is not None and i == site.into_kernel:
            for which, window in (("last", slice(-1, None)), ("first", slice(1))):
                yield "", f"only the share of the {which} window is kept: `=` instead of `+=`", site.dw(right, window)
            for way in site.ways():
                yield "", way.label, site.dw(way)


def _gradient(value: Value, otherwise: str, symbol: Callable[[str], str]) -> str:
    return symbol(f"d_{value.quantity}") if value.quantity else f"d{otherwise}"


# Poolings
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


def _of_pooling(program: Program, i: int, steps: list[int]) -> Iterator[tuple[str, str, Edit]]:
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
    for end, taken in results.items():
        for label, reduce in REDUCTIONS.items():
            if label != taken:
                text = f"{label} of each window is taken instead of {taken}"
                yield "", text, Edit(steps={end: lambda look, *_, f=reduce: f(look(fields.index))})


def _results(program: Program, fields: Value) -> Iterator[tuple[int, str]]:
    """The steps that take one number (N, C, *P) of each window, and which one that is."""
    for i in program.readers.get(fields.index, []):
        step = program.steps[i]
        if step.primitive in TAKEN:
            yield from ((end, TAKEN[step.primitive]) for end in program.readers.get(step.output.index, [])[:1])


def _of_pooling_backward(program: Program, i: int) -> Iterator[tuple[str, str, Edit]]:
    """What may be wrong where the gradients of windows go back to their places."""
    step = program.steps[i]
    (given,), shape = step.operands, step.arguments["shape"]
    right = _pooling(step.arguments, shape, given.shape[2:-1])

    def put(layout: Layout, overwrite: bool) -> Callable[..., Array]:
        return lambda look, g: put_back(_flat(g), layout.table(), shape, overwrite)

    overlap = "where windows overlap, the last one overwrites the others: `=` instead of `+=`"
    yield "", overlap, Edit(steps={i: put(right, True)})
    for label, layout in misplaced(right, "pooling"):
        yield "", label, Edit(steps={i: put(layout, False)})
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
        yield "", f"{label}; and {overlap}", edit | Edit(steps={i: put(right, True)})


def _fields(program: Program, fold: Step) -> tuple[Value | None, str]:
    """The numbers under the windows (N, C, *P, K) whose gradients a ``fold`` puts back, and the right policy."""
    given = _maker(program, fold.operands[0])
    if given is not None and given.primitive == "put_along_axis":
        chosen = _maker(program, given.operands[1])
        return (None if chosen is None or chosen.primitive != "argmax" else chosen.operands[0]), FIRST
    found = (s for s in program.steps if s.primitive == "windows" and s.operands[0] is fold.output.of)
    return next((s.output for s in found if s.output.shape == fold.operands[0].shape), None), MEAN


# Reshapes
def _of_reshape(program: Program, i: int) -> Iterator[tuple[str, str, Edit]]:
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


# All together
def mistakes(
    program: Program, computed_by: Iterable[list[int]], target: str, symbol: Callable[[str], str]
) -> Iterator[Found]:
    """What may be wrong in the windows of a quantity, ``target``: (sentence, edit).

    ``computed_by`` holds the steps that compute it, for each time step; the same mistake is made in all of them.
    """
    found: dict[tuple[int, str], tuple[str, Edit]] = {}
    for steps in computed_by:
        for n, i in enumerate(steps):
            for said, label, edit in _of_step(program, i, steps, symbol):
                known = found.get((n, label), ("", Edit()))[1]
                found[n, label] = said or target, known | edit
    for (_, label), (said, edit) in found.items():
        yield f"{said}: {label}", edit


def _of_step(
    program: Program, i: int, steps: list[int], symbol: Callable[[str], str]
) -> Iterator[tuple[str, str, Edit]]:
    primitive, phase = program.steps[i].primitive, program.steps[i].phase
    made = _maker(program, program.steps[i].operands[0]) if primitive == "transpose" and phase == "backward" else None
    if primitive == "correlate" or (made is not None and made.primitive == "correlate"):
        yield from _of_convolution(program, i, symbol)
    elif primitive == "windows" and phase == "forward":
        yield from _of_pooling(program, i, steps)
    elif primitive == "fold" and phase == "backward":
        yield from _of_pooling_backward(program, i)
    elif primitive == "reshape":
        yield from _of_reshape(program, i)
