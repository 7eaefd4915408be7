"""What layers and functions are given is checked where it is given; arrays are as good as tensors."""

from __future__ import annotations

import re
from contextlib import nullcontext

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import functional as F
from tinynet import nn
from tinynet.workbook import verify

REFUSED = {
    "no features": (
        lambda: nn.Linear(0, 2),
        "Linear got in_features=0, out_features=2: expected integers of at least 1",
    ),
    "negative": (lambda: nn.Linear(-1, 2), "Linear got in_features=-1"),
    "half": (lambda: nn.Linear(2.5, 2), "Linear got in_features=2.5"),
    "no words": (lambda: nn.Embedding(0, 2), "Embedding got num_embeddings=0"),
    "no channels": (lambda: nn.BatchNorm1d(0), "BatchNorm1d got num_features=0"),
    "momentum": (lambda: nn.BatchNorm1d(2, momentum=5), "momentum is 5, expected a number from 0 to 1"),
    "eps": (lambda: nn.BatchNorm2d(2, eps=-1e-5), "eps is -1e-05, expected a number from 0"),
    "empty norm": (lambda: nn.LayerNorm(0), "LayerNorm got normalized_shape[0]=0: expected integers of at least 1"),
    "no norm": (lambda: nn.LayerNorm(()), "LayerNorm got normalized_shape[0]=None"),
    "norm eps": (lambda: nn.LayerNorm(2, eps=-1), "eps is -1, expected a number from 0"),
    "too much": (lambda: F.dropout(tn.tensor([1.0]), 1.5), "dropout is 1.5, expected a probability from 0 to 1"),
    "too little": (lambda: F.dropout(tn.tensor([1.0]), -1, training=False), "dropout is -1, expected a probability"),
    "layer": (lambda: nn.Dropout(float("nan")), "dropout is nan, expected a probability from 0 to 1"),
    "nonlinearity": (
        lambda: F.rnn(*(tn.tensor(spread(*s)) for s in [(2, 1, 3), (1, 2), (2, 3), (2, 2), (2,), (2,)]), "sigmoid"),
        "nonlinearity is 'sigmoid', expected 'tanh' or 'relu'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_everything_can_be_dropped():
    x = tn.tensor(spread(2, 3), requires_grad=True)
    y = nn.Dropout(1.0)(x)
    y.sum().backward()
    assert not y.numpy().any() and not x.grad.numpy().any() and nn.GRU(2, 3, 2, dropout=1.0).dropout == 1


IMAGES, ROWS, SERIES = spread(2, 3, 6, 6), spread(2, 3), spread(4, 2, 3)
LAYERS = {
    "Linear": (nn.Linear(3, 2), ROWS),
    "RNN": (nn.RNN(3, 2), SERIES),
    "LSTM": (nn.LSTM(3, 2, bidirectional=True), SERIES),
    "GRU": (nn.GRU(3, 2), SERIES),
    "RNNCell": (nn.RNNCell(3, 2), ROWS),
    "LSTMCell": (nn.LSTMCell(3, 2), ROWS),
    "GRUCell": (nn.GRUCell(3, 2), ROWS),
    "Tanh": (nn.Tanh(), ROWS),
    "Sigmoid": (nn.Sigmoid(), ROWS),
    "ReLU": (nn.ReLU(), ROWS),
    "LeakyReLU": (nn.LeakyReLU(), ROWS),
    "ELU": (nn.ELU(), ROWS),
    "GELU": (nn.GELU(), ROWS),
    "Softplus": (nn.Softplus(), ROWS),
    "BatchNorm1d": (nn.BatchNorm1d(3), ROWS),
    "BatchNorm2d": (nn.BatchNorm2d(3), IMAGES),
    "LayerNorm": (nn.LayerNorm(3), ROWS),
    "Dropout": (nn.Dropout(0.5).eval(), ROWS),
    "Flatten": (nn.Flatten(), IMAGES),
    "MaxPool2d": (nn.MaxPool2d(2), IMAGES),
    "AvgPool2d": (nn.AvgPool2d(2), IMAGES),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d(2), IMAGES),
    "Conv2d": (nn.Conv2d(3, 2, 3), IMAGES),
    "ConvTranspose2d": (nn.ConvTranspose2d(3, 2, 3), IMAGES),
    "Embedding": (nn.Embedding(4, 2), np.array([1, 3])),
    "Sequential": (nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.MaxPool2d(2)), IMAGES),
}


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_takes_an_array(kind, recorded):
    layer, x = LAYERS[kind]
    with tn.record() if recorded else nullcontext():
        found, expected = layer(x), layer(tn.tensor(x))
    if isinstance(found, tuple):
        found, expected = found[0], expected[0]
    assert isinstance(found, tn.Tensor)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("recorded", [False, True])
def test_a_loss_takes_arrays(recorded):
    with tn.record() if recorded else nullcontext():
        assert nn.MSELoss()(ROWS, ROWS).item() == 0
        assert nn.CrossEntropyLoss()(ROWS, np.array([0, 2])).item() > 0


def test_a_tensor_of_tensors_would_lose_their_gradients():
    x = tn.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"tensors that take gradients, which would be lost.*functional\.stack"):
        tn.tensor([[x.sum()], [x.sum()]])
    np.testing.assert_array_equal(tn.tensor([x.detach(), x.detach()]).numpy(), [[1], [1]])


def test_an_array_of_no_numbers_is_refused_by_name_where_it_has_no_cell(tmp_path):
    with tn.record() as run:
        tn.name(tn.tensor(np.zeros((0, 3)), name="x") * 2, "y")
    with tn.record() as unnamed:
        tn.name(tn.tensor([1.0, 2.0], name="x")[:0].sum() + 1, "y")
    assert verify(unnamed.to_excel(tmp_path / "unnamed.xlsx").path).ok
    with pytest.raises(ValueError, match=r"x has shape \(0, 3\), without a single number: a workbook has no cell"):
        run.to_excel(tmp_path / "x.xlsx")


def test_a_title_is_a_text(tmp_path):
    with tn.record() as run:
        tn.name(tn.tensor([1.0], name="x") * 2, "y")
    with pytest.raises(TypeError, match="title is 5, expected a text"):
        run.to_excel(tmp_path / "x.xlsx", title=5)
