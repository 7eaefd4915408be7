"""verify() accepts what spreadsheet programs save, finds what was tampered with, and survives any file."""

from __future__ import annotations

import random
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.spreadsheets import resave
from tests.workbooks import Sample, opened, sample, typed
from tinynet import models
from tinynet.workbook import Verification, read_book, verify

MODELS = {
    "mlp": lambda: models.mlp(inputs=4, hidden=3),
    "rnn": lambda: models.rnn(steps=3, batch=2),
    "lstm": models.lstm,
    "two updates": lambda: models.rnn(steps=2, updates=2),
    "two layers": lambda: models.lstm(steps=2, layers=2, hidden=2),
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("books")
    return {name: sample(make(), folder / f"{name}.xlsx") for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def one(books: dict[str, Sample]) -> Sample:
    return books["rnn"]


# Tampering: on the XML, so that all else stays as it was written


def rewritten(path: Path, out: Path, change: Callable[[str, str], str | None]) -> Path:
    """Copy a workbook; ``change(part, text)`` returns the new text of a part, or None to drop it."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            text = change(item.filename, source.read(item).decode())
            if text is not None:
                target.writestr(item, text)
    return out


def sheet_part(path: Path, sheet: str) -> str:
    """The part of the file that holds a sheet."""
    names = openpyxl.load_workbook(path, read_only=True).sheetnames
    return f"xl/worksheets/sheet{names.index(sheet) + 1}.xml"


def with_cell(path: Path, out: Path, sheet: str, address: str, pattern: str, new: str) -> Path:
    """Change one cell's XML: ``pattern`` must match inside it exactly once."""
    part = sheet_part(path, sheet)

    def change(name: str, text: str) -> str:
        if name != part:
            return text
        start = text.index(f'<c r="{address}"')
        end = text.index("</c>", start) + 4
        cell, count = re.subn(pattern, new, text[start:end])
        assert count == 1, text[start:end]
        return text[:start] + cell + text[end:]

    return rewritten(path, out, change)


def edited(one: Sample, out: Path, leaf: str, index: tuple[int, ...], number: object) -> Path:
    sheet, address = one.place_of(leaf, *index)
    return with_cell(one.path, out, sheet, address, r"<v>[^<]*</v>", f"<v>{number}</v>")


def resaved(folder: Path, *paths: Path) -> list[Path]:
    """What LibreOffice saves, in ``folder``."""
    return [resave(path, folder / path.name) for path in paths]


def first(result: Verification) -> tuple[str, str, str]:
    found = result.differences[0]
    return f"{found.sheet}!{found.address}", found.name, found.what


# What is right


@pytest.mark.parametrize("name", MODELS)
def test_a_fresh_book_is_right_to_the_last_digit(name: str, books: dict[str, Sample]):
    result = verify(books[name].path)
    assert result.ok and result.worst == 0 and result.edited == []
    assert result.cells == books[name].written.formula_cells


@pytest.mark.parametrize("name", MODELS)
def test_a_run_is_read_back_as_it_was(name: str, books: dict[str, Sample]):
    run, again = books[name].run, read_book(books[name].path).book.run
    assert again.to_json() == run.to_json() and again.names == run.names
    for old, new in zip(run.values, again.values, strict=True):
        np.testing.assert_array_equal(new.array, old.array)
        assert new.array.dtype == old.array.dtype


def test_a_book_that_libreoffice_saved_is_right(books: dict[str, Sample], tmp_path: Path):
    files = resaved(tmp_path, *(one.path for one in books.values()))
    for one, saved in zip(books.values(), files, strict=True):
        assert saved.read_bytes() != one.path.read_bytes()
        result = verify(saved)
        assert result.ok, [str(d) for d in result.differences[:3]]
        assert result.edited == [] and result.worst < 1e-14
        assert read_book(saved).book.run.to_json() == one.run.to_json()


def test_an_edited_book_that_libreoffice_recalculated_is_right(one: Sample, tmp_path: Path):
    """The edit is typed into a file without cached values, so that LibreOffice computes all of them."""
    place = one.place_of("rnn.weight_ih_l0", 1, 0)
    (tmp_path / "saved").mkdir()
    (saved,) = resaved(tmp_path / "saved", typed(one.path, tmp_path / "edited.xlsx", {place: 0.75}))
    result = verify(saved)
    assert result.ok, [str(d) for d in result.differences[:3]]
    assert result.edited == ["!".join(place)] and 0 < result.worst < 1e-12


def test_a_book_saved_without_values_says_so(one: Sample, tmp_path: Path):
    result = verify(typed(one.path, tmp_path / "x.xlsx", {}))
    assert len(result.differences) == result.cells == one.written.formula_cells
    assert "holds no value" in first(result)[2] and "open and save the file in a spreadsheet" in first(result)[2]


# What is wrong


def block_place(one: Sample, name: str, element: int = 0) -> tuple[str, str]:
    return one.places(next(block for block in one.computed if block.name == name))[element]


@pytest.mark.parametrize("name", ["rnn.h[1]", "loss", "d_rnn.z[2]", "d_output.weight", "new_rnn.weight_hh_l0"])
def test_one_wrong_value_is_found_and_named(name: str, one: Sample, tmp_path: Path):
    sheet, address = block_place(one, name)
    shown = opened(one.path, values=True)[sheet][address].value
    wrong = shown + 2e-12
    path = with_cell(one.path, tmp_path / "x.xlsx", sheet, address, r"<v>[^<]*</v>", f"<v>{wrong!r}</v>")
    result = verify(path)
    assert len(result.differences) == 1 and result.worst_at == f"{sheet}!{address}"
    assert first(result) == (f"{sheet}!{address}", name, f"shows {wrong!r}, NumPy computes {shown!r}")


@pytest.mark.parametrize("content", ["#VALUE!", "a text"])
def test_an_error_or_a_text_in_place_of_a_number_is_found(content: str, one: Sample, tmp_path: Path):
    sheet, address = block_place(one, "rnn.h[1]")
    cell = rf'<c r="{address}" t="str"\1<v>{content}</v>'
    path = with_cell(one.path, tmp_path / "x.xlsx", sheet, address, r'<c r="\w+"(.*)<v>[^<]*</v>', cell)
    assert first(verify(path))[2].startswith(f"shows {content!r}")


@pytest.mark.parametrize("sheet", ["Network", "Steps", "Checks"])
def test_a_changed_formula_is_found_on_every_sheet(sheet: str, one: Sample, tmp_path: Path):
    places = [place for place in one.formulas if place[0] == sheet]
    for _, address in random.Random(1).sample(places, 3):
        formula = r"<f>(.*)</f>"
        path = with_cell(one.path, tmp_path / "x.xlsx", sheet, address, formula, r"<f>\1+0</f>")
        result = verify(path)
        assert [f"{d.sheet}!{d.address}" for d in result.differences] == [f"{sheet}!{address}"]
        assert "holds the formula" in first(result)[2] and "expected =" in first(result)[2]


def test_a_changed_reference_is_found(one: Sample, tmp_path: Path):
    sheet, address = block_place(one, "rnn.h[1]")
    path = with_cell(one.path, tmp_path / "x.xlsx", sheet, address, r"<f>TANH\((\w+)\)</f>", r"<f>TANH(\1*1)</f>")
    assert first(verify(path))[:2] == (f"{sheet}!{address}", "rnn.h[1]")


def test_a_number_typed_over_a_formula_is_found(one: Sample, tmp_path: Path):
    sheet, address = block_place(one, "rnn.h[1]")
    path = with_cell(one.path, tmp_path / "x.xlsx", sheet, address, r"<f>.*</f>", "")  # its value is still right
    where, name, what = first(verify(path))
    assert (where, name) == (f"{sheet}!{address}", "rnn.h[1]") and "and no formula, expected =TANH" in what


def test_a_formula_typed_over_an_input_is_found(one: Sample, tmp_path: Path):
    sheet, address = one.place_of("x", 0, 0, 0)
    path = with_cell(one.path, tmp_path / "x.xlsx", sheet, address, "<v>", "<f>1-1</f><v>")
    where, name, what = first(verify(path))
    assert (where, name) == (f"{sheet}!{address}", "x") and what == "holds the formula =1-1, expected a number"


@pytest.mark.parametrize("sheet", ["Steps", "Checks", "Read me", "Recorded"])
def test_a_missing_sheet_is_found(sheet: str, one: Sample, tmp_path: Path):
    book = openpyxl.load_workbook(one.path)
    del book[sheet]
    book.save(tmp_path / "x.xlsx")
    assert f"{sheet}!A1: the sheet is missing" in [str(d) for d in verify(tmp_path / "x.xlsx").differences]


def test_an_edit_that_nothing_followed_is_found_everywhere_it_matters(one: Sample, tmp_path: Path):
    path = edited(one, tmp_path / "x.xlsx", "output.bias", (0,), 0.5)
    result = verify(path)
    assert result.edited == ["!".join(one.place_of("output.bias", 0))]
    names = {d.name for d in result.differences}
    assert "loss" in names and "output.z" in names and not {"rnn.h[0]", "rnn.z[1]"} & names


# What cannot be verified: one clear ValueError


def refuses(path: Path, *words: str) -> None:
    for function in (read_book, tn.load, verify):
        with pytest.raises(ValueError) as caught:
            function(path)
        message = str(caught.value)
        assert "\n" not in message and len(message) < 400
        assert all(word in message for word in (path.name, *words)), message


@pytest.mark.parametrize("content", ["abc", "#N/A", "TRUE", ""])
def test_a_parameter_that_is_no_number_is_named(content: str, one: Sample, tmp_path: Path):
    sheet, address = one.place_of("rnn.weight_ih_l0", 1, 0)
    typed(one.path, tmp_path / "x.xlsx", {(sheet, address): True if content == "TRUE" else content or None})
    with pytest.raises(ValueError, match=rf"{sheet}!{address} \(.*\) holds .*, expected a number"):
        verify(tmp_path / "x.xlsx")


def test_a_class_that_is_not_there_is_named(one: Sample, tmp_path: Path):
    for number, words in ((7, "cannot be computed with"), (1.5, "expected a whole number"), (-9, "cannot be")):
        path = edited(one, tmp_path / "x.xlsx", "target", (1, 0), number)
        with pytest.raises(ValueError, match=words):
            verify(path)


def test_foreign_files_are_refused(tmp_path: Path):
    def text(path: Path) -> None:
        path.write_text("name,value\nw,1\n")

    def nothing(path: Path) -> None:
        path.write_bytes(b"")

    def archive(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("hello.txt", "hello")

    for make in (text, nothing, archive):
        make(tmp_path / "x.xlsx")
        refuses(tmp_path / "x.xlsx", "cannot be read as an .xlsx workbook")
    openpyxl.Workbook().save(tmp_path / "x.xlsx")
    refuses(tmp_path / "x.xlsx", "is not a workbook of tinynet")


def test_a_missing_file_is_named(tmp_path: Path):
    for function in (read_book, tn.load, verify):
        for path in (tmp_path / "none.xlsx", tmp_path):
            with pytest.raises(FileNotFoundError, match=f"there is no file {path}"):
                function(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'"tanh"', '"eval"'),
        (r"^\{", "["),
        (r'"format":"tinynet run 1"', '"format":"tinynet run 9"'),
        (r'"shape":\[\d+\]', '"shape":[123456789,123456789]'),
        (r'"tanh"', '"exp"'),
        (r'"time":1\b', '"time":"now"'),
        (r"\}$", ""),
    ],
)
def test_a_hidden_graph_that_was_changed_is_refused_or_found(old: str, new: str, one: Sample, tmp_path: Path):
    changed, count = re.subn(old, new, str(opened(one.path)["Graph"]["A3"].value), count=1)
    assert count == 1
    typed(one.path, tmp_path / "x.xlsx", {("Graph", "A3"): changed})
    try:
        assert not verify(tmp_path / "x.xlsx").ok
    except ValueError as error:
        assert "x.xlsx" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"detail": "all", "title": "x"}', '{"detail": 1}'])
