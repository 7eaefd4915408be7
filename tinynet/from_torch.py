"""From PyTorch's saved weights to a recorded run: the architecture is read off the names and shapes.

A state dict says how many layers, directions, units, inputs and gates a recurrent net has, whether it has biases and a
projection, and where in a bigger module it stands (``encoder.lstm.weight_hh_l0``). Four rows a unit are an LSTM,
three a GRU, one an RNN. What it does not say is an argument here (``batch_first``, ``nonlinearity``) or an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinynet import functional as F
from tinynet import nn
from tinynet.backend import get_default_dtype
from tinynet.nn.state import as_array, read_state
from tinynet.recording import record
from tinynet.run import Run
from tinynet.tensor import Tensor, tensor

KINDS: dict[int, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {4: nn.LSTM, 3: nn.GRU, 1: nn.RNN}
RECURRENT = re.compile(r"(|.*\.)((?:weight|bias)_(?:ih|hh|hr))_l(\d+)(_reverse)?")


class SavedNet(nn.Module):
    """A recurrent net, and perhaps a linear head on its outputs, each at the path that it had in the state dict."""

    def __init__(self, recurrent: nn.Module, path: str, head: nn.Linear | None, head_path: str):
        self._parts: list[Any] = []  # a list, so that neither is a child of this name
        for module, where in ((recurrent, path), (head, head_path)):
            self._parts.append(module)
            if module is not None:
                _place(self, where, module)

    def parts(self) -> tuple[Any, nn.Linear | None]:
        """The recurrent net, and its head or None."""
        recurrent, head = self._parts
        return recurrent, head

    def forward(self, x: Tensor) -> Tensor:
        """``x`` as the recurrent net takes it; returns its outputs, or the head's scores, at every step."""
        recurrent, head = self.parts()
        outputs, _ = recurrent(x)
        return outputs if head is None else head(outputs)


def infer(state: Mapping[str, Any], batch_first: bool = False, nonlinearity: str = "tanh") -> SavedNet:
    """Build the net that a state dict belongs to, with its weights.

    ``nonlinearity`` (``tanh`` or ``relu``) is that of an RNN. Raises ValueError for a state dict of anything but one
    recurrent net and at most one linear head behind it, saying which keys are in the way.
    """
    arrays = {key: as_array(item) for key, item in state.items()}
    found = {key: match for key in arrays if (match := RECURRENT.fullmatch(key))}
    prefixes = list(dict.fromkeys(match[1] for match in found.values()))
    if not prefixes:
        raise ValueError(
            f"no recurrent net: expected keys such as weight_ih_l0 or lstm.weight_ih_l0, got {_some(arrays)}"
        )
    if len(prefixes) > 1:
        raise ValueError(
            f"{len(prefixes)} recurrent nets, {', '.join(prefix or '(no prefix)' for prefix in prefixes)}: expected "
            "one; save the part of the state dict that belongs to one"
        )
    prefix = prefixes[0]
    recurrent = _recurrent(arrays, prefix, list(found.values()), batch_first, nonlinearity)
    path = prefix.removesuffix(".") or type(recurrent).__name__.lower()
    own = {f"{path}.{key.removeprefix(prefix)}" if key in found else key: array for key, array in arrays.items()}
    head_path, head = _head({key: a for key, a in arrays.items() if key not in found}, recurrent)
    net = SavedNet(recurrent, path, head, head_path)
    net.load_state_dict(own)
    return net


def run_saved(
    state: Mapping[str, Any] | str | Path,
    x: Any,
    target: Any = None,
    batch_first: bool = False,
    nonlinearity: str = "tanh",
) -> Run:
    """Record a saved net, forward and backward, on ``x`` (T, N, I), (N, T, I) where ``batch_first``, or (T, I).

    The loss is the sum of squares of the output; with ``target``, integer classes for every step, or for the last
    step alone (one axis less), it is the cross-entropy of the head's scores. Raises ValueError as ``infer``, and
    for inputs and targets that do not fit.
    """
    net = infer(read_state(state) if isinstance(state, (str, Path)) else state, batch_first, nonlinearity)
    recurrent, head = net.parts()
    numbers = np.asarray(x)
    if numbers.dtype.kind not in "fiub" or not np.isfinite(numbers).all():
        raise ValueError(f"the input holds {numbers.dtype} or is not finite: expected finite real numbers")
    if target is not None and head is None:
        raise ValueError("a target needs a linear head (such as fc.weight), whose scores it is about: there is none")
    with record() as run:
        out = net(tensor(numbers.astype(get_default_dtype()), requires_grad=True, name="x"))
        if target is None:
            (out * out).sum().backward()
        else:
            F.cross_entropy(*_scored(out, np.asarray(target), batch_first)).backward()
    layers = f"{recurrent.num_layers} layers" if recurrent.num_layers > 1 else "1 layer"
    run.description = " · ".join([
        f"{type(recurrent).__name__}, {layers}{', both directions' if recurrent.bidirectional else ''}",
        f"{recurrent.input_size} inputs",
        f"{recurrent.hidden_size} units" + (f" projected to {p}" if (p := getattr(recurrent, "proj_size", 0)) else ""),
        *([] if head is None else [f"head {head.weight.shape[1]} to {head.weight.shape[0]}"]),
        *([recurrent.nonlinearity] if isinstance(recurrent, nn.RNN) else []),
        "loss: sum of squares of the output" if target is None else "loss: cross-entropy",
    ])  # fmt: skip
    return run


