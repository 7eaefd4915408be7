"""MyGrad, without its guards against arrays that are changed in place, which cost time."""

from __future__ import annotations

from typing import Any

import mygrad
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.layers import conv_nd, max_pool
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.networks import Network, Step
from benchmarks.networks.network import LR
from benchmarks.peers.arrays import Operations


class MyGradOperations(Operations):
    def relu(self, x: Any) -> Any:
        return relu(x)

    def sigmoid(self, x: Any) -> Any:
        return sigmoid(x)

    def convolve(self, x: Any, weight: Any, bias: Any) -> Any:
        return conv_nd(x, weight, stride=1, padding=1) + bias.reshape(1, -1, 1, 1)

    def max_pool(self, x: Any) -> Any:
        return max_pool(x, (2, 2), 2)

    def cross_entropy(self, z: Any, y: Any) -> Any:
        return softmax_crossentropy(z, y)


def eager(network: Network) -> Step:
    ops = MyGradOperations(mygrad)
    parameters = {name: mygrad.tensor(array) for name, array in network.state.items()}
    x = mygrad.tensor(network.x, constant=True)

    def step() -> float:
        with mygrad.mem_guard_off:
            loss = network.loss(ops, parameters, x, network.y)
            loss.backward()
            for p in parameters.values():
                p.data -= LR * p.grad
        return loss.item()

    return step
