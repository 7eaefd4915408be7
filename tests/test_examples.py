"""Every example runs as its first lines say, and its workbook verifies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.spreadsheets import require
from tinynet.workbook import verify

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_its_workbook_verifies(example: Path, tmp_path: Path):
    if "torch" in example.read_text(encoding="utf-8"):
        require("torch")
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (book,) = tmp_path.glob("*.xlsx")
    assert verify(book).ok
    assert not done.stderr
