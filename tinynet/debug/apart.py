"""Numbers on which explanations differ that fit the same data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinynet.run import Run


def write_other_numbers(run: Run, path: Path) -> Path:
    """Write a run as a workbook, and its parameters and inputs, by our names, as the .npz beside it, which is returned.

    Each file is written whole before it takes the place of an older one.
    """
    numbers = path.with_suffix(".npz")
    unfinished = numbers.with_name(f".{numbers.name}.part")
    try:
        with open(unfinished, "wb") as file:
            np.savez(file, **{str(v.name): v.array for v in run.leaves if v.kind in ("parameter", "input")})
        run.to_excel(path.with_suffix(".xlsx"))
        unfinished.replace(numbers)
    finally:
        unfinished.unlink(missing_ok=True)
    return numbers
