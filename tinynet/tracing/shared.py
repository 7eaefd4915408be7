"""Arrays that share their memory: ``W2 = W1.T``, ``W = theta[:6].reshape(3, 2)``."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinynet.tracing.outside import parts_of


class Part(NamedTuple):
    """An array that lies in the memory of another one, and the places there of its elements."""

    array: np.ndarray
    whole: np.ndarray
    label: str  # of the whole
    places: np.ndarray


def parts_in(items: Any) -> dict[int, Part]:
    """By their ids, the arrays of floating point that are parts of others. Raises ValueError for those that overlap.

    The largest of those that share their memory is the whole; of equal ones, the one that is no view.
    """
    by_owner: dict[int, list[tuple[str, np.ndarray]]] = {}
    for label, array in arrays_in(items, "f"):
        by_owner.setdefault(id(_owner(array)), []).append((label, array))
    found: dict[int, Part] = {}
    for arrays in by_owner.values():
        wholes: list[tuple[str, np.ndarray]] = []
        for label, array in sorted(arrays, key=lambda pair: (-pair[1].size, pair[1].base is not None)):
            whole = next((other for other in wholes if np.shares_memory(array, other[1])), None)
            if whole is None:
                wholes.append((label, array))
            else:
                found[id(array)] = Part(array, whole[1], whole[0], _places(array, whole[1]))
    return found


def copied(everything: Any) -> Any:
    """A deep copy, in which arrays share their memory as they did."""
    wholes, memo = dict[int, np.ndarray](), dict[int, Any]()
    for part in parts_in(everything).values():
        whole = wholes.setdefault(id(part.whole), part.whole.copy(order="K"))
        memo[id(part.whole)] = whole
        memo[id(part.array)] = np.ndarray(
            part.array.shape,
            part.array.dtype,
            whole if whole.flags.c_contiguous else whole.T,
            _start(part.array) - _start(part.whole),
            part.array.strides,
        )
    return deepcopy(everything, memo)


def arrays_in(items: Any, kinds: str) -> list[tuple[str, np.ndarray]]:
    """Each array of these kinds of dtypes that is somewhere inside, once, with its path: ``layers.0.W``."""
    found, seen, waiting = list[tuple[str, np.ndarray]](), set[int](), [("", items)]
    while waiting:
        label, item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray):
            found += [(label, item)] if item.dtype.kind in kinds else []
        else:
            waiting += [(f"{label}.{key}".lstrip("."), part) for key, part in reversed(parts_of(item).items())]
    return found


def _owner(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _start(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _places(array: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Where the elements of an array are among those of another one, in the order of its memory."""
    start, odd = divmod(_start(array) - _start(whole), whole.itemsize)
    steps = [stride // whole.itemsize for stride in array.strides]
    ends = [(size - 1) * step for size, step in zip(array.shape, steps, strict=True)]
    low, high = start + sum(end for end in ends if end < 0), start + sum(end for end in ends if end > 0)
    in_order = whole.flags.c_contiguous or whole.flags.f_contiguous
    if odd or low < 0 or high >= whole.size or not in_order or array.dtype != whole.dtype:
        raise ValueError(
            f"arrays of shapes {whole.shape} and {array.shape} overlap in memory, and neither is a part of the other: "
            "copy one of them"
        )
    numbers = np.arange(whole.size)
    return as_strided(numbers[start:], array.shape, [step * numbers.itemsize for step in steps]).copy()
