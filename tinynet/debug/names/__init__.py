"""Which of somebody's arrays is which quantity of our run: by a sure name, or else by equal numbers, then by any name.

A name is read as a role (value, gradient, update …), a key (``hidden`` without case, dots and underscores) and perhaps
a time step. ``tables`` says which keys people use for which quantity. A key may have several meanings: the first
whose shape fits is taken. An array whose name says less is what it equals, in whatever layout (``recognition``), and
what is called after it is derived from that: ``dHout`` is the gradient of ``Hout``.

How an array is laid out (time first or batch first, transposed …) follows from shapes; where they leave a choice, the
numbers decide, and ``layouts`` says so.
"""

from tinynet.debug.names.matching import match
from tinynet.debug.names.result import Matched, Unmatched

__all__ = ["Matched", "Unmatched", "match"]
