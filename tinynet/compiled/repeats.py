"""What is computed twice from the same operands is computed once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinynet.compiled.program import Program
from tinynet.primitives import TABLE
from tinynet.run import Value


def drop_repeats(program: Program) -> None:
    """The second of two equal steps becomes another name for what the first computed.

    Source: common subexpressions; Aho, Lam, Sethi and Ullman, Compilers, section 8.5.
    """
    same: dict[int, Value] = {}
    seen: dict[Any, Value] = {}
    for i, step in enumerate(program.steps):
        operands = tuple(same.get(o.index, o) if isinstance(o, Value) else o for o in step.operands)
        if any(new is not old for new, old in zip(operands, step.operands, strict=True)):
            step = program.steps[i] = replace(step, operands=operands)
        key = (step.primitive, *map(_key, operands), repr(step.arguments))
        if any(_holds_array(argument) for argument in step.arguments.values()):
            continue
        first = seen.setdefault(key, step.output)
        if first is not step.output:
            same[step.output.index] = first
            if TABLE[step.primitive].kind != "structural":
                program.steps[i] = program.alias(step, first)


def _key(operand: Any) -> Any:
    return ("value", operand.index) if isinstance(operand, Value) else (type(operand), repr(operand))


def _holds_array(argument: Any) -> bool:
    parts = argument if isinstance(argument, tuple) else (argument,)
    return any(hasattr(part, "__len__") and not isinstance(part, (tuple, str)) for part in parts)
