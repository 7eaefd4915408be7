"""Whose array is whose: catalogue, choice, ways and result in one call."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinynet.debug.names.catalogue import Catalogue
from tinynet.debug.names.choosing import Chooser
from tinynet.debug.names.goals import Meaning
from tinynet.debug.names.result import Assembler, Matched
from tinynet.debug.names.settling import Settler
from tinynet.run import Run, unknown_name


def match(
    run: Run, mine: Mapping[str, np.ndarray], mapping: Mapping[str, str] | None = None, as_ours: bool = False
) -> Matched:
    """Find the values of ``run`` that ``mine`` holds.

    ``mapping`` {the user's name: ours} overrides what names seem to say. With ``as_ours``, quantities are called as in
    the run and nothing else. Raises ValueError for a mapping of names that are not there.
    """
    catalogue, arrays = Catalogue(run, as_ours), dict(mine)
    chooser = Chooser(catalogue, arrays)
    chooser.choose(_checked(mapping or {}, catalogue, arrays))
    settler = Settler(catalogue, arrays, chooser.choices, chooser.joined)
    settler.settle()
    return Assembler(chooser, settler.settled).result()


def _checked(mapping: Mapping[str, str], catalogue: Catalogue, mine: Mapping[str, np.ndarray]) -> dict[str, Meaning]:
    found = {}
    for theirs, ours in mapping.items():
        if theirs not in mine:
            raise ValueError(f"mapping: {unknown_name(theirs, list(mine), 'array of yours')}")
        meanings = catalogue.exact(ours)
        if not meanings:
            known = [*catalogue.series, *catalogue.run.names]
            raise ValueError(f"mapping: {unknown_name(ours, known)}")
        found[theirs] = meanings[0]
    return found
