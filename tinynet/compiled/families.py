"""Which steps do the same at different times, and which of them wait for each other.

Source: loop distribution; Allen and Kennedy, Automatic translation of Fortran programs to vector form, ACM TOPLAS 9
(1987). Steps of a recorded run that do the same at different times are one *family*, as if they were one statement of
a loop. Families that wait for each other around a circle, such as h and z of a recurrent layer, are a *loop* and run
one step after the other; all others can run at once for all times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from typing import Any

from tinynet.compiled.program import VIEWS, exactly, values
from tinynet.run import Step, Value


class Families:
    """``groups`` are the steps in an order in which they can run: a family, or all steps of a loop.

    ``waits`` are pairs of steps besides those where one reads what the other computes.
    """

    def __init__(self, steps: list[Step], waits: Iterable[tuple[Step, Step]] = ()):
        self.steps, self.position = steps, {step.output.index: i for i, step in enumerate(steps)}
        self.times: dict[int, int | None] = {}
        self.looks: dict[int, int] = {}  # values that look alike do the same at different times
        self._known: dict[Hashable, int] = {}
        self.family = self._families()
        self.groups: list[list[Step]] = []
        self.loops: set[int] = set()  # which of the groups are
        self.loop_of: dict[int, int] = {}  # which loop (the number of its group) computes values of this look
        self._order(waits)

    def time(self, value: Value) -> int | None:
        """At which time step a value belongs: of one without a name, the latest of what it is computed from."""
        return self.times.get(value.index, value.time)

    def look(self, value: Value) -> int:
        found = self.looks.get(value.index)
        return self._number(("leaf", value.index) if value.time is None else _named(value)) if found is None else found

    def loop(self, value: Value) -> int | None:
        """The loop that a value, or its like at other times, belongs to."""
        return self.loop_of.get(self.look(value))

    def _number(self, key: Hashable) -> int:
        return self._known.setdefault(key, len(self._known))

    def _families(self) -> list[int]:
        """The family of each step: of those that look alike, the first at each time, the second at each time …"""
        again: Counter[tuple[int, int | None]] = Counter()
        found = []
        for step in self.steps:
            out = step.output
            times = [time for value in values(step) if (time := self.time(value)) is not None]
            time = next((t for t in (out.time, step.time) if t is not None), max(times, default=None))
            self.times[out.index] = time
            operands = [self.look(o) if isinstance(o, Value) else repr(o) for o in step.operands]
            look = self._number((step.primitive, _argument_key(step), out.shape, out.array.dtype, *operands))
            self.looks[out.index] = look if out.quantity is None or out.time is None else self._number(_named(out))
            found.append(self._number((look, again[look, time])))
            again[look, time] += 1
        return found

    def _order(self, waits: Iterable[tuple[Step, Step]]) -> None:
        members: dict[int, list[int]] = defaultdict(list)
        before: dict[int, set[int]] = defaultdict(set)
        for i, step in enumerate(self.steps):
            members[self.family[i]].append(i)
            operands = [self.position[v.index] for v in values(step) if v.index in self.position]
            before[self.family[i]].update(self.family[k] for k in operands)
        for first, second in waits:
            before[self.family[self.position[second.output.index]]].add(self.family[self.position[first.output.index]])
        for circle in circles(list(members), before):
            steps = [self.steps[i] for i in sorted(i for family in circle for i in members[family])]
            if len(circle) > 1 or circle[0] in before[circle[0]]:
                self.loop_of |= {self.looks[step.output.index]: len(self.groups) for step in steps}
                self.loops.add(len(self.groups))
            self.groups.append(steps)


def circles(nodes: list[int], before: dict[int, set[int]]) -> list[list[int]]:
    """Nodes that wait for each other around a circle, each as a list, after all that they wait for.

    Source: strongly connected components; Tarjan, Depth-first search and linear graph algorithms (1972).
    """
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    path: list[int] = []
    done: set[int] = set()
    found = []
    for start in nodes:
        visits = [] if start in number else [(start, iter(before[start]))]
        while visits:
            node, rest = visits[-1]
            if node not in number:
                number[node] = lowest[node] = len(number)
                path.append(node)
            for other in rest:
                if other not in number:
                    visits.append((other, iter(before[other])))
                    break
                if other not in done:
                    lowest[node] = min(lowest[node], lowest[other])
            else:
                visits.pop()
                if visits:
                    lowest[visits[-1][0]] = min(lowest[visits[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    found.append([path.pop()])
                    while found[-1][-1] != node:
                        found[-1].append(path.pop())
                    done.update(found[-1])
    return found


def _named(value: Value) -> Hashable:
    return ("named", value.quantity, value.update, value.shape, value.array.dtype)


def _argument_key(step: Step) -> Any:
    """Which of several it picks makes no difference to what a step does."""
    index = step.arguments.get("index") if step.primitive in VIEWS else None
    if index is None:
        return exactly(step.arguments)
    parts = index if isinstance(index, tuple) else (index,)
    return exactly(["one" if isinstance(part, int) else part for part in parts])
