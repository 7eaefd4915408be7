"""Every example runs as its first lines say, and its workbook verifies."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spreadsheets import require
from tinynet.workbook import load, verify

FOLDER = Path(__file__).parent.parent / "examples"
README = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
WRONG = FOLDER / "wrong_lstm.py"  # it writes no workbook: its commands do
CHECKED = FOLDER / "checked_lstm.py"  # a test, which fails
BACKWARD = FOLDER / "wrong_backward.py"  # whose gradients are wrong, as README shows
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - {WRONG, CHECKED, BACKWARD})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_its_workbook_verifies(example: Path, tmp_path: Path):
    if "torch" in example.read_text(encoding="utf-8"):
        require("torch")
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (book,) = tmp_path.glob("*.xlsx")
    assert verify(book).ok
    assert not done.stderr


def test_the_wrong_lstm_is_corrected_by_the_commands_that_it_says(tmp_path: Path):
    text = ast.get_docstring(ast.parse(WRONG.read_text(encoding="utf-8")))
    commands = [line.split() for line in (text or "").splitlines() if line.startswith("    ")]
    programs = {"python": [sys.executable], "tinynet": [sys.executable, "-m", "tinynet.cli"]}
    done = []
    for program, *arguments in commands:
        arguments = [str(WRONG) if word.endswith(WRONG.name) else word for word in arguments]
        line = [*programs[program], *arguments]
        done.append(subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300))
    assert [one.returncode for one in done] == [0, 0, 1, 0, 0], [one.stderr for one in done]
    assert not any(one.stderr for one in done)
    assert "(your dc[4], step " in done[2].stdout and "c is used where tanh_c belongs" in done[2].stdout
    assert done[4].stdout.endswith("all of them agree\n")
    assert verify(tmp_path / "lstm.xlsx").ok


def test_the_first_command_of_readme_makes_a_workbook_and_checks_it(tmp_path: Path):
    install, *commands = README.partition("```sh\n")[2].partition("\n```")[0].split(" && ")
    assert install == "pip install -e ." and len(commands) == 2
    for command in commands:
        line = [sys.executable, "-m", "tinynet.cli", *command.split()[1:]]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_network_of_readme_runs_as_it_stands(tmp_path: Path):
    code = README.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "lstm.c[3]" in done.stdout, done.stderr
    assert verify(tmp_path / "net.xlsx").ok


def test_readme_shows_what_is_said_of_the_wrong_backward_pass():
    command, *shown = README.partition("```\n$ tinynet compare examples/")[2].partition("```")[0].splitlines()
    line = [sys.executable, "-m", "tinynet.cli", "compare", f"examples/{command}"]
    done = subprocess.run(line, cwd=FOLDER.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and not done.stderr and len(shown) > 5
    in_time = re.compile(r"[\d,]+ hypotheses tried in .* s")
    assert [in_time.sub("", text) for text in done.stdout.splitlines()] == [in_time.sub("", text) for text in shown]


def test_the_wrong_backward_pass_corrected_agrees(tmp_path: Path):
    text = BACKWARD.read_text(encoding="utf-8")
    assert "(1 - h[t]) ** 2" in text
    (tmp_path / "right.py").write_text(text.replace("(1 - h[t]) ** 2", "(1 - h[t] ** 2)"), encoding="utf-8")
    line = [sys.executable, "-m", "tinynet.cli", "compare", "right.py:loss_and_gradients"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "all of them agree" in done.stdout


def test_the_checked_lstm_fails_shrinks_and_is_written_and_passes_when_corrected(tmp_path: Path):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(tmp_path / "none.ini"), str(CHECKED)]
    options = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
    (tmp_path / "none.ini").touch()
    wrong = subprocess.run([*command, "--tinynet-export", "."], **options)
    assert wrong.returncode == 1, wrong.stdout
    (book,) = tmp_path.glob("*.xlsx")
    assert f"the counterexample is in {book.name}" in wrong.stdout
    run = load(book)
    assert run["x"].shape == (2, 1, 1)  # one unit, and the two steps that the mistake needs
    assert {"i[0]", "c[1]", "d_c[0]", "d_U"} <= set(run.names)
    assert verify(book).ok
    right = subprocess.run(command, env=os.environ | {"FIXED": "1"}, **options)
    assert right.returncode == 0, right.stdout
