"""What stands in, while code is traced, for functions that would make plain arrays and numbers of traced ones."""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import reduce
from threading import get_ident
from typing import Any, NoReturn
from unittest.mock import patch

import numpy as np

from tinynet import primitives as P
from tinynet.tensor import Tensor
from tinynet.tracing.arrays import Traced, unwrapped
from tinynet.tracing.filled import Filled
from tinynet.tracing.following import is_ours
from tinynet.tracing.loops import calls
from tinynet.tracing.products import operand

Function = Callable[..., Any]


@contextmanager
def standing_in(module: dict[str, Any]) -> Iterator[None]:
    """Meanwhile ``np.zeros`` makes arrays that Tensors can be put into, ``math.exp`` takes a traced number …

    In the code's own module also ``float``, ``max`` and ``min`` do, and what it has imported by name.
    """
    makers: tuple[Any, ...] = (np.zeros, np.empty, np.zeros_like)
    found: list[tuple[Any, str, Any]] = [(np, f.__name__, _filled(f, get_ident())) for f in makers]
    found += [(np, name, _of_lists(getattr(np, name))) for name in OF_LISTS]
    found += [(np, name, _Joined(getattr(np, name), along)) for name, along in (("r_", 0), ("c_", 1))]
    found += [(np, name, _array(getattr(np, name))) for name in ("array", "asarray")]
    found += [(math, name, _of_numbers(getattr(math, name), ours)) for name, ours in MATH.items()]
    known = {id(getattr(owner, name)): stand_in for owner, name, stand_in in found}
    own = {name: known[id(item)] for name, item in module.items() if id(item) in known}
    own |= {name: item for name, item in BUILTINS.items() if name not in module}
    with ExitStack() as patches:
        for owner, name, stand_in in found:
            patches.enter_context(patch.object(owner, name, stand_in))
        patches.enter_context(patch.dict(module, own))
        patches.enter_context(patch.object(Tensor, "__array__", _refused))
        yield


def _refused(x: Tensor, dtype: Any = None, copy: bool | None = None) -> NoReturn:
    raise TypeError("a traced array cannot be put into a plain one")


def _filled(original: Function, thread: int) -> Function:
    def make(like: Any, *arguments: Any, **options: Any) -> Any:
        dtype = np.dtype(options.get("dtype") or (arguments[0] if arguments else getattr(like, "dtype", float)))
        frame = sys._getframe(1)
        asked = dtype.kind == "f" and get_ident() == thread and not is_ours(frame)
        if not asked or not calls(frame, original.__name__):
            return original(like, *arguments, **options)
        return Filled(np.shape(like) if original.__name__.endswith("_like") else like)

    return make


def _together(items: Any) -> Any:
    """A traced array of lists that hold traced ones; all else as it is."""
    return Traced(operand(unwrapped(items))) if isinstance(items, (list, tuple)) and _holds_traced(items) else items


def _holds_traced(item: Any) -> bool:
    return isinstance(item, Traced) or (isinstance(item, (list, tuple)) and any(map(_holds_traced, item)))


def _of_lists(original: Function) -> Function:
    def call(items: Any, *arguments: Any, **options: Any) -> Any:
        return original(_together(items), *arguments, **options)

    return call


def _array(original: Function) -> Function:
    def make(items: Any, dtype: Any = None, **options: Any) -> Any:
        whole = _together(items)
        if not isinstance(whole, Traced):
            return original(items, dtype, **options)
        same = whole is items and original.__name__ == "asarray" and dtype in (None, whole.dtype)
        return whole if same else whole.astype(dtype or whole.dtype)

    return make


class _Joined:
    """``np.r_[1.0, x]`` and ``np.c_[ones, x]``."""

    def __init__(self, original: Any, along: int):
        self.original, self.along = original, along

    def __getitem__(self, parts: Any) -> Any:
        parts = parts if isinstance(parts, tuple) else (parts,)
        if not _holds_traced(parts):
            return self.original[parts]
        arrays = [part if isinstance(part, Traced) else self.original[part] for part in parts]
        if self.along:
            return np.column_stack(arrays)
        return np.concatenate([np.atleast_1d(part) for part in arrays])


def _of_numbers(original: Function, ours: Function) -> Function:
    def call(*numbers: Any) -> Any:
        return ours(*numbers) if any(isinstance(x, Traced) for x in numbers) else original(*numbers)

    return call


class _Float(type):
    def __call__(cls, x: Any = 0.0) -> Any:
        if not isinstance(x, Traced) or x.size != 1:
            return builtins.float(x)
        return x.astype(builtins.float).item()

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, builtins.float) or (isinstance(x, Traced) and not x.shape)


class Float(float, metaclass=_Float):
    """``float``, of which a traced number stays one."""

    dtype = np.dtype(builtins.float)


def _extreme(original: Function, ours: Function) -> Function:
    def call(*items: Any, **options: Any) -> Any:
        numbers = list(items[0]) if len(items) == 1 else list(items)
        if options or not _holds_traced(numbers):
            return original(numbers, **options)
        return reduce(ours, numbers)

    return call


OF_LISTS = ("sum", "mean", "max", "min", "amax", "amin", "std", "var", "prod", "average")
BUILTINS: dict[str, Any] = {"float": Float, "max": _extreme(max, np.maximum), "min": _extreme(min, np.minimum)}
MATH: dict[str, Function] = {
    **{
        name: getattr(np, name)
        for name in ("exp", "sqrt", "tanh", "sin", "cos", "log1p", "expm1", "log2", "log10", "cosh", "sinh")
    },
    **{name: getattr(np, name) for name in ("fabs", "hypot")},
    "log": lambda x, base=math.e: np.log(x) if base == math.e else np.log(x) / np.log(base),
    "pow": np.power,
    "erf": lambda x: Traced(P.erf(x.tensor)),
}
