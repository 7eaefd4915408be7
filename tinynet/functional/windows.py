"""Where the windows of a pooling lie. Sizes and borders are PyTorch's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.functional.spatial import per_axis
from tinynet.tensor import Tensor


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows along one axis, ``count`` of them on an input of ``length``: one object for all calls alike."""

    length: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    count: int

    @property
    def starts(self) -> np.ndarray:
        return np.arange(self.count) * self.stride - self.padding

    @property
    def beyond(self) -> int:
        """How many places after the input the last window covers."""
        last = (self.count - 1) * self.stride - self.padding
        return max(0, last + self.dilation * (self.kernel - 1) + 1 - self.length)

    @cached_property
    def reach_outside(self) -> bool:
        return self.padding > 0 or self.beyond > 0

    @cached_property
    def overlap(self) -> bool:
        return self.count > 1 and self.stride <= self.dilation * (self.kernel - 1)

    @cached_property
    def tile(self) -> bool:
        """Whether each number of the input is seen by exactly one window."""
        return not self.reach_outside and self.stride == self.kernel and self.stride * self.count == self.length

    def seen_at(self, place: int) -> tuple[slice, slice]:
        """What of the input the windows have at this place in them, and which of them: some have what lies outside."""
        shift = self.dilation * place - self.padding
        first = max(0, -(shift // self.stride))
        after = min(self.count, (self.length - 1 - shift) // self.stride + 1)
        start, many = shift + self.stride * first, max(0, after - first)
        return slice(start, start + self.stride * many, self.stride), slice(first, first + many)

    def counts(self, border: int) -> np.ndarray:
        """How many places each window covers of the input and a border around it (without dilation)."""
        after = np.minimum(self.starts + self.kernel, self.length + border)
        return after - np.maximum(self.starts, -border)

    def places(self, function: str) -> np.ndarray:
        """What the windows see, the places outside the input replaced by the nearest inside that the same windows see.

        That one stands later in its windows if the place is before the input, and earlier if it is after: the order
        in which a window first meets its numbers, which decides between equal ones, stays. Raises ValueError for a
        window that sees nothing of the input.
        """
        places, last = np.arange(-self.padding, self.length + self.beyond), self.length - 1
        places = np.where(places < 0, places % self.dilation, places)
        places = np.where(places > last, last - (last - places) % self.dilation, places)
        seen = self.starts[:, None] + self.dilation * np.arange(self.kernel)
        if places[seen + self.padding].min() < 0:
            raise ValueError(f"{function}: a window sees nothing of the {self.length} numbers: use less dilation")
        return np.maximum(places, 0)  # what no window sees may be anything


def windows_of(
    function: str,
    shape: tuple[int, ...],
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> tuple[Windows, ...]:
    """The windows along the ``axes`` in space, the last ones of the ``shape``. Raises ValueError for a bad option."""
    kernel = per_axis(kernel_size, axes, f"{function}: kernel_size")
    return _windows(
        function,
        shape,
        kernel,
        per_axis(stride, axes, f"{function}: stride", default=kernel),
        per_axis(padding, axes, f"{function}: padding", 0),
        per_axis(dilation, axes, f"{function}: dilation"),
        bool(ceil_mode),
    )


@lru_cache(maxsize=1024)
def _windows(function, shape, kernel, stride, padding, dilation, ceil_mode):
    windows = []
    for n, k, s, p, d in zip(shape[-len(kernel) :], kernel, stride, padding, dilation, strict=True):
        covers = d * (k - 1) + 1
        if 2 * p > k:
            raise ValueError(f"{function}: padding is {p}, expected at most half of the kernel_size {k}")
        room = n + 2 * p - covers
        count = 1 + (-(-room // s) if ceil_mode else room // s)
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1  # the last one would begin beyond the input
        if count < 1:
            raise ValueError(f"{function}: a window that covers {covers} does not fit into input {shape}")
        windows.append(Windows(n, k, s, p, d, count))
    return tuple(windows)


@lru_cache(maxsize=1024)
def corners(windows: tuple[Windows, ...]) -> list[tuple[Any, Any]]:
    """For each place in a window: the index of what the windows have there, and the index of these windows."""
    places = np.ndindex(*(w.kernel for w in windows))
    seen = ([w.seen_at(i) for w, i in zip(windows, place, strict=True)] for place in places)
    return [((..., *(x for x, _ in axes)), (..., *(y for _, y in axes))) for axes in seen]


def divisors(windows: tuple[Windows, ...], count_include_pad: bool) -> Any:
    """How many numbers each window has the mean of: one number where that is the same for all."""
    counts = reduce(np.multiply.outer, [w.counts(w.padding if count_include_pad else 0) for w in windows])
    return counts if np.ptp(counts) else int(counts.flat[0])


def fields_of(x: Tensor, windows: tuple[Windows, ...]) -> Tensor:
    """The numbers in each window, in the last axis: (N, C, *S) to (N, C, *P, K)."""
    return P.windows(
        x,
        size=tuple(w.kernel for w in windows),
        stride=tuple(w.stride for w in windows),
        dilation=tuple(w.dilation for w in windows),
    )
