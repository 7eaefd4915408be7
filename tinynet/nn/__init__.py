"""Modules, with PyTorch's names, parameter names, shapes and gate order (``tn.nn``)."""

from tinynet.nn import init
from tinynet.nn.layers import CrossEntropyLoss, Flatten, Linear, MSELoss, ReLU, Sequential, Sigmoid, Tanh
from tinynet.nn.module import Module
from tinynet.nn.recurrent import LSTM, RNN
from tinynet.tensor import Parameter

__all__ = [
    "LSTM",
    "RNN",
    "CrossEntropyLoss",
    "Flatten",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "init",
]
