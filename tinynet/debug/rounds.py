"""Rounds of training as the steps of a series: what an optimiser remembers goes on from one to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinynet.run import INITIAL, Run, Value


def as_series(run: Run) -> Run:
    """The run with ``m_w``, ``m_w#2`` … as ``m_w[0]``, ``m_w[1]`` …, and ``old_m_w`` as the initial one.

    So do the gradients of parameters, and the updated ones. Values keep their indexes. Where an optimiser remembers
    nothing, it is the run itself.
    """
    if not remembers(run):
        return run
    out = Run()
    out.description, out.title = run.description, run.title
    following = {v.copy_of.index: v for v in reversed(run.values) if v.copy_of is not None}
    out.values = [replace(value, **_labels(value, following.get(value.index))) for value in run.values]
    for value in out.values:
        value.link_to(out.values)
    for step in run.steps:
        operands = tuple(out.values[o.index] if isinstance(o, Value) else o for o in step.operands)
        time = step.output.update if step.phase == "update" else step.time
        out.steps.append(replace(step, operands=operands, output=out.values[step.output.index], time=time))
    out.loss = None if run.loss is None else out.values[run.loss.index]
    return out


def remembers(run: Run) -> bool:
    """Whether an optimiser of the run remembers something, as Adam does."""
    return any(value.beside is not None for value in run.values)


def smaller_numbers(run: Run) -> dict[int, Any]:
    """The numbers of an optimiser that remembers something, a little smaller: they stay where they may be."""
    return {value.index: 0.9 * value.array for value in numbers_of(run)}


def numbers_of(run: Run) -> list[Value]:
    """The hyper-parameters of a run whose optimiser remembers something."""
    return [value for value in run.leaves if value.kind == "hyperparameter" and remembers(run)]


def _labels(value: Value, following: Value | None) -> dict[str, Any]:
    """What becomes of the name of a value; ``following`` is what took its place in the first round."""
    if value.time is not None:
        return {}
    if value.kind == "state":
        return {} if following is None else {"quantity": _in_scope(following), "time": INITIAL, "update": 0}
    if is_of_a_round(value):
        return {"quantity": _in_scope(value), "time": value.update, "update": 0}
    return {}


def is_of_a_round(value: Value) -> bool:
    """Whether a value is what an optimiser computes or remembers, or a parameter's gradient."""
    of = value.of
    gradient = of is not None and value.share is None and (of.kind == "parameter" or of.copy_of is not None)
    return gradient or value.kind == "state" or value.beside is not None or value.copy_of is not None


def _in_scope(value: Value) -> str:
    """``m_lstm.weight`` is ``lstm.m_weight``, with the scope in front as that of all other quantities."""
    quantity = str(value.quantity)
    if value.beside is None:
        return quantity
    whole = str(value.beside.quantity)
    scope, dot, last = whole.rpartition(".")
    return f"{scope}{dot}{quantity.replace(whole, last)}"
