"""Arrays for plain NumPy code: what it does to them is done to Tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinynet import functional as F
from tinynet import primitives as P
from tinynet.tensor import Tensor
from tinynet.tracing.functions import FUNCTIONS, REDUCTIONS, UFUNCS, same
from tinynet.tracing.integers import chosen, is_live, picked
from tinynet.tracing.leaving import BRANCH, PLAIN, Leaving
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


Place = tuple[int, int]  # the axis, and which of it


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
            fills = isinstance(target, (Filled, StepOf)) and target.is_empty and ufunc.__name__ == "add"
            if fills and inputs[0] is target:
                target.fill(inputs[1])
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
        index = _places(self._chosen(index))
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
            there, mask = np.full(self.shape, False), _places(mask)
            there[mask] = True
            value, mask = _placed(value, mask, self.shape), Tensor(there)
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


class Filled(Traced):
    """An array of zeros, or ones, that is filled part by part, as ``h[t] = …`` fills ``h = np.zeros((T, N, H))``.

    What is put in at one place along one axis is a step: it can be read again without the rest of the array, which is
    put together only where all of it is read.
    """

    def __init__(self, shape: Any, number: float = 0.0):
        self.numbers: np.ndarray | None = np.full(shape, number)  # while only plain ones are in the whole
        self.whole = Tensor(self.numbers)
        self.written = self.whole.data != 0
        self.followed = np.full(self.written.shape, False)  # where there is what was traced
        self.steps: dict[Place, Tensor] = {}
        self.waiting: dict[Place, Any] = {}  # where in the whole the steps belong that it lacks so far
        self.plain: dict[Place, Tensor] = {}  # what was read of plain numbers
        self.is_read = False  # as a whole, since something was put in

    shape = property(lambda self: self.written.shape)
    ndim = property(lambda self: self.written.ndim)
    size = property(lambda self: self.written.size)
    dtype = property(lambda self: self.whole.dtype)

    def __len__(self) -> int:
        return len(self.written)

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        rows = self._rows()
        if rows:
            self.whole, self.numbers = F.stack(rows, dim=next(iter(self.steps))[0]), None
        else:
            for place, index in self.waiting.items():
                self._add(_placed(self.steps[place], index, self.shape))
        self.waiting.clear()
        self.is_read = True
        return self.whole

    def _rows(self) -> list[Tensor]:
        """The steps along one axis, if they are all there and nothing else is in the whole array."""
        axes = {axis for axis, _ in self.waiting}
        if self.numbers is None or len(axes) != 1:
            return []
        known, (axis,) = self.plain | self.steps, axes
        rows = [known.get((axis, k)) for k in range(self.shape[axis])]
        return [row for row in rows if row is not None] if all(row is not None for row in rows) else []

    def _add(self, part: Tensor) -> None:
        """Put in a part where nothing was: no cell has two terms, as in a workbook their sum is no formula."""
        plain = self.numbers is None or self.written[~self.followed].any()
        self.whole = self.whole + part if plain else part
        self.numbers, self.is_read = None, False

    @property
    def is_empty(self) -> bool:
        return not self.written.any()

    def fill(self, value: Any) -> None:
        self[...] = value

    def _become(self, tensor: Tensor) -> Traced:
        self.whole, self.numbers, self.written = tensor, None, np.full(tensor.shape, True)
        self.followed = self.written.copy()
        self.steps, self.waiting, self.is_read = {}, {}, False
        return self

    def __getitem__(self, index: Any) -> Traced:
        place = None if isinstance(index, Traced) else _step(index, self.shape)
        if place is None or not (place in self.steps or self._is_plain(index)):
            return super().__getitem__(index)
        step = StepOf(self, index)
        return step if step.shape else Traced(step.tensor)

    def _is_plain(self, index: Any) -> bool:
        return self.numbers is not None and not self.followed[index].any()

    def at(self, index: Any) -> Tensor:
        """What stands at a step."""
        place = _step(index, self.shape)
        if place is not None and place in self.steps:
            return self.steps[place]
        if place is None or self.numbers is None or not self._is_plain(index):
            return self.tensor[index]
        if place not in self.plain:
            self.plain[place] = Tensor(self.numbers[index].copy())
        return self.plain[place]

    def __setitem__(self, index: Any, value: Any) -> None:
        if is_live(index):
            one_hot = chosen(self.shape, index, value) if self.is_empty and isinstance(value, (int, float)) else None
            self._become(one_hot) if one_hot is not None else super().__setitem__(index, value)
            return
        places = index.tensor if isinstance(index, Traced) else _places(self._chosen(index))
        place = None if isinstance(places, Tensor) else _step(places, self.shape)
        value = value.numbers if isinstance(value, Filled) and not value.followed.any() else unwrapped(value)
        plain = self.numbers is not None and not isinstance(value, Tensor)
        if place is not None and place in self.steps:
            self._replace(place, places, value)
            return
        if isinstance(places, Tensor) or np.any((self.followed if plain else self.written)[places]):
            super().__setitem__(index, value)
            return
        if self.numbers is not None and plain:
            self.numbers = self.numbers.copy()
            self.numbers[places] = value
            self.whole = Tensor(self.numbers)
            self.plain = {p: x for p, x in self.plain.items() if np.array_equal(x.data, self.numbers.take(p[1], p[0]))}
        elif place is not None:
            self.steps[place], self.waiting[place] = _shaped(value, places, self.shape), places
            self.followed[places] = True
        else:
            self._add(_placed(value, places, self.shape))
            self.followed[places] = True
        self.written[places] = True

    def _replace(self, place: Place, index: Any, value: Any) -> None:
        """Put something else at a step."""
        if value is self.steps[place]:
            return
        steps, new = self.steps, _shaped(value, index, self.shape)
        if place not in self.waiting:
            super().__setitem__(index, new)
            self.steps = steps
        self.steps[place] = new


class StepOf(Traced):
    """A step of an array that is filled."""

    def __init__(self, whole: Filled, index: Any):
        self.whole, self.index = whole, index

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        return self.whole.at(self.index)

    @property
    def is_empty(self) -> bool:
        return not self.whole.written[self.index].any()

    def fill(self, value: Any) -> None:
        self.whole[self.index] = value

    def _become(self, tensor: Tensor) -> Traced:
        self.fill(tensor)
        return self


def _step(index: Any, shape: tuple[int, ...]) -> Place | None:
    """One place along one axis, and all of the others; None for any other index."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(type(part) is not int and not isinstance(part, (np.integer, slice)) for part in parts):
        return None
    if len(parts) > len(shape) or [isinstance(part, slice) for part in parts].count(False) != 1:
        return None
    if any(isinstance(part, slice) and part.indices(n) != (0, n, 1) for part, n in zip(parts, shape, strict=False)):
        return None
    axis = next(axis for axis, part in enumerate(parts) if not isinstance(part, slice))
    return (axis, int(parts[axis]) % shape[axis])


