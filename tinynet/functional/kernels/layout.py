"""Where the numbers of images lie: (C, *S, N) in memory, the batch last, seen as (N, C, *S).

What slides over an image then moves the numbers of a whole batch at a time, which lie together.
"""

from __future__ import annotations

from typing import Any


def empty(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Room for images (N, C, *S)."""
    return batch_first(xp.empty((*shape[1:], shape[0]), dtype=dtype))


def batch_first(x: Any) -> Any:
    """(C, *S, N) seen as (N, C, *S)."""
    return x.transpose(len(x.shape) - 1, *range(len(x.shape) - 1))


def batch_last(x: Any) -> Any:
    """(N, C, *S) seen as (C, *S, N)."""
    return x.transpose(*range(1, len(x.shape)), 0)
