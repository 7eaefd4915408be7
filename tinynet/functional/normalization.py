"""Normalisation: numbers moved to mean 0 and variance 1, then scaled and shifted by what is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinynet import primitives as P
from tinynet.backend import cast
from tinynet.functional.shapes import mean
from tinynet.recording import moved, name
from tinynet.tensor import Tensor


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = x̂ · weight + bias, x̂ = (x − mean) / √(var + eps), for each channel of (N, C, *S); all else is (C,).

    In ``training``, mean and var are those of the batch, and the running ones, if any, move towards them in place:
    running ← (1 − momentum) · running + momentum · batch, where var is over n − 1. Otherwise they are the running
    ones. Raises ValueError for shapes that do not fit, a channel of one number in training, and running statistics
    that are missing. Source: Ioffe and Szegedy, Batch normalization (2015), algorithms 1 and 2.
    """
    _check_channels(input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    axes = (0, *range(2, input.ndim))
    if training:
        count = input.size // max(input.shape[1], 1)
        if count < 2:
            raise ValueError(f"batch_norm expects two numbers or more a channel in training, got {input.shape}")
        average, centred, var = _moments(input, axes)
        if running_mean is not None and running_var is not None:
            _move(running_mean, P.reshape(average, shape=running_mean.shape), momentum, "running_mean", "mean")
            unbiased = P.reshape(var, shape=running_var.shape) * (count / (count - 1))
            _move(running_var, unbiased, momentum, "running_var", "variance")
    elif running_mean is not None and running_var is not None:
        average = name(running_mean, "running_mean", title="running mean")
        var = name(running_var, "running_var", title="running variance")
        centred = input - _along(average, input, axes)
    else:
        raise ValueError("batch_norm got no running_mean or running_var, expected both: pass them, or training=True")
    scale, shift = (None if x is None else _along(x, input, axes) for x in (weight, bias))
    return _standardised(centred, _along(var, input, axes), eps, scale, shift)


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """y = x̂ · weight + bias, x̂ = (x − mean) / √(var + eps), over the last axes: (…, *normalized_shape).

    ``weight`` and ``bias`` have that shape. Raises ValueError for shapes that do not fit. Source: Ba, Kiros and
    Hinton, Layer normalization (2016).
    """
    last = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not last or input.shape[-len(last) :] != last or 0 in last:
        raise ValueError(f"layer_norm expects (…, {', '.join(map(str, last))}), got {input.shape}")
    for label, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.shape != last:
            raise ValueError(f"layer_norm got a {label} of shape {x.shape}, expected {last}, the normalized_shape")
    axes = tuple(range(input.ndim - len(last), input.ndim))
    _, centred, var = _moments(input, axes)
    return _standardised(centred, _along(var, input, axes), eps, weight, bias)


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """The mean over ``axes``, which keep size 1; what each number is away from it; and the mean square of that."""
    average = name(mean(x, axes, keepdims=True), "mean", title="mean")
    centred = name(x - average, "centred", title="distance from the mean")
    return average, centred, name(mean(centred**2, axes, keepdims=True), "var", title="variance")


def _along(statistic: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Shape what was reduced over ``axes`` so that it broadcasts against ``x``."""
    return P.reshape(statistic, shape=tuple(1 if axis in axes else n for axis, n in enumerate(x.shape)))


def _standardised(centred: Tensor, var: Tensor, eps: float, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    y = name(centred / P.sqrt(var + eps), "xhat", title="normalised: mean 0, variance 1")
    y = y if scale is None else y * scale
    return name(y if shift is None else y + shift, "y", title="scaled and shifted")


def _move(running: Tensor, batch: Tensor, momentum: float, label: str, title: str) -> None:
    """Move a running statistic towards that of the batch. A recording goes on from what is computed here."""
    before = name(running, label, title=f"running {title}")
    new = name((1 - momentum) * before + momentum * batch, f"new_{label}", title=f"running {title}, moved")
    running.data = new.data if new.dtype == running.dtype else cast(new.data, running.dtype)
    moved(running, new)


def _check_channels(input: Tensor, **given: Any) -> None:
    if input.ndim < 2:
        raise ValueError(f"batch_norm expects (N, C) or (N, C, …), got {input.shape}")
    for label, x in given.items():
        if x is not None and x.shape != input.shape[1:2]:
            raise ValueError(
                f"batch_norm got a {label} of shape {x.shape}, expected {input.shape[1:2]}, a number for each channel "
                f"of the input {input.shape}"
            )