def _shaped(value: Any, index: Any, shape: tuple[int, ...]) -> Tensor:
    """What is put at some places, in their shape."""
    value, room = unwrapped(value), np.empty(shape)[index].shape
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype=float))
    if value.shape[: value.ndim - len(room)] == (1,) * (value.ndim - len(room)):  # NumPy drops leading axes of size 1
        value = value.reshape(*value.shape[max(0, value.ndim - len(room)) :])
    return value if value.shape == room else value.expand(*room)


def _placed(value: Any, index: Any, shape: tuple[int, ...]) -> Tensor:
    """Zeros, with ``value`` at the places ``index``. Raises TypeError for places that are there twice."""
    chosen = np.arange(int(np.prod(shape))).reshape(shape)[index]
    if len(set(chosen.reshape(-1).tolist())) < chosen.size:
        raise TypeError("an assignment to the same place twice is not traced")
    return P.scatter(_shaped(value, index, shape), index=index, shape=shape)


def _places(index: Any) -> Any:
    """An index whose masks of plain truth values are the places where they hold."""
    if not isinstance(index, tuple):
        places = _without_masks(index)
        return places if len(places) > 1 else places[0]
    return tuple(place for part in index for place in _without_masks(part))


def _without_masks(part: Any) -> tuple[Any, ...]:
    if isinstance(part, range):
        return (list(part),)
    is_mask = isinstance(part, (np.ndarray, list)) and np.asarray(part).dtype.kind == "b"
    return np.nonzero(part) if is_mask else (part,)


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
