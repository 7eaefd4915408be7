"""Planning a workbook: what is found for all cells, blocks or time steps at once, against one after the other."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tinynet import nn
from tinynet.workbook import reads, tags, texts
from tinynet.workbook.book import Book
from tinynet.workbook.keys import Keys
from tinynet.workbook.reads import labels_read
from tinynet.workbook.tags import NONE, Tags
from tinynet.workbook.texts import Texts

Cells = list[tuple[int, int, int]]  # block, time and sample of each


@pytest.fixture(scope="module")
def run() -> tn.Run:
    """A recurrent layer on three sequences, the second of which ends early; backward and update."""
    tn.manual_seed(1)
    layer, output = nn.LSTM(2, 3), nn.Linear(3, 2)
    optimizer = tn.optim.SGD([*layer.parameters(), *output.parameters()], lr=0.1)
    x = tn.tensor(spread(4, 3, 2), requires_grad=True, name="x")
    with tn.record() as run:
        outputs, _ = layer(x, lengths=[4, 2, 3])
        tn.functional.cross_entropy(output(outputs), np.zeros((4, 3), dtype=int)).backward()
        optimizer.step()
    return run


def full(shape: tuple[int, ...], tag: int) -> np.ndarray:
    """One tag for all elements, but no view of one number."""
    out = np.full(shape, tag, dtype=np.int32)
    out.flags.writeable = False
    return out


@given(
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 9), max_size=6)), max_size=12),
    st.lists(st.integers(-2, 4), min_size=10, max_size=10),
    st.integers(1, 8),
)
def test_labels_are_those_of_each_part(parts: list[tuple[int, list[int]]], labels: list[int], chunk: int):
    expected = sorted({(group, labels[i]) for group, ids in parts for i in ids if labels[i]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reads, "CHUNK", chunk)
        arrays = [np.array(ids, dtype=np.int32) for _, ids in parts]
        assert labels_read(arrays, [group for group, _ in parts], np.array(labels)) == expected


@given(st.lists(st.text(max_size=5), max_size=20), st.integers(0, 3), st.data())
def test_texts_are_read_as_they_were_given(given_: list[str], bits: int, data: st.DataObject):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "BITS", bits)
        patch.setattr(texts, "PAGE", 1 << bits)
        kept = Texts(["", *given_])
        assert [kept[i + 1] for i in range(len(given_))] == given_
        chosen = data.draw(st.lists(st.integers(0, len(given_))))
        assert kept.at(np.array(chosen, dtype=int)) == [["", *given_][i] for i in chosen]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(NONE, 2), st.integers(NONE, 2)), max_size=30).map(sorted))
def test_rows_and_columns_of_all_blocks_are_those_of_each(cells: Cells):
    cells = sorted(cells, key=lambda cell: cell[0])
    block, time, sample = np.array(cells, dtype=int).reshape(-1, 3).T
    keys = Keys(np.arange(len(cells)), block, time.astype(np.int32), sample.astype(np.int32))
    seen: Counter[tuple[int, int]] = Counter()
    ranks = []
    for cell in cells:
        ranks.append(seen[cell[1:]])
        seen[cell[1:]] += 1
    assert keys.ranks().tolist() == ranks and keys.rows == max(ranks, default=-1) + 1
    for timed in (True, False):
        lost = {cell[0] for cell in cells if cell[1 if timed else 2] == NONE}
        assert keys.tagged(timed).tolist() == [cell[0] not in lost for cell in cells]


def maps() -> tn.Run:
    """A padded convolution and pooling on one picture, and a target that stands where it is used."""
    tn.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
    x, y = tn.tensor(spread(1, 1, 4, 4), requires_grad=True, name="x"), tn.tensor(spread(1, 2, 2, 2), name="y")
    with tn.record() as run:
        tn.functional.mse_loss(net(x), y).backward()
    return run


@pytest.mark.parametrize("maps_too", [False, True])
def test_tags_passed_on_at_once_are_those_of_each_element(maps_too: bool, run: tn.Run, monkeypatch: pytest.MonkeyPatch):
    run = maps() if maps_too else run
    found, pass_on = Tags(run, {}), Tags._pass
    monkeypatch.setattr(tags, "uniform", full)
    monkeypatch.setattr(Tags, "_pass", lambda self, _: pass_on(self, {value.index for value in run.values}))
    expected = Tags(run, {})
    for kind in ("time", "sample"):
        one, other = getattr(found, kind), getattr(expected, kind)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[index], other[index]) for index in one)
    assert any(np.unique(tag).size > 1 for tag in found.sample.values())


def test_what_a_block_reads_is_found(run: tn.Run):
    book = Book(run, "names", "Network")
    families, blocks = book.layout.families, book.plan.blocks
    for block, sources in zip(blocks, families.sources, strict=True):
        parts = [] if block.expression is None else block.expression.reads
        assert set(sources) == {int(families.owner[i]) for ids in parts for i in ids if i}
    for moment in book.moments.all:
        ids = [ids for block in moment.blocks for ids in block.expression.reads]
        marks = sorted({int(book.moments.mark[i]) for part in ids for i in part} - {0})
        assert moment.reads == (marks if len(marks) <= 48 else [])


def test_addresses_of_many_cells_are_those_of_each(run: tn.Run):
    book = Book(run, "names", "Network")
    cells = np.arange(book.plan.cells + 1)
    for home in (0, -1):
        many = book.addresses.references(cells, home)
        assert many == [book.addresses.reference(cell, home) for cell in cells.tolist()]
    formulas = book.formulas.at(cells)
    assert not {"key", "text"} & vars(book.addresses).keys()  # they take much memory
    assert Book(run, "names", "Network").formulas.at(cells) == formulas


def test_a_plan_of_products_takes_little_more_memory_than_its_cells():
    """Every element of x @ w reads a row and a column of 200 cells: they are not kept for each of the elements."""
    x, w = (tn.tensor(spread(*shape), name=name) for name, shape in (("x", (100, 200)), ("w", (200, 100))))
    with tn.record() as run:
        tn.name(x @ w, "y")
    tracemalloc.start()
    try:
        book = Book(run, "names", "Network")
        assert len(book.formulas[book.plan.cells]) > 0
        assert tracemalloc.get_traced_memory()[1] < 500 * book.plan.cells
    finally:
        tracemalloc.stop()
