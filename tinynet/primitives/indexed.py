"""Primitives whose places are chosen by integer data: the data may be edited in a cell, so they are computed.

``take`` picks rows of a table (an embedding); ``take_along_axis`` picks one number per place (the probability of
the target class). Each has the other direction, which adds up what goes to the same place. ``argmax`` computes such
places: of the first of the largest.
"""

from __future__ import annotations

from tinynet import nonstandard
from tinynet.primitives.core import Primitive

argmax: Primitive = Primitive("argmax", "indexed", lambda xp, x, axis: xp.argmax(x, axis=axis, keepdims=True))
take: Primitive = Primitive(
    "take",
    "indexed",
    nonstandard.take,
    (lambda g, y, x, index: put(g, index, size=x.shape[0]), None),
)
put: Primitive = Primitive("put", "indexed", nonstandard.put, (lambda g, y, x, index, size: take(g, index), None))
take_along_axis: Primitive = Primitive(
    "take_along_axis",
    "indexed",
    lambda xp, x, index, axis: xp.take_along_axis(x, index, axis=axis),
    (lambda g, y, x, index, axis: put_along_axis(g, index, axis=axis, size=x.shape[axis]), None),
)
put_along_axis: Primitive = Primitive(
    "put_along_axis",
    "indexed",
    nonstandard.put_along_axis,
    (lambda g, y, x, index, axis, size: take_along_axis(g, index, axis=axis), None),
)
