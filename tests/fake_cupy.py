"""A stand-in for CuPy where there is no GPU: NumPy behind a wall.

Its arrays have NumPy's interface, as CuPy's have, and refuse what CuPy's refuse: to be taken for a NumPy array, and to
meet one in an operation. Only ``array`` and ``asarray`` (to the device), ``get`` (to the host), and a NumPy array that
is an index, go through the wall; ``crossings`` counts them.
"""

from __future__ import annotations

import sys
from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinynet import backend

crossings: Counter[str] = Counter()


class ndarray(NDArrayOperatorsMixin):
    """An array on a device that is not there."""

    __module__ = "cupy"

    def __init__(self, inside: np.ndarray):
        self.inside = inside

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return _wrapped(getattr(ufunc, method))(*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _wrapped(getattr(self.inside, name))

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(self.inside[_index(index)])

    def __setitem__(self, index: Any, numbers: Any) -> None:
        self.inside[_index(index)] = _unwrapped(numbers)

    def __len__(self) -> int:
        return len(self.inside)

    def __bool__(self) -> bool:
        crossings["one number"] += 1
        return bool(self.inside)

    def __int__(self) -> int:
        crossings["one number"] += 1
        return int(self.inside)

    def get(self) -> np.ndarray:
        crossings["to host"] += 1
        return self.inside.copy()


class Wrapped:
    """A function of NumPy, or what has some (``add.at``, ``lib.stride_tricks``), on this side of the wall."""

    def __init__(self, inside: Any):
        self._inside = inside

    def __call__(self, *operands: Any, **options: Any) -> Any:
        return _wrapped(self._inside(*_unwrapped(operands), **{key: _unwrapped(x) for key, x in options.items()}))

    def __getattr__(self, name: str) -> Any:
        return _wrapped(getattr(self._inside, name))

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(self._inside[index])


def _wrapped(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)):
        return ndarray(np.asarray(x))
    if isinstance(x, (tuple, list)) and any(isinstance(item, np.ndarray) for item in x):
        return type(x)(map(_wrapped, x))
    plain = isinstance(x, (type, int, float, str, tuple, list, np.dtype)) or x is None
    return x if plain else Wrapped(x)


def _index(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_index, x))
    crossings["to device"] += isinstance(x, np.ndarray)
    return x.inside if isinstance(x, ndarray) else x


def _unwrapped(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(x, (tuple, list)):
        return type(x)(map(_unwrapped, x))
    return x.inside if isinstance(x, ndarray) else x


class Add(Wrapped):
    """The ufunc ``add``, whose ``at`` takes indices."""

    def at(self, out: ndarray, index: Any, numbers: ndarray) -> None:
        np.add.at(out.inside, _index(index), numbers.inside)


class _Module(ModuleType):
    add = Add(np.add)

    def __getattr__(self, name: str) -> Any:
        return _wrapped(getattr(np, name))

    @staticmethod
    def array(numbers: Any, dtype: Any = None) -> ndarray:
        crossings["to device"] += not isinstance(numbers, ndarray)
        return ndarray(np.array(numbers.inside if isinstance(numbers, ndarray) else numbers, dtype=dtype))

    asarray = array


class CUDARuntimeError(RuntimeError):
    """What CuPy raises where there is no driver."""


def install(monkeypatch: Any, gpus: int = 1) -> ModuleType:
    """Make ``import cupy`` give this stand-in, for one test."""

    def count() -> int:
        if gpus < 0:
            raise CUDARuntimeError("cudaErrorInsufficientDriver")
        return gpus

    module = _Module("cupy")
    runtime = SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
    vars(module).update(ndarray=ndarray, cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(backend._libraries, ndarray, module)
    crossings.clear()
    return module
