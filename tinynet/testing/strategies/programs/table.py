"""What programs are made of: each operation as Python text in ``x`` and ``y``, the simplest operation first.

Every text keeps numbers between -2 and 2 there, whatever the depth of a program, and has no large derivative. It uses
no array of numbers of its own, so that float32 stays float32. The texts of ``SMOOTH`` have no kink between -2 and 2:
``relu`` is written where it is not bent. ``KINKED`` bends them there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from tinynet.testing.strategies.shapes import Shape


class Operation(NamedTuple):
    """The number of its operands, and ``variants(*shapes)``: all texts for operands of these shapes, simplest first.

    There are none for shapes that do not fit.
    """

    operands: int
    variants: Callable[..., list[str]]


def _elementwise(*texts: str) -> Operation:
    """The same texts for all shapes that broadcast."""
    two = any(re.search(r"\by\b", text) for text in texts)
    return Operation(1 + two, lambda *shapes: list(texts) if _broadcast(*shapes) is not None else [])


def _broadcast(*shapes: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _along(text: str, divided: bool = False) -> Operation:
    """A reduction: over everything, then over each axis, which may be kept."""

    def variants(shape: Shape) -> list[str]:
        axes = [(a, keep) for keep in ("", ", keepdims=True") for a in range(len(shape))]
        found = [("", prod(shape)), *((f"{a}{keep}", shape[a]) for a, keep in axes)]
        return [f"{text}({inside})" + (f" / {count}" if divided else "") for inside, count in found]

    return Operation(1, variants)


# Moving numbers


def _transpose(shape: Shape) -> list[str]:
    return ["x.T", "x.transpose(0, 1)", "x.transpose(-1, -2)"] if len(shape) > 1 else []


def _reshape(shape: Shape) -> list[str]:
    size = prod(shape)
    halves = [f"x.reshape(2, {size // 2})"] if size % 2 == 0 else []
    return ["x.reshape(-1)", "x.reshape(1, -1)", "x.reshape(-1, 1)", "x.unsqueeze(0)", "x.squeeze()", *halves]


def _broadcast_to(shape: Shape) -> list[str]:
    stretched = [3 if n == 1 else n for n in shape]
    return [f"x.expand({[2, *shape]})", *([f"x.expand({stretched})"] if 1 in shape else [])]


def _getitem(shape: Shape) -> list[str]:
    if not shape:
        return []
    first = ["x[0]", "x[-1:]", "x[::-1]", "x[..., 0]", "x[..., None]", "x[np.array([0, -1, 0])]", "x[..., ::2]"]
    return [*first, "x[:, np.array([0, 0])]", "x[np.array([0, -1, 0]), np.array([0, -1, 0])]"][: 5 + 2 * len(shape)]


def _scatter(shape: Shape) -> list[str]:
    if not shape:
        return []
    n, rest = shape[0], shape[1:]
    twice, pairs = (2 * n, *rest), ((n + 1) // 2, *rest)
    return [
        f"tn.primitives.scatter(x, index=slice(0, {2 * n}, 2), shape={twice})",
        f"tn.primitives.scatter(x, index={_pairs(n)}, shape={pairs}) / 2",
    ]


def _pairs(n: int) -> str:
    """Every place named twice."""
    return f"np.array({[i // 2 for i in range(n)]})"


def _flip(shape: Shape) -> list[str]:
    return [f"tn.functional.flip(x, {a})" for a in [*range(len(shape)), *([(0, 1)] if len(shape) > 1 else [])]]


def _pad(shape: Shape) -> list[str]:
    axes = len(shape)
    return [f"tn.functional.pad(x, {[pair] * axes})" for pair in ((0, 1), (1, 0))] if axes else []


def _concatenate(a: Shape, b: Shape) -> list[str]:
    if len(a) != len(b):
        return []
    axes = [i for i in range(len(a)) if a[:i] + a[i + 1 :] == b[:i] + b[i + 1 :]]
    stacked = ["tn.functional.stack([x, y])"] if a == b else []
    return [*(f"tn.functional.cat([x, y], {i})" for i in axes), *stacked]


def _windows(shape: Shape) -> list[str]:
    """A signal of all numbers, and an image of the last two axes."""
    n, texts = prod(shape), []
    for size, stride, dilation in ((2, 1, 1), (2, 2, 1), (2, 1, 2)):
        if dilation * (size - 1) < n:
            options = f"size=({size},), stride=({stride},), dilation=({dilation},)"
            texts.append(f"tn.primitives.windows(x.reshape(1, 1, -1), {options})")
    if len(shape) > 1 and min(shape[-2:]) > 1:
        image = f"x.reshape(-1, 1, {shape[-2]}, {shape[-1]})"
        texts.append(f"tn.primitives.windows({image}, size=(2, 2), stride=(1, 1), dilation=(1, 1))")
    return texts


def _fold(shape: Shape) -> list[str]:
    """The last axis is what each window holds, the one before it the windows."""
    if len(shape) < 2:
        return []
    *lead, places, size = shape
    count = prod(lead)
    options = f"size=({size},), stride=(1,), dilation=(1,)"
    folded = f"tn.primitives.fold(x.reshape({count}, 1, {places}, {size})"
    return [f"{folded}, shape=({count}, 1, {places + size - 1}), {options}) / {size}"]


def _where(a: Shape, b: Shape) -> list[str]:
    shape = _broadcast(a, b)
    return [f"tn.functional.where(np.indices({shape}).sum(0) % 2 == 0, x, y)"] if shape else []


# Places chosen by data


def _take(shape: Shape) -> list[str]:
    if not shape:
        return []
    last = shape[0] - 1
    return [f"tn.functional.embedding(tn.tensor({places}), x)" for places in ([0], [0, 0], [[0, last], [last, last]])]


def _put(shape: Shape) -> list[str]:
    return [f"tn.primitives.put(x, tn.tensor({_pairs(shape[0])}), size={shape[0]}) / 2"] if shape else []


def _take_along_axis(shape: Shape) -> list[str]:
    return [f"tn.functional.gather(x, {a}, {_along_axis(shape, a)})" for a in range(len(shape))]


def _put_along_axis(shape: Shape) -> list[str]:
    return [
        f"tn.primitives.put_along_axis(x, {_along_axis(shape, a)}, axis={a}, size={n}) / 2" for a, n in enumerate(shape)
    ]


def _along_axis(shape: Shape, axis: int) -> str:
    """Places 0, 0, 1, 1, … along an axis."""
    return f"tn.tensor(np.indices({shape})[{axis}] // 2)"


# Contractions: each is divided by as much as a sum of so many products can be more than 2


def _matmul(a: Shape, b: Shape) -> list[str]:
    texts = []
    if a and b and a[-1] == b[-2 if len(b) > 1 else 0]:
        texts.append((f"x @ y / {2 * a[-1]}", a[:-2], b[:-2]))
    if a and len(b) > 1 and a[-1] == b[-1]:
        texts.append((f"x @ y.transpose(-1, -2) / {2 * a[-1]}", a[:-2], b[:-2]))
    return [text for text, *batches in texts if _broadcast(*batches) is not None]


def _linear(a: Shape, b: Shape) -> list[str]:
    return [f"tn.functional.linear(x, y) / {2 * a[-1]}"] if a and len(b) == 2 and a[-1] == b[-1] else []


def _conv1d(a: Shape, b: Shape) -> list[str]:
    """Channels as they are where they fit; otherwise all of ``y`` as one kernel, on all of ``x``."""
    n, size, texts = prod(a), prod(b), []
    if len(a) == len(b) == 3 and a[1] == b[1] and a[2] >= b[2]:
        texts.append(f"tn.functional.conv1d(x, y) / {2 * prod(b[1:])}")
    if size <= n:
        flat = f"tn.functional.conv1d(x.reshape(1, 1, {n}), y.reshape(1, 1, {size})"
        texts += [f"{flat}{options}) / {2 * size}" for options in ("", ", stride=2, padding=1", ", padding='same'")]
    if size <= n and size % 2 == n % 2 == 0:
        halves = f"x.reshape(1, 2, {n // 2}), y.reshape(2, 1, {size // 2})"
        texts.append(f"tn.functional.conv1d({halves}, groups=2) / {size}")
    return texts


def _images(a: Shape, b: Shape) -> tuple[str, str] | None:
    """The last two axes as height and width: ``x`` a batch of one channel, ``y`` kernels that fit into it."""
    if min(len(a), len(b)) < 2 or a[-2] < b[-2] or a[-1] < b[-1]:
        return None
    return f"x.reshape(-1, 1, {a[-2]}, {a[-1]})", f"{b[-2]}, {b[-1]}"


def _conv2d(a: Shape, b: Shape) -> list[str]:
    images = _images(a, b)
    if images is None:
        return []
    operands = f"{images[0]}, y.reshape(-1, 1, {images[1]})"
    options = ("", ", stride=(2, 1), padding=(0, 1)", ", dilation=2, padding='same'")
    return [f"tn.functional.conv2d({operands}{each}) / {2 * prod(b[-2:])}" for each in options]


def _conv_transpose2d(a: Shape, b: Shape) -> list[str]:
    images = _images(a, b)
    if images is None:
        return []
    operands = f"{images[0]}, y.reshape(1, -1, {images[1]})"
    return [f"tn.functional.conv_transpose2d({operands}{each}) / {2 * prod(b[-2:])}" for each in ("", ", stride=2")]


# Composites


def _softmax(shape: Shape) -> list[str]:
    return [f"tn.functional.softmax(x, {a})" for a in range(-1, len(shape) - 1)]


def _layer_norm(shape: Shape) -> list[str]:
    return [f"tn.functional.layer_norm(x, {part}, eps=1.0) / 2" for part in (shape[-1:], shape) if part]


def _batch_norm(shape: Shape) -> list[str]:
    if len(shape) < 2 or prod(shape) == shape[1]:
        return []
    return ["tn.functional.batch_norm(x, None, None, training=True, eps=1.0) / 2"]


def _cross_entropy(shape: Shape) -> list[str]:
    target = f"tn.tensor(np.zeros({shape[:-1]}, int))"
    one = f"tn.functional.cross_entropy(x, {target}, reduction="
    return [f"{one}{how!r}) / 4" for how in ("mean", "none")] if shape else []


def _mse_loss(a: Shape, b: Shape) -> list[str]:
    return [f"tn.functional.mse_loss(x, y, reduction={how!r}) / 8" for how in ("mean", "none")] if a == b else []


def _avg_pool(shape: Shape) -> list[str]:
    axes = {2: 1, 3: 1, 4: 2}.get(len(shape), 0)
    if not axes or min(shape[-axes:]) < 2:
        return []
    return [f"tn.functional.avg_pool{axes}d(x, 2{options})" for options in ("", ", stride=1, padding=1")]


def _max_pool(shape: Shape) -> list[str]:
    return [text.replace("avg", "max") for text in _avg_pool(shape)]


def _adaptive_avg_pool(shape: Shape) -> list[str]:
    return ["tn.functional.adaptive_avg_pool1d(x, 2)"] if len(shape) in (2, 3) else []


SMOOTH: dict[str, Operation] = {
    "negative": _elementwise("-x"),
    "tanh": _elementwise("x.tanh()"),
    "sigmoid": _elementwise("x.sigmoid()"),
    "exp": _elementwise("x.exp() / 4"),
    "log": _elementwise("(x + 3).log()"),
    "sqrt": _elementwise("(x + 3).sqrt() - 1"),
    "erf": _elementwise("tn.primitives.erf(x)"),
    "sin, cos": _elementwise("tn.primitives.sin(x)", "tn.primitives.cos(x)"),
    "add": _elementwise("(x + y) / 2"),
    "subtract": _elementwise("(x - y) / 2"),
    "multiply": _elementwise("x * y / 2"),
    "divide": _elementwise("x / (y + 4)"),
    "power": _elementwise("x**2 / 2", "x**3 / 4", "(x + 3) ** -1", "2**x / 2"),
    "power of both": _elementwise("(x + 3) ** y / 16"),
    "relu": _elementwise("(x + 3).relu() - 3", "(x - 3).relu()"),
    "absolute": _elementwise("(x + 3).abs() - 3", "(x - 3).abs() - 3"),
    "maximum": _elementwise("tn.functional.maximum(x + 5, y) - 5", "tn.functional.maximum(x, y + 5) - 5"),
    "minimum": _elementwise("tn.functional.minimum(x - 5, y) + 5", "tn.functional.minimum(x, y - 5) + 5"),
    "where": Operation(2, _where),
    "sum": _along("x.sum", divided=True),
    "mean": _along("x.mean"),
    "max": _elementwise("tn.functional.stack([x, x + 5]).max(0) - 5"),
    "min": _elementwise("tn.functional.stack([x, x - 5]).min(0) + 5"),
    "transpose": Operation(1, _transpose),
    "reshape": Operation(1, _reshape),
    "broadcast_to": Operation(1, _broadcast_to),
    "getitem": Operation(1, _getitem),
    "scatter": Operation(1, _scatter),
    "flip": Operation(1, _flip),
    "pad": Operation(1, _pad),
    "concatenate": Operation(2, _concatenate),
    "windows": Operation(1, _windows),
    "fold": Operation(1, _fold),
    "take": Operation(1, _take),
    "put": Operation(1, _put),
    "take_along_axis": Operation(1, _take_along_axis),
    "put_along_axis": Operation(1, _put_along_axis),
    "matmul": Operation(2, _matmul),
    "linear": Operation(2, _linear),
    "conv1d": Operation(2, _conv1d),
    "conv2d": Operation(2, _conv2d),
    "conv_transpose2d": Operation(2, _conv_transpose2d),
    "softmax": Operation(1, _softmax),
    "gelu": _elementwise("tn.functional.gelu(x)", "tn.functional.gelu(x, 'tanh')"),
    "softplus": _elementwise("tn.functional.softplus(x) / 2"),
    "leaky_relu": _elementwise("tn.functional.leaky_relu(x + 3) - 3", "tn.functional.leaky_relu(x - 3)"),
    "elu": _elementwise("tn.functional.elu(x + 3) - 3", "tn.functional.elu(x - 3)"),
    "layer_norm": Operation(1, _layer_norm),
    "batch_norm": Operation(1, _batch_norm),
    "cross_entropy": Operation(1, _cross_entropy),
    "mse_loss": Operation(2, _mse_loss),
    "avg_pool": Operation(1, _avg_pool),
    "adaptive_avg_pool": Operation(1, _adaptive_avg_pool),
}


def _chosen(*signs: str) -> Operation:
    return _elementwise(*(f"tn.functional.where(x {sign} y, x, y)" for sign in signs))


# Where a name stands in both, this is what a program that need not be smooth uses.
KINKED: dict[str, Operation] = {
    "relu": _elementwise("x.relu()"),
    "absolute": _elementwise("x.abs()"),
    "maximum": _elementwise("tn.functional.maximum(x, y)"),
    "minimum": _elementwise("tn.functional.minimum(x, y)"),
    "max": _along("x.max"),
    "min": _along("x.min"),
    "leaky_relu": _elementwise("tn.functional.leaky_relu(x)"),
    "elu": _elementwise("tn.functional.elu(x)"),
    "max_pool": Operation(1, _max_pool),
    "compared": _chosen(">", "<", ">=", "<="),
    # All of it but a point is one operand, so that the other's derivative, which automatic differentiation takes at
    # the point, is not the function's.
    "equal": _chosen("==", "!="),
}
