"""For tests of one's own network, and of one's own gradients (``tn.testing``)."""

from __future__ import annotations

from typing import Any

from tinynet.testing.gradients import check_backward, check_gradients
from tinynet.testing.matching import assert_matches
from tinynet.testing.verdict import Element, GradientError, Report

__all__ = ["Element", "GradientError", "Report", "assert_matches", "check_backward", "check_gradients", "strategies"]


def __getattr__(name: str) -> Any:
    """``strategies`` needs Hypothesis: it is imported when it is first asked for."""
    if name == "strategies":
        from importlib import import_module

        return import_module("tinynet.testing.strategies")
    raise AttributeError(f"module 'tinynet.testing' has no attribute {name!r}")
