"""``python -m benchmarks``: one training step of small networks, timed beside its peers in one process.

Ratios are what to read: above 1, tinynet is slower than the peer. The peers take turns within every round, so
that whatever else the machine does falls on all of them.
"""

from __future__ import annotations

import importlib.util
import statistics
import time

from benchmarks.networks import NETWORKS, Step

ROUNDS = 15
SECONDS_PER_ROUND = 0.02


def timed(step: Step, repeats: int) -> float:
    """Seconds per call."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def medians(steps: dict[str, Step]) -> dict[str, float]:
    """The median of the seconds per call over all rounds."""
    repeats = {peer: max(1, int(SECONDS_PER_ROUND / timed(step, 3))) for peer, step in steps.items()}
    rounds = [{peer: timed(step, repeats[peer]) for peer, step in steps.items()} for _ in range(ROUNDS)]
    return {peer: statistics.median(times[peer] for times in rounds) for peer in steps}


def main() -> None:
    peers = ["tinynet", "numpy"]
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)  # these networks are too small for more
        peers.append("torch")
    print(f"{'one training step':32}{'tinynet':>12}" + "".join(f"{'÷ ' + peer:>12}" for peer in peers[1:]))
    for network in NETWORKS:
        steps = {peer: getattr(network, peer)() for peer in peers}
        losses = [step() for step in steps.values() for _ in range(3)][2::3]
        if max(losses) - min(losses) > 1e-9:
            raise RuntimeError(f"{network.name}: the peers do not compute the same losses: {losses}")
        seconds = medians(steps)
        ratios = "".join(f"{seconds['tinynet'] / seconds[peer]:12.2f}" for peer in peers[1:])
        print(f"{network.name:32}{seconds['tinynet'] * 1e6:9.0f} µs{ratios}")


if __name__ == "__main__":
    main()
