"""A derivative rule with one place of its source changed: an operator, a constant, a name, a call."""

from __future__ import annotations

import ast
import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

OPPOSITE: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Gt: ast.Lt,
    ast.Lt: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
KINDS = {ast.Add: "sign", ast.Sub: "sign", ast.Mult: "factor", ast.Div: "factor", ast.Pow: "factor"}

Edited = tuple[str, ast.AST]  # the kind of change and what stands there now
Rewritten = tuple[str, str, Callable[..., Any]]  # its kind, what it is, the function


def rewritten(rule: Callable[..., Any]) -> Iterator[Rewritten]:
    """The rule with every single edit, of itself and of the plain functions that it calls."""
    yield from _edited(rule)
    for name in dict.fromkeys(_names(rule.__code__)):
        helper = rule.__globals__.get(name)
        if inspect.isfunction(helper) and helper.__module__.startswith("tinynet.primitives"):
            for kind, what, other in _edited(helper):
                around = {**rule.__globals__, name: other}
                yield kind, f"{name}: {what}", FunctionType(rule.__code__, around, rule.__name__, rule.__defaults__)


def _names(code: CodeType) -> list[str]:
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _names(c)]
    return [*code.co_names, *inner]


def _edited(function: Callable[..., Any]) -> Iterator[Rewritten]:
    tree = _tree(function)
    parameters = [a.arg for a in (*tree.args.posonlyargs, *tree.args.args)]
    for number, node in enumerate(ast.walk(tree)):
        for kind, other in _edits(node, parameters):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[number]
            changed = _Replaced(target, other).visit(changed)
            yield kind, f"{ast.unparse(node)} → {ast.unparse(other)}", _compiled(changed, function)


def _tree(function: Callable[..., Any]) -> Any:
    """The source of a function: of a lambda, the one on its line that does the same (a forward comes first)."""
    module = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    if function.__name__ != "<lambda>":
        return next(n for n in ast.walk(module) if isinstance(n, ast.FunctionDef) and n.name == function.__name__)
    first = function.__code__.co_firstlineno
    there = [node for node in ast.walk(module) if isinstance(node, ast.Lambda) and node.lineno == first]
    same = [node for node in there if _compiled(node, function).__code__.co_code == function.__code__.co_code]
    return (same or there)[-1]


def _compiled(tree: Any, like: Callable[..., Any]) -> Any:
    around = dict(like.__globals__)
    if isinstance(tree, ast.Lambda):
        return eval(compile(ast.fix_missing_locations(ast.Expression(tree)), "<mutant>", "eval"), around)
    exec(compile(ast.fix_missing_locations(ast.Module([tree], [])), "<mutant>", "exec"), around)
    return around[tree.name]


class _Replaced(ast.NodeTransformer):
    def __init__(self, target: ast.AST, other: ast.AST):
        self.target, self.other = target, other

    def visit(self, node: ast.AST) -> Any:
        return self.other if node is self.target else super().visit(node)


def _edits(node: ast.AST, parameters: list[str]) -> Iterator[Edited]:
    if isinstance(node, ast.BinOp):
        yield from _of_operation(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", node.operand
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPPOSITE:
        first, *rest = node.ops
        yield "condition", ast.Compare(node.left, [OPPOSITE[type(first)](), *rest], node.comparators)
    elif isinstance(node, ast.IfExp):
        yield from (("condition", node.body), ("condition", node.orelse))
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in parameters:
        yield from (("swapped", ast.Name(other, ast.Load())) for other in parameters if other != node.id)


def _of_operation(node: ast.BinOp) -> Iterator[Edited]:
    if type(node.op) in OPPOSITE:
        yield KINDS[type(node.op)], ast.BinOp(node.left, OPPOSITE[type(node.op)](), node.right)
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
        lost = "term" if isinstance(node.op, (ast.Add, ast.Sub)) else "factor"
        yield f"dropped {lost}", node.left
        yield f"dropped {lost}", node.right


def _of_constant(node: ast.Constant) -> Iterator[Edited]:
    if isinstance(node.value, bool):
        yield "condition", ast.Constant(not node.value)
    elif isinstance(node.value, (int, float)):
        yield "constant", ast.Constant(node.value + 1)


def _of_call(node: ast.Call) -> Iterator[Edited]:
    """Without the call, and with its first two arguments exchanged."""
    if node.args and not isinstance(node.args[0], ast.Starred):
        yield "dropped call", node.args[0]
    if len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
        first, second, *rest = node.args
        yield "swapped", ast.Call(node.func, [second, first, *rest], node.keywords)
