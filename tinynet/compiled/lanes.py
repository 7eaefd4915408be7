"""Arrays that lie at equal distances in one buffer, as one array with an axis more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

Lanes = Sequence[np.ndarray]


def stacked(lanes: Lanes) -> np.ndarray:
    """One view (K, …) of K arrays of which ``runs`` said that they lie at equal distances."""
    first = lanes[0]
    distance = _address(lanes[1]) - _address(first) if len(lanes) > 1 else 0
    return _view(first, (len(lanes), *first.shape), (distance, *first.strides))


def is_shared(lanes: Lanes) -> bool:
    """Whether lanes at equal distances are all the same numbers, in the same place."""
    return len(lanes) == 1 or _address(lanes[0]) == _address(lanes[1])


def runs(columns: Sequence[Lanes]) -> Iterator[slice]:
    """Cut columns of K arrays each into as few parts as possible, within which all of them lie at equal distances."""
    places = [[(id(_owner(lane)), lane.strides, _address(lane)) for lane in lanes] for lanes in columns]
    start, count = 0, len(columns[0])
    while start < count:
        steps = [_distance(lanes, start) for lanes in places]
        stop = start + 1
        while stop < count and None not in steps and [_distance(lanes, stop - 1) for lanes in places] == steps:
            stop += 1
        yield slice(start, stop)
        start = stop


def in_a_row(lanes: Lanes) -> np.ndarray | None:
    """One view of arrays (N, …) that lie one after the other, as (K · N, …); None where they do not."""
    first = lanes[0]
    if len(lanes) == 1:
        return first
    if not first.size or any(lane.shape != first.shape for lane in lanes) or len(list(runs([lanes]))) > 1:
        return None
    distance = _address(lanes[1]) - _address(first)
    if distance <= 0 or (first.shape[0] > 1 and distance != first.shape[0] * first.strides[0]):
        return None
    step = distance if first.shape[0] == 1 else first.strides[0]
    return _view(first, (len(lanes) * first.shape[0], *first.shape[1:]), (step, *first.strides[1:]))


def _view(first: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    owner = _owner(first)
    return np.ndarray(shape, first.dtype, owner, _address(first) - _address(owner), strides)


def _distance(lanes: Sequence[tuple[int, tuple[int, ...], int]], i: int) -> int | None:
    """From lane ``i`` to the next; None where they are not of one kind, or it is the last."""
    if i + 1 == len(lanes) or lanes[i][:2] != lanes[i + 1][:2]:
        return None
    return lanes[i + 1][2] - lanes[i][2]


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _owner(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory: two arrays with different owners lie at no fixed distance."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
