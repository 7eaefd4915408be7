"""Choosing numbers by a condition, without branches, which mispredicted cost most of the time that ``where`` takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.backend import namespace
from tinynet.functional.kernels.memory import empty_like

_INTEGERS = {np.dtype("float64"): np.int64, np.dtype("float32"): np.int32}


def kept(condition: Any, x: Any, out: Any = None) -> Any:
    """``where(condition, x, 0)``: the bits of ``x``, as integers, times 1 or 0."""
    out = empty_like(x) if out is None else out
    if type(x) is np.ndarray and x.dtype in _INTEGERS:
        integer = _INTEGERS[x.dtype]
        np.multiply(x.view(integer), condition, out=out.view(integer))
    else:
        out[...] = namespace(x).where(condition, x, 0)
    return out
