"""What people call the quantities and parameters of a recurrent layer: whole, gate by gate, or side by side."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from itertools import product

from tinynet.debug.names.goals import LOOSE, OWN, SYNONYM, Goal, Part
from tinynet.debug.names.quantities import Quantities
from tinynet.debug.names.readings import plain
from tinynet.debug.names.tables import CELLS, GATE_PARTS, GATES, STACKED, SYMBOLS, TOGETHER


def name_cells(ours: Quantities) -> None:
    """File what every pass of every recurrent layer may be called."""
    passes = defaultdict(list)
    for series in ours.by_about.values():
        found = re.fullmatch(r"(.*?)weight_hh(_l(\d+)(_reverse)?)?", series[0].about)
        if found:
            passes[found[1]].append((found[2] or "", found[3] or "", found[4] or ""))
    for scope, found_passes in passes.items():
        several = len({layer for _, layer, _ in found_passes}) > 1
        for ending, layer, reverse in found_passes:
            _name_cell(ours, scope, ending, (f"_l{layer}" if several else "") + reverse)


def _name_cell(ours: Quantities, scope: str, ending: str, suffix: str) -> None:
    """One pass of a recurrent layer: ``ending`` ends the names of its parameters, ``suffix`` its quantities'."""

    def here(label: str) -> str:
        return f"{scope}{label}{suffix}"

    gates = "lstm" if here("z_f") in ours.by_about else "coupled" if here("z_g") in ours.by_about else "gru"
    kind = "rnn" if here("z_i") not in ours.by_about and here("z_r") not in ours.by_about else gates
    words = {"coupled": "lstm"}.get(kind, kind)
    letters = GATES.get(kind, {})
    for label, keys in STACKED.items():
        if len(letters) > 1:
            ours.gates[f"{scope}{label}{ending}"] = "".join(letters)
        ours.call(f"{scope}{label}{ending}", keys, plain(suffix))
    for label, keys in CELLS[words].items():
        ours.call(here(label), keys, plain(suffix))
    for k, gate in enumerate(letters):
        _name_gate(ours, scope, ending, suffix, k, gate, letters)
    for label in SYMBOLS:
        if len(letters) < 2:
            _name_twin(ours, scope, label, ending, suffix)
    _name_together(ours, here, list(letters), plain(suffix))
    _name_joined(ours, scope, ending, suffix, letters)


def _name_twin(ours: Quantities, scope: str, label: str, ending: str, suffix: str) -> None:
    """``W_ih`` of our run is ``weight_ih_l0`` once more: both are one name."""
    symbol = f"{SYMBOLS[label]}h"
    twins = ours.by_about.get(f"{scope}{symbol}{suffix}", [])
    for series in ours.by_about.get(f"{scope}{label}{ending}", []):
        twin = twins[0].values.get(None) if twins and series.role == "value" else None
        ours.add(plain(symbol + suffix), OWN, [Goal((Part(series, None, twin),))])


def _name_gate(
    ours: Quantities, scope: str, ending: str, suffix: str, k: int, gate: str, letters: dict[str, str]
) -> None:
    for label, forms in GATE_PARTS.items():
        keys = " ".join(forms.replace("{}", letter) for letter in letters[gate].split())
        if label == "z":
            ours.call(f"{scope}z_{gate}{suffix}", (keys, ""), plain(suffix))
            continue
        goals = _rows(ours, scope, label, ending, suffix, k, gate, len(letters))
        ours.add(plain(f"{SYMBOLS[label]}{gate}{suffix}"), OWN, goals)
        ours.add(" ".join(key + plain(suffix) for key in keys.split()), SYNONYM, goals)


def _rows(
    ours: Quantities, scope: str, label: str, ending: str, suffix: str, k: int, gate: str, count: int
) -> list[Goal]:
    """The rows of one gate in a parameter, its gradient and its update."""
    twins = ours.by_about.get(f"{scope}{SYMBOLS[label]}{gate}{suffix}", [])
    goals = []
    for series in ours.by_about.get(f"{scope}{label}{ending}", []):
        size = series.shape[0] // count
        twin = twins[0].values.get(None) if twins and series.role == "value" else None
        goals.append(Goal((Part(series, (k * size, (k + 1) * size), twin),)))
    return goals


def _name_together(ours: Quantities, here: Callable[[str], str], gates: list[str], suffix: str) -> None:
    """All gates of a step side by side, and all pre-activations."""
    for label, keys in TOGETHER.items() if len(gates) > 1 else ():
        for role in ("value", "gradient"):
            abouts = [here(f"z_{gate}" if label == "z" else gate) for gate in gates]
            series = [s for about in abouts for s in ours.by_about.get(about, []) if s.role == role]
            if len(series) == len(gates):
                for rank, words in zip((SYNONYM, LOOSE), keys, strict=True):
                    goal = Goal(tuple(map(Part, series)), "".join(gates))
                    ours.add(" ".join(key + suffix for key in words.split()), rank, [goal])


def _name_joined(ours: Quantities, scope: str, ending: str, suffix: str, letters: dict[str, str]) -> None:
    """One weight for [h, x] or [x, h], of all gates or of one: which of the two, only the numbers can say."""
    labels = "weight_hh", "weight_ih"
    whole = [[ours.goal(s) for s in ours.by_about.get(f"{scope}{label}{ending}", [])] for label in labels]
    _join(ours, whole, "w weights weight")
    for k, gate in enumerate(letters):
        rows = [_rows(ours, scope, label, ending, suffix, k, gate, len(letters)) for label in labels]
        _join(ours, rows, " ".join(f"w{letter}" for letter in letters[gate].split()))


def _join(ours: Quantities, goals: list[list[Goal]], keys: str) -> None:
    for from_h, from_x in product(*goals):
        if from_h.first.role == from_x.first.role:
            pair = from_h.parts + from_x.parts
            ours.add(keys, LOOSE, [Goal(pair, proven=True), Goal(pair[::-1], proven=True)])
