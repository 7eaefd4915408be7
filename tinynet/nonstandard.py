"""The few calls that the array-API standard does not have: NumPy's own for NumPy and CuPy, a standard way for others.

Everything else in the engine is in the standard (https://data-apis.org/array-api), or mirrors NumPy because it runs
only where ``mirrors_numpy`` holds: the fused kernels. ``xp`` is the array library, ``x`` one of its arrays.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from tinynet import memory

Sizes = tuple[int, ...]


def mirrors_numpy(xp: Any) -> bool:
    """Tell whether a library has NumPy's whole interface (ufuncs with ``out=`` and ``at``): NumPy and CuPy do."""
    return xp is np or hasattr(xp, "ufunc")


# Making arrays


def array(xp: Any, numbers: Any, dtype: Any = None, device: Any = None) -> Any:
    """Copy host numbers, or an array of ``xp``, to a device (CuPy: its current one)."""
    if mirrors_numpy(xp):
        return xp.array(numbers, dtype=dtype)
    return xp.asarray(numbers, dtype=dtype, device=device, copy=True)


def zeros(xp: Any, shape: Sizes, like: Any) -> Any:
    """Zeros of ``shape``, in the dtype and on the device of the array ``like``."""
    if mirrors_numpy(xp):
        return memory.zeros(xp, shape, like.dtype)
    return xp.zeros(shape, dtype=like.dtype, device=like.device)


def ones_like(xp: Any, x: Any) -> Any:
    """Ones; NumPy's own function takes four times as long for a single number."""
    if not mirrors_numpy(xp):
        return xp.ones_like(x)
    out = x.copy()
    out.fill(1)
    return out


def copied(xp: Any, x: Any) -> Any:
    """A copy where ``x`` is."""
    return x.copy() if mirrors_numpy(xp) else xp.asarray(x, copy=True)


def cast(xp: Any, x: Any, dtype: Any) -> Any:
    """A copy in another dtype, which may be given by its name or as NumPy's."""
    return x.astype(dtype) if mirrors_numpy(xp) else xp.astype(x, getattr(xp, dtype_name(dtype)))


def extent(xp: Any, x: Any) -> tuple[int, int]:
    """The smallest and the largest of integers; as methods, where there are such, in half the time."""
    return (int(x.min()), int(x.max())) if mirrors_numpy(xp) else (int(xp.min(x)), int(xp.max(x)))


def dtype_name(dtype: Any) -> str:
    """The name of any library's dtype: ``"float64"``."""
    return np.dtype(dtype).name if isinstance(dtype, type) else str(dtype).rpartition(".")[2]


def reshape(xp: Any, x: Any, shape: Sizes) -> Any:
    """Give another shape; where the first axis lies innermost in memory, as that of images does, it stays there."""
    n, m = x.ndim, len(shape)
    if not mirrors_numpy(xp) or min(n, m) < 2 or x.strides[0] != x.itemsize or shape[0] != x.shape[0]:
        return xp.reshape(x, shape)
    return x.transpose(*range(1, n), 0).reshape(*shape[1:], shape[0]).transpose(m - 1, *range(m - 1))


# Places that the host knows, because they are part of the program: slices, and lists or NumPy arrays of integers


def getitem(xp: Any, x: Any, index: Any) -> Any:
    """Pick by all that NumPy takes for an index; elsewhere by the places that this index has in the flat array."""
    if mirrors_numpy(xp):
        return x[index]
    return _gathered(xp, xp.reshape(x, (-1,)), _places(x.shape, index))


def scatter(xp: Any, x: Any, index: Any, shape: Sizes) -> Any:
    """Zeros of ``shape`` with ``x`` added at ``index`` (a place named twice receives both)."""
    if not mirrors_numpy(xp):
        return _scattered(xp, x, _places(shape, index), shape)
    out = zeros(xp, shape, x)
    if _has_arrays(index):
        xp.add.at(out, index, x)
    else:
        out[index] = x
    return out


def _has_arrays(index: Any) -> bool:
    return any(isinstance(i, (list, np.ndarray)) for i in (index if isinstance(index, tuple) else (index,)))


def _places(shape: Sizes, index: Any) -> np.ndarray:
    return np.asarray(np.arange(math.prod(shape)).reshape(shape)[index])


def _gathered(xp: Any, flat: Any, places: np.ndarray) -> Any:
    found = xp.take(flat, xp.asarray(places.reshape(-1), device=flat.device), axis=0)
    return xp.reshape(found, places.shape)


