"""NumPy's products of arrays, made of transposes, sums and one matrix product."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet.tensor import Tensor


def dot(a: Any, b: Any) -> Any:
    """As ``np.dot``: over the last axis of a and the last but one of b."""
    a, b = operand(a), operand(b)
    if not a.ndim or not b.ndim:
        return a * b
    return F.matmul(a, b) if b.ndim <= 2 else tensordot(a, b, (-1, -2))


def inner(a: Any, b: Any) -> Any:
    """As ``np.inner``: over the last axis of both."""
    a, b = operand(a), operand(b)
    return tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else a * b


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """As ``np.tensordot``: over the axes of both that are named, or the last of a and the first of b."""
    a, b = operand(a), operand(b)
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    ours, theirs = ([int(axis) for axis in np.atleast_1d(one)] for one in axes)
    ours, theirs = [axis % a.ndim for axis in ours], [axis % b.ndim for axis in theirs]
    rows = [axis for axis in range(a.ndim) if axis not in ours]
    columns = [axis for axis in range(b.ndim) if axis not in theirs]
    left = _matrix(a, (rows, ours))
    right = _matrix(b, (theirs, columns))
    return F.matmul(left, right).reshape(*[a.shape[k] for k in rows], *[b.shape[k] for k in columns])


def einsum(text: Any, *factors: Any, optimize: Any = None) -> Tensor:
    """As ``np.einsum`` with a text such as ``ij,jk->ik``: pair by pair, a letter is summed over when it is done with.

    Raises TypeError for other ways to say it.
    """
    if not isinstance(text, str) or "." in text:
        raise TypeError("np.einsum is traced with subscripts as text, without an ellipsis")
    inputs, arrow, output = text.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:
        output = "".join(sorted(letter for letter in set(inputs) - {","} if inputs.count(letter) == 1))
    letters, x = _diagonal(terms[0], operand(factors[0]))
    for k, (term, factor) in enumerate(zip(terms[1:], factors[1:], strict=True), 2):
        needed = set(output).union(*terms[k:])
        letters, x = _pair(letters, x, *_diagonal(term, operand(factor)), needed)
    letters, x = _summed(letters, x, set(output))
    return _ordered(x, [letters.index(letter) for letter in output])


def operand(x: Any) -> Any:
    """A Tensor or an array; of a list or a number, an array, of a list that holds Tensors, a Tensor."""
    if isinstance(x, (Tensor, np.ndarray)):
        return x
    return F.stack([operand(part) for part in x]) if holds_tensors(x) else np.asarray(x, dtype=float)


def holds_tensors(item: Any) -> bool:
    return isinstance(item, Tensor) or (isinstance(item, (list, tuple)) and any(map(holds_tensors, item)))


def _ordered(x: Any, order: list[int]) -> Any:
    return x.permute(*order) if isinstance(x, Tensor) else x.transpose(order)


def _matrix(x: Any, axes: tuple[Any, Any]) -> Any:
    """With the first of the axes as rows and the others as columns."""
    order = [*axes[0], *axes[1]]
    x = x if order == list(range(x.ndim)) else _ordered(x, order)
    return x.reshape(prod(x.shape[: len(axes[0])]), prod(x.shape[len(axes[0]) :]))


def _diagonal(term: str, x: Any) -> tuple[str, Any]:
    """A letter that stands twice is one axis: where both are equal."""
    letters = "".join(dict.fromkeys(term))
    if letters == term:
        return term, x
    places = np.einsum(f"{term}->{letters}", np.arange(x.size).reshape(x.shape))
    return letters, x.reshape(-1)[np.array(places)]


def _summed(letters: str, x: Any, needed: set[str]) -> tuple[str, Any]:
    """Over the letters that nobody needs."""
    axes = tuple(k for k, letter in enumerate(letters) if letter not in needed)
    return "".join(letter for letter in letters if letter in needed), x.sum(axes) if axes else x


def _pair(one: str, x: Any, other: str, y: Any, needed: set[str]) -> tuple[str, Any]:
    """The product of two, over the letters that they share and nobody else needs."""
    one, x = _summed(one, x, needed | set(other))
    other, y = _summed(other, y, needed | set(one))
    both = [letter for letter in one if letter in other and letter in needed]
    over = [letter for letter in one if letter in other and letter not in needed]
    rows, columns = [letter for letter in one if letter not in other], [letter for letter in other if letter not in one]
    x = _ordered(x, [one.index(letter) for letter in (*both, *rows, *over)])
    y = _ordered(y, [other.index(letter) for letter in (*both, *over, *columns)])
    shared = x.shape[: len(both)]
    high, wide = x.shape[len(both) : len(both) + len(rows)], y.shape[len(both) + len(over) :]
    if over:
        left = x.reshape(*shared, prod(high), -1)
        right = y.reshape(*shared, -1, prod(wide))
        product = F.matmul(left, right).reshape(*shared, *high, *wide)
    else:
        product = x.reshape(*x.shape, *[1] * len(wide)) * y.reshape(*shared, *[1] * len(high), *wide)
    return "".join([*both, *rows, *columns]), product
