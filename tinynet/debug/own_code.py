"""Somebody's code instead of his arrays: its variables are compared, with a run or with its own forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinynet.debug.arrays import read
from tinynet.debug.compare import Report, compared
from tinynet.debug.names import match
from tinynet.debug.variables import variables
from tinynet.from_script import arguments_of, failing, function_of
from tinynet.run import INITIAL, Run, time_label
from tinynet.tracing import copies, trace_loss
from tinynet.tracing.outside import module_of


def check_backward(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Report:
    """Compare the gradients that NumPy code computes by hand with those that its own forward pass should have.

    ``print(tn.debug.check_backward(step, x, y))``: the function computes a loss, then gradients, with arrays that it
    is given or that its module holds; it returns the loss, or calls it ``loss``. Gradients are known by their names:
    ``dW`` for ``W``. What the forward pass computes is taken for right. Raises ValueError without a loss, where no
    variable is a gradient, and as ``trace`` does for a forward pass that cannot be traced.
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
    """As ``compare``, of the variables of a function, with ``run``; without one, as ``check_backward``."""
    with failing(function.__name__), copies(function, arguments, named) as (own, given, by_name):
        mine = variables(own, *given, **by_name)
    book = trace_loss(function, *arguments, **named) if run is None else run
    arrays = read(mine)
    if run is None:  # integers are part of the program, and what is given may be updated in the end
        given_names = {str(leaf.name) for leaf in book.leaves}
        arrays = {name: a for name, a in arrays.items() if a.dtype.kind == "f" and name not in given_names}
    matched = match(book, arrays, mapping, as_ours=run is None)
    _count_from_initial(matched.sources, {name for name, item in mine.items() if _starts_before(item)})
    report = compared(book, matched, leaves_others=True, **options)
    if run is None:
        _check_forward(function.__name__, report)
    return report


def _starts_before(item: Any) -> bool:
    return isinstance(item, Mapping) and INITIAL in item


def _count_from_initial(sources: dict[int, str], names: set[str]) -> None:
    """Let ``h[0]`` of a variable that begins with what it was before the loop be that of the first time step."""
    for index, source in sources.items():
        name, _, place = source.removesuffix("]").rpartition("[")
        if name in names and place.isdigit():
            sources[index] = f"{name}[{time_label(int(place) - 1)}]"


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


def _check_forward(name: str, report: Report) -> None:
    """Raise ValueError for a comparison that says nothing about a backward pass."""
    values = report.run.values
    if not any(values[index].of is not None for index in report.matched.arrays):
        raise ValueError(f"no variable of {name} could be told to be a gradient: call that of W dW, of h dh")
    loss = report.run.loss
    if loss is not None and str(loss.quantity) in report.differing:
        raise ValueError(
            f"the loss of {name} is another when it is traced than when it is called: it does something to its arrays "
            "that cannot be followed, or gives other numbers each time"
        )
