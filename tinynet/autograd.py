"""Reverse-mode differentiation: the operations, last first, each sending its cotangent to its operands.

Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 3 (reverse accumulation). The operations are
visited in the reverse of the order in which they ran, which a heap of creation numbers gives without any
recursion, so that chains of any length work.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from tinynet.backend import copied, namespace
from tinynet.tape import no_grad, state
from tinynet.tensor import Tensor, beside


def backward(y: Tensor, gradient: Any = None) -> None:
    """Add d(y · gradient)/d(leaf) to ``.grad`` of every leaf of ``y`` that requires a gradient.

    ``gradient`` has the shape of ``y`` and may be left out where ``y`` is a single number. Raises ValueError if
    ``y`` has no history, or has more than one element and no ``gradient``.
    """
    for leaf, g in _differentiate(y, gradient, None, create_graph=False).values():
        leaf.grad = _own(g) if leaf.grad is None else _untracked_sum(leaf.grad, g)


def grad(
    y: Tensor, xs: Tensor | Sequence[Tensor], gradient: Any = None, create_graph: bool = False
) -> Tensor | tuple[Tensor, ...]:
    """Return d(y · gradient)/dx for each of ``xs`` (a tuple, or one tensor for one tensor), in its shape.

    With ``create_graph=True`` the gradients can be differentiated again. An x that ``y`` does not depend on
    has gradient zero. Raises ValueError as ``backward`` does, or if an x does not require a gradient.
    """
    wanted = (xs,) if isinstance(xs, Tensor) else tuple(xs)
    for i, x in enumerate(wanted):
        if not x.requires_grad:
            raise ValueError(f"xs[{i}] does not require a gradient: make it with requires_grad=True")
    found = _differentiate(y, gradient, wanted, create_graph)
    grads = tuple(found[id(x)][1] if id(x) in found else _zeros_like(x) for x in wanted)
    return grads[0] if isinstance(xs, Tensor) else grads


def partials(y: Tensor, xs: Sequence[Tensor], gradient: Any, create_graph: bool) -> list[Tensor | None]:
    """Return the derivative for each of ``xs`` with the others held fixed, even where one depends on another.

    This is what one operation sends to its operands. None stands for an x that ``y`` does not depend on.
    """
    found = _differentiate(y, gradient, xs, create_graph, beyond=False)
    return [found[id(x)][1] if id(x) in found else None for x in xs]


def _differentiate(y, gradient, wanted, create_graph, beyond=True):
    """Return {id(x): (x, cotangent)} for the wanted tensors, or for all leaves where ``wanted`` is None.

    With ``beyond=False`` the wanted tensors are taken for leaves.
    """
    if not y.requires_grad:
        raise ValueError(
            "this tensor has no history to differentiate: nothing that it was computed from requires a gradient"
        )
    with nullcontext() if create_graph else no_grad(), _in_phase("backward", y):
        seed = _seed(y, gradient)
        # Arrays are fastest; Tensors where the backward pass is itself to be recorded or differentiated.
        as_tensors = create_graph or state.recorder is not None
        sweep = _Sweep(as_tensors, None if wanted is None else {id(x) for x in wanted}, beyond)
        return sweep.run(y, seed if as_tensors else seed.data)


def _seed(y, gradient):
    if gradient is None:
        if y.size != 1:
            raise ValueError(
                f"backward of a tensor of shape {y.shape}: only a single number has an implied gradient of 1; "
                "pass gradient= or reduce it with .sum() or .mean()"
            )
        seed = Tensor._wrap(namespace(y.data).ones_like(y.data))
        return seed if state.recorder is None else state.recorder.constant(seed)
    seed = beside(y, gradient)
    namespace(y.data, seed.data)  # refuses two libraries
    if seed.dtype != y.dtype:
        seed = Tensor(seed, dtype=y.dtype)
    if seed.shape != y.shape:
        raise ValueError(f"gradient has shape {seed.shape}, expected the shape of the tensor, {y.shape}")
    return seed


class _Sweep:
    """One pass backwards. Contributions to a tensor wait until the last of its consumers has been visited."""

    def __init__(self, as_tensors: bool, wanted: set[int] | None, beyond: bool):
        self.as_tensors, self.wanted, self.beyond = as_tensors, wanted, beyond
        self.waiting: dict[int, tuple[Tensor, list]] = {}
        self.heap: list[tuple[int, int]] = []
        self.leaves: list[int] = []

    def run(self, y: Tensor, seed: Any) -> dict[int, tuple[Tensor, Tensor]]:
        self.send(y, seed, None)
        found = {}
        while self.heap or self.leaves:
            key = heapq.heappop(self.heap)[1] if self.heap else self.leaves.pop(0)
            x, contributions = self.waiting.pop(key)
            g = _total(x, contributions)
            here = x.node is None if self.wanted is None else key in self.wanted
            if here:
                found[key] = (x, g if isinstance(g, Tensor) else Tensor._wrap(g))
            if x.node is not None and (self.beyond or not here):
                self.visit(x, g)
        return found

    def visit(self, x: Tensor, g: Any) -> None:
        node = x.node
        assert node is not None
        if state.recorder is None:
            for operand, cotangent in node.cotangents(g, x, self.as_tensors):
                self.send(operand, cotangent, None)
            return
        with state.recorder.at_time(node.time):
            for operand, cotangent in node.cotangents(g, x, self.as_tensors):
                self.send(operand, cotangent, node.time)

    def send(self, x: Tensor, cotangent: Any, time: int | None) -> None:
        key = id(x)
        waiting = self.waiting.get(key)
        if waiting is not None:
            waiting[1].append((cotangent, time))
            return
        self.waiting[key] = (x, [(cotangent, time)])
        if x.node is None:
            self.leaves.append(key)
        else:
            heapq.heappush(self.heap, (-x.node.order, key))


def _total(x: Tensor, contributions: list) -> Any:
    """Add up what arrived at ``x``; a recording names the sum, and the share that comes from the next step."""
    if state.recorder is not None:
        return state.recorder.gradient(x, contributions)
    total = contributions[0][0]
    for cotangent, _ in contributions[1:]:
        total = total + cotangent
    return total


def _own(g: Tensor) -> Tensor:
    """Return a copy: an addition sends one array to both operands, a sum sends a view; a leaf has its own."""
    own = Tensor._wrap(copied(g.data))
    if g.value is not None:
        own.value, g.value.source = g.value, own.data
    return own


def _untracked_sum(a: Tensor, b: Tensor) -> Tensor:
    with no_grad():
        return a + b


def _zeros_like(x: Tensor) -> Tensor:
    return Tensor._wrap(namespace(x.data).zeros_like(x.data))


def _in_phase(phase: str, y: Tensor):
    return nullcontext() if state.recorder is None else state.recorder.in_phase(phase, loss=y)
