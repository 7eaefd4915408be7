"""The sheet Steps: in the order of execution, every sentence and every line of numbers whole."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from tinynet import cli
from tinynet.workbook import write
from tinynet.workbook.book import Book
from tinynet.workbook.page import FIRST_STEP_ROW
from tinynet.workbook.plan import Block
from tinynet.workbook.worked import Live


def book_of(line: str) -> Book:
    return Book(cli.recorded(["export", *line.split()]), "names", "Network")


def block(book: Book, name: str) -> Block:
    return next(block for block in book.plan.blocks if block.name == name)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str, float | None]]]:
    """Of some networks: the sentence, the worked line and the height of every step."""
    folder, found = tmp_path_factory.mktemp("steps"), {}
    for line in ("lstm", "rnn --hidden 1 --updates 3 --steps 2", "gru --hidden 2 --batch 2 --lengths 4,2"):
        path = write(cli.recorded(["export", *line.split()]), folder / f"{len(found)}.xlsx").path
        sheet = openpyxl.load_workbook(path, data_only=True)["Steps"]
        rows = sheet.iter_rows(min_row=FIRST_STEP_ROW + 2, max_col=5)
        found[line.split()[0]] = [(r[3].value, r[4].value, sheet.row_dimensions[r[0].row].height) for r in rows]
        assert all(cell.alignment.wrap_text for cell in sheet[FIRST_STEP_ROW + 2][3:5])
    return found


def test_a_round_of_training_starts_its_way_back_after_its_loss():
    book = book_of("rnn --hidden 1 --updates 3")
    order = [block.name for moment in book.moments.all for block in moment.blocks]
    for ending in ("", "#2", "#3"):
        assert order.index(f"d_loss{ending}") == order.index(f"loss{ending}") + 1


def test_the_round_is_said_where_there_are_several(said: dict):
    starts = [sentence.partition(":")[0] for sentence, *_ in said["rnn"]]
    assert "round 1, t = 0" in starts and "round 3, t = 1" in starts and "round 2" in starts
    assert not any("round" in sentence for sentence, *_ in said["lstm"])


def test_an_equation_of_several_steps_is_said_once(said: dict):
    assert "t = 3 … t = 0:  gradient of hidden state:  δh ← t = weightᵀ·δz" in [s for s, *_ in said["lstm"]]


def test_gradients_are_called_so_once(said: dict):
    texts = [sentence for sentence, *_ in said["lstm"]]
    assert "t = 3:  gradients of output gate, squashed cell state:  δo = δh ⊙ tanh_c;  δtanh_c = δh ⊙ o" in texts


def test_every_row_is_as_high_as_its_texts_need(said: dict):
    for sentence, numbers, height in (row for rows in said.values() for row in rows):
        assert (height or 15) >= 15 * -(-max(len(sentence), len(numbers)) // 80)


def test_classes_and_lengths_are_whole_numbers(said: dict):
    assert any("[2 = 2]·" in numbers for _, numbers, _ in said["lstm"])
    assert any(numbers.startswith("running[1], first element:  4 > 1  =  1") for _, numbers, _ in said["gru"])


@pytest.mark.parametrize("number, text", [(-0.766, "(-0.766)"), (0.25, "0.250"), (-0.0001234, "(-1.2E-4)")])
def test_a_negative_number_that_is_subtracted_stands_in_parentheses(number: float, text: str):
    live = Live("A1", number, subtracted=True)
    assert str(live) == text and live.format in ("0.000;(-0.000)", "0.0E+0;(-0.0E+0)")


def test_both_signs_of_a_difference_are_read(said: dict):
    assert not any("−-" in numbers or "− -" in numbers for rows in said.values() for _, numbers, _ in rows)


@pytest.mark.parametrize("line", ["cnn", "lstm --lengths 3"])
def test_whole_numbers_have_no_decimals_on_the_sheets(line: str, tmp_path: Path):
    book = book_of(line)
    path = write(book.run, tmp_path / "network.xlsx").path
    sheets = openpyxl.load_workbook(path)
    whole = [block for block in book.plan.blocks if block.value.array.dtype.kind in "iub"]
    for cell in (int(block.ids.flat[0]) for block in whole):
        sheet = book.sheets[int(book.layout.sheet[cell])].name
        assert sheets[sheet][book.addresses.text[cell]].number_format == "0"


def test_zeros_that_come_later_are_zeros(tmp_path: Path):
    """And those of this step, and those that it reads."""
    book = book_of("lstm --hidden 1")
    path = write(book.run, tmp_path / "network.xlsx").path
    name = book.addresses.text[int(block(book, "d_lstm.f[0]").ids.flat[0])]
    rules = openpyxl.load_workbook(path)["Network"].conditional_formatting
    (here,) = [area.rules for area in rules if name in area]
    zero = [bool(rule.dxf.numFmt) for rule in sorted(here, key=lambda r: r.priority) if rule.type == "expression"]
    assert zero == [True, False, True, False, True, False, True, False, True]
