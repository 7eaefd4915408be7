"""The command ``tinynet``: what it prints, what it writes, and one clear line for every wrong use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pytest

import tinynet as tn
from tests.test_verify import with_cell
from tinynet.cli import MODELS, main
from tinynet.workbook import load, verify

SCRIPT = """
import numpy as np
import tinynet as tn
from helper import scale

def run():
    w = tn.tensor([0.5, -0.25], requires_grad=True, name="w")
    with tn.record() as recorded:
        (w * scale).tanh().sum().backward()
    return recorded

def nothing():
    return 7

def broken():
    raise RuntimeError("the sensor is unplugged")

def needs(argument):
    return argument

number = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a script in ``work``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("net", "helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "net.py").write_text(SCRIPT)
    (tmp_path / "work" / "helper.py").write_text("scale = 2.0\n")
    return tmp_path


def tinynet(line: str) -> int:
    return main(line.split())


# export

EXPORTS = {
    "mlp": [],
    "mlp --inputs 4 --hidden 2 --batch 1 --layers 2 --seed 3 --lr 0.1 --updates 2": ["Update 1", "Update 2"],
    "rnn": [],
    "rnn --inputs 1 --hidden 2 --steps 2 --batch 2 --layers 2": [],
    "rnn --detail ops --steps 2": [],
    "lstm": [],
    "lstm --steps 1 --hidden 1 --seed 5 --lr 1e-3 --updates 3": ["Update 1", "Update 2", "Update 3"],
    "gru": [],
    "gru --reset-before --batch 2 --lengths 4,2 --no-bias": [],
    "lstm --bidirectional --peepholes --truncate 1,2 --loss last": [],
    "lstm --coupled-gates --cell-clip 0.5 --proj-size 2": [],
    "lstm --forget-bias 1 --loss sum": [],
    "rnn --nonlinearity relu --layers 2 --dropout 0.5": [],
}


@pytest.mark.parametrize("line", EXPORTS)
def test_export_writes_a_workbook_that_verifies(line: str, here: Path, capsys: pytest.CaptureFixture[str]):
    name = line.split()[0]
    assert main(["export", *line.split()]) == 0
    out, err = capsys.readouterr()
    first, sheets, open_it, check_it = out.splitlines()
    path = here / f"{name}.xlsx"
    cells = verify(path).cells
    loss = load(path).book.run["loss"]
    size = f"{path.stat().st_size / 1024:.0f} kB"
    assert first == f"{name}.xlsx: {cells:,} formula cells · {size} · loss {loss:.6g}"
    times = [] if name == "mlp" or "--steps 1" in line else ["Time steps"]
    assert sheets == "sheets: " + ", ".join(["Read me", *(EXPORTS[line] or ["Network"]), "Steps", "Checks", *times])
    assert open_it == "Open it in any spreadsheet program and start at the sheet 'Read me'."
    assert check_it == f"Check it: tinynet verify {name}.xlsx" and err == ""


def test_the_options_reach_the_run(here: Path):
    tinynet("export lstm --hidden 2 --steps 3 --batch 2 --lr 0.25 --seed 9 -o out.xlsx")
    run = load("out.xlsx").book.run
    assert run["x"].shape == (3, 2, 2) and run["lstm.h[0]"].shape == (2, 2) and run["lr"] == 0.25
    tinynet("export lstm --hidden 2 --steps 3 --batch 2 --lr 0.25 --seed 8 -o other.xlsx")
    assert np.any(load("other.xlsx").book.run["lstm.weight_ih_l0"] != run["lstm.weight_ih_l0"])


def test_detail_ops_gives_every_operation_cells(here: Path):
    tinynet("export rnn -o names.xlsx")
    tinynet("export rnn --detail ops -o ops.xlsx")
    assert verify("ops.xlsx").cells > verify("names.xlsx").cells


def test_a_function_of_a_script_is_exported(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["export", "work/net.py:run", "-o", "out.xlsx"]) == 0
    assert load("out.xlsx").book.run["loss"] == np.tanh([1.0, -0.5]).sum()
    assert main(["export", str(here / "work" / "net.py") + ":run"]) == 0  # named after the script, put where we are
    assert verify(here / "net.xlsx").ok
    assert openpyxl.load_workbook("net.xlsx")["Network"]["A1"].value == "net"


# verify


def test_verify_says_how_well_all_cells_agree(here: Path, capsys: pytest.CaptureFixture[str]):
    tinynet("export rnn")
    capsys.readouterr()
    assert tinynet("verify rnn.xlsx") == 0
    cells = verify("rnn.xlsx").cells
    assert capsys.readouterr().out == f"rnn.xlsx: all {cells} formula cells agree with NumPy, to the last digit\n"


def test_verify_names_the_first_difference(here: Path, capsys: pytest.CaptureFixture[str]):
    tinynet("export rnn")
    book = load("rnn.xlsx").book
    block = next(b for b in book.plan.blocks if b.name == "rnn.h[1]")
    address = book.addresses.text[block.ids.flat[0]]
    path = with_cell(Path("rnn.xlsx"), Path("x.xlsx"), "Network", address, r"<v>[^<]*</v>", "<v>0.5</v>")
    capsys.readouterr()
    assert main(["verify", str(path)]) == 1
    head, first, *rest = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"x\.xlsx: 1 cells? differs? \(\d+ formula cells compared\)", head)
    assert first.startswith(f"first: Network!{address} (rnn.h[1]): shows 0.5, NumPy computes ") and rest == []


