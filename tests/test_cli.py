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
from tinynet.datasets import load_coffee, load_digits
from tinynet.models import convolutional
from tinynet.workbook import read_book, verify

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


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net of digits as it begins: training takes seconds, and is tested elsewhere."""

    def begin(
        _: np.ndarray, labels: np.ndarray, channels: list[int], kernel: int, seed: int
    ) -> tuple[convolutional.ConvNet, np.ndarray, np.ndarray]:
        tn.manual_seed(seed)
        return convolutional.ConvNet(list(channels), kernel), np.arange(497), np.eye(10)[labels[:497]]

    monkeypatch.setattr(convolutional, "trained_digits", begin)


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
    "cnn --channels 1": ["Input", "conv1", "Head", "conv1 back"],
    "cnn --channels 1,2 --kernel 2 --lr 0.2": ["Input", "conv1", "conv2", "Head", "conv2 back", "conv1 back"],
}


@pytest.mark.parametrize("line", EXPORTS)
def test_export_writes_a_workbook_that_verifies(line: str, here: Path, capsys: pytest.CaptureFixture[str]):
    name = line.split()[0]
    assert main(["export", *line.split()]) == 0
    out, err = capsys.readouterr()
    first, sheets, open_it, check_it = out.splitlines()
    path = here / f"{name}.xlsx"
    cells = verify(path).cells
    loss = read_book(path).book.run["loss"]
    size = f"{path.stat().st_size / 1024:.0f} kB"
    assert first == f"{name}.xlsx: {cells:,} formula cells · {size} · loss {loss:.6g}"
    times = [] if name in ("mlp", "cnn") or "--steps 1" in line else ["Time steps"]
    names = ["Read me", *(EXPORTS[line] or ["Network"]), "Steps", "Checks", "Yours", *times]
    assert sheets == "sheets: " + ", ".join(names)
    assert open_it == "Open it in any spreadsheet program and start at the sheet 'Read me'."
    assert check_it == f"Check it: tinynet verify {name}.xlsx" and err == ""


def test_the_options_reach_the_run(here: Path):
    tinynet("export lstm --hidden 2 --steps 3 --batch 2 --lr 0.25 --seed 9 -o out.xlsx")
    run = read_book("out.xlsx").book.run
    assert run["x"].shape == (3, 2, 2) and run["lstm.h[0]"].shape == (2, 2) and run["lr"] == 0.25
    tinynet("export lstm --hidden 2 --steps 3 --batch 2 --lr 0.25 --seed 8 -o other.xlsx")
    assert np.any(read_book("other.xlsx").book.run["lstm.weight_ih_l0"] != run["lstm.weight_ih_l0"])


def test_the_options_of_the_convolutional_net_reach_the_run(here: Path):
    images, labels = load_digits()
    tinynet("export cnn --channels 2,3 --kernel 5 --image 7 --lr 0.5 --updates 2")
    run = read_book("cnn.xlsx").book.run
    assert run["conv1.weight"].shape == (2, 1, 5, 5) and run["conv2.weight"].shape == (3, 2, 5, 5)
    assert run["which"].tolist() == [10] and run["labels"][10] == labels[7] and run["lr"] == 0.5
    np.testing.assert_array_equal(run["digits"][10], images[7])
    assert "loss#2" in run and np.array_equal(run["x"][0], images[7])


@pytest.mark.parametrize("kernel", ["edge", "gauss"])
def test_a_well_known_kernel_is_laid_on_a_picture(kernel: str, here: Path, capsys: pytest.CaptureFixture[str]):
    assert tinynet(f"export cnn --kernel {kernel}") == 0
    assert tinynet(f"export cnn --kernel {kernel} --image 4 -o digit.xlsx") == 0
    coffee, digit = (line for line in capsys.readouterr().out.splitlines() if "formula cells" in line)
    assert re.fullmatch(r"cnn\.xlsx: 2,180 formula cells · \d+ kB", coffee)  # no loss; 34×34 + 32×32 cells
    assert re.fullmatch(r"digit\.xlsx: 164 formula cells · \d+ kB", digit)
    run = read_book("cnn.xlsx").book.run
    np.testing.assert_array_equal(run["x"][0, 0], load_coffee())
    np.testing.assert_array_equal(run[f"{kernel}.weight"][0, 0], convolutional.FILTERS[kernel])
    np.testing.assert_array_equal(read_book("digit.xlsx").book.run["x"][0, 0], load_digits()[0][4])
    assert verify("cnn.xlsx").ok


def test_beyond_the_budget_numbers_are_written_and_named(here: Path, capsys: pytest.CaptureFixture[str]):
    assert tinynet("export cnn --channels 1 --max-cells 1000 --values-beyond") == 0
    lines = capsys.readouterr().out.splitlines()
    said = "numbers only, beyond the budget (hatched, they do not recompute): "
    assert lines[2].startswith(said) and lines[2].endswith(", new_fc1.weight, new_fc1.bias …")
    cells = verify("cnn.xlsx").cells
    assert lines[0].startswith(f"cnn.xlsx: {cells:,} formula cells") and 0 < cells <= 1000


def test_a_large_workbook_is_announced_before_it_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    tinynet("export rnn")
    assert "writing" not in capsys.readouterr().out
    monkeypatch.setattr(sys.modules["tinynet.workbook.write"], "WARN", 10)
    assert tinynet("export rnn") == 0
    out, err = capsys.readouterr()
    cells = verify("rnn.xlsx").cells
    assert out.startswith(f"writing {cells} formula cells (the largest: ") and err == ""
    assert out.index("writing") < out.index("rnn.xlsx: ")


def test_detail_ops_gives_every_operation_cells(here: Path):
    tinynet("export rnn -o names.xlsx")
    tinynet("export rnn --detail ops -o ops.xlsx")
    assert verify("ops.xlsx").cells > verify("names.xlsx").cells


def test_a_function_of_a_script_is_exported(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["export", "work/net.py:run", "-o", "out.xlsx"]) == 0
    assert read_book("out.xlsx").book.run["loss"] == np.tanh([1.0, -0.5]).sum()
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
    book = read_book("rnn.xlsx").book
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
    run = read_book("x.xlsx").book.run
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
    run = read_book("lstm.xlsx").book.run
    for quantity in ("z_i", "i", "f", "g", "o", "c", "tanh_c", "h"):
        for t in (0, 1):
            assert {f"lstm.{quantity}[{t}]", f"d_lstm.{quantity}[{t}]"} <= seen
    for name in ("lstm.W_ii", "lstm.W_ho", "lstm.b_hf", "output.weight", "output.bias"):
        assert {name, f"d_{name}", f"new_{name}"} <= seen and name in run


def test_info_names_what_an_optimiser_keeps(here: Path, capsys: pytest.CaptureFixture[str]):
    tinynet("export lstm --steps 2 --optimizer adam")
    capsys.readouterr()
    tinynet("info lstm.xlsx")
    kinds = {row.split()[0]: row.split()[2] for row in capsys.readouterr().out.splitlines()[1:]}
    for label in ("m", "v", "m_hat", "v_hat"):
        assert kinds[f"{label}_lstm.W_ii"] == kinds[f"{label}_output.bias"] == "update"
    assert kinds["old_m_lstm.W_ii"] == kinds["old_t"] == "state"
    assert {kinds[name] for name in ("lr", "beta1", "beta2", "eps")} == {"hyperparameter"}


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
    "export gru --lengths 4,2": "--lengths has 2 lengths for a batch of 1: give --batch 2",
    "export rnn --dropout 0.5": "--dropout is between layers, and there is one: give --layers 2, or leave it out",
    "export mlp --batch 1798": "--batch is 1798, expected 1 to 1797",
    "export mlp --hidden 0": "--hidden is 0, expected at least 1",
    "export mlp --updates 0": "--updates is 0, expected at least 1",
    "export mlp --lr -1": "--lr is -1.0, expected at least 0",
    "export mlp --lr nan": "--lr is nan, expected at least 0",
    "export mlp --lr inf": "--lr is inf, expected at least 0",
    "export mlp --seed -1": "--seed is -1, expected at least 0",
    "export mlp --hidden two": "invalid int value: 'two'",
    "export mlp --kernel 3": "--kernel has no meaning for mlp: leave it out",
    "export mlp --channels 2": "--channels has no meaning for mlp: leave it out",
    "export cnn --hidden 4": "--hidden has no meaning for cnn: leave it out",
    "export cnn --steps 2": "--steps has no meaning for cnn: leave it out",
    "export cnn --kernel 0": "--kernel is 0, expected at least 1",
    "export cnn --kernel -3": "--kernel is -3, expected at least 1",
    "export cnn --kernel 8": "--kernel (or edge, sharpen, box, gauss, identity) is 8, expected 1 to 7",
    "export cnn --kernel blur": "--kernel is 'blur', expected a size such as 3, or one of edge, sharpen, box",
    "export cnn --channels 1,1,1,1": "the number of layers in --channels is 4, expected 1 to 3",
    "export cnn --channels 0": "a number of maps in --channels is 0, expected 1 to 64",
    "export cnn --kernel edge --channels 4": "--channels has no meaning for --kernel edge",
    "export cnn --channels 4,x": "'4,x'",
    "export cnn --image 1797": "--image is 1797, expected 0 to 1796",
    "export cnn --image -1": "--image is -1, expected at least 0",
    "export cnn --kernel edge --image 1797": "--image is 1797, expected 0 to 1796",
    "export cnn --updates 0": "--updates is 0, expected at least 1",
    "export cnn --max-cells many": "invalid int value: 'many'",
    "export cnn --max-cells 6049": "6,050 formula cells, the budget is 6,049 (the largest: d_fc1.weight 768, ",
    "export cnn --max-cells 2000000 --values-beyond": "max_cells is 2,000,000, expected 1,000,000 at most",
    "export rnn --steps 21": "--steps (there are 21 years) is 21, expected 1 to 20",
    "export rnn --batch 18": "--batch (windows of 4 steps in 21 years) is 18, expected 1 to 17",
    "export lstm --inputs 3": "--inputs (2: hare and lynx, 1: lynx alone) is 3, expected 1 to 2",
    "export rnn --detail all": "invalid choice: 'all'",
    "export rnn --colour": "unrecognized arguments: --colour",
    "export rnn -o x.csv": "x.csv does not end in .xlsx",
    "export rnn -o missing/x.xlsx": "there is no folder missing",
    "export rnn --truncate 1,2,3": "'1,2,3' has 3 numbers: expected k or k1,k2",
    "export rnn -o work": "work does not end in .xlsx",
    "export mlp --inputs 64 --batch 1000": "formula cells, the budget is 100,000",
    "export missing.py:run": "there is no script missing.py",
    "export work/notes.txt:run": "is not a Python script: its name must end in .py",
    "export work/net.py:absent": "work/net.py has no function 'absent'; it has broken, needs, nothing, run",
    "export work/net.py:number": "work/net.py has no function 'number'",
    "export work/net.py:": "work/net.py has no function ''",
    "export work/net.py:nothing": "work/net.py:nothing returned int, expected the Run of a tn.record() block",
    "export work/net.py:broken": "work/net.py:broken failed: RuntimeError: the sensor is unplugged",
    "export work/net.py:needs": "work/net.py:needs takes argument: give arrays called so by --arrays FILE.npz",
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
