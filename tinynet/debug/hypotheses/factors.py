"""Factors: another one, or one that is moved before or after a product, to more or to less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses.base import Facts, Hypothesis, Members, Place, symbol
from tinynet.debug.hypotheses.replacements import functions
from tinynet.debug.program import Change, Compute, Edit, Look
from tinynet.primitives import TABLE
from tinynet.run import Step, Value


def forgotten_factors(facts: Facts, values: Members, title: str) -> Iterator[Hypothesis]:
    """Of a product without a name, that the backward pass reads once more, only one factor is read."""
    edits: dict[str, dict[Place, Change]] = {}
    for index in values.values():
        for i in facts.local(index):
            for k, operand in enumerate(facts.run.steps[i].operands if facts.run.steps[i].phase != "forward" else ()):
                path = _forward_product(facts, operand)
                for factor, other in (path[-1].operands, path[-1].operands[::-1]) if path else ():
                    word = facts.said(factor, facts.reference(factor, path[-1].time))
                    edits.setdefault(word, {})[i, k] = _only(other.index, path[-1].output.index, path[:-1])
    for word, reads in edits.items():
        yield Hypothesis(f"{title}: the factor {word} is left out", Edit(reads=reads))


def _only(factor: int, product: int, moves: list[Step]) -> Change:
    """One factor, in the places where the product is read."""

    def change(x: Any, look: Look) -> Any:
        found = look(factor) + 0 * look(product)
        for step in reversed(moves):
            found = TABLE[step.primitive](found, **step.arguments)
        return found

    return change


def _forward_product(facts: Facts, operand: Any) -> list[Step]:
    """The steps of the forward pass that move a product of two named factors, the last first, and the product."""
    found: list[Step] = []
    while isinstance(operand, Value) and operand.quantity is None and operand.index in facts.program.made_by:
        step = facts.run.steps[facts.program.made_by[operand.index]]
        found.append(step)
        if step.primitive == "multiply" and step.phase == "forward":
            return found if all(isinstance(f, Value) and f.quantity is not None for f in step.operands) else []
        if TABLE[step.primitive].kind != "structural" or len(step.operands) != 1:
            break
        operand = step.operands[0]
    return []


def slopes(facts: Facts, values: Members, title: str) -> Iterator[Hypothesis]:
    """A factor that is a function of one quantity (a derivative, say) is left out, or another function of it."""
    edits: dict[str, dict[int, Compute]] = {}
    for index in values.values():
        for i in facts.local(index):
            for source, other in _slopes_of(facts, facts.run.steps[i]):
                word = symbol(str(source.quantity))
                left_out = lambda look, *x, j=other.index: look(j)  # noqa: E731
                edits.setdefault(f"the derivative of {word} is left out", {})[i] = left_out
                for how, function in [*functions().items(), ("{}", lambda x: x)]:
                    text = f"the factor is {how.format(word)}, which is not the derivative"
                    compute = lambda look, *x, j=other.index, y=source.index, f=function: look(j) * f(look(y))  # noqa: E731
                    edits.setdefault(text, {})[i] = compute
    for label, steps in edits.items():
        yield Hypothesis(f"{title}: {label}", Edit(steps=steps))


def _slopes_of(facts: Facts, step: Step) -> Iterator[tuple[Value, Value]]:
    """What a factor is a function of, and the other factor: g of g · f(y), and of (g · y) · f(y) too."""
    if step.primitive != "multiply" or not all(isinstance(o, Value) for o in step.operands):
        return
    for factor, other in (step.operands, step.operands[::-1]):
        source = _function_of(facts, factor)
        if source is None or source.shape != step.output.shape:
            continue
        made = facts.program.made_by.get(other.index) if other.quantity is None else None
        inner = facts.run.steps[made] if made is not None else None
        if inner is not None and inner.primitive == "multiply" and source in inner.operands:
            yield source, inner.operands[inner.operands[0] is source]
        else:
            yield source, other


def _function_of(facts: Facts, value: Value) -> Value | None:
    """The one named quantity that an unnamed value is computed from."""
    if value.quantity is not None:
        return None
    operands = [o for i in facts.program.between(value.index, facts.named) for o in facts.run.steps[i].operands]
    named = {o.index: o for o in operands if isinstance(o, Value) and o.quantity is not None}
    return next(iter(named.values())) if len(named) == 1 else None


def moved_factors(facts: Facts, values: Members, target: str) -> Iterator[Hypothesis]:
    """A factor (a gate, say) is applied before a matrix product instead of after it, or to more, or to less."""
    found: dict[str, dict[int, Compute]] = {}
    for index in values.values():
        for i in facts.local(index):
            step = facts.run.steps[i]
            if step.primitive == "multiply" and all(isinstance(o, Value) for o in step.operands):
                for k in (0, 1):
                    for label, compute in _moved(facts, step.operands[k], step.operands[1 - k]):
                        found.setdefault(label, {})[i] = compute
            if step.primitive == "add":
                for label, compute in _spread(facts, step):
                    found.setdefault(label, {})[i] = compute
            for label, compute in _after_product(facts, step):
                found.setdefault(label, {})[i] = compute
    for label, steps in found.items():
        yield Hypothesis(f"{target}: {label}", Edit(steps=steps))


def _moved(facts: Facts, factor: Value, product: Value) -> Iterator[tuple[str, Compute]]:
    """f · (h Wᵀ + b) with f elsewhere."""
    parts = _affine(facts, product, factor.shape) if factor.quantity is not None else None
    if parts is None:
        return
    (h, w, b), f = parts, factor.index
    gate, state, bias = (symbol(str(facts.run.values[i].quantity)) for i in (f, h, b))

    def product_of(look: Look, x: Any) -> Any:
        return P.matmul(x, P.transpose(look(w), axes=(1, 0)))

    yield (
        f"{gate} multiplies {state} before the matrix product, not the product after it",
        lambda look, *x: product_of(look, look(f) * look(h)) + look(b),
    )
    yield (
        f"{gate} multiplies {state} before the matrix product, and {bias} is multiplied by it too",
        lambda look, *x: product_of(look, look(f) * look(h)) + look(f) * look(b),
    )
    yield (
        f"{gate} multiplies {state} before the matrix product, and {bias} is left out",
        lambda look, *x: product_of(look, look(f) * look(h)),
    )
    yield (
        f"{bias} is added outside of what {gate} multiplies",
        lambda look, *x: look(f) * product_of(look, look(h)) + look(b),
    )


def _after_product(facts: Facts, step: Step) -> Iterator[tuple[str, Compute]]:
    """(f · h) Wᵀ, or that and b, with f after the product."""
    made = facts.program.made_by
    if not all(isinstance(operand, Value) for operand in step.operands):
        return
    product = facts.run.steps[made.get(step.operands[0].index, 0)] if step.primitive == "add" else step
    before = made.get(product.operands[0].index) if product.primitive == "matmul" else None
    if before is None or facts.run.steps[before].primitive != "multiply":
        return
    operands = [o for o in facts.run.steps[before].operands if isinstance(o, Value) and o.shape == step.output.shape]
    for gate, state in (operands, operands[::-1]) if len(operands) == 2 else ():
        if gate.quantity and state.quantity and facts.is_share(gate):
            text = f"{symbol(gate.quantity)} multiplies the matrix product of {symbol(state.quantity)}, not that itself"
            f, h, w = gate.index, state.index, product.operands[1].index
            if step is product:
                yield text, lambda look, *x, f=f, h=h, w=w: look(f) * P.matmul(look(h), look(w))
            else:
                also = f"{text}, and the bias with it"
                yield also, lambda look, x, b, f=f, h=h, w=w: look(f) * (P.matmul(look(h), look(w)) + b)


def _affine(facts: Facts, product: Value, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(h, W, b) with product = h Wᵀ + b and h of this shape, if there are such quantities."""
    arrays, made_by, steps = facts.program.arrays, facts.program.made_by, facts.run.steps
    made = facts.program.between(product.index, set())
    if len(product.shape) != 2 or len(shape) != 2 or all(steps[i].primitive != "matmul" for i in made):
        return None
    values = [v for v in facts.run.values if v.quantity is not None and v.array.dtype.kind == "f"]
    before = made_by.get(product.index, -1)
    pieces = [v for v in values if v.kind == "parameter" or facts.is_piece(v)]
    near = [v for v in values if v.time is None or product.time is None or abs(v.time - product.time) <= 1]
    states = [v for v in near if v.shape == shape and made_by.get(v.index, -1) < before and v not in pieces]
    biases = [v for v in pieces if v.shape == product.shape[-1:]]
    if not biases:
        return None
    stacked = np.stack([arrays[b.index] for b in biases])[:, None]
    for w in (v for v in pieces if v.shape == (product.shape[-1], shape[-1])):
        for h in states:
            rest = arrays[product.index] - arrays[h.index] @ arrays[w.index].T
            fitting = np.all(np.abs(rest - stacked) <= 1e-9, axis=(1, 2))
            if fitting.any():
                return h.index, w.index, biases[int(fitting.argmax())].index
    return None


def _spread(facts: Facts, step: Step) -> Iterator[tuple[str, Compute]]:
    """One term of a sum has a factor; the other, or a bias within it, gets it too."""
    for k, operand in enumerate(step.operands):
        made = facts.program.made_by.get(operand.index) if isinstance(operand, Value) else None
        inner = facts.run.steps[made] if made is not None else None
        if inner is None or inner.primitive != "multiply":
            continue
        for factor in (o for o in inner.operands if isinstance(o, Value) and o.quantity):
            gate = symbol(str(factor.quantity))
            yield (
                f"{gate} multiplies the whole sum",
                lambda look, x, y, f=factor.index, k=k: (x + y * look(f)) if k == 0 else (x * look(f) + y),
            )
            for b in (v for v in facts.run.values if facts.is_piece(v) and v.shape == factor.shape[-1:]):
                yield (
                    f"{symbol(str(b.quantity))} is multiplied by {gate} too",
                    lambda look, x, y, f=factor.index, b=b.index: x + y + (look(f) - 1) * look(b),
                )
