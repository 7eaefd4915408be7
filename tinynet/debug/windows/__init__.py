"""Mistakes of windows: where those of a convolution or a pooling lie, and what becomes of the numbers under them.

Every mistake of stride, padding, dilation, of rows and columns is another table of places (see ``layout``), for what is
computed, for one of the gradients, or for several of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tinynet.debug.program import Edit, Program
from tinynet.debug.windows.axes import of_reshape
from tinynet.debug.windows.convolution import Convolution, Way, convolution, maker, of_convolution
from tinynet.debug.windows.layout import Layout, put_back
from tinynet.debug.windows.pooling import POLICIES, of_pooling, of_pooling_backward

__all__ = ["POLICIES", "Convolution", "Layout", "Way", "convolution", "mistakes", "put_back"]


def mistakes(
    program: Program, computed_by: Iterable[list[int]], target: str, symbol: Callable[[str], str]
) -> Iterator[tuple[str, Edit]]:
    """What may be wrong in the windows of a quantity, ``target``: (sentence, edit).

    ``computed_by`` holds the steps that compute it, for each time step; the same mistake is made in all of them.
    """
    found: dict[tuple[int, str], tuple[str, Edit]] = {}
    for steps in computed_by:
        for n, i in enumerate(steps):
            for said, label, edit in _of_step(program, i, steps, symbol):
                known = found.get((n, label), ("", Edit()))[1]
                found[n, label] = said or target, known | edit
    for (_, label), (said, edit) in found.items():
        yield f"{said}: {label}", edit


def _of_step(
    program: Program, i: int, steps: list[int], symbol: Callable[[str], str]
) -> Iterator[tuple[str, str, Edit]]:
    primitive, phase = program.steps[i].primitive, program.steps[i].phase
    made = maker(program, program.steps[i].operands[0]) if primitive == "transpose" and phase == "backward" else None
    if primitive == "correlate" or (made is not None and made.primitive == "correlate"):
        yield from of_convolution(program, i, symbol)
    elif primitive == "windows" and phase == "forward":
        yield from of_pooling(program, i, steps)
    elif primitive == "fold" and phase == "backward":
        yield from of_pooling_backward(program, i)
    elif primitive == "reshape":
        yield from of_reshape(program, i)
