"""``tn.debug.compare`` and ``tinynet compare``: what is said of the first number that is wrong, and where it stands."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from openpyxl.utils import range_boundaries
from openpyxl.utils.cell import coordinate_to_tuple

import tinynet as tn
from tests.bugs_measured import numbers, recorded
from tests.spreadsheets import libreoffice, require
from tests.wrong import BUGS, data, lstm
from tinynet.cli import main
from tinynet.debug import Mismatch, Report, compare, watch
from tinynet.testing import assert_matches

ID = {bug.id: bug for bug in BUGS}
CARRY = ID["lstm-carry-h-dropped"]


def wrong(bug: str = CARRY.id, seed: int = 0) -> dict[str, np.ndarray]:
    return numbers(ID[bug].network, ID[bug].data, seed, ID[bug])


def report_on(bug: str, **options: Any) -> Report:
    return compare(recorded(ID[bug].network, ID[bug].data), wrong(bug), **options)


# The report


def test_the_first_difference_has_its_place_its_numbers_and_its_formula() -> None:
    mine, run = wrong(), recorded("lstm")
    report = compare(run, mine)
    first = report.first
    assert first is not None and not report.ok
    assert (first.name, first.yours_is, first.time, first.element) == ("d_layer.h[2]", "dh[2]", 2, (0, 0))
    assert (first.ours, first.yours) == (run.grad["layer.h[2]"][0, 0], mine["dh"][2, 0, 0])
    assert first.error == abs(first.ours - first.yours) > first.allowed > 0
    assert first.equation == "δh = δh ← t + δh ← t+1"
    assert report.differing["d_layer.h"] == 4  # at t = 0, 1, 2, and of the initial state
    assert report.compared == len(report.matched.arrays) > sum(report.differing.values())
    assert (report.dtype, report.tolerance) == ("float64", 1e-9)
    assert not report.matched.unmatched


def test_the_text_says_it_all() -> None:
    report = report_on(CARRY.id)
    assert report.first is not None and report.diagnosis is not None
    lines = str(report).splitlines()
    assert lines[0].startswith(f"compared {report.compared} values, tolerance 1e-09 of each quantity's largest number")
    assert lines[1].split() == f"FIRST DIFFERENCE d_layer.h[2][0, 0] (your dh[2], step {report.first.step})".split()
    assert lines[2].split() == ["ours", f"{report.first.ours:.9g}"]
    assert lines[3].split()[:2] == ["yours", f"{report.first.yours:.9g}"]
    assert lines[4].split(maxsplit=1) == ["formula", report.first.equation]
    assert lines[5].split() == ["cell", report.first.cell]
    assert f"{sum(report.differing.values()) - 1} more values differ after it" in lines[6]
    assert lines[7] == "WHY   in your dh, dh from step t+1 is left out (0 in its place)"
    assert f"{report.diagnosis.tried:,} hypotheses tried" in lines[8] and len(lines) == 9


def test_json_holds_the_same() -> None:
    report = report_on(CARRY.id)
    found = json.loads(report.to_json())
    assert report.first is not None and report.diagnosis is not None
    assert found["first"] | {"element": report.first.element} == vars(report.first)
    assert (found["ok"], found["compared"], found["differing"]) == (False, report.compared, report.differing)
    assert found["explanations"][0]["sentences"] == ["in your dh, dh from step t+1 is left out (0 in its place)"]
    assert found["explanations"][0]["explained"] == sum(report.differing.values())
    assert found["hypotheses"] == {"tried": report.diagnosis.tried, "complete": report.diagnosis.complete}


@pytest.mark.parametrize("network", ["rnn", "lstm", "gru", "mlp", "conv_net"])
def test_what_agrees_is_said_to_agree(network: str) -> None:
    report = compare(recorded(network), numbers(network))
    assert report.ok and report.first is None and report.diagnosis is None and report.differing == {}
    assert str(report).splitlines()[1:] == ["all of them agree"]
    found = json.loads(report.to_json())
    assert (found["ok"], found["first"], found["explanations"]) == (True, None, [])


def test_the_order_is_that_of_execution_not_of_names() -> None:
    mine = numbers("lstm")
    for name in ("dW_ih", "dz_i", "h", "c", "p"):
        mine[name] = mine[name] + 0.1
    run = recorded("lstm")
    order = ["c", "h", "p", "dz_i", "dW_ih"]
    for n, name in enumerate(order):
        first = compare(run, mine, explain=False).first
        assert first is not None and first.yours_is.partition("[")[0] == name, order[n:]
        mine[name] = mine[name] - 0.1
    backwards = compare(run, dict(reversed(wrong().items())), explain=False).first
    assert backwards == compare(run, wrong(), explain=False).first


def test_an_element_of_what_is_recorded_whole_says_its_time_step() -> None:
    mine = numbers("lstm")
    mine["logits"][2, 1, 3] += 1
    first = compare(recorded("lstm"), mine, explain=False).first
    assert first is not None and (first.name, first.time, first.element) == ("head.z", None, (2, 1, 3))


def test_without_explanation_there_is_none() -> None:
    report = report_on(CARRY.id, explain=False)
    assert report.diagnosis is None and "WHY" not in str(report) and json.loads(report.to_json())["explanations"] == []


# In the workbook

SEVERAL = ["lstm-carry-h-dropped", "rnn-both-biases-missing", "gru-carry-h-without-direct", "mlp-clipped-by-norm"]


@pytest.mark.parametrize("bug", SEVERAL)
def test_cell_step_and_equation_are_those_of_the_workbook(bug: str, tmp_path: Path) -> None:
    first = report_on(bug, explain=False).first
    recorded(ID[bug].network).to_excel(tmp_path / "ours.xlsx")
    book = openpyxl.load_workbook(tmp_path / "ours.xlsx", data_only=True)
    assert first is not None
    sheet, address = first.cell.split("!")
    assert book[sheet][address].value == first.ours
    (row,) = [r for r in book["Steps"].iter_rows(min_row=5, values_only=True) if r[0] == first.step]
    words = row[3]
    assert first.equation in words or "quantities)" in words or first.equation.split(" = ")[0] in words
    assert first.time is None or row[2] == f"t = {first.time}"
    area = row[7].rpartition("!")[2]
    left, top, right, bottom = range_boundaries(area)
    line, column = coordinate_to_tuple(address)
    within = left <= column <= right and top <= line <= bottom
    assert row[7].startswith(f"{sheet}!") and (within or "quantit" in words)


def test_the_cell_holds_our_number_in_libreoffice_too(book: Path) -> None:
    first = report_on(CARRY.id, explain=False).first
    assert first is not None
    sheet, address = first.cell.split("!")
    assert libreoffice(book)[sheet][address] == pytest.approx(first.ours, rel=1e-12)


# What may be brought

CONTENTS: dict[str, Callable[[np.ndarray], Any]] = {
    "lists": np.ndarray.tolist,
    "a list of steps": list,
    "float32": lambda array: array.astype(np.float32) if array.dtype.kind == "f" else array,
    "Fortran order": np.asfortranarray,
    "read-only": lambda array: np.broadcast_to(array, array.shape),
    "tensors of tinynet": lambda array: tn.tensor(array),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_numbers_come_as(content: str) -> None:
    right, mine = (
        {name: CONTENTS[content](array) if array.ndim else array for name, array in arrays.items()}
        for arrays in (numbers("lstm"), wrong())
    )
    assert compare(recorded("lstm"), right).ok
    first = compare(recorded("lstm"), mine, explain=False).first
    assert first is not None and first.name == "d_layer.h[2]"


@pytest.mark.parametrize("graph", [False, True], ids=["plain", "with a graph"])
def test_tensors_of_torch(torch: Any, graph: bool) -> None:
    def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        return {n: torch.tensor(a, requires_grad=graph and a.dtype.kind == "f") for n, a in arrays.items()}

    assert compare(recorded("lstm"), tensors(numbers("lstm"))).ok
    first = compare(recorded("lstm"), tensors(wrong()), explain=False).first
    assert first is not None and first.name == "d_layer.h[2]"


class OnADevice:
    """An array as CuPy has them: its numbers come by ``get``, and by nothing else."""

    def __init__(self, array: np.ndarray):
        self.array, self.dtype, self.shape = array, array.dtype, array.shape

    def get(self) -> np.ndarray:
        return self.array

    def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


class Column:
    """Numbers as pandas has them: ``get`` looks an entry up."""

    def __init__(self, array: np.ndarray):
        self.array, self.dtype = array, array.dtype

    def get(self, key: Any) -> Any:
        return self.array[key]

    def to_numpy(self) -> np.ndarray:
        return self.array

    def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
        return self.array


@pytest.mark.parametrize("kind", [OnADevice, Column])
def test_arrays_that_live_elsewhere(kind: Callable[[np.ndarray], Any]) -> None:
    def moved(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        return {n: [kind(row) for row in a] if n == "h" else kind(a) for n, a in arrays.items()}

    assert compare(recorded("lstm"), moved(numbers("lstm"))).ok
    first = compare(recorded("lstm"), moved(wrong()), explain=False).first
    assert first is not None and first.name == "d_layer.h[2]"


def test_a_file_of_one_array(tmp_path: Path) -> None:
    np.save(tmp_path / "dh.npy", wrong()["dh"])
    first = compare(recorded("lstm"), tmp_path / "dh.npy", explain=False).first
    assert first is not None and first.yours_is == "dh[2]"


def test_a_mapping_says_what_a_name_means() -> None:
    mine = {
        "snapshot": wrong()["dh"]
    }  # what comes from its own step, and nothing else: but so it is called only if it is that
    with pytest.raises(ValueError, match=r"none of your arrays could be matched \(snapshot\): name them after ours"):
        compare(recorded("lstm"), mine)
    first = compare(recorded("lstm"), mine, {"snapshot": "d_layer.h"}, explain=False).first
    assert first is not None and (first.name, first.yours_is) == ("d_layer.h[2]", "snapshot[2]")


def test_what_is_not_matched_is_said_with_guesses() -> None:
    mine = numbers("lstm") | {"snapshot": recorded("lstm")["layer.c[1]"] + 1e-3}
    report = compare(recorded("lstm"), mine)
    (unmatched,) = report.matched.unmatched
    assert not report.ok and unmatched.name == "snapshot" and "layer.c[1]" in unmatched.guesses[0]
    assert str(report).splitlines()[1] == f"those compared agree; NOT COMPARED: 1 of your {len(mine)} arrays (snapshot)"
    assert str(report).splitlines()[-1].startswith("not matched  snapshot (2, 5): nearest layer.c[1] (same shape")
    assert str(report).endswith("(say which: --map snapshot=OURS)")
    said = json.loads(report.to_json())["unmatched"]
    assert said == [{"name": "snapshot", "shape": [2, 5], "guesses": list(unmatched.guesses)}]


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"none of your arrays could be matched \(nothing\)"):
        compare(recorded("lstm"), {})


# Tolerance


def test_the_tolerance_follows_the_least_precise_dtype() -> None:
    mine = numbers("lstm")
    for dtype, tolerance in {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2}.items():
        mine["h"] = mine["h"].astype(dtype)
        report = compare(recorded("lstm"), mine)
        assert report.ok and (report.dtype, report.tolerance) == (dtype, tolerance)


def test_the_tolerance_is_a_share_of_the_largest_number_of_a_quantity() -> None:
    run, mine = recorded("lstm"), numbers("lstm")
    largest = np.abs(mine["c"]).max()
    for share, ok in ((0.9, True), (1.1, False)):
        moved = mine | {"c": mine["c"] + share * 1e-3 * largest}
        assert compare(run, moved, tolerance=1e-3, explain=False).ok == ok


# Sequences that end early


@pytest.mark.parametrize("behind", [0.0, 1e6, np.nan], ids=str)
@pytest.mark.parametrize("network", ["rnn", "lstm", "gru"])
def test_what_stands_behind_the_end_does_not_matter(network: str, behind: float) -> None:
    mine, run = numbers(network, "short"), recorded(network, "short")
    beyond = np.arange(len(mine["x"]))[:, None] >= data(network, "short")["lengths"]
    for name in ("h", "c", "z", "z_i", "i", "n", "logits", "p"):
        if name in mine:
            mine[name][beyond] = behind
    assert compare(run, mine).ok
    mine["h"][0, 0, 0] += 1  # before the end it does
    first = compare(run, mine, explain=False).first
    assert first is not None and first.yours_is == "h[0]"


def test_a_state_that_goes_on_behind_the_end_is_a_difference() -> None:
    note = "all of it lies behind the end of a sequence"
    report = report_on("rnn-unmasked", explain=False)
    assert report.first is not None and (report.first.yours_is, report.first.element[0]) == ("h[2]", 1)
    assert report.behind_ends and note in str(report) and json.loads(report.to_json())["behind_ends"]
    for bug in ("rnn-last-of-padding", "rnn-b_hh-missing-of-short", CARRY.id):
        report = report_on(bug, explain=False)
        assert report.first is not None and not report.behind_ends and note not in str(report)


def test_one_state_may_be_kept_and_another_one_filled() -> None:
    arguments, mine = data("gru", "short", 1), numbers("gru", "short", 1)
    rows = np.flatnonzero(arguments["lengths"] < len(mine["h"]))
    assert len(rows) == 2
    mine["h"][arguments["lengths"][rows[0]] :, rows[0]] = 0
    assert compare(recorded("gru", "short", 1), mine).ok


def test_a_wrong_state_that_is_kept_behind_the_end_is_wrong_before_it_only() -> None:
    """What follows from a bug before the end is not looked at behind it, kept or filled."""
    mine = wrong("lstm-b_hh-missing-of-short")
    filled = {name: np.array(array) for name, array in mine.items()}
    beyond = np.arange(len(mine["x"]))[:, None] >= data("lstm", "short")["lengths"]
    for name in ("h", "c", "z_i", "f", "tanh_c"):
        filled[name][beyond] = 0
    run = recorded("lstm", "short")
    one, other = (compare(run, arrays) for arrays in (mine, filled))
    assert one.diagnosis is not None and other.diagnosis is not None
    assert one.diagnosis.explanations == other.diagnosis.explanations != ()


# Not a number


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_what_is_no_number_is_a_difference(value: float) -> None:
    mine = numbers("lstm")
    mine["h"][2, 1, 3] = value
    report = compare(recorded("lstm"), mine)
    first = report.first
    assert first is not None and (first.yours_is, first.element, first.error) == ("h[2]", (1, 3), np.inf)
    np.testing.assert_equal(first.yours, value)
    assert f"yours  {value}" in str(report)


def test_json_is_json_even_if_a_number_is_none() -> None:
    mine = numbers("lstm")
    mine["h"][2, 1, 3] = np.nan

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(compare(recorded("lstm"), mine, explain=False).to_json(), parse_constant=refused)


# A wrong input


@pytest.mark.parametrize(
    "name, said",
    [("x", "x"), ("h0", "h"), ("c0", "c")],
)
def test_another_input_is_named_as_such(name: str, said: str) -> None:
    arguments = data("lstm")
    report = compare(recorded("lstm"), dict(lstm(**arguments | {name: arguments[name] + 0.5})))
    assert report.first is not None and report.first.yours_is.partition("[")[0] == name
    assert report.diagnosis is not None and report.diagnosis.explanations
    (sentence,) = report.diagnosis.explanations[0].sentences
    assert "other numbers than ours" in sentence and re.search(rf"\b{said}\b", sentence)


# watch and assert_matches


def test_watch_stops_where_the_number_was_made() -> None:
    check, mine = watch(recorded("lstm")), wrong()
    for t in range(4):
        check("h", mine["h"][t], t=t)
    check("dh", mine["dh"][3], t=3)
    with pytest.raises(Mismatch, match=r"FIRST DIFFERENCE  d_layer\.h\[2\]\[0, 0\]") as stopped:
        check("dh", mine["dh"][2], t=2)
    assert isinstance(stopped.value, AssertionError) and "WHY" not in str(stopped.value)
    check("loss", mine["loss"])
    with pytest.raises(ValueError, match="snapshot"):
        check("snapshot", mine["h"][0] + 1, t=0)


def test_watch_takes_a_mapping_a_tolerance_and_tensors(torch: Any) -> None:
    mine = numbers("lstm")
    watch(recorded("lstm"), {"state[1]": "layer.h[1]"})("state", mine["h"][1], t=1)
    watch(recorded("lstm"), tolerance=0.1)("h", mine["h"][1] + 1e-3, t=1)
    watch(recorded("lstm"))("h", torch.tensor(mine["h"][1], requires_grad=True), t=1)


def test_assert_matches() -> None:
    assert_matches(recorded("lstm"), numbers("lstm"))
    assert_matches(recorded("lstm"), numbers("lstm", dtype=np.float32))
    with pytest.raises(AssertionError, match="WHY   in your dh, dh from step t"):
        assert_matches(recorded("lstm"), wrong())
    with pytest.raises(AssertionError, match="not matched  snapshot"):
        assert_matches(recorded("lstm"), numbers("lstm") | {"snapshot": np.zeros(3)})
    assert_matches(recorded("lstm"), {"snapshot": numbers("lstm")["h"]}, {"snapshot": "layer.h"})


# The command


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our workbook."""
    path = tmp_path_factory.mktemp("book") / "lstm.xlsx"
    recorded("lstm").to_excel(path)
    return path


