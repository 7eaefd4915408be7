"""What is switched on just now: differentiation and recording; and what one operation leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinynet.primitives.core import Primitive
    from tinynet.recording import Recorder
    from tinynet.tensor import Tensor

_order = count()


class State:
    """The switches that every operation looks at."""

    grad_enabled: bool = True
    recorder: Recorder | None = None


state = State()


class Node:
    """One differentiable operation: what ran, on what, and when (``order`` grows with creation)."""

    __slots__ = ("arguments", "operands", "order", "primitive", "time")

    def __init__(self, primitive: Primitive, operands: tuple, arguments: dict[str, Any]):
        self.primitive = primitive
        self.operands = operands
        self.arguments = arguments
        self.order = next(_order)
        self.time = state.recorder.time if state.recorder is not None else None

    def cotangents(self, g: Any, y: Tensor, as_tensors: bool) -> Iterator[tuple[Tensor, Any]]:
        """Yield (operand, what ``g`` sends to it) for each operand that requires a gradient."""
        operands, output = (self.operands, y) if as_tensors else (arrays(self.operands), y.data)
        for i, operand in enumerate(self.operands):
            if getattr(operand, "requires_grad", False):
                cotangent = self.primitive.vjp(i, g, output, operands, self.arguments)
                if cotangent is not None:
                    yield operand, cotangent


def arrays(operands: tuple) -> tuple:
    """Return the operands with the array in place of every Tensor."""
    return tuple([operand.data if hasattr(operand, "requires_grad") else operand for operand in operands])


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
