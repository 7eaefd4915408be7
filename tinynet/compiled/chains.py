"""Chains of additions: what they add up, and those that can be had in one."""

from __future__ import annotations

from tinynet.compiled.program import Program, is_moved, is_private, producers, readers, values
from tinynet.run import Step, Value


class Sums:
    """The sums of a program, each with its terms, however many additions it took."""

    def __init__(self, program: Program):
        self.by = producers(program.steps)
        self.reads = readers(program.steps)
        inner = {
            value.index
            for step in program.steps
            if step.primitive == "add"
            for value in values(step)
            if self._continues(value, step)
        }
        self.steps = [s for s in program.steps if s.primitive == "add" and s.output.index not in inner]

    def _continues(self, value: Value, step: Step) -> bool:
        """Whether ``value`` is itself a sum that only ``step`` reads."""
        made = self.by.get(value.index)
        alone = self.reads[value.index] == 1 and is_private(value) and step.operands[0] is not step.operands[1]
        return made is not None and made.primitive == "add" and alone and value.shape == step.output.shape

    def terms(self, step: Step) -> list[Value] | None:
        """What is added up, from left to right; None where one of it is a plain number or of another shape."""
        found: list[Value] = []
        waiting = [(operand, step) for operand in reversed(step.operands)]
        while waiting:
            term, reader = waiting.pop()
            if not isinstance(term, Value) or term.shape != step.output.shape:
                return None
            if self._continues(term, reader):
                inner = self.by[term.index]
                waiting += [(operand, inner) for operand in reversed(inner.operands)]
            else:
                found.append(term)
        return found

    def source(self, value: Value) -> tuple[Step | None, list[Step]]:
        """The step that computed what ``value`` is moved from, and those that moved it, the last first.

        None for a leaf, and where somebody else reads it on the way.
        """
        moves: list[Step] = []
        while True:
            step = self.by.get(value.index)
            if step is None or self.reads[value.index] > 1 or not is_private(value):
                return None, moves
            if not is_moved(step) or step.primitive == "scatter":
                return step, moves
            moves.append(step)
            value = step.operands[0]
