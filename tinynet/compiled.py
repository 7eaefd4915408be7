"""A recorded run as straight-line code over fixed buffers: the fast way to train something small and see every number.

Every value of the run has its buffer, which each call fills again; what only moves numbers is a view of another
buffer and costs nothing. A parameter and its updated value share one buffer, so that each call goes on training.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value, unknown_name
from tinynet.tensor import Tensor

ELEMENTWISE = (
    *("add", "subtract", "multiply", "divide", "power", "negative", "exp", "log", "sqrt", "tanh", "sign", "absolute"),
    *("maximum", "minimum", "equal", "not_equal", "greater", "greater_equal", "less", "less_equal"),
)
REDUCTIONS = {"sum": np.add.reduce, "max": np.maximum.reduce, "min": np.minimum.reduce}
FUNCTIONS: dict[str, Any] = {
    **{name: getattr(np, name) for name in (*ELEMENTWISE, "copyto", "dot", "matmul", "concatenate")},
    **{f"reduce_{name}": function for name, function in REDUCTIONS.items()},
}


class Compiled:
    """Call it to compute the run again, from new leaves if any are given (``step(x=x2, y=y2)``); returns the loss.

    ``compiled["lstm.c[3]"]`` is the buffer of a value and ``compiled.parameters`` those of the parameters, by name. The
    numbers are those of the recorded run to rounding. Raises TypeError for a run that is not on NumPy; a call raises
    KeyError for a name that is no leaf, ValueError for another shape, and TypeError for numbers that the leaf's dtype
    cannot hold.
    """

    def __init__(self, run: Run):
        for value in run.values:
            if not isinstance(value.array, np.ndarray):
                raise TypeError(f"only runs on NumPy can be compiled, {value.name} is {type(value.array).__name__}")
        with _without_collection():
            self.run = run._recomputed({})
            self._run = _Code(self.run).function()
        self._leaves = {value.name: value for value in self.run.leaves if value.name is not None}
        self._loss = None if self.run.loss is None else self.run.loss.array

    def __call__(self, /, **leaves: Any) -> float | None:
        for name, numbers in leaves.items():
            self._set(name, np.asarray(numbers.data if isinstance(numbers, Tensor) else numbers))
        self._run()
        return None if self._loss is None else self._loss.item()

    def __getitem__(self, name: str) -> np.ndarray:
        return self.run[name]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters as they are now, by name; copies, for ``load_state_dict``."""
        return {name: array.copy() for name, array in self.run.parameters.items()}

    def _set(self, name: str, numbers: np.ndarray) -> None:
        if name not in self._leaves:
            raise KeyError(unknown_name(name, list(self._leaves), "leaf"))
        buffer = self._leaves[name].array
        if numbers.shape != buffer.shape:
            raise ValueError(f"{name} has shape {buffer.shape} in this run, got {numbers.shape}: record another run")
        try:
            np.copyto(buffer, numbers, casting="same_kind")
        except TypeError:
            raise TypeError(f"{name} holds {buffer.dtype} in this run, got {numbers.dtype}") from None


@contextmanager
def _without_collection() -> Iterator[None]:
    """Python looks for cycles the more often the more objects are made: more than linear time, and nothing is found."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Code:
    """Writes the lines; each reads and fills buffers by the names that they have in ``scope``."""

    def __init__(self, run: Run):
        self.run = run
        self.lines: list[str] = []
        self.scope = dict(FUNCTIONS)
        self.last = self.last_reads()
        self.turned = self.products_to_turn()
        for value in run.leaves:
            value.array = np.array(value.array)
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
        write = getattr(self, f"_{step.primitive}", None)
        names = [self.name(o) for o in step.operands]
        if write is not None and write(step, names, self.name(out)):
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
        return np.zeros(recorded.shape, recorded.dtype)

    def generic(self, step: Step, names: list[str]) -> None:
        """What has no function that fills a buffer is computed as it was recorded, and copied."""
        key = f"f{len(self.lines)}"
        primitive, arguments = TABLE[step.primitive], step.arguments
        self.scope[key] = lambda *operands: primitive.forward(np, *operands, **arguments)
        self.lines.append(f"copyto({self.name(step.output)}, {key}({', '.join(names)}))")

    # Primitives with a way of their own; each returns whether it could be used
    def _matmul(self, step: Step, names: list[str], out: str) -> bool:
        flat = all(isinstance(o, Value) and len(o.shape) == 2 for o in step.operands)
        if flat and step.output.index in self.turned:  # (a b)ᵀ = bᵀ aᵀ
            self.scope |= {f"{name}_turned": self.scope[name].T for name in (*names, out)}
            names, out = [f"{name}_turned" for name in reversed(names)], f"{out}_turned"
        self.lines.append(f"{'dot' if flat else 'matmul'}({names[0]}, {names[1]}, {out})")
        return True

    def _sigmoid(self, step: Step, names: list[str], out: str) -> bool:
        """σ(z) = (1 + tanh(z/2)) / 2, in place."""
        self.lines += [f"multiply({names[0]}, 0.5, {out})", f"tanh({out}, {out})"]
        self.lines += [f"multiply({out}, 0.5, {out})", f"add({out}, 0.5, {out})"]
        return True

    def _relu(self, step: Step, names: list[str], out: str) -> bool:
        self.lines.append(f"maximum({names[0]}, 0, out={out})")
        return True

    def _power(self, step: Step, names: list[str], out: str) -> bool:
        square = isinstance(step.operands[1], (int, float)) and step.operands[1] == 2
        if square:
            self.lines.append(f"multiply({names[0]}, {names[0]}, {out})")
        return square

    def _concatenate(self, step: Step, names: list[str], out: str) -> bool:
        self.lines.append(f"concatenate(({', '.join(names)},), {step.arguments['axis']}, {out})")
        return True

    def _scatter(self, step: Step, names: list[str], out: str) -> bool:
        """The zeros are there from the beginning: only what is put among them is written."""
        index = step.arguments["index"]
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, (list, np.ndarray)) for part in parts):
            return False
        return self._into(f"{out}_part", step.output.array[index], names[0])

    def _pad(self, step: Step, names: list[str], out: str) -> bool:
        sizes = step.operands[0].shape
        index = tuple(slice(low, low + n) for (low, _), n in zip(step.arguments["pad_width"], sizes, strict=True))
        return self._into(f"{out}_part", step.output.array[index], names[0])

    def _into(self, name: str, part: np.ndarray, source: str) -> bool:
        self.scope[name] = part
        self.lines.append(f"copyto({name}, {source})")
        return True
