"""A recorded run as straight-line code over fixed buffers: the fast way to train something small and see every number.

Every value with a name has its buffer, which each call fills again; what only moves numbers is a view of another
buffer and costs nothing. A parameter and its updated value share one buffer, so that each call goes on training.

Each file here is a step on the way, and none knows of layers, only of primitives, names and time steps:

1. ``program`` holds the steps. ``zeros``, ``joins``, ``products``, ``repeats`` and ``gates`` replace some by fewer.
2. ``families`` finds what does the same at different times, and what waits for itself from one time to the next: a
   loop. ``early`` takes work out of loops, and ``together`` says what can be done at once.
3. ``layout`` puts side by side what is used side by side, so that (``lanes``) it is one array without being copied.
4. ``code`` writes the calls of NumPy, with ``packs`` for many steps in one, and ``writers`` for single primitives.
   ``updates`` sees to it that a parameter is read before its new number takes its place.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tinynet.collection import without_collection
from tinynet.compiled.code import Code
from tinynet.functional.random import MASK
from tinynet.leaves import accepted, sizes_of_places
from tinynet.run import Run, unknown_name
from tinynet.tensor import Tensor


class Compiled:
    """Call it to compute the run again, from new leaves if any are given (``step(x=x2, y=y2)``); returns the loss.

    ``compiled["lstm.c[3]"]`` is the buffer of a value and ``compiled.parameters`` those of the parameters, by name.
    The numbers are those of the recorded run to rounding; sums and products may be taken in another order. Nothing
    is drawn anew: a dropout mask is a leaf, the recorded one in every call until ``step(dropout_mask=mask)`` sets
    another (a warning names it). A buffer, such as a running mean, moves on with each call. Raises TypeError for a
    run that is not on NumPy; a call raises KeyError for a name that is no leaf, ValueError for another shape,
    TypeError for numbers that the leaf's dtype cannot hold, and IndexError for places that are not there.
    """

    def __init__(self, run: Run):
        for value in run.values:
            if not isinstance(value.array, np.ndarray):
                raise TypeError(f"only runs on NumPy can be compiled, {value.name} is {type(value.array).__name__}")
        _tell_masks(run)
        with without_collection():
            self.run = run.recomputed({})
            for value in self.run.values:  # a moved buffer takes its place, as an updated parameter does
                value.copy_of = value.copy_of or value.moves
            self._run = Code(self.run).function()
        self._sizes = sizes_of_places(run)
        self._leaves = {value.name: value for value in self.run.leaves if value.name is not None}
        self._loss = None if self.run.loss is None else self.run.loss.array

    def __call__(self, /, **leaves: Any) -> float | None:
        for name, numbers in leaves.items():
            self._set(name, numbers.data if isinstance(numbers, Tensor) else numbers)
        self._run()
        return None if self._loss is None else self._loss.item()

    def __getitem__(self, name: str) -> np.ndarray:
        return self.run[name]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters as they are now, by name; copies, for ``load_state_dict``."""
        return {name: array.copy() for name, array in self.run.parameters.items()}

    def _set(self, name: str, numbers: Any) -> None:
        if name not in self._leaves:
            raise KeyError(unknown_name(name, list(self._leaves), "leaf"))
        leaf = self._leaves[name]
        np.copyto(leaf.array, accepted(leaf, numbers, self._sizes), casting="same_kind")


def _tell_masks(run: Run) -> None:
    masks = [value.name for value in run.leaves if str(value.quantity).startswith(MASK)]
    if masks:
        warnings.warn(
            f"{', '.join(map(str, masks))}: drawn when the run was recorded, and the same in every call of the "
            f"compiled step; set other numbers (1 to keep, 0 to drop) by step(**{{{masks[0]!r}: mask}})",
            stacklevel=4,
        )
