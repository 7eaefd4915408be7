"""The networks that ``tinynet export`` makes: small, on real data, each recorded for one or more updates.

All take ``updates`` (rounds of forward, backward and SGD to record), ``lr`` and ``seed``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet import nn
from tinynet.datasets import load_digits, load_hare_lynx
from tinynet.optim import SGD
from tinynet.recording import record
from tinynet.run import Run
from tinynet.tensor import Tensor, tensor

STEADY = 0.2  # a change of the lynx count by less than this share is "about as many"


class MLP(nn.Module):
    """Flatten, then ``layers`` hidden layers with tanh, then one score per class."""

    def __init__(self, inputs: int, hidden: int, classes: int, layers: int):
        self.layers = layers
        for layer in range(layers):
            linear = nn.Linear(hidden if layer else inputs, hidden)
            setattr(self, "hidden" if layers == 1 else f"hidden_{layer}", _glorot(linear))
        self.output = _glorot(nn.Linear(hidden, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = F.flatten(x, 1)
        for _, layer in list(self.children())[:-1]:
            x = F.tanh(layer(x))
        return self.output(x)


class SequenceClassifier(nn.Module):
    """A recurrent net (``rnn`` or ``lstm``, which is also its name) and, at every step, one score per class."""

    def __init__(self, kind: str, inputs: int, hidden: int, classes: int, layers: int):
        self.kind = kind
        setattr(self, kind, {"rnn": nn.RNN, "lstm": nn.LSTM}[kind](inputs, hidden, num_layers=layers))
        self.output = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = getattr(self, self.kind)(x)
        return self.output(hidden)


def mlp(
    inputs: int = 16,
    hidden: int = 6,
    batch: int = 3,
    layers: int = 1,
    seed: int = 0,
    lr: float = 0.5,
    updates: int = 1,
) -> Run:
    """An MLP on handwritten digits, 8×8 pixels averaged to 64, 16 or 4 ``inputs``.

    Raises ValueError for other sizes, or more samples than there are (1,797).
    """
    sizes = {64: 8, 16: 4, 4: 2}
    if inputs not in sizes:
        raise ValueError(f"--inputs is {inputs}, expected 64, 16 or 4: the pixels of a digit of 8×8, 4×4 or 2×2")
    images, labels = load_digits(sizes[inputs])
    _check(batch, 1, len(labels), "--batch")
    x = tensor(images[:batch], requires_grad=True, name="x")
    target = tensor(labels[:batch], name="target")
    digits = ", ".join(map(str, labels[:batch]))
    nn.init.manual_seed(seed)
    model = MLP(inputs, hidden, 10, layers)
    run = _trained(model, x, target, lr, updates)
    size = sizes[inputs]
    stacked = "hidden layer" if layers == 1 else f"{layers} hidden layers"
    run.description = (
        f"{inputs} inputs ({size}×{size} pixels, handwritten digits {digits}) · {stacked} of {hidden} tanh units"
        f" · 10 classes · batch {batch} · seed {seed}"
    )
    return run


def rnn(**options: Any) -> Run:
    """A vanilla recurrent net on the hare and lynx counts; see ``recurrent``."""
    return recurrent("rnn", **options)


def lstm(**options: Any) -> Run:
    """An LSTM on the hare and lynx counts; see ``recurrent``."""
    return recurrent("lstm", **options)


def recurrent(
    kind: str,
    inputs: int = 2,
    hidden: int = 3,
    steps: int = 4,
    batch: int = 1,
    layers: int = 1,
    seed: int = 0,
    lr: float = 0.1,
    updates: int = 1,
) -> Run:
    """A recurrent net that reads the yearly pelts of hare and lynx and says what the lynx will do next year.

    Inputs are the logarithms, centred and scaled; classes are 0 fewer, 1 about as many (within 20%), 2 more.
    Samples of a batch are windows that start a year apart. Raises ValueError where 21 years are too few.
    """
    years, pelts = load_hare_lynx()
    _check(inputs, 1, 2, "--inputs (2: hare and lynx, 1: lynx alone)")
    _check(steps, 1, len(years) - 1, "--steps (there are 21 years)")
    _check(batch, 1, len(years) - steps, f"--batch (windows of {steps} steps in 21 years)")
    logs = np.log(pelts)
    scaled = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    lynx = pelts[:, 1]
    change = lynx[1:] / lynx[:-1] - 1
    classes = np.where(change > STEADY, 2, np.where(change < -STEADY, 0, 1))
    windows = [slice(start, start + steps) for start in range(batch)]
    columns = slice(0, 2) if inputs == 2 else slice(1, 2)
    x = np.stack([scaled[window, columns] for window in windows], axis=1)
    target = np.stack([classes[window] for window in windows], axis=1)
    nn.init.manual_seed(seed)
    model = SequenceClassifier(kind, inputs, hidden, 3, layers)
    run = _trained(model, tensor(x, requires_grad=True, name="x"), tensor(target, name="target"), lr, updates)
    animals = "hare, lynx" if inputs == 2 else "lynx"
    last = int(years[steps + batch - 2])
    stacked = "" if layers == 1 else f"{layers} layers of "
    run.description = (
        f"{animals} in Hudson Bay, {years[0]}–{last} (log pelts, scaled) · {stacked}{hidden} units · {steps} steps"
        f" · batch {batch} · target: lynx next year, 0 fewer, 1 as many, 2 more · seed {seed}"
    )
    return run


def _trained(model: nn.Module, x: Tensor, target: Tensor, lr: float, updates: int) -> Run:
    optimizer = SGD(model.parameters(), lr)
    with record() as run:
        for _ in range(updates):
            optimizer.zero_grad()
            x.grad = None
            F.cross_entropy(model(x), target).backward()
            optimizer.step()
    return run


def _glorot(linear: nn.Linear) -> nn.Linear:
    nn.init.xavier_uniform_(linear.weight)
    assert linear.bias is not None
    nn.init.zeros_(linear.bias)
    return linear


def _check(number: int, low: int, high: int, what: str) -> None:
    if not low <= number <= high:
        raise ValueError(f"{what} is {number}, expected {low} to {high}")
