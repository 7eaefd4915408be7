"""Recurrent nets on the yearly counts of hare and lynx."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet import manual_seed, nn
from tinynet.datasets import load_hare_lynx
from tinynet.models.common import check, trained
from tinynet.run import Run
from tinynet.tensor import Tensor, tensor

STEADY = 0.2  # a change of the lynx count by less than this share is "about as many"


class SequenceClassifier(nn.Module):
    """A recurrent net (``rnn``, ``lstm`` or ``gru``, which is also its name) and, at every step, a score per class."""

    def __init__(self, kind: str, inputs: int, hidden: int, classes: int, **options: Any):
        self.kind = kind
        net = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](inputs, hidden, **options)
        setattr(self, kind, net)
        self.output = nn.Linear(net.output_size * net.directions, classes)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        hidden, _ = getattr(self, self.kind)(x, lengths=lengths)
        return self.output(hidden)


def rnn(nonlinearity: str = "tanh", **options: Any) -> Run:
    """A vanilla recurrent net on the hare and lynx counts; see ``recurrent``."""
    return recurrent("rnn", {"nonlinearity": nonlinearity}, **options)


def lstm(
    peepholes: bool = False,
    coupled_gates: bool = False,
    cell_clip: float | None = None,
    forget_bias: float | None = None,
    proj_size: int = 0,
    **options: Any,
) -> Run:
    """An LSTM, or one of its variants (see ``nn.LSTM``), on the hare and lynx counts; see ``recurrent``."""
    variant = {"peepholes": peepholes, "coupled_gates": coupled_gates, "cell_clip": cell_clip}
    return recurrent("lstm", variant | {"forget_bias": forget_bias, "proj_size": proj_size}, **options)


def gru(reset_before: bool = False, **options: Any) -> Run:
    """A GRU on the hare and lynx counts; ``reset_before`` the recurrent product, or after it; see ``recurrent``."""
    return recurrent("gru", {"reset_after": not reset_before}, **options)


def recurrent(
    kind: str,
    variant: dict[str, Any],
    inputs: int = 2,
    hidden: int = 3,
    steps: int = 4,
    batch: int = 1,
    layers: int = 1,
    seed: int = 0,
    lr: float = 0.1,
    updates: int = 1,
    optimizer: str = "sgd",
    bias: bool = True,
    bidirectional: bool = False,
    dropout: float = 0.0,
    lengths: list[int] | None = None,
    truncate: tuple[int, int] | None = None,
    loss: str = "mean",
) -> Run:
    """A recurrent net that reads the yearly pelts of hare and lynx and says what the lynx will do next year.

    Inputs are the logarithms, centred and scaled; classes are 0 fewer, 1 about as many (within 20%), 2 more.
    Samples of a batch are windows that start a year apart; ``lengths`` ends them early. ``loss`` is the mean or the
    sum over the steps, or that of the last step. Raises ValueError where 21 years are too few.
    """
    years, pelts = load_hare_lynx()
    check(inputs, 1, 2, "--inputs (2: hare and lynx, 1: lynx alone)")
    check(steps, 1, len(years) - 1, "--steps (there are 21 years)")
    check(batch, 1, len(years) - steps, f"--batch (windows of {steps} steps in 21 years)")
    if lengths is not None and len(lengths) != batch:
        raise ValueError(f"--lengths has {len(lengths)} lengths for a batch of {batch}: give --batch {len(lengths)}")
    if dropout and layers == 1:
        raise ValueError("--dropout is between layers, and there is one: give --layers 2, or leave it out")
    logs = np.log(pelts)
    scaled = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    lynx = pelts[:, 1]
    change = lynx[1:] / lynx[:-1] - 1
    classes = np.where(change > STEADY, 2, np.where(change < -STEADY, 0, 1))
    windows = [slice(start, start + steps) for start in range(batch)]
    columns = slice(0, 2) if inputs == 2 else slice(1, 2)
    x = np.stack([scaled[window, columns] for window in windows], axis=1)
    target = np.stack([classes[window] for window in windows], axis=1)
    manual_seed(seed)
    common = {"num_layers": layers, "bias": bias, "bidirectional": bidirectional, "dropout": dropout}
    model = SequenceClassifier(kind, inputs, hidden, 3, **variant, **common, truncate=truncate)
    ends = None if lengths is None else tensor(lengths, name="lengths")

    def objective(inputs: Tensor) -> Tensor:
        scores = model(inputs, ends)
        if ends is None and loss == "mean":
            return F.cross_entropy(scores, goal)
        return F.sequence_loss(F.cross_entropy(scores, goal, reduction="none"), ends, loss)

    goal = tensor(target, name="target")
    run = trained(model, objective, tensor(x, requires_grad=True, name="x"), lr, updates, optimizer)
    animals = "hare, lynx" if inputs == 2 else "lynx"
    last = int(years[steps + batch - 2])
    stacked = "" if layers == 1 else f"{layers} layers of "
    run.description = (
        f"{animals} in Hudson Bay, {years[0]}–{last} (log pelts, scaled) · {stacked}{hidden} units · {steps} steps"
        f" · batch {batch} · target: lynx next year, 0 fewer, 1 as many, 2 more · seed {seed}"
    )
    return run