def test_settings_that_make_no_sense_are_refused(content: str, one: Sample, tmp_path: Path):
    refuses(typed(one.path, tmp_path / "x.xlsx", {("Graph", "A2"): content}), "Graph", "damaged")


def test_a_network_sheet_that_is_gone_is_named(one: Sample, tmp_path: Path):
    book = openpyxl.load_workbook(one.path)
    book["Network"].title = "Other"
    book.save(tmp_path / "x.xlsx")
    refuses(tmp_path / "x.xlsx", "lacks the sheet 'Network'")


def test_expanding_entities_are_refused(one: Sample, tmp_path: Path):
    """A few lines of XML that would fill the memory."""
    levels = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    bomb = f'<!DOCTYPE w [<!ENTITY e0 "{"x" * 100}">{levels}]>'
    part = "xl/sharedStrings.xml"

    def change(name: str, text: str) -> str:
        return text if name != part else re.sub(r"(<sst)", rf"{bomb}\1", text).replace("<t>", "<t>&e9;", 1)

    refuses(rewritten(one.path, tmp_path / "x.xlsx", change), "cannot be read")


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/styles.xml", "xl/sharedStrings.xml", "[Content_Types].xml"])
def test_a_file_that_lacks_a_part_is_refused(part: str, one: Sample, tmp_path: Path):
    path = rewritten(one.path, tmp_path / "x.xlsx", lambda name, text: None if name == part else text)
    try:
        verify(path)  # styles are not needed to verify
    except ValueError as error:
        assert "x.xlsx" in str(error)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    w = tn.tensor([0.5], requires_grad=True, name="w")
    with tn.record() as run:
        w.tanh().backward()
    path = tmp_path_factory.mktemp("tiny") / "tiny.xlsx"
    run.to_excel(path)
    return path


def only_a_clear_error(path: Path) -> None:
    try:
        verify(path)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_never_do_more_than_raise_a_clear_error(data: st.DataObject, tiny: Path):
    content = bytearray(tiny.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    damaged = tiny.with_name("damaged.xlsx")
    damaged.write_bytes(content[:end])
    only_a_clear_error(damaged)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_xml_never_does_more_than_raise_a_clear_error(data: st.DataObject, tiny: Path):
    """The same inside the archive, where its checksums cannot notice."""
    parts = [name for name in zipfile.ZipFile(tiny).namelist() if not name.endswith("theme1.xml")]
    part = data.draw(st.sampled_from(parts))

    def change(name: str, text: str) -> str:
        if name != part:
            return text
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 20))
        return text[:start] + data.draw(st.text('<>/&"=cvfrt019:A-.', max_size=8)) + text[end:]

    only_a_clear_error(rewritten(tiny, tiny.with_name("damaged.xlsx"), change))


def test_verifying_changes_nothing(one: Sample, tmp_path: Path):
    path = Path(shutil.copy(one.path, tmp_path / "x.xlsx"))
    before = path.read_bytes()
    verify(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["x.xlsx"]
