"""Arrays of numbers: moderate ones, whose derivatives can be measured, or those that break careless code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from tinynet.testing.strategies.shapes import Shape

MODERATE = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1.5, -1.5, 0.25, -0.25, 0.75, -0.75, 1.25, -1.25, 1.75, -1.75)

VALUES = {
    "moderate": MODERATE,
    "positive": tuple(number for number in MODERATE if number > 0),
    "nonzero": MODERATE[1:],
}


def arrays(
    shape: Shape | st.SearchStrategy[Shape], values: str = "moderate", dtype: Any = np.float64
) -> st.SearchStrategy[np.ndarray]:
    """NumPy arrays of a ``shape`` (a tuple, or a strategy for tuples) and a floating ``dtype``.

    ``values="moderate"``: quarters from -2 to 2, on which finite differences work; ``"positive"`` and ``"nonzero"``:
    those of them, as a logarithm needs, or a ReLU off its kink. ``"distinct"``: multiples of a quarter about 0, all
    different, so that a maximum has no ties. ``"awkward"``: also huge, tiny and subnormal numbers and -0.0, with many
    that are equal; all are finite, but not what is computed with them. The simplest array holds zeros, or ones. Raises
    ValueError for other ``values`` or a dtype that is not floating.
    """
    kind = np.dtype(dtype)
    if kind.kind != "f":
        raise ValueError(f"dtype is {kind}, expected a floating one such as float64")
    if values == "distinct":
        shapes = shape if isinstance(shape, st.SearchStrategy) else st.just(shape)
        return shapes.flatmap(lambda drawn: distinct(drawn, kind))
    if values not in VALUES and values != "awkward":
        raise ValueError(f"values is {values!r}, expected one of {', '.join(VALUES)}, distinct, awkward")
    numbers = st.sampled_from(VALUES.get(values) or awkward_numbers(kind))
    # Moderate numbers are drawn one by one; awkward ones are mostly copies of one number.
    fill = st.nothing() if values in VALUES else numbers
    return numpy_strategies.arrays(kind, shape, elements=numbers, fill=fill)


def distinct(shape: Shape, dtype: Any = np.float64) -> st.SearchStrategy[np.ndarray]:
    """Arrays of multiples of a quarter about 0 that are all different, so that a small step changes no order."""
    count = int(np.prod(shape))
    return st.permutations(range(count)).map(lambda places: np.array((_centred(places) / 4).reshape(shape), dtype))


def _centred(places: list[int]) -> np.ndarray:
    return np.array(places, dtype=np.float64) - len(places) // 2


def awkward_numbers(dtype: np.dtype) -> list[float]:
    """What goes wrong in a floating dtype, all finite: simple numbers first, then the tiny, then the huge."""
    limits = np.finfo(dtype)
    huge = 10.0 ** int(0.975 * math.log10(limits.max))  # 1e300, for float64
    sizes = [limits.eps, limits.tiny, limits.smallest_subnormal, math.sqrt(limits.max), huge]
    beside_one = 1 + float(limits.eps)
    exact = [float(dtype.type(size)) for size in sizes]
    return [0.0, 1.0, -1.0, -0.0, 0.5, -0.5, beside_one, *exact, *(-size for size in exact)]
