"""Where an element belongs: its time step and its place in the batch, found from the data flow alone.

Every element of every value carries two tags. Named steps (``c[3]``) and the rows of an input start them; the
primitives pass them on: a structural one moves them, an elementwise one joins them, a sum over elements of one
step stays at that step, a sum over several steps belongs to none. Layout then needs no knowledge of axes.

Most values have one tag for all their elements. Such an array is a view of one number, and is passed on as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Run, Step, Value

NONE = -2  # below INITIAL, so that the larger of two time tags is the later one
# Primitives that bring in elements without tags, or whose operands count for different things.
MIXING = {"concatenate", "pad", "put", "put_along_axis", "scatter", "take", "take_along_axis"}

Of = dict[int, np.ndarray]  # by value index


class Tags:
    """``time`` and ``sample``: integer arrays by value index, in the shape of the value.

    ``steps`` are the time steps of intermediates without a name that have cells, by value index.
    """

    def __init__(self, run: Run, steps: Mapping[int, int]):
        self.run, self.steps = run, steps
        self.time: Of = {value.index: uniform(value.shape, NONE) for value in run.values}
        self.sample: Of = dict(self.time)
        typed_in = [v for v in run.leaves if v.kind == "input" or (v.kind == "constant" and v.of is None)]
        self.waiting = {value.index for value in typed_in if value.shape}
        self.parts = _parts_of_leaves(run)
        self._start()
        later = self._pass({value.index for value in run.values})
        self._pass(later | self._adopt())
        del self.parts, self.waiting  # there may be many

    def _start(self) -> None:
        """Tag inputs: rows of an input are samples; its named steps say which axis is time."""
        self._read_step_by_step()
        contracted = self._contracted_leaves()
        for value in self.run.leaves:
            if value.kind != "input":
                continue
            if value.time is not None:
                self.time[value.index] = uniform(value.shape, value.time)
            rows = len(value.shape) > 1 or (value.shape and value.array.dtype.kind in "iu")
            if rows and value.index in self.waiting and value.index in contracted:
                self.sample[value.index] = _index_of_axis(value.shape, contracted[value.index])
                self.waiting.discard(value.index)
        for part, (leaf, places) in self.parts.items():
            value = self.run.values[part]
            if value.time is None or leaf.kind != "input" or value.quantity is None:
                continue
            axis = contracted.get(leaf.index, 0) if value.shape == leaf.shape else 0
            _put(self.time, leaf, places, value.time)
            _put(self.sample, leaf, places, _index_of_axis(value.shape, axis) if len(value.shape) > 1 else NONE)
            self.waiting.discard(leaf.index)

    def _read_step_by_step(self) -> None:
        """What enters a matrix product at a time step, or is joined to the state, stands at that step.

        Its rows are samples; right of its weights, its columns.
        """
        for step in self.run.steps:
            if step.phase == "forward" and step.time is not None:
                for read, axis in self._read_by(step):
                    leaf, places = _leaf(read, self.parts)
                    if leaf is not None and leaf.index in self.waiting:
                        _put(self.time, leaf, places, step.time if leaf.time is None else leaf.time)
                        _put(self.sample, leaf, places, NONE if axis is None else _index_of_axis(read.shape, axis))
        timed = {index for index in self.waiting if np.any(self.time[index] != NONE)}
        self.waiting -= timed

    def _read_by(self, step: Step) -> Iterator[tuple[Value, int | None]]:
        """What a step multiplies by weights, joins, or takes for places, and the axis along which its samples lie."""
        if step.primitive == "matmul":
            weights, _ = _leaf(step.operands[0], self.parts)
            right = weights is not None and weights.kind == "parameter"
            yield step.operands[right], len(step.operands[right].shape) - (1 if right else 2)
        elif step.primitive == "concatenate":
            for operand in step.operands:
                joined = step.arguments["axis"] % len(operand.shape)
                yield operand, next((axis for axis in range(len(operand.shape)) if axis != joined), None)
        for read in (o for o in step.operands if isinstance(o, Value) and o.array.dtype.kind in "iu"):
            leaf, places = _leaf(read, self.parts)
            if leaf is not None and places.size < leaf.array.size:  # those of one step of a sequence
                yield read, 0 if read.shape else None

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

    def _adopt(self) -> set[int]:
        """A target stands where it is first used: it takes the tags of what is computed with it, element by element.

        So does what is only compared with another: it stands where the outcome is used. Returns the values (by their
        index) that have taken some.
        """
        before = set(self.waiting)
        used: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # of values without tags
        for step in reversed(self.run.steps if self.waiting else []):
            output = step.output.index
            tags = used.get(output, (self.time[output], self.sample[output]))
            if TABLE[step.primitive].kind not in ("elementwise", "indexed") or not _any(*tags):
                continue
            for operand in step.operands:
                if not isinstance(operand, Value) or operand.shape != step.output.shape:
                    continue
                if not _any(self.time[operand.index], self.sample[operand.index]):
                    used[operand.index] = tags
                leaf, places = _leaf(operand, self.parts)
                if leaf is not None and leaf.index in before:
                    self._take(leaf, places, *tags)
        samples = self._samples() if self.waiting else 0
        for value in (self.run.values[index] for index in self.waiting):
            # What is left is one row, or one number (such as a length), for each sample.
            counts = value.array.dtype.kind in "iub" and value.shape[0] == samples
            if value.kind == "input" and (len(value.shape) > 1 or counts):
                self.sample[value.index] = _index_of_axis(value.shape, 0)
        return before

    def _take(self, leaf: Value, places: np.ndarray, time: np.ndarray, sample: np.ndarray) -> None:
        """Let some elements of a leaf take these tags; one whose time is known already takes those of samples."""
        found = [(self.time, time)] * (leaf.time is None) + [(self.sample, sample)]
        if not _any(*(tag for _, tag in found)):
            return
        for own, tag in found:
            if leaf.index in self.waiting:
                own[leaf.index] = own[leaf.index].copy()  # its gradient may have the same
            _put(own, leaf, places, tag)
        self.waiting.discard(leaf.index)

    def _samples(self) -> int:
        return 1 + max((int(tag.max(initial=NONE)) for tag in self.sample.values()), default=NONE)

    def _pass(self, changed: set[int]) -> set[int]:
        """Pass on the tags of the values that have changed; returns those that change only when all is done."""
        for step in self.run.steps:
            value, sources = step.output, [o.index for o in step.operands if isinstance(o, Value)]
            if value.of is not None:
                sources = [value.of.index]
            if value.index in changed or not changed.isdisjoint(sources):
                time, sample = self.time[value.index], self.sample[value.index]
                self._tag(step)
                if _same(time, self.time[value.index]) and _same(sample, self.sample[value.index]):
                    changed.discard(value.index)
                else:
                    changed.add(value.index)
        leaves = [leaf for leaf in self.run.leaves if leaf.of is not None]
        for leaf in leaves:  # the 1 that a backward pass starts from
            self._as_its_quantity(leaf)
        return {leaf.index for leaf in leaves}

    def _tag(self, step: Step) -> None:
        value = step.output
        if value.of is not None:
            self._as_its_quantity(value)
            return
        self.sample[value.index] = _propagate(step, self.sample, _first)
        time = self.steps.get(value.index, value.time)
        if time is None:
            self.time[value.index] = _propagate(step, self.time, _later)
        else:
            self.time[value.index] = uniform(value.shape, time)

    def _as_its_quantity(self, gradient: Value) -> None:
        """A gradient belongs where the quantity belongs."""
        quantity: Any = gradient.of
        self.time[gradient.index] = self.time[quantity.index]
        self.sample[gradient.index] = self.sample[quantity.index]


@lru_cache(maxsize=1 << 14)
def uniform(shape: tuple[int, ...], tag: int) -> np.ndarray:
    """One tag for all elements."""
    return np.broadcast_to(np.int32(tag), shape)


def _put(tags: Of, leaf: Value, places: np.ndarray, found: Any) -> None:
    """Tag some elements of a leaf."""
    if not tags[leaf.index].flags.writeable:
        tags[leaf.index] = tags[leaf.index].copy()
    tags[leaf.index].reshape(-1)[places] = found


def _any(*tags: np.ndarray) -> bool:
    """Whether anything is known of where a value belongs."""
    return any(bool(np.any(tag != NONE)) for tag in tags)


def _settled(tag: np.ndarray) -> np.ndarray:
    """The same tags, as a view of one number if they are all equal."""
    one = tag.item(0) if tag.size else NONE
    return uniform(tag.shape, one) if np.all(tag == one) else tag


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or bool(any(a.strides) and np.array_equal(a, b))  # those of one number each are equal only if one


def _propagate(step: Step, tags: Of, joined: Callable) -> np.ndarray:
    """The tags of what a step computes: one for all elements, where its operands have one each."""
    of = [tags[o.index] for o in step.operands if isinstance(o, Value)]
    if step.primitive not in MIXING and not any(any(tag.strides) or not tag.size for tag in of):
        found = {tag.item(0) for tag in of} - {NONE}
        one = reduce(joined, [tag.item(0) for tag in of]) if len(found) > 1 else next(iter(found), NONE)
        return uniform(step.output.shape, int(one))
    return _settled(np.asarray(_by_element(step, tags, joined)))  # that of one number is a scalar


def _by_element(step: Step, tags: Of, joined: Callable) -> np.ndarray:
    primitive, shape = TABLE[step.primitive], step.output.shape
    if step.primitive in ("correlate", "fold"):
        return _of_batch(step, tags, joined)
    of = [tags[o.index] if isinstance(o, Value) else uniform((), NONE) for o in step.operands]
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


def _of_batch(step: Step, tags: Of, joined: Callable) -> np.ndarray:
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
    least, most = NONE, np.iinfo(tag.dtype).max  # of no elements at all
    high = tag.max(axis=axis, keepdims=keepdims, initial=least)
    low = np.where(tag == NONE, most, tag).min(axis=axis, keepdims=keepdims, initial=most)
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
    line = np.arange(shape[axis], dtype=np.int32).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return _settled(np.broadcast_to(line, shape))
