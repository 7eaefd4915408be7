"""A Run as JSON and back. Nothing is executed from a file but registered primitives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.backend import to_host
from tinynet.nonstandard import dtype_name
from tinynet.primitives import TABLE

FORMAT = "tinynet run 1"
KINDS = ("parameter", "input", "hyperparameter", "state", "constant", "computed")
LIMIT = 2**27  # numbers that a file may make us compute
_LABELS = {
    "kind": "computed",
    "quantity": None,
    "time": None,
    "title": "",
    "update": 0,
    "share": None,
    "requires_grad": False,
    "buffer": False,
}
_TYPES: dict[str, Any] = {
    "kind": str,
    "quantity": str | None,
    "time": int | None,
    "title": str,
    "update": int,
    "share": str | None,
    "requires_grad": bool,
    "buffer": bool,
}


def encoded(run: Any) -> Iterator[str]:
    """The run as JSON, piece by piece: all its lists and dictionaries at once would take more memory than the run."""
    head = {
        "format": FORMAT,
        "description": run.description,
        "loss": None if run.loss is None else run.loss.index,
    }
    yield _json(head)[:-1]
    for name, rows in (("values", map(_value, run.values)), ("steps", map(_step, run.steps))):
        yield f',"{name}":['
        for number, row in enumerate(rows):
            yield ("," if number else "") + _json(row)
        yield "]"
    yield "}"


_json = json.JSONEncoder(separators=(",", ":")).encode


def _value(value: Any) -> dict[str, Any]:
    from tinynet.run import LINKS

    out = {label: getattr(value, label) for label, usual in _LABELS.items() if getattr(value, label) != usual}
    out |= {"shape": list(value.shape), "dtype": dtype_name(value.array.dtype)}
    out |= {link: getattr(value, link).index for link in LINKS if getattr(value, link) is not None}
    if value.kind != "computed":
        out["data"] = to_host(value.array).reshape(-1).tolist()
    return out


def _step(step: Any) -> list[Any]:
    from tinynet.run import Value

    operands = [{"value": o.index} if isinstance(o, Value) else _encode(o) for o in step.operands]
    arguments = {key: _encode(argument) for key, argument in step.arguments.items()}
    return [step.primitive, operands, arguments, step.output.index, step.phase, step.time]


def decode(text: str) -> Any:
    """Read a run and compute it. Raises ValueError, naming what is wrong, for anything that is not one."""
    from tinynet.run import Run

    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f"it does not say {FORMAT!r}")
        run = Run()
        run.description = str(document.get("description", ""))
        for row in document["values"]:
            _read_value(run, row)
        for value, row in zip(run.values, document["values"], strict=True):
            _link(value, row, run, document["values"])
        total = sum(math.prod(row["shape"]) for row in document["values"])
        if total > LIMIT:
            raise ValueError(f"it holds {total} numbers, more than {LIMIT}")
        for row in document["steps"]:
            _read_step(run, row)
            _check_output(run.steps[-1].output, document["values"])
        run.loss = None if document.get("loss") is None else run.values[_index(document["loss"], run)]
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"this is not a readable tinynet run: {error}") from None
    if any(value.array is None for value in run.values):
        raise ValueError("this is not a readable tinynet run: some values are neither given nor computed")
    return run


def _read_value(run: Any, row: dict) -> None:
    from tinynet.run import Value

    index, dtype = len(run.values), np.dtype(row["dtype"])
    if dtype.kind not in "fiub":
        raise ValueError(f"value {index} has dtype {dtype}")
    labels = {label: row[label] for label in _LABELS if label in row}
    for label, content in labels.items():
        if not isinstance(content, _TYPES[label]):
            raise ValueError(f"value {index} has {label} {str(content)[:40]!r}")
    if labels.setdefault("kind", "computed") not in KINDS:
        raise ValueError(f"value {index} is of kind {labels['kind'][:40]!r}, expected one of {', '.join(KINDS)}")
    array = np.asarray(row["data"], dtype=dtype).reshape(row["shape"]) if "data" in row else None
    if (array is None) != (labels["kind"] == "computed"):
        raise ValueError(f"value {index} must have numbers exactly if it is not computed")
    run.values.append(Value(index, array, **labels))


def _link(value: Any, row: dict, run: Any, rows: list) -> None:
    """Say what a gradient is of, and a copy: something before it, or a leaf that was first seen later."""
    from tinynet.run import LINKS

    for link in LINKS:
        if link in row:
            other = run.values[_index(row[link], run)]
            if other.index >= value.index and not set(LINKS).isdisjoint(rows[other.index]):
                raise ValueError(
                    f"value {value.index} is {link.replace('_', ' ')} value {other.index}, which depends on it"
                )
            setattr(value, link, other)


def _read_step(run: Any, row: list) -> None:
    """Read a step and compute it, once what it reads is there and what it makes is not too large."""
    from tinynet.run import Step, Value

    number = len(run.steps) + 1
    primitive, operands, arguments, output, phase, time = row
    if primitive not in TABLE:
        raise ValueError(f"step {number} runs {primitive!r}, which is no primitive of tinynet")
    if not isinstance(phase, str) or not isinstance(time, int | None):
        raise ValueError(f"step {number} has phase {str(phase)[:40]!r} and time {str(time)[:40]!r}")
    inputs = tuple(
        run.values[_index(o["value"], run)] if isinstance(o, dict) and "value" in o else _decode(o) for o in operands
    )
    made = run.values[_index(output, run)]
    if any(isinstance(o, Value) and o.array is None for o in inputs) or made.array is not None:
        raise ValueError(f"step {number} uses a value that is not there yet, or writes one twice")
    if not all(isinstance(o, (Value, int, float)) for o in inputs) or not any(isinstance(o, Value) for o in inputs):
        raise ValueError(f"step {number} has operands that are no numbers")
    decoded = {key: _decode(argument) for key, argument in arguments.items()}
    step = Step(number, primitive, inputs, decoded, made, phase, time)
    size = _output_size(step, [o.shape for o in inputs if isinstance(o, Value)])
    if size > LIMIT:
        raise ValueError(f"step {number} makes {size} numbers, more than {LIMIT}")
    step.compute()
    run.steps.append(step)


def _output_size(step: Any, shapes: list[tuple[int, ...]]) -> int:
    """How many numbers a step will make (or more): a few characters of a file must not fill the memory."""
    kind, first, arguments = TABLE[step.primitive].kind, shapes[0], step.arguments
    if kind == "elementwise":
        return math.prod(np.broadcast_shapes(*shapes))
    if "stride" in arguments:  # windows: as many at most as there are numbers
        window = arguments["size"] if "size" in arguments else shapes[1]
        return math.prod(first) * max(1, math.prod(window)) + math.prod(arguments.get("shape", ()))
    if step.primitive == "argmax":
        return math.prod(first)
    if kind == "contraction":
        a, b = shapes
        return math.prod(np.broadcast_shapes(a[:-2], b[:-2])) * a[-2] * b[-1]
    if kind == "indexed":
        places, size = shapes[1], arguments.get("size")
        if "axis" in arguments:
            lanes = [1 if axis == arguments["axis"] else n for axis, n in enumerate(first)]
            return math.prod(np.broadcast_shapes(lanes, places) if size is None else (*lanes, size))
        return math.prod((*places, *first[1:]) if size is None else (size, *first[len(places) :]))
    if "shape" in arguments:
        return math.prod(arguments["shape"])
    if "pad_width" in arguments:
        return math.prod(n + low + high for n, (low, high) in zip(first, arguments["pad_width"], strict=True))
    if "index" in arguments:
        index = arguments["index"] if isinstance(arguments["index"], tuple) else (arguments["index"],)
        places = np.broadcast_shapes(*(i.shape for i in index if isinstance(i, np.ndarray)))
        one = tuple(np.zeros(1, dtype=int) if isinstance(i, np.ndarray) else i for i in index)
        return math.prod(places) * np.broadcast_to(np.int8(0), first)[one].size
    return sum(map(math.prod, shapes))


def _check_output(value: Any, rows: list) -> None:
    row = rows[value.index]
    if list(value.shape) != row["shape"] or value.array.dtype != row["dtype"]:
        raise ValueError(
            f"{value.name or f'value {value.index}'} is {value.array.dtype} of shape {value.shape}, "
            f"not {row['dtype']} of {row['shape']} as it says"
        )


def _index(x: Any, run: Any) -> int:
    """A reference to a value that has been read."""
    if type(x) is not int or not 0 <= x < len(run.values):
        raise ValueError(f"there is no value {str(x)[:40]} to refer to")
    return x


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
