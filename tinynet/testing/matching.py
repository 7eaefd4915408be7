"""Assert that somebody's arrays are those of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinynet.run import Run


def assert_matches(
    run: Run, mine: Any, mapping: Mapping[str, str] | None = None, tolerance: float | None = None
) -> None:
    """Assert that arrays are those of a run; the failure message is the report, with its explanation.

    Arguments as of ``tinynet.debug.compare``. Raises AssertionError where a number differs or an array could not be
    matched, and ValueError where none could.
    """
    from tinynet.debug import compare  # takes as long to import as all the rest, which every pytest run would wait for

    report = compare(run, mine, mapping, tolerance=tolerance)
    if not report.ok:
        raise AssertionError(str(report))
