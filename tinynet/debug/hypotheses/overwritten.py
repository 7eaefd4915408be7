"""What is to be added is put into its place, over what stands there: `d[i] = …` for `d[i] += …`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.debug.hypotheses.base import Facts
from tinynet.debug.program import Compute, Look
from tinynet.run import Value

MOST_SHARES = 20  # of which the first ones are added, the others not


def put_over_each_other(facts: Facts, root: int, terms: list[Value]) -> Iterator[tuple[str, int, Compute]]:
    """Of the sum that step ``root`` gives, each share goes to some places only: (sentence, step, what it gives)."""
    made = [facts.program.made_by.get(term.index) for term in terms]
    if any(i is None or facts.run.steps[i].primitive != "scatter" for i in made):
        return
    where = {term.index: facts.program.places(i) for term, i in zip(terms, made, strict=True) if i is not None}
    for which, order in (("before", terms), ("after", terms[::-1])):  # in the order of the backward pass
        yield f"each share is put over those {which} it: `=` instead of `+=`", root, _put_over(order, 1, where)
    for first in range(2, min(len(terms), MOST_SHARES)):
        words = f"all shares but the first {first} are put over those before them: `=` instead of `+=`"
        yield words, root, _put_over(terms, first, where)


def _put_over(terms: list[Value], first: int, where: Mapping[int, np.ndarray | None]) -> Compute:
    """The first of these terms are added, the others put over the sum."""
    added = summed(terms[:first])

    def compute(look: Look, *operands: Any) -> Any:
        total = added(look)
        for term in terms[first:]:
            places, share = where[term.index], look(term.index)
            total = share if places is None else P.where(places != 0, share, total)
        return total

    return compute


def of_repeated_places(facts: Facts, index: int) -> Iterator[tuple[str, int, Compute]]:
    """What puts several numbers into one place, of which `x[i] += …` adds one only where ``i`` has it twice."""
    for i in facts.local(index):
        step = facts.run.steps[i]
        if step.primitive == "scatter":
            places = np.arange(step.output.array.size).reshape(step.output.shape)[step.arguments["index"]]
            if len(np.unique(places)) < places.size:
                text = "of what goes to the same place only the last is kept: `=` instead of `+=`"
                yield text, i, _put(places, step.output.shape)


def _put(places: np.ndarray, shape: tuple[int, ...]) -> Compute:
    def compute(look: Look, x: Any) -> Any:
        result = np.zeros(shape)
        result.reshape(-1)[places.reshape(-1)] = x.reshape(-1)
        return result

    return compute


def summed(terms: list[Value], scale: float = 1.0) -> Compute:
    """The sum of these terms alone."""

    def compute(look: Look, *operands: Any) -> Any:
        total = look(terms[0].index)
        for term in terms[1:]:
            total = total + look(term.index)
        return scale * total

    return compute
