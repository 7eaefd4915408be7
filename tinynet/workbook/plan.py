"""Plan: which values of a run become cells, and what each cell computes.

Structural primitives run on arrays of places, so a transpose or a window costs no cell. A named quantity gets
cells; what has no name is written into the formula of the next quantity that has one, while that stays short.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tinynet.backend import to_host
from tinynet.primitives import TABLE
from tinynet.primitives.structural import fields
from tinynet.run import Run, Step, Value, full_name
from tinynet.workbook.automatic import AutomaticNames
from tinynet.workbook.expressions import (
    Apply,
    Cells,
    Dot,
    Expression,
    Extreme,
    Literal,
    Pick,
    Position,
    Total,
    gathered,
    length,
    power,
    product,
    total,
    zero_where_cells_are,
)
from tinynet.workbook.rows import Rows

COPIES = {"flip": "rotated", "scatter": "padded", "pad": "padded"}  # what a copy is called after
READABLE = 14  # references in a formula before an unnamed intermediate gets cells of its own


@dataclass(eq=False)
class Block:
    """The cells of one value: ``ids`` in the value's shape; ``expression`` is None where numbers are typed in."""

    value: Value
    quantity: str
    time: int | None
    ids: np.ndarray
    expression: Expression | None
    phase: str
    order: int
    update: int  # the round of training that it belongs to
    as_values: bool = False  # beyond the budget: computed, but written as numbers

    @property
    def is_formula(self) -> bool:
        """Whether its cells hold formulas."""
        return self.expression is not None and not self.as_values

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole by their type: classes, lengths, comparisons."""
        return self.value.array.dtype.kind in "iub"

    @property
    def kind(self) -> str:
        return self.value.kind

    @property
    def name(self) -> str:
        return full_name(self.quantity, self.update if self.expression is not None else 0, self.time)


@dataclass(eq=False)
class Plan:
    """All blocks in the order of execution; ``aliases`` are named parts of leaves (name → ids)."""

    run: Run
    detail: str
    blocks: list[Block] = field(default_factory=list)
    aliases: list[tuple[Value, np.ndarray]] = field(default_factory=list)
    ids: dict[int, np.ndarray] = field(default_factory=dict)
    cells: int = 0

    def ids_of(self, index: int) -> np.ndarray | None:
        """The cells of a value of the run, by its index, also where it only names a part of a leaf."""
        if index in self.ids:
            return self.ids[index]
        return next((ids for value, ids in self.aliases if value.index == index), None)

    def block_of(self) -> np.ndarray:
        """Return the index of the block that every id belongs to (0 for the constant zero)."""
        owner = np.zeros(self.cells + 1, dtype=np.int32)
        for i, block in enumerate(self.blocks):
            owner[block.ids.reshape(-1)] = i
        return owner


def make_plan(run: Run, detail: str = "names") -> Plan:
    """Plan the cells of a run; ``detail`` is "names", or "ops" to give every operation cells of its own."""
    if detail not in ("names", "ops"):
        raise ValueError(f"detail is {detail!r}, expected 'names' or 'ops'")
    return _Planner(run, detail).plan()


class _Planner:
    def __init__(self, run: Run, detail: str):
        self.result = Plan(run, detail)
        self.run, self.detail = run, detail
        self.expressions: dict[int, Expression] = {}
        self.made_by = {step.output.index: step for step in run.steps}
        self.read = {o.index for step in run.steps for o in step.operands if isinstance(o, Value)}
        self.is_leaf_cell, self.is_parameter_cell = bytearray(1), bytearray(1)  # by id
        self.numbered: dict[tuple[int, ...], np.ndarray] = {}
        self.spreads: dict[tuple[tuple[int, ...], tuple[int, ...]], np.ndarray] = {}
        self.automatic = AutomaticNames(run, self.made_by)
        self.starts: list[int] = []  # the first cell of every block
        self.copied: Counter[tuple[str, int]] = Counter()
        self.remembered: list[Value] = []  # by an optimiser, for the next round
        self.last_forward = max((v.update for v in run.values), default=0)

    def plan(self) -> Plan:
        for value in self.run.leaves:
            self.leaf(value)
        for step in self.run.steps:
            while self.remembered and self.remembered[0].update < step.output.update:
                self.carry_over(self.remembered.pop(0), step.number - 1)
            expression = getattr(self, "_" + TABLE[step.primitive].kind)(step)
            self.expressions[step.output.index] = expression
            self.keep(step, expression)
        self.result.blocks.sort(key=lambda block: block.order)
        return self.result

    # Which values get cells
    def leaf(self, value: Value) -> None:
        array = to_host(value.array)
        if value.kind == "constant" and (array.size == 1 or np.all(array == array.flat[0])):
            self.expressions[value.index] = Literal(np.asarray(float(array.flat[0])))
            if value.of is not None:
                self.allocate(
                    value, self.expressions[value.index], str(value.quantity), self.first_backward(value.update)
                )
        else:
            self.allocate(value, None, value.quantity or value.kind, order=0)

    def first_backward(self, update: int) -> int:
        """The first step of the backward pass of a round of training."""
        backward = (step for step in self.run.steps if step.phase == "backward" and step.output.update == update)
        return next((step.number for step in backward), 0)

    def keep(self, step: Step, expression: Expression) -> None:
        """Give the output of a step cells, or let its formula wait for the next quantity."""
        value = step.output
        if value.quantity is not None or (self.detail == "ops" and TABLE[step.primitive].kind != "structural"):
            if isinstance(expression, Cells) and self.is_another_name(step, expression.ids):
                self.result.aliases.append((value, expression.ids.reshape(value.shape)))
            else:
                self.materialise(value)
        elif length(expression) > READABLE or (value.index not in self.read and not isinstance(expression, Cells)):
            self.materialise(value)

    def is_another_name(self, step: Step, ids: np.ndarray) -> bool:
        """Tell whether a value is only a part of a leaf, or the gradient of an input put together from its parts.

        What joins several leaves at a time step has cells there, as it has at the other time steps.
        """
        if step.phase == "forward":
            joins = step.output.time is not None and self.block_number(ids.min()) != self.block_number(ids.max())
            return not joins and all(self.is_leaf_cell[i] for i in ids)
        of = step.output.of
        return of is not None and of.kind == "input" and bool(ids.all()) and len(set(ids.tolist())) == ids.size

    def block_number(self, cell: int) -> int:
        """Which block, counted as they came, a cell belongs to."""
        return bisect(self.starts, cell)

    def materialise(self, value: Value) -> None:
        step = self.made_by[value.index]
        self.allocate(value, self.expressions[value.index], value.quantity or self.automatic.name(step), step.number)
        if value.replaces_state:  # what is read in this round too
            self.remembered.append(value)
        elif value.copy_of is not None:
            self.carry_over(value, self.made_by[value.index].number)

    def carry_over(self, value: Value, order: int) -> None:
        """The next round of training starts from a copy, so that its sheet shows its own weights."""
        if value.copy_of is not None and value.update < self.last_forward:
            self.allocate(value, self.expressions[value.index], str(value.copy_of.quantity), order, value.update + 1)

    def allocate(
        self, value: Value, expression: Expression | None, quantity: str, order: int, update: int | None = None
    ) -> None:
        plan, n = self.result, math.prod(value.shape)
        ids = np.arange(plan.cells + 1, plan.cells + n + 1, dtype=np.int32).reshape(value.shape)
        plan.cells += n
        self.starts.append(int(ids.flat[0]) if n else plan.cells + 1)
        self.is_leaf_cell += bytes([expression is None or value.copy_of is not None]) * n
        self.is_parameter_cell += bytes([value.kind == "parameter" or value.copy_of is not None]) * n
        step = self.made_by.get(value.index)
        phase = step.phase if step is not None else "backward" if expression is not None else "forward"
        time = value.time if value.quantity is not None or step is None else self.automatic.times[value.index]
        update = value.update if update is None else update
        plan.blocks.append(Block(value, quantity, time, ids, expression, phase, order, update))
        plan.ids[value.index] = ids
        self.expressions[value.index] = Cells(ids.reshape(-1))

    # What each kind of primitive computes
    def expression(self, operand: object) -> Expression:
        if isinstance(operand, Value):
            return self.expressions[operand.index]
        return Literal(np.asarray(float(operand)))  # type: ignore[arg-type]

    def cells(self, operand: Value) -> np.ndarray:
        """Return the ids of an operand in its shape, giving it cells if it has none yet."""
        if not isinstance(self.expressions[operand.index], Cells):
            if operand.index in self.made_by:
                self.materialise(operand)
            else:  # a constant of equal numbers, which a formula would have said in one
                self.allocate(operand, None, operand.quantity or operand.kind, order=0)
        cells = self.expressions[operand.index]
        assert isinstance(cells, Cells)
        return cells.ids.reshape(operand.shape)

    def places(self, value: Value) -> np.ndarray:
        """The elements of a value, counted: what a structural primitive makes of this says where each comes from."""
        if value.shape not in self.numbered:
            self.numbered[value.shape] = np.arange(math.prod(value.shape)).reshape(value.shape)
        return self.numbered[value.shape]

    def gather(self, operand: Value, places: np.ndarray) -> Expression:
        expression = self.expressions[operand.index]
        if (places < 0).any() and not zero_where_cells_are(expression):
            self.cells(operand)
            expression = self.expressions[operand.index]
        return gathered(expression, places.reshape(-1))

    def broadcast(self, operand: object, shape: tuple[int, ...]) -> Expression:
        if not isinstance(operand, Value) or operand.shape == shape:
            return self.expression(operand)
        return self.gather(operand, np.broadcast_to(self.places(operand), shape))

    def _structural(self, step: Step) -> Expression:
        values, arguments = step.operands, step.arguments
        if step.primitive == "concatenate":
            ids = np.concatenate([self.cells(value) for value in values], axis=arguments["axis"])
            return Cells(ids.reshape(-1))
        if step.primitive == "scatter":
            return self.scatter(values[0], self.places(step.output)[arguments["index"]], step)
        if step.primitive == "fold":
            windows = {key: arguments[key] for key in ("size", "stride", "dilation")}
            return self.scatter(values[0], fields(np, self.places(step.output), **windows), step)
        if step.primitive == "windows":
            self.cells(values[0])
        forward = TABLE[step.primitive].forward
        if step.primitive == "pad":  # its zeros are no places
            return self.gather(values[0], forward(np, self.places(values[0]) + 1, **arguments) - 1)
        return self.gather(values[0], forward(np, self.places(values[0]), **arguments))

    def scatter(self, value: Value, targets: np.ndarray, step: Step) -> Expression:
        """Put each element where it came from; places named several times receive a sum of several."""
        targets = targets.reshape(-1)
        sources = np.arange(targets.size)
        terms: list[tuple[int, Expression]] = []
        while targets.size:
            unique, first = np.unique(targets, return_index=True)
            places = np.full(step.output.array.size, -1)
            places[unique] = sources[first]
            terms.append((1, self.gather(value, places)))
            targets, sources = np.delete(targets, first), np.delete(sources, first)
        return total(terms)

    def _elementwise(self, step: Step) -> Expression:
        operands = [self.broadcast(operand, step.output.shape) for operand in step.operands]
        match step.primitive:
            case "add":
                return total([(1, operands[0]), (1, operands[1])])
            case "subtract":
                return total([(1, operands[0]), (-1, operands[1])])
            case "negative":
                return total([(-1, operands[0])])
            case "multiply":
                return product(*operands)
            case "power":
                return power(*operands)
        return Apply(step.primitive, operands)

    def _reduction(self, step: Step) -> Expression:
        value = step.operands[0]
        rows = _rows(self.places(value), step.arguments["axis"])
        if step.primitive != "sum":
            return Extreme(step.primitive.upper(), self.cells(value).reshape(-1)[rows])
        if rows.shape[1] == 1:
            return self.gather(value, rows[:, 0])
        match self.expressions[value.index]:
            case Apply("multiply", [Cells(a), Cells(b)]):
                return Dot(Rows.each(a[rows]), Rows.each(b[rows]))
        return Dot(Rows.each(self.cells(value).reshape(-1)[rows]), None)

    def _contraction(self, step: Step) -> Expression:
        if step.primitive == "correlate":
            return self.correlate(step)
        a, b = self.cells(step.operands[0]), self.cells(step.operands[1])
        left = self.spread(a[..., :, None, :], step.output.shape)
        right = self.spread(np.swapaxes(b, -1, -2)[..., None, :, :], step.output.shape)
        return Dot(right, left) if not self.is_weight(a) else Dot(left, right)

    def spread(self, table: np.ndarray, shape: tuple[int, ...]) -> Rows:
        """The rows of a table (…, K) for all elements of a shape, to which its other axes are broadcast."""
        *axes, width = table.shape
        key = tuple(axes), shape
        if key not in self.spreads:  # all time steps share it
            places = np.arange(math.prod(axes), dtype=np.int32).reshape(axes)
            self.spreads[key] = np.broadcast_to(places, shape).reshape(-1)
        return Rows(table.reshape(math.prod(axes), width), self.spreads[key])

    def correlate(self, step: Step) -> Expression:
        """Every window times every kernel, element by element, both standing as rectangles of cells."""
        x, w = (self.standing(operand) for operand in step.operands)
        stride, groups = step.arguments["stride"], step.arguments["groups"]
        n, kernels, patch = x.shape[0], w.shape[0] // groups, int(np.prod(w.shape[1:]))
        windows = fields(np, x, w.shape[2:], stride, (1,) * len(stride))  # (N, C, *P, K)
        count = int(np.prod(step.output.shape[2:]))
        windows = windows.reshape(n, groups, w.shape[1], count, -1).swapaxes(2, 3).reshape(n, groups, 1, count, patch)
        shape = (n, groups, kernels, count)
        kernel = w.reshape(1, groups, kernels, 1, patch)
        return Dot(self.spread(windows, shape), self.spread(kernel, shape), slides=True)

    def standing(self, operand: Value) -> np.ndarray:
        """Return the ids of an operand whose last axes are to stand as rectangles; turned or padded, it is copied."""
        ids = self.cells(operand)
        across = np.diff(ids, axis=-1)
        down = np.diff(ids, axis=-2) if ids.ndim > 3 else across[..., :0]
        if np.any(ids == 0) or np.any(across != 1) or (down.size and np.any(down != down.flat[0])):
            self.allocate_copy(operand)
            ids = self.cells(operand)
        return ids

    def allocate_copy(self, value: Value) -> None:
        """Give cells to a value that is another's numbers in other places: ``conv1.weight_rotated``."""
        words, source = [], value
        while source.quantity is None and source.index in self.made_by:
            step = self.made_by[source.index]
            if TABLE[step.primitive].kind != "structural" or not isinstance(step.operands[0], Value):
                break
            words += [COPIES[step.primitive]] if step.primitive in COPIES else []
            source = step.operands[0]
        step = self.made_by[value.index]
        if source.quantity is None:
            name = self.automatic.name(step)
        else:
            said = sorted(set(words)) or ["turned"] * (source is not value)
            base = "_".join([source.quantity, *said])
            self.copied[base, value.update] += 1
            number = self.copied[base, value.update]
            name = base if number == 1 else f"{base}_{number}"
        self.allocate(value, self.expressions[value.index], name, step.number)

    def is_weight(self, ids: np.ndarray) -> bool:
        """Tell whether the cells hold a parameter, or its value after an update."""
        return bool(ids.size) and bool(self.is_parameter_cell[int(ids.flat[0])])

    def _indexed(self, step: Step) -> Expression:
        if step.primitive == "argmax":
            return Position(self.lines(step.operands[0], step.arguments["axis"]))
        x, index = step.operands[0], self.cells(step.operands[1])
        shape = step.output.shape
        if step.primitive == "take":
            columns = np.moveaxis(self.cells(x), 0, -1)  # (…, V)
            choices = np.broadcast_to(columns, (*shape, x.shape[0])).reshape(-1, x.shape[0])
            chosen = index.reshape(index.shape + (1,) * (len(shape) - index.ndim))
            return Pick(choices, np.broadcast_to(chosen, shape).reshape(-1))
        axis = step.arguments.get("axis", 0)
        if step.primitive == "take_along_axis":
            if self.is_largest(step):
                return Extreme("MAX", self.lines(x, axis))
            lines = np.moveaxis(self.cells(x), axis, -1)
            lines = np.expand_dims(lines, axis)
            return Pick(np.broadcast_to(lines, (*shape, x.shape[axis])).reshape(-1, x.shape[axis]), index.reshape(-1))
        return self.put(step, index, axis)

    def lines(self, x: Value, axis: int) -> np.ndarray:
        """The cells along an axis: (n, K)."""
        return np.moveaxis(self.cells(x), axis, -1).reshape(-1, x.shape[axis])

    def is_largest(self, step: Step) -> bool:
        """Tell whether the place that is looked up is that of the largest number there."""
        chosen = self.made_by.get(step.operands[1].index)
        return chosen is not None and chosen.primitive == "argmax" and chosen.operands[0] is step.operands[0]

    def put(self, step: Step, index: np.ndarray, axis: int) -> Expression:
        """Each place adds up what was chosen to go there: IF(index = place, g, 0) for every candidate."""
        g, shape = step.operands[0], step.output.shape
        places = np.broadcast_to(np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - 1 - axis)), shape)
        wanted = Literal(places.reshape(-1).astype(float))
        if step.primitive == "put":
            rows = self.places(g).reshape(index.size, *shape[1:])
            candidates = [(index.reshape(-1)[m], rows[m]) for m in range(index.size)]
        else:
            lines = range(index.shape[axis])
            candidates = [(np.take(index, [m], axis), np.take(self.places(g), [m], axis)) for m in lines]
        terms: list[tuple[int, Expression]] = []
        for chosen, source in candidates:
            ids = np.broadcast_to(chosen, shape).reshape(-1)
            number = self.gather(g, np.broadcast_to(source, shape))
            matches = Apply("is_row", [Cells(ids), wanted])
            sign = 1
            if isinstance(number, Total) and len(number.terms) == 1:
                sign, number = number.terms[0]
            terms.append((sign, Apply("where", [matches, number, Literal(np.asarray(0.0))])))
        return total(terms)


def _rows(places: np.ndarray, axis: int | tuple[int, ...] | None) -> np.ndarray:
    """Bring the reduced axes together at the end: (n, K)."""
    axes = range(places.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    reduced = sorted(a % places.ndim for a in axes)
    kept = [a for a in range(places.ndim) if a not in reduced]
    shape = [places.shape[a] for a in kept]
    return places.transpose(*kept, *reduced).reshape(int(np.prod(shape)), -1)
