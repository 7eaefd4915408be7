"""Which array library computes: the data decides (NumPy, CuPy or any array-API namespace)."""

from __future__ import annotations

from typing import Any

import numpy as np

_default_dtype: Any = np.float64


def set_default_dtype(dtype: Any) -> None:
    """Set the floating dtype of tensors made from Python numbers: ``float64`` (the default) or ``float32``.

    Raises TypeError for anything that is not a floating dtype.
    """
    global _default_dtype
    if not np.issubdtype(np.dtype(dtype), np.floating):
        raise TypeError(f"default dtype must be a floating dtype such as 'float32' or 'float64', got {dtype!r}")
    _default_dtype = np.dtype(dtype).type


def get_default_dtype() -> Any:
    """Return the floating dtype that tensors made from Python numbers get."""
    return _default_dtype


def namespace(*operands: Any) -> Any:
    """Return the array namespace of the operands (NumPy for plain numbers)."""
    for operand in operands:
        if type(operand) is not np.ndarray and hasattr(operand, "__array_namespace__"):
            return operand.__array_namespace__()
    return np


def is_array(x: Any) -> bool:
    """Tell whether ``x`` is an array of some array library (not a Tensor, not a number)."""
    if isinstance(x, (np.ndarray, np.generic)):
        return isinstance(x, np.ndarray)
    return hasattr(x, "__array_namespace__") and hasattr(x, "dtype")


def is_floating(x: Any) -> bool:
    """Tell whether an array holds floating-point numbers: only those can carry a gradient."""
    return getattr(x.dtype, "kind", None) == "f" or str(x.dtype).rpartition(".")[2].startswith("float")


def to_host(x: Any) -> np.ndarray:
    """Return the array as a NumPy array in host memory (a copy only where the array lives elsewhere)."""
    return x.get() if hasattr(x, "get") else np.asarray(x)
