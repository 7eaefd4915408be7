"""What is read: the different labels of the cells in many arrays (n,), found for all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

CHUNK = 1 << 18  # cells that are looked at together


def labels_read(parts: list[np.ndarray], groups: Sequence[int], labels: np.ndarray) -> list[tuple[int, int]]:
    """All different (group, label), in order: ``groups`` are those of the parts, ``labels`` those of cells by id.

    A label of 0 counts for nothing.
    """
    found: list[tuple[int, int]] = []
    for start, end in _chunks(parts):
        read = labels[np.concatenate(parts[start:end])]
        group = np.repeat(groups[start:end], [ids.size for ids in parts[start:end]])
        new = (read != 0) & ((np.diff(read, prepend=0) != 0) | (np.diff(group, prepend=-1) != 0))
        found += set(zip(group[new].tolist(), read[new].tolist(), strict=True))
    return sorted(set(found))


def _chunks(parts: list[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of parts, each of about CHUNK cells."""
    total = np.cumsum([0, *(ids.size for ids in parts)])
    start = 0
    while start < len(parts):
        end = max(start + 1, int(np.searchsorted(total, total[start] + CHUNK, side="right")) - 1)
        yield start, end
        start = end
