"""Run: what happened, in order and by name. It is data: it knows nothing of modules, nor of spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import leaves, serialization
from tinynet.backend import cast, is_array, is_floating, library, moved, namespace, placed, to_host
from tinynet.nonstandard import dtype_name
from tinynet.primitives import TABLE
from tinynet.tensor import Tensor

if TYPE_CHECKING:
    from tinynet import workbook
    from tinynet.compiled import Compiled

LINKS = ("of", "copy_of", "beside", "moves")  # of a value to another one
INITIAL = -1  # the time step of an initial state: shown as "initial"


@dataclass(eq=False, slots=True)
class Value:
    """One array of a run.

    ``kind`` is parameter, input, hyperparameter, state (what an optimiser remembers), constant or computed.
    ``quantity`` is its name without the time step, ``time`` the step (None where it has none). A gradient has ``of``,
    the value it belongs to; ``share`` is ``"here"``, ``"next"`` or ``"previous"`` for the part of it that arrives from
    this time step, or a neighbour. ``update`` counts the optimiser's steps before it, and ``copy_of`` is the parameter,
    or the state, that an updated one was. ``beside`` is the parameter that a state belongs to, or what is computed on
    the way to its update. A ``buffer`` is a leaf that a module keeps, and ``moves`` the one that a value takes the
    place of, such as a running mean.
    """

    index: int
    array: Any
    kind: str = "computed"
    quantity: str | None = None
    time: int | None = None
    title: str = ""
    update: int = 0
    of: Value | None = None
    copy_of: Value | None = None
    beside: Value | None = None
    moves: Value | None = None
    buffer: bool = False
    share: str | None = None
    requires_grad: bool = False
    source: Any = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    def link_to(self, values: list[Value]) -> None:
        """Let what it is linked to be among these, at the same indexes."""
        for link in LINKS:
            other = getattr(self, link)
            setattr(self, link, None if other is None else values[other.index])

    @property
    def replaces_state(self) -> bool:
        """Whether an optimiser will remember it instead of what it was."""
        return self.copy_of is not None and self.copy_of.kind == "state"

    @property
    def name(self) -> str | None:
        """The full name: ``scope.quantity``, ``#2`` for the second round of training, ``[t]`` for a time step."""
        again = self.update if self.kind in ("computed", "constant") else 0
        return None if self.quantity is None else full_name(self.quantity, again, self.time)


@dataclass(eq=False, slots=True)
class Step:
    """One operation of a run: a primitive, its operands (values or plain numbers) and what came out."""

    number: int
    primitive: str
    operands: tuple[Any, ...]
    arguments: dict[str, Any]
    output: Value
    phase: str
    time: int | None = None

    @property
    def name(self) -> str | None:
        return self.output.name

    def compute(self) -> None:
        """Fill in the output's array from the operands'."""
        inputs = [o.array if isinstance(o, Value) else o for o in self.operands]
        result = TABLE[self.primitive].forward(namespace(*inputs), *inputs, **self.arguments)
        self.output.array = result if is_array(result) else np.asarray(result)


def full_name(quantity: str, update: int, time: int | None) -> str:
    """Put a name together: ``lstm.c#2[3]`` is lstm.c, in the second round of training, at time step 3."""
    again = f"#{update + 1}" if update else ""
    return quantity + again + ("" if time is None else f"[{time_label(time)}]")


def time_label(time: int) -> str:
    """How a time step is written: ``0``, ``1``, … or ``initial``."""
    return "initial" if time == INITIAL else str(time)


