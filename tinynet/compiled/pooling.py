"""Poolings and their gradients, over fixed buffers: one place in the windows after the other, all windows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import nonstandard
from tinynet.compiled.lines import has_bits, keep, write
from tinynet.run import Step

if TYPE_CHECKING:
    from tinynet.compiled.code import Code


def windows(code: Code, step: Step, names: list[str], out: str) -> bool:
    for k, index in enumerate(_corners(step.operands[0].shape, step.arguments)):
        write(code, "copyto", f"{out}_{k}", step.output.array[..., k], step.operands[0].array[index])
    return True


def fold(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Where no windows overlap, nothing is added up, and what none of them sees stays zero."""
    sizes = zip(*(step.arguments[key] for key in ("size", "stride", "dilation")), strict=True)
    apart = all(s > d * (k - 1) for k, s, d in sizes)
    if not apart:
        code.lines.append(f"copyto({out}, 0)")
    for k, index in enumerate(_corners(step.output.shape, step.arguments)):
        to, source = step.output.array[index], step.operands[0].array[..., k]
        write(code, "copyto" if apart else "add", f"{out}_{k}", to, source)
    return True


def _corners(shape: tuple[int, ...], arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
    return nonstandard.corners(shape[2:], *(arguments[key] for key in ("size", "stride", "dilation")))


def argmax(code: Code, step: Step, names: list[str], out: str) -> bool:
    """The first of equals, or the first NaN: a window's place changes with each number that is larger than before."""
    x = step.operands[0].array
    if not _are_places(step) or x.shape[-1] > 127:
        return False
    like, n = x[..., 0], f"{out}_"
    larger = np.empty_like(like, bool)
    code.scope |= {f"{n}larger": larger, f"{n}byte": larger.view("int8"), f"{n}number": np.empty_like(like, bool)}
    code.scope |= {f"{n}largest": np.empty_like(like), f"{n}place": np.empty_like(like, "int8")}
    code.scope |= {f"{n}{k}": x[..., k] for k in range(x.shape[-1])}
    code.lines += [f"copyto({n}largest, {n}0)", f"copyto({n}place, 0)"]
    for k in range(1, x.shape[-1]):
        code.lines += [
            f"less_equal({n}{k}, {n}largest, {n}larger)",
            f"equal({n}largest, {n}largest, {n}number)",
            f"greater({n}number, {n}larger, {n}larger)",  # not less or equal, and the largest is not NaN already
            f"multiply({n}byte, {k}, {n}byte)",
            f"maximum({n}place, {n}byte, out={n}place)",
            f"maximum({n}largest, {n}{k}, out={n}largest)",
        ]
    write(code, "copyto", f"{n}places", step.output.array[..., 0], code.scope[f"{n}place"])
    return True


def take_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    """What stands at the place of the largest is the largest."""
    chosen = code.images.maker(step.operands[1], "argmax")
    if chosen is None or chosen.operands[0] is not step.operands[0] or not _are_places(step):
        return False
    code.lines.append(f"reduce_max({names[0]}, -1, None, {out}, True)")
    return True


def put_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    """For each place in the windows, the numbers that go there, and zeros."""
    result = step.output.array
    chosen = code.images.maker(step.operands[1], "argmax")
    if chosen is None or not _are_places(step) or not has_bits(step.operands[0], result) or result.shape[-1] > 127:
        return False
    place, numbers = np.empty_like(result[..., 0], "int8"), np.empty_like(result[..., 0])
    write(code, "copyto", f"{out}_places", place, step.operands[1].array[..., 0])
    write(code, "copyto", f"{out}_numbers", numbers, step.operands[0].array[..., 0])
    code.scope |= {f"{out}_here": np.empty_like(place, bool), f"{out}_place": place}
    for k in range(result.shape[-1]):
        code.lines.append(f"equal({out}_place, {k}, {out}_here)")
        keep(code, f"{out}_{k}", f"{out}_here", numbers, result[..., k])
    return True


def _are_places(step: Step) -> bool:
    """Whether it is about places on the last axis, of more than a table of scores."""
    n = len(step.output.shape)
    return n > 2 and step.arguments["axis"] in (-1, n - 1)
