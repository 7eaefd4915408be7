"""Primitives with a way of their own to fill a buffer; each writer returns whether it could be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tinynet.compiled import convolution, pooling
from tinynet.compiled.lines import has_bits, keep
from tinynet.functional.kernels.relu import zeros_beside
from tinynet.run import Step, Value

if TYPE_CHECKING:
    from tinynet.compiled.code import Code


def matmul(code: Code, step: Step, names: list[str], out: str) -> bool:
    flat = all(isinstance(o, Value) and len(o.shape) == 2 for o in step.operands)
    if flat and step.output.index in code.turned:  # (a b)ᵀ = bᵀ aᵀ
        code.scope |= {f"{name}_turned": code.scope[name].T for name in (*names, out)}
        names, out = [f"{name}_turned" for name in reversed(names)], f"{out}_turned"
    code.lines.append(f"{'dot' if flat else 'matmul'}({names[0]}, {names[1]}, {out})")
    return True


def sigmoid(code: Code, step: Step, names: list[str], out: str) -> bool:
    """σ(z) = (1 + tanh(z/2)) / 2, in place."""
    code.lines += [f"multiply({names[0]}, 0.5, {out})", f"tanh({out}, {out})"]
    code.lines += [f"multiply({out}, 0.5, {out})", f"add({out}, 0.5, {out})"]
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
    code.lines.append(f"concatenate(({', '.join(names)},), {step.arguments['axis']}, {out})")
    return True


def scatter(code: Code, step: Step, names: list[str], out: str) -> bool:
    """The zeros are there from the beginning: only what is put among them is written."""
    index = step.arguments["index"]
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, (list, np.ndarray)) for part in parts):
        return False
    return _into(code, f"{out}_part", step.output.array[index], names[0])


def pad(code: Code, step: Step, names: list[str], out: str) -> bool:
    sizes = step.operands[0].shape
    index = tuple(slice(low, low + n) for (low, _), n in zip(step.arguments["pad_width"], sizes, strict=True))
    return _into(code, f"{out}_part", step.output.array[index], names[0])


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
    "where": where,
    "correlate": convolution.correlate,
    "windows": pooling.windows,
    "fold": pooling.fold,
    "argmax": pooling.argmax,
    "take_along_axis": pooling.take_along_axis,
    "put_along_axis": pooling.put_along_axis,
}
