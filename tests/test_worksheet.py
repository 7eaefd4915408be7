"""Worksheets whose cells are streamed, beside XlsxWriter's own; and the packages that they are written into."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from openpyxl.utils.escape import unescape
from xlsxwriter.worksheet import Worksheet

from tinynet.workbook import package, worksheet
from tinynet.workbook.worksheet import ExactWorksheet, looks_of
from tinynet.workbook.xlsx import open_workbook

TEXTS = ("", " a & b < c > d ", '"quoted"', "line\nbreak", "ünï😀", "_x0041_", "=not a formula", "\x01")
FORMULAS = (('=A1&"<&>"', 'x<&>"'), ("=1/0", "#DIV/0!"), ("=A1<B1", True), ("=SUM(A1:B2)", -1.5e-300), ("=1", 3))


def fill(ws: Any, book: Any) -> None:
    """Cells of every kind that is known, one by one, some written twice."""
    bold, frame = book.add_format({"bold": True}), book.add_format({"border": 1, "num_format": "0.00"})
    ws.set_row(40, 30)
    ws.set_row(2, 20)
    ws.set_column(1, 1, 30)
    ws.write_string(0, 0, "first", bold)
    ws.write_string(0, 0, "last", frame)
    for row, text in enumerate(TEXTS, start=1):
        ws.write_string(row, 1, text, bold if row % 2 else None)
    for row, (formula, value) in enumerate(FORMULAS, start=1):
        ws.write_formula(row, 30, formula, frame, value)
    for row, number in enumerate((0, 1, -0.5, 0.1, 1e300, 123456789)):
        ws.write_number(20 + row, row, number, frame)
    ws.write_blank(30, 3, None, frame)
    ws.write_blank(30, 4, None)
    ws.merge_range(32, 0, 33, 3, "merged & more", bold)
    ws.write_rich_string(35, 2, bold, "one", frame, " two", bold)
    ws.write_url(36, 0, "internal:'first & last'!A1", bold, "there & back")
    ws.conditional_format(0, 0, 3, 3, {"type": "formula", "criteria": "=$A$1>0", "format": bold})


def written(kind: type, path: Path) -> dict[str, Any]:
    """What openpyxl reads: of each cell its content, its value and its look."""
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        fill(book.add_worksheet("first & last", worksheet_class=kind), book)
    contents, values = (openpyxl.load_workbook(path, data_only=only).worksheets[0] for only in (False, True))
    cells = {
        cell.coordinate: (
            *(cell.value, values[cell.coordinate].value, cell.data_type, cell.font.b, cell.border.left.style),
            *(cell.number_format, cell.hyperlink and cell.hyperlink.location),
        )
        for row in contents.iter_rows()
        for cell in row
    }
    heights = {row: contents.row_dimensions[row].height for row in range(1, 45)}
    return {"cells": cells, "heights": heights, "merged": str(contents.merged_cells), "size": contents.dimensions}


def test_what_is_read_is_what_xlsxwriter_writes(tmp_path: Path):
    assert written(ExactWorksheet, tmp_path / "ours.xlsx") == written(Worksheet, tmp_path / "theirs.xlsx")


@given(places=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), min_size=1, max_size=60), data=st.data())
@settings(max_examples=25, deadline=None)
def test_many_at_once_are_as_one_by_one(tmp_path_factory: pytest.TempPathFactory, places: list, data: st.DataObject):
    numbers = data.draw(npst.arrays(float, len(places), elements=st.floats(allow_nan=False, allow_infinity=False)))
    rows, columns = np.array(places).T
    formulas = [f'={row}<{column}>{row}&"&"' for row, column in places]
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worksheet, "CHUNK", data.draw(st.integers(1, 7)))
        patch.setattr(worksheet, "BANDS", data.draw(st.integers(1, 7)))
        for at_once in (True, False):
            path = tmp_path_factory.mktemp("cells") / "x.xlsx"
            with xlsxwriter.Workbook(path) as book:
                ws = book.add_worksheet("cells", worksheet_class=ExactWorksheet)
                looks = [book.add_format({"bold": True}), None]
                formats = [looks[i % 2] for i in range(len(places))]
                if at_once:
                    many = looks_of(looks, np.arange(len(places)) % 2)
                    ws.write_numbers(rows, columns, numbers, many)
                    ws.write_formulas(rows + 5, columns, formulas, numbers, many)
                else:
                    for (row, column), number, look in zip(places, numbers.tolist(), formats, strict=True):
                        ws.write_number(row, column, number, look)
                    for (row, column), text, number, look in zip(
                        places, formulas, numbers.tolist(), formats, strict=True
                    ):
                        ws.write_formula(row + 5, column, text, look, number)
            kept.append(zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml"))
    assert kept[0] == kept[1]


def test_one_number_stands_for_a_row_or_a_column(tmp_path: Path):
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as book:
        ws = book.add_worksheet("cells", worksheet_class=ExactWorksheet)
        ws.write_numbers(np.arange(3), 2, np.array([5, 6, 7]))
        ws.write_formulas(4, np.arange(2), ["=C1", "=C2"], np.array([5.0, 6.0]))
    read = openpyxl.load_workbook(tmp_path / "x.xlsx")["cells"]
    assert [read.cell(row, 3).value for row in (1, 2, 3)] == [5, 6, 7]
    assert [read.cell(5, column).value for column in (1, 2)] == ["=C1", "=C2"]


def test_texts_at_once_stand_in_the_cells(tmp_path: Path):
    texts = [*TEXTS[1:], "  ends in a space "]
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as book:
        ws = book.add_worksheet("cells", worksheet_class=ExactWorksheet)
        ws.write_texts(np.arange(len(texts)), 0, texts, book.add_format({"bold": True}))
    read = openpyxl.load_workbook(tmp_path / "x.xlsx")["cells"]
    # What spreadsheets undo everywhere, such as _x0001_, openpyxl leaves to us here
    assert [unescape(read.cell(row, 1).value) for row in range(1, len(texts) + 1)] == texts and read["A1"].font.b
    assert zipfile.ZipFile(tmp_path / "x.xlsx").read("xl/worksheets/sheet1.xml").count(b"inlineStr") == len(texts)


def test_what_cannot_be_written_is_said(tmp_path: Path):
    for number in (np.nan, np.inf):
        with pytest.raises(ValueError, match="'cells' is not finite"), open_workbook(tmp_path / "x.xlsx") as book:
            ws = book.add_worksheet("cells", worksheet_class=ExactWorksheet)
            ws.write_numbers(np.arange(2), 0, np.array([1.0, number]))
    for row, column in ((0, 16_384), (1_048_576, 0)):
        with pytest.raises(ValueError, match="more rows or columns"), open_workbook(tmp_path / "x.xlsx") as book:
            book.add_worksheet("cells", worksheet_class=ExactWorksheet).write_number(row, column, 1)
    with (
        pytest.raises(ValueError, match="32,768 characters on the sheet 'cells'"),
        open_workbook(tmp_path / "x.xlsx") as book,
    ):
        book.add_worksheet("cells", worksheet_class=ExactWorksheet).write_texts(np.arange(2), 0, ["a", "b" * 32_768])
    with pytest.raises(NotImplementedError), open_workbook(tmp_path / "x.xlsx") as book:
        book.add_worksheet("cells", worksheet_class=ExactWorksheet).write_boolean(0, 0, True)
    assert not list(tmp_path.iterdir())  # nor does anything half-written stay behind


def test_links_beyond_what_a_sheet_takes_are_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worksheet, "MOST_LINKS", 2)
    with open_workbook(tmp_path / "x.xlsx") as book:
        ws = book.add_worksheet("cells", worksheet_class=ExactWorksheet)
        for row in range(3):
            ws.write_url(row, 0, "internal:cells!A1", None, f"to {row}")
    read = openpyxl.load_workbook(tmp_path / "x.xlsx")["cells"]
    assert [(cell.value, cell.hyperlink is not None) for cell in read["A"]] == [
        ("to 0", True),
        ("to 1", True),
        ("to 2", False),
    ]


def test_a_chart_shows_the_numbers_of_its_cells(tmp_path: Path):
    with open_workbook(tmp_path / "x.xlsx") as book:
        ws = book.add_worksheet("cells", worksheet_class=ExactWorksheet)
        for row in range(3):
            ws.write_string(row, 0, f"step {row}")
            ws.write_formula(row, 1, f"={row}/3", None, row / 3)
        chart = book.add_chart({"type": "line"})
        chart.add_series({"categories": ["cells", 0, 0, 3, 0], "values": ["cells", 0, 1, 3, 1]})
        ws.insert_chart(0, 3, chart)
    xml = zipfile.ZipFile(tmp_path / "x.xlsx").read("xl/charts/chart1.xml").decode()
    assert all(f"<c:v>{shown}</c:v>" in xml for shown in ("step 0", "step 2", "0.0", repr(1 / 3), repr(2 / 3)))


def test_parts_are_packed_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """At every level of compression the parts are those of XlsxWriter's own package, in its order."""
    parts = []
    for level in (None, 1, 9):
        path = tmp_path / f"{level}.xlsx"
        monkeypatch.setattr(package, "LEVEL", level)
        book = xlsxwriter.Workbook(path) if level is None else None
        if book is None:
            with open_workbook(path) as book:
                fill(book.add_worksheet("first & last", worksheet_class=ExactWorksheet), book)
        else:
            book.set_properties({"created": xlsxwriter.workbook.datetime(2000, 1, 1)})
            fill(book.add_worksheet("first & last", worksheet_class=ExactWorksheet), book)
            book.close()
        file = zipfile.ZipFile(path)
        assert file.testzip() is None
        parts.append({item.filename: file.read(item) for item in file.infolist()})
    assert list(parts[0]) == list(parts[1]) and parts[0] == parts[1] == parts[2]
