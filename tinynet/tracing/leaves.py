"""The arrays that code is given or reads from its module, as leaves of a recording."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import numpy as np

from tinynet.recording import name
from tinynet.tensor import Parameter, Tensor
from tinynet.tracing.arrays import Traced, View
from tinynet.tracing.integers import Integers
from tinynet.tracing.outside import parts_of
from tinynet.tracing.shared import Part

# What people call inputs, targets and initial states; every other array is taken for a parameter.
DATA = re.compile(
    r"([xy]s?(_?(train|batch|b|t))?|inputs?|data|images?|features?|tokens?|batch|targets?|t|labels?|masks?|keep|noise"
    r"|[hcas](_?0|_?prev|_?init)?)",
    re.IGNORECASE,
)

# Of these nobody wants a gradient.
TARGETS = re.compile(r"ys?(_?(train|batch|b|t))?|targets?|t|labels?|masks?|keep", re.IGNORECASE)

Numbers = Callable[[int, np.ndarray], np.ndarray]  # of a leaf, by its place among them


class Leaves:
    """What stands for arrays while code is traced: each array of floating point is one leaf, however often it is there.

    ``numbers`` says what numbers the leaf ``k`` of an array has: its own, if nothing else is said. Of arrays that are
    ``parts`` of others only these are leaves. Arrays of integers are where ``integers`` asks for it.
    """

    def __init__(self, parts: dict[int, Part], integers: bool, numbers: Numbers | None = None):
        self.parts, self.integers, self.numbers = parts, integers, numbers or (lambda k, array: array.copy())
        self.known: dict[
            int, tuple[Any, Any]
        ] = {}  # by the id of an array or an object: itself, and what stands for it
        self.tensors: list[Tensor] = []

    def of(self, item: Any, label: str) -> Any:
        """What stands for an item; an object of a class in Python is copied, its attributes becoming leaves."""
        if isinstance(item, Mapping):
            return {key: self.of(part, f"{label}.{key}") for key, part in item.items()}
        if isinstance(item, (list, tuple)):
            parts = [self.of(part, f"{label}.{k}") for k, part in enumerate(item)]
            return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
        if id(item) in self.known:
            return self.known[id(item)][1]
        if not isinstance(item, np.ndarray) and parts_of(item):
            self.known[id(item)] = item, copy(item)
            for attribute, part in parts_of(item).items():
                vars(self.known[id(item)][1])[attribute] = self.of(part, f"{label}.{attribute}".lstrip("."))
        elif isinstance(item, np.ndarray) and item.dtype.kind == "f":
            is_part = id(item) in self.parts
            self.known[id(item)] = item, self._part(item, label) if is_part else Traced(self._leaf(item, label))
        elif isinstance(item, np.ndarray) and item.dtype.kind in "iu" and self.integers:
            self.known[id(item)] = item, Integers(self._leaf(item, label))
        return self.known[id(item)][1] if id(item) in self.known else item

    def _part(self, array: np.ndarray, label: str) -> Traced:
        """A view of another leaf."""
        part = self.parts[id(array)]
        view = _view(self.of(part.whole, part.label), part.places, part.whole.flags.c_contiguous)
        name(view.tensor, label)
        return view

    def _leaf(self, array: np.ndarray, label: str) -> Tensor:
        numbers = self.numbers(len(self.tensors), array)
        if array.dtype.kind in "iu":
            leaf = Tensor(numbers, name=label)
        elif DATA.fullmatch(label):
            leaf = Tensor(numbers, TARGETS.fullmatch(label) is None, label)
        else:
            leaf = Parameter(numbers, label)
        self.tensors.append(leaf)
        return leaf


def _view(whole: Traced, places: np.ndarray, by_rows: bool) -> Traced:
    """What stands at these places of the memory of another array."""
    flat = (whole if by_rows else whole.T).ravel()
    if np.array_equal(places, np.arange(whole.size).reshape(whole.shape[::-1] if by_rows else whole.shape).T):
        return whole.T
    low = int(places.min(initial=whole.size))
    if np.array_equal(places.ravel(), np.arange(low, low + places.size)):
        return flat[low : low + places.size].reshape(places.shape)
    return View(flat, lambda x: x[places], lambda part: flat.__setitem__(places, part))
