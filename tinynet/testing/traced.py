"""Record somebody's plain NumPy code: what it does to these arrays is done to Tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinynet import functional as F
from tinynet import primitives as P
from tinynet.recording import name
from tinynet.tensor import Tensor


class Traced(NDArrayOperatorsMixin):
    """A Tensor that NumPy's functions take for an array. Raises TypeError where one has no counterpart here."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("a traced array cannot be put into a plain one")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **arguments: Any) -> Any:
        if method == "reduce" and ufunc.__name__ in REDUCTIONS:
            return getattr(np, REDUCTIONS[ufunc.__name__])(*inputs, **arguments)
        function = UFUNCS.get(ufunc.__name__)
        (target,) = arguments.pop("out", (None,))
        if function is not None and isinstance(target, Traced) and not arguments:  # x += y
            return target._become(function(*_unwrapped(inputs)))
        if function is None or method != "__call__" or arguments or target is not None:
            raise TypeError(f"np.{ufunc.__name__} ({method}) is not traced")
        return _wrapped(function(*_unwrapped(inputs)))

    def __array_function__(self, function: Callable, types: Any, args: tuple, arguments: dict) -> Any:
        if function.__name__ not in FUNCTIONS:
            raise TypeError(f"np.{function.__name__} is not traced")
        return _wrapped(FUNCTIONS[function.__name__](*_unwrapped(args), **_unwrapped(arguments)))

    def _become(self, tensor: Tensor) -> Traced:
        self.tensor = tensor
        return self

    shape = property(lambda self: self.tensor.shape)
    ndim = property(lambda self: self.tensor.ndim)
    size = property(lambda self: self.tensor.size)
    dtype = property(lambda self: self.tensor.dtype)
    T = property(lambda self: Traced(self.tensor.T))

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: Any) -> Traced:
        return Traced(self.tensor[index])

    def reshape(self, *shape: Any) -> Traced:
        return Traced(self.tensor.reshape(*shape))

    def transpose(self, *axes: Any) -> Traced:
        axes = axes[0] if axes and not isinstance(axes[0], int) else axes
        return Traced(self.tensor.permute(*axes) if axes else self.tensor.T)

    def copy(self) -> Traced:
        return Traced(self.tensor * 1.0)

    def dot(self, other: Any) -> Traced:
        return self @ other

    def sum(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.sum(axis, keepdims))

    def mean(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.mean(axis, keepdims))

    def max(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.max(axis, keepdims))


class Filled(Traced):
    """An array of zeros that is filled in part by part, as ``h[t] = …`` fills ``h = np.zeros((T, N, H))``."""

    def __init__(self, shape: Any):
        self.full = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape),)
        self.written = np.full(self.full, False)
        self.parts: Tensor | None = None

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        return Tensor(np.full(self.full, 0.0)) if self.parts is None else self.parts

    def _become(self, tensor: Tensor) -> Traced:
        self[...] = tensor
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        value, shape = _unwrapped(value), self.written[index].shape
        value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype=float))
        part = P.scatter(value.expand(*shape) if value.shape != shape else value, index=index, shape=self.full)
        mask = np.full(self.full, False)
        mask[index] = True
        if self.parts is None:
            self.parts = part
        elif np.any(self.written & mask):
            self.parts = F.where(Tensor(mask), part, self.parts)
        else:
            self.parts = self.parts + part  # no cell has two terms: in a workbook this sum is no formula
        self.written |= mask


def _split(x: Tensor, sections: Any, axis: int = 0) -> list[Tensor]:
    size = x.shape[axis]
    cuts = [size * k // sections for k in range(1, sections)] if isinstance(sections, int) else list(sections)
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(low, high))] for low, high in zip([0, *cuts], [*cuts, size], strict=True)]


def _reduced(method: str) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axis: Any = None, keepdims: bool = False, **nothing: Any) -> Tensor:
        if any(value is not None for value in nothing.values()):
            raise TypeError(f"np.{method} with {', '.join(nothing)} is not traced")
        return getattr(x, method)(axis, keepdims)

    return reduce


