"""What a primitive is, and the table of them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet.backend import is_floating, namespace
from tinynet.tape import Node, state
from tinynet.tensor import Tensor

TABLE: dict[str, Primitive] = {}


class Primitive:
    """An operation with a forward and its vector-Jacobian products (VJPs), each written once, in array style.

    ``forward(xp, *arrays, **arguments)`` computes on arrays of the namespace ``xp``.
    ``vjps[i](g, y, *operands, **arguments)`` returns what the cotangent ``g`` of the output ``y`` sends to
    operand ``i``; a variadic primitive has one ``vjps(i, g, y, *operands, **arguments)`` instead, and ``None``
    stands for "no derivative". Because ``g``, ``y`` and the operands may be arrays or Tensors alike, the same
    line is the fast backward pass, a recorded one, and a differentiable one.

    Kinds: ``elementwise`` (broadcasts), ``structural`` (moves numbers, computes none: it also runs on cell
    addresses), ``reduction``, ``contraction`` and ``indexed`` (places chosen by integer data).
    """

    def __init__(self, name: str, kind: str, forward: Callable, vjps: Any = ()):
        if name in TABLE:
            raise ValueError(f"primitive {name!r} is already in the table")
        self.name, self.kind, self.forward, self.vjps = name, kind, forward, vjps
        TABLE[name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *operands: Any, **arguments: Any) -> Any:
        arrays, wanted, tensors = [], [], False
        for operand in operands:
            if isinstance(operand, Tensor):
                wanted.append(operand.requires_grad)
                operand, tensors = operand.data, True
            else:
                wanted.append(False)
            arrays.append(operand)
        result = self.forward(namespace(*arrays), *arrays, **arguments)
        if not tensors:
            return result
        out = Tensor._wrap(result)
        if True in wanted and state.grad_enabled and self.vjps and is_floating(result):
            out.requires_grad = True
            out.node = Node(self, operands, arguments, arrays, wanted)
        if state.recorder is not None:
            state.recorder.add(self, operands, arguments, out)
        return out

    def vjp(self, i: int, g: Any, y: Any, operands: Any, arguments: dict[str, Any]) -> Any:
        """Return the cotangent of operand ``i``, in that operand's shape; None where there is no derivative."""
        if callable(self.vjps):
            return self.vjps(i, g, y, *operands, **arguments)
        rule = self.vjps[i]
        if rule is None:
            return None
        result = rule(g, y, *operands, **arguments)
        if self.kind != "elementwise" or result.shape == operands[i].shape:
            return result
        return unbroadcast(result, operands[i].shape)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum ``g`` over the axes along which an operand of ``shape`` was broadcast."""
    if g.shape == shape:
        return g
    extra = len(g.shape) - len(shape)
    stretched = tuple(
        axis for axis in range(len(g.shape)) if axis < extra or (shape[axis - extra] == 1 != g.shape[axis])
    )
    if stretched:
        g = TABLE["sum"](g, axis=stretched, keepdims=False)
    return g if g.shape == shape else TABLE["reshape"](g, shape=shape)
