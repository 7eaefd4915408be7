"""A composite: a definition that reads like the textbook, and a fused kernel where speed needs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import update_wrapper
from typing import Any

from tinynet import autograd
from tinynet.backend import is_floating
from tinynet.tape import Node, state, switched
from tinynet.tensor import Tensor


class Composite:
    """A function of Tensors with two bodies that a test holds equal.

    ``definition(*operands, **arguments)`` is written with primitives and names for the textbook's quantities; it
    runs while a run is being recorded. ``forward(*arrays, **arguments) -> (array, saved)`` and
    ``backward(g, saved, *arrays, **arguments) -> cotangents`` (one per operand, None where there is none) are the
    kernel: plain NumPy, used otherwise.
    """

    def __init__(self, definition: Callable, forward: Callable, backward: Callable):
        self.definition, self.kernel_forward, self.kernel_backward = definition, forward, backward
        update_wrapper(self, definition)

    def __call__(self, *operands: Any, **arguments: Any) -> Any:
        if state.recorder is not None:
            return self.definition(*operands, **arguments)
        arrays = [operand.data if isinstance(operand, Tensor) else operand for operand in operands]
        result, saved = self.kernel_forward(*arrays, **arguments)
        out = Tensor._wrap(result)
        tracked = any(isinstance(operand, Tensor) and operand.requires_grad for operand in operands)
        if state.grad_enabled and tracked and is_floating(out.data):
            out.requires_grad = True
            out.node = FusedNode(self, operands, arguments, saved)
        return out


class FusedNode(Node):
    """What a kernel leaves behind. Differentiated again (or recorded), it goes back to the definition."""

    __slots__ = ("saved",)

    def __init__(self, composite: Composite, operands: tuple, arguments: dict[str, Any], saved: Any):
        super().__init__(composite, operands, arguments)  # type: ignore[arg-type]
        self.saved = saved

    def cotangents(self, g: Any, y: Tensor, as_tensors: bool) -> Iterator[tuple[Tensor, Any]]:
        composite: Any = self.primitive
        tracked = [o for o in self.operands if isinstance(o, Tensor) and o.requires_grad]
        if as_tensors:
            with switched(grad_enabled=True):
                again = composite.definition(*self.operands, **self.arguments)
            yield from zip(tracked, autograd.grad(again, tracked, g, state.grad_enabled), strict=True)
            return
        arrays = [getattr(operand, "data", operand) for operand in self.operands]
        found = composite.kernel_backward(g, self.saved, *arrays, **self.arguments)
        for operand, cotangent in zip(self.operands, found, strict=True):
            if any(operand is t for t in tracked) and cotangent is not None:
                yield operand, cotangent


def composite(forward: Callable, backward: Callable) -> Callable[[Callable], Composite]:
    """Decorate a definition with its kernel: ``@composite(forward, backward)``."""
    return lambda definition: Composite(definition, forward, backward)
