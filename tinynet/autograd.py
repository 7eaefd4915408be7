"""Reverse-mode differentiation: the operations, last first, each sending its cotangent to its operands.

Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 3 (reverse accumulation). The operations are
visited in the reverse of the order in which they ran, which a heap of creation numbers gives without any
recursion, so that chains of any length work.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from heapq import heappop, heappush, heappushpop
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
    grads = tuple(_result(found[x], create_graph) if x in found else _zeros_like(x) for x in wanted)
    return grads[0] if isinstance(xs, Tensor) else grads


def _result(found: tuple[Any, bool], create_graph: bool) -> Tensor:
    g, fresh = found
    return _tensor(g) if fresh or create_graph else _own(_tensor(g))


def partials(ys: Sequence[Tensor], xs: Sequence[Tensor], gradients: Sequence[Any]) -> list[Tensor | None]:
    """Return the derivative of all ``ys`` for each of ``xs`` with the others held fixed, even where one depends on
    another: what one operation sends to its operands. None stands for an x that no y depends on.
    """
    roots = [(y, _seed(y, g)) for y, g in zip(ys, gradients, strict=True) if g is not None and y.requires_grad]
    found = _sweep(roots, set(xs), beyond=False, as_tensors=True)
    return [found[x][0] if x in found else None for x in xs]


def _differentiate(y, gradient, wanted, create_graph):
    """Return {x: (cotangent, fresh)}, see ``_sweep``; for all leaves where ``wanted`` is None."""
    if not y.requires_grad:
        raise ValueError(
            "this tensor has no history to differentiate: nothing that it was computed from requires a gradient"
        )
    wanted = None if wanted is None else set(wanted)
    # Arrays are fastest; Tensors where the backward pass is itself to be recorded or differentiated.
    if not create_graph and state.recorder is None:
        single = gradient is None and type(y.data) is np.ndarray and not y.data.shape
        seed = _one(y.data.dtype) if single else _seed(y, gradient).data
        return _sweep([(y, seed)], wanted, beyond=True, as_tensors=False)
    with nullcontext() if create_graph else no_grad(), _in_phase("backward", y):
        return _sweep([(y, _seed(y, gradient))], wanted, beyond=True, as_tensors=True)


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


@lru_cache(maxsize=4)
def _one(dtype):
    """The seed of a single number, the same for all: nobody writes into what is not fresh."""
    one = np.ones((), dtype)
    one.flags.writeable = False
    return one


def _sweep(roots, wanted, beyond, as_tensors):
    """One pass backwards: {x: (cotangent, fresh)} for the wanted tensors, or leaves, at least.

    What arrives at a tensor is held until the last of its consumers has been visited. While a run is recorded, that is
    a list of what arrived and from which time step: the recorder adds it up. With ``beyond=False`` the wanted tensors
    are taken for leaves. ``fresh`` cotangents are arrays that nobody else has. (A dictionary looks at the hash of a
    tensor first, so that it is equal to none but itself.)
    """
    recorder = state.recorder
    held: dict[Tensor, tuple] = {}
    found: dict[Tensor, tuple] = {}
    heap: list[tuple] = []
    outputs: dict[int, Any] = {}
    for y, g in roots:
        held[y] = g if recorder is None else [(g, None)], False
        if y.node is not None:
            heappush(heap, _entry(y))
    latest = None  # the first operand met since the last visit: in a chain it is the next, and the heap is left alone
    while heap or latest is not None:
        y = heappop(heap)[3] if latest is None else heappushpop(heap, _entry(latest))[3] if heap else latest
        latest = None
        g, fresh = held.pop(y)
        if recorder is not None:
            g = recorder.gradient(y, g)
        if wanted is not None and y in wanted:
            found[y] = g, fresh
            if not beyond:
                g = None
        node = y.node
        if node.outputs > 1:
            outputs[y.place] = g if outputs.get(y.place) is None else g + outputs[y.place]  # of a copy of it
            if heap and heap[0][3].node is node:
                continue  # to the next of them
            g, outputs = _by_place(outputs, node.outputs), {}
        if g is None:
            continue
        sent = node.cotangents(g, y, as_tensors) if recorder is None else _recorded(recorder, node, g, y)
        fresh = node.fresh and not as_tensors
        for x, need, g in zip(node.operands, node.wanted, sent):  # noqa: B905 (strict= would take as long as this)
            if g is None or not need:
                continue
            if x in held:
                before, own = held[x]
                held[x] = _sum(before, g, own), not as_tensors
                continue
            held[x] = g, fresh
            if x.node is None:
                continue
            if latest is None:
                latest = x
            else:
                heappush(heap, _entry(x))
    if recorder is not None:
        held = _recorded_leaves(recorder, held, wanted)
    return held | found if found else held


def _entry(y):
    """For a heap that gives what was made last first, and the outputs of one operation by their places."""
    return -y.node.order, y.place, id(y), y


def _by_place(gs, count):
    """What arrived at each of several outputs; None where nothing did at any."""
    return None if all(g is None for g in gs.values()) else [gs.get(place) for place in range(count)]


def _recorded(recorder, node, g, y):
    with recorder.at_time(node.time):
        return [sent if sent is None else [(sent, node.time)] for sent in node.cotangents(g, y, as_tensors=True)]


def _recorded_leaves(recorder, held, wanted):
    return {x: (recorder.gradient(x, g), own) for x, (g, own) in held.items() if wanted is None or x in wanted}


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
    if state.recorder is None:
        return Tensor._wrap(a.data + b.data)
    with no_grad(), state.recorder.in_scope(""):  # in a scope it is no update by hand
        return a + b


def _zeros_like(x: Tensor) -> Tensor:
    return Tensor._wrap(namespace(x.data).zeros_like(x.data))


def _in_phase(phase: str, y: Tensor):
    return nullcontext() if state.recorder is None else state.recorder.in_phase(phase, loss=y)
