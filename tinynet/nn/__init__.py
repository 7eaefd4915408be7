"""Modules, with PyTorch's names, parameter names, shapes and gate order (``tn.nn``)."""

from tinynet.nn import convert, init
from tinynet.nn.layers import (
    CrossEntropyLoss,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)
from tinynet.nn.module import Module
from tinynet.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from tinynet.tensor import Parameter

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "convert",
    "init",
]
