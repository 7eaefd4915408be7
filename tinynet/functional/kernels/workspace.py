"""The arrays that a kernel computes in, kept for its next call: to make them anew can take longer than to use them."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Any

import numpy as np

KEPT = 2**25  # bytes, of the unused workspaces of one kind and size


class Workspace:
    """Arrays of fixed sizes as attributes, and views of them. What a user gets is copied from here, never in here."""

    @property
    def nbytes(self) -> int:
        own = [item for item in vars(self).values() if isinstance(item, Workspace) or getattr(item, "base", 0) is None]
        return sum(item.nbytes for item in own)


class Loan:
    """A workspace that nobody else has while this lives; afterwards it waits for the next call with the same sizes.

    So what a forward pass leaves in it stays there until its node is gone, however many calls come in between, and
    whether it runs backward once, twice or never. A lock is not needed: a deque's ``append`` and ``pop`` are atomic.
    """

    __slots__ = ("_waiting", "workspace")

    def __init__(self, workspace: Any, waiting: deque):
        self.workspace, self._waiting = workspace, waiting

    def __del__(self) -> None:
        self._waiting.append(self.workspace)


def borrow(kind: Any, xp: Any, *sizes: Any) -> Loan:
    """Return the loan of a workspace ``kind(xp, *sizes)``; its numbers are those of its last use.

    Only NumPy's are used again: CuPy has a pool of its own, which knows the streams that still compute.
    """
    waiting = _waiting(kind, *sizes) if xp is np else deque(maxlen=0)
    try:
        workspace = waiting.pop()
    except IndexError:
        workspace = kind(xp, *sizes)
    return Loan(workspace, waiting)


@lru_cache(maxsize=16)
def _waiting(kind: Any, *sizes: Any) -> deque:
    """The unused workspaces of one kind and size: a first one, and later as many as may be kept."""
    first = kind(np, *sizes)
    return deque([first], maxlen=KEPT // max(first.nbytes, 1))
