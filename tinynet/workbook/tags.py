"""Where an element belongs: its time step and its place in the batch, found from the data flow alone.

Every element of every value carries two tags. Named steps (``c[3]``) and the rows of an input start them; the
primitives pass them on: a structural one moves them, an elementwise one joins them, a sum over elements of one
step stays at that step, a sum over several steps belongs to none. Layout then needs no knowledge of axes.
"""

from __future__ import annotations

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value

NONE = -2  # below INITIAL, so that the larger of two time tags is the later one


class Tags:
    """``time`` and ``sample``: integer arrays by value index, in the shape of the value."""

    def __init__(self, run: Run):
        self.run = run
        self.time = {value.index: np.full(value.shape, NONE) for value in run.values}
        self.sample = {value.index: np.full(value.shape, NONE) for value in run.values}
        self.waiting = {value.index for value in run.values if value.kind == "input" and value.shape}
        self.parts = _parts_of_leaves(run)
        self._start()
        self._pass()
        self._adopt()
        self._pass()

    def _start(self) -> None:
        """Tag inputs: rows of an input are samples; its named steps say which axis is time."""
        self._read_step_by_step()
        contracted = self._contracted_leaves()
        for value in self.run.leaves:
            if value.kind != "input":
                continue
            if value.time is not None:
                self.time[value.index][...] = value.time
            rows = len(value.shape) > 1 or (value.shape and value.array.dtype.kind in "iu")
            if rows and value.index in self.waiting and (value.time is not None or value.index in contracted):
                self.sample[value.index][...] = _index_of_axis(value.shape, contracted.get(value.index, 0))
                self.waiting.discard(value.index)
        for part, (leaf, places) in self.parts.items():
            value = self.run.values[part]
            if value.time is None or leaf.kind != "input" or value.quantity is None:
                continue
            self.time[leaf.index].reshape(-1)[places] = value.time
            axis = contracted.get(leaf.index, 0) if value.shape == leaf.shape else 0
            samples = _index_of_axis(value.shape, axis) if len(value.shape) > 1 else np.full(value.shape, NONE)
            self.sample[leaf.index].reshape(-1)[places] = samples
            self.waiting.discard(leaf.index)

    def _read_step_by_step(self) -> None:
        """What enters a matrix product at a time step stands at that step.

        Its rows are samples; right of its weights, its columns.
        """
        for step in self.run.steps:
            if step.primitive != "matmul" or step.phase != "forward" or step.time is None:
                continue
            weights, _ = _leaf(step.operands[0], self.parts)
            right = weights is not None and weights.kind == "parameter"
            matrix = step.operands[right]
            leaf, places = _leaf(matrix, self.parts)
            if leaf is not None and leaf.index in self.waiting and leaf.time is None:
                self.time[leaf.index].reshape(-1)[places] = step.time
                axis = len(matrix.shape) - (1 if right else 2)
                self.sample[leaf.index].reshape(-1)[places] = _index_of_axis(matrix.shape, axis)
        timed = {index for index in self.waiting if np.any(self.time[index] != NONE)}
        self.waiting -= timed

    def _contracted_leaves(self) -> dict[int, int]:
        """The leaves that enter a matrix product or a convolution, as they are or through a reshape: {index: axis}.

        Samples lie along the axis: the rows of a left matrix, but the columns of one that stands right of its weights.
        """
        found: dict[int, int] = {}
        for step in self.run.steps:
            if TABLE[step.primitive].kind == "contraction" or step.primitive in ("pad", "windows"):
                for k, operand in enumerate(step.operands):
                    leaf, places = _leaf(operand, self.parts)
                    if leaf is None:
                        found.setdefault(operand.index, 0)
                        continue
                    as_it_is = operand.shape == leaf.shape and np.all(np.diff(places.reshape(-1)) > 0)
                    right = k == 1 and step.primitive == "matmul" and as_it_is
                    found.setdefault(leaf.index, len(leaf.shape) - 1 if right else 0)
        return found

    def _adopt(self) -> None:
        """A target stands where it is used: it takes the tags of what is computed with it, element by element."""
        for step in self.run.steps:
            if TABLE[step.primitive].kind not in ("elementwise", "indexed"):
                continue
            for operand in step.operands:
                leaf, places = _leaf(operand, self.parts)
                if leaf is None or leaf.index not in self.waiting or operand.shape != step.output.shape:
                    continue
                if np.all(self.sample[step.output.index] == NONE) and np.all(self.time[step.output.index] == NONE):
                    continue
                for tags in (self.time, self.sample):
                    tags[leaf.index].reshape(-1)[places] = tags[step.output.index]
                self.waiting.discard(leaf.index)
        samples = self._samples() if self.waiting else 0
        for value in (self.run.values[index] for index in self.waiting):
            # What is left is one row, or one number (such as a length), for each sample.
            if len(value.shape) > 1 or value.shape[0] == samples:
                self.sample[value.index][...] = _index_of_axis(value.shape, 0)

    def _samples(self) -> int:
        return 1 + max((int(tag.max(initial=NONE)) for tag in self.sample.values()), default=NONE)

    def _pass(self) -> None:
        for step in self.run.steps:
            value = step.output
            for tags, joined in ((self.time, _later), (self.sample, _first)):
                tags[value.index] = np.asarray(_propagate(step, tags, joined))  # that of one number is a scalar
            if value.time is not None and value.kind == "computed":
                self.time[value.index][...] = value.time
            self._as_its_quantity(value)
        for leaf in self.run.leaves:  # the 1 that a backward pass starts from
            self._as_its_quantity(leaf)

    def _as_its_quantity(self, gradient: Value) -> None:
        """A gradient belongs where the quantity belongs."""
        if gradient.of is not None:
            self.time[gradient.index] = self.time[gradient.of.index]
            self.sample[gradient.index] = self.sample[gradient.of.index]


