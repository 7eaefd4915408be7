"""Which way to read an array where shapes leave several: numbers decide, and gradients follow their values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np

from tinynet.backend import to_host
from tinynet.debug.names.catalogue import Catalogue
from tinynet.debug.names.choosing import Choice
from tinynet.debug.names.closeness import EQUAL, NEARER, distance
from tinynet.debug.names.goals import Part
from tinynet.debug.names.pieces import error
from tinynet.debug.names.readings import has_free_sign
from tinynet.debug.names.recognition import in_gate_order
from tinynet.debug.names.ways import Way

CLOSER = 0.1  # a layout is clearly the better one if its error is less than this share of the other's


class Settler:
    """The user's arrays with what they are, and the one way to read each."""

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
        self.orders: dict[tuple[str, int, bool], set[tuple[int, ...] | None]] = {}  # of the gates of a layer

    def settle(self) -> None:
        """Choose between layouts that fit equally well: values before gradients, which follow them."""
        names = sorted(self.choices, key=lambda name: self.choices[name].meaning.goal.first.role != "value")
        votes = self._votes(names)
        for name in names:
            goal, ways = self.choices[name].meaning.goal, self.choices[name].ways
            if self.choices[name].equal:
                self.settled[name] = ways[0]
                if goal.first.given:
                    self.forms[goal.joint] = ways[0]
            elif self.catalogue.is_parameter(goal.first):
                self.settled[name] = self._parameter(name, ways)
            elif goal.first.given:
                self.settled[name] = self._first_equal(name, ways)
            else:
                self.settled[name] = self._in_gate_order(name, ways[votes.get(_axes(ways), 0)])

        if any(way.opposite for way in self.settled.values()):
            for name in [name for name in names if has_free_sign(name) and not self.choices[name].equal]:
                self.settled[name] = replace(self.settled[name], opposite=True)

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
        order = self._orientation(series.scope) if series.role != "value" or self._differs(name, ways) else None
        way = next((way for way in ways if way.layout.order == order), self._first_equal(name, ways))
        if series.role == "value":
            way = self._in_other_order(name, way)
            way = self._as_sum(name, way)
            self.forms[joint] = way
        return way if series.given else self._in_gate_order(name, way)

    def _differs(self, name: str, ways: list[Way]) -> bool:
        return all(error(way, self.mine[name]) > EQUAL for way in ways)

    def _orientation(self, scope: str) -> tuple[int, ...] | None:
        """Which way round the user's matrices stand: those of the same layer if one of them shows it, or all."""
        here = {order for layer, order in self.oriented if layer == scope}
        orders = here or {order for _, order in self.oriented}
        return orders.pop() if len(orders) == 1 else None

    @cached_property
    def oriented(self) -> list[tuple[str, tuple[int, ...]]]:
        """Of each matrix that is not square, or is ours: its layer, and the order of its axes.

        A square gradient that is ours transposed shows nothing: that may be the bug.
        """
        found = []
        for name, choice in self.choices.items():
            goal, ways = choice.meaning.goal, choice.ways
            if self.catalogue.is_parameter(goal.first) and len(goal.shape) == 2 and min(goal.shape) > 1:
                square = goal.shape[0] == goal.shape[1]
                shown = ways if goal.first.given else [way for way in ways if way.layout.order == (0, 1)]
                sure = [way for way in shown if error(way, self.mine[name]) <= EQUAL] if square else ways
                found += [(goal.first.scope, way.layout.order) for way in sure[:1]]
        return found

    def _in_other_order(self, name: str, way: Way) -> Way:
        """Recognise gates that are stacked in another order: block for block, theirs are ours."""
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

    def _in_gate_order(self, name: str, way: Way) -> Way:
        """Gates stand in the order of the rows of the user's weights; without these, in the one that other arrays show.

        Where they stand side by side, each has its own numbers, and these say more.
        """
        scope, count = way.goal.first.scope, len(way.goal.gates)
        if count < 2:
            return way
        beside = len(way.goal.parts) > 1
        equal = in_gate_order(way, self.mine[name]) if beside else None
        if equal is not None:
            return equal
        known = [w for w in self.forms.values() if w.goal.first.scope == scope and len(w.goal.gates) == count]
        orders = {w.gates for w in known if w.gates} if known else self._shown_orders(way)
        if len(orders) == 1:
            return replace(way, gates=orders.pop())
        return self._nearest(name, way) if beside and not known and way.goal.first.role == "value" else way

    def _nearest(self, name: str, way: Way) -> Way:
        """The order in which gates side by side are nearest to ours; it is that of their gradients too."""
        ways = [replace(way, gates=order) for order in permutations(range(len(way.goal.gates)))]
        nearest = min(ways, key=lambda other: error(other, self.mine[name]))
        if error(nearest, self.mine[name]) >= NEARER * error(way, self.mine[name]):
            return way
        self.orders[_stacked(way)] = {nearest.gates}
        return nearest

    def _shown_orders(self, way: Way) -> set[tuple[int, ...] | None]:
        """The orders of gates in which arrays of a layer, stacked in the same way, equal ours."""
        if _stacked(way) not in self.orders:
            ways = [
                in_gate_order(other, self.mine[name])
                for name, choice in self.choices.items()
                for other in choice.ways
                if _stacked(other) == _stacked(way)
            ]
            self.orders[_stacked(way)] = {other.gates for other in ways if other is not None}
        return set(self.orders[_stacked(way)])

    def _as_sum(self, name: str, way: Way) -> Way:
        """Recognise one bias for our two, where the user has no other."""
        series, rows = way.goal.first, way.goal.parts[0].rows
        other = self.catalogue.series.get(series.about.replace("bias_ih", "bias_hh"))
        if "bias_ih" not in series.label or other is None or error(way, self.mine[name]) <= EQUAL:
            return way
        if any(choice.meaning.goal.first is other for choice in self.choices.values()):
            return way
        less = replace(way, less=Part(other, rows))
        return less if error(less, self.mine[name]) <= EQUAL else way


def _stacked(way: Way) -> tuple[str, int, bool]:
    """Which gates: of a layer, how many, and whether they are side by side, not rows: these may have another order."""
    return way.goal.first.scope, len(way.goal.gates), len(way.goal.parts) > 1


def _axes(ways: list[Way]) -> Any:
    return tuple((way.layout.order, way.times) for way in ways)
