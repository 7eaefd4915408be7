"""What stands in the file: live formulas with cached values, exact numbers, legal names; never half a file."""

from __future__ import annotations

import math
import re
import struct
import sys
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.spreadsheets import libreoffice
from tests.workbooks import Sample, assert_agrees, opened, sample
from tinynet import functional as F
from tinynet import models
from tinynet.workbook import layout, read_book, verify, write
from tinynet.workbook.steps import StepsSheet
from tinynet.workbook.worksheet import ExactWorksheet
from tinynet.workbook.xlsx import defined_name

PORTABLE = "ABS AND COUNTIF EXP HYPERLINK IF INDEX INT ISNUMBER LEFT LN MATCH MAX MIN MMULT SIGN SQRT SUM SUMPRODUCT"
FUNCTIONS = {*PORTABLE.split(), "SUMSQ", "TANH", "TEXT", "COUNTA", "ROUND"}
EXPONENT = re.compile(r"(?<![\w.$])\d+(\.\d+)?E[+-]?\d", re.IGNORECASE)
CELL_LIKE = re.compile(r"[A-Z]{1,3}\d+|R\d*C?\d*|C\d*|TRUE|FALSE", re.IGNORECASE)
STEP, HIDE = "C3", "C6"  # the control cells


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("files")
    runs = {"mlp": models.mlp(batch=2), "lstm": models.lstm(), "rnn": models.rnn(steps=2, updates=2, batch=2)}
    return {name: sample(run, folder / f"{name}.xlsx") for name, run in runs.items()}


@pytest.fixture(params=["mlp", "lstm", "rnn"])
def one(request: pytest.FixtureRequest, books: dict[str, Sample]) -> Sample:
    return books[request.param]


def small(**values: Any) -> tn.Run:
    """A run of one line: loss = tanh(w) summed."""
    w = tn.tensor(values.get("w", [0.5, -0.25]), requires_grad=True, name=values.get("name", "w"))
    with tn.record() as run:
        w.tanh().sum().backward()
    return run


def without_texts(formula: str) -> str:
    return re.sub(r'"[^"]*"', '""', formula)


# Formulas and what they show


def test_every_formula_has_a_cached_value(one: Sample):
    with zipfile.ZipFile(one.path) as archive:
        cells = 0
        for part in archive.namelist():
            if part.startswith("xl/worksheets/sheet"):
                for cell in re.findall(r"<c [^>]*>(?:(?!</c>).)*<f>.*?</c>", archive.read(part).decode()):
                    cells += 1
                    shows_no_text = "(Steps!$C$" in cell  # the time of step 0
                    assert re.search(r"</f><v>[^<]+</v></c>", cell) or shows_no_text, cell
    assert cells == len(one.formulas) > one.written.formula_cells


def test_the_cached_values_are_what_a_spreadsheet_computes(one: Sample):
    cached = opened(one.path, values=True)
    values = libreoffice(one.path)
    for sheet, address in one.formulas:
        stored, shown = cached[sheet][address].value, values[sheet].get(address)
        if isinstance(stored, str) or stored is None:
            assert (stored or "") == (shown or ""), f"{sheet}!{address}"
        else:
            assert shown == pytest.approx(stored, rel=1e-12, abs=1e-12), f"{sheet}!{address}"


def test_the_numbers_typed_in_are_the_leaves_and_nothing_else(one: Sample):
    leaves = [block for block in one.book.plan.blocks if block.expression is None]
    typed_in = {place: number for b in leaves for place, number in zip(one.places(b), one.numbers(b), strict=True)}
    book = opened(one.path)
    found = {}
    for name in one.networks:
        for row in book[name].iter_rows():
            for cell in row:
                is_unit = cell.coordinate[0] == "B" or cell.coordinate in (STEP, HIDE)
                if cell.data_type == "n" and cell.value is not None and not is_unit and not hidden(book[name], cell):
                    found[name, cell.coordinate] = cell.value
    assert found == typed_in


def hidden(ws: Any, cell: Any) -> bool:
    return any(d.hidden and d.min <= cell.column <= d.max for d in ws.column_dimensions.values())


