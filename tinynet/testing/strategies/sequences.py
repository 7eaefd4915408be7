"""Sequences of different lengths in one array, as recurrent layers take them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from tinynet.testing.strategies.arrays import arrays


class Sequences(NamedTuple):
    """``x`` (T, N, features), or (N, T, features) where the batch is first, and ``lengths`` (N,), integers 1 to T.

    What stands in ``x`` beyond a length is not zero: no result may depend on it.
    """

    x: np.ndarray
    lengths: np.ndarray


def sequences(
    max_steps: int = 4, max_count: int = 3, max_features: int = 3, batch_first: bool = False, values: str = "moderate"
) -> st.SearchStrategy[Sequences]:
    """``Sequences`` of at most ``max_count`` sequences of ``max_steps`` steps of ``max_features`` numbers each.

    Lengths come in any order, 1 and T among them; the longest may end before T. ``values`` as of ``arrays``. Raises
    ValueError for a maximum of less than 1 and for unknown ``values``.
    """
    if min(max_steps, max_count, max_features) < 1:
        raise ValueError(f"got maxima {max_steps}, {max_count} and {max_features}: expected at least 1")
    arrays((), values)  # unknown values are refused here, not when the first example is drawn
    return _sequences(max_steps, max_count, max_features, batch_first, values)


@st.composite
def _sequences(draw, max_steps, max_count, max_features, batch_first, values):
    steps, count, features = (draw(st.integers(1, most)) for most in (max_steps, max_count, max_features))
    lengths = draw(numpy_strategies.arrays(np.int64, (count,), elements=st.integers(1, steps), fill=st.nothing()))
    shape = (count, steps, features) if batch_first else (steps, count, features)
    return Sequences(draw(arrays(shape, values)), lengths)
