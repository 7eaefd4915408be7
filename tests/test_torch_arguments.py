"""Arguments by position mean what they mean in PyTorch, or are refused."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet import functional as F
from tinynet import nn


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_recurrent_options_stand_where_they_stand_in_pytorch(kind):
    net = kind(2, 3, 2, False, True, 0.25, True)
    assert (net.num_layers, net.bias, net.batch_first, net.dropout, net.bidirectional) == (2, False, True, 0.25, True)
    with pytest.raises(TypeError, match="positional arguments"):
        kind(2, 3, 2, False, True, 0.25, True, *([1, True] if kind is nn.LSTM else [True]))


def test_an_rnn_takes_its_nonlinearity_before_the_bias():
    net = nn.RNN(2, 3, 1, "relu", False, True)
    assert (net.nonlinearity, net.bias, net.batch_first) == ("relu", False, True)


def test_the_projection_is_last():
    assert nn.LSTM(2, 3, 1, True, False, 0.0, False, 2).proj_size == 2


def test_the_fifth_argument_of_max_pooling_is_not_ceil_mode():
    with pytest.raises(TypeError, match="positional arguments"):
        nn.MaxPool2d(2, 2, 0, 1, True)


def test_uniform_draws_from_0_to_1():
    drawn = nn.init.uniform_(nn.Parameter(np.zeros(500))).numpy()
    assert 0 <= drawn.min() < 0.05 and 0.95 < drawn.max() < 1


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.MSELoss, lambda w: F.mse_loss(w, w, w)])
def test_a_loss_takes_no_weights_for_its_reduction(loss):
    with pytest.raises(TypeError, match="positional argument"):
        loss(np.ones(3))


@pytest.mark.parametrize("fill", [nn.init.xavier_uniform_, nn.init.xavier_normal_, nn.init.kaiming_normal_])
def test_what_is_a_gain_in_pytorch_is_no_generator(fill):
    with pytest.raises(TypeError, match="positional argument"):
        fill(nn.Parameter(np.zeros((2, 2))), 0.5)
