"""What people call the quantities that an optimiser keeps for each parameter: ``m_W1``, ``W1_exp_avg``; ``m`` alone."""

from __future__ import annotations

from tinynet.debug.names.goals import LOOSE, SYNONYM, Meaning, Series
from tinynet.debug.names.quantities import Quantities
from tinynet.debug.names.tables import MOMENTS, PARAMETER


def name_moments(ours: Quantities) -> None:
    """File the moments of each parameter under all that the parameter may be called."""
    kept = [series for series in ours.first_round if series.sample.beside is not None]
    called = _called(ours) if kept else {}
    alone = len({id(series.sample.beside) for series in kept}) == 1
    for series in kept:
        beside = series.sample.beside
        assert beside is not None
        words = _words(series, str(beside.quantity))
        for word in words:
            for key, rank in called.get(beside.index, ()):
                for both in (word + key, key + word):
                    ours.file(both, Meaning(rank, ours.goal(series)))
            if alone:
                ours.file(word, Meaning(SYNONYM, ours.goal(series)))
    if alone:
        _name_parameter(ours, kept[0])


def _words(series: Series, parameter: str) -> list[str]:
    """What goes with a moment whose name ends in that of its parameter."""
    label = series.label.removesuffix("_" + parameter.rpartition(".")[2])
    return MOMENTS.get(label, "").split()


def _called(ours: Quantities) -> dict[int, list[tuple[str, int]]]:
    """The keys of each parameter, by its index, and how well they fit."""
    found: dict[int, list[tuple[str, int]]] = {}
    for (role, key), meanings in list(ours.keys.items()):
        for meaning in meanings:
            part = meaning.goal.parts[0]
            whole = len(meaning.goal.parts) == 1 and part.rows is None and part.series.kind == "parameter"
            if role == "value" and whole:
                found.setdefault(part.series.sample.index, []).append((key, meaning.rank))
    return found


def _name_parameter(ours: Quantities, kept: Series) -> None:
    """Where there is one parameter only, it is ``w``, and ``g`` its gradient."""
    assert kept.sample.beside is not None
    about = str(kept.sample.beside.quantity)
    ours.call(about, (PARAMETER, ""))
    for series in ours.by_about.get(about, []):
        if series.role == "gradient":
            for word in MOMENTS["g"].split():
                ours.keys["value", word].append(Meaning(LOOSE, ours.goal(series)))
