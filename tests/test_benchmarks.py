"""The benchmarks run, and all peers that are installed compute the same."""

from __future__ import annotations

import json
import sys

import openpyxl
import pytest

from benchmarks import __main__, growth, writing
from benchmarks.networks import Convolution, Lstm, Mlp, Rnn
from benchmarks.peers import steps_of

SMALL = [Mlp(2, 8, 1, 4), Mlp(3, 4, 2, 5), Convolution((2, 3), 4, 2), Rnn(2, 3, 3, 2), Lstm(2, 3, 3, 2)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_all_peers_of_the_smallest_network_compute_the_same_losses(dtype):
    steps = steps_of(Mlp(2, 8, 1, batch=4, dtype=dtype))  # raises where they do not
    assert {"eager", "compiled", "numpy"} <= set(steps)


@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_the_steps_by_hand_train_as_tinynet_does(network):
    from benchmarks.peers.ours import compiled, eager

    steps = [network.numpy(), eager(network), compiled(network)]
    for _ in range(5):
        mine, *ours = [step() for step in steps]
        assert ours == pytest.approx([mine, mine], rel=1e-12)


def test_the_table_and_its_file(tmp_path, monkeypatch, capsys):
    path = tmp_path / "results.json"
    options = ["--only", "2-8-1", "--dtype", "float64", "--rounds", "1", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *options])
    __main__.main()
    assert "MLP 2-8-1, batch 4" in capsys.readouterr().out
    (row,) = json.loads(path.read_text(encoding="utf-8"))["training_step"]
    assert row["seconds"]["numpy"] > 0


def test_growth():
    found = [*growth.training("steps", (2, 3), 0.0), growth.writing((1, 2), 0.0)]
    assert [row.what for row in found] == ["eager step", "record a step", "compile", "compiled step", "to_excel"]
    assert all(min(row.seconds) > 0 and min(row.bytes) > 0 for row in found)
    assert growth.exponent([1, 2, 4, 8], [5, 12, 48, 192]) == pytest.approx(2)


def test_writing():
    found = writing.measured(Mlp(1, 1, 1, batch=1), rounds=1)
    assert found.cells > found.formula_cells > 0 and min(found.seconds.values()) > 0


def test_curves_become_charts_of_a_workbook(tmp_path):
    from benchmarks.chart import Curve, write_charts

    path = tmp_path / "growth.xlsx"
    write_charts(
        str(path), [Curve("steps", "eager", [1, 2], [3.0, 5.0]), Curve("units", "eager", [4, 8], [1.0, 2.5])], "ms"
    )
    book = openpyxl.load_workbook(path)
    assert [[cell.value for cell in row] for row in book["Numbers"].iter_rows(min_row=3)] == [
        [1, 3, None, 4, 1],
        [2, 5, None, 8, 2.5],
    ]
    assert len(book["Charts"]._charts) == 2
