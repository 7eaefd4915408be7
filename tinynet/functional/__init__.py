"""Functions of Tensors, with PyTorch's names and argument order (``tn.functional``)."""

from tinynet.functional.shapes import (  # isort: skip
    cat,
    embedding,
    expand,
    flatten,
    flip,
    gather,
    getitem,
    linear,
    matmul,
    maximum,
    mean,
    minimum,
    pad,
    reshape,
    squeeze,
    stack,
    unsqueeze,
    where,
)
from tinynet.functional.activations import relu, sigmoid, softmax, tanh
from tinynet.functional.losses import cross_entropy, mse_loss
from tinynet.functional.random import dropout
from tinynet.functional.recurrent import gru, lstm, rnn
from tinynet.functional.sequence import sequence_loss

__all__ = [
    "cat",
    "cross_entropy",
    "dropout",
    "embedding",
    "expand",
    "flatten",
    "flip",
    "gather",
    "getitem",
    "gru",
    "linear",
    "lstm",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "mse_loss",
    "pad",
    "relu",
    "reshape",
    "rnn",
    "sequence_loss",
    "sigmoid",
    "softmax",
    "squeeze",
    "stack",
    "tanh",
    "unsqueeze",
    "where",
]
