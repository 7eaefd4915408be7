"""Record what somebody's script computes: a function that returns a Run, or plain NumPy code."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from tinynet.run import Run
from tinynet.tracing import trace


def run_script(reference: str, arrays: Mapping[str, np.ndarray] | None = None) -> tuple[Run, str]:
    """Import ``path/to/script.py:function``, call it, and return the Run and the script's name.

    Without ``arrays`` the function takes nothing and returns a Run. With them it is plain NumPy code, which gets those
    that are called like its parameters, and is traced (see ``tinynet.trace``). Raises ValueError that names what is not
    there or went wrong.
    """
    function = function_of(reference)
    given = arguments_of(function, reference, arrays or {})
    with failing(reference):
        run = function() if arrays is None and not given else trace(function, **given)
    if not isinstance(run, Run):
        raise ValueError(
            f"{reference} returned {type(run).__name__}, expected the Run of a tn.record() block; plain NumPy code is "
            "recorded where it gets its arrays by --arrays FILE.npz"
        )
    return run, Path(reference.rpartition(":")[0]).stem


def function_of(reference: str) -> Callable[..., Any]:
    """Import ``path/to/script.py:function``. Raises ValueError that names what is not there or went wrong."""
    file, _, name = reference.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"there is no script {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is not a Python script: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))
    with failing(reference), patch.object(sys, "argv", [file]):  # ours are not for a script that reads its own
        spec.loader.exec_module(module)
    function: Any = module
    for part in name.split("."):  # of an object in the script, too: net.step
        function = getattr(function, part, None)
    if not callable(function):
        functions = [n for n, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == path.stem]
        raise ValueError(f"{file} has no function {name!r}; it has {', '.join(functions) or 'none'}")
    return function


def arguments_of(
    function: Callable[..., Any], reference: str, arrays: Mapping[str, Any], elsewhere: str = ""
) -> dict[str, Any]:
    """Those of ``arrays`` that are called like the parameters. Raises ValueError for a parameter that is missing."""
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    missing = [name for name in needed if name not in arrays]
    if missing:
        have = f"; the file has {', '.join(arrays)}" if arrays and not elsewhere else ""
        raise ValueError(
            f"{reference} takes {', '.join(missing)}: give arrays called so by --arrays FILE.npz{elsewhere}{have}"
        )
    return {p.name: _plain(arrays[p.name]) for p in parameters if p.name in arrays}


def _plain(item: Any) -> Any:
    """One integer or truth value as Python's, which may count something."""
    return item.item() if isinstance(item, np.ndarray) and not item.shape and item.dtype.kind in "iub" else item


@contextmanager
def failing(reference: str) -> Iterator[None]:
    """Whatever somebody's code raises is one ValueError."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ValueError(f"{reference} failed: {type(error).__name__}: {error}") from error
