"""Formulas: expressions as text that every spreadsheet program reads alike.

Only functions that were measured to agree in Excel's dialect, LibreOffice and Google Sheets are written: no arrays
outside SUMPRODUCT and SUM(MMULT()), no LET, OFFSET or INDIRECT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cache

import numpy as np

from tinynet.workbook.expressions import Apply, Cells, Dot, Expression, Extreme, Literal, Pick, Position, Total
from tinynet.workbook.runs import DOWN, SHEET, Line, grouped

LIMIT = 8192  # characters in a formula
NESTED = 60  # IFs within one another
ARGUMENTS = 200  # of a function: Excel takes 255
CHOICES = 29  # that a CHOOSE is given: Excel takes 254, LibreOffice about 30
EXPLICIT = 6  # a sum of up to so many products is written out

COMPARE, ADD, MULTIPLY, POWER, ATOM = range(5)

FUNCTIONS = {
    "exp": "EXP({})",
    "log": "LN({})",
    "erf": "ERF({})",
    "sqrt": "SQRT({})",
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


class Addresses:
    """Cell addresses as text, and as sortable keys, by cell id."""

    def __init__(self, sheet: np.ndarray, row: np.ndarray, column: np.ndarray, sheets: Sequence[str]):
        self.key = np.where(np.arange(len(row)) > 0, sheet * SHEET + (row + 1) * DOWN + column + 1, 0)
        letters = [column_letters(c) for c in range(int(column.max(initial=0)) + 1)]
        places = zip((row[1:] + 1).tolist(), column[1:].tolist(), strict=True)
        self.text = ["0", *(f"{letters[c]}{r}" for r, c in places)]
        self.sheet = sheet.tolist()
        self.prefixes = [quoted(name) + "!" for name in sheets]

    def reference(self, cell: int, home: int) -> str | None:
        """The address of one cell as a formula on sheet ``home`` writes it; None for the constant zero."""
        if cell == 0:
            return None
        return self.text[cell] if self.sheet[cell] == home else self.prefixes[self.sheet[cell]] + self.text[cell]

    def range(self, first: int, last: int, home: int) -> str:
        start = self.reference(first, home)
        assert start is not None
        return start if first == last else f"{start}:{self.text[last]}"


@cache
def column_letters(column: int) -> str:
    """0 → A, 25 → Z, 26 → AA …"""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


@cache
def quoted(sheet: str) -> str:
    """A sheet's name as formulas write it; one that looks like an address or a truth value needs quotes."""
    strange = re.fullmatch(r"(?i)[a-z]{1,3}\d+|r\d*c?\d*|c\d*|true|false", sheet)
    plain = re.fullmatch(r"[A-Za-z_]\w*", sheet) and not strange
    return sheet if plain else "'" + sheet.replace("'", "''") + "'"


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
        self.extremes: dict[tuple[str, bytes], str] = {}  # the gradients of all cells look for the same one

    def render(self, expression: Expression, n: int) -> Text:
        match expression:
            case Cells(ids):
                return [self.addresses.reference(i, self.home) for i in ids.tolist()], ATOM
            case Literal(values):
                numbers = np.broadcast_to(values, (n,)).tolist()
                return [number(x) if x else None for x in numbers], ATOM if np.all(values >= 0) else ADD
            case Dot(left, right):
                texts = self.dot(left, right)
                return texts, ADD if any("+" in text for text in texts if text) else MULTIPLY
            case Extreme(function, ids):
                return [self.extreme(function, row) for row in ids], ATOM
            case Position(ids):
                return [self.position(row) for row in ids], ADD
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
    def dot(self, left: np.ndarray, right: np.ndarray | None) -> list[str | None]:
        out: list[str | None] = [None] * len(left)
        key = self.addresses.key
        for elements, order, lines in grouped(key[left], None if right is None else key[right]):
            for element, positions in zip(elements.tolist(), order, strict=True):
                a = left[element][positions].tolist()
                b = None if right is None else right[element][positions].tolist()
                out[element] = self.sum_of(a, lines) if b is None else self.products(a, b, lines)
        return out

    def sum_of(self, cells: list[int], lines: list[Line]) -> str | None:
        if len(cells) < 2:
            return self.addresses.reference(cells[0], self.home) if cells else None
        ranges = [self.addresses.range(cells[x.start], cells[x.start + x.count - 1], self.home) for x in lines]
        return _chunked_sum(ranges)

    def products(self, a: list[int], b: list[int], lines: list[Line]) -> str | None:
        parts = []
        for line in lines:
            first, last = line.start, line.start + line.count - 1
            if len(a) <= EXPLICIT or line.count == 1:
                pairs = zip(a[first : last + 1], b[first : last + 1], strict=True)
                parts.append("+".join(f"{self.cell(i)}*{self.cell(j)}" for i, j in pairs))
                continue
            one = self.addresses.range(a[first], a[last], self.home)
            two = self.addresses.range(b[first], b[last], self.home)
            if line.step == line.other:
                parts.append(f"SUMPRODUCT({one},{two})")
            else:
                row, column = (one, two) if line.step == 1 else (two, one)
                parts.append(f"SUM(MMULT({row},{column}))")
        return "+".join(parts) if parts else None

    def cell(self, cell: int) -> str:
        return self.addresses.reference(cell, self.home) or "0"

    def extreme(self, function: str, ids: np.ndarray) -> str:
        """MAX or MIN of ranges where the cells stand in line, and of 0 where one is the constant."""
        key = function, ids.tobytes()
        if key not in self.extremes:
            self.extremes[key] = self.extreme_of(function, ids)
        return self.extremes[key]

    def extreme_of(self, function: str, ids: np.ndarray) -> str:
        cells = [i for i in dict.fromkeys(ids.tolist()) if i]
        _, order, lines = next(grouped(self.addresses.key[np.array([cells])], None))
        ordered = [cells[i] for i in order[0]]
        ranges = [self.addresses.range(ordered[x.start], ordered[x.start + x.count - 1], self.home) for x in lines]
        parts = [*ranges, *([] if ids.all() else ["0"])]
        while len(parts) > ARGUMENTS:
            parts = [f"{function}({','.join(chunk)})" for chunk in _chunks(parts)]
        return f"{function}({','.join(parts)})"

    def position(self, ids: np.ndarray) -> str:
        """The place of the first of the largest: MATCH where the cells stand in line, else one after the other."""
        largest = self.extreme("MAX", ids)
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


def _chunked_sum(ranges: list[str]) -> str:
    return "+".join(f"SUM({','.join(chunk)})" for chunk in _chunks(ranges))


def _chunks(arguments: list[str]) -> list[list[str]]:
    return [arguments[i : i + ARGUMENTS] for i in range(0, len(arguments), ARGUMENTS)]
