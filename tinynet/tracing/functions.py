"""NumPy's functions, of Tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet import primitives as P
from tinynet.tensor import Tensor
from tinynet.tracing.products import dot, einsum, inner, operand, tensordot


def same(x: Tensor) -> Tensor:
    """The same numbers, without a cell of their own."""
    return P.reshape(x, shape=x.shape)


def joined(items: Any, axis: int | None = 0) -> Any:
    """Arrays one after the other; those that are plain, or lists, too. Along no axis, all their numbers."""
    arrays = [operand(x) for x in items]
    if axis is None:
        arrays, axis = [x.reshape(-1) for x in arrays], 0
    return F.cat(arrays, axis)


def _rows(xs: Any) -> Tensor:
    """Rows one below the other; a vector is a row."""
    return joined([_with_axes(operand(x), 2) for x in xs])


def _with_axes(x: Tensor, count: int) -> Tensor:
    """At least so many axes: new ones in front."""
    return x.reshape(*[1] * (count - x.ndim), *x.shape)


def _columns(xs: Any) -> Tensor:
    """Columns one beside the other; a vector is a column."""
    columns = [x.reshape(-1, 1) if x.ndim < 2 else x for x in map(operand, xs)]
    return F.cat(columns, 1)


def _beside(xs: Any) -> Tensor:
    """As ``np.hstack``: along the second axis; vectors along their only one."""
    parts = [x.reshape(1) if x.ndim == 0 else x for x in map(operand, xs)]
    return F.cat(parts, 1 if parts[0].ndim > 1 else 0)


def _inserted(x: Tensor, place: Any, values: Any, axis: int | None = None) -> Tensor:
    """Before one place, numbers that fill the other axes."""
    if not isinstance(place, int):
        raise TypeError("np.insert is traced before one place only")
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
    low, high = _split(x, [place % x.shape[axis] if place < 0 else place], axis)
    room = (*x.shape[:axis], *x.shape[axis + 1 :])
    values = P.broadcast_to(operand(values), shape=room).reshape(*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return F.cat([low, values, high], axis)


def _moved(name: str) -> Callable[..., Tensor]:
    """A function that puts numbers elsewhere, or several times: what it does to their places."""

    def move(x: Tensor, *arguments: Any, **options: Any) -> Tensor:
        places = getattr(np, name)(np.arange(x.size).reshape(x.shape), *arguments, **options)
        return x.reshape(-1)[places]

    return move


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


def _clipped(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    above = x if low is None else F.maximum(operand(x), low)
    return above if high is None else F.minimum(operand(above), high)


def _padded(x: Tensor, width: Any, mode: str, number: Any) -> Tensor:
    if mode != "constant" or np.any(np.asarray(number)):
        raise TypeError(f"np.pad with {mode} {number} is not traced, only with zeros")
    return F.pad(x, np.broadcast_to(width, (x.ndim, 2)).tolist())


def _norm(x: Tensor, order: Any, axis: Any, keepdims: bool) -> Tensor:
    if order not in (None, 2, "fro") or isinstance(axis, tuple) or (axis is None and order == 2 and x.ndim > 1):
        raise TypeError("np.linalg.norm is traced for vectors, and for all numbers of an array")
    return (x * x).sum(axis, keepdims).sqrt()


def _variance(x: Tensor, axis: Any, keepdims: bool, ddof: int = 0) -> Tensor:
    mean = x.mean(axis, True)
    squares = ((x - mean) ** 2).sum(axis, keepdims)
    return squares / (x.size // mean.size - ddof)


def _average(x: Tensor, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Tensor:
    if weights is None:
        return x.mean(axis, keepdims)
    weights = operand(weights)
    if weights.ndim < x.ndim:  # a vector along the axis
        weights = weights.reshape(*[-1 if k == axis % x.ndim else 1 for k in range(x.ndim)])
    weights = P.broadcast_to(weights, shape=x.shape)
    return (x * weights).sum(axis, keepdims) / P.sum(weights, axis=axis, keepdims=keepdims)


def _log_sum_exp(x: Tensor, axis: Any = 0, keepdims: bool = False) -> Tensor:
    """The largest is taken out; it gets no gradient, as it cancels."""
    largest = x.max(axis, True).detach()
    total = (x - largest).exp().sum(axis, True).log() + largest
    return total if keepdims else total.reshape(*x.sum(axis).shape)


def _log_add_exp(a: Any, b: Any) -> Tensor:
    return P.maximum(a, b) + (1 + (-abs(a - b)).exp()).log()


def _cumulative(x: Tensor, axis: int | None = None) -> Tensor:
    """Sums so far: a product with ones on and above the diagonal."""
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
    order = [*[k for k in range(x.ndim) if k != axis], axis]
    sums = F.matmul(x.permute(*order), Tensor(np.triu(np.ones((x.shape[axis], x.shape[axis])))))
    return sums.permute(*np.argsort(order).tolist())


def _product(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """One factor after the other."""
    flat, along = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
    before = (slice(None),) * along
    result = reduce(P.multiply, [flat[(*before, k)] for k in range(flat.shape[along])])
    kept = [1 if axis is None or k == along else size for k, size in enumerate(x.shape)]
    return result.reshape(*kept) if keepdims else result


def _reduced(method: str) -> Callable[..., Tensor]:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False, **nothing: Any) -> Tensor:
        if any(value is not None for value in nothing.values()):
            raise TypeError(f"np.{method} with {', '.join(nothing)} is not traced")
        return getattr(operand(x), method)(axis, keepdims)

    return reduce


MOVES = (
    "repeat",
    "tile",
    "roll",
    "rot90",
    "diagonal",
    "fliplr",
    "flipud",
    "moveaxis",
    "take",
    "delete",
    "broadcast_to",
)
REDUCTIONS = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod", "logaddexp": "logsumexp"}
UFUNCS: dict[str, Callable[..., Any]] = {
    **{key: primitive for key, primitive in P.TABLE.items() if primitive.kind == "elementwise"},
    "maximum": lambda a, b: _maximum(a, b),
    "matmul": F.matmul,
    "square": lambda x: x * x,
    "positive": lambda x: x,
    "reciprocal": lambda x: 1 / x,
    "fabs": P.absolute,
    "log1p": lambda x: (1 + x).log(),
    "expm1": lambda x: x.exp() - 1,
    "log2": lambda x: x.log() / math.log(2),
    "log10": lambda x: x.log() / math.log(10),
    "exp2": lambda x: (x * math.log(2)).exp(),
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "sinh": lambda x: (x.exp() - (-x).exp()) / 2,
    "hypot": lambda a, b: P.sqrt(a * a + b * b),
    "heaviside": lambda x, at_zero: P.where(x > 0, 1.0, P.where(x < 0, 0.0, at_zero)),
    "logaddexp": _log_add_exp,
    "expit": P.sigmoid,  # of scipy.special
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concatenate": joined,
    "append": lambda x, values, axis=None: joined([x, values], axis),
    "insert": _inserted,
    "vstack": _rows,
    "hstack": _beside,
    "column_stack": _columns,
    "stack": lambda xs, axis=0: F.stack([operand(x) for x in xs], axis),
    "pad": lambda x, width, mode="constant", constant_values=0: _padded(x, width, mode, constant_values),
    "norm": lambda x, order=None, axis=None, keepdims=False: _norm(x, order, axis, keepdims),
    "outer": lambda a, b: operand(a).reshape(-1, 1) * operand(b).reshape(1, -1),
    "clip": _clipped,
    "var": lambda x, axis=None, ddof=0, keepdims=False: _variance(operand(x), axis, keepdims, ddof),
    "std": lambda x, axis=None, ddof=0, keepdims=False: _variance(operand(x), axis, keepdims, ddof).sqrt(),
    "average": lambda x, *arguments, **options: _average(operand(x), *arguments, **options),
    "prod": lambda x, axis=None, keepdims=False: _product(operand(x), axis, keepdims),
    "logsumexp": lambda x, axis=None, keepdims=False: _log_sum_exp(x, axis, keepdims),
    "cumsum": _cumulative,
    "split": _split_equally,
    "array_split": _split,
    "dot": dot,
    "inner": inner,
    "vdot": lambda a, b: F.matmul(operand(a).reshape(-1), operand(b).reshape(-1)),
    "tensordot": tensordot,
    "einsum": einsum,
    "trace": lambda x: x[tuple([np.arange(min(x.shape))] * 2)].sum(),
    "where": F.where,
    "transpose": lambda x, axes=None: x.T if axes is None else x.permute(*axes),
    "swapaxes": lambda x, one, other: x.transpose(one, other),
    "reshape": lambda x, shape: x.reshape(shape),
    "ravel": lambda x: x.reshape(-1),
    "expand_dims": lambda x, axis: x.unsqueeze(axis),
    "squeeze": lambda x, axis=None: x.squeeze(axis),
    "atleast_1d": lambda x: _with_axes(x, 1),
    "atleast_2d": lambda x: _with_axes(x, 2),
    "flip": _flipped,
    "copy": lambda x: same(x),
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x: x.size,
    **{name: _moved(name) for name in MOVES},
    **{method: _reduced(method) for method in ("sum", "mean", "max", "min")},
    "amax": _reduced("max"),
    "amin": _reduced("min"),
}
