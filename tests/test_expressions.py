"""Expressions and their formulas: what is done for many elements at once, against one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tinynet.workbook import runs, sums
from tinynet.workbook.addresses import Addresses
from tinynet.workbook.expressions import Cells, Dot, Extreme, Position, distinct, total
from tinynet.workbook.formulas import _Renderer, formulas
from tinynet.workbook.rows import Rows

SIDE = 5  # cells stand in a square


def addresses() -> Addresses:
    """Cell 1 is A1, 2 is B1, … on two sheets in turns of rows; 0 is the constant zero."""
    places = np.arange(SIDE * SIDE + 1) - 1
    return Addresses(places // SIDE % 2, np.maximum(places // SIDE, 0), places % SIDE, ["One", "Two"])


def rows(columns: int, least: int = 0) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 8), st.just(columns))
    return npst.arrays(np.int64, shapes, elements=st.integers(least, SIDE * SIDE))


@given(st.sampled_from([1, 2, 3, 4]).flatmap(rows))
def test_the_largest_of_many_rows_is_that_of_each(ids: np.ndarray):
    ids = ids[np.any(ids > 0, axis=1)]
    renderer = _Renderer(addresses(), 0, "x")
    largest = [renderer.extreme_of("MAX", row) for row in ids]
    assert formulas(Extreme("MAX", ids), len(ids), addresses(), 0) == [f"={text}" for text in largest]
    places = [renderer.position(row, text) for row, text in zip(ids, largest, strict=True)]
    assert formulas(Position(ids), len(ids), addresses(), 0) == [f"={text}" for text in places]


@given(rows(2, least=1))
def test_windows_side_by_side_are_ranges(corners: np.ndarray):
    """Of 2×2 cells, whose last row and column are left out."""
    top, left = np.divmod(corners[:, 0] - 1, SIDE)
    top, left = np.minimum(top, SIDE - 2), np.minimum(left, SIDE - 2)
    first = top * SIDE + left + 1
    windows = np.stack([first, first + 1, first + SIDE, first + SIDE + 1], axis=1)
    one_sheet = Addresses(
        np.zeros(SIDE * SIDE + 1, dtype=int), *np.divmod(np.arange(SIDE * SIDE + 1) - 1, SIDE), ["One"]
    )
    spans = [f"{one_sheet.text[row[0]]}:{one_sheet.text[row[-1]]}" for row in windows]
    assert formulas(Extreme("MAX", windows), len(windows), one_sheet, 0) == [f"=MAX({span})" for span in spans]
    doubled = formulas(Dot(Rows.each(windows), None), len(windows), one_sheet, 0)
    assert doubled == [f"=SUM({span})" for span in spans]


@given(npst.arrays(np.int64, npst.array_shapes(max_dims=2, max_side=40), elements=st.integers(0, 50)))
def test_distinct(ids: np.ndarray):
    expected = np.unique(ids)
    np.testing.assert_array_equal(distinct(ids), expected[expected > 0])


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 3)), min_size=1, max_size=12), st.booleans())
def test_sums_that_share_their_terms_stay_what_they_were(grown: list[tuple[int, bool, int]], products: bool):
    """Any sum may be the start of several longer ones, which share its buffers."""
    rng = np.random.default_rng(0)

    def some(k: int) -> np.ndarray:
        return rng.integers(1, 9, size=(2, k))

    def sum_of(left: np.ndarray, right: np.ndarray) -> Dot:
        return Dot(Rows.each(left), Rows.each(right) if products else None)

    known = [(sum_of(a, b), a, b) for a, b in [(some(2), some(2))]]
    for which, single, k in grown:
        start, left, right = known[which % len(known)]
        a, b = some(1 if single else k), some(1 if single else k)
        added = Cells(a[:, 0]) if single and not products else sum_of(a, b)
        longer = total([(1, start), (1, added)])
        assert isinstance(longer, Dot)
        known.append((longer, np.concatenate([left, a], axis=1), np.concatenate([right, b], axis=1)))
    for dot, left, right in known:
        np.testing.assert_array_equal(dot.left[:], left)
        if products:
            np.testing.assert_array_equal(dot.right[:], right)


@given(
    npst.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(0, SIDE * SIDE)),
    npst.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(0, SIDE * SIDE)),
    st.booleans(),
    st.data(),
)
def test_elements_that_read_alike_are_written_as_each_of_them(
    left: np.ndarray, right: np.ndarray, products: bool, data: st.DataObject
):
    width = min(left.shape[1], right.shape[1])
    n = data.draw(st.integers(1, 12))
    which = [data.draw(npst.arrays(np.int32, n, elements=st.integers(0, len(t) - 1))) for t in (left, right)]
    a, b = (Rows(table[:, :width], places) for table, places in zip((left, right), which, strict=True))
    dot = Dot(a, b if products else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "FEW", 10**9)
        patch.setattr(sums, "FEW", 10**9)
        expected = formulas(dot, n, addresses(), 0)
        patch.setattr(runs, "FEW", -1)
        patch.setattr(sums, "FEW", -1)
        assert formulas(dot, n, addresses(), 0) == expected


def test_elements_of_one_shape_may_read_their_terms_in_different_orders():
    ids = Rows(np.array([[1, 2], [2, 1]]), np.tile(np.arange(2, dtype=np.int32), 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "FEW", -1)
        assert formulas(Dot(ids, None), 20, addresses(), 0) == ["=SUM(A1:B1)"] * 20


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=6))
def test_rows_at_places(places: list[int]):
    table, which = np.arange(1, 7).reshape(3, 2), np.array([2, 0, 0, 1], dtype=np.int32)
    expected = [[0, 0] if place < 0 else table[which[place]].tolist() for place in places]
    found = Rows(table, which).at(np.array(places))
    assert found[:].tolist() == expected
    assert {*found.numbers.reshape(-1).tolist()} == {i for row in expected for i in row}
