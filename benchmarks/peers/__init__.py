"""Who computes the same training step: a function of a network for each, by the name it has in the table."""

from __future__ import annotations

import importlib.util
from importlib import import_module

from benchmarks.networks import Network, Step

OURS = ("eager", "compiled")
OTHERS = {  # the library, the file here and the function in it
    "torch": ("torch", "torch", "eager"),
    "fused": ("torch", "torch", "fused"),
    "mygrad": ("mygrad", "mygrad", "eager"),
    "autograd": ("autograd", "hips", "eager"),
    "jax": ("jax", "jax", "compiled"),
}


def missing() -> list[str]:
    """The libraries that are not installed."""
    libraries = dict.fromkeys(library for library, *_ in OTHERS.values())
    return [library for library in libraries if importlib.util.find_spec(library) is None]


def peers() -> list[str]:
    """Ours, the limit, and who is installed."""
    return [*OURS, "numpy", *(peer for peer, (library, *_) in OTHERS.items() if library not in missing())]


def step_of(peer: str, network: Network) -> Step:
    """A new training step of the network, which starts from its parameters."""
    if peer == "numpy":
        return network.numpy()
    module, function = ("ours", peer) if peer in OURS else OTHERS[peer][1:]
    return getattr(import_module(f"benchmarks.peers.{module}"), function)(network)


def steps_of(network: Network) -> dict[str, Step]:
    """Of all peers; fused layers only where there are any. Raises RuntimeError where their losses differ."""
    steps = {peer: step_of(peer, network) for peer in peers() if network.fused or peer != "fused"}
    losses = {peer: [step() for _ in range(3)][-1] for peer, step in steps.items()}
    if max(losses.values()) - min(losses.values()) > network.tolerance:
        raise RuntimeError(f"{network.name}: the peers do not compute the same losses: {losses}")
    return steps