def test_verify_lists_five_of_many_differences(here: Path, capsys: pytest.CaptureFixture[str]):
    tinynet("export rnn")
    openpyxl.load_workbook("rnn.xlsx").save("x.xlsx")
    capsys.readouterr()
    assert tinynet("verify x.xlsx") == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and re.fullmatch(r"  … and \d+ more differences", lines[-1])


# info


@pytest.mark.parametrize("line", ["mlp --inputs 4", "rnn --batch 2 --updates 2", "lstm --layers 2 --steps 2"])
def test_info_lists_every_name_with_its_range(line: str, here: Path, capsys: pytest.CaptureFixture[str]):
    main(["export", *line.split(), "-o", "x.xlsx"])
    capsys.readouterr()
    assert tinynet("info x.xlsx") == 0
    head, *rows = [re.split(r"\s{2,}", row) for row in capsys.readouterr().out.splitlines()]
    assert head == ["name", "shape", "kind", "sheet", "range"]
    run = load("x.xlsx").book.run
    sheets = openpyxl.load_workbook("x.xlsx", data_only=True)
    seen = {row[0] for row in rows}
    assert len(seen) == len(rows)
    for name, shape, kind, sheet, area in rows:
        cells = sheets[sheet][area]
        held = [cell.value for row in (cells if isinstance(cells, tuple) else ((cells,),)) for cell in row]
        if name in run:
            array = np.asarray(run[name], dtype=float)
            assert shape == ("×".join(map(str, array.shape)) or "1")
            assert sorted(array.reshape(-1)) == sorted(held)
            value, step = run.find(name), run.step_of(run.find(name))
            expected = (
                {value.kind if value.of is None else "backward"}
                if step is None
                else {"parameter", "update", step.phase}
            )
            assert kind in expected
    assert {"x", "target", "loss", "lr"} <= seen


def test_info_names_every_quantity_of_the_run(here: Path, capsys: pytest.CaptureFixture[str]):
    """Parts of a parameter stand for it (W_ii for weight_ih_l0), and parts of an input are the input."""
    tinynet("export lstm --steps 2")
    capsys.readouterr()
    tinynet("info lstm.xlsx")
    seen = {row.split()[0] for row in capsys.readouterr().out.splitlines()[1:]}
    run = load("lstm.xlsx").book.run
    for quantity in ("z_i", "i", "f", "g", "o", "c", "tanh_c", "h"):
        for t in (0, 1):
            assert {f"lstm.{quantity}[{t}]", f"d_lstm.{quantity}[{t}]"} <= seen
    for name in ("lstm.W_ii", "lstm.W_ho", "lstm.b_hf", "output.weight", "output.bias"):
        assert {name, f"d_{name}", f"new_{name}"} <= seen and name in run


# Wrong use: one line on stderr, exit code 2

