"""The sheet Time steps: how large the gradients of states are, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl

import tinynet as tn
from tests.gradients import spread
from tinynet import cli
from tinynet.workbook import write
from tinynet.workbook.time_steps import TIME_STEPS


def total(x: np.ndarray, h: np.ndarray, W: np.ndarray, U: np.ndarray) -> np.ndarray:
    """A loss that is added up step by step, as many write it."""
    loss, hs = np.zeros(()), {-1: h}
    for t in range(3):
        hs[t] = np.tanh(W @ x[t] + U @ hs[t - 1])
        loss = loss + (hs[t] ** 2).sum()
    return loss


def test_a_running_total_has_no_column(tmp_path: Path):
    run = tn.trace(total, spread(3, 2, 1), spread(2, 1, seed=1), spread(2, 2, seed=2), spread(2, 2, seed=3))
    sheet = openpyxl.load_workbook(write(run, tmp_path / "network.xlsx").path)[TIME_STEPS]
    assert [cell.value for cell in sheet[4] if cell.value] == ["step", "size of δhs"]


def test_heads_fit_into_their_columns(tmp_path: Path):
    run = cli.recorded(["export", *["gru", "--bidirectional", "--layers", "2", "--hidden", "1", "--steps", "2"]])
    sheet = openpyxl.load_workbook(write(run, tmp_path / "network.xlsx").path)[TIME_STEPS]
    heads = [str(cell.value) for cell in sheet[4] if cell.value]
    assert len(heads) == 5 and max(map(len, heads)) < sheet.column_dimensions["B"].width
