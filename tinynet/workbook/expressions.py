"""What a cell computes, for all the cells of a block at once.

An expression stands for n numbers. Its leaves hold cell ids, n of them (or n rows of K for sums); id 0 is "the
constant zero". The same tree becomes a formula, a line of worked numbers, and an equation in symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinynet.workbook.rows import Rows

FEW = 1000  # cells that are not worth a search for different ones


class Expression:
    """Base of the kinds below."""

    @cached_property
    def reads(self) -> list[np.ndarray]:
        """The cells that each of the leaves holds; of many, the different ones, without the constant zero."""
        return [ids.reshape(-1) if ids.size <= FEW else distinct(ids) for ids in leaves(self)]


@dataclass(eq=False)
class Cells(Expression):
    """The numbers that stand in cells: ``ids`` (n,)."""

    ids: np.ndarray


@dataclass(eq=False)
class Literal(Expression):
    """Numbers written into the formula: one for all, or ``values`` (n,)."""

    values: np.ndarray

    def at(self, i: int) -> float:
        return float(self.values[i] if self.values.ndim else self.values)


@dataclass(eq=False)
class Apply(Expression):
    """An elementwise primitive of expressions."""

    primitive: str
    operands: list[Expression]


@dataclass(eq=False)
class Total(Expression):
    """A sum of signed terms: [(+1 or -1, expression), …]."""

    terms: list[tuple[int, Expression]]


@dataclass(eq=False)
class Dot(Expression):
    """The contraction Σₖ left[k] · right[k] of cells, both (n, K); the plain sum Σₖ left[k] if right is None.

    ``loose`` says that it was put together from single products, and may take more of them; ``slides`` that ``left``
    is a window and ``right`` a kernel.
    """

    left: Rows
    right: Rows | None
    loose: bool = False
    slides: bool = False


@dataclass(eq=False)
class Extreme(Expression):
    """MAX or MIN over K cells: ``ids`` (n, K)."""

    function: str
    ids: np.ndarray


@dataclass(eq=False)
class Pick(Expression):
    """The cell among ``choices`` (n, K) at the place that stands in cell ``index`` (n,), counted from 0."""

    choices: np.ndarray
    index: np.ndarray


@dataclass(eq=False)
class Position(Expression):
    """Which of the cells ``ids`` (n, K), counted from 0, is the first of the largest."""

    ids: np.ndarray


def distinct(ids: np.ndarray) -> np.ndarray:
    """The different numbers among ``ids`` that are above 0, in order, without the sorting of np.unique."""
    found = np.flatnonzero(np.bincount(ids.reshape(-1))).astype(np.int32)
    return found[found > 0]


def is_number(expression: Expression, number: float) -> bool:
    """Tell whether this is the literal ``number`` throughout."""
    return isinstance(expression, Literal) and bool((expression.values == number).all())


def zero_where_cells_are(expression: Expression) -> bool:
    """Tell whether the expression is 0 wherever all its cells are the constant zero."""
    match expression:
        case Cells() | Dot():
            return True
        case Literal():
            return is_number(expression, 0)
        case Total():
            return all(zero_where_cells_are(term) for _, term in expression.terms)
        case Apply("multiply", operands):
            return any(zero_where_cells_are(operand) for operand in operands)
        case Apply("divide" | "negative", operands):
            return zero_where_cells_are(operands[0])
        case Apply("where", [_, a, b]):
            return zero_where_cells_are(a) and zero_where_cells_are(b)
    return False


def gathered(expression: Expression, places: np.ndarray) -> Expression:
    """Return the expression at ``places`` (m,); a place of -1 is the constant zero."""
    match expression:
        case Cells(ids):
            return Cells(_at(ids, places))
        case Literal(values):
            if values.ndim == 0 and not (places < 0).any():
                return expression
            return Literal(_at(values if values.ndim else np.full(places.max() + 1, values), places))
        case Apply(primitive, operands):
            return Apply(primitive, [gathered(operand, places) for operand in operands])
        case Total(terms):
            return Total([(sign, gathered(term, places)) for sign, term in terms])
        case Dot(left, right):
            other = None if right is None else right.at(places)
            return Dot(left.at(places), other, expression.loose, expression.slides)
        case Extreme(function, ids):
            return Extreme(function, _at(ids, places))
        case Position(ids):
            return Position(_at(ids, places))
        case Pick(choices, index):
            return Pick(_at(choices, places), _at(index, places))
    raise TypeError(f"no such expression: {expression!r}")


def _at(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    out, none = array[places], places < 0
    if none.any():
        out[none] = 0
    return out


def total(terms: list[tuple[int, Expression]]) -> Expression:
    """Add up signed terms: sums within sums are opened, contractions of one sign become one contraction."""
    flat: list[tuple[int, Expression]] = []
    for sign, term in terms:
        inner = term.terms if isinstance(term, Total) else [(1, term)]
        flat += [(sign * s, t) for s, t in inner if not is_number(t, 0)]
    kept: list[tuple[int, Expression]] = []
    for sign, term in flat:
        for i, (other_sign, other) in enumerate(kept):
            merged = _merged(other, term) if sign == other_sign else None
            if merged is not None:
                kept[i] = (sign, merged)
                break
        else:
            kept.append((sign, term))
    kept = sorted(_rows_of_cells(kept), key=lambda term: -term[0])
    if not kept:
        return Literal(np.asarray(0.0))
    return kept[0][1] if len(kept) == 1 and kept[0][0] == 1 else Total(kept)


def _rows_of_cells(terms: list[tuple[int, Expression]]) -> list[tuple[int, Expression]]:
    """Three or more cells of one sign are one SUM, three or more products of two cells one SUMPRODUCT."""
    for sign in (1, -1) if len(terms) > 2 else ():
        for factors in (_cell, _cell_times_cell):
            found = [(i, factors(term)) for i, (s, term) in enumerate(terms) if s == sign and factors(term)]
            if len(found) > 2:
                columns = zip(*(ids for _, ids in found), strict=True)
                left, *right = (Rows.each(np.stack(ids, axis=1)) for ids in columns)
                joined = Dot(left, right[0] if right else None, loose=True)
                gone = {i for i, _ in found}
                terms = [*(term for i, term in enumerate(terms) if i not in gone), (sign, joined)]
    return terms


def _cell(term: Expression) -> list[np.ndarray]:
    return [term.ids] if isinstance(term, Cells) else []


def _cell_times_cell(term: Expression) -> list[np.ndarray]:
    match term:
        case Apply("multiply", [Cells(a), Cells(b)]):
            return [a, b]
    return []


def _merged(a: Expression, b: Expression) -> Expression | None:
    if isinstance(a, Dot) and isinstance(b, Dot) and (a.right is None) == (b.right is None) and a.loose == b.loose:
        return _longer(a, b)
    if isinstance(a, Dot) and a.right is None and isinstance(b, Cells):
        return _merged(a, Dot(Rows.each(b.ids[:, None]), None, a.loose))
    if isinstance(a, Dot) and a.right is not None and a.loose and _cell_times_cell(b):
        one, two = (Rows.each(ids[:, None]) for ids in _cell_times_cell(b))
        return _merged(a, Dot(one, two, loose=True))
    if isinstance(a, Cells) and isinstance(b, Cells) and not ((a.ids > 0) & (b.ids > 0)).any():
        # Pieces that fill each other's zeros: laid side by side, nothing is added.
        return Cells(a.ids + b.ids)
    return None


def _longer(a: Dot, b: Dot) -> Dot:
    """The terms of both."""
    right = a.right.beside(b.right) if a.right is not None and b.right is not None else None
    return Dot(a.left.beside(b.left), right, a.loose, a.slides)


def product(a: Expression, b: Expression) -> Expression:
    """Multiply, leaving out a factor of 1; nothing remains of a factor of 0."""
    if is_number(a, 0) or is_number(b, 0):
        return Literal(np.asarray(0.0))
    if is_number(a, 1):
        return b
    if is_number(b, 1):
        return a
    return Apply("multiply", [a, b])


def power(base: Expression, exponent: Expression) -> Expression:
    """Raise to a power; 1 and 0 need no formula (a spreadsheet refuses 0^0)."""
    if is_number(exponent, 1):
        return base
    return Literal(np.asarray(1.0)) if is_number(exponent, 0) else Apply("power", [base, exponent])


def leaves(expression: Expression) -> list[np.ndarray]:
    """Return all id arrays of the expression, (n,) or (n, K); of rows that are the same only one."""
    match expression:
        case Cells(ids) | Extreme(_, ids) | Position(ids):
            return [ids]
        case Apply(_, operands):
            return [ids for operand in operands for ids in leaves(operand)]
        case Total(terms):
            return [ids for _, term in terms for ids in leaves(term)]
        case Dot(left, right):
            return [left.numbers] if right is None else [left.numbers, right.numbers]
        case Pick(choices, index):
            return [choices, index]
    return []


def most_complete(expression: Expression, n: int) -> tuple[int, int]:
    """The first and the last, of n, of the elements whose formulas lack the fewest cells, which are 0 there."""
    missing = _missing(expression)
    if isinstance(missing, int) or not n:
        return 0, max(n - 1, 0)
    places = np.flatnonzero(missing == missing.min())
    return int(places[0]), int(places[-1])


def _missing(expression: Expression) -> np.ndarray | int:
    """Of each element, how many cells its formula lacks; 0 where nobody lacks any."""
    match expression:
        case Cells(ids):
            return 0 if ids.all() else (ids == 0).astype(int)
        case Total(terms):
            return sum((_missing(term) for _, term in terms), 0)
        case Apply(_, operands):
            return sum((_missing(operand) for operand in operands), 0)
    return 0


def dots(expression: Expression) -> list[Dot]:
    """Return the contractions inside an expression."""
    match expression:
        case Dot():
            return [expression]
        case Apply(_, operands):
            return [dot for operand in operands for dot in dots(operand)]
        case Total(terms):
            return [dot for _, term in terms for dot in dots(term)]
    return []


def picks(expression: Expression) -> list[Pick]:
    """Return the choices inside an expression."""
    match expression:
        case Pick():
            return [expression]
        case Apply(_, operands):
            return [pick for operand in operands for pick in picks(operand)]
        case Total(terms):
            return [pick for _, term in terms for pick in picks(term)]
    return []


def length(expression: Expression) -> int:
    """About how many references a reader meets in the formula of one cell."""
    match expression:
        case Cells() | Extreme():
            return 1
        case Pick():
            return 2
        case Position(ids):
            return ids.shape[1]
        case Dot(left, right):
            return min(left.width, 4) * (1 if right is None else 2)
        case Apply(primitive, operands):
            return sum(map(length, operands)) + (1 if primitive not in ("multiply", "divide") else 0)
        case Total(terms):
            return sum(length(term) for _, term in terms)
    return 0
