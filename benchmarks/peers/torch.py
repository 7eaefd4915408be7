"""PyTorch: eager operations, and its layers, of which the recurrent ones are fused."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.networks import Network, Step
from benchmarks.networks.network import LR
from benchmarks.peers.arrays import Operations

torch.set_num_threads(1)


class TorchOperations(Operations):
    linear = staticmethod(F.linear)
    relu = staticmethod(torch.relu)
    sigmoid = staticmethod(torch.sigmoid)
    cross_entropy = staticmethod(F.cross_entropy)
    mse_loss = staticmethod(F.mse_loss)

    def convolve(self, x: Any, weight: Any, bias: Any) -> Any:
        return F.conv2d(x, weight, bias, padding=1)

    def max_pool(self, x: Any) -> Any:
        return F.max_pool2d(x, 2)

    def zeros(self, like: Any) -> Any:
        return torch.zeros_like(like)


def eager(network: Network) -> Step:
    ops = TorchOperations(torch)
    x, y = torch.tensor(network.x), torch.tensor(network.y)
    parameters = {name: torch.tensor(array, requires_grad=True) for name, array in network.state.items()}
    return _training(parameters.values(), lambda: network.loss(ops, parameters, x, y))


def fused(network: Network) -> Step:
    x, y = torch.tensor(network.x), torch.tensor(network.y)
    model = network.module(torch.nn).to(x.dtype)
    model.load_state_dict({name: torch.tensor(array) for name, array in network.state.items()})
    criterion = getattr(F, network.criterion)
    return _training(model.parameters(), lambda: criterion(model(x), y))


def _training(parameters: Any, compute: Any) -> Step:
    optimizer = torch.optim.SGD(parameters, lr=LR)

    def step() -> float:
        optimizer.zero_grad()
        loss = compute()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
