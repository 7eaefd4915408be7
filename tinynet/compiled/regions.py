"""Which block of an array an index names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Shape = tuple[int, ...]
Region = tuple[tuple[int, int], ...]  # from where to where, on each axis


def region_of(index: Any, shape: Shape) -> Region | None:
    """The block that an index names; None for what is not one piece."""
    parts = index if isinstance(index, tuple) else (index,)
    if parts and parts[0] is Ellipsis:
        parts = (slice(None),) * (len(shape) - len(parts) + 1) + parts[1:]
    if not all(isinstance(part, (int, slice)) for part in parts):
        return None
    bounds = []
    for axis, n in enumerate(shape):
        part = parts[axis] if axis < len(parts) else slice(None)
        if isinstance(part, int):
            part = slice(part % n, part % n + 1)
        start, stop, step = part.indices(n)
        if step != 1:
            return None
        bounds.append((start, stop))
    return tuple(bounds)


def extent(region: Region) -> Shape:
    return tuple(stop - start for start, stop in region)


def tiled_axis(regions: Sequence[Region], shape: Shape) -> int | None:
    """The axis along which blocks, in order, fill a shape; None where they do not."""
    axes = [axis for axis, n in enumerate(shape) if any(region[axis] != (0, n) for region in regions)]
    if len(axes) != 1:
        return None
    (axis,) = axes
    edges = [0] + [region[axis][1] for region in regions]
    filled = [region[axis][0] for region in regions] == edges[:-1] and edges[-1] == shape[axis]
    return axis if filled else None
