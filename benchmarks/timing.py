"""Seconds, and bytes at the peak.

Seconds are the processor's, of all threads, not the clock's: what else the machine does counts less. So whoever has
threads that wait for each other (JAX, whatever it is told) must have one core, where waiting costs nothing.
"""

from __future__ import annotations

import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

SECONDS_PER_TURN = 0.02


def use_one_core() -> None:
    """For this process, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def per_call(step: Callable[[], Any], repeats: int = 1) -> float:
    start = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - start) / repeats


def warm(step: Callable[[], Any], repeats: int) -> float:
    step()
    return per_call(step, repeats)


def medians(steps: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds per call: the median over rounds, in each of which all take turns, so that noise falls on all.

    The first call of a turn, which finds another's data in the processor's caches, is not counted: who trains calls the
    same step again and again.
    """
    repeats = {name: int(SECONDS_PER_TURN / fastest(step, SECONDS_PER_TURN)) + 1 for name, step in steps.items()}
    found = [{name: warm(step, repeats[name]) for name, step in steps.items()} for _ in range(rounds)]
    return {name: statistics.median(times[name] for times in found) for name in steps}


def fastest(step: Callable[[], Any], seconds: float) -> float:
    """Seconds of the fastest of as many calls as fit into ``seconds``, one at least."""
    found = [per_call(step)]
    while sum(found) < seconds:
        found.append(per_call(step))
    return min(found)


def peak(step: Callable[[], Any]) -> int:
    """The bytes that a call needs at most, beyond what was there before it."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
