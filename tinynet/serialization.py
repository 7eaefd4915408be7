"""A Run as JSON and back. Nothing is executed from a file but registered primitives."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tinynet.backend import to_host
from tinynet.primitives import TABLE

FORMAT = "tinynet run 1"
_LABELS = {
    "kind": "computed",
    "quantity": None,
    "time": None,
    "title": "",
    "update": 0,
    "share": None,
    "requires_grad": False,
}


def encode(run: Any) -> dict[str, Any]:
    """Return the run as plain lists, dictionaries and numbers."""
    from tinynet.run import Value

    def value(v):
        out = {label: getattr(v, label) for label, usual in _LABELS.items() if getattr(v, label) != usual}
        out |= {"shape": list(v.shape), "dtype": str(v.array.dtype)}
        out |= {link: getattr(v, link).index for link in ("of", "copy_of") if getattr(v, link) is not None}
        if v.kind != "computed":
            out["data"] = to_host(v.array).reshape(-1).tolist()
        return out

    def step(s):
        operands = [{"value": o.index} if isinstance(o, Value) else _encode(o) for o in s.operands]
        arguments = {key: _encode(argument) for key, argument in s.arguments.items()}
        return [s.primitive, operands, arguments, s.output.index, s.phase, s.time]

    return {
        "format": FORMAT,
        "description": run.description,
        "loss": None if run.loss is None else run.loss.index,
        "values": [value(v) for v in run.values],
        "steps": [step(s) for s in run.steps],
    }


def decode(text: str) -> Any:
    """Read a run and compute it. Raises ValueError, naming what is wrong, for anything that is not one."""
    from tinynet.run import Run

    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f"it does not say {FORMAT!r}")
        run = Run()
        run.description = str(document.get("description", ""))
        _read_values(run, document["values"])
        _read_steps(run, document["steps"])
        loss = document.get("loss")
        run.loss = None if loss is None else run.values[loss]
        recomputed = run._recomputed({})
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"this is not a readable tinynet run: {error}") from None
    for new, old in zip(recomputed.values, document["values"], strict=True):
        if list(new.shape) != old["shape"]:
            raise ValueError(f"this run contradicts itself: {new.name} has shape {new.shape}, not {old['shape']}")
    return recomputed


def _read_values(run: Any, rows: list) -> None:
    from tinynet.run import Value

    for index, row in enumerate(rows):
        dtype = np.dtype(row["dtype"])
        if dtype.kind not in "fiub":
            raise ValueError(f"value {index} has dtype {dtype}")
        labels = {label: row[label] for label in _LABELS if label in row}
        labels.setdefault("kind", "computed")
        array = np.asarray(row["data"], dtype=dtype).reshape(row["shape"]) if "data" in row else None
        if (array is None) != (labels["kind"] == "computed"):
            raise ValueError(f"value {index} must have numbers exactly if it is not computed")
        run.values.append(Value(index, array, run=run, **labels))
        for link in ("of", "copy_of"):
            if link in row:
                setattr(run.values[index], link, run.values[row[link]])


def _read_steps(run: Any, rows: list) -> None:
    from tinynet.run import Step

    made = {value.index for value in run.values if value.kind != "computed"}
    for number, (primitive, operands, arguments, output, phase, time) in enumerate(rows, start=1):
        if primitive not in TABLE:
            raise ValueError(f"step {number} runs {primitive!r}, which is no primitive of tinynet")
        needed = [o["value"] for o in operands if isinstance(o, dict) and "value" in o]
        if not made.issuperset(needed) or output in made:
            raise ValueError(f"step {number} uses a value that is not there yet, or writes one twice")
        made.add(output)
        inputs = tuple(
            run.values[o["value"]] if isinstance(o, dict) and "value" in o else _decode(o) for o in operands
        )
        decoded = {key: _decode(argument) for key, argument in arguments.items()}
        run.steps.append(Step(number, primitive, inputs, decoded, run.values[output], phase, time))
    if len(made) != len(run.values):
        raise ValueError("some values are neither given nor computed")


def _encode(x: Any) -> Any:
    if isinstance(x, tuple):
        return {"tuple": [_encode(item) for item in x]}
    if isinstance(x, slice):
        return {"slice": [_encode(x.start), _encode(x.stop), _encode(x.step)]}
    if x is Ellipsis:
        return {"ellipsis": True}
    if isinstance(x, (list, np.ndarray)):
        array = np.asarray(x)
        return {"array": array.tolist(), "dtype": str(array.dtype)}
    return x.item() if isinstance(x, np.generic) else x


def _decode(x: Any) -> Any:
    if not isinstance(x, dict):
        return x
    if "tuple" in x:
        return tuple(_decode(item) for item in x["tuple"])
    if "slice" in x:
        return slice(*x["slice"])
    if "array" in x:
        return np.asarray(x["array"], dtype=x["dtype"])
    if "ellipsis" in x:
        return Ellipsis
    raise ValueError(f"an argument cannot be read: {str(x)[:60]}")
