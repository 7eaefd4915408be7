"""Somebody's code instead of arrays: its variables are compared, with a run or with its own forward pass."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinynet.debug.arrays import read
from tinynet.debug.compare import Report, compared, wrong_values
from tinynet.debug.data import data_among
from tinynet.debug.names import Matched, match
from tinynet.debug.own_gradients import Chosen, choose
from tinynet.debug.plain_numbers import plain_parameters, traced_with
from tinynet.debug.program import Program
from tinynet.debug.rest import add_the_rest
from tinynet.debug.variables import Collector
from tinynet.from_script import arguments_of, failing, function_of
from tinynet.run import INITIAL, Run, time_label
from tinynet.tracing import copies
from tinynet.tracing.outside import arrays_outside, module_of, parts_of

MOST_LINES = 20  # that are tried for variables which several lines assign to


def compare_gradients(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Report:
    """Compare the gradients that NumPy code computes by hand with those that its own forward pass should have.

    ``print(tn.debug.compare_gradients(step, x, y))``: the function computes a loss, then gradients, with arrays that it
    is given or that its module holds; it returns the loss, or calls it ``loss``. Gradients are known by their names:
    ``dW`` for ``W``. What the forward pass computes is taken for right. The report is ``ok`` where the gradients of all
    parameters were compared, and agree. Raises ValueError without a loss, where no variable is a gradient, and for a
    forward pass that cannot be traced.
    """
    return compare_code(function, arguments, named)


def compare_code(
    function: Callable[..., Any],
    arguments: tuple,
    named: dict[str, Any],
    run: Run | None = None,
    mapping: Mapping[str, str] | None = None,
    **options: Any,
) -> Report:
    """As ``compare``, of the variables of a function, with ``run``; without one, as ``compare_gradients``."""
    with failing(function.__name__), copies(function, arguments, named) as (own, given, by_name):
        found = Collector()
        with found.collecting():
            result = own(*given, **by_name)
        kept = dict(_attributes(own, given, by_name))
    returned = found.returned(result)
    handed_out = {name: item for name, (item, _) in returned.items()}
    mine = handed_out | kept | found.numbers() | handed_out
    if run is not None:
        report = compared(run, match(run, read(mine), mapping), leaves_others=True, **options)
        _count_from_initial(report.matched.sources, mine)
        return report
    plain = plain_parameters({**module_of(function), **named}, _arrays(mine))
    book, lost = _traced(function, arguments, named, plain)
    chosen = _chosen(function.__name__, book, found, mine, mapping, options.get("tolerance"))
    sources = chosen.matched.sources
    sources.update({index: returned[name][1] for index, name in sources.items() if name in returned})
    report = _explained(book, chosen, options)
    data = data_among(chosen.missing, inspect.signature(function).parameters, chosen.gradients)
    missing = tuple(name for name in chosen.missing if name not in data) + lost
    report = replace(report, gradients=chosen.gradients, missing=missing, data=data)
    _check_loss(function.__name__, report)
    return report


def _chosen(
    name: str,
    book: Run,
    found: Collector,
    mine: dict[str, Any],
    mapping: Mapping[str, str] | None,
    tolerance: float | None,
) -> Chosen:
    """Which of the variables ``mine`` of a function are compared with its run."""
    arrays, program = _computed(read(mine), mine, book), Program(book.astype(np.float64))
    matched = _matched(book, program, arrays, mine, mapping, tolerance)
    add_the_rest(book, matched, arrays, found.inside(), mine)
    chosen = choose(program, matched, name, found.own, tolerance)
    _count_from_initial(matched.sources, mine)
    return chosen


def _traced(
    function: Callable[..., Any], arguments: tuple, named: dict[str, Any], plain: Mapping[str, np.ndarray]
) -> tuple[Run, tuple[str, ...]]:
    """The run of a function, and the parameters that are plain numbers, which could not be followed as arrays."""
    try:
        return traced_with(function, arguments, named, plain), ()
    except Exception:  # code may do with a number what an array has no counterpart of
        if not plain:
            raise
    return traced_with(function, arguments, named, {}), tuple(plain)


def _arrays(mine: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: item for name, item in mine.items() if isinstance(item, np.ndarray)}


def compare_script(
    reference: str, arrays: Mapping[str, Any], run: Run | None, mapping: Mapping[str, str], **options: Any
) -> Report:
    """As ``compare_code``, of ``path/to/script.py:function``.

    The function gets arrays called like its parameters: those given, the run's leaves (also by what ``mapping`` says),
    or those of its module.
    """
    function = function_of(reference)
    leaves = {} if run is None else {str(leaf.name): leaf.array for leaf in run.leaves}
    short = {name.rpartition(".")[2]: array for name, array in leaves.items()}
    mapped = {mine: leaves[ours] for mine, ours in mapping.items() if ours in leaves}
    known = {**module_of(function), **short, **leaves, **mapped, **arrays}
    given = arguments_of(function, reference, known, ", or define them in the script")
    return compare_code(function, (), given, run, mapping=mapping, **options)


# Which variable is which gradient


def _attributes(function: Callable[..., Any], arguments: tuple, named: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The arrays that objects keep in the end, by their paths: ``layers.0.dW``."""
    bound = inspect.signature(function).bind(*arguments, **named)
    bound.apply_defaults()
    outside = {name: module_of(function)[name] for name in arrays_outside(function)}
    owner = parts_of(getattr(function, "__self__", None))
    seen = set[int]()
    waiting = [(label, item) for known in (owner, bound.arguments, outside) for label, item in known.items()]
    while waiting:
        label, item = waiting.pop()
        if isinstance(item, np.ndarray):
            yield label, item
        elif id(item) not in seen:
            seen.add(id(item))
            waiting += [(f"{label}.{key}", part) for key, part in parts_of(item).items()]


