"""Formulas: expressions as text that every spreadsheet program reads alike.

Only functions that were measured to agree in Excel's dialect, LibreOffice and Google Sheets are written: no arrays
outside SUMPRODUCT and SUM(MMULT()), no LET, OFFSET or INDIRECT.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from tinynet.workbook.addresses import Addresses
from tinynet.workbook.expressions import Apply, Cells, Dot, Expression, Extreme, Literal, Pick, Position, Total
from tinynet.workbook.rows import Rows
from tinynet.workbook.runs import DOWN, by_address, grouped
from tinynet.workbook.sums import ARGUMENTS, Side, chunks, products, sums

LIMIT = 8192  # characters in a formula
NESTED = 60  # IFs within one another
CHOICES = 29  # that a CHOOSE is given: Excel takes 254, LibreOffice about 30

COMPARE, ADD, MULTIPLY, POWER, ATOM = range(5)

FUNCTIONS = {
    "exp": "EXP({})",
    "log": "LN({})",
    "erf": "ERF({})",
    "sqrt": "SQRT({})",
    "sin": "SIN({})",
    "cos": "COS({})",
    "tanh": "TANH({})",
    "absolute": "ABS({})",
    "sign": "SIGN({})",
    "relu": "MAX({},0)",
    "maximum": "MAX({},{})",
    "minimum": "MIN({},{})",
}
COMPARISONS = {
    "greater": ">",
    "less": "<",
    "greater_equal": ">=",
    "less_equal": "<=",
    "equal": "=",
    "not_equal": "<>",
    "is_row": "=",  # not a primitive: whether a row is the one that an index names
}

Text = tuple[list[str | None], int]  # one formula an element, None where it is zero; how tightly it binds


def number(x: float) -> str:
    """A number without exponent notation, which some programs cannot read in a formula."""
    text = format(Decimal(repr(float(x))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def formulas(expression: Expression, n: int, addresses: Addresses, home: int, name: str = "") -> list[str]:
    """Return the formula of each of the n cells of a block, with its equals sign.

    Raises ValueError, naming the quantity, for a formula that cannot be written or is longer than spreadsheets allow.
    """
    texts, binding = _Renderer(addresses, home, name).render(expression, n)
    if binding == COMPARE:
        texts = [f"IF({text},1,0)" for text in texts]
    out = ["=" + (text or "0") for text in texts]
    longest = max(map(len, out), default=0)
    if longest > LIMIT:
        raise ValueError(
            f"a formula of {name} would have {longest} characters, a spreadsheet allows {LIMIT}: "
            "name the quantities it is computed from, or export with detail='ops'"
        )
    return out


class _Renderer:
    def __init__(self, addresses: Addresses, home: int, name: str):
        self.addresses, self.home, self.name = addresses, home, name
        self.known: dict[tuple[str, bytes], str] = {}  # the largest: the gradients of all cells look for the same

    def render(self, expression: Expression, n: int) -> Text:
        match expression:
            case Cells(ids):
                return self.addresses.references(ids, self.home), ATOM
            case Literal(values):
                numbers = np.broadcast_to(values, (n,)).tolist()
                return [number(x) if x else None for x in numbers], ATOM if np.all(values >= 0) else ADD
            case Dot(left, right):
                texts = self.dot(left, right)
                return texts, ADD if any("+" in text for text in texts if text) else MULTIPLY
            case Extreme(function, ids):
                return list(self.extremes(function, ids)), ATOM
            case Position(ids):
                largest = self.extremes("MAX", ids)
                return [self.position(row, text) for row, text in zip(ids, largest, strict=True)], ADD
            case Pick(choices, index):
                return [self.pick(row, i) for row, i in zip(choices, index.tolist(), strict=True)], ATOM
            case Total(terms):
                return self.total(terms, n), ADD
            case Apply(primitive, operands):
                return self.apply(primitive, [self.render(operand, n) for operand in operands])
        raise TypeError(f"no such expression: {expression!r}")

    def apply(self, primitive: str, operands: list[Text]) -> Text:
        if primitive == "multiply":
            pairs = zip(_wrapped(operands[0], MULTIPLY), _wrapped(operands[1], MULTIPLY), strict=True)
            return [None if a is None or b is None else f"{a}*{b}" for a, b in pairs], MULTIPLY
        if primitive == "divide":
            pairs = zip(_wrapped(operands[0], MULTIPLY), _wrapped(operands[1], POWER), strict=True)
            return [None if a is None else f"{a}/{b or 0}" for a, b in pairs], MULTIPLY
        if primitive == "power":
            pairs = zip(_wrapped(operands[0], ATOM), _wrapped(operands[1], ATOM), strict=True)
            return [f"{a or 0}^{b or 0}" for a, b in pairs], POWER
        if primitive == "sigmoid":
            # −700 keeps EXP from overflowing; σ(−700) is 10⁻³⁰⁴.
            return [f"1/(1+EXP(-MAX({x or 0},-700)))" for x in operands[0][0]], MULTIPLY
        if primitive in COMPARISONS:
            pairs = zip(_wrapped(operands[0], ADD), _wrapped(operands[1], ADD), strict=True)
            return [f"{a or 0}{COMPARISONS[primitive]}{b or 0}" for a, b in pairs], COMPARE
        if primitive == "where":
            triples = zip(*(text for text, _ in operands), strict=True)
            return [f"IF({c or 0},{a or 0},{b or 0})" if a or b else None for c, a, b in triples], ATOM
        if primitive not in FUNCTIONS:
            raise ValueError(f"{self.name} needs {primitive!r}, which has no formula yet: export without it")
        rows = zip(*(_numeric(text) for text in operands), strict=True)
        return [FUNCTIONS[primitive].format(*(x or "0" for x in row)) for row in rows], ATOM

    def total(self, terms: list[tuple[int, Expression]], n: int) -> list[str | None]:
        out: list[str | None] = [None] * n
        for sign, term in terms:
            texts = _wrapped(self.render(term, n), ADD if sign > 0 else MULTIPLY)
            for i, text in enumerate(texts):
                if text is None:
                    continue
                if out[i] is None:
                    out[i] = text if sign > 0 else f"-{text}" if "^" not in text else f"0-{text}"
                else:
                    out[i] = f"{out[i]}{'+' if sign > 0 else '-'}{text}"
        return [text.replace("+-", "-") if text else None for text in out]

    # Sums over cells
    def dot(self, left: Rows, right: Rows | None) -> list[str | None]:
        out: list[str | None] = [None] * len(left)
        key = self.addresses.key
        for elements, order, lines in grouped(left.look_up(key), None if right is None else right.look_up(key)):
            a = Side(self.addresses, self.home, left, elements, order)
            if not a.count:
                continue
            texts = sums(a, lines) if right is None else products(a, replace(a, ids=right), lines)
            for element, text in zip(elements.tolist(), texts, strict=True):
                out[element] = text
        return out

    def cell(self, cell: int) -> str:
        return self.addresses.reference(cell, self.home) or "0"

    def extremes(self, function: str, ids: np.ndarray) -> list[str]:
        """MAX or MIN of each row of ids (n, K), of which many are alike."""
        names = [(function, row.tobytes()) for row in ids]
        new = {name: row for name, row in zip(names, ids, strict=True) if name not in self.known}
        if new:
            self.known |= zip(new, self.extremes_of(function, np.stack(list(new.values()))), strict=True)
        return [self.known[name] for name in names]

    def extremes_of(self, function: str, ids: np.ndarray) -> list[str]:
        """Of rows that are one range each, all at once; of others one by one."""
        out = [""] * len(ids)
        for elements, order, lines in by_address(self.addresses.key[ids], None):
            if len(lines) == 1:
                side = Side(self.addresses, self.home, Rows.each(ids), elements, Rows.each(order))
                zero = ",0" if side.count < ids.shape[1] else ""
                texts = [f"{function}({cells}{zero})" for cells in side.ranges(lines[0])]
            else:
                texts = [self.extreme_of(function, ids[element]) for element in elements]
            for element, text in zip(elements.tolist(), texts, strict=True):
                out[element] = text
        return out

    def extreme_of(self, function: str, ids: np.ndarray) -> str:
        """MAX or MIN of ranges where the cells stand in line, and of 0 where one is the constant."""
        cells = [i for i in dict.fromkeys(ids.tolist()) if i]
        if not cells:  # nothing but padding
            return "0"
        _, order, lines = next(grouped(Rows.each(self.addresses.key[np.array([cells])]), None))
        ordered = [cells[i] for i in order[0]]
        ranges = [self.addresses.range(ordered[x.start], ordered[x.start + x.count - 1], self.home) for x in lines]
        parts = [*ranges, *([] if ids.all() else ["0"])]
        while len(parts) > ARGUMENTS:
            parts = [f"{function}({','.join(chunk)})" for chunk in chunks(parts)]
        return f"{function}({','.join(parts)})"

    def position(self, ids: np.ndarray, largest: str) -> str:
        """The place of the first of the largest: MATCH where the cells stand in line, else one after the other."""
        if ids.all() and set(np.diff(self.addresses.key[ids]).tolist()) in ({1}, {DOWN}):
            return f"MATCH({largest},{self.addresses.range(int(ids[0]), int(ids[-1]), self.home)},0)-1"
        if len(ids) > NESTED:
            raise ValueError(
                f"{self.name} is a place in a window of {len(ids)} cells, a formula can look through {NESTED}: "
                "pool by smaller windows, twice in a row if need be"
            )
        tests = [f"IF({self.cell(int(cell))}={largest},{k}," for k, cell in enumerate(ids[:-1])]
        return "".join(tests) + str(len(ids) - 1) + ")" * len(tests)

    def pick(self, choices: np.ndarray, index: int) -> str:
        chosen = self.cell(index)
        keys = self.addresses.key[choices]
        steps = set(np.diff(keys).tolist())
        if np.all(choices > 0) and steps in ({1}, {DOWN}):
            line = self.addresses.range(int(choices[0]), int(choices[-1]), self.home)
            return f"INDEX({line},{chosen}+1)" if steps != {1} else f"INDEX({line},1,{chosen}+1)"
        return choose(chosen, [self.cell(int(cell)) for cell in choices])


def choose(index: str, cells: list[str]) -> str:
    """The cell at the place, counted from 0, that stands in the cell ``index``."""
    parts = [
        f"CHOOSE({index}+1{f'-{start}' if start else ''},{','.join(cells[start : start + CHOICES])})"
        for start in range(0, len(cells), CHOICES)
    ]
    tests = [f"IF({index}<{CHOICES * (k + 1)},{part}," for k, part in enumerate(parts[:-1])]
    return "".join(tests) + parts[-1] + ")" * len(tests)


def _wrapped(text: Text, needed: int) -> list[str | None]:
    """Put parentheses round what binds less tightly than its surroundings need."""
    texts, binding = text
    return [x if x is None or binding >= needed else f"({x})" for x in texts]


def _numeric(text: Text) -> list[str | None]:
    return [f"({x})*1" if x else x for x in text[0]] if text[1] == COMPARE else text[0]
