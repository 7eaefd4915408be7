"""What arguments of layers must be."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_sizes(module: Any, **sizes: Any) -> None:
    """Raise ValueError for a size that is no integer of at least 1."""
    if not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes.values()):
        given = ", ".join(f"{label}={size!r}" for label, size in sizes.items())
        raise ValueError(f"{type(module).__name__} got {given}: expected integers of at least 1")


def check_share(number: Any, label: str, most: float = 1) -> None:
    """Raise ValueError unless a number is from 0 to ``most``."""
    if not isinstance(number, (int, float, np.number)) or not 0 <= number <= most:
        raise ValueError(f"{label} is {number!r}, expected a number from 0 to {most:g}")
