"""Where things stand on a sheet of rows and columns, and what the heads above them say."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import cli, nn
from tinynet.workbook.book import Book
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import ColumnSheet, time_heads


def book_of(run: tn.Run | str) -> Book:
    """A planned workbook, of a run or of what a command line records."""
    return Book(cli.recorded(["export", *run.split()]) if isinstance(run, str) else run, "names", "Network")


def sheet_of(book: Book, number: int = 0) -> ColumnSheet:
    sheet = book.sheets[number]
    assert isinstance(sheet, ColumnSheet)
    return sheet


def block(book: Book, name: str) -> Block:
    return next(block for block in book.plan.blocks if block.name == name)


def keys_of(book: Book, name: str) -> list[tuple[int, int]]:
    """The step and the sample of the columns in which the cells of a block stand, in their order."""
    sheet = sheet_of(book)
    columns = book.layout.column[block(book, name).ids.reshape(-1)] - sheet.value_start
    return [sheet.keys[column] for column in columns]


# Sequences of different lengths
@pytest.mark.parametrize(
    "line",
    ["gru --hidden 2 --batch 2 --lengths 4,2", "lstm --hidden 2 --batch 3 --steps 3 --lengths 3,1,2"],
)
def test_each_step_has_a_column_for_each_sample_and_sequences_have_theirs_at_the_end(line: str):
    book = book_of(line)
    sheet, samples = sheet_of(book), book.run["lengths"].size
    times = [time for time, sample in sheet.keys if sample == 0]
    assert sheet.keys == [(time, sample) for time in times for sample in range(samples)]
    assert [text for *_, text in time_heads(sheet)][-1] == "all steps"
    whole = [(times[-1], sample) for sample in range(samples)]
    assert keys_of(book, "lengths") == keys_of(book, "loss.sequence") == keys_of(book, "d_loss.sequence") == whole
    for name in ("step", "loss.counted", "d_loss.counted"):
        assert keys_of(book, name) == sheet.keys[samples:-samples], name


def test_what_is_known_of_no_step_but_of_samples_has_rows_of_units():
    """The mean over the steps, and what a linear layer makes of it."""
    tn.manual_seed(0)
    layer, output = nn.RNN(2, 3), nn.Linear(3, 2)
    with tn.record() as run:
        hidden, _ = layer(tn.tensor(spread(4, 2, 2), name="x"))
        tn.functional.cross_entropy(output(tn.name(hidden.mean(0), "pooled")), np.array([0, 1])).backward()
    book = book_of(run)
    rows = book.layout.row[block(book, "pooled").ids]
    assert np.all(rows == rows[:1]) and np.all(np.diff(rows, axis=1) == 1)
    assert len(set(keys_of(book, "pooled"))) == 2 and keys_of(book, "target") == sheet_of(book).keys[-2:]


# The heads of weights
def test_weights_stand_below_the_head_of_what_they_multiply():
    book = book_of("gru --bidirectional --layers 2 --hidden 2 --steps 2")
    sheet = sheet_of(book)
    inputs, recurrent, bias = sheet.slots
    assert [inputs.head, recurrent.head, bias.head] == ["from x, h_l0", "from h_l0, h_l0_reverse, h_l1 …", "bias"]
    lefts = {r.name: r.left for part in sheet.parts for r in part.rectangles}
    for ending in ("l0", "l0_reverse", "l1", "l1_reverse"):
        assert lefts[f"gru.W_in_{ending}"] == inputs.start, ending
        assert lefts[f"gru.W_hn_{ending}"] == lefts[f"gru.W_hr_{ending}"] == recurrent.start, ending
