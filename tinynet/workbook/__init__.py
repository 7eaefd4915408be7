"""The workbook compiler: it knows primitives, names and time steps, and never mentions a layer."""

from tinynet.workbook.write import Written, write

__all__ = ["Written", "write"]
