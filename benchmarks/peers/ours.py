"""tinynet: eager, with fused kernels; and one recorded step, compiled."""

from __future__ import annotations

import tinynet as tn
from benchmarks.networks import Network, Step
from benchmarks.networks.network import LR


def eager(network: Network) -> Step:
    before = tn.get_default_dtype()
    tn.set_default_dtype(network.dtype)
    model = network.module(tn.nn)
    tn.set_default_dtype(before)
    model.load_state_dict(network.state)
    optimizer = tn.optim.SGD(model.parameters(), lr=LR)
    criterion = getattr(tn.functional, network.criterion)
    x, y = tn.tensor(network.x, name="x"), tn.tensor(network.y, name="y")

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def recorded(network: Network) -> tn.Run:
    """One step; the run starts from the parameters before it."""
    with tn.record() as run:
        eager(network)()
    return run


def compiled(network: Network) -> Step:
    return recorded(network).compile()
