"""Parameters that are numbers of Python, or lists of them: as arrays they can be followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any
from unittest.mock import patch

import numpy as np

from tinynet.debug.leftovers import left_over
from tinynet.run import Run
from tinynet.tracing import trace_loss
from tinynet.tracing.outside import holds_arrays, module_of


def plain_parameters(known: Mapping[str, Any], variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of the ``known`` numbers and lists of which some variable is called the gradient, as arrays."""
    arrays = {name: array for name, item in known.items() if (array := _as_array(item)) is not None}
    return {name: arrays[name] for name in left_over(variables, {n: a.shape for n, a in arrays.items()}).values()}


def _as_array(item: Any) -> np.ndarray | None:
    if not isinstance(item, (float, list)) or isinstance(item, np.generic) or holds_arrays(item):
        return None
    try:
        array = np.array(item)
    except ValueError:  # ragged
        return None
    return array if array.dtype.kind == "f" else None


def traced_with(function: Callable[..., Any], arguments: tuple, named: dict[str, Any], plain: Mapping[str, Any]) -> Run:
    """The run of a function, with these arrays for numbers of its arguments and of its module."""
    module = module_of(function)
    known = {name: array for name, array in plain.items() if name in module}
    with patch.dict(module, known), redirect_stdout(StringIO()):  # what it prints has been printed before
        return trace_loss(function, *arguments, **named | {name: plain[name] for name in plain.keys() & named.keys()})
