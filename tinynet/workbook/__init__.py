"""The workbook compiler: it knows primitives, names and time steps, and never mentions a layer."""

from tinynet.workbook.read import (
    Difference,
    Loaded,
    Verification,
    load,
    read_book,
    read_yours,
    read_yours_whole,
    verify,
)
from tinynet.workbook.write import Written, write, write_beside

__all__ = [
    "Difference",
    "Loaded",
    "Verification",
    "Written",
    "load",
    "read_book",
    "read_yours",
    "read_yours_whole",
    "verify",
    "write",
    "write_beside",
]
