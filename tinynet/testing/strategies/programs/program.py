"""A program: straight-line Python on Tensors, which prints as what it is."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn

NAMESPACE: dict[str, Any] = {"tn": tn, "np": np}  # what the text of an instruction may use


class Instruction(NamedTuple):
    """One line: ``(v0 + v1) / 2`` is the operation ``"add"`` of the operands (0, 1), in the text ``(x + y) / 2``."""

    operation: str
    operands: tuple[int, ...]
    text: str

    @property
    def expression(self) -> str:
        """The text with the operands in place of ``x`` and ``y``."""
        return re.sub(r"\b[xy]\b", lambda match: f"v{self.operands['xy'.index(match[0])]}", self.text)


class Program:
    """Leaves v0, v1 … (``arrays``), then a value for each of the ``instructions``, computed from those before it.

    ``program(*tensors)`` gives the sum of all numbers in the values that no instruction reads. ``repr(program)`` is
    Python that runs by itself and ends with that sum, ``y``.
    """

    def __init__(self, arrays: tuple[np.ndarray, ...], instructions: tuple[Instruction, ...]):
        self.arrays, self.instructions = arrays, instructions

    def __call__(self, *tensors: tn.Tensor) -> tn.Tensor:
        """Run it on Tensors of the leaves' shapes. Raises ValueError for another number of them."""
        if len(tensors) != len(self.arrays):
            raise ValueError(f"this program has {len(self.arrays)} leaves, got {len(tensors)} tensors")
        return self._function(*tensors)

    @property
    def lines(self) -> list[str]:
        """The instructions as Python, and ``y``, the sum of what nobody reads."""
        first = len(self.arrays)
        read = {operand for instruction in self.instructions for operand in instruction.operands}
        ends = [i for i in range(first + len(self.instructions)) if i not in read]
        computed = [f"v{first + i} = {each.expression}" for i, each in enumerate(self.instructions)]
        return [*computed, "y = " + " + ".join(f"v{i}.sum()" for i in ends)]

    @cached_property
    def _function(self) -> Any:
        names = ", ".join(f"v{i}" for i in range(len(self.arrays)))
        found: dict[str, Any] = {}
        exec("\n    ".join([f"def program({names}):", *self.lines, "return y"]), NAMESPACE, found)
        return found["program"]

    def __repr__(self) -> str:
        leaves = [f"v{i} = tn.tensor({array_text(array)}, requires_grad=True)" for i, array in enumerate(self.arrays)]
        return "\n".join(["import numpy as np", "import tinynet as tn", *leaves, *self.lines])


def array_text(array: np.ndarray) -> str:
    """An array as Python, every digit of it: ``np.array([0.5, 1.0])``."""
    dtype = "" if array.dtype in (np.float64, np.int64) else f", dtype={str(array.dtype)!r}"
    return f"np.array({array.tolist()!r}{dtype})"
