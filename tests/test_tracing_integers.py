"""Integers that traced code is given: the places that they choose follow their cells, or are those that were chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import libreoffice, require
from tests.test_tracing import CHARACTERS, characters, numerical
from tests.workbooks import assert_agrees, sample
from tinynet.workbook import verify


def classifier(x, y, w):
    p = np.exp(x @ w)
    p = p / p.sum(axis=1, keepdims=True)
    return -np.log(p[range(len(y)), y]).mean()


def embedded(ids, w, v):
    """Rows of a table, all of them and one by one; numbers of a vector."""
    h = np.tanh(w[ids] @ v)
    return (h**2).sum() + sum((w[i] ** 3).sum() * w[i, 1] for i in ids) + (w[:, 0][ids] * np.arange(1, 4)).sum()


def filled(ids, w):
    """Ones and other numbers among zeros."""
    x = np.zeros((3, 4))
    x[np.arange(3), ids] = 1
    z = np.zeros(4)
    z[ids[1]] = 2.0
    column = np.zeros((4, 1))
    column[ids[0], 0] = 3.0
    return (np.tanh(x @ w) ** 2).sum() + (z @ w).sum() + np.exp(w.T @ column).sum()


def changed(ids, w):
    """Places of what was computed."""
    h = np.tanh(w)
    h[range(3), ids] -= 1.0
    h[ids[1]] = h[0] * 2
    h[ids[2]] = 5.0
    return (h**2).sum()


def compared(ids, w):
    """They also decide."""
    return sum((w[i] ** 2).sum() * (2 if i == 0 else 1) for i in ids)


def computed(ids, w):
    """They are computed with."""
    return (w[ids] ** 2).sum() + (w[(ids + 1) % 3] ** 3).sum() + (np.eye(3)[ids] * w).sum()


def from_the_end(ids, w):
    return (w[ids - 3] ** 2 * w[ids]).sum()


IDS = np.array([2, 0, 1])
LIVE: dict[Any, dict[str, Any]] = {
    characters: CHARACTERS | {name: np.array(CHARACTERS[name]) for name in ("inputs", "targets")},
    classifier: {"x": spread(3, 2), "y": np.array([0, 2, 1]), "w": spread(2, 3, seed=1)},
    embedded: {"ids": IDS, "w": spread(3, 2), "v": spread(2, 3, seed=1)},
    filled: {"ids": IDS, "w": spread(4, 3)},
    changed: {"ids": IDS, "w": spread(3, 3)},
}
BAKED = [compared, computed, from_the_end]


def number(function: Any, **arrays: Any) -> Any:
    result = function(**arrays)
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("function", LIVE, ids=lambda function: function.__name__)
def test_a_run_follows_other_integers(function, tmp_path: Path):
    arrays = LIVE[function]
    run = tn.trace(function, **arrays)
    other = {name: np.roll(a, 1) for name, a in arrays.items() if getattr(a, "dtype", None) == np.int64}
    assert other and set(other) <= {leaf.name for leaf in run.leaves}
    again = run.replay(**other)
    assert again.loss is not None
    np.testing.assert_allclose(again.loss.array, number(function, **arrays | other), rtol=1e-14)
    for leaf in run.leaves:
        if leaf.kind == "parameter":
            expected = numerical(lambda **given: number(function, **given), arrays | other, leaf.name)
            np.testing.assert_allclose(again.grad[leaf.name], expected, rtol=1e-6, atol=1e-8)
    run.to_excel(tmp_path / "book.xlsx")
    assert verify(tmp_path / "book.xlsx").ok


@pytest.mark.parametrize("function", BAKED, ids=lambda function: function.__name__)
def test_integers_that_do_more_than_to_choose_places_are_no_cells(function):
    w = spread(3, 3)
    run = tn.trace(function, IDS, w)
    assert [leaf.name for leaf in run.leaves if leaf.kind in ("input", "parameter")] == ["w"]
    np.testing.assert_allclose(run.loss.array, function(IDS, w), rtol=1e-14)
    np.testing.assert_allclose(run.grad["w"], numerical(function, {"ids": IDS, "w": w}, "w"), rtol=1e-6, atol=1e-8)


def test_integers_that_are_all_alike_are_cells_where_there_is_another_place():
    w = spread(3, 3)
    for k, names in ((1, ["ids", "w"]), (0, ["w"])):
        run = tn.trace(lambda ids, w: (w[ids] ** 2).sum(), np.array([k, k]), w)
        assert sorted(leaf.name for leaf in run.leaves if leaf.kind in ("input", "parameter")) == names


@pytest.mark.parametrize("function", [characters, classifier], ids=lambda function: function.__name__)
def test_targets_are_typed_into_the_workbook(function, tmp_path: Path):
    require("libreoffice")
    arrays = LIVE[function]
    one = sample(tn.trace(function, **arrays), tmp_path / "book.xlsx")
    other = {name: np.roll(a, 1) for name, a in arrays.items() if getattr(a, "dtype", None) == np.int64}
    edits = {one.place_of(name, k): float(i) for name, new in other.items() for k, i in enumerate(new)}
    assert_agrees(one, libreoffice(one.path, edits), one.run.replay(**other))