REDUCTIONS = {"add": "sum", "maximum": "max", "minimum": "min"}
UFUNCS: dict[str, Callable[..., Any]] = {
    **{key: primitive for key, primitive in P.TABLE.items() if primitive.kind == "elementwise"},
    "matmul": F.matmul,
    "square": lambda x: x * x,
    "positive": lambda x: x,
    "reciprocal": lambda x: 1 / x,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concatenate": lambda xs, axis=0: F.cat(list(xs), axis),
    "vstack": lambda xs: F.cat(list(xs), 0),
    "hstack": lambda xs: F.cat(list(xs), 1 if xs[0].ndim > 1 else 0),
    "stack": lambda xs, axis=0: F.stack(list(xs), axis),
    "split": _split,
    "array_split": _split,
    "dot": F.matmul,
    "where": F.where,
    "transpose": lambda x, axes=None: x.T if axes is None else x.permute(*axes),
    "reshape": lambda x, shape: x.reshape(shape),
    "expand_dims": lambda x, axis: x.unsqueeze(axis),
    "squeeze": lambda x, axis=None: x.squeeze(axis),
    "flip": lambda x, axis=0: F.flip(x, axis),
    "copy": lambda x: x * 1.0,
    "shape": lambda x: x.shape,
    "zeros_like": lambda x: Filled(x.shape),
    "ones_like": lambda x: np.ones(x.shape),
    **{method: _reduced(method) for method in ("sum", "mean", "max", "min")},
    "amax": _reduced("max"),
    "amin": _reduced("min"),
}


def _unwrapped(item: Any) -> Any:
    if isinstance(item, Traced):
        return item.tensor
    if isinstance(item, (tuple, list)):
        return type(item)(_unwrapped(part) for part in item)
    return {key: _unwrapped(part) for key, part in item.items()} if isinstance(item, dict) else item


def _wrapped(result: Any) -> Any:
    if isinstance(result, list):
        return [_wrapped(part) for part in result]
    return Traced(result) if isinstance(result, Tensor) else result


def traced(function: Callable[..., Any], inputs: list[Tensor]) -> Any:
    """Call NumPy code on Tensors and return what it gives, as Tensors. Raises TypeError where it cannot be traced.

    While it runs, ``np.zeros`` and ``np.empty`` make arrays that Tensors can be put into. What it computes is called by
    the names of its variables; one that is assigned to several times gets a time step each time.
    """

    def zeros(shape: Any, dtype: Any = float, **nothing: Any) -> Any:
        inside = _is_ours(sys._getframe(1))
        return original(shape, dtype) if inside or np.dtype(dtype).kind != "f" else Filled(shape)

    original, before = np.zeros, sys.gettrace()
    variables = Variables(inputs)
    with patch.object(np, "zeros", zeros), patch.object(np, "empty", zeros):
        sys.settrace(variables.look)
        try:
            result = function(*[Traced(x) if x.dtype.kind == "f" else x.numpy() for x in inputs])
        finally:
            sys.settrace(before)
    variables.name()
    return _unwrapped(result)


class Variables:
    """The local variables of somebody's code that hold Tensors, as they come up."""

    def __init__(self, known: list[Tensor]):
        self.seen = {id(x) for x in known}
        self.outermost: Any = None  # the code that was called first; the names of others stand before their variables
        self.found: dict[str, list[Tensor]] = {}  # which also keeps them, and so their ids

    def look(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Called by Python before each line, and at the end of each function."""
        if _is_ours(frame):
            return None
        self.outermost = self.outermost or frame.f_code
        within = "" if frame.f_code is self.outermost else f"{frame.f_code.co_name}."
        parameters = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        for variable, item in frame.f_locals.items():
            if variable in parameters or not isinstance(item, Traced) or isinstance(item, Filled):
                continue
            if id(item.tensor) not in self.seen:
                self.seen.add(id(item.tensor))
                self.found.setdefault(within + variable, []).append(item.tensor)
        return self.look

    def name(self) -> None:
        for variable, tensors in self.found.items():
            for t, x in enumerate(tensors):
                name(x, variable, t if len(tensors) > 1 else None)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in ("tinynet", "numpy")
