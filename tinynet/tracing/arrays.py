"""Arrays for plain NumPy code: what it does to them is done to Tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinynet import functional as F
from tinynet import primitives as P
from tinynet.tensor import Tensor

PLAIN = "a traced number cannot be taken out as a plain one: nothing would follow its cell any more"


class NotTraced(AttributeError, TypeError):
    """What an array of NumPy's has, and a traced one has not."""


class Traced(NDArrayOperatorsMixin):
    """A Tensor that NumPy's functions take for an array. Raises TypeError where one has no counterpart here."""

    tensor: Any
    taken: list[Tensor] | None = None  # the numbers that code took out as plain ones, where it may do so

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("a traced array cannot be put into a plain one: make that one by np.zeros or np.zeros_like")

    def __float__(self) -> float:
        if self.taken is None:
            raise TypeError(PLAIN)
        self.taken.append(self.tensor)
        return self.tensor.item()

    def __int__(self) -> NoReturn:
        raise TypeError(PLAIN)

    __index__ = __int__

    def __bool__(self) -> NoReturn:
        raise TypeError("a traced array decides no `if`: the branch would not follow its cells (np.where does)")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **arguments: Any) -> Any:
        if method == "reduce" and ufunc.__name__ in REDUCTIONS:
            return getattr(np, REDUCTIONS[ufunc.__name__])(*inputs, **{"axis": 0} | arguments)
        function = UFUNCS.get(ufunc.__name__)
        (target,) = arguments.pop("out", (None,))
        if function is not None and isinstance(target, Traced) and not arguments:  # x += y
            if isinstance(target, Filled) and target.is_empty and ufunc.__name__ == "add" and inputs[0] is target:
                target[...] = inputs[1]
                return target
            result = function(*unwrapped(inputs))
            if result.shape != target.shape:
                raise ValueError(f"an array of shape {target.shape} cannot hold a result of shape {result.shape}")
            return target._become(result) if target.shape else Traced(result)  # a number is not changed in place
        if function is None or method != "__call__" or arguments or target is not None:
            raise TypeError(f"np.{ufunc.__name__} ({method}) is not traced")
        return _wrapped(function(*unwrapped(inputs)))

    def __array_function__(self, function: Callable, types: Any, args: tuple, arguments: dict) -> Any:
        if function.__name__ not in FUNCTIONS:
            raise TypeError(f"np.{function.__name__} is not traced")
        return _wrapped(FUNCTIONS[function.__name__](*unwrapped(args), **unwrapped(arguments)))

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

    def __getattr__(self, name: str) -> NoReturn:
        raise NotTraced(f"the array's {name!r} is not traced")

    def __getitem__(self, index: Any) -> Traced:
        index = _places(unwrapped(index))
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, (np.ndarray, list, Tensor)) for part in parts):  # a copy, not a view
            return Traced(self.tensor[index])
        view = View(self, lambda whole: whole[index], lambda part: self.__setitem__(index, part))
        return view if view.shape else Traced(view.tensor)  # one number is no view

    def __setitem__(self, index: Any, value: Any) -> None:
        mask = unwrapped(index)
        if isinstance(mask, Tensor):
            if getattr(value, "size", 1) != 1 or mask.shape != self.shape[: mask.ndim]:
                raise TypeError("where a traced mask holds, one number for all places is traced (np.where does more)")
            mask, value = mask.reshape(*mask.shape, *[1] * (self.ndim - mask.ndim)), unwrapped(value)
            value = value.reshape() if isinstance(value, Tensor) else value
        else:
            chosen, mask = np.full(self.shape, False), _places(mask)
            chosen[mask] = True
            value, mask = _placed(value, mask, self.shape), Tensor(chosen)
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
            raise TypeError(f"a traced array cannot be turned into {np.dtype(dtype)}")
        return Traced(F.where(self.tensor, 1.0, 0.0) if self.dtype.kind == "b" else _same(self.tensor))

    def copy(self) -> Traced:
        return Traced(_same(self.tensor))

    def item(self) -> float:
        return float(self)

    def dot(self, other: Any) -> Traced:
        return np.dot(self, other)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return Traced(self.tensor.sum(axis, keepdims))

    def var(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return np.var(self, axis=axis, keepdims=keepdims)

    def std(self, axis: Any = None, keepdims: bool = False) -> Traced:
        return np.std(self, axis=axis, keepdims=keepdims)

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


class Filled(Traced):
    """An array of zeros that is filled in part by part, as ``h[t] = …`` fills ``h = np.zeros((T, N, H))``."""

    def __init__(self, shape: Any):
        numbers = np.zeros(shape)
        self.numbers: np.ndarray | None = numbers  # while nothing is put in but plain ones
        self.written = np.full(numbers.shape, False)
        self.tensor = Tensor(numbers)

    @property
    def is_empty(self) -> bool:
        return not self.written.any()

    def _become(self, tensor: Tensor) -> Traced:
        self.tensor, self.numbers, self.written = tensor, None, np.full(tensor.shape, True)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        places, value = _places(unwrapped(index)), unwrapped(value)
        if self.numbers is not None and not isinstance(places, Tensor) and not isinstance(value, Tensor):
            numbers = self.numbers.copy()
            numbers[places] = value
            self.numbers, self.tensor = numbers, Tensor(numbers)
        elif isinstance(places, Tensor) or np.any(self.written[places]):
            super().__setitem__(index, value)
            return
        else:
            part = _placed(value, places, self.shape)  # no cell has two terms: in a workbook their sum is no formula
            self.tensor = part if self.is_empty else self.tensor + part
            self.numbers = None
        self.written[places] = True


def _same(x: Tensor) -> Tensor:
    """The same numbers, without a cell of their own."""
    return P.reshape(x, shape=x.shape)


def _placed(value: Any, index: Any, shape: tuple[int, ...]) -> Tensor:
    """Zeros, with ``value`` at the places ``index``. Raises TypeError for places that are there twice."""
    chosen = np.arange(int(np.prod(shape))).reshape(shape)[index]
    if len(set(chosen.reshape(-1).tolist())) < chosen.size:
        raise TypeError("an assignment to the same place twice is not traced")
    value, room = unwrapped(value), np.empty(shape)[index].shape
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype=float))
    if value.shape[: value.ndim - len(room)] == (1,) * (value.ndim - len(room)):  # NumPy drops leading axes of size 1
        value = value.reshape(*value.shape[max(0, value.ndim - len(room)) :])
    return P.scatter(value if value.shape == room else value.expand(*room), index=index, shape=shape)


