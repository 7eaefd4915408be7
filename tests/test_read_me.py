"""The sheet Read me: it speaks of what the book has, and all of its texts can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

import tinynet as tn
from tests.gradients import spread
from tinynet import cli
from tinynet.workbook import write


def page(run: tn.Run | str, tmp_path: Path) -> Worksheet:
    """The first sheet of the workbook of a run, or of what a command line records."""
    run = cli.recorded(["export", *run.split()]) if isinstance(run, str) else run
    return openpyxl.load_workbook(write(run, tmp_path / "network.xlsx").path).worksheets[0]


def texts(sheet: Worksheet) -> list[str]:
    return [cell.value for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]


def test_a_book_without_a_way_back_does_not_speak_of_gradients(tmp_path: Path):
    said = " ".join(texts(page("cnn --kernel edge", tmp_path)))
    for word in ("δ", "gradient", "loss", "Yellow", "learning rate", "Right =", "for example"):
        assert word not in said, word
    assert "Typed in: parameters, inputs." in said


@pytest.mark.parametrize("line", ["lstm", "cnn"])
def test_a_book_with_a_way_back_does(line: str, tmp_path: Path):
    said = " ".join(texts(page(line, tmp_path)))
    for word in ("δx is dLoss/dx", "your edits do to the loss", "d_ + name and new_ + name, for example d_"):
        assert word in said, word
    assert ("Yellow = chosen" in said) == (line == "cnn")


@pytest.mark.parametrize("line", ["lstm", "lstm --lengths 3"])
def test_columns_of_whole_sequences_are_explained_where_there_are_some(line: str, tmp_path: Path):
    assert ("All steps" in texts(page(line, tmp_path))) == ("--lengths" in line)


def test_long_equations_take_several_lines_within_the_page(tmp_path: Path):
    w = tn.tensor(spread(2, 2), requires_grad=True, name="w")
    with tn.record() as run:
        for k in range(40):
            tn.name((w * k).exp(), f"a_long_name_of_number_{k}")
        tn.name(w.sum(), "loss").backward()
    sheet = page(run, tmp_path)
    assert sheet.print_area.startswith("'Read me'!$A$1:$B$")
    long = [row[1] for row in sheet.iter_rows(max_col=2) if len(str(row[1].value)) > 135]
    assert long
    for cell in long:
        assert cell.alignment.wrap_text
        assert sheet.row_dimensions[cell.row].height >= 15 * np.ceil(len(cell.value) / 135)
