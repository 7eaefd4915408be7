"""Which way to read an array where shapes leave several: numbers decide, and gradients follow their values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from tinynet.backend import to_host
from tinynet.debug.names.catalogue import Catalogue
from tinynet.debug.names.choosing import Choice
from tinynet.debug.names.closeness import EQUAL, distance
from tinynet.debug.names.goals import Part
from tinynet.debug.names.pieces import error
from tinynet.debug.names.ways import Way

CLOSER = 0.1  # a layout is clearly the better one if its error is less than this share of the other's


class Settler:
    """His arrays with what they are, and the one way to read each."""

    def __init__(
        self,
        catalogue: Catalogue,
        mine: Mapping[str, np.ndarray],
        choices: Mapping[str, Choice],
        joined: Mapping[Any, Way],
    ):
        self.catalogue, self.mine, self.choices = catalogue, mine, choices
        self.forms = dict(joined)  # how a parameter was read
        self.settled: dict[str, Way] = {}

    def settle(self) -> None:
        """Choose between layouts that fit equally well: values before gradients, which follow them."""
        names = sorted(self.choices, key=lambda name: self.choices[name].meaning.goal.first.role != "value")
        votes = self._votes(names)
        for name in names:
            goal, ways = self.choices[name].meaning.goal, self.choices[name].ways
            if self.catalogue.is_parameter(goal.first):
                self.settled[name] = self._parameter(name, ways)
            elif goal.first.given:
                self.settled[name] = self._first_equal(name, ways)
            else:
                self.settled[name] = self._in_gate_order(ways[votes.get(_axes(ways), 0)])

    def _first_equal(self, name: str, ways: list[Way]) -> Way:
        if len(ways) == 1:
            return ways[0]
        return next((way for way in ways if error(way, self.mine[name]) <= EQUAL), ways[0])

    def _votes(self, names: list[str]) -> dict[Any, int]:
        """For each set of layouts that shapes leave open, the one that is clearly closer for more of the arrays."""
        ballots: dict[Any, list[int]] = defaultdict(list)
        for name in names:
            goal, ways = self.choices[name].meaning.goal, self.choices[name].ways
            if len(ways) > 1 and not self.catalogue.is_parameter(goal.first) and not goal.first.given:
                errors = np.array([error(way, self.mine[name]) for way in ways])
                best = int(errors.argmin())
                others = np.delete(errors, best)
                if errors[best] <= CLOSER * others.min():
                    ballots[_axes(ways)].append(best)
        return {axes: max(range(len(axes)), key=lambda i: (votes.count(i), -i)) for axes, votes in ballots.items()}

    def _parameter(self, name: str, ways: list[Way]) -> Way:
        """A parameter as it is, or in another form that makes it equal to ours; its gradient in the same form."""
        series, joint = ways[0].goal.first, ways[0].goal.joint
        known = self.forms.get(joint)
        if series.role != "value" and known is not None:
            alike = [way for way in ways if way.layout.order == known.layout.order] or ways
            less = known.less if series.role == "update" else None
            return replace(alike[0], gates=known.gates, less=less)
        way = self._first_equal(name, ways) if series.role == "value" or not self.upright else ways[0]
        if series.role == "value":
            way = self._in_other_order(name, way)
            way = self._as_sum(name, way)
            self.forms[joint] = way
        return way

    @cached_property
    def upright(self) -> bool:
        """Whether some matrix is certainly not transposed: a square gradient then counts as it is."""
        for name, (meaning, ways) in self.choices.items():
            first = ways[0].layout.order == (0, 1) and self.catalogue.is_parameter(meaning.goal.first)
            if first and (len(ways) == 1 or error(ways[0], self.mine[name]) <= EQUAL):
                return True
        return False

    def _in_other_order(self, name: str, way: Way) -> Way:
        """Recognise gates that are stacked in another order: block for block, his are ours."""
        count = len(way.goal.gates)
        ours = to_host(way.goal.first.values[None].array) if None in way.goal.first.values else None
        if count < 2 or ours is None or len(way.goal.parts) > 1 or error(way, self.mine[name]) <= EQUAL:
            return way
        theirs = np.split(way.layout.arranged(self.mine[name]), count)
        blocks = np.split(ours, count)
        order = tuple(
            next((k for k, block in enumerate(blocks) if distance(part, block) <= EQUAL), -1) for part in theirs
        )
        return replace(way, gates=order) if sorted(order) == list(range(count)) else way

    def _in_gate_order(self, way: Way) -> Way:
        """Gates side by side stand in the order of the rows of his weights."""
        if len(way.goal.parts) < 2:
            return way
        scope = way.goal.first.scope
        orders = {form.gates for form in self.forms.values() if form.gates and form.goal.first.scope == scope}
        return replace(way, gates=orders.pop()) if len(orders) == 1 else way

    def _as_sum(self, name: str, way: Way) -> Way:
        """Recognise one bias for our two, where he has no other."""
        series, rows = way.goal.first, way.goal.parts[0].rows
        other = self.catalogue.series.get(series.about.replace("bias_ih", "bias_hh"))
        if "bias_ih" not in series.label or other is None or error(way, self.mine[name]) <= EQUAL:
            return way
        if any(choice.meaning.goal.first is other for choice in self.choices.values()):
            return way
        less = replace(way, less=Part(other, rows))
        return less if error(less, self.mine[name]) <= EQUAL else way


def _axes(ways: list[Way]) -> Any:
    return tuple((way.layout.order, way.times) for way in ways)