def _scored(out: Tensor, target: np.ndarray, batch_first: bool) -> tuple[Tensor, Tensor]:
    """The scores that a target is about, those of all steps or of the last one, and the target."""
    last: Any = (slice(None), -1) if batch_first and out.ndim == 3 else -1
    every, one = out.shape[:-1], out[last].shape[:-1]
    if target.shape not in (every, one):
        raise ValueError(f"the target has shape {target.shape}, expected {every} (every step) or {one} (the last step)")
    return (out if target.shape == every else out[last]), tensor(target, name="target")


def _recurrent(
    arrays: dict[str, Any], prefix: str, keys: list[re.Match[str]], batch_first: bool, nonlinearity: str
) -> Any:
    """A recurrent net with the sizes of these keys; that they all fit is for ``load_state_dict`` to say."""
    labels = {match[2] for match in keys}
    shapes: dict[str, tuple[int, ...]] = {}
    for label in ("weight_ih", "weight_hh", *(["weight_hr"] if "weight_hr" in labels else [])):
        first = arrays.get(f"{prefix}{label}_l0")
        if first is None or first.ndim != 2 or 0 in first.shape:
            fault = "missing" if first is None else f"of shape {tuple(first.shape)}"
            raise ValueError(f"{prefix}{label}_l0 is {fault}: expected a matrix")
        shapes[label] = first.shape
    rows, columns = shapes["weight_hh"]
    hidden = shapes["weight_hr"][1] if "weight_hr" in shapes else columns
    gates, rest = divmod(rows, hidden)
    if rest or gates not in KINDS:
        raise ValueError(
            f"{prefix}weight_hh_l0 has shape {(rows, columns)}: expected 4, 3 or 1 rows for each of its {hidden} units "
            "(LSTM, GRU or RNN)"
        )
    if "weight_hr" in shapes and gates != 4:
        raise ValueError(f"{prefix}weight_hr_l0 is a projection, which only an LSTM has, not {KINDS[gates].__name__}")
    options: dict[str, Any] = {"bias": bool(labels & {"bias_ih", "bias_hh"}), "batch_first": batch_first}
    options["bidirectional"] = any(match[4] for match in keys)
    if "weight_hr" in shapes:
        options["proj_size"] = columns
    if gates == 1:
        options["nonlinearity"] = nonlinearity
    # As many as there are different numbers: where one is left out, load_state_dict names it.
    return KINDS[gates](shapes["weight_ih"][1], hidden, len({match[3] for match in keys}), **options)


def _head(rest: dict[str, Any], recurrent: Any) -> tuple[str, nn.Linear | None]:
    """The one linear head in the keys that are not the recurrent net's, and its path."""
    if not rest:
        return "", None
    paths = {key.rpartition(".")[0] for key in rest}
    path = next(iter(paths))
    weight, bias = rest.get(f"{path}.weight"), rest.get(f"{path}.bias")
    known = {f"{path}.weight", f"{path}.bias"}
    if len(paths) > 1 or not path or not rest.keys() <= known or weight is None or weight.ndim != 2:
        raise ValueError(
            f"unexpected {_some(rest)}: expected one recurrent net and at most one linear head "
            "(such as fc.weight and fc.bias), nothing else"
        )
    size = recurrent.output_size * recurrent.directions
    if weight.shape[1] != size:
        raise ValueError(
            f"{path}.weight has shape {tuple(weight.shape)}, expected (classes, {size}): a head on the net's outputs"
        )
    if bias is None and size == recurrent.input_size:
        raise ValueError(
            f"{path}.weight may be an embedding before the net or a head behind it: the state dict does not say. Leave "
            "an embedding out and give its output as the input"
        )
    return path, nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)


def _place(root: nn.Module, path: str, module: nn.Module) -> None:
    """Set ``module`` at a path such as ``encoder.lstm``, with empty modules on the way."""
    *parents, last = path.split(".")
    for name in parents:
        if not isinstance(vars(root).get(name), nn.Module):
            _set(root, name, nn.Module(), path)
        root = getattr(root, name)
    _set(root, last, module, path)


def _set(parent: nn.Module, name: str, child: nn.Module, path: str) -> None:
    if hasattr(parent, name):
        raise ValueError(
            f"{path} has a part called {name!r}, a name that a module needs itself, or two modules of a name"
        )
    setattr(parent, name, child)


def _some(keys: Any, most: int = 6) -> str:
    names = list(keys)
    return (", ".join(names[:most]) or "nothing") + (f" and {len(names) - most} more" if len(names) > most else "")
