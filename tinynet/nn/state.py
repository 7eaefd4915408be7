"""State dicts as people bring them: tensors and arrays in memory, or a file of them."""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.backend import is_array, to_host
from tinynet.tensor import Tensor

# How a training script calls the state dict when it saves other things beside it.
WRAPPERS = ("state_dict", "model_state_dict")

# The types of the safetensors format and how their bytes are read.
SAFETENSORS_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def as_array(item: Any) -> Any:
    """Return the array of a Tensor, of PyTorch's tensor (bfloat16 as float32) or of anything NumPy understands.

    What is an array stays where it is.
    """
    if isinstance(item, Tensor):
        return item.data
    if not hasattr(item, "detach"):
        return item if is_array(item) else np.asarray(item)
    there = item.detach().cpu()
    return (there.float() if "bfloat16" in str(there.dtype) else there).numpy()


def as_numpy(item: Any) -> np.ndarray:
    """Return anybody's numbers in host memory: what ``as_array`` understands, and CuPy's arrays."""
    elsewhere = hasattr(item, "get") and hasattr(item, "dtype") and not hasattr(item, "to_numpy")
    # CuPy's get copies; that of pandas, which has to_numpy, looks up.
    return np.asarray(to_host(item if elsewhere else as_array(item)))


def read_state(path: str | Path) -> dict[str, Any]:
    """Read a state dict, key to array, from a ``.safetensors``, ``.npz``, ``.pt`` or ``.pth`` file.

    No code in a file is ever run: pickled objects are refused (``allow_pickle=False``, ``weights_only=True``).
    Raises ImportError that names the extra to install, ValueError for a file that holds no state dict, OSError for
    one that cannot be read.
    """
    path = Path(path)
    reader = {".safetensors": _safetensors, ".npz": _npz, ".pt": _torch, ".pth": _torch}.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path} is no .safetensors, .npz, .pt or .pth file: expected one of these")
    with path.open("rb"):  # a file that is not there, or not readable, is told by Python's own error
        pass
    return reader(path)


def _safetensors(path: Path) -> dict[str, Any]:
    library = _require("safetensors", "safetensors", path)
    try:
        found = dict(library.deserialize(path.read_bytes()))
    except library.SafetensorError as error:
        raise ValueError(f"{path} cannot be read as safetensors: {error}") from error
    strange = [f"{key} ({item['dtype']})" for key, item in found.items() if item["dtype"] not in SAFETENSORS_DTYPES]
    if strange:
        raise ValueError(f"{path} holds {', '.join(strange)}: expected {', '.join(SAFETENSORS_DTYPES)}")
    return {key: _from_bytes(item["data"], item["dtype"]).reshape(item["shape"]) for key, item in found.items()}


def _from_bytes(data: bytes, dtype: str) -> np.ndarray:
    numbers = np.frombuffer(data, dtype=SAFETENSORS_DTYPES[dtype])
    # bfloat16 is the upper half of a float32.
    return (numbers.astype("<u4") << 16).view("<f4") if dtype == "BF16" else numbers


def _npz(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an .npz file: expected what numpy.savez writes")
    arrays: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            try:
                arrays[key] = file[key]
            except ValueError as error:
                raise ValueError(
                    f"{path} holds pickled objects, which could run code, or a broken array under {key!r}: "
                    f"expected plain numbers ({error})"
                ) from error
    return arrays


def _torch(path: Path) -> dict[str, Any]:
    torch = _require("torch", "torch", path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in many ways
        raise ValueError(
            f"{path} is broken, or holds more than tensors (a whole pickled model could run code): expected a state "
            f"dict, as torch.save(model.state_dict(), path) saves it ({type(error).__name__})"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(hasattr(item, "detach") for item in found.values()):
        raise ValueError(f"{path} holds no state dict: save it by torch.save(model.state_dict(), path)")
    return {str(key): as_array(item) for key, item in found.items()}


def _require(module: str, extra: str, path: Path) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"to read {path}, install the extra: pip install 'tinynet-sheets[{extra}]'") from error
