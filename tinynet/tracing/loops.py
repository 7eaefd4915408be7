"""The loops of somebody's code, and which time step a line runs at."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
from functools import lru_cache
from types import CodeType, FrameType
from typing import NamedTuple

LIKE_TIME = ("t", "ts", "step", "time", "timestep")


class Loop(NamedTuple):
    """The lines of the body of a ``for`` loop, and the variable that counts."""

    first: int
    last: int
    variable: str


class Source(NamedTuple):
    """The syntax of some code, and what to add to its line numbers to have those of the file."""

    tree: ast.Module
    offset: int


def calls(frame: FrameType, name: str) -> bool:
    """Whether what a frame runs just now is a call of ``….name(…)`` in its own text, not one that this makes inside."""
    first, last, start, end = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    if first is None or start is None:
        return False
    line = linecache.getline(frame.f_code.co_filename, first).encode()
    return re.match(rf"[\w.]*\b{name}\s*\(", line[start : end if first == last else None].decode()) is not None


def has_loops(code: CodeType) -> bool:
    return bool(_loops(code))


def time_step(frame: FrameType) -> int | None:
    """What the loop around the present line counts: the one over time steps if its variable says so, or the inner one.

    None outside of loops, and in those that count nothing, or from a negative number.
    """
    counts = {
        loop.variable: frame.f_locals.get(loop.variable)
        for loop in _loops(frame.f_code)
        if loop.first <= frame.f_lineno <= loop.last
    }
    counted = {name: t for name, t in counts.items() if isinstance(t, int) and t >= 0}
    likely = [t for name, t in counted.items() if name in LIKE_TIME]
    steps = likely or list(counted.values())
    return steps[-1] if steps else None


@lru_cache(maxsize=1000)
def source_of(code: CodeType) -> Source | None:
    """The text of somebody's function, or of a whole script; None where it is not to be had."""
    try:
        lines, start = inspect.getsourcelines(code)
        return Source(ast.parse(textwrap.dedent("".join(lines))), max(start, 1) - 1)
    except (OSError, TypeError, SyntaxError):
        return None


@lru_cache(maxsize=1000)
def _loops(code: CodeType) -> tuple[Loop, ...]:
    """Outer loops first; none where the source is not to be had."""
    source, found = source_of(code), list[Loop]()
    if source is None:
        return ()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.For):
            target = node.target.elts[0] if isinstance(node.target, ast.Tuple) else node.target
            if isinstance(target, ast.Name) and node.body[0].lineno > node.lineno:  # in one line, nothing can be told
                last = node.body[-1].end_lineno or node.body[-1].lineno
                found.append(Loop(node.body[0].lineno + source.offset, last + source.offset, target.id))
    return tuple(found)
