"""The sheet Yours: pasted numbers are held against ours, and the first block that differs is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from openpyxl.utils.cell import column_index_from_string, coordinate_from_string

import tinynet as tn
from tests.spreadsheets import Values, ironcalc, libreoffice, poison, require
from tests.test_verify import resaved
from tests.workbooks import Sample, errors, opened, sample, typed
from tinynet import models
from tinynet.workbook import read_book, read_yours, read_yours_whole, verify, write, yours
from tinynet.workbook.book import cell_name
from tinynet.workbook.yours import YOURS, Place, places

Edits = dict[tuple[str, str], Any]
MODELS: dict[str, Callable[[], tn.Run]] = {
    "mlp": lambda: models.mlp(inputs=4, hidden=3),
    "lstm": lambda: models.lstm(steps=3, batch=2),
    "two updates": lambda: models.rnn(steps=2, updates=2),
    "cnn": lambda: models.cnn(kernel=3, channels=(2,)),
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("books")
    return {name: sample(make(), folder / f"{name}.xlsx") for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def one(books: dict[str, Sample]) -> Sample:
    return books["lstm"]


@pytest.fixture(scope="module")
def spoiled(one: Sample) -> Path:
    """The workbook with every cached value wrong."""
    poison(one.path, one.path.with_name("poisoned.xlsx"))
    return one.path.with_name("poisoned.xlsx")


def by_ironcalc(path: Path, edits: Edits) -> Values:
    """IronCalc's values after typing ``edits``."""
    model = require("ironcalc").load_from_xlsx(str(path))
    sheets = [sheet["name"] for sheet in model.get_worksheets_properties()]
    for (sheet, address), content in edits.items():
        letters, row = coordinate_from_string(address)
        model.set_user_input(sheets.index(sheet), row, column_index_from_string(letters), str(content))
    model.evaluate()
    out = path.with_name("typed.xlsx")
    out.unlink(missing_ok=True)
    model.save_to_xlsx(str(out))
    return ironcalc(out)


ENGINES: dict[str, Callable[[Path, Edits], Values]] = {"libreoffice": libreoffice, "ironcalc": by_ironcalc}
engines = pytest.mark.parametrize("engine", ENGINES)


def place_of(one: Sample, name: str) -> Place:
    return next(place for place in places(one.book) if place.name == name)


def address(one: Sample, name: str, *index: int) -> str:
    """Where one element is pasted: rows for all indices but the last, as NumPy prints."""
    place = place_of(one, name)
    shape = place.entry.shape or (1,)
    row = int(np.ravel_multi_index(index[:-1], shape[:-1])) if len(shape) > 1 else 0
    return cell_name(place.head + 1 + row, place.yours + (index[-1] if index else 0))


def paste(one: Sample, name: str, numbers: Any) -> Edits:
    """Cells to type; None is left empty."""
    array = np.asarray(numbers, dtype=object)
    found = {index: array[index] for index in np.ndindex(array.shape) if array[index] is not None}
    return {(YOURS, address(one, name, *index)): x if isinstance(x, str) else float(x) for index, x in found.items()}


def verdict(values: Values) -> str:
    return str(values[YOURS]["B3"])


def beside(values: Values, one: Sample, name: str) -> str:
    """What stands above the green cells of a block."""
    place = place_of(one, name)
    return str(values[YOURS][cell_name(place.head, place.yours)])


# What stands there


@pytest.mark.parametrize("name", MODELS)
def test_every_named_block_stands_there_once_in_the_order_of_execution(name: str, books: dict[str, Sample]):
    one = books[name]
    found = places(one.book)
    assert [place.entry.name for place in found] == [entry.name for entry in one.book.entries]
    assert len({place.name for place in found}) == len(found)
    covered = np.concatenate([place.entry.ids.reshape(-1) for place in found])
    assert sorted(covered.tolist()) == list(range(1, one.book.plan.cells + 1))
    cells = opened(one.path)[YOURS]
    for place in found:
        head = cells.cell(place.head + 1, 1)
        assert head.value == place.name and head.hyperlink.location == one.book.range(place.entry.area)
        shape = "×".join(map(str, place.entry.shape)) or "1"
        assert cells.cell(place.head + 1, 2).value == f"{shape}  {place.entry.kind}"


