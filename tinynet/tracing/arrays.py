"""Arrays for plain NumPy code: what it does to them is done to Tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinynet import functional as F
from tinynet.tensor import Tensor
from tinynet.tracing.functions import FUNCTIONS, REDUCTIONS, UFUNCS, same
from tinynet.tracing.integers import chosen, is_live, picked
from tinynet.tracing.leaving import BRANCH, PLAIN, Leaving
from tinynet.tracing.places import placed, places_of
from tinynet.tracing.products import operand

NUMBERS = ("argmax", "argmin", "argsort", "any", "all", "count_nonzero", "nonzero", "allclose", "array_equal")
METHODS = frozenset(NUMBERS) | {
    *(
        "round",
        "std",
        "var",
        "prod",
        "cumsum",
        "clip",
        "dot",
        "repeat",
        "take",
        "trace",
        "diagonal",
        "squeeze",
        "swapaxes",
    )
}
STATES = ("isnan", "isinf", "isfinite")  # which do not change where an array does a little
ROUNDED = ("rint", "floor", "ceil", "trunc", "round", "around")


class NotTraced(AttributeError, TypeError):
    """What an array of NumPy's has, and a traced one has not."""


class Traced(NDArrayOperatorsMixin):
    """A Tensor that NumPy's functions take for an array. Raises TypeError where one has no counterpart here."""

    tensor: Any
    leaving: Leaving = Leaving(branches=False)  # the numbers that code takes out as plain ones

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("a traced array cannot be put into a plain one: make that one by np.zeros or np.zeros_like")

    def __float__(self) -> float:
        return float(self.leaving.number(self.tensor))

    def __round__(self, digits: int | None = None) -> Any:
        return round(float(self), digits)

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def __repr__(self) -> str:
        return str(self.tensor.numpy())

    def __int__(self) -> int:
        return int(self.leaving.branch(self.tensor, PLAIN))

    def __index__(self) -> NoReturn:
        raise TypeError(PLAIN)

    def __bool__(self) -> bool:
        return bool(self.leaving.branch(self.tensor, BRANCH))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **arguments: Any) -> Any:
        if method == "reduce" and ufunc.__name__ in REDUCTIONS:
            return _wrapped(FUNCTIONS[REDUCTIONS[ufunc.__name__]](*unwrapped(inputs), **{"axis": 0} | arguments))
        if ufunc.__name__ in STATES and method == "__call__":
            return ufunc(self.tensor.numpy())
        if ufunc.__name__ in ROUNDED and method == "__call__" and not arguments:
            return ufunc(*self._taken_out(inputs))
        function = UFUNCS.get(ufunc.__name__)
        (target,) = arguments.pop("out", (None,))
        if function is not None and isinstance(target, Traced) and not arguments:  # x += y
            if target.is_empty and ufunc.__name__ == "add" and inputs[0] is target:
                target[...] = inputs[1]
                return target
            result = function(*_operands(inputs))
            if result.shape != target.shape:
                raise ValueError(f"an array of shape {target.shape} cannot hold a result of shape {result.shape}")
            return target._become(result) if target.shape else Traced(result)  # a number is not changed in place
        if function is None or method != "__call__" or arguments or target is not None:
            raise TypeError(f"np.{ufunc.__name__} ({method}) is not traced")
        return _wrapped(function(*_operands(inputs)))

    def __array_function__(self, function: Callable, types: Any, args: tuple, arguments: dict) -> Any:
        if function.__name__ in NUMBERS + ROUNDED:
            return function(*self._taken_out(args), **arguments)
        if function.__name__ in ("zeros_like", "ones_like"):
            from tinynet.tracing.filled import Filled

            return Filled(self.shape, float(function.__name__ == "ones_like"))
        ours = FUNCTIONS.get(function.__name__)
        if ours is None:
            raise TypeError(f"np.{function.__name__} is not traced")
        target = arguments.pop("out", None)
        try:
            result = _wrapped(ours(*unwrapped(args), **unwrapped(arguments)))
        except TypeError:
            _check_signature(function.__name__, ours, args, arguments)
            raise
        if target is None:
            return result
        target[...] = result
        return target

    @property
    def is_empty(self) -> bool:
        """Whether it holds zeros into which nothing was put so far."""
        return False

    def _taken_out(self, items: tuple) -> list[Any]:
        return [self.leaving.number(item.tensor) if isinstance(item, Traced) else item for item in items]

    def _become(self, tensor: Tensor) -> Traced:
        self.tensor = tensor
        return self

    shape = property(lambda self: self.tensor.shape)
    ndim = property(lambda self: self.tensor.ndim)
    size = property(lambda self: self.tensor.size)
    dtype = property(lambda self: self.tensor.dtype)
    T = property(lambda self: self.transpose())

    def __len__(self) -> int:
        return len(self.tensor)

    def __iter__(self) -> Iterator[Traced]:
        return (self[k] for k in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        """Methods are the functions of the same name."""
        if name not in METHODS:
            raise NotTraced(f"the array's {name!r} is not traced")
        return partial(getattr(np, name), self)

    def __getitem__(self, index: Any) -> Traced:
        found = picked(self.tensor, index) if is_live(index) else None
        if found is not None:
            return Traced(found)
        index = places_of(self._chosen(index))
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, (np.ndarray, list, Tensor)) for part in parts):  # a copy, not a view
            return Traced(self.tensor[index])
        view = View(self, lambda whole: whole[index], lambda part: self.__setitem__(index, part))
        return view if view.shape else Traced(view.tensor)  # one number is no view

    def _chosen(self, index: Any) -> Any:
        """An index with the numbers, as they are now, of what is traced in it."""
        if isinstance(index, tuple):
            return tuple(self._chosen(part) for part in index)
        return self.leaving.decision(index.tensor) if isinstance(index, Traced) else index

    def __setitem__(self, index: Any, value: Any) -> None:
        ones = chosen(self.shape, index) if is_live(index) else None
        if ones is not None:
            value = operand(unwrapped(value))
            value = value.reshape(-1, 1) if isinstance(index, tuple) and value.ndim else value
            self._become(F.where(ones > 0, value, self.tensor))
            return
        live = isinstance(index, Traced) and getattr(value, "size", 1) == 1 and index.shape == self.shape[: index.ndim]
        mask = index.tensor if live else self._chosen(index)
        if isinstance(mask, Tensor):
            mask, value = mask.reshape(*mask.shape, *[1] * (self.ndim - mask.ndim)), unwrapped(value)
            value = value.reshape() if isinstance(value, Tensor) else value
        else:
            there, mask = np.full(self.shape, False), places_of(mask)
            there[mask] = True
            value, mask = placed(unwrapped(value), mask, self.shape), Tensor(there)
        self._become(F.where(mask, value, self.tensor))

    def reshape(self, *shape: Any) -> Traced:
        return View(self, lambda x: x.reshape(*shape), lambda x: self._become(x.reshape(*self.shape)))

    def ravel(self) -> Traced:
        return self.reshape(-1)

    def flatten(self) -> Traced:
        return Traced(self.tensor.reshape(-1))

    def transpose(self, *axes: Any) -> Traced:
        axes = axes[0] if axes and not isinstance(axes[0], int) else axes
        order = tuple(axis % self.ndim for axis in axes) or tuple(reversed(range(self.ndim)))
        back = tuple(np.argsort(order).tolist())
        return View(self, lambda x: x.permute(*order), lambda x: self._become(x.permute(*back)))

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        if np.dtype(dtype).kind != "f":
            refusal = f"a traced array cannot be turned into {np.dtype(dtype)}"
            return self.leaving.branch(self.tensor, refusal).astype(dtype)  # type: ignore[return-value]
        return Traced(F.where(self.tensor, 1.0, 0.0) if self.dtype.kind == "b" else same(self.tensor))

    def copy(self) -> Traced:
        return Traced(same(self.tensor))

    def __copy__(self) -> Traced:
        return self.copy()

    def __deepcopy__(self, memo: dict) -> Traced:
        return self.copy()

    def item(self, *place: int) -> Traced:
        """The number, which stays traced."""
        if self.size != 1 and not place:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.reshape(-1)[place] if len(place) == 1 else self[place or (0,) * self.ndim]

    def tolist(self) -> Any:
        return [part.tolist() for part in self] if self.ndim else self

    def sum(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.sum(axis, keepdims))

    def mean(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.mean(axis, keepdims))

    def max(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.max(axis, keepdims))

    def min(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.min(axis, keepdims))


