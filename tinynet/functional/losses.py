"""Losses, with PyTorch's names and arguments. Recorded, their quantities are ``loss.p``, ``loss.sum`` …"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.backend import extent, kind
from tinynet.functional.activations import exponentials
from tinynet.functional.composite import composite
from tinynet.functional.kernels import error as error_kernel
from tinynet.functional.kernels import softmax as kernel
from tinynet.recording import is_recording, name, scope
from tinynet.tensor import Tensor, beside


@composite(kernel.cross_entropy_forward, kernel.cross_entropy_backward)
def _cross_entropy(input: Tensor, target: Tensor) -> Tensor:
    """−ln p[target] for every row: (…, C) and integers (…, 1) give (…, 1).

    Computed as ln Σ e^(x − max) + max − x[target], whose derivative is p − onehot (Goodfellow, Bengio and
    Courville, Deep Learning, section 6.2.2.3).
    """
    with scope("loss"):
        largest, e, total = exponentials(input, -1)
        name((e / total).detach(), "p", title="probabilities")
        score = P.take_along_axis(input, target, axis=input.ndim - 1)
        return name(
            P.log(total) + largest - score, "nll", title="negative log-likelihood: −ln of the target's probability"
        )


def cross_entropy(input: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """Cross-entropy of logits ``input`` (…, C) with integer classes ``target`` (…).

    ``reduction`` is ``mean`` over all targets, ``sum``, or ``none``. Raises ValueError for shapes or classes
    that do not fit and TypeError for targets that are not integers. Unlike PyTorch's, the classes are the
    *last* axis, whatever the number of axes.
    """
    classes = beside(input, target, name="target")
    if kind(classes) not in "iu":
        raise TypeError(f"target holds {classes.dtype}: cross_entropy expects integer classes")
    if classes.shape != input.shape[:-1]:
        raise ValueError(f"target has shape {classes.shape}, expected {input.shape[:-1]} for logits {input.shape}")
    low, high = extent(classes.data) if classes.size else (0, 0)
    if low < 0 or high >= input.shape[-1]:
        raise ValueError(f"target holds class {low if low < 0 else high}: expected 0 to {input.shape[-1] - 1}")
    if is_recording() and classes.name is None:
        name(classes, "target")
    if reduction == "mean":
        return _mean_cross_entropy(input, classes)
    return _reduce(_cross_entropies(input, classes), reduction)


def _cross_entropies(input: Tensor, target: Tensor) -> Tensor:
    losses = _cross_entropy(input, P.reshape(target, shape=(*target.shape, 1)))
    return P.reshape(losses, shape=target.shape)


@composite(kernel.mean_cross_entropy_forward, kernel.mean_cross_entropy_backward)
def _mean_cross_entropy(input: Tensor, target: Tensor) -> Tensor:
    return _reduce(_cross_entropies(input, target), "mean")


def mse_loss(input: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """Squared error (input − target)², ``mean`` over all elements, ``sum``, or ``none``.

    Raises ValueError where the shapes differ: broadcasting here is nearly always a mistake.
    """
    wanted = beside(input, target, name="target")
    if wanted.shape != input.shape:
        raise ValueError(f"target has shape {wanted.shape}, expected {input.shape}, the shape of the input")
    if reduction == "mean":
        return _mean_squared_error(input, wanted)
    return _squared_error(input, wanted, reduction)


def _squared_error(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    with scope("loss"):
        error = name(input - target, "error", title="what is missing from the target")
        return _reduce(name(error**2, "square", title="squared error"), reduction)


@composite(error_kernel.mean_squared_forward, error_kernel.mean_squared_backward)
def _mean_squared_error(input: Tensor, target: Tensor) -> Tensor:
    return _squared_error(input, target, "mean")


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}, expected 'mean', 'sum' or 'none'")
    total = P.sum(losses, axis=None, keepdims=False)
    if reduction == "mean":
        total = total / max(int(np.prod(losses.shape)), 1)
    return total