def _propagate(step: Step, tags: dict[int, np.ndarray], joined) -> np.ndarray:
    primitive, shape = TABLE[step.primitive], step.output.shape
    if step.primitive in ("correlate", "fold"):
        return _of_batch(step, tags, joined)
    of = [tags[o.index] if isinstance(o, Value) else np.full((), NONE) for o in step.operands]
    if primitive.kind == "structural":
        # Shifted by 2 so that the zeros of padding mean "none".
        return np.asarray(primitive.forward(np, *(tag - NONE for tag in of), **step.arguments)) + NONE
    if primitive.kind == "reduction":
        axis = step.arguments["axis"]
        return _common(of[0], axis, step.arguments["keepdims"]).reshape(shape)
    if primitive.kind == "contraction":
        left = _common(of[0], -1, True)
        right = _common(of[1], -2, True)
        return np.broadcast_to(joined(left, right), shape).copy()
    if step.primitive == "argmax":
        return _common(of[0], step.arguments["axis"], True)
    if step.primitive == "take":
        return np.broadcast_to(of[1].reshape(of[1].shape + (1,) * (len(shape) - of[1].ndim)), shape).copy()
    if step.primitive == "put":
        return np.full(shape, NONE)
    if step.primitive == "put_along_axis":
        return np.broadcast_to(_common(of[0], step.arguments["axis"], True), shape).copy()
    if step.primitive == "take_along_axis":
        axis = step.arguments["axis"]
        of = [np.broadcast_to(_common(of[0], axis, True), shape), of[1]]
    result = of[0]
    for tag in of[1:]:
        result = joined(result, tag)
    return result if len(of) > 1 and result.shape == shape else np.broadcast_to(result, shape).copy()


def _of_batch(step: Step, tags: dict[int, np.ndarray], joined) -> np.ndarray:
    """A sum over windows: the tag that all numbers of one image (joined with those of one kernel) share."""
    found = [tags[o.index] for o in step.operands]
    found = [_common(tag, tuple(range(1, tag.ndim)), True) for tag in found]
    if len(found) == 1:
        return np.broadcast_to(found[0][..., 0], step.output.shape).copy()
    return np.broadcast_to(joined(found[0], found[1].swapaxes(0, 1)), step.output.shape).copy()


def _later(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum(a, b)


def _first(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(a != NONE, a, b)


def _common(tag: np.ndarray, axis, keepdims: bool) -> np.ndarray:
    """The tag that all tagged elements along the axes share; none where they differ."""
    high = tag.max(axis=axis, keepdims=keepdims)
    low = np.where(tag == NONE, np.iinfo(tag.dtype).max, tag).min(axis=axis, keepdims=keepdims)
    return np.where(low == high, high, NONE)


def _parts_of_leaves(run: Run) -> dict[int, tuple[Value, np.ndarray]]:
    """Values that are only views of a leaf: {value index: (leaf, the places they show, flat)}.

    The vectors that an index picks from a table belong where the index stands.
    """
    parts: dict[int, tuple[Value, np.ndarray]] = {}
    for step in run.steps:
        if step.primitive == "take":
            leaf, places = _leaf(step.operands[1], parts)
            if leaf is not None:
                shape = step.output.shape
                lifted = places.reshape(places.shape + (1,) * (len(shape) - places.ndim))
                parts[step.output.index] = (leaf, np.broadcast_to(lifted, shape))
        if TABLE[step.primitive].kind != "structural" or len(step.operands) != 1 or step.primitive == "scatter":
            continue
        leaf, places = _leaf(step.operands[0], parts)
        if leaf is not None:
            shaped = places.reshape(step.operands[0].shape) + 1
            seen = np.asarray(TABLE[step.primitive].forward(np, shaped, **step.arguments))
            if seen.size == 0 or seen.min() > 0:
                parts[step.output.index] = (leaf, seen - 1)
    return parts


def _leaf(operand, parts):
    """Return (leaf, places) if the operand is a leaf or a view of one, else (None, None)."""
    if not isinstance(operand, Value):
        return None, None
    if operand.index in parts:
        return parts[operand.index]
    if operand.kind != "computed":
        return operand, np.arange(int(np.prod(operand.shape))).reshape(operand.shape)
    return None, None


def _index_of_axis(shape: tuple[int, ...], axis: int) -> np.ndarray:
    line = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return np.broadcast_to(line, shape)
