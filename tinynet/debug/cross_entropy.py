"""The cross-entropies of a run, and other ways to compute them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinynet import primitives as P
from tinynet.debug.program import Array, Compute, Look, Program
from tinynet.run import Value


@dataclass(frozen=True)
class CrossEntropy:
    """One cross-entropy: its scores, the places of the targets along an axis, the probabilities and the losses."""

    scores: Value
    target: Value
    axis: int
    p: Value
    nll: Value

    def of_probabilities(self, epsilon: float) -> Compute:
        """−ln(p + ε)."""
        return lambda look, *operands: -P.log(self._picked(look(self.p.index), look) + epsilon)

    def of_scores(self, scores: int) -> Compute:
        """ln Σ e^s − s, of any scores s."""

        def compute(look: Look, *operands: Array) -> Array:
            s = look(scores)
            return P.log(P.sum(P.exp(s), axis=self.axis, keepdims=True)) - self._picked(s, look)

        return compute

    def unshifted(self, look: Look, *operands: Array) -> Array:
        """p, without the largest score taken off first: it overflows."""
        e = P.exp(look(self.scores.index))
        return e / P.sum(e, axis=self.axis, keepdims=True)

    def gradient(self, arrived: int) -> Compute:
        """p, less 1 at the target, times the gradient that has ``arrived``."""
        ones, classes = np.ones(self.nll.shape), self.scores.shape[self.axis]

        def compute(look: Look, *operands: Array) -> Array:
            at_target = P.put_along_axis(ones, look(self.target.index), axis=self.axis, size=classes)
            return (look(self.p.index) - at_target) * look(arrived)

        return compute

    def _picked(self, x: Array, look: Look) -> Array:
        return P.take_along_axis(x, look(self.target.index), axis=self.axis)


def cross_entropies(program: Program) -> Iterator[CrossEntropy]:
    """Every cross-entropy, by the quantities of its definition."""
    values = program.run.values
    for p in (v for v in values if str(v.quantity).endswith("loss.p")):
        beside = {v.quantity: v for v in values if v.update == p.update}
        start = str(p.quantity).removesuffix("p")
        largest, nll = beside.get(f"{start}max"), beside.get(f"{start}nll")
        if largest is None or nll is None or nll.index not in program.made_by:
            continue
        scores = program.steps[program.made_by[largest.index]].operands[0]
        for step in program.steps:
            if step.primitive == "take_along_axis" and step.operands[0] is scores:
                yield CrossEntropy(scores, step.operands[1], step.arguments["axis"], p, nll)
