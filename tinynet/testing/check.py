"""One check: what the gradients of a function claim at a point, and what is measured there."""

from __future__ import annotations

import numpy as np

from tinynet.testing.hints import hint
from tinynet.testing.lines import Lines
from tinynet.testing.subject import Arrays, Subject, is_floating
from tinynet.testing.verdict import CANNOT_TELL, RIGHT, WRONG, Report

SAME = 1e-9  # two calls may differ by this share of the largest number (a GPU adds in any order)


class Check:
    """A function of arrays with the gradients that it claims to have, at one point."""

    def __init__(self, subject: Subject, arrays: Arrays, seed: int):
        self.subject, self.random = subject, np.random.default_rng(seed)
        self.names = subject.names(len(arrays))
        self.arrays = [a.astype(np.float64) if is_floating(a) else a for a in arrays]
        try:
            self.outputs = subject.forward(self.arrays)
        except Exception:
            if all(a.dtype == b.dtype for a, b in zip(arrays, self.arrays, strict=True)):
                raise
            self.arrays = arrays  # a function that takes float32 only is measured in float32
            self.outputs = subject.forward(arrays)
        if not any(map(is_floating, self.outputs)):
            raise ValueError("no output is floating-point: there is nothing to differentiate")

    def run(self) -> Report:
        """Measure, unless something is wrong, or makes a verdict impossible, already without that."""
        problem = self._forward_problem()
        if problem is None:
            cotangents = self._cotangents()
            gradients = self.subject.backward(self.arrays, cotangents)
            problem = self._backward_problem(gradients, cotangents)
        if problem is not None:
            return Report(*problem, names=self.names, inputs=self.arrays)
        lines = self._lines(cotangents, gradients)
        lines.examine()
        if not lines.found:
            # Another cotangent, of other signs and sizes: what a backward pass returns has to be linear in it.
            cotangents = [-g * _short(self.random.uniform(1, 3, g.shape)) for g in cotangents]
            gradients = self.subject.backward(self.arrays, cotangents)
            second = self._lines(cotangents, gradients)
            second.examine(together=True)
            lines = second if second.found else lines
        return self._judged(lines)

    def _cotangents(self) -> Arrays:
        """Random numbers between 0.5 and 1.5, of either sign, for each output; zeros for integers."""
        signs = [self.random.choice([-1.0, 1.0], o.shape) * is_floating(o) for o in self.outputs]
        sizes = [self.random.uniform(0.5, 1.5, sign.shape) for sign in signs]
        return [sign * _short(size) for sign, size in zip(signs, sizes, strict=True)]

    def _forward_problem(self) -> tuple[str, str] | None:
        if self.subject.changed:
            return WRONG, f"forward changes its {self.subject.changed} in place: work on a copy"
        if not all(np.all(np.isfinite(o)) for o in self.outputs if is_floating(o)):
            return CANNOT_TELL, "the function is not finite at these inputs"
        again = self.subject.forward(self.arrays)
        if [o.shape for o in again] != [o.shape for o in self.outputs]:
            return CANNOT_TELL, "the function is not deterministic: two calls gave outputs of different shapes"
        gap = max(_gap(a, b) for a, b in zip(self.outputs, again, strict=True))
        if gap > SAME:
            return CANNOT_TELL, (
                f"the function is not deterministic: two calls differ by {gap:.2g} of the largest number; "
                "seed what is random inside it"
            )
        return None

    def _backward_problem(self, gradients: list[np.ndarray | None], cotangents: Arrays) -> tuple[str, str] | None:
        if self.subject.changed:
            return WRONG, f"backward changes its {self.subject.changed} in place: work on a copy"
        again = self.subject.backward(self.arrays, cotangents)
        for name, array, first, second in zip(self.names, self.arrays, gradients, again, strict=True):
            if first is None or second is None or not is_floating(array):
                continue
            if first.shape != array.shape:
                summed = " (not summed over what was broadcast?)" if first.size > array.size else ""
                return WRONG, f"the gradient of {name} has shape {first.shape}, {name} has {array.shape}{summed}"
            if _gap(first, second) > SAME:
                return WRONG, f"the gradient of {name} is another one at the second call: is an old sum added to?"
        return None

    def _lines(self, cotangents: Arrays, gradients: list[np.ndarray | None]) -> Lines:
        """A gradient that was not returned is zero; an integer input has none."""
        pairs = zip(self.arrays, gradients, strict=True)
        claimed = [None if not is_floating(a) else np.zeros(a.shape) if g is None else g for a, g in pairs]
        return Lines(self.names, self.subject, self.arrays, self.outputs, cotangents, claimed)

    def _judged(self, lines: Lines) -> Report:
        wrong = [element for element in lines.found if not element.doubt]
        doubtful = [element for element in lines.found if element.doubt]
        verdict = WRONG if wrong else CANNOT_TELL if doubtful else RIGHT
        reason = doubtful[0].doubt if doubtful else ""
        if wrong:
            least = "" if lines.complete else "at least "
            hints = hint(self.names, lines.gradients, lines.numerical, lines.error)
            reason = f"{least}{len(wrong)} of {lines.size} elements{hints}"
        report = Report(verdict, reason, wrong, doubtful, self.names, self.arrays, lines.cotangents)
        report.gradients, report.numerical, report.error = lines.gradients, lines.numerical, lines.error
        return report


def _short(numbers: np.ndarray) -> np.ndarray:
    """Numbers of few digits, which lose nothing in float32, nor does a product of two of them."""
    return np.round(numbers * 256) / 256


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, as a share of the largest number."""
    if not a.size or np.array_equal(a, b, equal_nan=is_floating(a)):
        return 0.0
    gap = float(np.max(np.abs(a.astype(float) - b)) / np.max(np.abs(a)))
    return gap if np.isfinite(gap) else np.inf
