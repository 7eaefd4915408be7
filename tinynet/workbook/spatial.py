"""Maps: which values are images or feature maps, and which of their axes are spatial, found from the data flow alone.

A correlation and the windows of a pool say that the axes from the third on are spatial; the other primitives pass
that on, forwards and backwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value

Axes = tuple[int, ...]


class Spatial:
    """``axes``: the spatial axes by value index, for values that are maps."""

    def __init__(self, run: Run):
        self.run = run
        self.axes: dict[int, Axes] = {}
        self.kernels = _kernels(run)
        steps = [step for step in run.steps if step.phase != "update"]
        if not any(step.primitive in ("correlate", "windows", "fold") for step in steps):
            return  # these alone say what is spatial
        found = -1
        while found < len(self.axes):
            found = len(self.axes)
            for step in steps:
                self._pass(step)
            for step in reversed(steps):
                self._pass(step)
            for value in run.values:
                if value.of is not None and value.of.index in self.axes:
                    self._is_map(value, self.axes[value.of.index])

    def tiles(self, value: Value, ids: np.ndarray) -> np.ndarray | None:
        """The ids of a map as (channels, samples, height, width); None for what is no map.

        The last axis before the spatial ones counts channels; one spatial axis is a map of height 1.
        """
        axes = self.axes.get(value.index)
        if axes is None or not ids.size:
            return None
        height, width = (1, *(ids.shape[a] for a in axes))[-2:]
        moved = np.moveaxis(ids, axes, range(-len(axes), 0))
        if axes[0]:
            moved = np.moveaxis(moved, axes[0] - 1, 0)
        return moved.reshape(ids.shape[axes[0] - 1] if axes[0] else 1, -1, height, width)

    def _is_map(self, value: Any, axes: Axes | None) -> None:
        new = isinstance(value, Value) and value.index not in self.kernels and value.index not in self.axes
        if new and axes and len(axes) <= 2:
            self.axes[value.index] = axes

    def _pass(self, step: Step) -> None:
        out, operands = step.output, [o for o in step.operands if isinstance(o, Value)]
        kind = TABLE[step.primitive].kind
        if step.primitive == "correlate":
            for value in (out, operands[0]):
                self._is_map(value, tuple(range(2, len(value.shape))))
        elif step.primitive in ("windows", "fold"):
            whole = operands[0] if step.primitive == "windows" else out
            for value in (out, operands[0]):
                self._is_map(value, tuple(range(2, len(whole.shape))))
        elif kind == "elementwise" or (kind == "structural" and step.primitive not in ("reshape", "transpose")):
            alike = [value for value in (out, *operands) if len(value.shape) == len(out.shape)]
            known = next((self.axes[value.index] for value in alike if value.index in self.axes), None)
            for value in alike:
                self._is_map(value, known)
        elif step.primitive in ("reshape", "transpose"):
            self._is_map(out, self._moved(operands[0], out, step))
            self._is_map(operands[0], self._moved(out, operands[0], step))
        elif step.primitive == "take":
            shift = len(out.shape) - len(operands[0].shape)
            self._is_map(out, self._shifted(operands[0], shift))
            self._is_map(operands[0], self._shifted(out, -shift))
        elif kind in ("reduction", "indexed"):
            self._is_map(out, self._reduced(step))

    def _moved(self, source: Value, target: Value, step: Step) -> Axes | None:
        axes = self.axes.get(source.index)
        if axes is None:
            return None
        if step.primitive == "transpose":
            order = list(step.arguments["axes"])
            moved = [order.index(a) for a in axes] if target is step.output else [order[a] for a in axes]
            return tuple(moved) if moved == sorted(moved) else None
        here, there = _positions(source.shape), _positions(target.shape)
        if any(here[a] not in there for a in axes):
            return None
        moved = [len(there) - 1 - there[::-1].index(here[a]) for a in axes]
        return tuple(moved) if moved == sorted(set(moved)) and moved[0] > 0 else None

    def _shifted(self, source: Value, by: int) -> Axes | None:
        axes = self.axes.get(source.index)
        return tuple(a + by for a in axes) if axes and axes[0] + by > 0 else None

    def _reduced(self, step: Step) -> Axes | None:
        source = step.operands[0]
        axes = self.axes.get(source.index)
        if axes is None or len(source.shape) == len(step.output.shape):
            return axes
        axis = step.arguments.get("axis")
        gone = {a % len(source.shape) for a in ((axis,) if isinstance(axis, int) else axis or ())}
        if not gone or gone & set(axes):
            return None
        return tuple(a - sum(g < a for g in gone) for a in axes)


def _positions(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Each axis by its size and by how many elements lie between neighbours: a reshape keeps those it does not cut."""
    return [(size, int(np.prod(shape[a + 1 :]))) for a, size in enumerate(shape)]


def _kernels(run: Run) -> set[int]:
    """Parameters in any form: their gradients, updates and views are no maps."""
    found = {v.index for v in run.values if v.kind == "parameter" or v.copy_of is not None}
    found |= {v.index for v in run.values if v.of is not None and v.of.index in found}
    for step in run.steps:
        first = step.operands[0] if step.operands else None
        if TABLE[step.primitive].kind == "structural" and isinstance(first, Value) and first.index in found:
            found.add(step.output.index)
    return found | {v.index for v in run.values if v.of is not None and v.of.index in found}
