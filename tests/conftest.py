"""Fixtures that several test files share."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

from tests.spreadsheets import require

# Continuous integration draws the same examples each time: what it says is about the change, not about luck.
settings.register_profile("same examples", derandomize=True)
if os.environ.get("TINYNET_REQUIRE_ALL") == "1":
    settings.load_profile("same examples")


@pytest.fixture
def torch() -> Any:
    """The module; the test is skipped, with the reason, where PyTorch is not installed."""
    return require("torch")
