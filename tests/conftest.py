"""Fixtures that several test files share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.spreadsheets import require


@pytest.fixture
def torch() -> Any:
    """The module; the test is skipped, with the reason, where PyTorch is not installed."""
    return require("torch")
