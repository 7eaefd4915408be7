"""NumPy's functions in traced code: their numbers, their gradients and their workbooks."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.test_tracing import assert_followed

A, B = spread(3, 4, seed=1), spread(2, 4, 3, seed=2)
MASK = np.array([[True, False, True], [False, True, True]])


def _filled(x):
    """Masks that choose what is read and written."""
    h = x * 1.0
    h[MASK] = x[MASK] * 2
    h[x > 0.5] *= 3.0
    h[x[:, 0] > 0.5, 1] = x[0, :1]
    h[:, [False, True, True]] *= x[:, :2]
    return (h[x < 0.5] ** 2).sum() + h[h > 0][0] + x[MASK[:, 0], 0:2].sum()


def _into(x):
    out = np.zeros((2, 4))
    np.dot(x, A, out=out)
    return out


def _by_elements(x):
    return sum(float(v) ** 2 * math.exp(v) + max(0, v) - min(v, 0.1) for row in x for v in row)


def _logged(x):
    seen = []
    for row in x:
        total = np.sum(row**2)
        seen.append(total.item())
    return np.sum(seen) + np.mean(seen) + np.array(seen).max() + np.asarray(x.tolist(), dtype=float).std()


FUNCTIONS = {
    "concatenate of a list": lambda x: np.concatenate(([1.0], x[0], (2, 3))),
    "concatenate of all": lambda x: np.concatenate((x, [[1.0]]), axis=None),
    "hstack of a list": lambda x: np.hstack(([1.0], x[0], 2.0)),
    "hstack": lambda x: np.hstack((x, np.ones((2, 1)))),
    "vstack of a list": lambda x: np.vstack((x, [1, 2, 3])),
    "column_stack": lambda x: np.column_stack((np.ones(2), x)),
    "stack": lambda x: np.stack([x[0], [1.0, 2.0, 3.0]], axis=1),
    "r_": lambda x: np.r_[1.0, x[0], 0:2, x.sum()],
    "c_": lambda x: np.c_[np.ones(2), x],
    "clip by names": lambda x: np.clip(x, a_min=-0.5, a_max=0.5) + np.clip(x, min=0.1, max=x[0]),
    "clip at one end": lambda x: np.clip(x, 0.1, None) + np.clip(x, None, 0.3) + x.clip(-0.2) + np.clip(x, None, x * x),
    "append": lambda x: np.append(1.0, x) * np.append(x, [[7.0]]),
    "append rows": lambda x: np.append(x, [[1.0, 2.0, 3.0]], axis=0),
    "insert": lambda x: np.insert(x[0], 1, 2.0),
    "insert a column": lambda x: np.insert(x, 0, 1.0, axis=1),
    "insert before the last": lambda x: np.insert(x, -1, x[:, 0], axis=1),
    "array of rows": lambda x: np.array([np.tanh(row) for row in x]),
    "array of numbers": lambda x: np.array([[v**2 for v in row] for row in x]),
    "asarray": lambda x: np.asarray(np.tanh(x), dtype=float),
    "copies": lambda x: copy.deepcopy(x) * copy.copy(x),
    "ndim and size": lambda x: x * np.ndim(x) * np.size(x),
    "tensordot": lambda x: np.tensordot(x, A, 1) + np.tensordot(x, A, ([1], [0])),
    "tensordot of all": lambda x: np.tensordot(x, x),
    "tensordot of three axes": lambda x: np.tensordot(B, x, ((0, 2), (0, 1))),
    "dot of three axes": lambda x: np.dot(B, x.T) + (x * B[:, :2]).dot(x.T)[:, :1],
    "dot with three axes": lambda x: np.dot(x, B[:, :3, :2]),
    "dot into": _into,
    "dot of a list": lambda x: np.dot([x[0, 0], 2.0], x),
    "inner": lambda x: np.inner(x, x) + np.inner(x[0], x[1]),
    "vdot": lambda x: np.vdot(x, x**2),
    "outer of a list": lambda x: np.outer([1.0, 2.0], x[0]),
    "trace": lambda x: np.trace(x) + x.trace(),
    "einsum of one": lambda x: np.einsum("ij->ji", x) * np.einsum("ij->", x),
    "einsum of a diagonal": lambda x: np.einsum("ii->i", x[:, :2]) * np.einsum("ii", x[:, 1:]),
    "einsum of two": lambda x: np.einsum("ij,jk->ik", x, A),
    "einsum without an arrow": lambda x: np.einsum("ij,kj", x, x),
    "einsum element by element": lambda x: np.einsum("ij,ij->i", x, x),
    "einsum of outer": lambda x: np.einsum("i,j->ji", x[0], x[1]),
    "einsum of batches": lambda x: np.einsum("bij,bj->bi", B, x),
    "einsum of heads": lambda x: np.einsum("bti,bsi->bts", B * x[:, None, :], B),
    "einsum of three": lambda x: np.einsum("ij,jk,ik->k", x, A, x @ A),
    "einsum of what is not shared": lambda x: np.einsum("ij,kl->il", x, A),
    "log1p, expm1": lambda x: np.log1p(x**2) + np.expm1(x),
    "logaddexp": lambda x: np.logaddexp(0, x) + np.logaddexp(x, x[0]),
    "logaddexp of many": lambda x: np.logaddexp.reduce(x, axis=1),
    "cosh, sinh": lambda x: np.cosh(x) * np.sinh(x),
    "log2, log10, exp2": lambda x: np.log2(np.exp2(x) + 1) + np.log10(1 + x**2),
    "hypot, fabs, heaviside": lambda x: np.hypot(x, 2.0) * np.fabs(x) * np.heaviside(x, 0.5),
    "sin, cos": lambda x: np.sin(x) * np.cos(2 * x) + sum(math.sin(v) for v in x[0]),
    "repeat": lambda x: np.repeat(x, 2, axis=0) + x.repeat(2, axis=0),
    "tile": lambda x: np.tile(x, (2, 2)),
    "roll": lambda x: np.roll(x, 1, axis=1) * x,
    "take": lambda x: np.take(x, [2, 0, 2], axis=1),
    "swapaxes, moveaxis": lambda x: np.swapaxes(x, 0, 1) + np.moveaxis(x, 0, 1) + x.swapaxes(0, 1),
    "atleast_2d, ravel": lambda x: np.atleast_2d(x[0]) + np.ravel(x[1:]),
    "diagonal": lambda x: np.diagonal(x) + x[:, 1:].diagonal(),
    "average": lambda x: np.average(x, axis=0) + np.average(x, axis=1, weights=[1.0, 2.0, 5.0])[0],
    "average with weights": lambda x: np.average(x, weights=x**2),
    "var with ddof": lambda x: np.var(x, axis=0, ddof=1) + x.std(axis=0, ddof=1),
    "cumsum": lambda x: np.cumsum(x, axis=1) * x.cumsum(axis=0),
    "cumsum of all": lambda x: np.cumsum(x) ** 2,
    "prod": lambda x: np.prod(x, axis=0) + x.prod() + np.multiply.reduce(x),
    "prod with axes": lambda x: np.prod(x, axis=1, keepdims=True) * np.prod(x, keepdims=True),
    "places of the largest": lambda x: x[np.arange(2), x.argmax(1)] * np.max(x),
    "a range and targets": lambda x: x[range(len(x)), np.array([2, 0])],
    "masks": _filled,
    "numbers one by one": _by_elements,
    "lists of numbers": _logged,
    "what is rounded": lambda x: x * (np.round(x) + np.floor(x) + x.round(1)),
    "what is finite": lambda x: x * np.isfinite(x) + np.any(np.isnan(x)),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_numbers_gradients_and_workbook_are_right(case, tmp_path: Path):
    function = FUNCTIONS[case]
    x = np.array([[0.3, -0.7, 1.1], [0.9, 0.2, -0.4]])
    weights = spread(*np.shape(function(x.copy())), seed=9)

    def loss(x):
        return (function(x) * weights).sum() + 0.0

    assert_followed(loss, x, tmp_path / "book.xlsx")


def test_the_sigmoid_of_scipy():
    special = pytest.importorskip("scipy.special")
    x = spread(2, 3)
    run = tn.trace(lambda x: special.expit(x).sum(), x)
    np.testing.assert_allclose(run.loss.array, special.expit(x).sum(), rtol=1e-14)