def _scattered(xp: Any, x: Any, places: np.ndarray, shape: Sizes) -> Any:
    """By gathering: each place takes what goes there, or a zero behind the end; who goes where another does, waits."""
    numbers = xp.reshape(xp.broadcast_to(x, places.shape), (-1,))
    numbers = xp.concat([numbers, zeros(xp, (1,), x)], axis=0)
    places, waiting = places.reshape(-1), np.arange(places.size)
    out = zeros(xp, shape, x)
    while waiting.size:
        source = np.full(math.prod(shape), places.size)
        source[places[waiting]] = waiting
        out = out + _gathered(xp, numbers, source.reshape(shape))
        waiting = waiting[source[places[waiting]] != waiting]
    return out


def pad(xp: Any, x: Any, pad_width: tuple[tuple[int, int], ...]) -> Any:
    """Put (before, after) zeros around each axis."""
    if mirrors_numpy(xp):
        return xp.pad(x, pad_width)
    out = zeros(xp, tuple(low + n + high for (low, high), n in zip(pad_width, x.shape, strict=True)), x)
    out[tuple(slice(low, low + n) for (low, _), n in zip(pad_width, x.shape, strict=True))] = x
    return out


def windows(xp: Any, x: Any, size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    """The numbers under each window, (N, C, *S) to (N, C, *P, *size): of NumPy's and CuPy's, a view."""
    if mirrors_numpy(xp):
        covered = tuple(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True))
        everywhere = xp.lib.stride_tricks.sliding_window_view(x, covered, axis=tuple(range(2, 2 + len(size))))
        return everywhere[(..., *(slice(None, None, step) for step in (*stride, *dilation)))]
    fields = xp.stack([x[index] for index in corners(x.shape[2:], size, stride, dilation)], axis=-1)
    return xp.reshape(fields, (*fields.shape[:-1], *size))


@lru_cache(maxsize=1024)
def corners(spatial: Sizes, size: Sizes, stride: Sizes, dilation: Sizes) -> list[tuple[Any, ...]]:
    """For each place in a window, the index of what all the windows have there."""
    reach = [n - d * (k - 1) for n, k, d in zip(spatial, size, dilation, strict=True)]
    starts = ([d * i for i, d in zip(place, dilation, strict=True)] for place in np.ndindex(*size))
    return [(..., *(slice(a, a + r, s) for a, r, s in zip(start, reach, stride, strict=True))) for start in starts]


# Places that are data: arrays of ``xp``


def take(xp: Any, x: Any, index: Any) -> Any:
    """Pick rows of ``x``: ``x[index]``, for which NumPy's method takes half the time."""
    if mirrors_numpy(xp):
        return x.take(index, axis=0)
    return xp.reshape(xp.take(x, xp.reshape(index, (-1,)), axis=0), (*index.shape, *x.shape[1:]))


def put(xp: Any, x: Any, index: Any, size: int) -> Any:
    """Add rows up: zeros (size, …) with ``x`` added at ``index``; elsewhere by a matrix of ones where a row goes."""
    shape = (size, *x.shape[index.ndim :])
    if mirrors_numpy(xp):
        out = xp.zeros(shape, dtype=x.dtype)
        xp.add.at(out, index, x)
        return out
    chosen = _chosen(xp, xp.reshape(index, (-1,)), size, x)  # (rows, size)
    rows = xp.reshape(x, (chosen.shape[0], math.prod(shape[1:])))
    return xp.reshape(xp.matmul(xp.matrix_transpose(chosen), rows), shape)


def put_along_axis(xp: Any, x: Any, index: Any, axis: int, size: int) -> Any:
    """Zeros, ``size`` along the axis, with every number of ``x`` added at its own place on that axis."""
    if mirrors_numpy(xp):
        shape = list(x.shape)
        shape[axis] = size
        places = list(xp.ogrid[tuple(slice(n) for n in index.shape)])
        places[axis] = index
        out = xp.zeros(tuple(shape), dtype=x.dtype)
        xp.add.at(out, tuple(places), x)
        return out
    lanes, places = (xp.moveaxis(a, axis, -1) for a in (x, index))
    out = xp.matmul(lanes[..., None, :], _chosen(xp, places, size, x))
    return xp.moveaxis(out[..., 0, :], -1, axis)


def _chosen(xp: Any, index: Any, size: int, like: Any) -> Any:
    """(…, size): 1 at the place that the index names, 0 elsewhere."""
    places = xp.arange(size, dtype=index.dtype, device=index.device)
    return xp.astype(index[..., None] == places, like.dtype)