class View(Traced):
    """A part of another array, or all of it in another shape: what is done to one of them is done to the other."""

    def __init__(self, whole: Traced, read: Callable[[Tensor], Tensor], write: Callable[[Tensor], Any]):
        self.whole, self.read, self.write = whole, read, write
        self.of, self.part = whole.tensor, read(whole.tensor)

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        if self.of is not self.whole.tensor:
            self.of, self.part = self.whole.tensor, self.read(self.whole.tensor)
        return self.part

    def _become(self, tensor: Tensor) -> Traced:
        self.write(tensor)
        return self


def _check_signature(name: str, ours: Callable, args: tuple, arguments: dict) -> None:
    """Raises TypeError where NumPy's function has arguments that ours has not."""
    try:
        inspect.signature(ours).bind(*args, **arguments)
    except TypeError:
        given = f"with {', '.join(arguments)}" if arguments else f"of {len(args)} arguments"
        raise TypeError(f"np.{name} {given} is not traced") from None


def unwrapped(item: Any) -> Any:
    if isinstance(item, Traced):
        return item.tensor
    if isinstance(item, (tuple, list)):
        parts = [unwrapped(part) for part in item]
        return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    return {key: unwrapped(part) for key, part in item.items()} if isinstance(item, dict) else item


def _operands(inputs: tuple) -> list[Any]:
    return [operand(x) if isinstance(x, (tuple, list)) else x for x in unwrapped(inputs)]


def _wrapped(result: Any) -> Any:
    if isinstance(result, list):
        return [_wrapped(part) for part in result]
    return Traced(result) if isinstance(result, Tensor) else result
