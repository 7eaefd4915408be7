"""Wrong VJPs, made from the right ones of the table of primitives, systematically."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from benchmarks.checker.edits import rewritten
from tinynet.primitives import TABLE, Primitive, unbroadcast

Rule = Callable[..., Any]  # (g, y, *operands, **arguments)


class Mutant(NamedTuple):
    """A primitive, with a wrong VJP of one of its operands."""

    primitive: str
    operand: int | None  # None: the operands of a variadic primitive
    kind: str
    what: str
    vjp: Rule  # (i, g, y, operands, arguments), as the method of a primitive

    def __str__(self) -> str:
        return f"{self.primitive}, operand {'any' if self.operand is None else self.operand}: {self.what}"


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The table with the mutant in it."""
    primitive = TABLE[mutant.primitive]
    primitive.vjp = mutant.vjp  # type: ignore[method-assign]
    try:
        yield
    finally:
        del primitive.vjp


def mutants() -> Iterator[Mutant]:
    """All of them."""
    for name, primitive in TABLE.items():
        rules = [primitive.vjps] if callable(primitive.vjps) else primitive.vjps
        for i, rule in enumerate(rules):
            if rule is None:
                continue
            operand = None if callable(primitive.vjps) else i
            for kind, what, changed in CHANGED_RESULTS:
                yield Mutant(name, operand, kind, what, _of_result(primitive, operand, changed))
            for kind, what, changed in CHANGED_ARGUMENTS:
                yield Mutant(name, operand, kind, what, _of_arguments(primitive, operand, changed))
            for kind, what, other in rewritten(rule):
                yield Mutant(name, operand, kind, what, _of_rule(primitive, operand, other))
            if primitive.kind == "elementwise":
                yield Mutant(name, operand, "un-broadcast", "not un-broadcast", _not_summed(primitive, i))


# Mutants of what a rule gives


def _of_result(primitive: Primitive, operand: int | None, changed: Callable[[Any], Any]) -> Rule:
    right = primitive.vjp

    def vjp(i, g, y, operands, arguments):
        found = right(i, g, y, operands, arguments)
        return changed(found) if operand in (None, i) and found is not None else found

    return vjp


def _one_element(g):
    g = np.array(g)
    g[(0,) * g.ndim] = 0
    return g


def _sum_of(axis):
    return lambda g: g + 0 * g if g.ndim == 0 else np.broadcast_to(np.sum(g, axis=axis, keepdims=True), g.shape)


CHANGED_RESULTS: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("sign", "negated", lambda g: -g),
    ("factor", "times 2", lambda g: 2 * g),
    ("factor", "times 0.5", lambda g: 0.5 * g),
    ("small factor", "times 1 + 1e-3", lambda g: g * (1 + 1e-3)),
    ("small factor", "times 1 + 1e-6", lambda g: g * (1 + 1e-6)),
    ("missing", "zero", lambda g: 0 * g),
    ("missing", "one element is zero", _one_element),
    ("one element", "one element negated", lambda g: 2 * _one_element(g) - g),
    ("wrong axis", "last two axes exchanged", lambda g: g.swapaxes(-1, -2) if g.ndim > 1 else g),
    ("wrong axis", "first and last axis exchanged", lambda g: g.swapaxes(0, -1) if g.ndim > 1 else g),
    ("wrong axis", "reversed along the last axis", lambda g: g[..., ::-1] if g.ndim else g),
    ("wrong axis", "reversed along the first axis", lambda g: g[::-1] if g.ndim else g),
    ("wrong axis", "rolled by one", lambda g: np.roll(g, 1)),
    ("wrong axis", "summed over the last axis", _sum_of(-1)),
    ("wrong axis", "summed over the first axis", _sum_of(0)),
    ("shape", "flat", lambda g: g.reshape(-1)),
]


# Mutants of what a rule is given


def _of_arguments(primitive: Primitive, operand: int | None, changed: Callable[..., tuple]) -> Rule:
    right = primitive.vjp

    def vjp(i, g, y, operands, arguments):
        if operand not in (None, i):
            return right(i, g, y, operands, arguments)
        return right(i, *changed(g, y, operands, arguments))

    return vjp


def _ones_for_g(g, y, operands, arguments):
    return np.ones_like(g), y, operands, arguments


def _g_squared(g, y, operands, arguments):
    return g * g, y, operands, arguments


def _operands_swapped(g, y, operands, arguments):
    return g, y, operands[::-1], arguments


def _y_for_operand(g, y, operands, arguments):
    return g, operands[0], (y, *operands[1:]), arguments


def _ones_for_y(g, y, operands, arguments):
    return g, np.ones_like(y), operands, arguments


def _axes_moved(g, y, operands, arguments):
    """Axes, strides and sizes one further round, an axis the next one."""
    return g, y, operands, {key: _moved(key, value) for key, value in arguments.items()}


def _moved(key: str, value: Any) -> Any:
    if isinstance(value, tuple) and len(value) > 1:
        return value[1:] + value[:1]
    if key == "axis" and isinstance(value, int):
        return value - 1
    return value


def _strides_left_out(g, y, operands, arguments):
    ones = {key: (1,) * len(arguments[key]) for key in ("stride", "dilation") if key in arguments}
    return g, y, operands, {**arguments, **ones}


CHANGED_ARGUMENTS: list[tuple[str, str, Callable[..., tuple]]] = [
    ("missing", "the cotangent is left out", _ones_for_g),
    ("not linear", "the cotangent is squared", _g_squared),
    ("swapped", "operands exchanged", _operands_swapped),
    ("swapped", "y and the first operand exchanged", _y_for_operand),
    ("missing", "ones instead of y", _ones_for_y),
    ("wrong axis", "axes of the arguments rolled", _axes_moved),
    ("wrong axis", "strides and dilations left out", _strides_left_out),
]


# Mutants of the rule itself


def _of_rule(primitive: Primitive, operand: int | None, other: Rule) -> Rule:
    right = primitive.vjp

    def vjp(i, g, y, operands, arguments):
        if operand is None:
            return other(i, g, y, *operands, **arguments)
        if operand != i:
            return right(i, g, y, operands, arguments)
        found = other(g, y, *operands, **arguments)
        return unbroadcast(found, operands[i].shape) if primitive.kind == "elementwise" else found

    return vjp


def _not_summed(primitive: Primitive, operand: int) -> Rule:
    right, rule = primitive.vjp, primitive.vjps[operand]

    def vjp(i, g, y, operands, arguments):
        return rule(g, y, *operands, **arguments) if i == operand else right(i, g, y, operands, arguments)

    return vjp
