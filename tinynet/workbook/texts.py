"""Many texts in little memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

BITS = 6
PAGE = 1 << BITS  # texts: so few that a page finds room in what smaller things have left free


class Texts:
    """Texts by number, joined to pages: a string of its own takes 50 bytes and more beyond its letters."""

    def __init__(self, texts: Iterable[str]):
        self.pages: list[str] = []
        ends: list[np.ndarray] = []  # of the texts of each page; a 0 before them is where the first begins
        left = iter(texts)
        while page := list(islice(left, PAGE)):
            self.pages.append("".join(page))
            ends.append(np.cumsum([0, *map(len, page)], dtype=np.int32))
        self.ends = np.concatenate(ends)

    def __getitem__(self, number: int) -> str:
        page = number >> BITS
        return self.pages[page][self.ends[number + page] : self.ends[number + page + 1]]

    def at(self, numbers: np.ndarray) -> list[str]:
        """The texts of these numbers (n,)."""
        pages, whose = self.pages, numbers >> BITS
        places = numbers + whose  # the zeros count
        found = zip(whose.tolist(), self.ends[places].tolist(), self.ends[places + 1].tolist(), strict=True)
        return [pages[page][start:end] for page, start, end in found]
