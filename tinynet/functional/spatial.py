"""What convolutions and poolings share: how their options are read, and one example taken for a batch of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.functional.shapes import squeeze, unsqueeze
from tinynet.tensor import Tensor

AXES = {1: "L", 2: "H, W"}  # how the spatial axes of an input are called
KERNEL = {1: "K", 2: "K, K'"}  # and those of a kernel


def per_axis(
    value: Any, axes: int, what: str, least: int = 1, default: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """Return one integer for all spatial axes, or one for each, as a tuple; None stands for the ``default``.

    Raises ValueError for anything else.
    """
    if type(value) is int and value >= least:
        return (value,) * axes
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    sizes = given
    if default is not None and len(given) == axes:
        sizes = tuple(d if size is None else size for size, d in zip(given, default, strict=True))
    if len(sizes) != axes or not all(isinstance(size, (int, np.integer)) and size >= least for size in sizes):
        many = "" if axes == 1 else f", or {axes} of them"
        raise ValueError(f"{what} is {value!r}, expected an integer of at least {least}{many}")
    return tuple(int(size) for size in sizes)


def check_images(shape: tuple[int, ...], axes: int, function: str) -> None:
    """Raise ValueError for anything but (N, C, *S) and (C, *S), with C and S of at least 1."""
    if len(shape) not in (axes + 1, axes + 2) or 0 in shape[-axes - 1 :]:
        expected = f"(N, C, {AXES[axes]}) or (C, {AXES[axes]}), with sizes of at least 1"
        raise ValueError(f"{function} expects {expected}, got {shape}")


def as_batch(input: Tensor, axes: int, function: str) -> Tensor:
    """Return (N, C, *S) as it is and (C, *S) as a batch of one; see ``check_images`` for what it raises."""
    check_images(input.shape, axes, function)
    return unsqueeze(input, 0) if input.ndim == axes + 1 else input


def as_given(output: Tensor, input: Tensor) -> Tensor:
    """Take the batch of one away again, where ``as_batch`` added it."""
    return output if output.ndim == input.ndim else squeeze(output, 0)
