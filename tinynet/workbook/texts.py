"""Many texts in little memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

BITS = 14
PAGE = 1 << BITS  # texts


class Texts:
    """Texts by number, joined to pages: as a string of its own, each takes 50 bytes and more besides its letters."""

    def __init__(self, texts: Iterable[str]):
        self.pages: list[str] = []
        lengths: list[np.ndarray] = []
        left = iter(texts)
        while page := list(islice(left, PAGE)):
            self.pages.append("".join(page))
            lengths.append(np.array(list(map(len, page)), dtype=np.int32))
        self.lengths = np.concatenate(lengths)
        self.starts = np.concatenate([np.cumsum(of_page, dtype=np.int32) - of_page for of_page in lengths])

    def __getitem__(self, number: int) -> str:
        start = int(self.starts[number])
        return self.pages[number >> BITS][start : start + int(self.lengths[number])]

    def at(self, numbers: np.ndarray) -> list[str]:
        """The texts of these numbers (n,)."""
        pages, starts = self.pages, self.starts[numbers]
        ends = starts + self.lengths[numbers]
        found = zip((numbers >> BITS).tolist(), starts.tolist(), ends.tolist(), strict=True)
        return [pages[page][start:end] for page, start, end in found]
