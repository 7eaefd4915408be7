"""A recorded run as a program: computed again with some of it changed, as far as the change reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.backend import to_host
from tinynet.debug.rounds import as_series
from tinynet.debug.shifts import without_shifts
from tinynet.debug.work import Work
from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value
from tinynet.tensor import Tensor

Array = Any  # an array, or a Tensor where the forward pass is differentiated again
Look = Callable[[int], Array]  # what a value (by index) holds by now
Plain = Callable[..., Array]  # of numbers alone
Change = Callable[..., Array]  # of the array that is there, and a Look
Compute = Callable[..., Array]  # of a Look and the operands of a step

# What an edit runs into that makes no sense on these shapes or numbers.
NOT_COMPUTED = (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError)


@dataclass(frozen=True)
class Edit:
    """Changes of a computation: of what some steps read (by step and operand), and of what some steps give."""

    reads: dict[tuple[int, int], Change] = field(default_factory=dict)
    steps: dict[int, Compute] = field(default_factory=dict)
    outputs: dict[int, Change] = field(default_factory=dict)

    def __or__(self, other: Edit) -> Edit:
        """Both changes; where they meet, ``other`` comes after."""
        reads = self.reads | {k: _after(self.reads.get(k), f) for k, f in other.reads.items()}
        outputs = self.outputs | {k: _after(self.outputs.get(k), f) for k, f in other.outputs.items()}
        return Edit(reads, self.steps | other.steps, outputs)

    @cached_property
    def touched(self) -> set[int]:
        """The steps that it changes."""
        return {step for step, _ in self.reads} | set(self.steps) | set(self.outputs)


def _after(first: Change | None, second: Change) -> Change:
    return second if first is None else lambda x, look: second(first(x, look), look)


class Program:
    """The steps of a run, and what each of its values holds (float64); ``work`` is what was computed of them again."""

    def __init__(self, run: Run):
        self.recorded, self.run = run, without_shifts(as_series(run))
        self.steps: list[Step] = self.run.steps
        self.arrays: list[np.ndarray] = [to_host(value.array) for value in run.values]
        self.made_by = {step.output.index: i for i, step in enumerate(self.steps)}
        self._places: dict[int, np.ndarray | None] = {}  # of structural steps, by step
        self.work = Work()
        self.numbers = [_numbers_of(step) for step in self.steps]
        self.readers: dict[int, list[int]] = {}
        for i, step in enumerate(self.steps):
            for operand in step.operands:
                if isinstance(operand, Value):
                    self.readers.setdefault(operand.index, []).append(i)

    def evaluate(
        self, edit: Edit, known: dict[int, np.ndarray] | None = None, only: Iterable[int] | None = None
    ) -> dict[int, np.ndarray] | None:
        """Return what changes, by value index, or None where the changed program cannot be computed.

        ``known`` overrides values from the start; ``only`` names the steps to look at, in order.
        """
        changed: dict[int, np.ndarray] = dict(known or {})
        touched = edit.touched
        pinned = set(changed)
        with np.errstate(all="ignore"):
            for i in range(len(self.steps)) if only is None else only:
                step = self.steps[i]
                out = step.output.index
                if out in pinned or not (i in touched or any(_index(o) in changed for o in step.operands)):
                    continue
                try:
                    result = self.compute(i, step, edit, changed)
                except NOT_COMPUTED:
                    return None
                if np.shape(result) != self.arrays[out].shape:
                    return None
                changed[out] = np.asarray(result)
        return changed

    def compute(self, i: int, step: Step, edit: Edit, changed: Mapping[int, Any]) -> Any:
        """What a step gives with an edit, where some values have ``changed``."""
        self.work.add(1, self.numbers[i])

        def look(index: int) -> Any:
            return changed[index] if index in changed else self.arrays[index]

        operands = [look(o.index) if isinstance(o, Value) else o for o in step.operands]
        if edit.reads:
            operands = [edit.reads[i, k](x, look) if (i, k) in edit.reads else x for k, x in enumerate(operands)]
        primitive = TABLE[step.primitive]
        result = edit.steps[i](look, *operands) if i in edit.steps else primitive(*operands, **step.arguments)
        return edit.outputs[i](result, look) if i in edit.outputs else result

    def differentiated(self, edit: Edit) -> dict[int, np.ndarray] | None:
        """As ``evaluate``, for a changed forward pass whose backward pass is that of the changed one."""
        loss = self.run.loss
        if loss is None:
            return None
        tensors: dict[int, Any] = {}
        wanted = {value.index for value in self.run.total_gradients}
        for value in self.run.leaves:
            array = self.arrays[value.index]
            tensors[value.index] = Tensor(array, requires_grad=array.dtype.kind == "f")
        with np.errstate(all="ignore"):
            try:
                for i, step in enumerate(self.steps):
                    if step.phase == "forward":
                        result = self.compute(i, step, edit, tensors)
                        if np.shape(result) != self.arrays[step.output.index].shape:
                            return None
                        tensors[step.output.index] = result if isinstance(result, Tensor) else Tensor(result)
                xs = [i for i in wanted if i in tensors and tensors[i].requires_grad]
                if not tensors[loss.index].requires_grad:
                    return None
                found = autograd.grad(tensors[loss.index], [tensors[i] for i in xs])
            except (*NOT_COMPUTED, AttributeError):
                return None
        gradients = dict(zip(xs, found, strict=True))
        known = {
            step.output.index: np.asarray(tensors[step.output.index].data)
            for step in self.steps
            if step.phase == "forward"
        }
        for value in self.run.values:
            if value.of is not None and value.share is None and value.of.index in gradients:
                known[value.index] = np.asarray(gradients[value.of.index].data)
        update = [i for i, step in enumerate(self.steps) if step.phase == "update"]
        return self.evaluate(Edit(), known, update)

    def places(self, i: int) -> np.ndarray | None:
        """Where a structural step takes its numbers from: counted from 1 through its operands, 0 for what is zero.

        None where it takes all, in their order.
        """
        if i not in self._places:
            step, start, numbered = self.steps[i], 1, []
            for operand in step.operands:
                numbered.append(np.arange(start, start + operand.array.size).reshape(operand.shape))
                start += operand.array.size
            places = np.asarray(TABLE[step.primitive](*numbered, **step.arguments))
            in_order = places.size == start - 1 and bool(np.all(places.reshape(-1) == np.arange(1, start)))
            self._places[i] = None if in_order else places
        return self._places[i]

    # Where a value comes from
    def between(self, value: int, known: set[int]) -> list[int]:
        """The steps that compute a value from known ones (and from leaves), in order."""
        found: set[int] = set()
        waiting = [value]
        while waiting:
            i = self.made_by.get(waiting.pop())
            if i is None or i in found:
                continue
            found.add(i)
            operands = (_index(o) for o in self.steps[i].operands)
            waiting += [o for o in operands if o is not None and o not in known]
        return sorted(found)

    def after(self, values: Iterable[int]) -> set[int]:
        """All values that depend on some of ``values``."""
        found = set(values)
        for step in self.steps:
            if any(_index(o) in found for o in step.operands):
                found.add(step.output.index)
        return found


def _numbers_of(step: Step) -> int:
    """How many numbers a step reads and writes."""
    return step.output.array.size + sum(o.array.size for o in step.operands if isinstance(o, Value))


def _index(operand: Any) -> int | None:
    return operand.index if isinstance(operand, Value) else None
