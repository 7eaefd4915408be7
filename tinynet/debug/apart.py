"""Numbers on which explanations differ that fit the same data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinynet.debug.rounds import numbers_of
from tinynet.run import Run
from tinynet.workbook.xlsx import written_whole


def write_other_numbers(run: Run, path: Path) -> Path:
    """Write a run as a workbook, and its parameters and inputs, by our names, as the .npz beside it, which is returned.

    So are the numbers of an optimiser that remembers something, as they are others too.
    Each file is written whole before it takes the place of an older one.
    """
    numbers = path.with_suffix(".npz")
    given = [v for v in run.leaves if v.kind in ("parameter", "input")]
    with written_whole(numbers) as unfinished:
        np.savez(unfinished, **{str(v.name): v.array for v in given + numbers_of(run)})
        run.to_excel(path.with_suffix(".xlsx"))
    return numbers
