"""Recording: fills a Run while code runs, and gives the quantities their names.

The functions ``name``, ``scope`` and ``time_step`` are what a definition says about its own quantities; they do
nothing, at almost no cost, while nobody records.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from tinynet.backend import copied, is_array, namespace, placed
from tinynet.collection import without_collection
from tinynet.primitives import TABLE, Primitive
from tinynet.run import Run, Step, Value, full_name
from tinynet.tape import state, switched
from tinynet.tensor import Buffer, Parameter, Tensor

_nothing = nullcontext()


@contextmanager
def record() -> Iterator[Run]:
    """Record every operation of the block: ``with tn.record() as run: loss = ...; loss.backward()``."""
    if state.recorder is not None:
        raise RuntimeError("a recording is already running: record() blocks cannot be nested")
    recorder = Recorder()
    with switched(recorder=recorder), without_collection():
        yield recorder.run
    recorder.finish()


def called(x: Tensor, quantity: str, t: int | None = None, title: str = "") -> Tensor:
    """Call ``x`` by the name of a quantity in the present scope (and time step), whatever it was called by default.

    Returns ``x``. This is ``tn.name``. Raises TypeError for other things than a Tensor, a text and an integer, and
    ValueError for a tensor that was given another name before, or is named after another (a gradient, an update).
    """
    if not isinstance(x, Tensor) or not isinstance(quantity, str) or not isinstance(t, int | np.integer | None):
        given = ", ".join(type(item).__name__ for item in (x, quantity, t))
        raise TypeError(f"name got {given}: expected a Tensor, a text, and the number of a time step or None")
    if state.recorder is not None:
        state.recorder.choose_name(x, quantity, None if t is None else int(t), title)
    return x


def name(x: Tensor, quantity: str, t: int | None = None, title: str = "") -> Tensor:
    """Call ``x`` by the name of a quantity in the present scope (and time step), unless it has one; returns ``x``."""
    if state.recorder is not None:
        state.recorder.name(x, quantity, t, title)
    return x


def name_after(x: Tensor, other: Tensor, quantity: str, title: str = "") -> Tensor:
    """Call ``x`` by a quantity in the scope, and at the time step, of ``other``; returns ``x``."""
    if state.recorder is not None:
        state.recorder.name_after(x, other, quantity, title)
    return x


def moved(buffer: Tensor, new: Tensor) -> None:
    """Say that a buffer now holds the numbers of ``new``."""
    if state.recorder is not None:
        state.recorder.moved(buffer, new)


def is_recording() -> bool:
    """Tell whether a recording is running: definitions then run instead of fused kernels."""
    return state.recorder is not None


def scope(label: str):
    """Context that puts ``label.`` before the names inside it."""
    return state.recorder.in_scope(label) if state.recorder is not None else _nothing


def part(label: str):
    """Context that adds ``label`` (such as "layer 1") to the titles given inside it."""
    return state.recorder.in_part(label) if state.recorder is not None else _nothing


def time_step(t: int):
    """Context in which names get the time step ``[t]``, counted from 0. Raises ValueError for a negative one."""
    if t < 0:
        raise ValueError(f"time_step is {t}: time steps are counted from 0")
    return state.recorder.at_time(t) if state.recorder is not None else _nothing


class Recorder:
    """Listens to the primitives and builds a Run."""

    def __init__(self) -> None:
        self.run = Run()
        self.run.is_complete = False
        self.phase, self.update, self.updating = "forward", 0, False
        self.time: int | None = None
        self.part = ""
        self.scopes: list[str] = []
        self.paths: dict[int, str] = {}
        self.hyperparameters: dict[tuple[str, float, Any], Tensor] = {}
        self.suggested: dict[int, int] = {}  # values named after others (which), until they get a name of their own
        self.by_hand: set[int] = set()  # values that were computed to update parameters, without an optimiser
        self.chosen: dict[int, tuple[str, int | None]] = {}  # quantities and time steps of values that a user has named
        self.states: set[str] = set()
        self.arrays: dict[int, Value] = {}  # of bare arrays, by their ids: as sources, they stay
        self.seen = 0  # steps that ``recurrent`` has looked at
        self.keep: list[Any] = []  # modules whose id is a key above must outlive the recording

    # What the primitives tell
    def add(self, primitive: Primitive, operands: tuple, arguments: dict[str, Any], out: Tensor) -> None:
        """Note one operation. What follows an update is the next round of training."""
        by_hand = self.phase == "forward" and not state.grad_enabled and not self.scopes
        if self.phase == "forward" and self.updating and not by_hand:
            self.update, self.updating = self.update + 1, False
        inputs = tuple(self._operand(operand) for operand in operands)
        phase = "update" if by_hand and self._is_update(inputs) else self.phase
        out.value = self._value(_kept(primitive, inputs, arguments, out.data), source=out.data)
        number = len(self.run.steps) + 1
        step = Step(number, primitive.name, inputs, arguments, out.value, phase, self.time)
        self.run.steps.append(step)
        if phase != self.phase:
            self.by_hand.add(out.value.index)

    def _is_update(self, inputs: tuple) -> bool:
        """Whether it is computed from gradients, as in ``p -= lr * p.grad``."""
        values = (o for o in inputs if isinstance(o, Value))
        return any(value.of is not None or value.index in self.by_hand for value in values)

    def value_of(self, x: Tensor) -> Value:
        """Return the value that stands for ``x``, making a leaf of a tensor never seen (or changed since)."""
        before = x.value if self._knows(x.value) else None
        if before is None or before.source is not x.data or not _same(before.array, x.data):
            kind = "parameter" if isinstance(x, Parameter) else "input"
            known = None if before is None else (before.copy_of or before).quantity
            if before is not None and (before.kind == "computed" or kind == "parameter"):
                _warn_of_cut(x, known, before)
            x.value = self._value(copied(x.data), kind, quantity=x.name or known, source=x.data)
            x.value.requires_grad, x.value.buffer = x.requires_grad, isinstance(x, Buffer)
        return x.value

    def _knows(self, value: Value | None) -> bool:
        """Whether a value belongs to this recording, not to one before."""
        values = self.run.values
        return value is not None and value.index < len(values) and values[value.index] is value

    def constant(self, x: Tensor) -> Tensor:
        """Note a leaf that belongs to the computation itself, such as the 1 that a backward pass starts from."""
        self.value_of(x).kind = "constant"
        return x

    def hyperparameter(self, label: str, number: float, beside: Tensor) -> Tensor:
        """Return the leaf that stands for a hyper-parameter of this value and dtype (the same one each time)."""
        key = label, number, beside.dtype
        x = self.hyperparameters.get(key)
        if x is None:
            x = self.hyperparameters[key] = Tensor(placed(number, beside.data, beside.dtype), name=label)
            self.value_of(x).kind = "hyperparameter"
        return x

    def updated(self, old: Tensor, new: Tensor) -> None:
        """Note that an optimiser, or ``old -= …``, replaces ``old`` by ``new``, whose numbers it already holds."""
        before, after = old.value, self.value_of(new)
        after.copy_of = before.copy_of or before
        after.quantity = f"new_{after.copy_of.quantity}"
        old.value = after
        self.updating = True

    def moved(self, buffer: Tensor, new: Tensor) -> None:
        """Note that ``new``, whose numbers a buffer already holds, takes its place."""
        before, after = self.value_of(buffer) if buffer.value is None else buffer.value, self.value_of(new)
        after.moves = before.moves or before
        buffer.value = after

    def holds(self, x: Tensor) -> bool:
        """Whether a tensor stands for a value of this run."""
        return self._knows(x.value) and x.value.source is x.data

    def remembered(self, x: Tensor, label: str, beside: Tensor | None = None) -> None:
        """Note what an optimiser remembers (of a parameter): a leaf, unless an update in this run has made it."""
        value = self.value_of(x)
        if value.kind != "computed":
            value.kind, value.quantity = "state", f"old_{label}"
            value.beside = None if beside is None else self._parameter(beside)

    def named(
        self, label: str, x: Tensor, title: str, beside: Tensor | None = None, replaces: Tensor | None = None
    ) -> Tensor:
        """Name a quantity of an update (of a parameter), which takes the place of what was remembered."""
        value = self.value_of(x)
        value.quantity, value.title = label, title
        value.beside = None if beside is None else self._parameter(beside)
        if replaces is not None:
            value.copy_of = replaces.value.copy_of or replaces.value
            value.copy_of.title = title
        return x

    def _parameter(self, p: Tensor) -> Value:
        """The leaf that a parameter was at first."""
        value = self.value_of(p)
        return value.copy_of or value

    def _operand(self, operand: Any) -> Any:
        if isinstance(operand, Tensor):
            return self.value_of(operand)
        if is_array(operand):
            return self._array(operand)
        return operand.item() if isinstance(operand, np.generic) else operand

    def _array(self, array: Any) -> Value:
        """The leaf of a bare array: one for both passes, unless its numbers have changed in between."""
        known = self.arrays.get(id(array))
        if known is None or not _same(known.array, array):
            known = self.arrays[id(array)] = self._value(copied(array), "constant", source=array)
        return known

    def _value(self, array: Any, kind: str = "computed", **labels: Any) -> Value:
        value = Value(len(self.run.values), array, kind, update=self.update, **labels)
        self.run.values.append(value)
        return value

    # Names
    def name(self, x: Tensor, quantity: str, t: int | None, title: str) -> None:
        value = self.value_of(x)
        if value.quantity is None or value.index in self.suggested:
            value.quantity = self._scoped(quantity)
            value.time, value.title = (self.time if t is None else t), self._titled(title)
            self.suggested.pop(value.index, None)

    def choose_name(self, x: Tensor, quantity: str, t: int | None, title: str) -> None:
        """The same with a name that a user has chosen: it takes the place of a default one."""
        value = self.value_of(x)
        scoped, time = self._scoped(quantity), self.time if t is None else t
        if value.of is not None or value.copy_of is not None or value.beside is not None:
            raise ValueError(f"{quantity!r} cannot be the name of a gradient or an update: it is named after another")
        before = self.chosen.get(value.index, (x.name or quantity, time))
        if before not in ((scoped, time), (quantity, time)):
            known, new = full_name(before[0], 0, before[1]), full_name(scoped, 0, time)
            raise ValueError(f"this tensor is called {known!r} already, and cannot be called {new!r}, too")
        self.chosen[value.index] = scoped, time
        value.quantity, value.time, value.title = scoped, time, self._titled(title) or value.title
        self.suggested.pop(value.index, None)

    def _scoped(self, quantity: str) -> str:
        return ".".join([*filter(None, self.scopes[-1:]), quantity])

    def name_after(self, x: Tensor, other: Tensor, quantity: str, title: str) -> None:
        value, like = self.value_of(x), self.value_of(other)
        if value.quantity is None:
            prefix = (like.quantity or "").rpartition(".")[0] or ".".join(self.scopes[-1:])
            value.quantity = f"{prefix}.{quantity}" if prefix else quantity
            value.time = self.time if like.time is None else like.time
            value.title = self._titled(title)
            self.suggested[value.index] = self.suggested.get(like.index, like.index)

    def _titled(self, title: str) -> str:
        """``input gate: …`` in the part "layer 1" is ``input gate, layer 1: …``."""
        head, colon, rest = title.partition(":")
        return f"{head}, {self.part}{colon}{rest}" if title and self.part else title

    def register(self, module: Any) -> str:
        """Return a module's path, which is its scope; a module that is called first is the root of its own.

        A root with children lends no name (its children are ``lstm``, ``head`` …, as in its state dict); a root
        without any is called after its class (``lstm``).
        """
        if id(module) not in self.paths:
            alone = len(list(module.named_modules())) == 1
            prefix = self._unused(type(module).__name__.lower()) if alone else ""
            self.keep.append(module)
            for path, child in module.named_modules():
                self.paths[id(child)] = ".".join(filter(None, [prefix, path]))
            for path, parameter in module.named_parameters():
                value = self.value_of(parameter)
                value.quantity = value.quantity or ".".join(filter(None, [prefix, path]))
        return self.paths[id(module)]

    def _unused(self, label: str) -> str:
        number = 2
        candidate = label
        while candidate in self.paths.values():
            candidate, number = f"{label}_{number}", number + 1
        return candidate

    # Gradients
    def gradient(self, x: Tensor, contributions: list) -> Tensor:
        """Add up the cotangents that arrived at ``x``; of a state, name what comes from the neighbouring steps."""
        value = self.value_of(x)
        with self.at_time(value.time):
            if value.quantity in self.recurrent() and value.time is not None:
                found: dict[str, list[Tensor]] = {"here": [], "next": [], "previous": []}
                steps = {value.time + 1: "next", value.time - 1: "previous"}
                for g, time in contributions:
                    found[steps.get(time, "here")].append(g)
                total = _sum([self._label(_sum(gs), value, share) for share, gs in found.items() if gs])
            else:
                total = _sum([g for g, _ in contributions])
            return self._label(total, value, None) if value.quantity or value.kind != "computed" else total

    def recurrent(self) -> set[str]:
        """The quantities that some step reads from a neighbouring time step: states."""
        for step in self.run.steps[self.seen :]:
            for operand in step.operands:
                named = isinstance(operand, Value) and operand.quantity and operand.time is not None
                if named and step.time is not None and abs(step.time - operand.time) == 1:
                    self.states.add(operand.quantity)
        self.seen = len(self.run.steps)
        return self.states

    def _label(self, g: Tensor, value: Value, share: str | None) -> Tensor:
        label = self.value_of(g)
        if label.of is not None or label.quantity is not None:
            # One tensor is the cotangent of two values (an addition passes it on): each has a name of its own.
            g = TABLE["reshape"](g, shape=g.shape)
            label = self.value_of(g)
        label.of, label.share, label.time = value, share, value.time
        return g

    # Contexts
    @contextmanager
    def in_scope(self, label: str) -> Iterator[None]:
        self.scopes.append(".".join([*self.scopes[-1:], label]) if self.scopes and self.scopes[-1] else label)
        yield from self._popping()

    @contextmanager
    def in_module(self, module: Any) -> Iterator[None]:
        path = self.register(module)
        self.scopes.append(path)
        yield from self._popping()

    def _popping(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.scopes.pop()

    @contextmanager
    def at_time(self, t: int | None) -> Iterator[None]:
        before, self.time = self.time, t
        try:
            yield
        finally:
            self.time = before

    @contextmanager
    def in_part(self, label: str) -> Iterator[None]:
        before, self.part = self.part, label
        try:
            yield
        finally:
            self.part = before

    @contextmanager
    def in_phase(self, phase: str, loss: Tensor | None = None) -> Iterator[None]:
        before, self.phase = self.phase, phase
        if loss is not None and loss.size == 1:
            value = self.value_of(loss)
            value.quantity = value.quantity or "loss"
            if self.run.loss is None:
                self.run.loss = value
        try:
            yield
        finally:
            self.phase = before

    # The end
    def finish(self) -> None:
        """Give every leaf a name, every repeated name a number, every new value and gradient that of its own."""
        values = self.run.values
        if not any(value.kind == "parameter" for value in values):
            for value in values:
                if value.kind == "input" and value.requires_grad:
                    value.kind = "parameter"
        for value in values:
            if value.kind != "computed" and value.quantity is None and value.of is None:
                value.quantity = value.kind
        self._number_suggested()
        updates = {value for value in values if value.beside is not None or value.replaces_state}
        others = [value for value in values if value.quantity is not None and value not in updates]
        self._tell_apart([value for value in others if value.copy_of is None])
        copies = {value: value.copy_of for value in others if value.copy_of is not None}
        for value, parameter in copies.items():
            value.quantity = f"new_{parameter.quantity}"
        for value in updates:
            if value.beside is not None:
                value.quantity = f"{value.quantity}_{value.beside.quantity}"
        self._tell_apart([value for value in values if value.quantity is not None and value.of is None])
        gradients = [value for value in values if value.of is not None]
        for value in gradients:
            assert value.of is not None
            prefix = "d_" if value.share is None else f"d_{value.share}_"
            value.quantity = f"{prefix}{(value.of.copy_of or value.of).quantity}"
            value.time = value.of.time
        self._tell_apart([value for value in values if value.quantity is not None])
        for value in values:
            value.source = None  # what the tensors hold; the run has copies
        self.run.is_complete = True

    def _number_suggested(self) -> None:
        """The second of several that are named alike after one and the same value is ``relu_2``."""
        seen = Counter[tuple[int, str | None]]()
        for index, origin in self.suggested.items():
            value = self.run.values[index]
            seen[origin, value.quantity] += 1
            number = seen[origin, value.quantity]
            if number > 1:
                value.quantity = f"{value.quantity}_{number}"

    @staticmethod
    def _tell_apart(values: list[Value]) -> None:
        """A leaf's second name gets a number; a computed quantity that repeats becomes a series in time."""
        groups = defaultdict(list)
        for value in values:
            groups[value.name].append(value)
        taken = Counter(value.quantity for value in values)
        for name_, group in groups.items():
            if len(group) == 1:
                continue
            alike = len({(v.beside, v.copy_of) for v in group}) == 1
            series = alike and all(v.kind == "computed" and v.time is None and v.of is None for v in group)
            number = 1
            for position, value in enumerate(group):
                if series:
                    value.time = position
                elif position:
                    number += 1
                    while taken[f"{value.quantity}_{number}"]:
                        number += 1
                    taken[f"{name_}_{number}"] += 1
                    value.quantity = f"{value.quantity}_{number}"


