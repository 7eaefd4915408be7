"""Which quantity each array is: those with the surest names first, and what speaks for one of several meanings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinynet.debug.names.catalogue import Catalogue
from tinynet.debug.names.closeness import EQUAL, NEARER, sums_to_one
from tinynet.debug.names.goals import LOOSE, Goal, Meaning
from tinynet.debug.names.pieces import error
from tinynet.debug.names.readings import WITHOUT_SCOPE, has_free_sign, readings_of
from tinynet.debug.names.recognition import Recogniser
from tinynet.debug.names.ways import Way, Ways


class Choice(NamedTuple):
    """A meaning of a name, and the ways in which its array can be that; ``equal``: its numbers are ours already."""

    meaning: Meaning
    ways: list[Way]
    equal: bool = False


class Chooser:
    """The user's arrays, and what each of them is."""

    def __init__(self, catalogue: Catalogue, mine: Mapping[str, np.ndarray]):
        self.catalogue, self.mine, self.ways = catalogue, mine, Ways(catalogue, mine)
        self.recogniser = Recogniser(catalogue, self.ways)
        self.choices: dict[str, Choice] = {}
        self.hints: dict[str, list[str]] = defaultdict(list)  # of what is not matched: why, and what it may be
        self.joined: dict[Any, Way] = {}  # weights that only their numbers prove
        self.sides: set[Any] = set()  # which weight stands first where two are side by side
        self.claims: dict[Any, str] = {}
        self.senses: dict[str, str] = {}  # which of its meanings a key turned out to have
        self.scopes: dict[str, str] = {}  # which layer of ours the front of their names stands for

    def choose(self, mapping: dict[str, Meaning]) -> None:
        """Give each array its meaning: by its name if that is sure, by its numbers, then by any name."""
        self._recognise([name for name in self.mine if name not in mapping], unless_sure=True)
        self._choose_by_name(mapping)
        self._recognise([name for name in self.mine if name not in mapping and name not in self.choices])
        self._choose_by_name({})

    def _is_sure(self, name: str) -> bool:
        """Whether a name says enough: then its numbers need not be ours, and are wrong where they are not."""
        meanings = self.catalogue.meanings(name)
        return (
            bool(meanings)
            and not has_free_sign(name)
            and (meanings[0].rank < LOOSE or meanings[0].moment not in (None, "all", "now", "last"))
        )

    def _recognise(self, names: list[str], unless_sure: bool = False) -> None:
        """Find those whose numbers are ours; what is derived from them has their names from now on.

        The short names come first: ``dHout`` says enough where ``Hout`` was found.
        """
        for name in sorted(names, key=len):
            if unless_sure and self._is_sure(name):
                continue
            found = self.recogniser.find(name, self.mine[name], self.catalogue.meanings(name))
            if found is not None:
                meaning, way = found
                self._take(name, Choice(meaning, [way], equal=True))
                for reading in readings_of(name):
                    self.scopes.setdefault(reading.scope, meaning.goal.first.scope)
                self.catalogue.number_after(name, meaning.goal)
                if meaning.role == "value":
                    self.catalogue.name_after(name, meaning.goal)

    def _choose_by_name(self, mapping: dict[str, Meaning]) -> None:
        """Give each array that has no meaning yet its own, those with the surest names first."""
        options: dict[str, list[Choice]] = {}
        for name in [name for name in self.mine if name not in self.choices]:
            meanings = [mapping[name]] if name in mapping else self.catalogue.meanings(name)
            options[name] = self._fitting(name, meanings)
        self._compare_sides(options)
        found = [name for name in options if options[name]]
        places = {name: place for place, name in enumerate(self.mine)}
        for name in sorted(found, key=lambda n: (n not in mapping, options[n][0].meaning.rank, places[n])):
            choice = self._best(name, options[name])
            if choice is not None:
                self._take(name, choice)

    def _compare_sides(self, options: dict[str, list[Choice]]) -> None:
        """Of [h, x] and [x, h], the one that is clearly nearer to ours in all arrays together, whatever is wrong."""
        errors: dict[Any, list[float]] = defaultdict(list)
        for name, found in options.items():
            for option in [option for option in found if option.meaning.goal.proven]:
                sides = _sides(option.meaning.goal)
                errors[sides].append(min(error(way, self.mine[name]) for way in option.ways))
        for sides, mine in errors.items():
            if sides[::-1] not in self.sides and np.mean(mine) < NEARER * np.mean(errors[sides[::-1]]):
                self.sides.add(sides)

    def _fitting(self, name: str, meanings: list[Meaning]) -> list[Choice]:
        """The meanings whose shape fits; the first that does not is worth a hint."""
        self.hints.pop(name, None)
        found: list[Choice] = []
        seen = set()
        for meaning in meanings:
            if found and meaning.rank > found[0].meaning.rank:
                break
            ways = self.ways.ways(meaning, self.mine[name])
            target = (meaning.goal.parts, ways[0].times if ways else None)
            if ways and target not in seen:
                seen.add(target)
                found.append(Choice(meaning, ways))
        if meanings and not found:
            goal, shape = meanings[0].goal, _shape(meanings[0].goal, meanings[0].moment)
            but = f"has shape {shape}" if shape != self.mine[name].shape else "is not recorded at these steps"
            self.hints[name].append(f"{goal.first.name} (so by its name, but that {but})")
        return found

    def _best(self, name: str, options: list[Choice]) -> Choice | None:
        """The one meaning; of several that are as likely, the one that more speaks for."""
        options = [o for o in options if self._proven(name, o)] or self._unproven(name, options)
        for speaks_for in (self._is_same, self._sums_to_one, self._is_known, self._is_beside, self._is_free):
            if len(options) > 1:
                options = [option for option in options if speaks_for(name, option)] or options
        usual = (
            bool(options)
            and options[0].meaning.rank % WITHOUT_SCOPE == LOOSE
            and self.catalogue.is_parameter(options[0].meaning.goal.first)
        )
        if len(options) > 1 and not usual:
            names = " or ".join(option.meaning.goal.first.name for option in options)
            self.hints[name].append(f"{names} (its name can mean either)")
            return None
        return self._free(name, options[0]) if options else None

    def _free(self, name: str, option: Choice) -> Choice | None:
        """The option, unless another array is that already."""
        if self._is_free(name, option):
            return option
        taker = self.claims[option.ways[0].claims[0]]
        self.hints[name].append(f"{option.meaning.goal.first.name} (which is {taker!r} already)")
        return None

    def _take(self, name: str, choice: Choice) -> None:
        self.choices[name] = choice
        if choice.meaning.role == "value":
            self.senses.setdefault(choice.meaning.said, choice.meaning.goal.first.about)
            self.scopes.setdefault(choice.meaning.scope, choice.meaning.goal.first.scope)
        for claim in choice.ways[0].claims:
            self.claims.setdefault(claim, name)
        if choice.meaning.goal.proven:
            self.joined.setdefault(choice.meaning.goal.joint, choice.ways[0])
            self.sides.add(_sides(choice.meaning.goal))

    def _proven(self, name: str, option: Choice) -> bool:
        goal = option.meaning.goal
        return not goal.proven or _sides(goal) in self.sides or self._is_same(name, option)

    def _unproven(self, name: str, options: list[Choice]) -> list[Choice]:
        names = " and ".join(part.series.name for part in options[0].meaning.goal.parts)
        self.hints[name].append(f"{names} side by side, in an order that its numbers do not show")
        return []

    # What speaks for one of several meanings
    def _is_same(self, name: str, option: Choice) -> bool:
        """A leaf of ours that the user was given too."""
        return option.meaning.goal.first.given and any(error(way, self.mine[name]) <= EQUAL for way in option.ways)

    def _sums_to_one(self, name: str, option: Choice) -> bool:
        """Probabilities, and nothing else, sum to 1: this is no comparison with ours."""
        return sums_to_one(self.mine[name]) == (option.meaning.goal.first.name == self.catalogue.probabilities)

    def _is_known(self, name: str, option: Choice) -> bool:
        """The gradient of what the same name stood for without its d."""
        return self.senses.get(option.meaning.said) == option.meaning.goal.first.about

    def _is_beside(self, name: str, option: Choice) -> bool:
        """In the layer where others with the front of this name are."""
        return bool(option.meaning.scope) and self.scopes.get(option.meaning.scope) == option.meaning.goal.first.scope

    def _is_free(self, name: str, option: Choice) -> bool:
        return any(claim not in self.claims for claim in option.ways[0].claims)


def _sides(goal: Goal) -> tuple[str, ...]:
    return tuple(part.series.about for part in goal.parts)


def _shape(goal: Goal, moment: Any) -> tuple[int, ...]:
    whole = goal.first.timed and not isinstance(moment, int)
    return (goal.first.steps, *goal.shape) if whole else goal.shape
