"""Convolutions and poolings over fixed buffers.

Images (N, C, *S) have their batch last in memory: a convolution is then one product with a matrix of columns, made by a
copy for each place in the kernel (see ``functional.kernels.convolution``), and nothing between it and the next one
changes the order.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import nonstandard
from tinynet.run import Step, Value

if TYPE_CHECKING:
    from tinynet.compiled.code import Code

BITS = {np.dtype("float64"): np.dtype("int64"), np.dtype("float32"): np.dtype("int32")}
FOLLOWERS = ("add", "subtract", "multiply", "divide", "relu", "greater", "where", "tanh", "sigmoid", "exp", "power")


# The order of buffers


def arranged(code: Code, step: Step, recorded: np.ndarray) -> np.ndarray:
    """Zeros for the output of a step, their axes in the order in memory that suits images."""
    axes = _order(code, step)
    if axes is None:
        return np.zeros(recorded.shape, recorded.dtype)
    return np.zeros([recorded.shape[a] for a in axes], recorded.dtype).transpose(np.argsort(axes))


def _order(code: Code, step: Step) -> tuple[int, ...] | None:
    n = len(step.output.shape)
    batch_last = (*range(1, n), 0)
    given = [o for o in step.operands if isinstance(o, Value)]
    if step.primitive == "correlate":
        return (1, 0, *range(2, n)) if _is_gradient_of_kernel(step) else batch_last
    if step.primitive in ("pad", "scatter") and n > 2 and _feeds(code, step, "correlate"):
        return batch_last
    if step.primitive == "windows":
        return (n - 1, *_axes_in_memory(given[0].array))
    if step.primitive == "fold":
        return batch_last
    if step.primitive == "put_along_axis" and _feeds(code, step, "fold"):
        return (n - 1, *range(1, n - 1), 0)
    if step.primitive in ("argmax", "take_along_axis") and n > 3:
        return (n - 1, *range(1, n - 1), 0)
    same = [o for o in given if o.shape == step.output.shape]
    follows = step.primitive in FOLLOWERS and n > 2 and any(_axes_in_memory(o.array) == batch_last for o in same)
    return batch_last if follows else None


def _axes_in_memory(x: np.ndarray) -> tuple[int, ...]:
    """The axes, those with the largest steps first."""
    return tuple(sorted(range(x.ndim), key=lambda a: -x.strides[a]))


def _feeds(code: Code, step: Step, primitive: str) -> bool:
    return any(s.primitive == primitive and s.operands[0] is step.output for s in code.run.steps)


def _producer(code: Code, value: Any) -> Step | None:
    return next((s for s in code.run.steps if s.output is value), None)


# Convolution


def _is_gradient_of_kernel(step: Step) -> bool:
    """The kernel of such a correlation is a gradient, as large as an image, and its output as small as a kernel."""
    return prod(step.operands[1].shape[2:]) > prod(step.output.shape[2:])


def correlate(code: Code, step: Step, names: list[str], out: str) -> bool:
    x, w = step.operands
    if step.arguments["groups"] != 1 or not x.array.dtype == w.array.dtype == step.output.array.dtype:
        return False
    if _is_gradient_of_kernel(step):
        _kernel_gradient(code, step, names, out)
    elif _is_spread(code, step):
        _spread_correlate(code, step, names, out)
    else:
        _columns_product(code, step, names, out)
    return True


def _columns_product(code: Code, step: Step, names: list[str], out: str) -> None:
    """Kernels, (O, C · K), times columns, (C · K, P · N)."""
    x, w = step.operands
    axes = len(step.arguments["stride"])
    columns = _columns(code, x, w.shape[2:], step.arguments["stride"], (1, *range(2 + axes, 2 + 2 * axes)))
    _dot(code, _matrix(code, names[1], w.array, 1), columns, out, _batch_last(step.output.array))


def _kernel_gradient(code: Code, step: Step, names: list[str], out: str) -> None:
    """(O, K · C) times the transpose of (N · P, K · C), where N are the channels of the images and C their batch."""
    x, w = step.operands
    axes = len(step.arguments["stride"])
    columns = _columns(code, x, w.shape[2:], step.arguments["stride"], (0, *range(2, 2 + axes)))
    turned = f"{columns}_turned"
    code.scope[turned] = code.scope[columns].T
    _dot(code, _matrix(code, names[1], _channels_last(w.array), 1), turned, out, step.output.array.swapaxes(0, 1))


def _columns(code: Code, x: Value, size: Any, stride: Any, rows: tuple[int, ...]) -> str:
    """All windows, copied once, as a matrix: ``rows`` are the axes of (N, C, *P, *K) that go down, in this order."""
    windows = nonstandard.windows(np, x.array, size, stride, (1,) * len(stride))
    across = tuple(sorted(set(range(windows.ndim)) - set(rows), key=lambda a: (a < 2, a)))
    windows = windows.transpose(rows + across)
    steps = tuple(step if n > 1 else 0 for n, step in zip(windows.shape, windows.strides, strict=True))
    key = (_root(code, x), windows.__array_interface__["data"][0], windows.shape, steps)
    if key not in code.columns:
        name = code.columns[key] = f"columns{len(code.columns)}"
        columns = np.empty(windows.shape, windows.dtype)
        for k, place in enumerate(product(*map(range, windows.shape[1 : len(rows)]))):
            _copy(code, f"{name}_{k}", columns[:, *place], windows[:, *place])
        code.scope[name] = columns.reshape(prod(windows.shape[: len(rows)]), -1)
    return code.columns[key]


def _root(code: Code, value: Value) -> int:
    """The value whose buffer this one is a view of."""
    step = _producer(code, value)
    while step is not None and len(step.operands) == 1 and np.may_share_memory(step.operands[0].array, value.array):
        value = step.operands[0]
        step = _producer(code, value)
    return value.index


def _is_spread(code: Code, step: Step) -> bool:
    """Whether the input is a smaller one with zeros between and around, so that it is cheaper to multiply first."""
    spread = _producer(code, step.operands[0])
    if spread is None or spread.primitive != "scatter" or any(s != 1 for s in step.arguments["stride"]):
        return False
    index, (n, channels, *inner) = spread.arguments["index"], spread.operands[0].shape
    plain = isinstance(index, tuple) and len(index) == 2 + len(inner) and all(isinstance(i, slice) for i in index)
    whole = plain and index[:2] == (slice(None), slice(None))
    return whole and step.output.shape[1] * prod(inner) <= channels * prod(step.output.shape[2:])


def _spread_correlate(code: Code, step: Step, names: list[str], out: str) -> None:
    """(O · K, C) times the inner numbers (C, S · N), each then added to the places that it reaches."""
    spread, w = _producer(code, step.operands[0]), step.operands[1]
    assert spread is not None
    inner, result = spread.operands[0].array, step.output.array
    size, spatial = w.shape[2:], inner.shape[2:]
    summands = np.empty((w.shape[0], *size, *spatial, inner.shape[0]), result.dtype)
    kernels = _matrix(code, names[1], _channels_last(w.array), 1 + len(size))
    _dot(code, kernels, _matrix(code, f"{out}_inner", _batch_last(inner), 1), f"{out}_summands", summands)
    code.lines.append(f"copyto({out}, 0)")
    for k, place in enumerate(product(*map(range, size))):
        reached = [
            _reached(part, n, p, m)
            for part, n, p, m in zip(spread.arguments["index"][2:], spatial, place, result.shape[2:], strict=True)
        ]
        to, source = zip(*reached, strict=True)
        part, summand = f"{out}_part{k}", f"{out}_summand{k}"
        code.scope[part], code.scope[summand] = _batch_last(result)[:, *to], summands[:, *place][:, *source]
        code.lines.append(f"add({part}, {summand}, {part})")


def _reached(part: slice, count: int, place: int, size: int) -> tuple[slice, slice]:
    """Where the numbers at ``part`` go in an output of ``size``, through this place in the kernel; and which do."""
    start, step = part.start or 0, part.step or 1
    first = max(0, -((start - place) // step))
    last = min(count - 1, (size - 1 + place - start) // step)
    to = start - place + step * first
    return slice(to, to + step * (last - first) + 1, step), slice(first, last + 1)


def _matrix(code: Code, name: str, array: np.ndarray, rows: int) -> str:
    """The array with its first axes joined into ``rows``, and the rest into columns: a view, or copied in each call."""
    shape = (prod(array.shape[:rows]), prod(array.shape[rows:]))
    matrix = array.reshape(shape)
    key = f"{name}_matrix{len(code.scope)}"
    if not np.may_share_memory(matrix, array):
        matrix = np.empty(shape, array.dtype)
        _copy(code, key, matrix.reshape(array.shape), array)
    code.scope[key] = matrix
    return key


def _dot(code: Code, a: str, b: str, name: str, result: np.ndarray) -> None:
    """A product that goes to an array in one piece."""
    key = f"{name}_product"
    code.scope[key] = result.reshape(len(code.scope[a]), -1)
    code.lines.append(f"dot({a}, {b}, {key})")


def _batch_last(x: np.ndarray) -> np.ndarray:
    return x.transpose(*range(1, x.ndim), 0)


def _channels_last(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, *range(2, x.ndim), 1)


def _copy(code: Code, name: str, to: np.ndarray, source: np.ndarray) -> None:
    code.scope[f"{name}_to"], code.scope[f"{name}_from"] = to, source
    code.lines.append(f"copyto({name}_to, {name}_from)")


# Pooling


def windows(code: Code, step: Step, names: list[str], out: str) -> bool:
    for k, index in enumerate(_corners(step.operands[0].shape, step.arguments)):
        _copy(code, f"{out}_{k}", step.output.array[..., k], step.operands[0].array[index])
    return True


def fold(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Where no windows overlap, nothing is added to a number, and what none of them sees stays zero."""
    size, stride, dilation = (step.arguments[key] for key in ("size", "stride", "dilation"))
    alone = all(s > d * (k - 1) for k, s, d in zip(size, stride, dilation, strict=True))
    if not alone:
        code.lines.append(f"copyto({out}, 0)")
    for k, index in enumerate(_corners(step.output.shape, step.arguments)):
        part, source = step.output.array[index], step.operands[0].array[..., k]
        if alone:
            _copy(code, f"{out}_{k}", part, source)
        else:
            code.scope[f"{out}_part{k}"], code.scope[f"{out}_from{k}"] = part, source
            code.lines.append(f"add({out}_part{k}, {out}_from{k}, {out}_part{k})")
    return True


