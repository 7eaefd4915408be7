"""Convolutions and their two gradients, which are recorded as correlations, too: each is one product."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from tinynet import nonstandard
from tinynet.compiled.images import batch_last, channels_last, is_gradient_of_kernel
from tinynet.compiled.lines import nothing_like, write
from tinynet.run import Step

if TYPE_CHECKING:
    from tinynet.compiled.code import Code


def correlate(code: Code, step: Step, names: list[str], out: str) -> bool:
    if not _is_one_product(step):
        return False
    if is_gradient_of_kernel(step):
        _kernel_gradient(code, step, names, out)
    elif _is_spread(code, step):
        _spread_correlate(code, step, names, out)
    else:
        _columns_product(code, step, names, out)
    return True


def scatter(code: Code, step: Step, names: list[str], out: str) -> bool:
    """An image with zeros between and around is not needed where it is multiplied without them."""

    def is_spread(reader: Step) -> bool:
        known = reader.primitive == "correlate" and _is_one_product(reader) and not is_gradient_of_kernel(reader)
        return known and reader.operands[1] is not step.output and _is_spread(code, reader)

    if not code.images.is_only_read(step.output, is_spread):
        return False
    step.output.array = nothing_like(step.output)
    return True


def _is_one_product(step: Step) -> bool:
    x, w = step.operands
    return step.arguments["groups"] == 1 and x.array.dtype == w.array.dtype == step.output.array.dtype


def _columns_product(code: Code, step: Step, names: list[str], out: str) -> None:
    """Kernels, (O, C · K), times columns, (C · K, P · N)."""
    w = step.operands[1]
    axes = w.array.ndim - 2
    columns = _columns(code, step, (1, *range(2 + axes, 2 + 2 * axes)), (*range(2, 2 + axes), 0))
    _dot(code, _matrix(code, names[1], w.array, 1), columns, out, batch_last(step.output.array))


def _kernel_gradient(code: Code, step: Step, names: list[str], out: str) -> None:
    """(O, K · C) times the transpose of (N · P, K · C), where N are the channels of the images and C their batch."""
    w = step.operands[1]
    axes = w.array.ndim - 2
    columns = _columns(code, step, (0, *range(2, 2 + axes)), (*range(2 + axes, 2 + 2 * axes), 1))
    code.scope[f"{columns}_turned"] = code.scope[columns].T
    kernels = _matrix(code, names[1], channels_last(w.array), 1)
    _dot(code, kernels, f"{columns}_turned", out, step.output.array.swapaxes(0, 1))


def _columns(code: Code, step: Step, down: tuple[int, ...], across: tuple[int, ...]) -> str:
    """All windows (N, C, *P, *K) as a matrix, of these axes; copied once, also where a gradient needs them again."""
    x, w = step.operands
    stride = step.arguments["stride"]
    windows = nonstandard.windows(np, x.array, w.shape[2:], stride, (1,) * len(stride)).transpose(down + across)
    steps = tuple(s if n > 1 else 0 for n, s in zip(windows.shape, windows.strides, strict=True))
    key = (code.images.root(x), windows.__array_interface__["data"][0], windows.shape, steps)
    if key not in code.images.columns:
        name = code.images.columns[key] = f"columns{len(code.images.columns)}"
        columns = np.empty(windows.shape, windows.dtype)
        for k, place in enumerate(np.ndindex(windows.shape[1 : len(down)])):
            write(code, "copyto", f"{name}_{k}", columns[:, *place], windows[:, *place])
        code.scope[name] = columns.reshape(prod(windows.shape[: len(down)]), -1)
    return code.images.columns[key]


def _is_spread(code: Code, step: Step) -> bool:
    """Whether the input is a smaller one with zeros between and around, so that it is cheaper to multiply first."""
    spread = code.images.maker(step.operands[0], "scatter")
    if spread is None or any(s != 1 for s in step.arguments["stride"]):
        return False
    index, (_, channels, *inner) = spread.arguments["index"], spread.operands[0].shape
    if not isinstance(index, tuple) or len(index) != 2 + len(inner) or not all(isinstance(i, slice) for i in index):
        return False
    whole = index[:2] == (slice(None), slice(None)) and all((i.step or 1) > 0 for i in index)
    return whole and step.output.shape[1] * prod(inner) <= channels * prod(step.output.shape[2:])


def _spread_correlate(code: Code, step: Step, names: list[str], out: str) -> None:
    """(O · K, C) times the inner numbers (C, S · N), each then added to the places that it reaches."""
    spread, w = code.images.maker(step.operands[0], "scatter"), step.operands[1]
    assert spread is not None
    inner, result = spread.operands[0].array, batch_last(step.output.array)
    summands = np.empty((w.shape[0], *w.shape[2:], *inner.shape[2:], len(inner)), result.dtype)
    kernels = _matrix(code, names[1], channels_last(w.array), w.array.ndim - 1)
    _dot(code, kernels, _matrix(code, f"{out}_inner", batch_last(inner), 1), f"{out}_summands", summands)
    code.lines.append(f"copyto({out}, 0)")
    parts = [slice(*i.indices(n)) for i, n in zip(spread.arguments["index"], spread.output.shape, strict=True)][2:]
    for k, place in enumerate(np.ndindex(w.shape[2:])):
        axes = zip(parts, inner.shape[2:], place, result.shape[1:-1], strict=True)
        to, source = zip(*[_reached(*axis) for axis in axes], strict=True)
        write(code, "add", f"{out}_{k}", result[:, *to], summands[:, *place][:, *source])


def _reached(part: slice, count: int, place: int, size: int) -> tuple[slice, slice]:
    """Where ``count`` numbers at ``part`` go in an output of ``size``, by one place in the kernel; and which do."""
    start, step = part.start - place, part.step
    first = max(0, -(start // step))
    reached = max(0, min(count, (size - 1 - start) // step + 1) - first)
    return slice(start + step * first, start + step * (first + reached), step), slice(first, first + reached)


def sum_of_channels(code: Code, step: Step, names: list[str], out: str) -> bool:
    """The gradient of a bias: the sum over all axes but that of the channels, which takes less time as a product."""
    x, axis = step.operands[0].array, step.arguments["axis"]
    if x.ndim < 3 or axis != (0, *range(2, x.ndim)) or step.arguments["keepdims"] or x.dtype.kind != "f":
        return False
    if not batch_last(x).flags.c_contiguous:
        return False
    matrix = _matrix(code, names[0], batch_last(x), 1)
    code.scope[f"{out}_ones"] = np.ones(x.size // x.shape[1], x.dtype)
    code.lines.append(f"dot({matrix}, {out}_ones, {out})")
    return True


def _matrix(code: Code, name: str, array: np.ndarray, rows: int) -> str:
    """The array with the first axes joined into one and the others, too: a view, or else copied in each call."""
    shape = (prod(array.shape[:rows]), prod(array.shape[rows:]))
    matrix, key = array.reshape(shape), f"{name}_matrix{len(code.scope)}"
    if not np.may_share_memory(matrix, array):
        matrix = np.empty(shape, array.dtype)
        write(code, "copyto", key, matrix.reshape(array.shape), array)
    code.scope[key] = matrix
    return key


def _dot(code: Code, a: str, b: str, name: str, result: np.ndarray) -> None:
    """A product that goes to an array at once, or is copied there where that is not in one piece."""
    product = result.reshape(len(code.scope[a]), -1)
    code.scope[f"{name}_product"] = product
    code.lines.append(f"dot({a}, {b}, {name}_product)")
    if not np.may_share_memory(product, result):
        write(code, "copyto", f"{name}_whole", result, product.reshape(result.shape))
