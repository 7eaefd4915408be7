"""The workbook compiler: it knows primitives, names and time steps, and never mentions a layer."""

from tinynet.workbook.read import Difference, Loaded, Verification, load, verify
from tinynet.workbook.write import Written, write

__all__ = ["Difference", "Loaded", "Verification", "Written", "load", "verify", "write"]
