"""``python -m benchmarks``: one training step (forward, backward, SGD) of small networks beside that of its peers.

Ratios are what to read: the first is tinynet's eager step, the second its compiled one; above 1, tinynet is slower than
the peer. ``numpy`` is the step by hand, without any autograd: the limit. ``fused`` are PyTorch's recurrent layers,
``torch`` the same in its operations. See also ``benchmarks.growth``, ``benchmarks.writing``, ``benchmarks.diagnosis``
and ``benchmarks.checker``.
"""

from __future__ import annotations

import argparse

from benchmarks.networks import networks
from benchmarks.peers import OURS, missing, peers, steps_of
from benchmarks.report import print_heading, save
from benchmarks.timing import medians, use_one_core

DTYPES = ("float64", "float32")


def print_header(dtype: str) -> None:
    others = "".join(f"{'÷ ' + peer:>13}" for peer in peers() if peer not in OURS)
    print(f"{'one training step, ' + dtype:33}{'eager':>11}{'compiled':>11}{others}")


def print_row(name: str, seconds: dict[str, float]) -> None:
    own = "".join(f"{seconds[peer] * 1e6:8,.0f} µs" for peer in OURS)
    print(f"{name:33}{own}" + "".join(ratios(seconds, peer) for peer in peers() if peer not in OURS), flush=True)


def ratios(seconds: dict[str, float], peer: str) -> str:
    if peer not in seconds:
        return f"{'–':>13}"
    return f"{seconds['eager'] / seconds[peer]:7.2f}{seconds['compiled'] / seconds[peer]:6.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--only", default="", metavar="TEXT", help="only networks with this in their names")
    parser.add_argument("--dtype", choices=DTYPES, help="only this; both if left out")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="PATH", help="write the results there, too")
    arguments = parser.parse_args()
    print_heading()
    rows = []
    for dtype in [arguments.dtype] if arguments.dtype else DTYPES:
        print_header(dtype)
        for network in networks(dtype):
            if arguments.only.lower() in network.name.lower():
                seconds = medians(steps_of(network), arguments.rounds)
                rows.append({"network": network.name, "dtype": dtype, "seconds": seconds})
                print_row(network.name, seconds)
        print()
    if missing():
        print(f"not installed, so left out: {', '.join(missing())}")
    save(arguments.json, training_step=rows, missing=missing())


if __name__ == "__main__":
    use_one_core()
    main()
