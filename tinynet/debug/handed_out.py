"""The gradients that somebody's function returns: they count, not the variables that they are made from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

import numpy as np

from tinynet.debug.held import GRADIENT, flat
from tinynet.tracing.loops import source_of

SCALING = ast.BinOp, ast.Mult, ast.Div, ast.Add, ast.UnaryOp, ast.USub, ast.Name, ast.Load, ast.Constant
RATE = re.compile(r"l_?r|eta|alpha|rate|step_size|learning_?rate", re.IGNORECASE)  # what belongs to an update


def handed_out(code: CodeType, line: int, result: Any) -> Iterator[tuple[str, Any, str]]:
    """By the names of gradients, what the ``return`` in a line has handed out, and how it stands there.

    ``{"W": dW / 5}`` hands out ``d_W``, and ``dW * 2`` is ``dW`` too.
    """
    source = source_of(code)
    returns = [node for node in ast.walk(source.tree) if isinstance(node, ast.Return)] if source else []
    for node in returns:
        if source and node.value and node.lineno <= line - source.offset <= (node.end_lineno or node.lineno):
            yield from _parts(node.value, result)


def _parts(node: ast.expr, item: Any) -> Iterator[tuple[str, Any, str]]:
    if isinstance(node, ast.Tuple) and isinstance(item, (tuple, list)) and len(node.elts) == len(item):
        for element, part in zip(node.elts, item, strict=True):
            yield from _parts(element, part)
    elif isinstance(node, ast.Dict) and isinstance(item, Mapping):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value in item:
                yield from _by_key(key.value, value, item[key.value])
    elif isinstance(item, np.ndarray):
        of = _gradients_in(node)
        if len(of) == 1 and isinstance(node, ast.BinOp) and all(isinstance(x, SCALING) for x in ast.walk(node)):
            yield of.pop(), item, ast.unparse(node)
    elif isinstance(item, Mapping):
        for label, numbers in flat(node.id if isinstance(node, ast.Name) else "", item):
            if GRADIENT.match(label):
                yield label, numbers, label


def _by_key(key: str, node: ast.expr, item: Any) -> Iterator[tuple[str, Any, str]]:
    label = key if GRADIENT.match(key) else f"d_{key}"
    if isinstance(item, np.ndarray) and (label == key or _gradients_in(node)):
        yield label, item, label


def _gradients_in(node: ast.expr) -> set[str]:
    """The gradients that an expression is made of, unless it is an update."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    if any(RATE.fullmatch(name) for name in names) or any(isinstance(part, ast.Sub) for part in ast.walk(node)):
        return set()
    return {name for name in names if GRADIENT.match(name)}
