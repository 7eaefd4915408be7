"""One element worked out in numbers, as a live text: ``c[3], first element:  0.880 × 0.353 + … = 0.595``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from tinynet.workbook.addresses import Addresses
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
from tinynet.workbook.formulas import ADD, ATOM, COMPARE, COMPARISONS, LIMIT, MULTIPLY, POWER, choose
from tinynet.workbook.plan import Block
from tinynet.workbook.words import SIGNS, SYMBOLS, present, short

SHOWN = 3  # products of a long sum that are worked out before the dots
PLAIN, TINY, WHOLE = "0.000", "0.0E+0", "0"


@dataclass(frozen=True)
class Live:
    """A number inside the text: the formula that gives it, and what it is now."""

    formula: str
    value: float
    whole: bool = False  # by its type, such as a class
    subtracted: bool = False  # in parentheses where it is negative

    @property
    def format(self) -> str:
        digits = WHOLE if self.whole else TINY if 0 < abs(self.value) < 0.0005 else PLAIN
        return f"{digits};(-{digits})" if self.subtracted else digits

    def __str__(self) -> str:
        """What ``TEXT(formula, format)`` shows: ties of the decimal digits go away from zero, and zero has no sign."""
        text = self.digits
        return f"({text})" if self.subtracted and self.value < 0 else text

    @property
    def digits(self) -> str:
        if self.format.startswith(TINY):
            mantissa, exponent = f"{self.value:.1E}".split("E")
            return f"{mantissa}E{int(exponent):+d}"
        if self.whole or abs(self.value) >= 1e15:
            return f"{self.value:.{0 if self.whole else 3}f}"
        return f"{Decimal(repr(self.value)).quantize(Decimal(PLAIN), ROUND_HALF_UP) + 0:f}"


Parts = list["str | Live"]
Text = tuple[Parts, int]  # and how tightly it binds


class Worked:
    """Works out elements, given where the cells stand and what they hold."""

    def __init__(self, addresses: Addresses, values: np.ndarray, whole: np.ndarray):
        self.addresses, self.values, self.whole = addresses, values, whole

    def line(self, block: Block, label: str) -> tuple[str, str]:
        """Return the formula of the text for one element of a block, and the text itself."""
        assert block.expression is not None
        place, _ = most_complete(block.expression, block.ids.size)
        if block.ids.ndim > 2:  # of a map, the number that stands out
            place = int(np.abs(self.values[block.ids]).argmax())
        where = str([int(i) for i in np.unravel_index(place, block.ids.shape)])
        where = ", first element" if place == 0 and block.ids.ndim < 3 else where
        parts, _ = self.render(block.expression, place)
        result: Parts = ["  =  ", self.live(int(block.ids.flat[place]))]
        formula, text = _as_text([f"{label}{where}:  ", *parts, *result])
        return (formula, text) if len(formula) <= LIMIT else _as_text([f"{label}{where}:  …", *result])

    def live(self, cell: int) -> str | Live:
        reference = self.addresses.reference(cell, -1)
        return "0" if reference is None else Live(reference, float(self.values[cell]), bool(self.whole[cell]))

    def render(self, e: Expression, i: int) -> Text:
        """Element ``i`` of an expression."""
        match e:
            case Cells(ids):
                return [self.live(int(ids[i]))], ATOM
            case Literal():
                return [short(e.at(i))], ATOM
            case Extreme(function, ids):
                return [f"{function.lower()}(", *self.several(present(ids[i]), ", "), ")"], ATOM
            case Position(ids):
                return ["place of the largest of ", *self.several(present(ids[i]), ", ")], ADD
            case Pick(choices, index):
                return [self.picked(choices[i], int(index[i]))], ATOM
            case Dot(left, right):
                return self.products(left[i], None if right is None else right[i]), ADD
            case Total(terms):
                return self.total(terms, i), ADD
            case Apply("where", [condition, a, b]):
                test, yes, no = (self.render(part, i)[0] for part in (condition, a, b))
                if isinstance(b, Literal) and b.at(i) == 0:
                    return ["[", *test, "]·", *yes], MULTIPLY
                return ["(", *yes, " if ", *test, " else ", *no, ")"], ATOM
            case Apply(primitive, operands):
                return _applied(primitive, [self.render(operand, i) for operand in operands])
        raise TypeError(f"no such expression: {e!r}")

    def picked(self, choices: np.ndarray, index: int) -> Live:
        here, *cells = (self.addresses.reference(int(cell), -1) or "0" for cell in [index, *choices])
        chosen = choices[int(self.values[index])]
        return Live(choose(here, cells), float(self.values[chosen]), bool(self.whole[chosen]))

    def several(self, cells: list[int], between: str) -> Parts:
        shown = [[self.live(cell)] for cell in cells[: 2 * SHOWN]]
        more: list[Parts] = [[f"… ({len(cells)} terms)"]] if len(cells) > 2 * SHOWN else []
        return _separated([*shown, *more], between)

    def products(self, left: np.ndarray, right: np.ndarray | None) -> Parts:
        if right is None:
            return self.several(present(left), " + ")
        pairs = [(a, b) for a, b in zip(left.tolist(), right.tolist(), strict=True) if a and b]
        shown: list[Parts] = [[self.live(a), " × ", self.live(b)] for a, b in pairs[:SHOWN]]
        more: list[Parts] = [[f"… ({len(pairs)} products)"]] if len(pairs) > SHOWN else []
        return _separated([*shown, *more], " + ") or ["0"]

    def total(self, terms: list[tuple[int, Expression]], i: int) -> Parts:
        out: Parts = []
        for sign, term in terms:
            parts = _wrapped(self.render(term, i), ADD if sign > 0 else MULTIPLY)
            if sign < 0 and isinstance(parts[0], Live):
                parts = [replace(parts[0], subtracted=True), *parts[1:]]
            lead = f" {'+' if sign > 0 else '−'} " if out else "" if sign > 0 else "−"
            out += [lead, *parts]
        return out or ["0"]


def _applied(primitive: str, operands: list[Text]) -> Text:
    if primitive in ("multiply", "divide"):
        right = _wrapped(operands[1], MULTIPLY if primitive == "multiply" else POWER)
        return [*_wrapped(operands[0], MULTIPLY), " × " if primitive == "multiply" else " / ", *right], MULTIPLY
    if primitive == "power":
        return [*_wrapped(operands[0], ATOM), "^", *_wrapped(operands[1], ATOM)], POWER
    if primitive in COMPARISONS:
        return [*operands[0][0], f" {SIGNS[primitive]} ", *operands[1][0]], COMPARE
    start, _, end = SYMBOLS.get(primitive, primitive + "({})").partition("{}")
    between = end.partition("{}")[0] if len(operands) == 2 else ""
    return [start, *_separated([parts for parts, _ in operands], between), end.rpartition("{}")[2]], ATOM


def _wrapped(text: Text, needed: int) -> Parts:
    parts, binding = text
    return parts if binding >= needed else ["(", *parts, ")"]


def _separated(texts: list[Parts], between: str) -> Parts:
    out: Parts = []
    for parts in texts:
        out += [between, *parts] if out else parts
    return out


def _as_text(parts: Parts) -> tuple[str, str]:
    """The formula that joins the parts, and what it shows."""
    pieces = [_quoted(x) if isinstance(x, str) else f'TEXT({x.formula},"{x.format}")' for x in _joined_texts(parts)]
    return "=" + "&".join(pieces), "".join(map(str, parts))


def _joined_texts(parts: Parts) -> Parts:
    """Neighbouring texts become one."""
    out: Parts = []
    for part in parts:
        last = out[-1] if out else None
        if isinstance(part, str) and isinstance(last, str):
            out[-1] = last + part
        elif part:
            out.append(part)
    return out


def _quoted(text: str) -> str:
    """A text as a formula writes it. A user's quotes stay quotes."""
    return '"' + text.replace('"', '""') + '"'
