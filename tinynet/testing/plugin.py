"""A pytest plugin: ``--tinynet-export DIR`` writes the case on which a gradient is wrong as a workbook."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tinynet.testing.verdict import GradientError

OPTION = "--tinynet-export"


def pytest_addoption(parser: Any) -> None:
    parser.getgroup("tinynet").addoption(
        OPTION,
        metavar="DIR",
        help="write the case on which a gradient is wrong (with Hypothesis, the shrunk one) to DIR as a workbook",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, Any, Any]:
    """Add to the report of a failing check where its workbook is, or how to get one."""
    report = yield
    error = None if call.excinfo is None else _gradient_error(call.excinfo.value)
    if error is not None and report.failed:
        folder = item.config.getoption(OPTION)
        hint = f"pytest {OPTION} DIR writes this case as a workbook"
        report.sections.append(
            ("tinynet", hint if folder is None else _exported(error.report, Path(folder), item.nodeid))
        )
    return report


def _gradient_error(error: BaseException) -> Any:
    """The GradientError in an exception: itself, or one of a group (Hypothesis may find several)."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for part in error.exceptions if (found := _gradient_error(part)) is not None), None)
    return error if isinstance(error, GradientError) else None


def _exported(report: Any, folder: Path, test: str) -> str:
    from tinynet.testing.export import write_counterexample

    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", test).strip("_")[-150:]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return f"the counterexample is in {write_counterexample(report, folder / f'{name}.xlsx')}"
    except OSError as error:
        return f"the counterexample could not be written: {error}"
