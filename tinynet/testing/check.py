"""One check: what the gradients of a function claim at a point, and what is measured there."""

from __future__ import annotations

import numpy as np

from tinynet.testing.contract import backward_problem, forward_problem, linear_problem, unused_cotangents
from tinynet.testing.hints import hint
from tinynet.testing.lines import Lines, eps_of
from tinynet.testing.search import Search
from tinynet.testing.subject import Arrays, Subject, is_floating
from tinynet.testing.verdict import CANNOT_TELL, RIGHT, WRONG, Report


class Check:
    """A function of arrays with the gradients that it claims to have, at one point."""

    def __init__(self, subject: Subject, arrays: Arrays, seed: int):
        self.subject, self.random = subject, np.random.default_rng(seed)
        self.names, self.given = subject.names(len(arrays)), arrays
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
        problem = forward_problem(self.subject, self.arrays, self.outputs)
        if problem is not None:
            return self._without_numbers(problem)
        cotangents = self._cotangents()
        gradients = self.subject.backward(self.arrays, cotangents)
        problem = backward_problem(self.subject, self.arrays, self.names, gradients, cotangents)
        if problem is not None:
            return self._without_numbers(problem)
        search = self._search(cotangents, gradients)
        search.run()
        searches = [search]
        if not (search.found or search.unexplained):
            # Another cotangent, of other signs and sizes: what a backward pass returns has to be linear in it.
            others = [-g * _short(self.random.uniform(1, 3, g.shape)) for g in cotangents]
            searches.append(self._search(others, self.subject.backward(self.arrays, others)))
            searches[1].run(together=True)
        report = self._judged(searches)
        if report.verdict != WRONG:
            problem = linear_problem(self.subject, self.arrays, self.names, gradients, cotangents)
            report = report if problem is None else self._without_numbers(problem)
        return report

    def _cotangents(self) -> Arrays:
        """Random numbers between 0.5 and 1.5, of either sign, for each output; zeros for integers."""
        signs = [self.random.choice([-1.0, 1.0], o.shape) * is_floating(o) for o in self.outputs]
        sizes = [self.random.uniform(0.5, 1.5, sign.shape) for sign in signs]
        return [sign * _short(size) for sign, size in zip(signs, sizes, strict=True)]

    def _search(self, cotangents: Arrays, gradients: list[np.ndarray | None]) -> Search:
        """A gradient that was not returned is zero; an integer input has none."""
        pairs = zip(self.arrays, gradients, strict=True)
        claimed = [None if not is_floating(a) else np.zeros(a.shape) if g is None else g for a, g in pairs]
        precisions = [eps_of(a) for a in self.given]
        return Search(self.names, Lines(self.subject, self.arrays, self.outputs, cotangents, claimed, precisions))

    def _without_numbers(self, problem: tuple[str, str]) -> Report:
        return Report(*problem, names=self.names, inputs=self.arrays)

    def _judged(self, searches: list[Search]) -> Report:
        """The report of the last search that has found something, or of the first."""
        search = searches[-1] if searches[-1].found or searches[-1].unexplained else searches[0]
        lines = search.lines
        wrong = [element for element in search.found if not element.doubt]
        doubtful = [element for element in search.found if element.doubt]
        verdict = WRONG if wrong else CANNOT_TELL if doubtful or search.unexplained else RIGHT
        reasons = [doubtful[0].doubt] if doubtful else [search.unexplained] if search.unexplained else []
        if wrong:
            least = "at least " if search.enough else ""
            hints = hint(self.names, lines.gradients, search.numerical, search.error)
            unused = unused_cotangents(self.subject, self.arrays, self.names, lines.gradients, lines.cotangents)
            reasons = [f"{least}{len(wrong)} of {lines.size} elements{hints}", *unused]
        report = Report(verdict, "; ".join([*reasons, *self._coarse(lines)]), wrong, doubtful, self.names, self.arrays)
        report.cotangents, report.gradients = lines.cotangents, lines.gradients
        report.numerical, report.error = search.numerical, search.error
        report.precision = max(each.agreement.precision for each in searches)
        return report

    def _coarse(self, lines: Lines) -> list[str]:
        """What is said of gradients that lose digits."""
        dtypes = [(self.names[i], np.asarray(lines.gradients[i]).dtype, self.given[i].dtype) for i in lines.too_coarse]
        return [f"the gradient of {name} has dtype {own}, {name} has {given}" for name, own, given in dtypes]


def _short(numbers: np.ndarray) -> np.ndarray:
    """Numbers of few digits, which lose nothing in float32, nor does a product of two of them."""
    return np.round(numbers * 256) / 256
