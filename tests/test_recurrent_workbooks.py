"""Workbooks of every recurrent variant: recalculated from nothing, each cell is what NumPy computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import libreoffice, poison
from tests.workbooks import Sample, assert_agrees, sample
from tinynet import nn
from tinynet import workbook as books

LENGTHS = [4, 2]
TARGET = np.array([[0, 2], [1, 1], [2, 0], [1, 2]])


def trained(
    kind: str, lengths: list[int] | None = None, given_states: bool = False, updates: int = 1, **options: Any
) -> tn.Run:
    """A recurrent layer, a linear one, cross entropy at every step, backward and update."""
    tn.manual_seed(1)
    layer = getattr(nn, kind)(2, 3, **options)
    output = nn.Linear(layer.output_size * layer.directions, 3)
    optimizer = tn.optim.SGD([*layer.parameters(), *output.parameters()], lr=0.1)
    x, target = spread(4, 2, 2), TARGET
    if layer.batch_first:
        x, target = x.transpose(1, 0, 2).copy(), target.T.copy()
    x = tn.tensor(x, requires_grad=True, name="x")
    sizes = [layer.output_size, layer.hidden_size][: 2 if kind == "LSTM" else 1]
    shapes = [(layer.num_layers * layer.directions, 2, size) for size in sizes]
    states = [
        tn.tensor(spread(*shape, seed=k), requires_grad=True, name="hc"[k] + "0") for k, shape in enumerate(shapes)
    ]
    given = (tuple(states) if kind == "LSTM" else states[0]) if given_states else None
    with tn.record() as run:
        for _ in range(updates):
            optimizer.zero_grad()
            x.grad = None
            outputs, _ = layer(x, given, lengths=lengths)
            tn.functional.cross_entropy(output(outputs), target).backward()
            optimizer.step()
    return run


def classified() -> tn.Run:
    """The last states of sequences of different lengths, cut every two steps, tell the class."""
    tn.manual_seed(1)
    layer, output = nn.GRU(2, 3, truncate=2), nn.Linear(3, 2)
    x = tn.tensor(spread(4, 2, 2), requires_grad=True, name="x")
    with tn.record() as run:
        _, last = layer(x, lengths=LENGTHS)
        tn.functional.cross_entropy(output(last[0]), np.array([0, 1])).backward()
    return run


def looped(kind: str) -> tn.Run:
    """A loop over time that a user writes around a cell."""
    tn.manual_seed(1)
    cell, output = getattr(nn, f"{kind}Cell")(2, 3), nn.Linear(3, 3)
    x = tn.tensor(spread(4, 2, 2), requires_grad=True, name="x")
    with tn.record() as run:
        state, losses = None, []
        for t in range(4):
            with tn.time_step(t):
                state = cell(x[t], state)
                shown = state[0] if kind == "LSTM" else state
                losses.append(tn.functional.cross_entropy(output(shown), TARGET[t]))
        sum(losses[1:], losses[0]).backward()
    return run


RUNS: dict[str, Callable[[], tn.Run]] = {
    "gru": lambda: trained("GRU"),
    "gru, reset before": lambda: trained("GRU", reset_after=False),
    "lstm, both directions": lambda: trained("LSTM", bidirectional=True),
    "gru, both directions, 2 layers": lambda: trained("GRU", num_layers=2, bidirectional=True),
    "lstm, lengths": lambda: trained("LSTM", LENGTHS),
    "gru, lengths": lambda: trained("GRU", LENGTHS),
    "rnn, lengths, both directions": lambda: trained("RNN", LENGTHS, bidirectional=True),
    "rnn, batch first": lambda: trained("RNN", batch_first=True),
    "lstm, 2 layers, states given": lambda: trained("LSTM", num_layers=2, given_states=True),
    "gru, state given, lengths": lambda: trained("GRU", LENGTHS, given_states=True),
    "rnn, dropout": lambda: trained("RNN", num_layers=2, dropout=0.5),
    "rnn, no bias": lambda: trained("RNN", bias=False),
    "gru, no bias": lambda: trained("GRU", bias=False),
    "lstm, peepholes": lambda: trained("LSTM", peepholes=True),
    "lstm, coupled": lambda: trained("LSTM", coupled_gates=True),
    "lstm, coupled, peepholes": lambda: trained("LSTM", coupled_gates=True, peepholes=True),
    "lstm, clipped": lambda: trained("LSTM", cell_clip=0.2),
    "lstm, forget bias": lambda: trained("LSTM", forget_bias=1.0),
    "lstm, projected": lambda: trained("LSTM", proj_size=2),
    "lstm, truncated": lambda: trained("LSTM", truncate=2),
    "rnn, truncated, overlapping": lambda: trained("RNN", truncate=(1, 2)),
    "rnn, truncated, overlapping, both directions": lambda: trained("RNN", truncate=(1, 2), bidirectional=True),
    "gru, truncated, lengths, last states": classified,
    "rnn, relu": lambda: trained("RNN", nonlinearity="relu"),
    "gru, both directions, 2 updates": lambda: trained("GRU", bidirectional=True, updates=2),
    "rnn cell in a loop": lambda: looped("RNN"),
    "lstm cell in a loop": lambda: looped("LSTM"),
    "gru cell in a loop": lambda: looped("GRU"),
}


@pytest.mark.parametrize("title", RUNS)
def test_a_recurrent_workbook_recalculates(title: str, tmp_path: Path):
    one = sample(RUNS[title](), tmp_path / "network.xlsx")
    verification = books.verify(one.path)
    assert verification.ok, verification.differences[:3]
    poisoned = tmp_path / "poisoned.xlsx"
    assert poison(one.path, poisoned) >= sum(block.ids.size for block in one.computed) > 0
    values = libreoffice(poisoned)
    assert_agrees(one, values)
    assert values["Checks"]["B3"] == "ALL CELLS ARE AS RECORDED"


@pytest.mark.parametrize("title", ["lstm, both directions", "lstm, clipped", "gru, lengths"])
def test_with_every_operation_shown_it_recalculates(title: str, tmp_path: Path):
    one = sample(RUNS[title](), tmp_path / "network.xlsx", "ops")
    poison(one.path, tmp_path / "poisoned.xlsx")
    assert_agrees(one, libreoffice(tmp_path / "poisoned.xlsx"))


@pytest.fixture(scope="module")
def with_lengths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("lengths")
    titles = [title for title in RUNS if "lengths" in title]
    return {title: sample(RUNS[title](), folder / f"{k}.xlsx") for k, title in enumerate(titles)}


@pytest.mark.parametrize("edited", [[1, 2], [4, 4], [3, 1]], ids=str)
@pytest.mark.parametrize("title", [title for title in RUNS if "lengths" in title])
def test_an_edited_length_ends_the_sequence_there(title: str, edited: list[int], with_lengths: dict[str, Sample]):
    """As the same program does with these lengths."""
    one = with_lengths[title]
    edits = {one.place_of("lengths", n): length for n, length in enumerate(edited)}
    expected = one.run.replay(lengths=np.array(edited))
    values = libreoffice(one.path, edits)
    assert_agrees(one, values, expected)
    assert str(values["Checks"]["B3"]).startswith("EDITED")
    assert np.abs(expected["loss"] - one.run["loss"]) > 1e-4
