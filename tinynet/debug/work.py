"""How much a search has computed: for the same input the same on every machine, however slow or busy, unlike time."""

from __future__ import annotations

from dataclasses import dataclass

NUMBERS = 2_000  # that take as long as it takes to call an operation at all: some 6 µs
OPERATIONS = 3_000_000  # that a search may take: about 20 s (15 to 35, by what is searched)


@dataclass
class Work:
    """The operations done so far: to call one counts as 1, and so do every ``NUMBERS`` that it reads or writes."""

    operations: float = 0.0

    def add(self, operations: int, numbers: int = 0) -> None:
        """Count operations, and the numbers that all of them read and write."""
        self.operations += operations + numbers / NUMBERS
