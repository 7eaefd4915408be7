"""How far numbers are from ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinynet.backend import to_host

EQUAL = 1e-6  # relative: numbers that were passed on, not computed
NEARER = 0.7  # of two orders, one is the nearer if its error is less than this share of the other's


def equal_to(dtype: np.dtype) -> float:
    """How far numbers of a dtype, computed in another order, may be from ours and still be the same."""
    return {"float32": 1e-5, "float16": 1e-2}.get(str(dtype), EQUAL)


def distance(theirs: np.ndarray, ours: Any) -> float:
    """How far numbers are from ours, relative to ours; without end where one is not finite."""
    a, b = np.asarray(theirs, float).ravel(), np.asarray(to_host(ours), float).ravel()
    if a.shape != b.shape:
        return np.inf
    with np.errstate(all="ignore"):
        size, error = float(np.sqrt((b**2).sum())), float(np.sqrt(((a - b) ** 2).sum()))
    ratio = error / size if size else error
    return ratio if np.isfinite(ratio) else np.inf


def sums_to_one(array: np.ndarray, axes: Iterable[int] | None = None) -> bool:
    """Whether numbers are probabilities: none negative, and their sum is 1 along one of the axes."""
    with np.errstate(all="ignore"):
        if not (array >= 0).all():
            return False
        along = [axis for axis in (range(array.ndim) if axes is None else axes) if array.shape[axis] > 1]
        return any(np.allclose(array.sum(axis=axis), 1, atol=1e-3) for axis in along)


def least_precise(arrays: Iterable[np.ndarray]) -> np.dtype:
    floating = [array.dtype for array in arrays if array.dtype.kind == "f"]
    return max(floating, key=lambda dtype: np.finfo(dtype).eps, default=np.dtype(np.float64))
