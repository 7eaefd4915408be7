"""Many edits of a program at once: what they change has one axis more, in front, with an entry for each edit.

Of what is computed, only what an edit touches is computed for it alone; what follows is one operation for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinynet.debug.program import NOT_COMPUTED, Edit, Program
from tinynet.primitives import TABLE
from tinynet.run import Step, Value


def evaluate_each(
    program: Program, edits: Sequence[Edit], known: Mapping[int, np.ndarray], only: Iterable[int], wanted: int
) -> list[np.ndarray | None]:
    """What value ``wanted`` becomes with each edit alone; None where it cannot be computed.

    ``known`` overrides values from the start; ``only`` names the steps to look at, in order.
    """
    many, only = _Many(program, edits, known), list(only)
    with np.errstate(all="ignore"):
        for i in only:
            many.follow(i)
    for k in many.apart:
        alone = program.evaluate(edits[k], dict(known), only)
        many.results[k] = None if alone is None else alone.get(wanted, program.arrays[wanted])
    for k in many.left - many.apart:
        many.results[k] = _Entry(many, k)[wanted]
    return many.results


class _Many:
    """What each edit has changed so far."""

    def __init__(self, program: Program, edits: Sequence[Edit], known: Mapping[int, np.ndarray]):
        self.program, self.edits, self.known = program, edits, known
        self.changed: dict[int, np.ndarray] = {}  # (edits, *shape)
        self.results: list[np.ndarray | None] = [None] * len(edits)
        self.left = set(range(len(edits)))  # that can be computed so far
        self.apart: set[int] = set()  # that give numbers of another kind, and would change that of all others
        self.touching: dict[int, list[int]] = {}
        for k, edit in enumerate(edits):
            for i in edit.touched:
                self.touching.setdefault(i, []).append(k)

    def follow(self, i: int) -> None:
        """Compute a step again for whom it changes."""
        step = self.program.steps[i]
        out, touching = step.output.index, self.touching.get(i, ())
        operands = [o.index for o in step.operands if isinstance(o, Value)]
        spread = any(o in self.changed for o in operands)
        if out in self.known or not (spread or touching or any(o in self.known for o in operands)):
            return
        numbers = self._together(i, step) if spread else self._once(i, step)
        alone = self._edits if numbers is None else touching
        if numbers is None:
            numbers = np.zeros((len(self.edits), *step.output.shape), self.program.arrays[out].dtype)
        self.changed[out] = _with(numbers, {k: self._alone(i, step, k) for k in alone})

    def _once(self, i: int, step: Step) -> np.ndarray:
        """What every edit that does not touch a step finds there, where no edit has changed what it reads."""
        array = self.program.arrays[step.output.index]
        if any(isinstance(o, Value) and o.index in self.known for o in step.operands):
            array = np.asarray(self.program.compute(i, step, Edit(), self.known))
        return np.broadcast_to(array, (len(self.edits), *array.shape))

    def _alone(self, i: int, step: Step, k: int) -> np.ndarray | None:
        """What one edit makes of a step that it touches."""
        if k not in self.left or k in self.apart:
            return None
        try:
            found = np.asarray(self.program.compute(i, step, self.edits[k], _Entry(self, k)))
        except NOT_COMPUTED:
            found = np.empty(0)
        if found.shape != step.output.shape:
            self.left.discard(k)
        elif found.dtype.kind != self.program.arrays[step.output.index].dtype.kind:
            self.apart.add(k)
        else:
            return found
        return None

    def _together(self, i: int, step: Step) -> np.ndarray | None:
        """The same operation for every edit; None where there is no other way than one by one."""
        self.program.work.add(1, self.program.numbers[i] * len(self.edits))
        primitive, arguments, rank = TABLE[step.primitive], step.arguments, len(step.output.shape)
        operands = [self._of_all(o) for o in step.operands]
        matrices = all(np.ndim(x) - every >= 2 for x, every in operands)
        try:
            if primitive.kind == "elementwise" or (primitive.name == "matmul" and matrices):
                return np.asarray(primitive(*(_ranked(x, rank) if every else x for x, every in operands)))
            if primitive.kind == "reduction":
                (x, _), axis = operands[0], arguments["axis"]
                axes = range(x.ndim - 1) if axis is None else (axis,) if isinstance(axis, int) else axis
                shifted = tuple(a % (x.ndim - 1) + 1 for a in axes)
                return np.asarray(primitive(x, axis=shifted, keepdims=arguments["keepdims"]))
            if primitive.kind == "structural" and primitive.name != "fold":
                return self._moved(i, step, [self._flat(x, every) for x, every in operands])
        except NOT_COMPUTED:  # of one of them, perhaps
            pass
        return None

    @property
    def _edits(self) -> range:
        return range(len(self.edits))

    def _of_all(self, operand: Any) -> tuple[Any, bool]:
        """An operand, and whether it has an entry for each edit."""
        if not isinstance(operand, Value):
            return operand, False
        if operand.index in self.changed:
            return self.changed[operand.index], True
        return self.known.get(operand.index, self.program.arrays[operand.index]), False

    def _flat(self, x: Any, every: bool) -> np.ndarray:
        count = len(self.edits)
        return np.reshape(x, (count, -1)) if every else np.broadcast_to(np.reshape(x, (1, -1)), (count, np.size(x)))

    def _moved(self, i: int, step: Step, flat: list[np.ndarray]) -> np.ndarray:
        """The numbers that a structural step takes, from where it takes them; place 0 holds 0."""
        places = self.program.places(i)
        if places is None:
            return np.concatenate(flat, axis=1).reshape(len(self.edits), *step.output.shape)
        zero = np.zeros((len(self.edits), 1), flat[0].dtype)
        return np.concatenate([zero, *flat], axis=1)[:, places]


class _Entry(Mapping[int, np.ndarray]):
    """What is changed for one edit, by value index."""

    def __init__(self, many: _Many, k: int):
        self.many, self.k = many, k

    def __contains__(self, index: object) -> bool:
        return index in self.many.changed or index in self.many.known

    def __getitem__(self, index: int) -> np.ndarray:
        if index in self.many.changed:
            return self.many.changed[index][self.k]
        return self.many.known.get(index, self.many.program.arrays[index])

    def __iter__(self):
        return iter(self.many.changed.keys() | self.many.known.keys())

    def __len__(self) -> int:
        return len(self.many.changed.keys() | self.many.known.keys())


def _ranked(x: np.ndarray, rank: int) -> np.ndarray:
    """(edits, *shape) to (edits, 1, …, *shape), which broadcasts where ``shape`` does in ``rank`` axes."""
    return x.reshape(x.shape[0], *[1] * (rank + 1 - x.ndim), *x.shape[1:])


def _with(numbers: np.ndarray, results: Mapping[int, np.ndarray | None]) -> np.ndarray:
    """A copy of ``numbers`` (edits, …) with some rows replaced."""
    rows = {k: row for k, row in results.items() if row is not None}
    if rows:
        numbers = np.array(numbers)
        numbers[list(rows)] = list(rows.values())
    return numbers