def test_formulas_use_portable_functions_only(one: Sample):
    book = opened(one.path)
    rules = [rule for ws in book for area in ws.conditional_formatting for rule in area.rules]
    for formula in [*one.formulas.values(), *(f for rule in rules for f in rule.formula)]:
        bare = without_texts(formula)
        assert set(re.findall(r"([A-Za-z_.]\w*)\(", bare)) <= FUNCTIONS, formula
        assert not EXPONENT.search(bare) and not re.search(r"[@{}]|TRUE|FALSE|#", bare), formula
        assert len(formula) <= 8192
        assert not re.search(r"(?<![\w)])-\w+\^", bare), f"the sign binds tighter than ^ here: {formula}"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_formulas_have_no_exponent_and_are_exact(x: float):
    from tinynet.workbook.formulas import number

    text = number(x)
    assert float(text) == x and re.fullmatch(r"-?\d+(\.\d+)?", text)


# Names


def test_defined_names_are_legal_and_point_at_their_numbers(one: Sample):
    book = opened(one.path, values=True)
    names = {name: defined.attr_text for name, defined in book.defined_names.items()}
    assert len({name.lower() for name in names}) == len(names)
    wanted = defaultdict(list)
    for value in one.run.values:
        if value.quantity is not None and value.share is None and value.update == 0:
            wanted[defined_name(value.quantity)] += np.asarray(value.array, dtype=float).reshape(-1).tolist()
    found = set(names) & set(wanted)
    assert {"loss", "x", "target"} <= found
    pieces = {defined_name(r.name) for sheet in one.book.sheets for part in sheet.parts for r in part.rectangles}
    assert pieces <= set(names)
    for name, range_ in names.items():
        assert re.fullmatch(r"[A-Za-z_][\w.]*", name) and not CELL_LIKE.fullmatch(name)
        sheet, _, area = range_.rpartition("!")
        cells = book[sheet.strip("'")][area.replace("$", "")]
        rows = cells if isinstance(cells, tuple) else ((cells,),)
        held = sorted(cell.value for row in rows for cell in row if cell.value is not None)
        if name in found:
            assert held == sorted(np.asarray(wanted[name]) + 0.0), name


@given(st.text(max_size=40))
def test_any_text_becomes_a_legal_name(text: str):
    name = defined_name(text)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) and not CELL_LIKE.fullmatch(name)
    assert defined_name(name) == name


ODD_NAMES = [
    "=1+1",
    "<b>&amp;\"'",
    "w" * 40,
    "a#b",
    "x[0]",
    "naïve ✓",
    "R1C1",
    "TRUE",
    "a!b",
    "Graph",
    "_x0041_",
    "d_w",
    " ",
    ".",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_text_from_users_is_text(name: str, tmp_path: Path):
    w = tn.tensor([0.5, -0.25], requires_grad=True, name=name)
    with tn.record() as run:
        tn.name(w.tanh(), f"{name} squashed", title=name).sum().backward()
    run.description = name
    one = sample(run, tmp_path / "text.xlsx", title=name)
    values = libreoffice(one.path)
    assert_agrees(one, values)
    assert values["Checks"]["B3"] == "ALL CELLS ARE AS RECORDED"
    assert values["Network"]["A1"] == name and not any("1+1" in without_texts(f) for f in one.formulas.values())
    assert verify(one.path).ok and read_book(one.path).book.run.description == name


# Numbers

AWKWARD = [
    0.1 + 0.2,
    1e-300,
    5e-324,
    -5e-324,
    2.0**-1040,
    1.7976931348623157e308,
    1 / 3,
    1e22,
    -0.0,
    123456789.123456789,
]


def bits(numbers: Any) -> list[bytes]:
    return [struct.pack("<d", number) for number in numbers]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
@example(AWKWARD)
@example([5e-324])
@example([1.7976931348623157e308])
@settings(max_examples=25, deadline=None)
def test_doubles_survive_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]):
    one = sample(small(w=numbers), tmp_path_factory.mktemp("exact") / "exact.xlsx")
    cells = [openpyxl.load_workbook(one.path, data_only=True)]
    for block in (b for b in one.book.plan.blocks if b.quantity in ("w", "d_w", "loss")):
        shown = [float(cells[0][sheet][address].value) for sheet, address in one.places(block)]
        assert bits(shown) == bits(one.numbers(block) + 0.0)  # but -0.0 is written as 0.0
    np.testing.assert_array_equal(read_book(one.path).book.run["w"], numbers)


