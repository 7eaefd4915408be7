"""Arrays of zeros that code fills while it is traced, and reads again step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet.tensor import Tensor
from tinynet.tracing.arrays import Traced, unwrapped
from tinynet.tracing.integers import chosen, is_live
from tinynet.tracing.places import Place, placed, places_of, shaped, step_of


class Filled(Traced):
    """An array of zeros, or ones, that is filled part by part, as ``h[t] = …`` fills ``h = np.zeros((T, N, H))``.

    What is put in at one place along one axis is a step: it can be read again without the rest of the array, which is
    put together only where all of it is read.
    """

    def __init__(self, shape: Any, number: float = 0.0):
        self.numbers: np.ndarray | None = np.full(shape, number)  # while only plain ones are in the whole
        self.whole = Tensor(self.numbers)
        self.written = self.whole.data != 0
        self.followed = np.full(self.written.shape, False)  # where there is what was traced
        self.steps: dict[Place, Tensor] = {}
        self.waiting: dict[Place, Any] = {}  # where in the whole the steps belong that it lacks so far
        self.plain: dict[Place, Tensor] = {}  # what was read of plain numbers
        self.is_read = False  # as a whole, since something was put in

    shape = property(lambda self: self.written.shape)
    ndim = property(lambda self: self.written.ndim)
    size = property(lambda self: self.written.size)
    dtype = property(lambda self: self.whole.dtype)

    def __len__(self) -> int:
        return len(self.written)

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        rows = self._rows()
        if rows:
            self.whole, self.numbers = F.stack(rows, dim=next(iter(self.steps))[0]), None
        else:
            for place, index in self.waiting.items():
                self._add(placed(self.steps[place], index, self.shape))
        self.waiting.clear()
        self.is_read = True
        return self.whole

    def _rows(self) -> list[Tensor]:
        """The steps along one axis, if they are all there and nothing else is in the whole array."""
        axes = {axis for axis, _ in self.waiting}
        if self.numbers is None or len(axes) != 1:
            return []
        known, (axis,) = self.plain | self.steps, axes
        rows = [known.get((axis, k)) for k in range(self.shape[axis])]
        return [row for row in rows if row is not None] if all(row is not None for row in rows) else []

    def _add(self, part: Tensor) -> None:
        """Put in a part where nothing was: no cell has two terms, as in a workbook their sum is no formula."""
        plain = self.numbers is None or self.written[~self.followed].any()
        self.whole = self.whole + part if plain else part
        self.numbers, self.is_read = None, False

    @property
    def is_empty(self) -> bool:
        return not self.written.any()

    def _become(self, tensor: Tensor) -> Traced:
        self.whole, self.numbers, self.written = tensor, None, np.full(tensor.shape, True)
        self.followed = self.written.copy()
        self.steps, self.waiting, self.is_read = {}, {}, False
        return self

    def __getitem__(self, index: Any) -> Traced:
        place = None if isinstance(index, Traced) else step_of(index, self.shape)
        if place is None or not (place in self.steps or self._is_plain(index)):
            return super().__getitem__(index)
        step = StepOf(self, index)
        return step if step.shape else Traced(step.tensor)

    def _is_plain(self, index: Any) -> bool:
        return self.numbers is not None and not self.followed[index].any()

    def at(self, index: Any) -> Tensor:
        """What stands at a step."""
        place = step_of(index, self.shape)
        if place is not None and place in self.steps:
            return self.steps[place]
        if place is None or self.numbers is None or not self._is_plain(index):
            return self.tensor[index]
        if place not in self.plain:
            self.plain[place] = Tensor(self.numbers[index].copy())
        return self.plain[place]

    def __setitem__(self, index: Any, value: Any) -> None:
        if is_live(index):
            one_hot = chosen(self.shape, index, value) if self.is_empty and isinstance(value, (int, float)) else None
            self._become(one_hot) if one_hot is not None else super().__setitem__(index, value)
            return
        places = index.tensor if isinstance(index, Traced) else places_of(self._chosen(index))
        place = None if isinstance(places, Tensor) else step_of(places, self.shape)
        value = value.numbers if isinstance(value, Filled) and not value.followed.any() else unwrapped(value)
        plain = self.numbers is not None and not isinstance(value, Tensor)
        if place is not None and place in self.steps:
            self._replace(place, places, value)
            return
        if isinstance(places, Tensor) or np.any((self.followed if plain else self.written)[places]):
            super().__setitem__(index, value)
            return
        if self.numbers is not None and plain:
            self.numbers = self.numbers.copy()
            self.numbers[places] = value
            self.whole = Tensor(self.numbers)
            self.plain = {p: x for p, x in self.plain.items() if np.array_equal(x.data, self.numbers.take(p[1], p[0]))}
        elif place is not None:
            self.steps[place], self.waiting[place] = shaped(value, places, self.shape), places
            self.followed[places] = True
        else:
            self._add(placed(value, places, self.shape))
            self.followed[places] = True
        self.written[places] = True

    def _replace(self, place: Place, index: Any, value: Any) -> None:
        """Put something else at a step."""
        if value is self.steps[place]:
            return
        steps, new = self.steps, shaped(value, index, self.shape)
        if place not in self.waiting:
            super().__setitem__(index, new)
            self.steps = steps
        self.steps[place] = new


class StepOf(Traced):
    """A step of an array that is filled."""

    def __init__(self, whole: Filled, index: Any):
        self.whole, self.index = whole, index

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        return self.whole.at(self.index)

    @property
    def is_empty(self) -> bool:
        return not self.whole.written[self.index].any()

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is Ellipsis:
            self.whole[self.index] = value
        else:
            super().__setitem__(index, value)

    def _become(self, tensor: Tensor) -> Traced:
        self.whole[self.index] = tensor
        return self