@pytest.mark.parametrize("name", MODELS)
def test_ours_is_live_and_in_rows_as_numpy_prints(name: str, books: dict[str, Sample]):
    """A (T, N, H) quantity: a row for each step and sample; maps and kernels: their tiles below one another."""
    one, run = books[name], books[name].run
    shown = opened(one.path, values=True)[YOURS]
    known = {place.name: place for place in places(one.book)}
    compared = 0
    for value in run.values:
        if value.name in known and value.update == 0:
            array = np.asarray(value.array, dtype=float)
            assert known[value.name].entry.shape == array.shape, value.name
            rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
            top, left = known[value.name].head + 2, known[value.name].ours + 1
            cells = [[shown.cell(top + i, left + j).value for j in range(rows.shape[1])] for i in range(len(rows))]
            np.testing.assert_array_equal(np.array(cells), rows + 0.0, err_msg=value.name)
            compared += 1
    assert compared > 20 and errors({YOURS: {c.coordinate: c.value for row in shown for c in row}}) == []


def test_a_weight_that_stands_transposed_on_its_sheet_stands_here_as_it_is(tmp_path: Path):
    w = tn.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True, name="w")
    with tn.record() as run:
        tn.name(tn.tensor(np.ones((4, 2)), name="x") @ w, "z").tanh().sum().backward()
    one = sample(run, tmp_path / "x.xlsx")
    rectangle = next(r for sheet in one.book.sheets for part in sheet.parts for r in part.rectangles if r.name == "w")
    assert rectangle.ids.shape == (3, 2)  # beside the units of z
    for name in ("w", "d_w"):
        assert place_of(one, name).entry.shape == (2, 3)
        edits = paste(one, name, run["w"] if name == "w" else run.grad["w"])
        assert verdict(libreoffice(one.path, edits)) == "all 6 pasted numbers agree"
    pasted = read_yours(typed(one.path, tmp_path / "y.xlsx", paste(one, "w", run["w"])))
    np.testing.assert_array_equal(pasted["w"], run["w"])


def test_parts_of_gradients_stand_in_the_shape_of_the_part(one: Sample):
    whole = one.run.grad["lstm.weight_ih_l0"]
    shown = opened(one.path, values=True)[YOURS]
    place = place_of(one, "d_lstm.W_if")
    assert place.entry.shape == (3, 2)
    top, left = place.head + 2, place.ours + 1
    cells = [[shown.cell(top + i, left + j).value for j in range(2)] for i in range(3)]
    np.testing.assert_array_equal(cells, whole[3:6])


# The verdict