def test_exact_numbers_need_the_hook(tmp_path: Path):
    """XlsxWriter's own worksheet keeps 16 digits; ours overrides a private method, which must still be called."""
    kept = {}
    for kind in (None, ExactWorksheet):
        path = tmp_path / "hook.xlsx"
        with xlsxwriter.Workbook(path) as book:
            ws = book.add_worksheet("numbers", worksheet_class=kind)
            for row, number in enumerate(AWKWARD):
                ws.write_number(row, 0, number)
        kept[kind] = [float(row[0].value) for row in openpyxl.load_workbook(path)["numbers"].iter_rows()]
    assert bits(kept[ExactWorksheet]) == bits(AWKWARD)
    assert bits(kept[None]) != bits(AWKWARD)


# The file


def test_the_same_run_gives_the_same_bytes(tmp_path: Path):
    for name in ("one.xlsx", "two.xlsx"):
        write(models.rnn(), tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    stamps = {item.date_time for item in zipfile.ZipFile(tmp_path / "one.xlsx").infolist()}
    assert len(stamps) == 1 and min(stamps)[0] == 1980


def test_what_is_written_is_told(one: Sample):
    told = one.written
    times = ["Time steps"] if any(value.share == "next" for value in one.run.values) else []
    assert told.sheets == ["Read me", *one.networks, "Steps", "Checks", "Yours", *times]
    assert told.formula_cells == sum(block.ids.size for block in one.computed)
    assert told.size == one.path.stat().st_size
    assert told.loss == one.run["loss"]


def test_helper_sheets_are_hidden_and_heads_are_frozen(one: Sample):
    book = opened(one.path)
    assert [ws.title for ws in book if ws.sheet_state == "visible"] == one.written.sheets
    assert book.active.title == "Read me"
    recorded = [one.book.recorded_sheet(sheet) for sheet in one.book.sheets]
    assert [ws.title for ws in book if ws.sheet_state == "hidden"] == [*recorded, "Graph"]
    for name in one.networks:
        pane = openpyxl.utils.cell.coordinate_from_string(book[name].freeze_panes)
        first = min(one.book.layout.row[one.book.layout.placed]) + 1
        assert pane[0] == "C" and 7 < pane[1] <= first
    assert book["Steps"].freeze_panes == "B5" and book["Checks"].freeze_panes == "A5"


def test_the_recorded_numbers_stand_at_the_same_addresses(one: Sample):
    book = opened(one.path, values=True)
    for sheet in one.book.sheets:
        recorded = book[one.book.recorded_sheet(sheet)]
        for block in one.book.plan.blocks:
            for (name, address), number in zip(one.places(block), one.numbers(block), strict=True):
                if name == sheet.name:
                    assert recorded[address].value == book[name][address].value == number + 0.0


def test_every_link_leads_to_a_place_in_the_book(one: Sample):
    book = opened(one.path)
    cells = [cell for ws in book for row in ws.iter_rows() for cell in row]
    links = [cell.hyperlink.location for cell in cells if cell.hyperlink]
    assert len(links) > len(one.book.moments.all)
    for target in links:
        sheet, _, area = target.rpartition("!")
        assert sheet.strip("'") in book.sheetnames and re.fullmatch(r"[A-Z]+\d+(:[A-Z]+\d+)?", area), target


# What cannot be written


def test_a_number_that_is_not_finite_is_named(tmp_path: Path):
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=f"w contains {number}, which no spreadsheet cell can hold"):
            small(w=[0.5, number]).to_excel(tmp_path / "x.xlsx")
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="loss contains inf"):
        w = tn.tensor([1e200, 1e200], requires_grad=True, name="w")
        with tn.record() as run:
            (w * w).sum().backward()
        run.to_excel(tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_steps_is_refused(tmp_path: Path):
    with tn.record() as run:
        pass
    with pytest.raises(ValueError, match="recorded no operation: compute something"):
        run.to_excel(tmp_path / "x.xlsx")


@pytest.mark.parametrize("name", ["x.xls", "x", "x.csv", "x.xlsm"])
def test_another_format_is_refused(name: str, tmp_path: Path):
    with pytest.raises(ValueError, match=rf"{name} does not end in \.xlsx"):
        small().to_excel(tmp_path / name)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=f"there is no folder {tmp_path / 'missing'}"):
        small().to_excel(tmp_path / "missing" / "x.xlsx")