class Run:
    """A recorded computation: ``run["lstm.c[3]"]``, ``run.grad["lstm.c[3]"]``, ``run.steps``, ``print(run)``."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.steps: list[Step] = []
        self.loss: Value | None = None
        self.description = ""
        self.title = ""  # of the workbook that it was read from
        self.is_complete = True  # a recorder says otherwise until it ends: gradients have no names before

    # Looking things up
    @property
    def names(self) -> list[str]:
        """All names, in order of first appearance; gradients are called ``d_`` + name."""
        return [value.name for value in self.values if value.name is not None]

    @property
    def leaves(self) -> list[Value]:
        """The values that were not computed: parameters, inputs, hyper-parameters and constants."""
        return [value for value in self.values if value.kind != "computed"]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters, and the buffers of modules, by name, as they were at the start."""
        return {str(v.name): to_host(v.array) for v in self.values if v.kind == "parameter" or v.buffer}

    @property
    def grad(self) -> Gradients:
        """Gradients by the name of the value: ``run.grad["lstm.c[3]"]`` is dLoss/d(lstm.c[3])."""
        return Gradients(self)

    @property
    def total_gradients(self) -> dict[Value, Value]:
        """The gradients of values as a whole, not the shares that come from a time step; of several the last."""
        return {v.of: v for v in self.values if v.of is not None and v.share is None}

    def find(self, name: str) -> Value:
        """Return the value called ``name``. Raises KeyError with the nearest names."""
        for value in self.values:
            if value.name == name:
                return value
        raise KeyError(unknown_name(name, self.names))

    def __getitem__(self, name: str) -> Any:
        return self.find(name).array

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def require_complete(self, what: str) -> None:
        """Raise RuntimeError, which says that this run cannot be ``what`` yet, while its recording has not ended."""
        if not self.is_complete:
            raise RuntimeError(
                f"this run cannot be {what} yet, since its recording has not ended and its quantities are without "
                "their final names: do it after the block `with tn.record() as run:`, not inside"
            )

    def step_of(self, value: Value) -> Step | None:
        """Return the step that computed ``value``, None for a leaf."""
        return next((step for step in self.steps if step.output is value), None)

    # Running it again
    def replay(self, /, **others: Any) -> Run:
        """Compute the run again from other leaves (``run.replay(x=x2)``); the rest keep their values.

        So does what was drawn at random: a dropout mask is a leaf, too (``run.replay(dropout_mask=mask)``).

        A name with a dot is passed as ``run.replay(**{"lstm.weight_ih_l0": w})``. Returns a new Run. Raises
        KeyError for a name that is no leaf, ValueError for a wrong shape, TypeError for numbers that the leaf's dtype
        cannot hold, IndexError for places that are not there, and RuntimeError while it is being recorded.
        """
        self.require_complete("replayed")
        known = {value.name: value for value in self.leaves}
        sizes = leaves.sizes_of_places(self) if others else {}
        arrays: dict[int, Any] = {}
        for name, new in others.items():
            if name not in known:
                raise KeyError(unknown_name(name, [n for n in known if n], "leaf"))
            leaf = known[name]
            numbers = leaves.accepted(leaf, new.data if isinstance(new, Tensor) else new, sizes)
            arrays[leaf.index] = placed(numbers, leaf.array, leaf.array.dtype)
        return self.recomputed(arrays)

    def compile(self) -> Compiled:
        """Turn the run into a function that computes it again, over fixed buffers; see ``tinynet.compiled.Compiled``.

        ``step = run.compile()`` of a recorded training step goes on training with each ``step(x=x, y=y)``; a dropout
        mask stays as it was recorded, until it is given, too.
        """
        from tinynet.compiled import Compiled

        return Compiled(self)

    def astype(self, dtype: Any) -> Run:
        """Return the run computed again in another floating dtype. Raises TypeError for one that is not floating."""
        wanted = np.dtype(dtype) if isinstance(dtype, str) else dtype
        if not dtype_name(wanted).startswith("float"):
            raise TypeError(f"astype got {dtype!r}, expected a floating dtype such as 'float32' or 'float64'")
        floating = {v.index: cast(v.array, dtype) for v in self.leaves if is_floating(v.array)}
        return self.recomputed(floating)

    def to(self, name: str) -> Run:
        """Return the run with its arrays in another array library (see ``tinynet.use``); itself where they are."""
        xp = library(name)
        arrays = {value.index: moved(value.array, xp) for value in self.values}
        there = all(arrays[value.index] is value.array for value in self.values)
        return self if there else self.recomputed(arrays)

    def recomputed(self, arrays: dict[int, Any]) -> Run:
        """Compute the run again from arrays by the index of their value in ``values``; returns a new Run.

        An array for a leaf takes the place of its own; one for a computed value stands as it is given, and the step
        that made the value is not run (as for what a workbook holds as plain numbers). Arrays are neither checked nor
        copied: ``replay`` does both. Raises RuntimeError while the run is being recorded.
        """
        self.require_complete("replayed")
        run = Run()
        run.description, run.title = self.description, self.title
        for value in self.values:
            array = arrays.get(value.index, value.array if value.kind != "computed" else None)
            run.values.append(replace(value, array=array, source=None))
        for value in run.values:  # a gradient may be older than the leaf that it belongs to
            value.link_to(run.values)
        for step in self.steps:
            operands = tuple(run.values[o.index] if isinstance(o, Value) else o for o in step.operands)
            run.steps.append(replace(step, operands=operands, output=run.values[step.output.index]))
            if step.output.index not in arrays:
                run.steps[-1].compute()
        run.loss = None if self.loss is None else run.values[self.loss.index]
        return run

    # In and out
    def to_json(self) -> str:
        """Return the run as JSON text: leaves with their numbers, steps by the names of primitives.

        Raises RuntimeError while it is being recorded.
        """
        self.require_complete("written as JSON")
        return "".join(serialization.encoded(self))

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Read what ``to_json`` wrote and compute it. Only registered primitives run; ValueError otherwise."""
        return serialization.decode(text)

    def to_excel(
        self,
        path: Any,
        detail: str = "names",
        title: str | None = None,
        max_cells: int = 100_000,
        values_beyond: bool = False,
    ) -> workbook.Written:
        """Write the run as a workbook of live formulas; see ``tinynet.workbook.write``."""
        from tinynet import workbook

        return workbook.write(self.to("numpy"), path, detail, title, max_cells, values_beyond)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __str__(self) -> str:
        rows = [("step", "phase", "t", "name", "operation", "operands", "shape")]
        for step in self.steps:
            rows.append(
                (
                    str(step.number),
                    step.phase,
                    "" if step.time is None else time_label(step.time),
                    step.name or f"#{step.output.index}",
                    step.primitive,
                    ", ".join(_operand_text(o) for o in step.operands),
                    "×".join(map(str, step.output.shape)) or "1",
                )
            )
        widths = [min(44, max(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell[:44].ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )


class Gradients:
    """The gradients of a run, by the name of the value that they belong to."""

    def __init__(self, run: Run):
        self._run = run

    def __getitem__(self, name: str) -> Any:
        return self._of(self._run.find(name)).array

    def __contains__(self, name: str) -> bool:
        try:
            self[name]
        except KeyError:
            return False
        return True

    def _of(self, value: Value) -> Value:
        total = self._run.total_gradients.get(value)
        if total is not None:
            return total
        step = self._run.step_of(value)
        if step is not None and TABLE[step.primitive].kind == "structural" and len(step.operands) == 1:
            # A named part of a leaf (``lstm.W_ii``): the same part of the leaf's gradient.
            whole = self._of(step.operands[0]).array
            part = TABLE[step.primitive].forward(namespace(whole), whole, **step.arguments)
            return replace(value, array=part)
        raise KeyError(f"no gradient of {value.name!r} was recorded: call backward() inside record()")


def unknown_name(name: str, names: list[str], what: str = "value") -> str:
    """The message for a name that is not there, with the nearest ones that are."""
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
    return f"no {what} is called {name!r}; the nearest are {', '.join(near)}" if near else f"no {what} has a name"


def _operand_text(operand: Any) -> str:
    if isinstance(operand, Value):
        return operand.name or f"#{operand.index}"
    return f"{operand:g}" if isinstance(operand, (int, float)) else str(operand)
