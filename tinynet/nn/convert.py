"""The weights of a recurrent layer in the layout of PyTorch (which is ours), Keras, ONNX and cuDNN.

    nn.LSTM(2, 3).load_state_dict(convert(arrays, "lstm", source="keras"))
    arrays = convert(lstm.state_dict(), "lstm", target="onnx")

``LAYOUTS`` is all there is to know: the order in which a framework stacks the gates, and its arrays. Gates are
written by PyTorch's letters throughout: ``g`` is what Keras and ONNX call c, ``n`` what they call h, and ``z`` of a GRU
what cuDNN calls i. All four compute h' = (1 − z) n + z h.

The sources, which say the order and the shapes:

- PyTorch: the documentation of torch.nn.RNN, LSTM and GRU, "Variables" (``W_ii|W_if|W_ig|W_io``, ``W_ir|W_iz|W_in``).
- Keras: keras/src/layers/rnn/lstm.py, gru.py and simple_rnn.py, ``build`` (shapes) and ``call`` (order of the split);
  the documentation of keras.layers.GRU on ``reset_after``.
- ONNX: Operators.md, RNN, LSTM and GRU: "W[iofc]", "W[zrh]", "concatenation of [Wb, Rb]", "P[iof]".
- cuDNN: API reference, cudnnGetRNNWeightParams (before version 8 cudnnGetRNNLinLayerMatrixParams): ``linLayerID`` 0
  to 3 are the input, forget, new memory (candidate) and output gate of an LSTM, 0 to 2 the reset, update and new
  memory gate of a GRU; those of the recurrent weights follow. cudnnRNNMode_t has the two biases, b_W and b_R. cuDNN
  keeps one opaque buffer, not arrays: ``W``, ``R``, ``bW`` and ``bR`` here are its matrices stacked by linLayerID.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinynet.backend import to_host
from tinynet.nn.state import as_array


class Array(NamedTuple):
    """One array of a layer: its axes, and the PyTorch parameters that it holds, one behind the other.

    Axes are sizes: G gates (as many as the cell has), H hidden, I input, P what the layer puts out (H unless there
    is a projection), D directions; ``2GH`` is 2·G·H, a lone 2 the two biases. ``bias`` is the sum of both biases.
    """

    axes: str
    holds: tuple[str, ...]
    transposed: bool = False


class Layout(NamedTuple):
    """How a framework stores one layer: the gates by kind of cell, in its order, and its arrays."""

    gates: dict[str, str]
    arrays: dict[str, Array]


Pass = dict[str, Any]  # the parameters of one direction by PyTorch's label

BIASES = ("bias_ih", "bias_hh")
PEEPHOLES = ("weight_ci", "weight_co", "weight_cf")  # in the order of ONNX
LAYOUTS = {
    "pytorch": Layout(
        {"rnn": "h", "lstm": "ifgo", "gru": "rzn"},
        {
            "weight_hh": Array("GH P", ("weight_hh",)),
            "weight_ih": Array("GH I", ("weight_ih",)),
            "bias_ih": Array("GH", ("bias_ih",)),
            "bias_hh": Array("GH", ("bias_hh",)),
            "weight_hr": Array("P H", ("weight_hr",)),
            **{label: Array("H", (label,)) for label in PEEPHOLES},  # tinynet's own: PyTorch has none
        },
    ),
    "keras": Layout(
        {"rnn": "h", "lstm": "ifgo", "gru": "zrn"},
        {
            "recurrent_kernel": Array("H GH", ("weight_hh",), transposed=True),
            "kernel": Array("I GH", ("weight_ih",), transposed=True),
            "bias": Array("GH", ("bias",)),
        },
    ),
    "onnx": Layout(
        {"rnn": "h", "lstm": "iofg", "gru": "zrn"},
        {
            "R": Array("D GH H", ("weight_hh",)),
            "W": Array("D GH I", ("weight_ih",)),
            "B": Array("D 2GH", BIASES),
            "P": Array("D 3H", PEEPHOLES),
        },
    ),
    "cudnn": Layout(
        {"rnn": "h", "lstm": "ifgo", "gru": "rzn"},
        {
            "R": Array("GH H", ("weight_hh",)),
            "W": Array("GH I", ("weight_ih",)),
            "bW": Array("GH", ("bias_ih",)),
            "bR": Array("GH", ("bias_hh",)),
        },
    ),
}
KERAS_RESET_AFTER = {"bias": Array("2 GH", BIASES)}  # of a GRU, Keras's default


PARTS = dict.fromkeys(("bias", *BIASES), "bias") | dict.fromkeys(PEEPHOLES, "peepholes") | {"weight_hr": "projection"}
OF_AN_LSTM = ("peepholes", "projection")


def convert(
    arrays: Mapping[str, Any],
    kind: str,
    *,
    source: str = "pytorch",
    target: str = "pytorch",
    layer: int = 0,
    reverse: bool = False,
    reset_after: bool = True,
) -> dict[str, np.ndarray]:
    """Convert one layer, ``arrays`` by the names of ``source``, into a new dict with the names of ``target``.

    ``kind`` is ``rnn``, ``lstm`` or ``gru``; ``source`` and ``target`` are keys of ``LAYOUTS``. ``layer`` is the one in
    PyTorch's names; other layers of a PyTorch state dict are passed over. PyTorch and ONNX hold both directions of a
    layer, Keras and cuDNN one: ``reverse`` says which. ``reset_after`` is that of a Keras GRU: if False, and for
    ONNX's ``linear_before_reset=0``, the layer here is ``nn.GRU(reset_after=False)``.

    Numbers are only moved, with one exception: where the target has one bias and the source two, it is their sum;
    the other way round the first is that bias and the second 0. Raises ValueError that names every missing,
    unexpected or misshapen key, and what the target has no place for.
    """
    reads, writes = _layout(source, kind, reset_after), _layout(target, kind, reset_after)
    given = {key: to_host(as_array(item)) for key, item in arrays.items()}
    groups = _by_pass(given, reads, layer) if source == "pytorch" else {"": given}
    faults, directions = _check(groups, reads, len(reads.gates[kind]))
    if faults:
        raise ValueError(f"cannot convert this {kind} from {source}: {'; '.join(faults)}")
    order, wanted = reads.gates[kind], writes.gates[kind]
    passes = [
        {label: _reordered(array, label, order, wanted) for label, array in _unpack(group, reads, suffix, d).items()}
        for suffix, group in groups.items()
        for d in range(directions)
    ]
    if target == "pytorch":
        suffixes = [_suffix(layer, False), _suffix(layer, True)] if len(passes) == 2 else [_suffix(layer, reverse)]
        return {
            name + suffix: array
            for suffix, one in zip(suffixes, passes, strict=True)
            for name, array in _pack([one], writes, target).items()
        }
    if not any(array.axes.startswith("D") for array in writes.arrays.values()) and len(passes) == 2:
        passes = [passes[reverse]]
    return _pack(passes, writes, target)


def _layout(framework: str, kind: str, reset_after: bool) -> Layout:
    if framework not in LAYOUTS:
        raise ValueError(f"no layout is called {framework!r}: expected {', '.join(LAYOUTS)}")
    layout = LAYOUTS[framework]
    if kind not in layout.gates:
        raise ValueError(f"no kind of layer is called {kind!r}: expected {', '.join(layout.gates)}")
    arrays = layout.arrays | (KERAS_RESET_AFTER if (framework, kind, reset_after) == ("keras", "gru", True) else {})
    return Layout(layout.gates, {k: a for k, a in arrays.items() if kind == "lstm" or _part(a) not in OF_AN_LSTM})


def _part(array: Array) -> str:
    """The part of a layer that an array belongs to: all of a part is there, or nothing; the weights always are."""
    return PARTS.get(array.holds[0], "weights")


def _suffix(layer: int, reverse: bool) -> str:
    return f"_l{layer}{'_reverse' if reverse else ''}"


def _by_pass(given: dict[str, Any], layout: Layout, layer: int) -> dict[str, dict[str, Any]]:
    """The keys of one layer of a PyTorch state dict, by suffix; what is no key of any layer stays, to be named."""
    forward, reverse = _suffix(layer, False), _suffix(layer, True)
    groups: dict[str, dict[str, Any]] = {forward: {}, reverse: {}}
    for key, array in given.items():
        found = re.fullmatch(rf"({'|'.join(layout.arrays)})(_l\d+(?:_reverse)?)", key)
        if found is None or found[2] in groups:
            groups[reverse if found and found[2] == reverse else forward][key] = array
    return {suffix: group for suffix, group in groups.items() if group} or {forward: {}}


# Checking


def _check(groups: dict[str, dict[str, Any]], layout: Layout, gates: int) -> tuple[list[str], int]:
    """What is wrong with the arrays of each suffix, and how many directions each of them holds."""
    parts = {_part(a) for end, group in groups.items() for name, a in layout.arrays.items() if name + end in group}
    faults: list[str] = []
    sizes = {"G": gates}
    for suffix, group in groups.items():
        names = {name + suffix: array for name, array in layout.arrays.items()}
        for key, array in names.items():
            axes = array.axes.split()
            if "projection" not in parts:
                axes = [axis.replace("P", "H") for axis in axes]
            if key in group:
                shape = tuple(group[key].shape)
                found = _fit(shape, axes, sizes)
                if found is None:
                    faults.append(f"{key} has shape {shape}, expected {_shown(axes, sizes)}")
                sizes |= found or {}
            elif _part(array) in {"weights", *parts}:
                faults.append(f"missing {key} {_shown(axes, sizes)}")
        unexpected = [key for key in group if key not in names]
        faults += [f"unexpected {key}: expected {', '.join(names)}" for key in unexpected]
    return faults, sizes.get("D", 1)


def _term(axis: str, gates: int) -> tuple[int, str]:
    """How many times which size an axis is: ``2GH`` of an LSTM is (8, "H"), ``2`` is (2, "")."""
    number, gated, size = re.fullmatch(r"(\d*)(G?)([HIPD]?)", axis).groups()  # type: ignore[union-attr]
    return int(number or 1) * (gates if gated else 1), size


def _fit(shape: Collection[int], axes: list[str], sizes: dict[str, int]) -> dict[str, int] | None:
    """The sizes that follow from a shape and from those already known; None where it does not fit."""
    found = dict(sizes)
    if len(shape) != len(axes):
        return None
    for length, axis in zip(shape, axes, strict=True):
        times, size = _term(axis, sizes["G"])
        share, rest = divmod(length, times)
        if rest or share < 1 or share != (found.setdefault(size, share) if size else 1):
            return None
    return found if found.get("D", 1) in (1, 2) else None


def _shown(axes: list[str], sizes: dict[str, int]) -> str:
    """``(I, 4H) with H = 3``."""
    terms = [_term(axis, sizes["G"]) for axis in axes]
    inside = ", ".join(f"{times if times > 1 or not size else ''}{size}" for times, size in terms)
    known = [f"{size} = {sizes[size]}" for size in dict.fromkeys(size for _, size in terms) if size in sizes]
    return f"({inside}{',' * (len(terms) == 1)})" + (f" with {', '.join(known)}" if known else "")


# Moving


def _unpack(group: dict[str, Any], layout: Layout, suffix: str, d: int) -> Pass:
    """Direction ``d`` of the (checked) arrays of a suffix."""
    one: Pass = {}
    for name, (axes, holds, transposed) in layout.arrays.items():
        if name + suffix in group:
            whole = group[name + suffix]
            whole = whole[d] if axes.startswith("D") else whole
            whole = whole.T if transposed else whole
            one |= zip(holds, np.split(whole.reshape(-1), len(holds)) if len(holds) > 1 else [whole], strict=True)
    if "bias" in one:
        one |= {"bias_ih": one["bias"], "bias_hh": np.zeros_like(one.pop("bias"))}
    return one


def _reordered(array: np.ndarray, label: str, order: str, wanted: str) -> np.ndarray:
    """The rows of a parameter with its gates in another order."""
    if label not in ("weight_ih", "weight_hh", *BIASES):
        return array
    blocks = dict(zip(order, np.split(array, len(order)), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted])


def _pack(passes: list[Pass], layout: Layout, target: str) -> dict[str, np.ndarray]:
    """The arrays that hold these directions, their gates in the order of the target already."""
    labels = {label for array in layout.arrays.values() for label in array.holds}
    if "bias" in labels:
        summed = [{"bias": one["bias_ih"] + one["bias_hh"]} if "bias_ih" in one else {} for one in passes]
        passes = [{k: a for k, a in one.items() if k not in BIASES} | s for one, s in zip(passes, summed, strict=True)]
    homeless = [label for label in passes[0] if label not in labels]
    if homeless:
        raise ValueError(f"{target} has no place for {', '.join(homeless)}")
    out: dict[str, np.ndarray] = {}
    for name, (axes, holds, transposed) in layout.arrays.items():
        if holds[0] in passes[0]:
            each = [np.concatenate([one[label] for label in holds]) for one in passes]
            each = [whole.T if transposed else whole for whole in each]
            whole = np.stack(each) if axes.startswith("D") else each[0]
            out[name] = np.array(whole.reshape(2, -1) if axes.startswith("2 ") else whole, order="C")
    return out
