"""Where things stand on a sheet of rows and columns, and what the heads above them say."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

import tinynet as tn
from tests.gradients import spread
from tinynet import cli, nn
from tinynet.workbook import write
from tinynet.workbook.book import Book
from tinynet.workbook.page import capitals, fitted
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import HEADER_ROW, ColumnSheet, time_heads
from tinynet.workbook.tags import NONE, Tags


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


# What stands above numbers
@pytest.mark.parametrize(
    "label, room, text",
    [
        ("fc1.weight  3×2", 20, "fc1.weight  3×2"),
        ("fc1.weight  3×2", 12, "fc1.weight"),
        ("∂L/∂block1.norm.bias", 11, "∂L/∂bias"),
        ("old velocity: fc1.weight", 9, "weight"),
        ("b_ir_l0_reverse", 9, "b_ir_l0_…"),
    ],
)
def test_a_name_is_as_short_as_its_room_asks_for(label: str, room: int, text: str):
    assert fitted(label, room) == text


@pytest.mark.parametrize("line", ["gru --bidirectional --hidden 2 --steps 2", "cnn"])
def test_names_above_numbers_do_not_run_into_each_other(line: str, tmp_path: Path):
    book = book_of(line)
    path = write(book.run, tmp_path / "network.xlsx").path
    for sheet in book.sheets:
        page = openpyxl.load_workbook(path)[sheet.name]
        for cells in page.iter_rows(min_row=HEADER_ROW + 2):
            names = [c for c in cells if isinstance(c.value, str) and c.font.i and c.font.sz == 9]
            for one, other in itertools.pairwise(names):
                between = range(one.column, other.column)
                assert len(one.value) <= 1.35 * sum(width(page, column) for column in between), one.value


def width(page: Worksheet, column: int) -> float:
    found = (d for d in page.column_dimensions.values() if d.min <= column <= d.max)
    return next((float(d.width) for d in found), 8.43)


@pytest.mark.parametrize(
    "title, head", [("δz, padded", "δz, PADDED"), ("gradient of δh ← t", "GRADIENT OF δh ← T"), ("bn", "BN")]
)
def test_a_head_in_capitals_keeps_its_small_greek_letters(title: str, head: str):
    assert capitals(title) == head


# Channels
def test_the_running_statistics_of_channels_are_no_samples():
    """As many channels as samples."""
    linear, norm, x = nn.Linear(3, 2), nn.BatchNorm1d(2), tn.tensor(spread(2, 3), name="x")
    with tn.record() as run:
        tn.name(norm(linear(x)), "y").sum().backward()
    tags = Tags(run)
    running = [value for value in run.leaves if "running" in str(value.quantity)]
    assert len(running) == 2 and all(np.all(tags.sample[value.index] == NONE) for value in running)


# Pictures to choose from
def test_pictures_to_choose_from_are_numbered_and_the_last_is_to_draw_on(tmp_path: Path):
    book = book_of("cnn --channels 1 --kernel 1")
    page = openpyxl.load_workbook(write(book.run, tmp_path / "network.xlsx").path)["Input"]
    digits = block(book, "digits")
    rows, columns = (line[digits.ids[:, 0, 0]] for line in (book.layout.row, book.layout.column))
    for k, (row, column) in enumerate(zip(rows[:4], columns[:4], strict=True)):
        assert str(page.cell(row, column + 1).value).split() == [f"digits[{k}]", "8×8"][: 1 + (k == 0)]
    beside = [page.cell(row + 1, 1).value for row in dict.fromkeys(rows[4:])]
    assert beside == ["[4] … [7]", "[8] … [10]"]
    heads = [str(row[0].value) for row in page.iter_rows(max_col=1)]
    assert any("NUMBER 10 TO DRAW ON" in head for head in heads)
    assert any("TYPE ITS NUMBER IN THE GREEN CELL" in head for head in heads)
    (rule,) = page.data_validations.dataValidation[-1:]
    assert rule.prompt == "Type a whole number from 0 to 10."


# Paper
def test_a_long_pass_takes_several_pages_rather_than_small_print(tmp_path: Path):
    book = book_of("gru --bidirectional --layers 2 --hidden 2 --steps 2")
    sheet = sheet_of(book)
    page = openpyxl.load_workbook(write(book.run, tmp_path / "network.xlsx").path)["Network"]
    assert page.page_setup.scale == 60
    breaks = [found.id for found in page.row_breaks.brk]
    heads = {part.head for part in sheet.parts} | {band.row for band in sheet.bands[1:]}
    assert set(breaks) <= heads and {band.row for band in sheet.bands[1:]} < set(breaks)
    room = (10.3 if page.page_setup.orientation == "portrait" else 6.9) * 96 / 20 / 0.6
    assert max(b - a for a, b in itertools.pairwise([0, *breaks, sheet.bottom])) <= room


@pytest.mark.parametrize("line", ["lstm", "gru", "rnn"])
def test_a_pass_that_can_be_read_on_one_page_has_one(line: str, tmp_path: Path):
    book = book_of(line)
    page = openpyxl.load_workbook(write(book.run, tmp_path / "network.xlsx").path)["Network"]
    assert [found.id for found in page.row_breaks.brk] == [band.row for band in sheet_of(book).bands[1:]]