@pytest.fixture
def here(book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with our workbook, and right and wrong numbers beside it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(book, "lstm.xlsx")
    np.savez("right.npz", **numbers("lstm"))
    np.savez("wrong.npz", **wrong())
    return tmp_path


def tinynet(line: str) -> int:
    try:
        return main(line.split())
    except SystemExit as stopped:
        return int(stopped.code or 0)


def test_the_exit_code_is_1_if_an_array_could_not_be_compared(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("half.npz", **numbers("lstm"), snapshot=np.zeros(3))
    assert tinynet("compare half.npz lstm.xlsx") == 1
    said = capsys.readouterr().out
    assert "NOT COMPARED" in said and "all of them agree" not in said


def test_weights_are_asked_for_where_none_came() -> None:
    brought = {"h": numbers("lstm")["h"], "snapshot": np.zeros(3)}
    weights = {"weight_ih_l0": recorded("lstm")["layer.weight_ih_l0"]}
    asked = "bring your weights too"
    assert asked in str(compare(recorded("lstm"), brought))
    assert asked not in str(compare(recorded("lstm"), brought | weights))


def test_the_exit_code_is_0_if_all_agrees(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tinynet("compare right.npz lstm.xlsx") == 0
    assert "all of them agree" in capsys.readouterr().out


def test_the_exit_code_is_1_if_something_differs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tinynet("compare wrong.npz lstm.xlsx") == 1
    out, err = capsys.readouterr()
    expected = str(compare(recorded("lstm"), wrong()))
    assert re.sub(r" in [\d.]+ s", "", out) == re.sub(r" in [\d.]+ s", "", expected) + "\n" and not err


def test_other_numbers_are_written_where_two_reasons_fit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, mine = recorded("mlp", "square"), numbers("mlp", "square")
    run.to_excel("mlp.xlsx")
    np.savez("mine.npz", **(mine | {"db1": mine["db1"][::-1]}))
    assert tinynet("compare mine.npz mlp.xlsx --other other.xlsx") == 1
    assert "other.xlsx is not written: there are no two reasons to tell apart" in capsys.readouterr().err
    bug = next(bug for bug in BUGS if bug.id == "mlp-db1-along-units")
    np.savez("mine.npz", **numbers("mlp", "square", bug=bug))
    assert tinynet("compare mine.npz mlp.xlsx --other other.xlsx") == 1
    assert "other.npz: run your code with these numbers, and compare with other.xlsx" in capsys.readouterr().err
    other, given = tn.load("other.xlsx"), np.load("other.npz")
    assert {"x", "target", "fc1.weight", "fc1.bias"} <= set(given)
    for name in given:
        np.testing.assert_array_equal(given[name], other[name])
    assert not np.allclose(other["x"], run["x"]) and not list(Path().glob(".*"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "stream, environment, colour",
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),  # set, but empty: no-color.org
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_colour_is_for_terminals(
    stream: type[io.StringIO], environment: dict[str, str], colour: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr("sys.stdout", stream())
    assert tinynet("compare wrong.npz lstm.xlsx --no-explain") == 1
    text = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert ("\x1b[" in text) == colour
    plain = str(compare(recorded("lstm"), wrong(), explain=False))
    assert re.sub("\x1b\\[[\\d;]*m", "", text) == plain + "\n" and "\x1b" not in plain


WRONG_USE = {
    "compare wrong.npz": "a BOOK is required to compare arrays with",
    "compare nothing.npz lstm.xlsx": "nothing.npz",
    "compare wrong.npz nothing.xlsx": "nothing.xlsx",
    "compare wrong.npz right.npz": "right.npz",
    "compare notes.txt lstm.xlsx": "notes.txt",
    "compare broken.npz lstm.xlsx": "broken.npz",
    "compare strange.npz lstm.xlsx": "none of your arrays could be matched (snapshot): name them after ours",
    "compare lstm.xlsx lstm.xlsx": "nothing whole was pasted into the sheet Yours of lstm.xlsx",
    "compare wrong.npz lstm.xlsx --map snapshot": "'snapshot' is no pair: expected MINE=OURS",
    "compare wrong.npz lstm.xlsx --map h=layer.nothing": "layer.nothing",
    "compare wrong.npz lstm.xlsx --map nothing=layer.h": "nothing",
    "compare wrong.npz lstm.xlsx --tolerance much": "invalid float value: 'much'",
    "compare wrong.npz lstm.xlsx --effort=-1": "effort is -1.0, expected a number from 0",
}


@pytest.mark.parametrize("line", WRONG_USE)
def test_wrong_use_is_one_line_and_exit_code_2(line: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.txt").write_text("h = 1")
    Path("broken.npz").write_bytes(b"PK\x03\x04broken")
    np.savez("strange.npz", snapshot=np.zeros(3))
    assert tinynet(line) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("tinynet: ") and WRONG_USE[line] in err and err.count("\n") == 1


@pytest.mark.parametrize("tolerance", ["-1", "nan", "inf"])
def test_a_tolerance_that_is_none_is_refused(tolerance: str, here: Path) -> None:
    assert tinynet(f"compare wrong.npz lstm.xlsx --no-explain --tolerance {tolerance}") == 2


def test_without_effort_it_looks_for_no_reason(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tinynet("compare wrong.npz lstm.xlsx --effort 0") == 1
    assert "it stopped before all were tried, --effort 10 goes on" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["npz", "npy", "safetensors"])
def test_files(ending: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if ending == "safetensors":
        save = require("safetensors.numpy").save_file
        save({name: np.ascontiguousarray(array) for name, array in wrong().items()}, "wrong.safetensors")
    np.save("dh.npy", wrong()["dh"])
    assert tinynet(f"compare {'dh' if ending == 'npy' else 'wrong'}.{ending} lstm.xlsx --no-explain") == 1
    assert "(your dh[2], step 44)" in capsys.readouterr().out


def test_options(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tinynet("compare wrong.npz lstm.xlsx --no-explain") == 1
    assert "WHY" not in capsys.readouterr().out
    assert tinynet("compare wrong.npz lstm.xlsx --tolerance 10") == 0
    assert "tolerance 1e+01" in capsys.readouterr().out
    np.savez("named.npz", snapshot=wrong()["dh"], state=wrong()["c"])
    assert tinynet("compare --map snapshot=d_layer.h --map state=layer.c named.npz lstm.xlsx --no-explain") == 1
    assert "(your snapshot[2], step 44)" in capsys.readouterr().out
    assert tinynet("compare wrong.npz lstm.xlsx --json") == 1
    found, expected = json.loads(capsys.readouterr().out), json.loads(compare(recorded("lstm"), wrong()).to_json())
    assert found == expected


def test_the_report_can_be_written_as_a_workbook(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tinynet("compare wrong.npz lstm.xlsx --no-explain -o both.xlsx") == 1
    assert "both.xlsx" in capsys.readouterr().err and Path("both.xlsx").is_file()


def test_the_sheet_yours_of_that_workbook_says_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tinynet("compare wrong.npz lstm.xlsx --no-explain -o both.xlsx")
    first = capsys.readouterr().out.splitlines()[1].partition("(your")[0]
    tinynet("compare both.xlsx lstm.xlsx --no-explain")
    assert capsys.readouterr().out.splitlines()[1].partition("(your")[0] == first


def test_an_edited_workbook_is_what_is_compared_with(here: Path) -> None:
    changed = recorded("lstm").replay(x=recorded("lstm")["x"] + 1)
    changed.to_excel("lstm.xlsx")
    assert tinynet("compare right.npz lstm.xlsx --no-explain") == 1


def test_a_report_is_frozen() -> None:
    report = report_on(CARRY.id, explain=False)
    with pytest.raises(AttributeError):
        report.first = None  # type: ignore[misc]
    assert replace(report, first=None).ok
