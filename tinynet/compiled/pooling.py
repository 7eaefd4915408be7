"""Poolings and their gradients, over fixed buffers: one place in the windows after the other, all windows at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import nonstandard
from tinynet.compiled.lines import has_bits, keep, nothing_like, write
from tinynet.run import Step, Value

if TYPE_CHECKING:
    from tinynet.compiled.code import Code


def windows(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Copied, unless all that is done with them is to find the largest."""

    def is_pooled(reader: Step) -> bool:
        place = reader if reader.primitive == "argmax" else _place(code, reader)
        return place is not None and place.operands[0] is step.output and _are_numbered(place)

    if code.images.is_only_read(step.output, is_pooled):
        step.output.array = nothing_like(step.output)
        return True
    for k, index in enumerate(_corners(step.operands[0].shape, step.arguments)):
        write(code, "copyto", f"{out}_{k}", step.output.array[..., k], step.operands[0].array[index])
    return True


def fold(code: Code, step: Step, names: list[str], out: str) -> bool:
    """Where no windows overlap, nothing is added up, and what none of them sees stays zero."""
    apart = _are_apart(step)
    if not apart:
        code.lines.append(f"copyto({out}, 0)")
    corners, source = _corners(step.output.shape, step.arguments), step.operands[0]
    put = code.images.maker(source, "put_along_axis")
    if put is not None and _goes_to_image(code, put):
        _put(code, put, out, [step.output.array[index] for index in corners])
        return True
    for k, index in enumerate(corners):
        write(code, "copyto" if apart else "add", f"{out}_{k}", step.output.array[index], source.array[..., k])
    return True


def _corners(shape: tuple[int, ...], arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
    return nonstandard.corners(shape[2:], *(arguments[key] for key in ("size", "stride", "dilation")))


def _are_apart(fold: Step) -> bool:
    sizes = zip(*(fold.arguments[key] for key in ("size", "stride", "dilation")), strict=True)
    return all(s > d * (k - 1) for k, s, d in sizes)


def argmax(code: Code, step: Step, names: list[str], out: str) -> bool:
    """The first of equals, or the first NaN. A place counts how many come after it: the first is then the largest."""
    if not _are_numbered(step):
        return False
    numbers, n = _numbers(code, step.operands[0]), f"{out}_"
    last, largest = len(numbers) - 1, np.empty_like(numbers[0])
    equal, place = np.empty_like(largest, bool), np.empty_like(largest, "int8")
    code.scope |= {f"{n}largest": largest, f"{n}place": place, f"{n}equal": equal, f"{n}after": equal.view("int8")}
    code.scope |= {f"{n}{k}": array for k, array in enumerate(numbers)}
    code.scope[f"{n}place_unknown"] = partial(_place_unknown, numbers, largest, place)
    code.lines += [f"copyto({n}largest, {n}0)", f"copyto({n}place, 0)"]
    code.lines += [f"maximum({n}largest, {n}{k}, out={n}largest)" for k in range(1, last + 1)]
    for k in range(last):
        code.lines += [
            f"equal({n}{k}, {n}largest, {n}equal)",
            f"multiply({n}after, {last - k}, {n}after)",
            f"maximum({n}place, {n}after, out={n}place)",
        ]
    code.lines += [f"subtract({last}, {n}place, {n}place)", f"{n}place_unknown()"]
    write(code, "copyto", f"{n}places", step.output.array[..., 0], place)
    return True


def _place_unknown(numbers: list[np.ndarray], largest: np.ndarray, place: np.ndarray) -> None:
    """Where the largest is NaN, which is equal to nothing."""
    unknown = largest != largest
    if unknown.any():
        for k in reversed(range(len(numbers))):
            np.copyto(place, k, where=unknown & (numbers[k] != numbers[k]))


def _numbers(code: Code, windows: Value) -> list[np.ndarray]:
    """What the windows have at each place in them."""
    step = code.images.maker(windows, "windows")
    if step is None:
        return [windows.array[..., k] for k in range(windows.shape[-1])]
    return [step.operands[0].array[index] for index in _corners(step.operands[0].shape, step.arguments)]


def take_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    """What stands at the place of the largest is the largest."""
    place = _place(code, step)
    if place is None or place.operands[0] is not step.operands[0]:
        return False
    largest = code.scope[f"{code.name(place.output)}_largest"]
    if code.layout.is_alone(step.output):
        step.output.array = code.layout.rooms[step.output.index] = largest[..., None]
    else:
        write(code, "copyto", out, step.output.array[..., 0], largest)
    return True


def put_along_axis(code: Code, step: Step, names: list[str], out: str) -> bool:
    """For each place in the windows, the numbers that go there, and zeros; at once in the image, if that is all."""
    result = step.output.array
    if _goes_to_image(code, step):
        step.output.array = nothing_like(step.output)
        return True
    if _place(code, step) is None or not has_bits(step.operands[0], result):
        return False
    _put(code, step, out, [result[..., k] for k in range(result.shape[-1])])
    return True


def _goes_to_image(code: Code, put: Step) -> bool:
    def is_image(reader: Step) -> bool:
        return reader.primitive == "fold" and _are_apart(reader)

    known = _place(code, put) is not None and has_bits(put.operands[0], put.output.array)
    return known and code.images.is_only_read(put.output, is_image)


def _put(code: Code, step: Step, out: str, places: list[np.ndarray]) -> None:
    here, numbers = np.empty_like(places[0], bool), np.empty_like(places[0])
    write(code, "copyto", f"{out}_numbers", numbers, step.operands[0].array[..., 0])
    code.scope[f"{out}_here"] = here
    for k, to in enumerate(places):
        code.lines.append(f"equal({code.name(step.operands[1])}_place, {k}, {out}_here)")
        keep(code, f"{out}_{k}", f"{out}_here", numbers, to)


def _place(code: Code, step: Step) -> Step | None:
    """The step that finds the places of the largest, if those are the ones on the last axis that another is about."""
    if step.primitive not in ("take_along_axis", "put_along_axis"):
        return None
    place = code.images.maker(step.operands[1], "argmax")
    return place if place is not None and _are_places(step) and _are_numbered(place) else None


def _are_numbered(argmax: Step) -> bool:
    """Whether a byte is enough for the places."""
    return _are_places(argmax) and argmax.operands[0].shape[-1] <= 127


def _are_places(step: Step) -> bool:
    """Whether it is about places on the last axis, of more than a table of scores."""
    n = len(step.output.shape)
    return n > 2 and step.arguments["axis"] in (-1, n - 1)
