"""The lines of a compiled run: each reads and fills buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.compiled.images import Images
from tinynet.compiled.writers import WRITERS
from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value

ELEMENTWISE = (
    *("add", "subtract", "multiply", "divide", "power", "negative", "exp", "log", "sqrt", "tanh", "sign", "absolute"),
    *("maximum", "minimum", "equal", "not_equal", "greater", "greater_equal", "less", "less_equal"),
)
REDUCTIONS = {"sum": np.add.reduce, "max": np.maximum.reduce, "min": np.minimum.reduce}
FUNCTIONS: dict[str, Any] = {
    **{name: getattr(np, name) for name in (*ELEMENTWISE, "copyto", "dot", "matmul", "concatenate")},
    **{f"reduce_{name}": function for name, function in REDUCTIONS.items()},
}


class Code:
    """Writes the lines; each reads and fills buffers by the names that they have in ``scope``."""

    def __init__(self, run: Run):
        self.run = run
        self.lines: list[str] = []
        self.scope = dict(FUNCTIONS)
        self.images = Images(run)
        self.last = self.last_reads()
        self.turned = self.products_to_turn()
        for value in run.leaves:
            value.array = self.images.leaf(value)
        for i, step in enumerate(run.steps):
            self.step(i, step)
        for value in run.values:
            if value.copy_of is not None and value.array is not value.copy_of.array:
                self.lines.append(f"copyto({self.name(value.copy_of)}, {self.name(value)})")

    def last_reads(self) -> dict[int, int]:
        """The last step that reads each value, or what may be a view of it."""
        root: dict[int, int] = {}
        last: dict[int, int] = {}
        for i, step in enumerate(self.run.steps):
            operands = [o.index for o in step.operands if isinstance(o, Value)]
            for index in operands:
                last[root.get(index, index)] = i
            if TABLE[step.primitive].kind == "structural" and len(operands) == 1:
                root[step.output.index] = root.get(operands[0], operands[0])
        return last

    def products_to_turn(self) -> set[int]:
        """Matrix products that are only read transposed: computed so, the transpose lies in one piece."""
        found = {
            step.output.index for step in self.run.steps if step.primitive == "matmul" and len(step.output.shape) == 2
        }
        transposed: set[int] = set()
        for step in self.run.steps:
            read = {o.index for o in step.operands if isinstance(o, Value)}
            if step.primitive == "transpose":
                transposed |= read
            else:
                found -= read
        return found & transposed

    def function(self) -> Callable[[], None]:
        source = "\n    ".join(["def step():", *self.lines, "return"])
        exec(source, self.scope)  # of names and numbers that are made here: nothing in it comes from outside
        return self.scope["step"]

    def name(self, item: Any) -> str:
        """What an operand is called in the code."""
        if not isinstance(item, Value):
            return repr(item)
        self.scope[f"v{item.index}"] = item.array
        return f"v{item.index}"

    def step(self, i: int, step: Step) -> None:
        out = step.output
        recorded = out.array
        if TABLE[step.primitive].kind == "structural" and len(step.operands) == 1:
            source = step.operands[0].array
            moved = TABLE[step.primitive].forward(np, source, **step.arguments)
            if np.may_share_memory(moved, source):
                out.array = moved
                return
        out.array = self.buffer(i, step, recorded)
        names = [self.name(o) for o in step.operands]
        write = WRITERS.get(step.primitive)
        if write is not None and write(self, step, names, self.name(out)):
            return
        if step.primitive in ELEMENTWISE:
            self.lines.append(f"{step.primitive}({', '.join(names)}, out={self.name(out)})")
        elif step.primitive in REDUCTIONS:
            axis, keep = step.arguments["axis"], step.arguments["keepdims"]
            self.lines.append(f"reduce_{step.primitive}({names[0]}, {axis!r}, None, {self.name(out)}, {keep})")
        else:
            self.generic(step, names)

    def buffer(self, i: int, step: Step, recorded: np.ndarray) -> np.ndarray:
        """Room for the output: that of the parameter that it updates, unless somebody reads that later."""
        old = step.output.copy_of
        if old is not None and self.last.get(old.index, -1) <= i and step.primitive in ELEMENTWISE:
            return old.array
        if step.output.index in self.turned:
            return np.zeros(recorded.shape[::-1], recorded.dtype).T
        return self.images.buffer(step, recorded)

    def generic(self, step: Step, names: list[str]) -> None:
        """What has no function that fills a buffer is computed as it was recorded, and copied."""
        key = f"f{len(self.lines)}"
        primitive, arguments = TABLE[step.primitive], step.arguments
        self.scope[key] = lambda *operands: primitive.forward(np, *operands, **arguments)
        self.lines.append(f"copyto({self.name(step.output)}, {key}({', '.join(names)}))")
