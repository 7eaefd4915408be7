"""What is switched on just now: differentiation and recording; and what one operation leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinynet.recording import Recorder
    from tinynet.tensor import Tensor

_order = count()


class State:
    """The switches that every operation looks at."""

    grad_enabled: bool = True
    recorder: Recorder | None = None


state = State()


class Node:
    """One differentiable operation: what ran, on what, and when (``order`` grows with creation).

    ``arrays`` are those of the operands as they were then: an optimiser may give a parameter another array. ``wanted``
    tells which of the operands required a gradient then.
    """

    __slots__ = ("arguments", "arrays", "operands", "order", "primitive", "time", "wanted")

    fresh = False  # whether its cotangents are new arrays, which nobody else has
    outputs: int = 1

    def __init__(self, primitive: Any, operands: tuple, arguments: Any, arrays: list, wanted: list[bool]):
        self.primitive, self.operands, self.arguments = primitive, operands, arguments
        self.arrays, self.wanted = arrays, wanted
        self.order = next(_order)
        self.time = None if state.recorder is None else state.recorder.time

    def cotangents(self, g: Any, y: Tensor, as_tensors: bool) -> Sequence[Any]:
        """Return what ``g`` sends to each operand; None for nothing. Only those that are wanted count."""
        operands, output = (self.as_they_were(), y) if as_tensors else (self.arrays, y.data)
        return [
            self.primitive.vjp(i, g, output, operands, self.arguments) if wanted else None
            for i, wanted in enumerate(self.wanted)
        ]

    def as_they_were(self) -> tuple:
        """The operands, with stand-ins for those that have been given another array since (by an optimiser)."""
        pairs = zip(self.operands, self.arrays, strict=True)
        return tuple(o if not hasattr(o, "requires_grad") or o.data is a else _stand_in(o, a) for o, a in pairs)


def _stand_in(x: Tensor, array: Any) -> Tensor:
    """A tensor with the array that ``x`` had; a recording knows the value that it was then."""
    if state.grad_enabled and x.requires_grad:
        raise RuntimeError(
            f"{x.name or 'a tensor'} of shape {x.shape} was given other numbers between forward and backward: "
            "create_graph=True needs those that it had"
        )
    out = x._wrap(array)
    out.requires_grad = x.requires_grad
    if state.recorder is not None:
        out.value = next((v for v in reversed(state.recorder.run.values) if v.source is array), None)
    return out


@contextmanager
def switched(**switches: Any) -> Iterator[None]:
    """Set some of the switches for the length of a ``with`` block."""
    before = {name: getattr(state, name) for name in switches}
    for name, value in switches.items():
        setattr(state, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(state, name, value)


def no_grad():
    """Context in which operations leave no trace for differentiation (``with tn.no_grad(): ...``)."""
    return switched(grad_enabled=False)
