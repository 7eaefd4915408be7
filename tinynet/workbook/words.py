"""Words: what a block computes, as an equation in symbols."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tinynet.run import INITIAL
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
    most_complete,
)
from tinynet.workbook.families import Family, last_part
from tinynet.workbook.formulas import ADD, ATOM, COMPARE, COMPARISONS, MULTIPLY, POWER, number
from tinynet.workbook.layout import Layout
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import Rectangle

SYMBOLS = {"sigmoid": "σ({})", "tanh": "tanh({})", "exp": "exp({})", "log": "ln({})", "erf": "erf({})", "sqrt": "√({})"}
SYMBOLS |= {"sin": "sin({})", "cos": "cos({})"}
SYMBOLS |= {"relu": "relu({})", "absolute": "|{}|", "sign": "sign({})"}
SYMBOLS |= {"maximum": "max({}, {})", "minimum": "min({}, {})"}
SIGNS = {
    "is_row": "=",
    "greater": ">",
    "less": "<",
    "greater_equal": "≥",
    "less_equal": "≤",
    "equal": "=",
    "not_equal": "≠",
}


MOST_PARTS = 3  # that are said one by one


class Words:
    """Knows what every cell is called."""

    def __init__(self, layout: Layout):
        self.layout = layout
        plan = layout.plan
        self.numbers = {"0": 0}  # by symbol
        self.symbols = ["0"]
        self.number = np.zeros(plan.cells + 1, dtype=np.int32)  # of the symbol of every cell
        self.time = np.full(plan.cells + 1, np.iinfo(np.int32).min, dtype=np.int32)
        self.pieces: dict[str, Rectangle] = {}  # by symbol
        self.equations: dict[int, str] = {}  # by the id of the block
        for block in plan.blocks:
            family = layout.families.of_block.get(id(block))
            self._call(block.ids, family.symbol if family else last_part(block.quantity))
            timed = block.time is not None or (block.expression is None and layout.timed)
            if timed and block.kind != "parameter":
                self.time[block.ids] = layout.tags.time[block.value.index]
        for sheet in layout.sheets:
            for part in sheet.parts:
                for rectangle in part.rectangles:
                    self._call(rectangle.ids, rectangle.symbol)
                    self.pieces.setdefault(rectangle.symbol, rectangle)

    def _call(self, ids: np.ndarray, symbol: str) -> None:
        if symbol not in self.numbers:
            self.numbers[symbol] = len(self.symbols)
            self.symbols.append(symbol)
        self.number[ids] = self.numbers[symbol]

    def symbol(self, cell: int) -> str:
        return self.symbols[self.number[cell]]

    def of_family(self, family: Family) -> str:
        """The equation that holds at most time steps; it says so where others differ by more than their ends."""
        texts = Counter(self.equation(block) for block in family.computed)
        text, count = max(texts.items(), key=lambda item: (item[1], len(item[0])))
        return f"{text} (other steps differ)" if sum(texts.values()) - count > 1 else text

    def equation(self, block: Block) -> str:
        """``c = f ⊙ c[t-1] + i ⊙ g``: what a block computes, in symbols, relative to its time step.

        Where its first and its last element are computed from different things, both are said. An element is passed
        over if others have numbers where it has nothing, a 0.
        """
        if id(block) not in self.equations:
            assert block.expression is not None
            places = most_complete(block.expression, block.ids.size)
            parts = self._parts(block)
            first, last = (self.element(block, place) for place in places)
            whole = f"{self.symbol(block.ids.flat[0])} = [{', '.join(parts)}]"
            apart = first if first == last else f"{first}, …, {last}"
            self.equations[id(block)] = whole if 1 < len(parts) <= MOST_PARTS else apart
        return self.equations[id(block)]

    def _parts(self, block: Block) -> list[str]:
        """What a block is put together from, such as the two states of a layer in both directions."""
        ids = block.expression.ids if isinstance(block.expression, Cells) else np.zeros(0, dtype=int)
        if not ids.all():
            return []
        _, first = np.unique(np.stack([self.number[ids], self.time[ids]]), axis=1, return_index=True)
        return [self._name(int(ids[i]), block.time) for i in np.sort(first)]

    def element(self, block: Block, place: int) -> str:
        """The equation of one element of a block."""
        expression = block.expression
        assert expression is not None
        if isinstance(expression, Cells) and np.any(expression.ids == 0):
            text = f"{self._name(present(expression.ids)[0], block.time)}, and 0 elsewhere"
        else:
            text, _ = self._symbols(expression, place, block.time)
        return f"{self.symbol(block.ids.flat[place])} = {text or 0}"

    def _symbols(self, e: Expression, i: int, t: int | None) -> tuple[str, int]:
        """Element ``i`` of an expression in symbols, and how tightly they bind."""
        match e:
            case Cells(ids):
                return self._name(int(ids[i]), t), ATOM
            case Literal():
                return short(e.at(i)), ATOM
            case Extreme(function, ids):
                return f"{function.lower()} {self._name(present(ids[i])[0], t)}", MULTIPLY
            case Position(ids):
                return f"place of max {self._name(present(ids[i])[0], t)}", MULTIPLY
            case Pick(choices, index):
                return f"{self._name(int(choices[i][0]), t)}[{self._name(int(index[i]), t)}]", ATOM
            case Dot(left, right, slides=True) if right is not None:
                return f"{self._name(present(right[i])[0], t)} ∗ {self._name(present(left[i])[0], t)}", MULTIPLY
            case Dot(left, right) if right is not None and left[i].any() and np.array_equal(left[i], right[i]):
                return f"Σ {self._name(present(left[i])[0], t)}²", ADD
            case Dot(left, right):
                return self._contraction(left[i], None if right is None else right[i], t), ADD
            case Total(terms):
                parts = [(sign, *self._symbols(term, i, t)) for sign, term in terms]
                return _signed([(s, x if b >= (ADD if s > 0 else MULTIPLY) else f"({x})") for s, x, b in parts]), ADD
            case Apply("where", operands):
                condition, a, b = (self._symbols(operand, i, t)[0] for operand in operands)
                return (f"[{condition}]·{a}", MULTIPLY) if b == "0" else (f"({a} if {condition} else {b})", ATOM)
            case Apply("is_row", [Cells(ids), Literal()]):
                return f"{self._name(int(ids[i]), t)} = row", COMPARE
            case Apply("multiply", operands) if any(self._is_scalar(operand, i) for operand in operands):
                return "·".join(_over(self._symbols(operand, i, t)) for operand in operands), MULTIPLY
            case Apply(primitive, [a, Literal() as bound]) if primitive in COMPARISONS and t is not None:
                # Compared with the number of the time step: with t, so that it is one equation for all steps.
                limit = "t" if bound.at(i) == t else short(bound.at(i))
                return f"{self._symbols(a, i, t)[0]} {SIGNS[primitive]} {limit}", COMPARE
            case Apply(primitive, operands):
                return _applied(primitive, [self._symbols(operand, i, t) for operand in operands])
        return "", ATOM

    def _is_scalar(self, e: Expression, i: int) -> bool:
        """Tell whether a factor is one number for the whole block, such as the learning rate."""
        match e:
            case Literal():
                return True
            case Total(terms):
                return all(self._is_scalar(term, i) for _, term in terms)
            case Apply(_, operands):
                return all(self._is_scalar(operand, i) for operand in operands)
            case Cells():
                return self.layout.plan.blocks[self.layout.families.owner[e.ids[i]]].ids.size == 1
        return False

    def _name(self, cell: int, t: int | None) -> str:
        return "0" if cell == 0 else _named(self.symbol(cell), int(self.time[cell]), t)

    def _contraction(self, left: np.ndarray, right: np.ndarray | None, t: int | None) -> str:
        """Name each matrix and what it multiplies once: ``W_ii·x + W_hi·h[t-1]``, or a sum over time ``Σ δz·x``."""
        if right is None:
            cells = present(left)
            names = " + ".join(dict.fromkeys(self.symbol(i) if t is None else self._name(i, t) for i in cells))
            return f"Σ {names}" if len(cells) > 1 else names
        rows: dict[int, list[int]] = {}  # in which each matrix is read
        for a, row in zip(self.number[left].tolist(), self.layout.row[left].tolist(), strict=True):
            rows.setdefault(a, []).append(row)
        both = (left > 0) & (right > 0)
        columns = [known[side[both]].tolist() for side in (left, right) for known in (self.number, self.time)]
        pairs = dict.fromkeys(zip(*columns, strict=True))
        texts = (self._pair(self.symbols[a], i, self.symbols[b], j, t, rows[a]) for a, i, b, j in pairs)
        return " + ".join(dict.fromkeys(texts)) or "0"

    def _pair(self, a: str, time_of_a: int, b: str, time_of_b: int, t: int | None, rows: list[int]) -> str:
        """``rows`` are those of the cells of ``a`` that are read: in several rows, a column of it."""
        if a not in self.pieces:
            # A sum over time steps or samples: the steps themselves are not spelled out.
            return f"Σ {a}·{b}{'[t-1]' if t is None and time_of_b == time_of_a - 1 else ''}"
        piece = self.pieces[a]
        column = len(set(rows)) > 1 or (piece.ids.ndim == 2 and len(rows) < piece.ids.shape[1])
        return f"{a}{'ᵀ' if column != piece.turned else ''}·{_named(b, time_of_b, t)}"


def clipped(text: str, room: int) -> str:
    """Text that does not fit ends in …"""
    return text if len(text) <= room else text[: max(room - 1, 0)].rstrip() + "…"


def _named(symbol: str, time: int, t: int | None) -> str:
    """A quantity of one time step as step ``t`` sees it: ``h[t-1]``."""
    if t is None or time == t or time < INITIAL:
        return symbol
    step = "initial" if time == INITIAL and t != 0 else f"t{time - t:+d}"
    return f"{symbol}[{step}]"


def short(value: float) -> str:
    return number(float(f"{value:.4g}"))


def present(ids: np.ndarray) -> list[int]:
    return [i for i in ids.tolist() if i] or [0]


def _signed(terms: list[tuple[int, str]]) -> str:
    out = ""
    for sign, text in terms:
        out += f" {'+' if sign > 0 else '−'} {text}" if out else text if sign > 0 else f"−{text}"
    return out


def _applied(primitive: str, operands: list[tuple[str, int]]) -> tuple[str, int]:
    """An elementwise primitive in symbols."""
    if primitive == "multiply":
        a, b = (text if binding >= MULTIPLY else f"({text})" for text, binding in operands)
        return f"{a} ⊙ {b}" if a != b else f"{_base(a)}²", MULTIPLY
    if primitive == "divide":
        return _over(operands[0]) + " / " + (
            operands[1][0] if operands[1][1] >= POWER else f"({operands[1][0]})"
        ), MULTIPLY
    if primitive == "power":
        a, b = (text if binding == ATOM else f"({text})" for text, binding in operands)
        return f"{_base(a)}²" if b == "2" else f"{_base(a)}^{b}", POWER
    if primitive in COMPARISONS:
        return f" {SIGNS[primitive]} ".join(text for text, _ in operands), COMPARE
    return SYMBOLS.get(primitive, primitive + "({})").format(*(text for text, _ in operands)), ATOM


def _base(text: str) -> str:
    """The square of ∂L/∂W is (∂L/∂W)²."""
    return f"({text})" if text.startswith("∂") else text


def _over(operand: tuple[str, int]) -> str:
    return operand[0] if operand[1] >= MULTIPLY else f"({operand[0]})"
