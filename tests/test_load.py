"""A workbook is a model file: what its cells hold comes back as a Run, from whatever program saved it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

import tinynet as tn
from tests.spreadsheets import libreoffice
from tests.test_verify import edited, refuses, resaved, rewritten, sheet_part, with_cell
from tests.workbooks import Sample, changed, opened, sample, typed
from tinynet import functional as F
from tinynet import models, nn
from tinynet.workbook import read, read_book, verify

MODELS: dict[str, Callable[[], tn.Run]] = {
    "mlp": lambda: models.mlp(inputs=4, hidden=3),
    "rnn": lambda: models.rnn(steps=3, batch=2),
    "lstm": models.lstm,
    "two updates": lambda: models.rnn(steps=2, updates=2),
    "cnn": lambda: models.cnn(kernel=3, channels=(2,)),
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("books")
    return {name: sample(make(), folder / f"{name}.xlsx", title=f"The {name}") for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def one(books: dict[str, Sample]) -> Sample:
    return books["rnn"]


def same(run: tn.Run, expected: tn.Run) -> None:
    assert run.names == expected.names and list(run.parameters) == list(expected.parameters)
    assert [str(step) for step in run.steps] != [] and len(run.steps) == len(expected.steps)
    for value, other in zip(run.values, expected.values, strict=True):
        np.testing.assert_array_equal(value.array, other.array, err_msg=str(other.name))
        assert value.array.dtype == other.array.dtype and value.kind == other.kind


# Unedited


@pytest.mark.parametrize("name", MODELS)
def test_a_run_comes_back_as_it_was(name: str, books: dict[str, Sample]):
    run = tn.load(books[name].path)
    same(run, books[name].run)
    assert run.description == books[name].run.description and run.title == f"The {name}"
    assert str(run) == str(books[name].run)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_loaded_and_exported_again_is_the_same_file(name: str, books: dict[str, Sample], tmp_path: Path):
    tn.load(books[name].path).to_excel(tmp_path / "again.xlsx")
    assert (tmp_path / "again.xlsx").read_bytes() == books[name].path.read_bytes()


def test_every_operation_comes_back_too(tmp_path: Path):
    models.rnn(steps=2).to_excel(tmp_path / "ops.xlsx", detail="ops")
    tn.load(tmp_path / "ops.xlsx").to_excel(tmp_path / "again.xlsx", detail="ops")
    assert (tmp_path / "again.xlsx").read_bytes() == (tmp_path / "ops.xlsx").read_bytes()


def test_nothing_is_lost_in_libreoffice_or_without_cached_values(books: dict[str, Sample], tmp_path: Path):
    (tmp_path / "saved").mkdir()
    for one, saved in zip(books.values(), resaved(tmp_path / "saved", *(b.path for b in books.values())), strict=True):
        same(tn.load(saved), one.run)
        same(tn.load(typed(one.path, tmp_path / "openpyxl.xlsx", {})), one.run)


def test_numbers_beyond_the_budget_are_computed(tmp_path: Path):
    """They stand as numbers in the workbook, and follow the edits in the run."""
    run = models.mlp(inputs=4, hidden=3)
    written = run.to_excel(tmp_path / "x.xlsx", max_cells=250, values_beyond=True)
    assert "new_output.weight" in written.values_only
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    area = next(e.area for e in read_book(tmp_path / "x.xlsx").book.entries if e.name == "lr")
    book[area.sheet.name].cell(area.top + 1, area.left + 1).value = 0.125
    book.save(tmp_path / "x.xlsx")
    expected = run.replay(lr=0.125)
    assert np.any(expected["new_output.weight"] != run["new_output.weight"])
    same(tn.load(tmp_path / "x.xlsx"), expected)


# Edited

EDITS = [("rnn.weight_ih_l0", (1, 0), 0.75), ("x", (0, 1, 1), -2.5), ("target", (1, 0), 0), ("lr", (), 0.25)]


@pytest.mark.parametrize(("leaf", "index", "number"), EDITS)
def test_an_edit_is_what_the_run_computes_with(leaf: str, index: Any, number: float, one: Sample, tmp_path: Path):
    expected = changed(one.run, leaf, index, number)
    assert any(not np.array_equal(a.array, b.array) for a, b in zip(expected.values, one.run.values, strict=True))
    same(tn.load(edited(one, tmp_path / "x.xlsx", leaf, index, number)), expected)
    path = typed(one.path, tmp_path / "y.xlsx", {one.place_of(leaf, *index): number})
    same(tn.load(path), expected)
    (tmp_path / "saved").mkdir()
    same(tn.load(*resaved(tmp_path / "saved", path)), expected)


def test_an_edit_of_the_sixteenth_digit_is_none_and_of_the_fourteenth_is_one(one: Sample, tmp_path: Path):
    was = float(one.run["x"][0, 0, 0])
    near, far = was * (1 + 4e-15), was * (1 + 4e-14)
    assert tn.load(edited(one, tmp_path / "x.xlsx", "x", (0, 0, 0), repr(near)))["x"][0, 0, 0] == was != near
    assert tn.load(edited(one, tmp_path / "x.xlsx", "x", (0, 0, 0), repr(far)))["x"][0, 0, 0] == far


def test_a_formula_over_an_input_counts_with_its_value(one: Sample, tmp_path: Path):
    sheet, address = one.place_of("x", 0, 0, 0)
    path = with_cell(one.path, tmp_path / "x.xlsx", sheet, address, r"<v>[^<]*</v>", "<f>1+1</f><v>2</v>")
    same(tn.load(path), changed(one.run, "x", (0, 0, 0), 2.0))
    path = typed(one.path, tmp_path / "y.xlsx", {(sheet, address): "=1+1"})
    with pytest.raises(ValueError, match=rf"{sheet}!{address} \(x\) holds =1\+1 without its value: open and save"):
        tn.load(path)


def test_the_edited_run_is_what_libreoffice_computes_and_exports_again(one: Sample, tmp_path: Path):
    place = one.place_of("rnn.weight_hh_l0", 0, 1)
    run = tn.load(typed(one.path, tmp_path / "x.xlsx", {place: -0.5}))
    run.to_excel(tmp_path / "again.xlsx")
    values = libreoffice(one.path, {place: -0.5})
    assert one.worst(values, run) <= 1 and verify(tmp_path / "again.xlsx").edited == []
    same(tn.load(tmp_path / "again.xlsx"), run)


def test_a_replaced_formula_is_refused_and_named(one: Sample, tmp_path: Path):
    sheet, address = next(one.places(b)[0] for b in one.computed if b.name == "rnn.h[1]")
    for content, words in (
        (0.5, "holds 0.5 and no formula"),
        ("=1+1", "holds the formula =1+1"),
        (None, "None and no"),
    ):
        path = typed(one.path, tmp_path / "x.xlsx", {(sheet, address): content})
        with pytest.raises(ValueError) as caught:
            tn.load(path)
        assert f"{sheet}!{address} (rnn.h[1])" in str(caught.value) and words in str(caught.value)
        assert "A run cannot follow that" in str(caught.value)


# Using it


def test_it_can_be_replayed(one: Sample):
    x = one.run["x"] * 2
    same(tn.load(one.path).replay(x=x), one.run.replay(x=x))


def recorded(net: nn.Module, x: np.ndarray) -> tn.Run:
    with tn.record() as run:
        out = net(tn.tensor(x, name="x"))
        out = out[0] if isinstance(out, tuple) else out
        F.mean(out * out).backward()
    return run


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 3), nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0])


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "sequential": (lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), (4, 2)),
    "lstm": (Sequence, (3, 1, 2)),
    "conv": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)), (1, 1, 4, 4)),
}


@pytest.mark.parametrize("name", NETS)
def test_the_parameters_fit_the_module_and_training_goes_on(name: str, tmp_path: Path):
    make, shape = NETS[name]
    tn.manual_seed(3)
    net, x = make(), np.random.default_rng(0).normal(size=shape)
    first = recorded(net, x)
    first.to_excel(tmp_path / "net.xlsx")
    tn.manual_seed(4)
    other = make()
    other.load_state_dict(tn.load(tmp_path / "net.xlsx").parameters)
    assert {key: a.tobytes() for key, a in _arrays(other).items()} == {k: a.tobytes() for k, a in _arrays(net).items()}
    before = float(np.asarray(first.loss.array if first.loss else 0.0))
    optimizer = tn.optim.SGD(other.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        out = other(tn.tensor(x))
        out = out[0] if isinstance(out, tuple) else out
        F.mean(out * out).backward()
        optimizer.step()
    second = recorded(other, x)
    assert second.loss is not None and float(np.asarray(second.loss.array)) < before
    second.to_excel(tmp_path / "next.xlsx")
    assert verify(tmp_path / "next.xlsx").ok


@pytest.mark.parametrize("training", [True, False])
def test_the_buffers_of_a_module_are_loaded_too(training: bool, tmp_path: Path):
    def make() -> nn.Sequential:
        net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        net.load_state_dict(state)
        return net.train(training)

    rng = np.random.default_rng(0)
    shapes = {key: array.shape for key, array in nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict().items()}
    state = {key: rng.uniform(0.5, 1, size=shape) for key, shape in shapes.items()} | {"1.num_batches_tracked": 3}
    net = make()
    recorded(net, rng.normal(size=(4, 2))).to_excel(tmp_path / "net.xlsx")
    if training:
        assert not np.allclose(net.state_dict()["1.running_mean"], state["1.running_mean"])  # the run began before that
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    other.load_state_dict(tn.load(tmp_path / "net.xlsx").parameters)
    for key, array in _arrays(other).items():
        np.testing.assert_array_equal(array, state[key] if training or not key.endswith("tracked") else 0)


def _arrays(net: nn.Module) -> dict[str, np.ndarray]:
    return {key: np.asarray(getattr(value, "data", value)) for key, value in net.state_dict().items()}


def test_a_layer_that_ran_by_itself_has_a_prefix(tmp_path: Path):
    """As the docstring of ``load`` says."""
    tn.manual_seed(5)
    net = nn.LSTM(2, 3)
    recorded(net, np.ones((2, 1, 2))).to_excel(tmp_path / "x.xlsx")
    parameters, other = tn.load(tmp_path / "x.xlsx").parameters, nn.LSTM(2, 3)
    with pytest.raises(ValueError, match=r"unexpected lstm\.weight_ih_l0"):
        other.load_state_dict(parameters)
    other.load_state_dict({name.removeprefix("lstm."): array for name, array in parameters.items()})
    np.testing.assert_array_equal(_arrays(other)["weight_hh_l0"], _arrays(net)["weight_hh_l0"])


# What cannot be loaded: one clear sentence


@pytest.mark.parametrize("content", ["abc", "#DIV/0!", True, None, "1e999"])
def test_what_is_no_number_is_named(content: Any, one: Sample, tmp_path: Path):
    sheet, address = one.place_of("x", 1, 0, 0)
    path = typed(one.path, tmp_path / "x.xlsx", {(sheet, address): content})
    with pytest.raises(ValueError, match=rf"^{sheet}!{address} \(x\) holds .*, expected a number$"):
        tn.load(path)


def test_a_number_that_overflows_is_named(one: Sample, tmp_path: Path):
    sheet, address = one.place_of("x", 1, 0, 0)
    with pytest.raises(ValueError, match=rf"{sheet}!{address} \(x\) holds inf, expected a number"):
        tn.load(edited(one, tmp_path / "x.xlsx", "x", (1, 0, 0), "1e999"))


@pytest.mark.parametrize(("number", "words"), [(9, "cannot be computed with"), (1.5, "whole"), (1e30, "from -9223")])
def test_a_class_that_is_not_there_is_refused(number: float, words: str, one: Sample, tmp_path: Path):
    with pytest.raises(ValueError, match=words):
        tn.load(edited(one, tmp_path / "x.xlsx", "target", (1, 0), number))


def test_a_document_and_a_foreign_workbook_are_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as out:
        out.writestr(
            "[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
        )
        out.writestr("word/document.xml", "<document/>")
    refuses(tmp_path / "x.xlsx", "cannot be read as an .xlsx workbook")
    book = openpyxl.Workbook()
    book.active["A1"] = 1
    book.create_sheet("Graph")["A1"] = "my graph"
    book.save(tmp_path / "x.xlsx")
    refuses(tmp_path / "x.xlsx", "is not a workbook of tinynet")


@pytest.mark.parametrize("graph", [None, "", "{", "[1, 2]", "null", '{"format": "tinynet run 1"}', "[" * 30_000])
def test_a_graph_that_was_cut_or_replaced_is_refused(graph: str | None, one: Sample, tmp_path: Path):
    refuses(typed(one.path, tmp_path / "x.xlsx", {("Graph", "A3"): graph}), "Graph", "damaged")


def test_a_graph_without_its_settings_is_refused(one: Sample, tmp_path: Path):
    for settings in (None, "[" * 30_000, '{"detail": "names", "title": "x", "budget": "many"}'):
        refuses(typed(one.path, tmp_path / "x.xlsx", {("Graph", "A2"): settings}), "Graph", "damaged")


def graph_of(one: Sample) -> Any:
    return json.loads(one.run.to_json())


def test_an_unknown_primitive_is_named(one: Sample, tmp_path: Path):
    document = graph_of(one)
    document["steps"][0][0] = "system"
    path = typed(one.path, tmp_path / "x.xlsx", {("Graph", "A3"): json.dumps(document)})
    refuses(path, "'system', which is no primitive of tinynet")


def test_a_graph_of_very_many_numbers_is_refused_before_it_is_laid_out(
    one: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    numbers = sum(value.array.size for value in one.run.values)
    path = shutil.copy(one.path, tmp_path / "x.xlsx")
    monkeypatch.setattr(read, "MOST_NUMBERS", numbers)
    tn.load(path)
    monkeypatch.setattr(read, "MOST_NUMBERS", numbers - 1)
    refuses(Path(path), f"{numbers:,} numbers, expected {numbers - 1:,} at most")


def test_a_bomb_is_refused_before_it_is_unpacked(one: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = Path(shutil.copy(one.path, tmp_path / "x.xlsx"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as out:
        out.writestr("xl/media/zeros.bin", bytes(100_000_000))
    monkeypatch.setattr(openpyxl, "load_workbook", lambda *_, **__: pytest.fail("it was opened"))
    refuses(path, "it would unpack to 100,")


@pytest.mark.parametrize(
    "row",
    ['<row r="999999999999"><c r="A999999999999"><v>1</v></c></row>', '<row><c r="ZZZ1"><v>1</v></c></row>' * 3000],
)
def test_sheets_of_endless_size_are_refused(row: str, one: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    part = sheet_part(one.path, "Checks")

    monkeypatch.setattr(read, "MOST_CELLS", 2**20)

    def change(name: str, text: str) -> str:
        return text.replace("</sheetData>", f"{row}</sheetData>") if name == part else text

    refuses(rewritten(one.path, tmp_path / "x.xlsx", change), "its sheets have more than")


def test_a_file_that_is_no_archive_or_is_missing(tmp_path: Path):
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04 not really")
    refuses(tmp_path / "x.xlsx", "cannot be read")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        tn.load(tmp_path / "none.xlsx")


# Another version


def of_version(one: Sample, out: Path, version: str | None, edits: dict[tuple[str, str], Any]) -> Path:
    """The workbook as another version would have written it, with ``edits``, calculated and saved by LibreOffice."""
    settings = json.loads(opened(one.path)["Graph"]["A2"].value)
    assert settings["version"] == tn.__version__
    settings["version"] = version
    new = json.dumps({key: item for key, item in settings.items() if item is not None})
    path = typed(one.path, out, edits | {("Graph", "A2"): new})
    (out.parent / "saved").mkdir(exist_ok=True)
    return resaved(out.parent / "saved", path)[0]


@pytest.mark.parametrize("version", ["0.0.9", None])
def test_of_another_version_only_the_network_is_compared(version: str | None, one: Sample, tmp_path: Path):
    steps = next(place for place in one.formulas if place[0] == "Steps")
    edits = {steps: "=1+1", ("Checks", "A3"): "other words"}
    result = verify(of_version(one, tmp_path / "x.xlsx", version, edits))
    assert result.ok and result.cells == one.written.formula_cells, [str(d) for d in result.differences[:3]]
    assert result.version == (version or "of an unknown version")
    assert (version or "unknown version") in result.note and "not what its other sheets say" in result.note
    same_version = verify(of_version(one, tmp_path / "y.xlsx", tn.__version__, edits))
    assert not same_version.ok and same_version.note == "" and same_version.differences[0].sheet == "Steps"


def test_of_another_version_a_formula_of_the_network_is_compared(one: Sample, tmp_path: Path):
    place = next(one.places(b)[0] for b in one.computed if b.name == "rnn.h[1]")
    path = of_version(one, tmp_path / "x.xlsx", "0.0.9", {place: "=0.5*2"})
    assert "!".join(place) in {f"{d.sheet}!{d.address}" for d in verify(path).differences}


def test_another_version_loads_where_its_sheets_are_laid_out_alike(one: Sample, tmp_path: Path):
    place = one.place_of("x", 0, 0, 0)
    same(tn.load(of_version(one, tmp_path / "x.xlsx", "0.0.9", {place: 0.5})), changed(one.run, "x", (0, 0, 0), 0.5))
    moved = of_version(one, tmp_path / "y.xlsx", "0.0.9", {("Recorded", place[1]): 0.123})
    with pytest.raises(ValueError, match=r"written by tinynet 0\.0\.9, which laid its sheets out differently"):
        tn.load(moved)


def test_loading_changes_nothing(one: Sample, tmp_path: Path):
    path = Path(shutil.copy(one.path, tmp_path / "x.xlsx"))
    tn.load(path)
    assert path.read_bytes() == one.path.read_bytes() and [p.name for p in tmp_path.iterdir()] == ["x.xlsx"]
