"""Functions of Tensors, with PyTorch's names and argument order (``tn.functional``).

What differs from PyTorch:

- ``cross_entropy`` has the classes on the *last* axis, whatever the number of axes, and takes integer classes only; it
  has no ``weight``.
- ``pad`` takes NumPy's ``pad_width``, (before, after) for every axis from the first, and pads with zeros only.
- Reductions (``mean``, and ``x.sum``, ``x.mean``, ``x.max`` and ``x.min``) say ``keepdims``, and those of tensors
  ``axis`` where PyTorch says ``dim``; ``x.max`` and ``x.min`` over an axis return the numbers alone, without places.
- ``x.squeeze`` and ``x.unsqueeze`` say ``axis``, too; ``getitem`` and ``sequence_loss`` are tinynet's own.
- ``rnn``, ``lstm`` and ``gru`` run one layer in one direction, on the weights that they are given one by one.
- ``maximum`` and ``minimum`` take plain numbers, too; an ``embedding`` has no ``padding_idx``, a ``gather`` no negative
  places, and nothing works in place (no ``inplace``).
"""

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
from tinynet.functional.activations import elu, gelu, leaky_relu, relu, sigmoid, softmax, softplus, tanh
from tinynet.functional.convolution import conv1d, conv2d, conv_transpose2d
from tinynet.functional.losses import cross_entropy, mse_loss
from tinynet.functional.normalization import batch_norm, layer_norm
from tinynet.functional.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from tinynet.functional.random import dropout
from tinynet.functional.recurrent import gru, lstm, rnn
from tinynet.functional.sequence import sequence_loss

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "cat",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "expand",
    "flatten",
    "flip",
    "gather",
    "gelu",
    "getitem",
    "gru",
    "layer_norm",
    "leaky_relu",
    "linear",
    "lstm",
    "matmul",
    "max_pool1d",
    "max_pool2d",
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
    "softplus",
    "squeeze",
    "stack",
    "tanh",
    "unsqueeze",
    "where",
]
