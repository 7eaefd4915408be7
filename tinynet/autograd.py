"""Reverse-mode differentiation: the operations, last first, each sending its cotangent to its operands.

Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 3 (reverse accumulation). The operations are
visited in the reverse of the order in which they ran, which a heap of creation numbers gives without any
recursion, so that chains of any length work.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinynet.backend import copied, namespace
from tinynet.nonstandard import ones_like
from tinynet.tape import no_grad, state
from tinynet.tensor import Tensor, beside


def backward(y: Tensor, gradient: Any = None) -> None:
    """Add d(y · gradient)/d(leaf) to ``.grad`` of every leaf of ``y`` that requires a gradient.

    ``gradient`` has the shape of ``y`` and may be left out where ``y`` is a single number. Raises ValueError if
    ``y`` has no history, or has more than one element and no ``gradient``.
    """
    for leaf, (g, fresh) in _differentiate(y, gradient, None, create_graph=False).items():
        if leaf.grad is not None:
            leaf.grad = _untracked_sum(leaf.grad, _tensor(g))
        else:
            leaf.grad = Tensor._wrap(g) if fresh else _own(_tensor(g))


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
    grads = tuple(_tensor(found[x][0]) if x in found else _zeros_like(x) for x in wanted)
    return grads[0] if isinstance(xs, Tensor) else grads


def partials(y: Tensor, xs: Sequence[Tensor], gradient: Any, create_graph: bool) -> list[Tensor | None]:
    """Return the derivative for each of ``xs`` with the others held fixed, even where one depends on another.

    This is what one operation sends to its operands. None stands for an x that ``y`` does not depend on.
    """
    found = _differentiate(y, gradient, xs, create_graph, beyond=False)
    return [found[x][0] if x in found else None for x in xs]


def _differentiate(y, gradient, wanted, create_graph, beyond=True):
    """Return {x: (cotangent, fresh)} for the wanted tensors at least; for all leaves where ``wanted`` is None.

    With ``beyond=False`` the wanted tensors are taken for leaves. ``fresh`` cotangents are arrays that nobody else has.
    (A tensor is equal to none but itself for a dictionary, which looks at the hash first.)
    """
    if not y.requires_grad:
        raise ValueError(
            "this tensor has no history to differentiate: nothing that it was computed from requires a gradient"
        )
    wanted = None if wanted is None else set(wanted)
    # Arrays are fastest; Tensors where the backward pass is itself to be recorded or differentiated.
    if not create_graph and state.recorder is None:
        return _sweep(y, _seed(y, gradient).data, wanted, beyond, as_tensors=False)
    with nullcontext() if create_graph else no_grad(), _in_phase("backward", y):
        return _sweep(y, _seed(y, gradient), wanted, beyond, as_tensors=True)


def _seed(y, gradient):
    if gradient is None:
        if y.size != 1:
            raise ValueError(
                f"backward of a tensor of shape {y.shape}: only a single number has an implied gradient of 1; "
                "pass gradient= or reduce it with .sum() or .mean()"
            )
        seed = Tensor._wrap(ones_like(namespace(y.data), y.data))
        return seed if state.recorder is None else state.recorder.constant(seed)
    seed = beside(y, gradient)
    namespace(y.data, seed.data)  # refuses two libraries
    if seed.dtype != y.dtype:
        seed = Tensor(seed, dtype=y.dtype)
    if seed.shape != y.shape:
        raise ValueError(f"gradient has shape {seed.shape}, expected the shape of the tensor, {y.shape}")
    return seed


def _sweep(y, seed, wanted, beyond, as_tensors):
    """One pass backwards. What arrives at a tensor is held until the last of its consumers has been visited.

    While a run is recorded, that is a list of what arrived and from which time step: the recorder adds it up.
    """
    recorder = state.recorder
    held = {y: (seed if recorder is None else [(seed, None)], False)}
    heap = [(-y.node.order, y)] if y.node is not None else []
    found = {}
    while heap:
        y = heappop(heap)[1]
        g, fresh = held.pop(y)
        if recorder is not None:
            g = recorder.gradient(y, g)
        if wanted is not None and y in wanted:
            found[y] = g, fresh
            if not beyond:
                continue
        node = y.node
        if recorder is None:
            sent = node.cotangents(g, y, as_tensors)
        else:
            with recorder.at_time(node.time):
                sent = [g if g is None else [(g, node.time)] for g in node.cotangents(g, y, as_tensors)]
        fresh = node.fresh and not as_tensors
        for x, is_wanted, g in zip(node.operands, node.wanted, sent):  # noqa: B905 (strict= would take as long as this)
            if g is None or not is_wanted:
                continue
            if x in held:
                before, own = held[x]
                held[x] = _sum(before, g, own), not as_tensors
            else:
                held[x] = g, fresh
                if x.node is not None:
                    heappush(heap, (-x.node.order, x))
    if recorder is not None:  # the leaves are left
        held = {x: (recorder.gradient(x, g), own) for x, (g, own) in held.items() if wanted is None or x in wanted}
    return held | found


def _sum(a: Any, b: Any, fresh: bool) -> Any:
    """Add up two cotangents, in the memory of the first where that is nobody else's."""
    if fresh and type(a) is np.ndarray and a.dtype == b.dtype:
        a += b
        return a
    return a + b


def _tensor(g: Any) -> Tensor:
    return g if isinstance(g, Tensor) else Tensor._wrap(g)


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
