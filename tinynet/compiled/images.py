"""How images, (N, C, *S), lie in the buffers of a compiled run: with their batch last.

A convolution is then one product with a matrix of columns, made by a copy for each place in the kernel, and nothing
between it and the next one changes the order. Numbers in windows, (N, C, *P, K), lie with K first: each place in the
windows is an image. Source: Chellapilla, Puri and Simard, High performance convolutional neural networks for document
processing (2006).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tinynet.primitives import TABLE
from tinynet.run import Step, Value


class Images:
    """What is known of a value: the step that makes it, what reads it, and the columns that there are already."""

    def __init__(self, steps: list[Step]):
        self.made_by = {step.output.index: step for step in steps}
        self.read_by = {(o.index, s.primitive) for s in steps for o in s.operands[:1] if isinstance(o, Value)}
        self.readers: dict[int, list[Step]] = {}
        for step in steps:
            for index in {o.index for o in step.operands if isinstance(o, Value)}:
                self.readers.setdefault(index, []).append(step)
        self.columns: dict[Any, str] = {}

    def maker(self, value: Value, primitive: str) -> Step | None:
        """The step that makes the value, if it is this operation."""
        step = self.made_by.get(value.index)
        return step if step is not None and step.primitive == primitive else None

    def is_only_read(self, value: Value, by: Callable[[Step], bool]) -> bool:
        """Whether all that read a value are such steps, and nobody can ask for it."""
        return value.quantity is None and value.copy_of is None and all(map(by, self.readers.get(value.index, ())))

    def root(self, value: Value) -> int:
        """The value whose buffer holds this one."""
        step = self.made_by.get(value.index)
        if step is None or TABLE[step.primitive].kind != "structural" or len(step.operands) > 1:
            return value.index
        source = step.operands[0]
        return self.root(source) if np.may_share_memory(source.array, value.array) else value.index

    def leaf(self, value: Value) -> np.ndarray:
        """A copy, its batch last where it is convolved, with a border or without."""
        bordered = (step.output.index for step in self.readers.get(value.index, ()) if step.primitive == "pad")
        convolved = any((index, "correlate") in self.read_by for index in (value.index, *bordered))
        return _ordered(value.array, batch_last_axes(len(value.shape))) if convolved else np.array(value.array)

    def buffer(self, step: Step, recorded: np.ndarray) -> np.ndarray:
        """Zeros for the output of a step, in the order that suits what follows."""
        axes = self.order(step)
        return np.zeros(recorded.shape, recorded.dtype) if axes is None else np.zeros_like(_ordered(recorded, axes))

    def order(self, step: Step) -> tuple[int, ...] | None:
        """The axes of the output of a step, as they follow each other in memory; None for that of C."""
        n, name = len(step.output.shape), step.primitive
        if name == "correlate" and is_gradient_of_kernel(step):
            return (1, 0, *range(2, n))
        if name in ("correlate", "fold"):
            return batch_last_axes(n)
        if name in ("pad", "scatter"):
            return batch_last_axes(n) if (step.output.index, "correlate") in self.read_by else None
        if name in ("windows", "argmax", "take_along_axis", "put_along_axis") and n > 3:
            return (n - 1, *range(1, n - 1), 0)
        if TABLE[name].kind == "elementwise" and n > 2:
            alike = (o for o in step.operands if isinstance(o, Value) and o.shape == step.output.shape)
            return next((batch_last_axes(n) for o in alike if _is_batch_last(o.array)), None)
        return None


def batch_last_axes(n: int) -> tuple[int, ...]:
    """(N, C, *S) to (C, *S, N)."""
    return (*range(1, n), 0)


def batch_last(x: np.ndarray) -> np.ndarray:
    return x.transpose(batch_last_axes(x.ndim))


def _is_batch_last(x: np.ndarray) -> bool:
    return batch_last(x).flags.c_contiguous


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, *S) to (N, *S, C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def is_gradient_of_kernel(step: Step) -> bool:
    """The kernel of such a correlation is a gradient, as large as an image, and its output as small as a kernel."""
    return prod(step.operands[1].shape[2:]) > prod(step.output.shape[2:])


def _ordered(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """A copy whose axes follow each other in memory like this."""
    return x.transpose(axes).copy().transpose(np.argsort(axes))
