"""How much a search has computed: for the same input the same on every machine, however slow or busy, unlike time."""

from __future__ import annotations

from dataclasses import dataclass

NUMBERS = 2_000  # that take as long as it takes to call an operation at all: some 6 µs
OPERATIONS = 3_000_000  # that a search may take: about 20 s (15 to 35, by what is searched)
MORE = 0.25  # of that, once a reason was found: to see whether others fit too


@dataclass
class Work:
    """The operations done so far: to call one counts as 1, and so do every ``NUMBERS`` that it reads or writes."""

    operations: float = 0.0

    def add(self, operations: int, numbers: int = 0) -> None:
        """Count operations, and the numbers that all of them read and write."""
        self.operations += operations + numbers / NUMBERS


class Limit:
    """How much may still be done: ``effort`` times ``OPERATIONS``."""

    def __init__(self, work: Work, effort: float):
        self.work, self.whole = work, effort * OPERATIONS
        self.end = work.operations + self.whole

    @property
    def reached(self) -> bool:
        """Whether no more may be done."""
        return self.work.operations >= self.end

    def only_some_more(self) -> None:
        """Go on for a while only."""
        self.end = min(self.end, self.work.operations + MORE * self.whole)
