"""What has to hold of a function and its backward pass before anything is measured, and besides that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinynet.testing.subject import Arrays, HandWritten, Subject, is_floating
from tinynet.testing.verdict import CANNOT_TELL, WRONG

SAME = 1e-9  # two calls may differ by this share of the largest number (a GPU adds in any order)
TIMES = 1024.0  # the cotangent, at which a gradient has to be as many times what it was, to the last digit

Problem = tuple[str, str]  # a verdict and its reason
Gradients = Sequence[np.ndarray | None]


def forward_problem(subject: Subject, arrays: Arrays, outputs: Arrays) -> Problem | None:
    """What is wrong with outputs already, or makes a verdict impossible."""
    if subject.changed:
        return WRONG, f"forward changes its {subject.changed} in place: work on a copy"
    if not all(np.all(np.isfinite(o)) for o in outputs if is_floating(o)):
        return CANNOT_TELL, "the function is not finite at these inputs"
    again = subject.forward(arrays)
    if [o.shape for o in again] != [o.shape for o in outputs]:
        return CANNOT_TELL, "the function is not deterministic: two calls gave outputs of different shapes"
    gap = max(_gap(a, b) for a, b in zip(outputs, again, strict=True))
    if gap > SAME:
        return CANNOT_TELL, (
            f"the function is not deterministic: two calls differ by {gap:.2g} of the largest number; "
            "seed what is random inside it"
        )
    return None


def backward_problem(
    subject: Subject, arrays: Arrays, names: Sequence[str], gradients: Gradients, cotangents: Arrays
) -> Problem | None:
    """What is wrong with gradients already without a look at their numbers."""
    if subject.changed:
        return WRONG, f"backward changes its {subject.changed} in place: work on a copy"
    again = subject.backward(arrays, cotangents)
    for name, array, first, second in zip(names, arrays, gradients, again, strict=True):
        if first is None or second is None or not is_floating(array):
            continue
        if first.shape != array.shape:
            summed = " (not summed over what was broadcast?)" if first.size > array.size else ""
            if isinstance(subject, HandWritten) and not subject.cache and len(cotangents) == 2:
                summed = " (where the second output is a cache, say cache=True)"
            return WRONG, f"the gradient of {name} has shape {first.shape}, {name} has {array.shape}{summed}"
        if _gap(first, second) > SAME:
            return WRONG, f"the gradient of {name} is another one at the second call: is an old sum added to?"
    again_with_it = subject.twice(arrays, cotangents) if isinstance(subject, HandWritten) and subject.cache else []
    if any(_gap(first, second) > SAME for first, second in again_with_it):
        return WRONG, "backward changes its cache in place: a second call with the same cache gives another gradient"
    return None


def linear_problem(
    subject: Subject, arrays: Arrays, names: Sequence[str], gradients: Gradients, cotangents: Arrays
) -> Problem | None:
    """Where gradients are not linear in the cotangents: not zero for zero, or another multiple for large ones."""
    for name, _, none in _finite(names, gradients, subject.backward(arrays, [0 * g for g in cotangents])):
        if np.any(none != 0):
            worst = none[none != 0][0]
            return (
                WRONG,
                f"the gradient of {name} is not linear in the cotangent: of a cotangent of 0 it is {worst:.3g}",
            )
    for name, once, large in _finite(names, gradients, subject.backward(arrays, [TIMES * g for g in cotangents])):
        least, most = (float(limit) for limit in (np.finfo(large.dtype).tiny, np.finfo(large.dtype).max))
        normal = (np.abs(once) < most / TIMES) & ((once == 0) | (np.abs(once) > least))
        if _gap(np.where(normal, TIMES * once, 0), np.where(normal, large, 0)) > SAME:
            return WRONG, (
                f"the gradient of {name} is not linear in the cotangent: "
                f"it is not {TIMES:g} times as large for {TIMES:g} times the cotangent"
            )
    return None


def unused_cotangents(
    subject: Subject, arrays: Arrays, names: Sequence[str], gradients: Gradients, cotangents: Arrays
) -> list[str]:
    """What is said of gradients that are the same, and not zero, for other cotangents."""
    pairs = _finite(names, gradients, subject.backward(arrays, [-2 * g for g in cotangents]))
    same = [name for name, first, second in pairs if np.any(first != 0) and np.array_equal(first, second)]
    return [f"the gradient of {name} does not depend on the cotangent" for name in same]


def _finite(names: Sequence[str], first: Gradients, second: Gradients) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Pairs of gradients of the same input, where the first is finite."""
    for name, one, other in zip(names, first, second, strict=True):
        if one is not None and other is not None and is_floating(one) and is_floating(other):
            finite = np.isfinite(one)
            yield name, np.where(finite, one, 0).astype(np.float64), np.where(finite, other, 0).astype(other.dtype)


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, as a share of the largest number."""
    if not a.size or np.array_equal(a, b, equal_nan=is_floating(a)):
        return 0.0
    gap = float(np.max(np.abs(a.astype(float) - b)) / np.max(np.abs(a)))
    return gap if np.isfinite(gap) else np.inf
