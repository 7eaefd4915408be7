"""Which array library computes: the data decides (NumPy, CuPy or any array-API namespace).

Arrays cross between host and device in three functions here, which do so where a user asks: ``placed``, ``moved`` and
``to_host``.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from tinynet import nonstandard

_default_dtype: Any = np.float64
_default_library: Any = np
_libraries: dict[type, Any] = {np.ndarray: np}  # by type, those met so far; None: no array


def use(name: str) -> None:
    """Make new tensors with an array library: ``"numpy"`` (the default), ``"cupy"`` or an array-API module's name.

    New are what ``tensor`` makes of numbers and NumPy arrays, and the parameters of modules. Tensors made before, and
    arrays of other libraries, stay where they are. Raises ImportError where the library is not installed, RuntimeError
    where CuPy finds no GPU, and ValueError for a module that is no array library.
    """
    global _default_library
    _default_library = library(name)


def library(name: str) -> Any:
    """Return the array library of this name; see ``use`` for what it raises."""
    extra = "pip install 'tinynet-sheets[cupy]'" if name == "cupy" else "expected numpy, cupy or an array-API module"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"the array library {name!r} cannot be imported ({error}): {extra}") from error
    if name == "cupy":
        _check_gpu(module)
    if not hasattr(module, "asarray") or _library_of(module.asarray(0.0)) is None:
        raise ValueError(f"{name!r} is no array library: expected numpy, cupy or an array-API module")
    return module


def _check_gpu(cupy: Any) -> None:
    try:
        count, reason = cupy.cuda.runtime.getDeviceCount(), "it counts 0 of them"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        count, reason = 0, str(error)
    if not count:
        raise RuntimeError(f"cupy is installed, but finds no GPU ({reason}): stay with 'numpy', or run where a GPU is")


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


# What an array is


def namespace(*operands: Any) -> Any:
    """Return the array library of the operands (NumPy for plain numbers). Raises TypeError where there are two."""
    found = None
    for operand in operands:
        try:
            own = _libraries[type(operand)]
        except KeyError:
            own = _library_of(operand)
        if own is not found and own is not None:
            if found is not None:
                raise TypeError(
                    f"{found.__name__} and {own.__name__} arrays meet in one operation: move the one to where the "
                    f"other is, as in x.to({own.__name__!r})"
                )
            found = own
    return np if found is None else found


def _library_of(x: Any) -> Any:
    """The library that ``x`` is an array of, None where it is no array; each type is looked at once."""
    try:
        return _libraries[type(x)]
    except KeyError:
        return _libraries.setdefault(type(x), _recognised(x))


def _recognised(x: Any) -> Any:
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(x, cupy.ndarray):
        return cupy  # its arrays do not say so themselves
    if isinstance(x, np.ndarray):
        return np
    says = hasattr(x, "__array_namespace__") and not isinstance(x, np.generic)
    return x.__array_namespace__() if says else None


def is_array(x: Any) -> bool:
    """Tell whether ``x`` is an array of some array library (not a Tensor, not a number)."""
    return _library_of(x) is not None


def is_floating(x: Any) -> bool:
    """Tell whether an array holds floating-point numbers: only those can carry a gradient."""
    return getattr(x.dtype, "kind", None) == "f" or kind(x) == "f"


def kind(x: Any) -> str:
    """Return what an array holds, in NumPy's letters: f, i, u, b or c."""
    return getattr(x.dtype, "kind", None) or nonstandard.dtype_name(x.dtype)[0]


# From one place to another


def placed(numbers: Any, beside: Any = None, dtype: Any = None) -> Any:
    """Copy numbers, Python's or any library's, to where the array ``beside`` is; without one, to where ``use`` says."""
    xp = _default_library if beside is None else namespace(beside)
    given = to_host(numbers) if _library_of(numbers) not in (None, xp) else numbers
    return nonstandard.array(xp, given, dtype, getattr(beside, "device", None))


def adopted(x: Any) -> Any:
    """Return a NumPy array where ``use`` says (shared, where that is NumPy); anything else as it is."""
    return placed(x) if isinstance(x, np.ndarray) and _default_library is not np else x


def moved(x: Any, xp: Any) -> Any:
    """Copy an array to another library; return it as it is where it is one of that library's."""
    return x if _library_of(x) is xp else nonstandard.array(xp, to_host(x))


def to_host(x: Any) -> np.ndarray:
    """Return the array as a NumPy array in host memory (a copy only where the array lives elsewhere)."""
    if hasattr(x, "get"):  # CuPy
        return x.get()
    return np.asarray(x) if _library_of(x) in (None, np) else np.from_dlpack(x)


# Where an array is


def zeros(shape: tuple[int, ...], beside: Any) -> Any:
    """Return zeros of ``shape`` where the array ``beside`` is, in its dtype."""
    return nonstandard.zeros(namespace(beside), shape, beside)


def copied(x: Any) -> Any:
    """Return a copy of an array, where it is."""
    return nonstandard.copied(namespace(x), x)


def cast(x: Any, dtype: Any) -> Any:
    """Return a copy of an array in another dtype (a name, NumPy's, or its own library's), where it is."""
    return nonstandard.cast(namespace(x), x, dtype)


def extent(x: Any) -> tuple[int, int]:
    """Return the smallest and the largest of an array of integers: two numbers that are read from where it is."""
    return nonstandard.extent(namespace(x), x)
