"""The lines of a compiled run: each reads and fills buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet.compiled.early import compute_early
from tinynet.compiled.families import Families
from tinynet.compiled.gates import squash_at_once
from tinynet.compiled.images import Images
from tinynet.compiled.joins import join_parts
from tinynet.compiled.lanes import in_a_row
from tinynet.compiled.layout import Layout
from tinynet.compiled.lines import nothing_like
from tinynet.compiled.packs import calls, with_plain_operands
from tinynet.compiled.products import sum_at_once
from tinynet.compiled.program import Program, is_moved
from tinynet.compiled.repeats import drop_repeats
from tinynet.compiled.together import at_once
from tinynet.compiled.updates import Updates
from tinynet.compiled.writers import WRITERS
from tinynet.compiled.zeros import drop_zeros
from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value

PASSES = (
    *(drop_zeros, join_parts, sum_at_once, drop_repeats, Program.remove_unread),
    *(squash_at_once, compute_early, drop_repeats, Program.remove_unread),
)
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
        self.program = Program(run)
        for improve in PASSES:
            improve(self.program)
        self.images = Images(self.program.steps)
        updates = Updates(run, self.program.steps, ELEMENTWISE)
        families = Families(self.program.steps, updates.waits)
        groups = at_once(families)
        self.layout = Layout(families, [group for group in groups if len(group) > 1])
        self.turned = self.products_to_turn()
        self.set_leaves()
        self.layout.rooms |= {index: parameter.array for index, parameter in updates.taken.items()}
        for group in groups:
            self.group(group)
        for value in updates.final:
            self.lines.append(f"copyto({self.name(value.copy_of)}, {self.name(value)})")
        self.drop_arrays()

    def set_leaves(self) -> None:
        for value in self.run.leaves:
            recorded = value.array
            if self.layout.is_alone(value):
                self.layout.rooms[value.index] = self.images.leaf(value)
            value.array = self.layout.room(value)
            value.array[...] = recorded

    def drop_arrays(self) -> None:
        """What nobody can ask for, and nothing needs, has a shape and a dtype, but no buffer."""
        computed = {step.output.index for step in self.program.steps}
        for value in self.run.values:
            if value.kind == "computed" and value.index not in computed:
                value.array = nothing_like(value)

    def products_to_turn(self) -> set[int]:
        """Matrix products that are only read transposed: computed so, the transpose lies in one piece."""
        found = {
            step.output.index
            for step in self.program.steps
            if step.primitive == "matmul" and len(step.output.shape) == 2 and self.layout.is_alone(step.output)
        }
        transposed: set[int] = set()
        for step in self.program.steps:
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

    def group(self, steps: Sequence[Step]) -> None:
        """Steps that can be done at once."""
        if len(steps) == 1:
            self.step(steps[0])
            return
        for step in steps:
            step.output.array = self.layout.room(step.output)
        for call in calls(self.program, steps):
            self.write(call)

    def step(self, step: Step) -> None:
        out = step.output
        moved = self.moved(step)
        if moved is not None:
            out.array = moved
            return
        out.array = self.place(step)
        self.write(step)

    def moved(self, step: Step) -> np.ndarray | None:
        """The result as a view of what is there already; None where there is no such view."""
        if step.primitive == "concatenate" and step.arguments["axis"] == 0:
            return in_a_row([operand.array for operand in step.operands])
        if not is_moved(step):
            return None
        source = step.operands[0].array
        moved = TABLE[step.primitive].forward(np, source, **step.arguments)
        return moved if np.may_share_memory(moved, source) else None

    def place(self, step: Step) -> np.ndarray:
        out = step.output
        if out.index in self.turned:
            return np.zeros(out.shape[::-1], out.array.dtype).T
        whole = self.layout.root(out)
        if self.layout.is_alone(whole) and whole.index not in self.layout.rooms and whole.shape == out.shape:
            self.layout.rooms[whole.index] = self.images.buffer(step, out.array)
        return self.layout.room(out)

    def write(self, step: Step) -> None:
        out = step.output
        names = [self.name(o) for o in step.operands]
        write = WRITERS.get(step.primitive)
        if write is not None and write(self, step, names, self.name(out)):
            return
        if step.primitive in ELEMENTWISE:
            names = [self.name(o) for o in with_plain_operands(self.program, step).operands]
            keyword = "out=" if step.primitive in ("maximum", "minimum") else ""  # NumPy asks for it in these two
            self.lines.append(f"{step.primitive}({', '.join(names)}, {keyword}{self.name(out)})")
        elif step.primitive in REDUCTIONS:
            axis, keep = step.arguments["axis"], step.arguments["keepdims"]
            self.lines.append(f"reduce_{step.primitive}({names[0]}, {axis!r}, None, {self.name(out)}, {keep})")
        else:
            self.generic(step, names)

    def generic(self, step: Step, names: list[str]) -> None:
        """What has no function that fills a buffer is computed as it was recorded, and copied."""
        key = f"f{len(self.lines)}"
        primitive, arguments = TABLE[step.primitive], step.arguments
        self.scope[key] = lambda *operands: primitive.forward(np, *operands, **arguments)
        self.lines.append(f"copyto({self.name(step.output)}, {key}({', '.join(names)}))")
