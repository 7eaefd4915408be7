"""Primitives with a way of their own to fill a buffer; each writer returns whether it could be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tinynet.compiled import convolution, pooling
from tinynet.compiled.lines import has_bits, keep
from tinynet.functional.kernels.relu import zeros_beside
from tinynet.leaves import size_of, sources_of_places
from tinynet.primitives import check_places
from tinynet.run import Step, Value

if TYPE_CHECKING:
    from tinynet.compiled.code import Code


def matmul(code: Code, step: Step, names: list[str], out: str) -> bool:
    flat = all(isinstance(o, Value) and len(o.shape) == 2 for o in step.operands)
    if flat and step.output.index in code.turned:  # (a b)ᵀ = bᵀ aᵀ
        code.scope |= {f"{name}_turned": code.scope[name].T for name in (*names, out)}
        names, out = [f"{name}_turned" for name in reversed(names)], f"{out}_turned"
    in_one_piece = code.scope[out].flags.c_contiguous
    code.lines.append(f"{'dot' if flat and in_one_piece else 'matmul'}({names[0]}, {names[1]}, {out})")
    return True


def sigmoid(code: Code, step: Step, names: list[str], out: str) -> bool:
    """σ(z) = (1 + tanh(z/2)) / 2, in place."""
    half = code.name(code.program.constant(np.array(0.5, step.output.array.dtype)))
    code.lines += [f"multiply({names[0]}, {half}, {out})", f"tanh({out}, {out})"]
    code.lines += [f"multiply({out}, {half}, {out})", f"add({out}, {half}, {out})"]
    return True


def relu(code: Code, step: Step, names: list[str], out: str) -> bool:
    code.scope[f"{out}_zeros"] = zeros_beside(step.output.array)
    code.lines.append(f"maximum({names[0]}, {out}_zeros, out={out})")
    return True


def power(code: Code, step: Step, names: list[str], out: str) -> bool:
    square = isinstance(step.operands[1], (int, float)) and step.operands[1] == 2
    if square:
        code.lines.append(f"multiply({names[0]}, {names[0]}, {out})")
    return square


def concatenate(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Only what was not computed in its place is copied."""
    inside = [operand.index in code.layout.parts for operand in step.operands]
    if not any(inside):
        code.lines.append(f"concatenate(({', '.join(names)},), {step.arguments['axis']}, {out})")
        return True
    axis, start = step.arguments["axis"] % len(step.output.shape), 0
    for k, operand in enumerate(step.operands):
        stop = start + operand.shape[axis]
        part = step.output.array[(slice(None),) * axis + (slice(start, stop),)]
        if not np.shares_memory(part, operand.array):
            _into(code, f"{out}_part_{k}", part, names[k])
        start = stop
    return True


def scatter(code: Code, step: Step, names: list[str], out: str) -> bool:
    """The zeros are there from the beginning: only what is put among them is written."""
    if convolution.scatter(code, step, names, out):
        return True
    index = step.arguments["index"]
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, (list, np.ndarray)) for part in parts):
        return False
    view = parts if Ellipsis in parts else (*parts, ...)  # an array even where it is a single number
    return _into(code, f"{out}_part", step.output.array[view], names[0])


def pad(code: Code, step: Step, names: list[str], out: str) -> bool:
    sizes = step.operands[0].shape
    index = tuple(slice(low, low + n) for (low, _), n in zip(step.arguments["pad_width"], sizes, strict=True))
    return _into(code, f"{out}_part", step.output.array[index], names[0])


def take(code: Code, step: Step, names: list[str], out: str) -> bool:
    _check_places(code, step, names)
    code.lines.append(f"copyto({out}, {names[0]}.take({names[1]}, 0))")
    return True


def put(code: Code, step: Step, names: list[str], out: str) -> bool:
    _check_places(code, step, names)
    code.scope["add_at"] = np.add.at
    code.lines += [f"{out}.fill(0)", f"add_at({out}, {names[1]}, {names[0]})"]
    return True


def take_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    if not pooling.take_along_axis(code, step, names, out):
        _check_places(code, step, names)
        code.lines.append(f"copyto({out}, {names[0]}[{_places(code, step, out)}])")
    return True


def _check_places(code: Code, step: Step, names: list[str]) -> None:
    """Places that were computed may not be there; those of leaves are looked at when the leaves are set."""
    made = {step.output.index: step for step in code.program.steps}
    computed = [made[source.index] for source in sources_of_places(step, made) if source.index in made]
    if any(source.primitive != "argmax" for source in computed):
        code.scope["check_places"] = check_places
        code.lines.append(f"check_places({names[1]}, {size_of(step)})")


def put_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Where one number goes to each lane, none meet."""
    if pooling.put_along_axis(code, step, names, out):
        return True
    alone = step.operands[1].shape[step.arguments["axis"]] == 1
    if alone:
        code.lines += [f"{out}.fill(0)", f"{out}[{_places(code, step, out)}] = {names[0]}"]
    return alone


def _places(code: Code, step: Step, out: str) -> str:
    """All indices, the given one along the axis: what ``np.take_along_axis`` makes anew each time."""
    index, axis = step.operands[1].array, step.arguments["axis"] % step.output.array.ndim
    grid = np.ogrid[tuple(slice(n) for n in index.shape)]
    code.scope[f"{out}_places"] = (*grid[:axis], index, *grid[axis + 1 :])
    return f"{out}_places"


def _into(code: Code, name: str, part: np.ndarray, source: str) -> bool:
    code.scope[name] = part
    code.lines.append(f"copyto({name}, {source})")
    return True


def where(code: Code, step: Step, names: list[str], out: str) -> bool:
    condition, x, other = step.operands
    result = step.output.array
    if not isinstance(condition, Value) or condition.array.dtype != bool or condition.shape != result.shape:
        return False
    if not has_bits(x, result) or not isinstance(other, int) or other != 0:
        return False
    keep(code, out, names[0], x.array, result)
    return True


WRITERS: dict[str, Callable[[Code, Step, list[str], str], bool]] = {
    "matmul": matmul,
    "sigmoid": sigmoid,
    "relu": relu,
    "power": power,
    "concatenate": concatenate,
    "scatter": scatter,
    "pad": pad,
    "take": take,
    "put": put,
    "take_along_axis": take_along_axis,
    "put_along_axis": put_along_axis,
    "where": where,
    "correlate": convolution.correlate,
    "sum": convolution.sum_of_channels,
    "windows": pooling.windows,
    "fold": pooling.fold,
    "argmax": pooling.argmax,
}
