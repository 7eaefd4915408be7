"""HIPS autograd."""

from __future__ import annotations

import autograd
import autograd.numpy

from benchmarks.networks import Network, Step
from benchmarks.networks.network import LR
from benchmarks.peers.arrays import Operations


def eager(network: Network) -> Step:
    ops = Operations(autograd.numpy)
    parameters = {name: array.copy() for name, array in network.state.items()}
    with_gradients = autograd.value_and_grad(lambda p: network.loss(ops, p, network.x, network.y))

    def step() -> float:
        loss, gradients = with_gradients(parameters)
        for name, gradient in gradients.items():
            parameters[name] -= LR * gradient
        return float(loss)

    return step