def test_the_budget_is_told_with_both_numbers(tmp_path: Path):
    cells = write(models.mlp(), tmp_path / "fits.xlsx", max_cells=631).formula_cells
    with pytest.raises(ValueError, match=rf"would need {cells} formula cells, the budget is {cells - 1} \(the lar"):
        write(models.mlp(), tmp_path / "x.xlsx", max_cells=cells - 1)
    assert not (tmp_path / "x.xlsx").exists()


def test_a_large_book_is_written_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules["tinynet.workbook.write"], "WARN", 2)
    with pytest.warns(UserWarning, match=r"\d+ formula cells \(the largest: .* LibreOffice will take"):
        small().to_excel(tmp_path / "x.xlsx")


@pytest.mark.parametrize(("limit", "what"), [("MAX_COLUMNS", "columns"), ("MAX_ROWS", "rows")])
def test_what_does_not_fit_on_a_sheet_is_said(limit: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layout, limit, 12)
    with pytest.raises(ValueError, match=rf"would need \d+ {what}, a spreadsheet has 12: export fewer"):
        models.rnn(batch=3).to_excel(tmp_path / "x.xlsx")


def test_a_formula_that_is_too_long_is_named(tmp_path: Path):
    columns = [tn.tensor([0.1 * i], name=f"x{i}") for i in range(150)]
    with tn.record() as run:
        total = columns[0].tanh()
        for x in columns[1:]:
            total = total + x.tanh()
        total.sum()
    assert max(map(len, sample(run, tmp_path / "long.xlsx").formulas.values())) <= 8192


def test_an_unknown_detail_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="detail is 'all', expected 'names' or 'ops'"):
        small().to_excel(tmp_path / "x.xlsx", detail="all")


@pytest.mark.parametrize("where", [(xlsxwriter.Workbook, "close"), (StepsSheet, "write")])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    where: tuple[type, str], error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    old, new = tmp_path / "old.xlsx", tmp_path / "new.xlsx"
    small().to_excel(old)
    before = old.read_bytes()

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(*where, fail)
    for path in (old, new):
        with pytest.raises(type(error)):
            models.rnn().to_excel(path)
    assert [path.name for path in tmp_path.iterdir()] == ["old.xlsx"] and old.read_bytes() == before


def test_a_file_is_replaced_and_readable_by_all(tmp_path: Path):
    path = tmp_path / "x.xlsx"
    path.write_text("something else")
    small().to_excel(path)
    assert verify(path).ok and path.stat().st_mode & 0o777 == 0o644


def test_float32_is_computed_again_in_float64(tmp_path: Path):
    one = small(w=np.array([0.1, 0.2], dtype="float32"))
    path = tmp_path / "x.xlsx"
    one.to_excel(path)
    run = read_book(path).book.run
    assert run["loss"] == np.tanh(one["w"].astype(float)).sum() and verify(path).ok