def _corners(shape: tuple[int, ...], arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
    return nonstandard.corners(shape[2:], *(arguments[key] for key in ("size", "stride", "dilation")))


def argmax(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Of the first of equals, or the first NaN; the places are counted by bytes."""
    x = _lanes(step)
    if x is None:
        return False
    place, larger, ordered, largest = (np.empty_like(x[0], t) for t in ("int8", "bool", "bool", x[0].dtype))
    keys = {"place": place, "larger": larger, "byte": larger.view("int8"), "ordered": ordered, "largest": largest}
    names_of = {key: f"{out}_{key}" for key in keys}
    code.scope |= {names_of[key]: array for key, array in keys.items()}
    code.scope |= {f"{out}_lane{k}": lane for k, lane in enumerate(x)}
    code.scope[f"{out}_index"] = step.output.array[..., 0]
    lines = ["copyto({largest}, {lane})", "copyto({place}, 0)"]
    for k in range(len(x)):
        if k:
            lines = ["less_equal({lane}, {largest}, {larger})", "equal({largest}, {largest}, {ordered})"]
            lines += ["greater({ordered}, {larger}, {larger})", "multiply({byte}, {k}, {byte})"]
            lines += ["maximum({place}, {byte}, out={place})", "maximum({largest}, {lane}, out={largest})"]
        code.lines += [line.format(lane=f"{out}_lane{k}", k=k, **names_of) for line in lines]
    code.lines.append(f"copyto({out}_index, {names_of['place']})")
    return True


def take_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    """What stands at the place of the largest is the largest."""
    chosen = _producer(code, step.operands[1])
    if chosen is None or chosen.primitive != "argmax" or chosen.operands[0] is not step.operands[0]:
        return False
    axis = step.arguments["axis"]
    if chosen.arguments["axis"] != axis:
        return False
    code.lines.append(f"reduce_max({names[0]}, {axis}, None, {out}, True)")
    return True


def put_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    """For each place, the numbers that go there and zeros."""
    chosen = _producer(code, step.operands[1])
    x, result = step.operands[0], step.output.array
    last = step.arguments["axis"] == result.ndim - 1
    if chosen is None or chosen.primitive != "argmax" or not last or x.array.dtype not in BITS or result.ndim < 3:
        return False
    index, bits = step.operands[1].array[..., 0], BITS[result.dtype]
    mask, numbers = np.empty_like(result[..., 0], bool), np.empty_like(result[..., 0])
    _copy(code, f"{out}_numbers", numbers, x.array[..., 0])
    _copy(code, f"{out}_places", place := np.empty_like(result[..., 0], "int8"), index)
    code.scope |= {f"{out}_mask": mask, f"{out}_bits": numbers.view(bits), f"{out}_place": place}
    for k in range(result.shape[-1]):
        code.scope[f"{out}_lane{k}"] = result[..., k].view(bits)
        code.lines += [f"equal({out}_place, {k}, {out}_mask)", f"multiply({out}_bits, {out}_mask, {out}_lane{k})"]
    return True


def where(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Zero elsewhere: the bits, as integers, times 1 or 0."""
    condition, x, other = step.operands
    result = step.output.array
    full = isinstance(condition, Value) and isinstance(x, Value) and condition.shape == x.shape == result.shape
    if not full or not isinstance(other, int) or other != 0 or condition.array.dtype != bool:
        return False
    if x.array.dtype != result.dtype or result.dtype not in BITS:
        return False
    bits = BITS[result.dtype]
    code.scope |= {f"{names[1]}_bits": x.array.view(bits), f"{out}_bits": result.view(bits)}
    code.lines.append(f"multiply({names[1]}_bits, {names[0]}, {out}_bits)")
    return True


def _lanes(step: Step) -> list[np.ndarray] | None:
    """The operand along its last axis, if that is the one asked for, and short."""
    x = step.operands[0].array
    if step.arguments["axis"] != x.ndim - 1 or not 1 <= x.shape[-1] < 128 or x.ndim < 3:
        return None
    return [x[..., k] for k in range(x.shape[-1])]


WRITERS = {
    "correlate": correlate,
    "windows": windows,
    "fold": fold,
    "argmax": argmax,
    "take_along_axis": take_along_axis,
    "put_along_axis": put_along_axis,
    "where": where,
}
