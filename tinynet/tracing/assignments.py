"""What each line of somebody's code assigns to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

from tinynet.tracing.loops import source_of


class Assignment(NamedTuple):
    """``variable`` is a name, or an attribute of ``self``; ``adds`` for ``+=`` and its like."""

    variable: str
    line: int
    of_self: bool = False
    adds: bool = False
    item: bool = False  # only a part of it: ``hs[t] = …``
    carried: bool = False  # in a loop, which reads it first: it comes from the iteration before


@lru_cache(maxsize=1000)
def assignments(code: CodeType) -> dict[int, list[Assignment]]:
    """By line, those of the statement that the line belongs to; nothing where the source is not to be had."""
    source, found = source_of(code), dict[int, list[Assignment]]()
    if source is None:
        return found
    carried = {id(node): _carried(node) for node in ast.walk(source.tree) if isinstance(node, ast.For)}
    for node, loop in _statements(source.tree, None):
        line = node.lineno + source.offset
        names = [name for target in _targets(node) for name in _names(target, line)]
        names += [name._replace(item=True) for part in _handed_over(node) for name in _names(part, line)]
        adds, before = isinstance(node, ast.AugAssign), carried.get(id(loop), frozenset())
        made = [name._replace(adds=adds, carried=name.variable in before) for name in names]
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            found.setdefault(line + source.offset, []).extend(made)
    return found


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else []


def _handed_over(node: ast.stmt) -> list[ast.expr]:
    """What a call may change in place: ``np.clip(dW, -1, 1, out=dW)``, ``np.add.at(dW, rows, dz)``."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return []
    return [*node.value.args, *(keyword.value for keyword in node.value.keywords if keyword.arg == "out")]


def _statements(node: ast.AST, loop: ast.For | None) -> Iterator[tuple[ast.stmt, ast.For | None]]:
    """Every statement, in the order of the text, and the innermost loop around it."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.stmt):
            yield part, loop
        yield from _statements(part, part if isinstance(part, ast.For) else loop)


def _carried(loop: ast.For) -> frozenset[str]:
    """The variables that the body of a loop reads before it assigns to them."""
    read, assigned = set[str](), set[str]()
    for node, _ in _statements(loop, None):
        parts = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.stmt)]
        inside = [name for part in parts for name in ast.walk(part) if isinstance(name, ast.Name)]
        loads = {name.id for name in inside if isinstance(name.ctx, ast.Load)}
        stores = {name.id for name in inside if isinstance(name.ctx, ast.Store)}
        read |= (loads | stores if isinstance(node, ast.AugAssign) else loads) - assigned
        assigned |= stores
    return frozenset(read & assigned)


def _names(target: ast.expr, line: int, item: bool = False) -> Iterator[Assignment]:
    if isinstance(target, ast.Name):
        yield Assignment(target.id, line, item=item)
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        yield Assignment(target.attr, line, of_self=True, item=item)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for part in target.elts:
            yield from _names(part, line, item)
    elif isinstance(target, ast.Starred):
        yield from _names(target.value, line, item)
    elif isinstance(target, ast.Subscript):
        yield from _names(target.value, line, item=True)