@engines
def test_nothing_is_pasted_at_first_and_caches_are_not_believed(engine: str, one: Sample, spoiled: Path):
    values = ENGINES[engine](spoiled, {})
    assert verdict(values) == "nothing pasted yet" and values[YOURS]["B5"] == 0 and errors(values) == []
    assert beside(values, one, "lstm.c[1]") == "paste yours here"
    place = place_of(one, "lstm.c[1]")
    for i, number in enumerate(one.run["lstm.c[1]"].reshape(-1)):
        shown = values[YOURS][cell_name(place.head + 1 + i // 3, place.ours + i % 3)]
        assert shown == pytest.approx(number, abs=1e-13)


@engines
def test_what_agrees_is_counted(engine: str, one: Sample, spoiled: Path):
    edits = paste(one, "lstm.c[1]", one.run["lstm.c[1]"]) | paste(one, "output.z", one.run["output.z"] + 9e-7)
    values = ENGINES[engine](spoiled, edits | paste(one, "loss", one.run["loss"]))
    assert verdict(values) == f"all {6 + 18 + 1} pasted numbers agree" and values[YOURS]["B5"] == 0
    assert beside(values, one, "output.z") == "all 18 agree"


@engines
def test_the_first_difference_is_named(engine: str, one: Sample, spoiled: Path):
    """The block before it agrees, those after it are worse; within it the first number agrees too."""
    wrong = one.run["lstm.c[1]"].copy()
    wrong[0, 2] += 0.25
    wrong[1, 0] += 9
    edits = paste(one, "lstm.f[1]", one.run["lstm.f[1]"]) | paste(one, "lstm.c[1]", wrong)
    edits |= paste(one, "lstm.c[2]", one.run["lstm.c[2]"] + 1) | paste(one, "d_lstm.c[0]", np.full((2, 3), 7.0))
    values = ENGINES[engine](spoiled, edits)
    ours = one.run["lstm.c[1]"][0, 2]
    where = address(one, "lstm.c[1]", 0, 2)
    assert verdict(values) == (
        f"FIRST DIFFERENCE: lstm.c[1], at Yours!{where}, ours {ours:.3f}, yours {ours + 0.25:.3f}"
    )
    assert values[YOURS]["B5"] == 2 + 6 + 6
    assert beside(values, one, "lstm.c[1]") == "2 of 6 differ" and beside(values, one, "lstm.f[1]") == "all 6 agree"


@engines
def test_the_last_number_of_the_last_block_is_found(engine: str, one: Sample, spoiled: Path):
    last = places(one.book)[-1]
    index = tuple(n - 1 for n in last.entry.shape)
    where = address(one, last.name, *index)
    values = ENGINES[engine](spoiled, {(YOURS, where): 5.0})
    assert verdict(values).startswith(f"FIRST DIFFERENCE: {last.name}, at Yours!{where}, ours ")
    assert verdict(values).endswith("yours 5.000") and values[YOURS]["B5"] == 1


def test_the_largest_block_is_searched_to_its_end(books: dict[str, Sample], tmp_path: Path):
    one = books["cnn"]
    largest = max(places(one.book), key=lambda place: place.entry.ids.size)
    row, column = largest.cell(largest.entry.ids.size - 1)
    values = libreoffice(one.path, {(YOURS, cell_name(row, column)): 99.0})
    assert verdict(values).startswith(f"FIRST DIFFERENCE: {largest.name}, at Yours!{cell_name(row, column)}, ours ")


@engines
def test_the_tolerance_counts(engine: str, one: Sample, spoiled: Path):
    calculate = ENGINES[engine]
    c = one.run["lstm.c[1]"]
    assert np.abs(c).max() < 1
    close, far = paste(one, "lstm.c[1]", c + 9e-7), paste(one, "lstm.c[1]", c + 1.1e-6)
    assert verdict(calculate(spoiled, close)).startswith("all 6")
    named = verdict(calculate(spoiled, far))
    assert named.startswith("FIRST") and f"ours {c[0, 0]:.9f}, yours {c[0, 0] + 1.1e-6:.9f}" in named
    assert verdict(calculate(spoiled, far | {(YOURS, "B4"): 0.00001})).startswith("all 6")
    below = paste(one, "lstm.c[1]", c - 1.1e-6)
    assert verdict(calculate(spoiled, below)).startswith("FIRST DIFFERENCE: lstm.c[1]")
    assert verdict(calculate(spoiled, close | {(YOURS, "B4"): 0})).startswith("FIRST DIFFERENCE: lstm.c[1]")


def test_the_tolerance_is_relative_to_the_largest_number_positive_or_negative(tmp_path: Path):
    for largest in (1000.0, -1000.0):
        w = tn.tensor([0.5, largest], requires_grad=True, name="w")
        with tn.record() as run:
            tn.name(w * 2, "z").sum().backward()
        one = sample(run, tmp_path / "x.xlsx")
        assert verdict(libreoffice(one.path, paste(one, "z", run["z"] + 0.0019))) == "all 2 pasted numbers agree"
        assert verdict(libreoffice(one.path, paste(one, "z", run["z"] + 0.0021))).startswith("FIRST DIFFERENCE: z,")


@engines
@pytest.mark.parametrize("content", ["nan", "=1/0", "0.3.5"])
def test_a_text_or_an_error_is_a_difference_and_an_empty_cell_is_none(
    engine: str, content: str, one: Sample, spoiled: Path
):
    c = one.run["lstm.c[1]"]
    some = [[c[0, 0], None, None], [None, content, c[1, 2]]]
    values = ENGINES[engine](spoiled, paste(one, "lstm.c[1]", some))
    where = address(one, "lstm.c[1]", 1, 1)
    assert verdict(values) == f"FIRST DIFFERENCE: lstm.c[1], at Yours!{where}, ours {c[1, 1]:.3f}, yours no number"
    assert values[YOURS]["B5"] == 1 and beside(values, one, "lstm.c[1]") == "1 of 3 differ"


def test_an_edit_of_the_network_moves_ours(one: Sample):
    """Pasted numbers are held against what the sheet computes now."""
    run = one.run.replay(lr=0.5)
    edits = paste(one, "new_output.bias", run["new_output.bias"])
    assert verdict(libreoffice(one.path, edits)).startswith("FIRST DIFFERENCE: new_output.bias")
    edits[one.place_of("lr")] = 0.5
    assert verdict(libreoffice(one.path, edits)) == "all 3 pasted numbers agree"


def test_red_is_what_differs(one: Sample):
    """The rules that colour a cell say what the verdict says: the same formula, one rule for each block."""
    sheet = opened(one.path)[YOURS]
    rules = {str(area.sqref): [r.formula[0] for r in area.rules] for area in sheet.conditional_formatting}
    for place in places(one.book):
        (formula,) = rules[place.range(place.yours)]
        first, ours = cell_name(place.head + 1, place.yours), cell_name(place.head + 1, place.ours)
        allowed = re.search(r"\$[A-Z]+\$\d+", formula)
        assert allowed and f"({first}>{ours}+{allowed[0]})+({first}<{ours}-{allowed[0]})>0" in formula
        assert allowed[0].endswith(f"${place.head + 1}")
        assert sheet[allowed[0].replace("$", "")].value.startswith("=$B$4*MAX(1,")


@pytest.mark.parametrize("name", MODELS)
def test_all_of_the_verdict_and_of_the_blocks_shows(name: str, books: dict[str, Sample]):
    one, sheet = books[name], opened(books[name].path)[YOURS]
    (verdict_box,) = (area for area in sheet.merged_cells.ranges if area.min_row == 3)
    shown = max(verdict_box.max_col, *(place.yours + place.width for place in places(one.book)))
    hidden = [d for d in sheet.column_dimensions.values() if d.hidden]
    assert hidden and all(d.min > shown for d in hidden)
    assert [sheet["A7"].value, sheet["B7"].value] == ["block", "ours, live"] and sheet.freeze_panes == "B8"


# Reading it back


def test_what_was_pasted_is_read_by_our_names(one: Sample, tmp_path: Path):
    z = one.run["output.z"] + 1
    c: Any = [[0.5, None, None], [None, None, -1.0]]
    edits = paste(one, "output.z", z) | paste(one, "lstm.c[1]", c) | paste(one, "loss", 0.25)
    path = typed(one.path, tmp_path / "x.xlsx", edits | paste(one, "d_lstm.W_hf", np.arange(9.0).reshape(3, 3)))
    (tmp_path / "saved").mkdir()
    for file in (path, *resaved(tmp_path / "saved", path)):
        pasted = read_yours(file)
        assert list(pasted) == ["lstm.c[1]", "output.z", "loss", "d_lstm.W_hf"]
        np.testing.assert_allclose(pasted["output.z"], z, rtol=1e-14)
        np.testing.assert_array_equal(pasted["lstm.c[1]"], [[0.5, np.nan, np.nan], [np.nan, np.nan, -1]])
        assert pasted["loss"].shape == () and pasted["loss"] == 0.25
        np.testing.assert_array_equal(pasted["d_lstm.W_hf"], np.arange(9.0).reshape(3, 3))


@pytest.mark.parametrize("name", MODELS)
def test_all_of_a_run_pasted_is_read_back_in_its_shapes(name: str, books: dict[str, Sample], tmp_path: Path):
    one = books[name]
    edits: Edits = {}
    for place in places(one.book):
        edits |= paste(one, place.name, one.book.values[place.entry.ids])
    pasted = read_yours(typed(one.path, tmp_path / "x.xlsx", edits))
    assert list(pasted) == [place.name for place in places(one.book)]
    found = [value for value in one.run.values if value.name in pasted and value.update == 0]
    assert len(found) > 20
    for value in found:
        np.testing.assert_allclose(pasted[str(value.name)], value.array, rtol=1e-15, strict=False, err_msg=value.name)
        assert pasted[str(value.name)].shape == value.shape
    assert verdict(libreoffice(tmp_path / "x.xlsx")) == f"all {one.book.plan.cells} pasted numbers agree"


def test_nothing_pasted_is_an_empty_dictionary(one: Sample):
    assert read_yours(one.path) == {}


def test_whole_is_what_lacks_no_number(one: Sample, tmp_path: Path):
    """A parameter whose parts were all pasted is whole, although it stands nowhere in one piece."""
    run, gates = one.run, ("ii", "if", "ig", "io")
    edits = paste(one, "lstm.c[1]", run["lstm.c[1]"]) | paste(one, "lstm.h[1]", [[0.5, None, 1], [1, 2, 3]])
    for gate in gates:
        edits |= paste(one, f"lstm.W_{gate}", run[f"lstm.W_{gate}"])
    whole = read_yours_whole(typed(one.path, tmp_path / "x.xlsx", edits))
    assert set(whole) == {"lstm.weight_ih_l0", "lstm.c[1]"}
    for name, numbers in whole.items():
        np.testing.assert_allclose(numbers, run[name], rtol=1e-15)


def test_what_cannot_be_read_is_named(one: Sample, tmp_path: Path):
    path = typed(one.path, tmp_path / "x.xlsx", paste(one, "loss", "much"))
    with pytest.raises(ValueError, match=rf"^Yours!{address(one, 'loss')} \(loss\) holds 'much', expected a number$"):
        read_yours(path)
    book = openpyxl.load_workbook(one.path)
    book[YOURS].insert_rows(20)
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(ValueError, match="rows or columns of the sheet were moved"):
        read_yours(tmp_path / "x.xlsx")
    del book[YOURS]
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(ValueError, match="has no sheet 'Yours'"):
        read_yours(tmp_path / "x.xlsx")


def test_pasting_is_no_difference_for_verify_and_no_edit_for_load(one: Sample, tmp_path: Path):
    path = typed(one.path, tmp_path / "x.xlsx", paste(one, "lstm.c[1]", np.full((2, 3), 9.0)) | paste(one, "loss", "x"))
    (tmp_path / "saved").mkdir()
    (saved,) = resaved(tmp_path / "saved", path)
    result = verify(saved)
    assert result.ok and result.edited == [], [str(d) for d in result.differences[:3]]
    assert tn.load(saved).to_json() == one.run.to_json()


def test_pasting_over_ours_is_found(one: Sample, tmp_path: Path):
    place = place_of(one, "lstm.c[1]")
    where = cell_name(place.head + 1, place.ours)
    (tmp_path / "saved").mkdir()
    (saved,) = resaved(tmp_path / "saved", typed(one.path, tmp_path / "x.xlsx", {(YOURS, where): 0.5}))
    assert [f"{d.sheet}!{d.address}" for d in verify(saved).differences] == [f"{YOURS}!{where}"]


# Its cost


@pytest.mark.parametrize("name", MODELS)
def test_the_formulas_of_the_sheet_are_counted(name: str, books: dict[str, Sample]):
    one = books[name]
    assert sum(sheet == YOURS for sheet, _ in one.formulas) == yours.needed(one.book)


def test_a_sheet_that_would_be_too_large_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = models.rnn(steps=2)
    book = sample(run, tmp_path / "x.xlsx").book
    needed = yours.needed(book)
    assert "Paste your own numbers" in line_of(tmp_path / "x.xlsx") and verify(tmp_path / "x.xlsx").ok
    monkeypatch.setattr(yours, "LIMIT", needed)
    assert YOURS in write(run, tmp_path / "fits.xlsx").sheets
    monkeypatch.setattr(yours, "LIMIT", needed - 1)
    written = write(run, tmp_path / "y.xlsx")
    assert YOURS not in written.sheets and YOURS not in openpyxl.load_workbook(written.path).sheetnames
    assert "Left out, because it would be too large" in line_of(written.path) and f"{needed:,}" in line_of(written.path)
    assert verify(written.path).ok and read_book(written.path).book.formula_cells == written.formula_cells
    with pytest.raises(ValueError, match="has no sheet 'Yours'"):
        read_yours(written.path)


def line_of(path: Path) -> str:
    """What the Read me sheet says of Yours."""
    rows = openpyxl.load_workbook(path)["Read me"].iter_rows(values_only=True)
    return next(str(row[1]) for row in rows if row[0] == YOURS)


def test_a_layer_may_be_called_yours(tmp_path: Path):
    with tn.record() as run:
        with tn.scope("yours"):
            z = tn.name(
                tn.functional.conv2d(
                    tn.tensor(np.ones((1, 1, 3, 3)), name="x"), tn.tensor(np.ones((1, 1, 2, 2)), name="k")
                ),
                "z",
            )
        z.sum()
    run.to_excel(tmp_path / "x.xlsx")
    assert len({name.lower() for name in openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames}) > 5
    assert verify(tmp_path / "x.xlsx").ok
