"""Watch one's own loop while it runs: it stops at the first number that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinynet.debug.compare import compare
from tinynet.run import Run


class Mismatch(AssertionError):
    """A number that is not ours; the message is the report of the comparison."""


def watch(run: Run, mapping: Mapping[str, str] | None = None, tolerance: float | None = None) -> Callable[..., None]:
    """Return ``check(name, array, t=None)``, which raises ``Mismatch`` where an array is not that of ``run``.

    To be called inside one's own loop (``check("h", h, t=t)``): a debugger then stands where the number was made.
    Raises ValueError for a name that could mean nothing in the run. Nothing is explained here: ``compare`` does that.
    """

    def check(name: str, array: Any, t: int | None = None) -> None:
        label = name if t is None else f"{name}[{t}]"
        report = compare(run, {label: array}, mapping, explain=False, tolerance=tolerance)
        if not report.ok:
            raise Mismatch(str(report))

    return check