@pytest.mark.parametrize(
    "name, description, said",
    [
        ("x" * 300, "", "300 characters, a spreadsheet allows 255"),
        ("y", "z" * 40_000, "40,000 characters on the sheet"),
    ],
)
def test_texts_that_do_not_fit_are_refused_and_not_cut(name: str, description: str, said: str, tmp_path: Path):
    with tn.record() as run:
        tn.name(tn.tensor([1.0], requires_grad=True, name="w") * 2, name).sum().backward()
    run.description = description
    with pytest.raises(ValueError, match=said):
        run.to_excel(tmp_path / "x.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_parameter_of_more_rows_than_its_quantity_has_rows_of_its_own(tmp_path):
    a = tn.tensor(np.array([[1.0, 2, 3, 4, 5]]), requires_grad=True, name="a")
    with tn.record() as run:
        tn.name(F.leaky_relu(a), "y").sum().backward()
    run.to_excel(tmp_path / "tall.xlsx")
    np.testing.assert_array_equal(tn.load(tmp_path / "tall.xlsx")["a"], run["a"])


def test_the_largest_of_nothing_but_padding_is_zero(tmp_path):
    x = tn.tensor(np.array([[1.0, 2.0]]), requires_grad=True, name="x")
    with tn.record() as run:
        tn.name(F.pad(x, [(1, 0), (0, 0)]).max(axis=1), "y").sum().backward()
    run.to_excel(tmp_path / "padding.xlsx")
    np.testing.assert_array_equal(tn.load(tmp_path / "padding.xlsx").replay()["y"], [0, 2])


@pytest.mark.parametrize("name", ["a\x01b", "a\x00b", "a\uffffb", "a\ud800b"])
def test_control_characters_in_names_leave_the_parts_well_formed(name, tmp_path):
    with tn.record() as run:
        tn.name(tn.tensor([[1.0, 2.0]], name=name) * 2, f"{name}.twice").sum()
    run.to_excel(tmp_path / "odd.xlsx", title=name)
    with zipfile.ZipFile(tmp_path / "odd.xlsx") as file:
        for part in file.namelist():
            ElementTree.fromstring(file.read(part))


def test_numbers_whose_squares_no_cell_can_hold_are_refused_by_name(tmp_path):
    with tn.record() as run:
        tn.name(tn.tensor([[1e160, 2.0]], name="x") * 2.0, "y").sum()
    with pytest.raises(ValueError, match=r"^y has numbers up to 2e\+160"):
        run.to_excel(tmp_path / "large.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_graph_of_letters_beyond_the_first_plane_fits_into_its_cells(tmp_path):
    x = tn.tensor([1.0], name="x")
    with tn.record() as run:
        for i in range(120):
            x = tn.name(x * 1.5, f"𝛿𝐖𝐡𝐡𝐬𝛿𝐖𝐡𝐡𝐬𝛿𝐖𝐡𝐡𝐬𝛿𝐖𝐡𝐡𝐬𝛿𝐖𝐡𝐡𝐬𝛿𝐖𝐡𝐡𝐬𝛿𝐖𝐡𝐡𝐬𝛿𝐖𝐡𝐡𝐬.{i}")
    run.to_excel(tmp_path / "letters.xlsx")
    assert [v.name for v in tn.load(tmp_path / "letters.xlsx").values] == [v.name for v in run.values]


def test_a_file_that_cannot_be_written_whole_is_an_error_of_the_system(tmp_path, monkeypatch):
    """A full disk; the old file stays, and nothing else."""

    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "full.xlsx"
    models.rnn().to_excel(path)
    before = path.read_bytes()
    monkeypatch.setattr(ExactWorksheet, "_write_rows", full)
    with pytest.raises(OSError, match="No space left on device"):
        models.rnn().to_excel(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["full.xlsx"]


def _vectors():
    W, U = tn.Parameter(np.eye(3) * 0.5, "W"), tn.Parameter(np.ones((3, 3)) * 0.1, "U")
    x, h = tn.tensor(np.arange(9.0).reshape(3, 3) / 9, name="x"), tn.tensor(np.zeros(3), name="h")
    for t in range(2):
        with tn.time_step(t):
            z = tn.name(W @ x[t] + U @ h, "z")
            c, h = tn.name(z[:2].tanh(), "c"), tn.name(z.tanh(), "h")
    return h.sum() + c.sum()


def _two_loops():
    x, w = tn.tensor(np.arange(6.0).reshape(2, 3) / 6, name="x"), tn.Parameter(np.ones(3), "w")
    states, h, g = [], tn.tensor(np.zeros(3), name="h"), tn.tensor(np.zeros(3), name="g")
    for t in range(2):
        with tn.time_step(t):
            h = tn.name((x[t] * w + h).tanh(), "h")
            states.append(h)
    for t in range(2):
        with tn.time_step(t):
            g = tn.name((states[t] * w + g).tanh(), "g")
    return g.sum()


def _a_name_with_and_without_steps():
    x, w, loss = tn.tensor(np.ones((2, 2, 3)), name="x"), tn.Parameter(np.eye(3), "w"), 0
    for t in range(2):
        with tn.time_step(t):
            loss = tn.name(loss + ((x[t] @ w).tanh() ** 2).sum(), "loss")
    return tn.name(loss / 2, "loss")


@pytest.mark.parametrize("loss", [_vectors, _two_loops, _a_name_with_and_without_steps])
def test_every_cell_has_a_place_of_its_own(loss, tmp_path):
    with tn.record() as run:
        loss().backward()
    run.to_excel(tmp_path / "book.xlsx")
    assert verify(tmp_path / "book.xlsx").ok