def _places(index: Any) -> Any:
    """An index whose masks of plain truth values are the places where they hold."""
    if isinstance(index, range):
        return list(index)
    if isinstance(index, np.ndarray) and index.dtype.kind == "b":
        return np.nonzero(index)
    return index


def _stacked(xs: Any) -> Tensor:
    """Rows one below the other; a vector is a row."""
    return F.cat([x.reshape(1, -1) if x.ndim < 2 else x for x in xs], 0)


def _dot(a: Any, b: Any) -> Any:
    """A product of numbers, vectors or matrices. Raises TypeError for more axes, where it is no matrix product."""
    if not np.ndim(getattr(a, "data", a)) or not np.ndim(getattr(b, "data", b)):
        return a * b
    if max(len(a.shape), len(b.shape)) > 2:
        raise TypeError("np.dot of arrays of more than two axes is not traced (@ is)")
    return F.matmul(a, b)


def _flipped(x: Tensor, axis: Any = None) -> Tensor:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for one in axes:
        x = F.flip(x, one)
    return x


def _split(x: Tensor, sections: Any, axis: int = 0) -> list[Tensor]:
    """As ``np.array_split``: the first parts are one longer where they cannot all be equal."""
    size = x.shape[axis]
    if isinstance(sections, int):
        lengths = [size // sections + (k < size % sections) for k in range(sections)]
        cuts = np.cumsum(lengths)[:-1].tolist()
    else:
        cuts = list(sections)
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(low, high))] for low, high in zip([0, *cuts], [*cuts, size], strict=True)]


def _split_equally(x: Tensor, sections: Any, axis: int = 0) -> list[Tensor]:
    if isinstance(sections, int) and x.shape[axis] % sections:
        raise ValueError("array split does not result in an equal division")
    return _split(x, sections, axis)


