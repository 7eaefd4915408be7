"""A composite: a definition that reads like the textbook, and a fused kernel where speed needs one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

from numpy import ndarray

from tinynet import autograd
from tinynet.backend import namespace
from tinynet.nonstandard import mirrors_numpy
from tinynet.tape import Node, state, switched
from tinynet.tensor import Tensor


class Composite:
    """A function of Tensors with two bodies that a test holds equal.

    ``definition`` is written with primitives and names for the textbook's quantities; it runs while a run is being
    recorded, and on arrays that know no more than the array-API standard. The kernel, plain NumPy (or CuPy), runs
    otherwise. ``forward(*arrays) -> (array, saved)`` gets all arguments by position, in the order of the definition;
    for a call that it cannot do it returns None, and the definition runs. ``covers(*arguments)`` tells whether to ask.
    ``backward(g, saved, wanted, *arrays) -> cotangents`` returns one for each of the first operands (those beyond have
    none): new arrays, which nobody else has. ``wanted`` says of each operand whether its cotangent is looked at; it may
    be None otherwise.

    Where a definition has several outputs, so has the kernel, as a tuple of arrays; ``g`` is then a list of what
    arrived at each of them, None for nothing.
    """

    def __init__(
        self,
        definition: Callable,
        forward: Callable,
        backward: Callable,
        covers: Callable[..., bool] | None = None,
    ):
        self.definition, self.kernel_forward, self.kernel_backward = definition, forward, backward
        self.covers = covers
        self.signature = inspect.signature(definition)
        self.arity = len(self.signature.parameters)
        update_wrapper(self, definition)

    def __call__(self, *operands: Any, **arguments: Any) -> Any:
        if state.recorder is not None:
            return self.definition(*operands, **arguments)
        if arguments or len(operands) != self.arity:
            operands = self._by_position(operands, arguments)
        if self.covers is not None and not self.covers(*operands):
            return self.definition(*operands)
        arrays, wanted, plain = [], [], True
        for operand in operands:
            if isinstance(operand, Tensor):
                wanted.append(operand.requires_grad)
                operand = operand.data
                if type(operand) is not ndarray:
                    plain = False
            else:
                wanted.append(False)
            arrays.append(operand)
        if not plain and not mirrors_numpy(namespace(*arrays)):
            return self.definition(*operands)
        computed = self.kernel_forward(*arrays)
        if computed is None:
            return self.definition(*operands)
        result, saved = computed
        tracked = True in wanted and state.grad_enabled
        if type(result) is tuple:
            node = SeveralOutputs(self, operands, saved, arrays, wanted, len(result)) if tracked else None
            return tuple([_output(array, node, place) for place, array in enumerate(result)])
        out = Tensor._wrap(result)
        if tracked:
            out.requires_grad, out.node = True, FusedNode(self, operands, saved, arrays, wanted)
        return out

    def _by_position(self, operands: tuple, arguments: dict[str, Any]) -> tuple:
        try:
            bound = self.signature.bind(*operands, **arguments)
        except TypeError as error:
            raise TypeError(f"{self.definition.__name__}() {error}") from None
        bound.apply_defaults()
        return bound.args


class FusedNode(Node):
    """What a kernel leaves behind: its ``arguments`` are what it saved.

    Differentiated again (or recorded), it goes back to the definition.
    """

    __slots__ = ()

    fresh = True

    def cotangents(self, g: Any, y: Tensor, as_tensors: bool) -> Sequence[Any]:
        if as_tensors:
            return self._by_definition(g)
        return self.primitive.kernel_backward(g, self.arguments, self.wanted, *self.arrays)

    def _by_definition(self, g: Any) -> Sequence[Any]:
        composite: Any = self.primitive
        operands = self.as_they_were()
        of_whom = [id(operand) for operand in self.operands]
        seen = {key: operand for key, operand, w in zip(of_whom, operands, self.wanted, strict=True) if w}
        with switched(grad_enabled=True):
            again = composite.definition(*operands)
        several = self.outputs > 1
        found = autograd.partials(again if several else [again], tuple(seen.values()), g if several else [g])
        sent = dict(zip(seen, found, strict=True))
        return [sent.pop(key, None) for key in of_whom]  # an operand that is there twice gets it once


class SeveralOutputs(FusedNode):
    """What a kernel with several outputs leaves behind; each of them knows its place."""

    __slots__ = ("outputs",)

    def __init__(self, primitive: Any, operands: tuple, saved: Any, arrays: list, wanted: list[bool], outputs: int):
        super().__init__(primitive, operands, saved, arrays, wanted)
        self.outputs = outputs


def _output(array: Any, node: SeveralOutputs | None, place: int) -> Tensor:
    out = Tensor._wrap(array)
    if node is not None:
        out.requires_grad, out.node, out.place = True, node, place
    return out


def composite(forward: Callable, backward: Callable, **options: Callable) -> Callable[[Callable], Composite]:
    """Decorate a definition with its kernel: ``@composite(forward, backward)``; see ``Composite``."""
    return lambda definition: Composite(definition, forward, backward, **options)
