"""Whether numbers that code took out of its arrays as plain ones matter to what it computes."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from tinynet.run import Run
from tinynet.tensor import Tensor
from tinynet.tracing.calls import Call
from tinynet.tracing.integers import others
from tinynet.tracing.leaves import Numbers

STEPS = (1 / 4, 1 / 2)  # powers of the rounding error: the second, as the first may go beyond where an `if` switches


def check_followed(
    called: str, run: Run, call: Call, outputs: list[Tensor], moving: list[Tensor], again: Callable[[Numbers], Any]
) -> None:
    """Run the code again with leaves that are moved a little: the recording, replayed, must come to the same numbers.

    What was taken out of the arrays stays as it was in the recording, and an ``if`` goes the way it went. That is of no
    consequence where it was printed, say; otherwise, ValueError is raised, with the lines.
    """
    places = [k for k, x in enumerate(call.inputs) if any(x is other for other in moving)]
    if not call.leaving.found or any(_follow(run, call, outputs, places, power, again) for power in STEPS):
        return
    if not agree(run, call, outputs, again, lambda k, array: array.copy()):
        return  # it gives other numbers each time
    raise ValueError(
        f"{called} takes numbers out of its arrays in {call.leaving.places()} (by float, int, an `if` …), and what it "
        "computes depends on them: the derivative cannot be followed there"
    )


def integers_are_followed(run: Run, call: Call, outputs: list[Tensor], again: Callable[[Numbers], Any]) -> bool:
    """Whether the recording, with other integers, comes to what the code comes to: where they do more than to index."""
    used = {k: others(x.data) for k, x in enumerate(call.inputs) if x.dtype.kind in "iu" and _is_in(x, run)}
    known = {k: numbers for k, numbers in used.items() if numbers is not None}
    same = not used or agree(run, call, outputs, again, lambda k, array: known.get(k, array).copy())
    return same and len(known) == len(used)


def _follow(
    run: Run, call: Call, outputs: list[Tensor], places: list[int], power: float, again: Callable[[Numbers], Any]
) -> bool:
    return all(agree(run, call, outputs, again, _moved(places, power, sign)) for sign in (1, -1))


def _moved(places: list[int], power: float, sign: int) -> Numbers:
    """Leaves at some places, along a direction drawn at random."""

    def numbers(k: int, array: np.ndarray) -> np.ndarray:
        if k not in places:
            return array.copy()
        direction = np.random.default_rng(k).normal(size=array.shape)
        size = np.abs(array[np.isfinite(array)]).max(initial=0) or 1
        return (array + sign * np.finfo(array.dtype).eps ** power * size * direction).astype(array.dtype)

    return numbers


def agree(run: Run, call: Call, outputs: list[Tensor], again: Callable[[Numbers], Any], numbers: Numbers) -> bool:
    """Whether code and recording come to the same, with these numbers in the leaves."""
    try:
        with redirect_stdout(io.StringIO()):
            theirs = again(numbers)
    except Exception:  # somebody's code may raise anything
        return False
    leaves = {x.value.name: numbers(k, x.data) for k, x in enumerate(call.inputs) if _is_in(x, run)}
    replayed = run.replay(**leaves)
    ours = [replayed.values[x.value.index].array for x in outputs]
    return len(ours) == len(theirs) and all(
        map(_are_same, ours, (x.numpy() for x in theirs), (x.data for x in outputs))
    )


def _is_in(x: Tensor, run: Run) -> bool:
    return x.value is not None and x.value.index < len(run.values) and run.values[x.value.index] is x.value


def _are_same(a: np.ndarray, b: np.ndarray, before: np.ndarray) -> bool:
    """But for rounding: of the numbers, and of how far they moved."""
    if a.shape != b.shape:
        return False
    if not a.size or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return bool(np.array_equal(a, b, equal_nan=True))
    allowed = 100 * np.finfo(b.dtype).eps * np.abs(b).max() + 1e-6 * np.abs(b - before).max()
    return bool(np.abs(a - b).max() <= allowed)
