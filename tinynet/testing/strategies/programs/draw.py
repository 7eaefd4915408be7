"""How a program is drawn, so that Hypothesis finds its way to the smallest one.

What is drawn is plain: the leaves' shapes, a list of choices, and last the leaves' numbers. A choice is an operation
with a few small numbers, as for a machine with registers, which hold the leaves at first: from which registers it reads
and to which it writes. So one choice can be taken out of the list without the others reading anything else. Everything
follows from these by ``instructions_for``; a choice that fits nothing is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import tinynet as tn
from tinynet.testing.strategies.arrays import arrays
from tinynet.testing.strategies.programs.program import NAMESPACE, Instruction, Program
from tinynet.testing.strategies.programs.table import KINKED, SMOOTH, Operation
from tinynet.testing.strategies.shapes import Shape

# Each shape is one choice: what is drawn in several would have the shrinker trade it for instructions.
LEAVES: list[Shape] = [shape for axes in range(4) for shape in product((1, 2, 3), repeat=axes)]
REGISTERS, VARIANTS = 4, 12
MOST_NUMBERS, MOST_AXES = 32, 4  # of any value in a program


# An operation, which of its variants, the register for the result, and one number for the two to read. With the list's
# own "one more" these are five draws, as many as Hypothesis' shrinker takes out in a row.
Choice = tuple[str, int, int, int]


def programs(
    depth: int = 6, leaves: int = 2, operations: Iterable[str] | None = None, smooth: bool = True
) -> st.SearchStrategy[Program]:
    """Programs of 1 to ``depth`` instructions on 1 to ``leaves`` leaves, whose shapes broadcast together.

    ``operations`` are names from the tables ``SMOOTH`` and ``KINKED`` of ``tn.testing.strategies``; by default all. No
    value is larger than 2, nor its derivatives large. With ``smooth`` there is no kink near; without, ``relu``, ``max``
    … meet theirs, and ties. Raises ValueError for names that are not in the table and for less than 1 instruction or
    leaf.
    """
    if depth < 1 or leaves < 1:
        raise ValueError(f"got depth={depth} and leaves={leaves}: expected at least 1")
    table = SMOOTH if smooth else SMOOTH | KINKED
    wanted = list(table) if operations is None else list(operations)
    unknown = [name for name in wanted if name not in table]
    if unknown or not wanted:
        raise ValueError(f"operations {unknown} are not among those that programs are made of: {', '.join(table)}")
    return _programs(depth, leaves, {name: table[name] for name in table if name in wanted})


@st.composite
def _programs(draw, depth: int, leaves: int, table: Mapping[str, Operation]) -> Program:
    widest = draw(st.sampled_from(LEAVES))
    other = st.sampled_from([widest] * 3 + narrower(widest))
    given = [widest, *(draw(other) for _ in range(leaves - 1))]
    registers = max(leaves, REGISTERS)
    numbers = [st.integers(0, most - 1) for most in (VARIANTS, registers, registers**2)]
    choices = draw(st.lists(st.tuples(st.sampled_from(list(table)), *numbers), min_size=1, max_size=depth))
    kept, instructions = without_unread_leaves(given, instructions_for(table, given, choices))
    assume(instructions)
    return Program(tuple(draw(arrays(shape)) for shape in kept), tuple(instructions))


def narrower(shape: Shape) -> list[Shape]:
    """All shapes that broadcast to this one, the widest first."""
    return [part for cut in range(len(shape) + 1) for part in product(*({n: 0, 1: 0} for n in shape[cut:]))]


def instructions_for(
    table: Mapping[str, Operation], leaves: Sequence[Shape], choices: Iterable[Choice]
) -> list[Instruction]:
    """Write the instruction for each choice that fits, on leaves of these shapes and on the values before it."""
    shapes, instructions = list(leaves), []
    registers = [i % len(leaves) for i in range(max(len(leaves), REGISTERS))]
    for name, variant, target, both in choices:
        sources = [registers[i:] + registers[:i] for i in (both % len(registers), both // len(registers))]
        found = _fitted(table[name], shapes, variant, sources)
        if found is not None:
            operands, text, shape = found
            instructions.append(Instruction(name, operands, text))
            registers[target] = len(shapes)
            shapes.append(shape)
    return instructions


def _fitted(
    operation: Operation, shapes: Sequence[Shape], variant: int, sources: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], str, Shape] | None:
    """The operands, the text and the shape of the result, for the first values from the ``sources`` that fit."""
    for operands in product(*sources[: operation.operands]):
        seen = [shapes[i] for i in operands]
        texts = operation.variants(*seen)
        if texts:
            text = texts[variant % len(texts)]
            shape = result_shape(text, *seen)
            if prod(shape) <= MOST_NUMBERS and len(shape) <= MOST_AXES:
                return operands, text, shape
    return None


def without_unread_leaves(
    leaves: Sequence[Shape], instructions: Sequence[Instruction]
) -> tuple[list[Shape], list[Instruction]]:
    """Leave out the leaves that no instruction reads, and number the values anew."""
    read = {operand for instruction in instructions for operand in instruction.operands}
    kept = [i for i in range(len(leaves)) if i in read]
    number = {old: new for new, old in enumerate([*kept, *range(len(leaves), len(leaves) + len(instructions))])}
    renumbered = [each._replace(operands=tuple(number[i] for i in each.operands)) for each in instructions]
    return [leaves[i] for i in kept], renumbered


@lru_cache(maxsize=4096)
def result_shape(text: str, *shapes: Shape) -> Shape:
    """The shape that an expression in ``x`` and ``y`` has for operands of these shapes."""
    operands = {letter: tn.tensor(np.zeros(shape)) for letter, shape in zip("xy", shapes, strict=False)}
    return eval(text, NAMESPACE, operands).shape