def _computed(arrays: dict[str, np.ndarray], mine: dict[str, Any], book: Run) -> dict[str, np.ndarray]:
    """Without integers, which are part of the program, and what was given: that may be updated in the end."""
    given, found = {str(leaf.name): leaf.shape for leaf in book.leaves}, dict[str, np.ndarray]()
    for name, array in arrays.items():
        if array.dtype.kind == "f" and name not in given:
            called = _as_ours(name, array.shape, given)
            found.setdefault(called, array)
            mine.setdefault(called, mine[name])
    return found


def _as_ours(name: str, shape: tuple[int, ...], given: dict[str, tuple[int, ...]]) -> str:
    """``layers.0.dW`` is the gradient of ``layers.0.W``, ``W.grad`` that of ``W.data``."""
    front, _, last = name.rpartition(".")
    gradient = re.fullmatch(r"(?:d|grad)_?(\w+)", last)
    if front and gradient and f"{front}.{gradient[1]}" in given:
        return f"d_{front}.{gradient[1]}"
    beside = [leaf for leaf, size in given.items() if leaf.rpartition(".")[0] == front and size == shape]
    return f"d_{beside[0]}" if front and len(beside) == 1 and last in ("grad", "gradient", "d", "g", "dw") else name


def _matched(
    book: Run,
    program: Program,
    arrays: dict[str, np.ndarray],
    mine: Mapping[str, Any],
    mapping: Mapping[str, str] | None,
    tolerance: float | None,
) -> Matched:
    """By the names of variables. Where several lines assign to one, the line counts whose numbers are most right."""
    best = match(book, arrays, mapping, as_ours=True)
    quality = _quality(program, best, tolerance)
    last = {name: np.asarray(list(mine[name].values())[-1]) for name in arrays if isinstance(mine[name], Mapping)}
    unknown = {item.name for item in best.unmatched}
    trials: list[dict[str, np.ndarray]] = [{name: array for name, array in last.items() if name in unknown}]
    trials += list(_exchanged(arrays))[:MOST_LINES]
    for trial in trials:  # the first: instead of a sum over time its last term, which ``=`` in place of ``+=`` leaves
        found = match(book, arrays | trial, mapping, as_ours=True)
        if _quality(program, found, tolerance) > quality:
            arrays, best, quality = arrays | trial, found, _quality(program, found, tolerance)
    return best


def _exchanged(arrays: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Each variable with the numbers of another line that assigns to it."""
    for other in arrays:
        variable, _, line = other.partition(" (line ")
        if line and variable in arrays:
            yield {variable: arrays[other], other: arrays[variable]}


def _quality(program: Program, matched: Matched, tolerance: float | None) -> tuple[int, int]:
    """How many gradients of parameters were found, and how few of all numbers are wrong."""
    owners = [program.recorded.values[index].of for index in matched.arrays]
    found = sum(owner is not None and owner.kind == "parameter" for owner in owners)
    return found, -len(wrong_values(program, matched, tolerance))


def _explained(book: Run, chosen: Chosen, options: dict[str, Any]) -> Report:
    """With what may have been used as it is called, if one reason, or one as short, reproduces that too."""
    report = compared(book, chosen.matched, leaves_others=True, **options)
    if not chosen.undecided or _mistakes(report) == 1:
        return report
    fewer = {index: array for index, array in chosen.matched.arrays.items() if index not in chosen.undecided}
    without = compared(book, replace(chosen.matched, arrays=fewer), leaves_others=True, **options)
    return without if _mistakes(without) < _mistakes(report) or not np.isfinite(_mistakes(report)) else report


def _mistakes(report: Report) -> float:
    """How many together are the reason; infinitely many where none was found."""
    found = report.diagnosis.explanations if report.diagnosis is not None else ()
    return min((len(explanation.sentences) for explanation in found), default=np.inf)


def _check_loss(name: str, report: Report) -> None:
    """Raise ValueError where what was traced is not what was called."""
    loss = report.run.loss
    if loss is not None and str(loss.quantity) in report.differing:
        raise ValueError(
            f"the loss of {name} is another when it is traced than when it is called: it does something to its arrays "
            "that cannot be followed, or gives other numbers each time"
        )


def _count_from_initial(sources: dict[int, str], mine: Mapping[str, Any]) -> None:
    """Let ``h[0]`` of a variable that begins with what it was before the loop be that of the first time step."""
    names = {name for name, item in mine.items() if isinstance(item, Mapping) and INITIAL in item}
    for index, source in sources.items():
        name, _, place = source.removesuffix("]").rpartition("[")
        if name in names and place.isdigit():
            sources[index] = f"{name}[{time_label(int(place) - 1)}]"