def _maximum(a: Any, b: Any) -> Tensor:
    """Of zero and x it is relu, whose derivative at 0 everybody takes for 0."""
    for x, other in ((a, b), (b, a)):
        if isinstance(x, Tensor) and isinstance(other, (int, float)) and other == 0:
            return P.relu(x)
    return P.maximum(a, b)


def _padded(x: Tensor, width: Any, mode: str, number: Any) -> Tensor:
    if mode != "constant" or np.any(np.asarray(number)):
        raise TypeError(f"np.pad with {mode} {number} is not traced, only with zeros")
    return F.pad(x, np.broadcast_to(width, (x.ndim, 2)).tolist())


def _norm(x: Tensor, order: Any, axis: Any, keepdims: bool) -> Tensor:
    if order not in (None, 2, "fro") or isinstance(axis, tuple) or (axis is None and order == 2 and x.ndim > 1):
        raise TypeError("np.linalg.norm is traced for vectors, and for all numbers of an array")
    return (x * x).sum(axis, keepdims).sqrt()


def _variance(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    return ((x - x.mean(axis, True)) ** 2).mean(axis, keepdims)


def _reduced(method: str) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axis: Any = None, keepdims: bool = False, **nothing: Any) -> Tensor:
        if any(value is not None for value in nothing.values()):
            raise TypeError(f"np.{method} with {', '.join(nothing)} is not traced")
        return getattr(x, method)(axis, keepdims)

    return reduce


REDUCTIONS = {"add": "sum", "maximum": "max", "minimum": "min"}
UFUNCS: dict[str, Callable[..., Any]] = {
    **{key: primitive for key, primitive in P.TABLE.items() if primitive.kind == "elementwise"},
    "maximum": lambda a, b: _maximum(a, b),
    "matmul": F.matmul,
    "square": lambda x: x * x,
    "positive": lambda x: x,
    "reciprocal": lambda x: 1 / x,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concatenate": lambda xs, axis=0: F.cat(list(xs), axis),
    "vstack": _stacked,
    "hstack": lambda xs: F.cat(list(xs), 1 if xs[0].ndim > 1 else 0),
    "stack": lambda xs, axis=0: F.stack(list(xs), axis),
    "pad": lambda x, width, mode="constant", constant_values=0: _padded(x, width, mode, constant_values),
    "norm": lambda x, order=None, axis=None, keepdims=False: _norm(x, order, axis, keepdims),
    "outer": lambda a, b: a.reshape(-1, 1) * b.reshape(1, -1),
    "clip": lambda x, low, high: F.minimum(F.maximum(x, low), high),
    "var": lambda x, axis=None, keepdims=False: _variance(x, axis, keepdims),
    "std": lambda x, axis=None, keepdims=False: _variance(x, axis, keepdims).sqrt(),
    "split": _split_equally,
    "array_split": _split,
    "dot": _dot,
    "where": F.where,
    "transpose": lambda x, axes=None: x.T if axes is None else x.permute(*axes),
    "reshape": lambda x, shape: x.reshape(shape),
    "expand_dims": lambda x, axis: x.unsqueeze(axis),
    "squeeze": lambda x, axis=None: x.squeeze(axis),
    "flip": _flipped,
    "copy": lambda x: _same(x),
    "shape": lambda x: x.shape,
    "zeros_like": lambda x: Filled(x.shape),
    "ones_like": lambda x: np.ones(x.shape),
    **{method: _reduced(method) for method in ("sum", "mean", "max", "min")},
    "amax": _reduced("max"),
    "amin": _reduced("min"),
}


def unwrapped(item: Any) -> Any:
    if isinstance(item, Traced):
        return item.tensor
    if isinstance(item, (tuple, list)):
        parts = [unwrapped(part) for part in item]
        return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    return {key: unwrapped(part) for key, part in item.items()} if isinstance(item, dict) else item


def _wrapped(result: Any) -> Any:
    if isinstance(result, list):
        return [_wrapped(part) for part in result]
    return Traced(result) if isinstance(result, Tensor) else result
