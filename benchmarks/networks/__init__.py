"""The networks that are trained, small to large."""

from typing import Any

from benchmarks.networks.convolution import Convolution
from benchmarks.networks.mlp import Mlp
from benchmarks.networks.network import Network, Step
from benchmarks.networks.recurrent import Lstm, Rnn


def networks(dtype: Any) -> list[Network]:
    return [
        Mlp(2, 8, 1, batch=4, dtype=dtype),
        Mlp(784, 128, 10, batch=32, dtype=dtype),
        Mlp(784, 128, 10, batch=256, dtype=dtype),
        Convolution((8, 16), pixels=28, batch=32, dtype=dtype),
        Rnn(8, units=32, steps=50, batch=16, dtype=dtype),
        Lstm(2, units=8, steps=10, batch=1, dtype=dtype),
        Lstm(32, units=128, steps=50, batch=32, dtype=dtype),
    ]


__all__ = ["Convolution", "Lstm", "Mlp", "Network", "Rnn", "Step", "networks"]
