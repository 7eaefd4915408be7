"""The gradients of parameters that no sure name says: by what is left, or by what the code adds to its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinynet.debug.leftovers import left_over
from tinynet.debug.names import Matched
from tinynet.run import Run, Value


class Step(NamedTuple):
    """What is taken off a parameter: a number, which is positive, times its gradient."""

    taken: np.ndarray
    source: str


def add_the_rest(
    book: Run,
    matched: Matched,
    arrays: Mapping[str, np.ndarray],
    inside: Mapping[str, np.ndarray],
    ends: Mapping[str, Any],
) -> None:
    """Add to ``matched`` the gradients of parameters that are not among its arrays.

    ``arrays`` are all variables, ``inside`` those in dicts by the dict's name, ``ends`` what parameters are in the end.
    """
    gradients = {value: gradient.index for value, gradient in book.total_gradients.items()}
    parameters = {str(of.name): of for of in gradients if of.kind == "parameter"}
    missing = {name: of for name, of in parameters.items() if gradients[of] not in matched.arrays}
    known = [matched.arrays[index] for index in gradients.values() if index in matched.arrays]
    used = {matched.sources[index].removeprefix("-") for index in gradients.values() if index in matched.arrays}
    unknown = {name: array for name, array in arrays.items() if not any(_is_of(source, name) for source in used)}
    unknown |= {name: a for name, a in inside.items() if not any(np.array_equal(a, other) for other in known)}
    found = left_over(unknown, {name: of.shape for name, of in missing.items()})
    added = {parameter: (unknown[name], name) for name, parameter in found.items()}
    for steps in (_named(arrays, parameters), _made(ends, parameters)):
        rate = _rate(steps, {name: book.values[gradients[of]].array for name, of in parameters.items()})
        if rate is not None:
            divided = "" if np.isclose(rate, 1) else f" / {rate:.6g}"
            for name in (steps.keys() & missing.keys()) - added.keys():
                added[name] = steps[name].taken / rate, f"{steps[name].source}{divided}"
    for name, (array, source) in added.items():
        index = gradients[parameters[name]]
        matched.arrays[index], matched.sources[index] = array, source
    matched.unmatched = [item for item in matched.unmatched if item.name not in found]


def _is_of(source: str, name: str) -> bool:
    """``dx[:, 2]`` and ``dx.T`` are of ``dx``."""
    return source == name or source.startswith((f"{name}[", f"{name}.T"))


def _named(arrays: Mapping[str, np.ndarray], parameters: Mapping[str, Value]) -> dict[str, Step]:
    """What is called an update, and is added: ``W_update``."""
    found = {}
    for name, of in parameters.items():
        last = name.rpartition(".")[2]
        for called in (f"{last}_update", f"update_{last}", f"{name}_update"):
            if called in arrays and arrays[called].shape == of.shape:
                found[name] = Step(-arrays[called], f"-{called}")
    return found


def _made(ends: Mapping[str, Any], parameters: Mapping[str, Value]) -> dict[str, Step]:
    """By how much the parameters are less in the end."""
    found = {}
    for name, of in parameters.items():
        end = ends.get(name)
        if isinstance(end, np.ndarray) and end.shape == of.shape and not np.array_equal(end, of.array):
            found[name] = Step(np.asarray(of.array, float) - end, f"({name} before - after)")
    return found


def _rate(steps: Mapping[str, Step], ours: Mapping[str, np.ndarray]) -> float | None:
    """The number by which a gradient is multiplied, if it is the same, and positive, for some whole parameter."""
    return next((rate for name, step in steps.items() for rate in _ratio(step.taken, ours[name])), None)


def _ratio(taken: np.ndarray, ours: np.ndarray) -> Iterator[float]:
    size = float(np.sum(ours * ours))
    ratio = float(np.sum(taken * ours)) / size if size else 0.0
    if ours.size > 1 and ratio > 0 and np.allclose(taken, ratio * ours, rtol=1e-6, atol=1e-9 * np.abs(taken).max()):
        yield ratio
