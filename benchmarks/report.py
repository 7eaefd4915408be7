"""Where and with what something was measured, and the file that says so."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "torch", "mygrad", "autograd", "jax", "xlsxwriter")


def versions() -> dict[str, str]:
    """Of Python and the libraries that are installed."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """The processor, and how many of it; Linux tells its name only in a file."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores, {platform.system()}"


def print_heading() -> None:
    print(f"{datetime.date.today()}, {machine()}; one core and thread used")
    print(", ".join(f"{library} {number}" for library, number in versions().items()), end="\n\n")


def save(path: str | None, **results: Any) -> None:
    """Write the results as JSON, with date, machine and versions, if there is a path."""
    if path is not None:
        about = {"date": str(datetime.date.today()), "machine": machine(), "versions": versions()}
        Path(path).write_text(json.dumps({**about, **results}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
