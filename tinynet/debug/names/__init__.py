"""Which of somebody's arrays is which quantity of our run: by name, then by shape; by value only to tell axes apart.

A name is read as a role (value, gradient, update …), a key (``hidden`` without case, dots and underscores) and perhaps
a time step. ``tables`` says which keys people use for which quantity. A key may have several meanings: the first
whose shape fits is taken. How an array is then laid out (time first or batch first, transposed …) follows from
shapes; where they leave a choice, the numbers decide, and ``layouts`` says so.
"""

from tinynet.debug.names.matching import match
from tinynet.debug.names.result import Matched, Unmatched

__all__ = ["Matched", "Unmatched", "match"]
