"""For tests of one's own network (``tn.testing``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinynet.debug import compare
from tinynet.run import Run

__all__ = ["assert_matches"]


def assert_matches(
    run: Run, mine: Any, mapping: Mapping[str, str] | None = None, tolerance: float | None = None
) -> None:
    """Assert that arrays are those of a run; the failure message is the report, with its explanation.

    Arguments as of ``tinynet.debug.compare``. Raises AssertionError where a number differs or an array could not be
    matched, and ValueError where none could.
    """
    report = compare(run, mine, mapping, tolerance=tolerance)
    if not report.ok or report.matched.unmatched:
        raise AssertionError(str(report))
