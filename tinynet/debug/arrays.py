"""Somebody's arrays, wherever they come from: a file, or a mapping of anything that holds numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.nn.state import as_numpy, read_state

NUMBERS = "biuf"  # the kinds of dtype that can be compared: truth values, integers, floating point
ENDINGS = ".npz, .npy, .safetensors, .pt or .pth"


def read(source: Any) -> dict[str, np.ndarray]:
    """Read arrays by name from a file, or from a mapping of names to arrays; each keeps its dtype.

    An entry of a mapping is an array or tensor (NumPy, PyTorch, CuPy, tinynet), a number, a list of these, one a time
    step, or a dict ``{t: array}``: steps become the first axis. An ``.npy`` file is called after its file name.
    Raises ValueError or TypeError that names the entry which holds no numbers, and for a file of another kind.
    """
    if isinstance(source, (str, Path)):
        source = _file(Path(source))
    if not isinstance(source, Mapping):
        raise TypeError(f"got {type(source).__name__}, expected a path to {ENDINGS}, or a mapping of names to arrays")
    return {str(name): _array(item, str(name)) for name, item in source.items()}


def _file(path: Path) -> Mapping[str, Any]:
    if path.suffix.lower() != ".npy":
        return read_state(path)
    try:
        return {path.stem: np.load(path, allow_pickle=False)}
    except ValueError as error:
        raise ValueError(f"{path} is broken, or holds pickled objects: expected one plain array ({error})") from error


def _array(item: Any, name: str) -> np.ndarray:
    """The numbers of an entry. Raises TypeError or ValueError, by the entry's name."""
    if isinstance(item, Mapping):
        item = _by_step(item, name)
    if isinstance(item, (list, tuple)):
        return _stacked([_array(part, f"{name}[{t}]") for t, part in enumerate(item)], name)
    if item is None or isinstance(item, (str, bytes)):
        raise TypeError(f"{name} is {'None' if item is None else 'text'}, expected numbers")
    array = as_numpy(item)
    if array.dtype.kind not in NUMBERS:
        what = "complex numbers" if array.dtype.kind == "c" else f"{type(item).__name__} of dtype {array.dtype}"
        raise TypeError(f"{name} holds {what}, expected real numbers")
    return array


def _by_step(steps: Mapping[Any, Any], name: str) -> list[Any]:
    """The arrays of ``{t: array}`` in the order of their steps, which follow each other: -1, 0, 1 … or 0, 1, 2 …"""
    if not steps or not all(isinstance(t, (int, np.integer)) for t in steps):
        raise TypeError(f"{name} is a mapping whose keys are no time steps: expected 0, 1, 2 …")
    order = sorted(steps)
    if order != list(range(order[0], order[0] + len(order))):
        raise ValueError(f"{name} has the time steps {order}: expected all of them, without a gap")
    return [steps[t] for t in order]


def _stacked(parts: list[np.ndarray], name: str) -> np.ndarray:
    shapes = sorted({part.shape for part in parts})
    if len(shapes) > 1:
        raise ValueError(f"{name} is ragged: its entries have the shapes {', '.join(map(str, shapes))}")
    if not parts:
        raise ValueError(f"{name} is empty: expected numbers")
    return np.stack(parts)