WRONG = {
    "": "required",
    "expotr mlp": "invalid choice",
    "export": "required",
    "export gru9": "no model is called 'gru9': expected mlp",
    "export mlp --steps 3": "--steps has no meaning for mlp: leave it out",
    "export mlp --inputs 3": "--inputs is 3, expected 64, 16 or 4",
    "export mlp --batch 0": "--batch is 0, expected at least 1",
    "export mlp --batch -1": "--batch is -1, expected at least 1",
    "export mlp --batch 1798": "--batch is 1798, expected 1 to 1797",
    "export mlp --hidden 0": "--hidden is 0, expected at least 1",
    "export mlp --updates 0": "--updates is 0, expected at least 1",
    "export mlp --lr -1": "--lr is -1.0, expected at least 0",
    "export mlp --lr nan": "--lr is nan, expected at least 0",
    "export mlp --lr inf": "--lr is inf, expected at least 0",
    "export mlp --seed -1": "--seed is -1, expected at least 0",
    "export mlp --hidden two": "invalid int value: 'two'",
    "export rnn --steps 21": "--steps (there are 21 years) is 21, expected 1 to 20",
    "export rnn --batch 18": "--batch (windows of 4 steps in 21 years) is 18, expected 1 to 17",
    "export lstm --inputs 3": "--inputs (2: hare and lynx, 1: lynx alone) is 3, expected 1 to 2",
    "export rnn --detail all": "invalid choice: 'all'",
    "export rnn --colour": "unrecognized arguments: --colour",
    "export rnn -o x.csv": "x.csv does not end in .xlsx",
    "export rnn -o missing/x.xlsx": "there is no folder missing",
    "export rnn -o work": "work does not end in .xlsx",
    "export mlp --inputs 64 --batch 1000": "formula cells, the budget is 100,000",
    "export missing.py:run": "there is no script missing.py",
    "export work/notes.txt:run": "is not a Python script: its name must end in .py",
    "export work/net.py:absent": "work/net.py has no function 'absent'; it has broken, needs, nothing, run",
    "export work/net.py:number": "work/net.py has no function 'number'",
    "export work/net.py:": "work/net.py has no function ''",
    "export work/net.py:nothing": "work/net.py:nothing returned int, expected the Run of a tn.record() block",
    "export work/net.py:broken": "work/net.py:broken failed: RuntimeError: the sensor is unplugged",
    "export work/net.py:needs": "work/net.py:needs failed: TypeError: needs() missing",
    "export work/net.py:run --hidden 3": "--hidden is for the built-in models: set it in work/net.py:run",
    "export work/wrong.py:run": "work/wrong.py:run failed: SyntaxError",
    "export work/exits.py:run": "work/exits.py:run failed: SystemExit",
    "verify": "required",
    "verify none.xlsx": "there is no file none.xlsx",
    "verify work": "there is no file work",
    "verify work/net.py": "net.py cannot be read as an .xlsx workbook",
    "info none.xlsx": "there is no file none.xlsx",
    "info work/net.py": "net.py cannot be read as an .xlsx workbook",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_use_is_told_in_one_line(line: str, here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "work" / "notes.txt").write_text("notes")
    (here / "work" / "wrong.py").write_text("def run(:\n")
    (here / "work" / "exits.py").write_text("import sys\n\ndef run():\n    sys.exit('bye')\n")
    before = sorted(here.iterdir())
    try:
        code = main(line.split())
    except SystemExit as error:  # what argparse does
        code = error.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("tinynet: ") and err.count("\n") == 1 and "Traceback" not in err
    assert WRONG[line] in err
    assert sorted(here.iterdir()) == before  # nothing was written


def test_a_folder_that_cannot_be_written_is_told(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def refuse(dir: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(dir / "x"))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert tinynet("export rnn -o work/rnn.xlsx") == 2
    assert capsys.readouterr().err == "tinynet: Permission denied: work/x\n"


# The program


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tinynet.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]


def test_the_module_is_a_program(here: Path):
    made = program("export", "rnn", "--steps", "2", cwd=here)
    assert (made.returncode, made.stderr) == (0, "") and made.stdout.startswith("rnn.xlsx: ")
    assert program("verify", "rnn.xlsx", cwd=here).returncode == 0
    wrong = program("export", "mlp", "--steps", "3", cwd=here)
    assert (wrong.returncode, wrong.stdout) == (2, "") and wrong.stderr.count("\n") == 1


def test_version_and_help(capsys: pytest.CaptureFixture[str]):
    for arguments in (["--version"], ["--help"], ["export", "--help"], ["verify", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"tinynet {tn.__version__}\n")
    for word in (*MODELS, "--updates", "--detail", "verify", "info", "gallery"):
        assert word in out


def test_a_reader_that_has_seen_enough_is_no_error(here: Path):
    program("export", "lstm", cwd=here)
    command = f"{sys.executable} -m tinynet.cli info lstm.xlsx | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=here)
    assert done.stdout.startswith("name") and done.stderr == ""
