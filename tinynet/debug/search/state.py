"""A computation as it stands in the search: edited so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinynet.debug.program import Edit


@dataclass(frozen=True)
class State:
    """A computation with some edits: what it changes, by value index, and the sentences that say so."""

    changed: dict[int, np.ndarray]
    sentences: tuple[str, ...] = ()
    edit: Edit = field(default_factory=Edit)
    differentiated: bool = False
    fitted: bool = False  # a number in a sentence was measured
