"""Another operation is done than the one that belongs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses.base import Facts, Hypothesis, Key, Members, times
from tinynet.debug.hypotheses.replacements import taken
from tinynet.debug.program import Edit, Plain
from tinynet.primitives import TABLE
from tinynet.run import Step, Value

Found = Iterator[tuple[str, Plain]]  # functions of the operands
MOST_SOURCES = 3  # that a factor without a name is called by
UNARY = ("tanh", "sigmoid", "relu", "exp", "log", "sqrt", "absolute", "negative")


def other_operations(facts: Facts, values: Members, title: str) -> Iterator[Hypothesis]:
    """Each operation that computes ``values`` is another one."""
    for places in _alike(facts, values).values():
        step = facts.run.steps[places[0]]
        for label, compute in (*_without_a_factor(facts, step), *instead(facts, step)):
            steps = dict.fromkeys(places, lambda look, *x, f=compute: f(*x))
            yield Hypothesis(f"{title}: {label}", Edit(steps=steps))


def _alike(facts: Facts, values: Members) -> dict[Key, list[int]]:
    """The operations that compute these values, together where they do the same at another time step."""
    groups: dict[Key, list[int]] = {}
    for t, index in values.items():
        for i in facts.local(index):
            step = facts.run.steps[i]
            base = step.time if t is None else t
            operands = tuple(facts.reference(o, base) if isinstance(o, Value) else o for o in step.operands)
            key = (step.primitive, str(step.arguments) if step.primitive != "getitem" else "", operands)
            groups.setdefault((*key, step.output.shape), []).append(i)
    return groups | dict(_with_the_end(groups))


def _with_the_end(groups: dict[Key, list[int]]) -> Iterator[tuple[Key, list[int]]]:
    """Each group with one more operation: at the first step, say, where one operand is an initial state."""
    alone = [(key, places[0]) for key, places in groups.items() if len(places) == 1]
    for key, places in groups.items():
        for other, i in alone if len(places) > 1 else ():
            name, arguments, operands, shape = key
            same = sum(a == b for a, b in zip(operands, other[2], strict=False))
            if other[:2] == (name, arguments) and other[3] == shape and same == len(operands) - 1 == len(other[2]) - 1:
                yield (*key, "and", i), [*places, i]


def _without_a_factor(facts: Facts, step: Step) -> Found:
    """One factor of a product is forgotten."""
    if step.primitive != "multiply" or not all(isinstance(o, Value) for o in step.operands):
        return
    if step.operands[0] is step.operands[1]:  # a square
        return
    for k, keep in ((0, lambda x, y: y + 0 * x), (1, lambda x, y: x + 0 * y)):
        factor = step.operands[k]
        sources = facts.sources(factor)
        if factor.quantity is not None and factor.kind != "hyperparameter":  # there may be several products of that
            word = facts.said(factor, facts.reference(factor, step.time))
            called = f"{word} is left out as a factor" if word.startswith("the ") else f"the factor {word} is left out"
            yield called, keep
        elif sources and sources.count(", ") < MOST_SOURCES:
            yield f"the factor that is computed from {sources} is left out", keep


def instead(facts: Facts, step: Step) -> Found:
    """What may be computed in place of one operation."""
    name = step.primitive
    if name in UNARY:
        yield from _of_function(name)
    elif name in ("add", "subtract"):
        yield from _of_sum(name)
    elif name in ("multiply", "divide"):
        yield from _of_product(name, facts.constants)
    elif name == "power":
        yield from _of_power()
    elif name == "where":
        if isinstance(step.operands[1], Value) or step.operands[1] != 0:
            yield "the mask is left out", lambda c, x, y: x + 0 * y
        else:
            yield "the mask is left out", lambda c, x, y: 0 * x + y
            yield "what passes where the condition does not hold is left out", lambda c, x, y: x + 0 * y
        yield "the mask is the wrong way round", lambda c, x, y: P.where(c, y, x)
    elif name in ("sum", "max"):
        yield from _of_reduction(step)
    else:
        yield from _of_layout(step)


def _of_function(name: str) -> Found:
    yield f"{name} is left out", lambda x: x
    for other in UNARY:
        if other != name:
            yield f"{other} instead of {name}", lambda x, f=TABLE[other]: f(x)
    for slope in (0.01, 0.1, 0.2):
        text = f"a leaky relu of slope {slope} instead of {name}"
        yield text, lambda x, k=slope: P.where(x > 0, x, k * x)
    yield f"elu instead of {name}", lambda x: P.where(x > 0, x, P.exp(P.where(x > 0, 0 * x, x)) - 1)
    yield f"a hard sigmoid instead of {name}", lambda x: P.minimum(P.maximum(0.2 * x + 0.5, 0.0), 1.0)
    if name == "log":
        yield "the logarithm is to the base 10", lambda x: P.log(x) / float(np.log(10))
        yield "the logarithm is to the base 2", lambda x: P.log(x) / float(np.log(2))


def _of_sum(name: str) -> Found:
    if name == "add":
        yield "the second term is subtracted", lambda x, y: x - y
        yield "the first term is subtracted", lambda x, y: y - x
    else:
        yield "the second term is added", lambda x, y: x + y
        yield "the terms are subtracted the other way round", lambda x, y: y - x
    yield f"only the first term of {name} is kept", lambda x, y: x + 0 * y
    yield f"only the second term of {name} is kept", lambda x, y: y + 0 * x
    yield f"the first term of {name} is counted twice", lambda x, y: P.add(x, TABLE[name](x, y))
    yield f"multiply instead of {name}", lambda x, y: x * y


def _of_product(name: str, constants: Mapping[str, float]) -> Found:
    if name == "multiply":
        yield "only the first factor is kept", lambda x, y: x + 0 * y
        yield "only the second factor is kept", lambda x, y: y + 0 * x
        yield "add instead of multiply", lambda x, y: x + y
        yield "divide instead of multiply", lambda x, y: x / y
    else:
        yield "the division is left out", lambda x, y: x + 0 * y
        yield "multiply instead of divide", lambda x, y: x * y
        for label, factor in constants.items():
            yield f"divided by {times(label, factor)} instead", lambda x, y, c=factor: x / c + 0 * y


def _of_power() -> Found:
    yield "the power is left out", lambda x, p: x + 0 * p
    yield "multiply instead of power", lambda x, p: x * p
    yield "the base and the exponent are taken for each other", lambda x, p: p**x
    yield "the exponent is one too small", lambda x, p: x ** (p - 1)
    yield "the exponent is one too large", lambda x, p: x ** (p + 1)
    yield "the absolute value instead of the power", lambda x, p: P.absolute(x) + 0 * p


def _of_layout(step: Step) -> Found:
    """Matrix products, and what only moves numbers."""
    name, shape = step.primitive, step.output.shape
    if name == "matmul":
        a, b = (o.shape for o in step.operands)
        if b[-1] == b[-2]:
            yield "the matrix is transposed", lambda x, y: P.matmul(x, P.swap_last_axes(y))
        if a[-1] == a[-2]:
            yield "the left matrix is transposed", lambda x, y: P.matmul(P.swap_last_axes(x), y)
    elif name == "transpose" and len(shape) > 1:
        yield "reshaped where the transpose is meant", lambda x: P.reshape(x, shape=shape)
    elif name == "flip":
        yield "the kernel is not rotated", lambda x, **_: x
    elif name == "broadcast_to" and step.operands[0].array.ndim == len(shape):
        yield (
            "spread along the wrong axis",
            lambda x: P.broadcast_to(P.reshape(x, shape=tuple(reversed(x.shape))), shape=shape),
        )


def _of_reduction(step: Step) -> Found:
    """A sum or a largest number of fewer numbers, along another axis, or scaled."""
    shape = step.operands[0].shape
    axis, keep = step.arguments["axis"], step.arguments["keepdims"]
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = [a % len(shape) for a in axes]
    count = int(np.prod([shape[a] for a in axes]))
    arguments = {"axis": axis, "keepdims": keep}
    if step.primitive == "sum":
        if len(axes) < len(shape):
            yield (
                "the sum is taken over all axes",
                lambda x: P.sum(x, axis=None, keepdims=False) + 0 * P.sum(x, **arguments),
            )
        yield "the mean instead of the sum", lambda x: P.sum(x, **arguments) / count
        yield "the largest instead of the sum", lambda x: P.max(x, **arguments)
    else:
        yield "the shift by the largest is left out", lambda x: 0 * P.max(x, **arguments)
    for a in axes:
        for place, which in ((0, "first"), (-1, "last")):
            picked = np.full(1, place % shape[a])
            yield (
                f"only the {which} along axis {a} instead of all",
                lambda x, a=a, p=picked: P.sum(taken(x, a, p), **arguments),
            )
        if shape[a] > 1:
            yield f"the mean along axis {a} instead of the sum", lambda x, n=shape[a]: P.sum(x, **arguments) / n
    for other in range(len(shape)):
        if len(axes) == 1 and other != axes[0] and keep:
            yield (
                f"along axis {other} instead of {axes[0]}",
                lambda x, o=other, s=step.output.shape: P.reshape(P.sum(x, axis=o, keepdims=True), shape=s),
            )
