"""Places that are data: counted from the start, or refused, in NumPy as in a spreadsheet."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import ironcalc
from tests.test_verify import edited
from tests.workbooks import assert_agrees, sample
from tinynet import functional as F
from tinynet import nn

X = spread(2, 3)


@pytest.mark.parametrize("place", [-1, 4])
def test_an_embedding_refuses_a_row_that_is_not_there(place):
    with pytest.raises(IndexError, match=f"index holds {place}, expected 0 to 3"):
        nn.Embedding(4, 2)(tn.tensor([place, 1]))


@pytest.mark.parametrize("place", [-1, 3])
def test_gather_refuses_a_place_that_is_not_there(place):
    with pytest.raises(IndexError, match=f"index holds {place}, expected 0 to 2"):
        F.gather(tn.tensor(X), 1, tn.tensor([[place], [1]]))


def test_fractions_are_no_places():
    table = tn.tensor(X)
    for look_up in (lambda i: table[i], lambda i: F.embedding(i, table), lambda i: F.gather(table, 1, i)):
        with pytest.raises(TypeError, match="index holds float64, expected integers"):
            look_up(tn.tensor([[0.0], [1.0]]))


def test_an_index_tensor_may_count_from_the_end_and_the_spreadsheet_follows(tmp_path):
    rows, index = tn.tensor(spread(4, 2), requires_grad=True, name="rows"), tn.tensor([-1, 1, -4], name="index")
    with tn.record() as run:
        (rows[index] ** 2).sum().backward()
    np.testing.assert_array_equal(rows.grad.numpy(), 2 * rows.numpy() * [[1], [1], [0], [1]])
    one = sample(run, tmp_path / "rows.xlsx")
    assert_agrees(one, ironcalc(one.path))
    np.testing.assert_array_equal(run.replay(index=[3, 1, 0])["d_rows"], run["d_rows"])
    with pytest.raises(IndexError, match="index holds -5, expected -4 to 3"):
        rows[tn.tensor([-5])]


@pytest.fixture(scope="module")
def classifier():
    x = tn.tensor(X, name="x", requires_grad=True)
    with tn.record() as run:
        F.cross_entropy(x, tn.tensor([2, 1], name="y")).backward()
    return run


@pytest.mark.parametrize("place", [-1, 3])
def test_a_class_that_is_not_there_is_refused_when_a_run_is_computed_again(place, classifier):
    for again in (classifier.replay, classifier.compile()):
        with pytest.raises(IndexError, match=f"y holds {place}, expected 0 to 2"):
            again(y=[place, 1])


def test_a_class_that_is_not_there_is_refused_in_a_workbook(classifier, tmp_path):
    one = sample(classifier, tmp_path / "book.xlsx")
    with pytest.raises(ValueError, match=r"the edited cells of .* index holds -1, expected 0 to 2"):
        tn.load(edited(one, tmp_path / "edited.xlsx", "y", (0,), -1))


def test_places_that_are_computed_are_looked_at_in_compiled_code_too():
    x, start = tn.tensor(X, name="x", requires_grad=True), tn.tensor([[0], [1]], name="start")
    with tn.record() as run:
        F.gather(x, 1, start + 1).sum().backward()
    step = run.compile()
    step(start=[[1], [0]])
    np.testing.assert_array_equal(step["d_x"], [[0, 0, 1], [0, 1, 0]])
    with pytest.raises(IndexError, match="index holds 3, expected 0 to 2"):
        step(start=[[0], [2]])


@pytest.mark.parametrize("numbers", [[0.9, 1.9], np.array([1j, 2])])
def test_a_replay_refuses_numbers_that_the_leaf_cannot_hold(numbers, classifier):
    for again in (classifier.replay, classifier.compile()):
        with pytest.raises(TypeError, match=r"y holds int64 in this run, got (float64|complex128)"):
            again(y=numbers)
    with pytest.raises(TypeError, match="x holds float64 in this run, got complex128"):
        classifier.replay(x=X + 1j)


def test_a_run_has_a_floating_dtype(classifier):
    assert classifier.astype(np.float32)["x"].dtype == classifier.astype("float32")["x"].dtype == np.float32
    with pytest.raises(TypeError, match="astype got 'int32', expected a floating dtype"):
        classifier.astype("int32")
