"""Lines that several writers write: about parts of buffers, which get names of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.run import Value
from tinynet.selection import BITS

if TYPE_CHECKING:
    from tinynet.compiled.code import Code


def write(code: Code, function: str, name: str, to: np.ndarray, source: np.ndarray) -> None:
    """Copy into an array, or add to it."""
    code.scope |= {f"{name}_to": to, f"{name}_from": source}
    result = {"copyto": "", "add": f", {name}_to"}[function]
    code.lines.append(f"{function}({name}_to, {name}_from{result})")


def nothing_like(value: Value) -> np.ndarray:
    """For what is not computed: an array of its shape and dtype without a buffer."""
    nothing = np.asarray(np.nan if value.array.dtype.kind == "f" else 0, value.array.dtype)
    return np.broadcast_to(nothing, value.shape)


def has_bits(x: Any, result: np.ndarray) -> bool:
    """Whether ``keep`` knows the numbers of an operand and a result."""
    return isinstance(x, Value) and x.array.dtype == result.dtype and result.dtype in BITS


def keep(code: Code, name: str, condition: str, x: np.ndarray, result: np.ndarray) -> None:
    """``where(condition, x, 0)``, as ``selection.kept`` does it."""
    bits = BITS[result.dtype]
    code.scope |= {f"{name}_from": np.broadcast_to(x, result.shape).view(bits), f"{name}_to": result.view(bits)}
    code.lines.append(f"multiply({name}_from, {condition}, {name}_to)")
