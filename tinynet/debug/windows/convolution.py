"""Convolutions: z = x[table] · w, dw = gᵀ · x[table], dx[table] += g · w, for one table or for several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np

from tinynet import primitives as P
from tinynet.debug.program import Array, Edit, Plain, Program
from tinynet.debug.windows.axes import reordered
from tinynet.debug.windows.layout import ORDERS, Axes, Layout, gathered, misplaced, put_back, unit
from tinynet.run import Step, Value

ALL, LAST, FIRST = slice(None), slice(-1, None), slice(1)


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

    def dx(self, way: Way, overwrite: str = "") -> Edit:
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

    def dw(self, way: Way, window: slice = ALL, images: slice = ALL) -> Edit:
        """dw = gᵀ · x[table], summed over some of the windows, of some of the images."""
        if self.into_kernel is None:
            return Edit()

        def compute(look, *operands):
            columns = _columns(look(self.stored.index), way.layout.table(), self.groups)[..., window]
            shares = np.matmul(self._split(look(self.arrived))[..., window], np.swapaxes(columns, -1, -2))
            return P.dilated(way.back(shares[images].sum(axis=0).reshape(self.kernel)), self.layout.dilation)

        return Edit(steps={self.into_kernel: compute})

    def _split(self, g: np.ndarray) -> np.ndarray:
        """(N, O, *P) to (N, G, O/G, windows)."""
        return g.reshape(g.shape[0], self.groups, g.shape[1] // self.groups, -1)

    def ways(self) -> Iterator[Way]:
        for label, layout in misplaced(self.layout, "convolution"):
            yield Way(label, layout)
        spatial = range(2, len(self.kernel))
        for axes in chain.from_iterable(combinations(spatial, n + 1) for n in range(len(spatial))):
            which = "" if len(axes) == len(spatial) else f" along its {unit(axes[0] - 2, self.layout)}s"
            turn = _flipped(axes)
            yield Way(f"the kernel is turned round{which}", self.layout, turn, turn)
        for label, there, back in reordered(self.kernel, "the kernels"):
            yield Way(label, self.layout, there, back)


def _flipped(axes: Axes) -> Plain:
    return lambda w: P.flip(w, axis=axes)


def _columns(x: Array, table: np.ndarray, groups: int) -> Array:
    """(N, C, *S) to (N, G, C/G · K, windows)."""
    windows = P.transpose(gathered(x, table), axes=(0, 1, 3, 2))
    n, c, k, count = windows.shape
    return P.reshape(windows, shape=(n, groups, c // groups * k, count))


def _rows(w: Array, groups: int) -> Array:
    """(O, C/G, *K) to (G, O/G, C/G · K)."""
    return P.reshape(w, shape=(groups, w.shape[0] // groups, -1))


def convolution(program: Program, forward: int) -> Convolution:
    """The convolution whose forward step it is."""
    step = program.steps[forward]
    stored, w = step.operands
    made = maker(program, stored)
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
    made = maker(program, w)
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
        made = maker(program, left)
        g = origins[-1] if made is not None and made.primitive == "scatter" else origins[0]
        if w in _origins(program, right) and arrived in (None, g.index):
            return i, g.index
    return None, arrived


def _backward(program: Program, primitive: str) -> Iterator[int]:
    return (i for i, s in enumerate(program.steps) if s.phase == "backward" and s.primitive == primitive)


def maker(program: Program, value: Any) -> Step | None:
    return program.steps[program.made_by[value.index]] if value.index in program.made_by else None


def _origins(program: Program, value: Value) -> list[Value]:
    """The value, and what it was before it was moved about: the last four times."""
    found = [value]
    moved = ("reshape", "transpose", "flip", "scatter", "getitem")
    while len(found) < 5 and (made := maker(program, found[-1])) is not None and made.primitive in moved:
        found.append(made.operands[0])
    return found


def of_convolution(program: Program, i: int, symbol: Callable[[str], str]) -> Iterator[tuple[str, str, Edit]]:
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
            for label, order in ORDERS.items():
                yield dx, label, site.dx(right, order)
            for way in site.ways():
                yield dx, way.label, site.dx(way)
        if site.into_kernel is not None and i == site.into_kernel:
            for which, end in (("last", LAST), ("first", FIRST)):
                for said, window, images in (
                    (f"{which} window", end, ALL),
                    (f"{which} image", ALL, end),
                    (f"{which} window of the {which} image", end, end),
                ):
                    edit = site.dw(right, window, images)
                    yield "", f"only the share of the {said} is kept: `=` instead of `+=`", edit
            for way in site.ways():
                yield "", way.label, site.dw(way)


def _gradient(value: Value, otherwise: str, symbol: Callable[[str], str]) -> str:
    return symbol(f"d_{value.quantity}") if value.quantity else f"d{otherwise}"