def _kept(primitive: Primitive, inputs: tuple, arguments: dict[str, Any], array: Any) -> Any:
    """A copy, as what is done to a tensor's array later must not reach the recording; a view of a copy if it was one.

    Where numbers are only moved, each step of a recurrent net would else have a copy of the transposed weights.
    """
    if primitive.kind == "structural" and type(array) is np.ndarray and array.base is not None and len(inputs) == 1:
        moved = primitive.forward(np, inputs[0].array, **arguments)
        if np.may_share_memory(moved, inputs[0].array) and np.array_equal(moved, array, equal_nan=True):
            return moved
    return copied(array)


def _same(copy: Any, array: Any) -> bool:
    """Whether an array still holds what was copied from it; by the bytes, of which NaN has the same as itself."""
    if type(array) is np.ndarray:
        return copy.tobytes() == array.tobytes()
    return bool(namespace(array).all((copy == array) | (copy != copy) & (array != array)))


def _warn_of_cut(x: Tensor, quantity: str | None, before: Value) -> None:
    """Say that the run goes on from numbers that it cannot compute."""
    what = quantity or ("a gradient" if before.of is not None else f"a tensor of shape {x.shape}")
    warnings.warn(
        f"{what} was given other numbers inside record(), by code that is not recorded (such as x.data -= ...): from "
        "here on they are numbers that were typed in, which nothing before changes. To have the change recorded, "
        "update parameters by an optimizer, or by tensors: `with tn.no_grad(): p -= lr * p.grad`",
        stacklevel=2,
    )


def _sum(contributions: list[Tensor]) -> Tensor:
    total = contributions[0]
    for g in contributions[1:]:
        total = total + g
    return total
