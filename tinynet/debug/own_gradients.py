"""Which gradients of somebody's code are compared: those of the parameters, and what these follow from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tinynet.debug.compare import laid_beside
from tinynet.debug.consequences import Consequences, Verdict
from tinynet.debug.names import Matched
from tinynet.debug.program import Program
from tinynet.run import Value


class Chosen(NamedTuple):
    """What is compared; ``undecided`` of it may be something else than it is called.

    ``gradients`` are the parameters whose gradients are among it, ``missing`` the others.
    """

    matched: Matched
    undecided: set[int]
    gradients: tuple[str, ...]
    missing: tuple[str, ...]


def choose(program: Program, matched: Matched, name: str, own: set[str], tolerance: float | None) -> Chosen:
    """Leave out of ``matched`` what is not compared. Raises ValueError where no gradient of a parameter is there.

    Left out are what the function is given, what its forward pass computes (which is taken for right), and what is
    called like a gradient if the wrong gradients of what is given do not follow from it. Only a dx that is the
    function's ``own`` is the gradient of x.
    """
    book = program.recorded
    gradients = {value: gradient.index for value, gradient in book.total_gradients.items()}
    parameters = {str(of.name): index for of, index in gradients.items() if of.kind == "parameter"}
    if not any(index in matched.arrays for index in parameters.values()):
        called = ", ".join(list(parameters)[:6])
        raise ValueError(f"no variable of {name} could be told to be the gradient of {called}: call that of W dW")
    comparison = laid_beside(program, matched, tolerance)
    wrong = set(comparison.wrong())
    theirs = {index for index in matched.arrays if _variable(matched.sources[index]) in own}
    given = {index for of, index in gradients.items() if of.kind == "input" and index in theirs}
    asked = matched.arrays.keys() & (given | set(parameters.values()))
    computed = {index for index in matched.arrays if book.values[index].of is not None}
    ends = asked | ((theirs & computed) - _leading_to(program, parameters.values()))
    consequences = Consequences(comparison, ends)
    verdicts = consequences.judge(computed - ends) if wrong & asked else dict.fromkeys(computed - asked, Verdict.UNUSED)
    for index in list(matched.arrays):
        value, forward = book.values[index], index not in computed and book.values[index] is not book.loss
        unused = forward or verdicts.get(index) is Verdict.UNUSED
        if value.kind != "computed" or (index in wrong and unused):
            del matched.arrays[index]
    for index, scale in consequences.scaled.items():
        matched.arrays[index] = matched.arrays[index] / scale
        matched.sources[index] += f" / {scale:.6g}" if scale > 1 else f" * {1 / scale:.6g}"
    undecided = {index for index, verdict in verdicts.items() if verdict is Verdict.UNDECIDED}
    there = tuple(called for called, index in parameters.items() if index in matched.arrays)
    return Chosen(matched, undecided & wrong, there, tuple(called for called in parameters if called not in there))


def _variable(source: str) -> str:
    """``dx[:, 2]`` → ``dx``."""
    return re.sub(r"[ \[.,].*", "", source.removeprefix("-"))


def _leading_to(program: Program, values: Iterable[int]) -> set[int]:
    """All values that some of ``values`` are computed from, and these."""
    found = set(values)
    for step in reversed(program.steps):
        if step.output.index in found:
            found |= {operand.index for operand in step.operands if isinstance(operand, Value)}
    return found
