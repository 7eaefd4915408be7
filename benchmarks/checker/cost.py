"""What one check costs: processor time, and how often the function is evaluated."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from benchmarks.checker.case import Case, case
from benchmarks.checker.peers import Checker
from tinynet import functional as F

ROUNDS = 5
SECONDS = 3.0  # after which there are no further rounds


class Cost(NamedTuple):
    """Milliseconds of processor time, the best of some rounds, and evaluations; those of a backward pass count."""

    milliseconds: float
    evaluations: int


def typical() -> list[Case]:
    rng = np.random.default_rng(0)

    def numbers(*shapes):
        return [rng.normal(size=shape) for shape in shapes]

    lstm = numbers((4, 2, 3), (2, 3), (2, 3), (12, 3), (12, 3), (12,), (12,))
    return [
        case("tanh of 4", F.tanh, *numbers((4,))),
        case("matmul 3×4 by 4×5", F.matmul, *numbers((3, 4), (4, 5))),
        case("softmax 3×4", F.softmax, *numbers((3, 4))),
        case("conv2d 2×2×5×5, 3 kernels", F.conv2d, *numbers((2, 2, 5, 5), (3, 2, 3, 3), (3,))),
        case("lstm, T=4 N=2 H=3", lambda *tensors: F.lstm(*tensors)[0], *lstm),
        case("tanh of 300×300", F.tanh, *numbers((300, 300))),
    ]


def cost(checker: Checker, subject: Case) -> Cost:
    calls = 0

    def counted(*tensors):
        nonlocal calls
        calls += 1
        return subject.function(*tensors)

    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < SECONDS:
        start = time.process_time()
        checker(subject._replace(function=counted), 0)
        times.append(time.process_time() - start)
    return Cost(min(times) * 1e3, calls // len(times))
