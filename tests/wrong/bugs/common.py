"""Bugs in what all classifiers share: the output layer, the loss and the update."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of, times
from tests.wrong.network import Array, Classifier

LIMIT = 0.1  # of the norm of all gradients


def classifier_bugs(network: str, symbol: str, features: str, timed: bool) -> list[Bug]:
    """``symbol`` is the first weight, ``features`` the first gradient behind the output layer."""
    p, dlogits = ("p[0]", "dlogits[-1]") if timed else ("p", "dlogits")
    return [
        *forward_bugs(network, p),
        *gradient_bugs(network, dlogits, features),
        *update_bugs(network, symbol),
    ]


def forward_bugs(network: str, p: str) -> list[Bug]:
    """Wrong probabilities, or a wrong loss."""
    bug = bugs_of(network)
    return [
        bug(
            "softmax-twice",
            Row.SOFTMAX_TWICE,
            "The softmax is taken of probabilities that a softmax has made.",
            p,
            "softmax, twice",
            softmax=lambda net, right, logits: right(right(logits)),
        ),
        bug(
            "softmax-twice-before-the-loss",
            Row.SOFTMAX_TWICE,
            "The loss applies a softmax of its own to probabilities.",
            "loss",
            "softmax, twice",
            nll=lambda net, right, logits, target: right(net.softmax(logits), target),
        ),
        bug(
            "softmax-over-batch",
            Row.AXES,
            "The softmax runs over the batch instead of the classes.",
            p,
            "softmax, axis",
            softmax=lambda net, right, logits: right(logits.T).T,
        ),
        bug(
            "softmax-unshifted",
            Row.SOFTMAX_SHIFT,
            "The softmax takes e^logit without subtracting the maximum first, and overflows.",
            p,
            "overflow, maximum",
            data="saturated",
            softmax=_softmax_unshifted,
        ),
        bug(
            "softmax-unshifted-small",
            Row.SOFTMAX_SHIFT,
            "The softmax takes e^logit without subtracting the maximum first, which shows for large logits only.",
            "",
            "overflow, maximum",
            softmax=_softmax_unshifted,
        ),
        bug(
            "log-of-zero",
            Row.SOFTMAX_SHIFT,
            "The loss is the logarithm of a probability that has underflowed to 0.",
            "loss",
            "log, 0",
            data="saturated",
            nll=_log_of_p,
        ),
        bug(
            "log-of-p-plus-epsilon",
            Row.SOFTMAX_SHIFT,
            "The loss is −ln(p + 1e-3): a guard against the logarithm of 0 that is too large.",
            "loss",
            "log, epsilon",
            nll=lambda net, right, logits, target: -np.log(np.exp(-right(logits, target)) + 1e-3),
        ),
        bug(
            "log-base-10",
            Row.OTHER,
            "The loss takes the logarithm to the base 10, its gradient the natural one.",
            "loss",
            "log, base",
            nll=times(1 / np.log(10)),
        ),
        bug(
            "target-one-off",
            Row.OTHER,
            "The classes are counted from 1.",
            "loss",
            "target",
            nll=lambda net, right, logits, target: right(logits, (target + 1) % logits.shape[1]),
            onehot=lambda net, right, target: np.roll(right(target), 1, axis=1),
        ),
        bug(
            "loss-sum",
            Row.FACTOR,
            "The loss, and so every gradient, is a sum instead of a mean.",
            "loss",
            "sum, mean",
            share=times(_targets),
        ),
        bug(
            "loss-mean-over-classes",
            Row.FACTOR,
            "The loss is also averaged over the classes.",
            "loss",
            "factor, classes",
            share=times(lambda net: 1 / _classes(net)),
        ),
        bug(
            "loss-sum-gradient-mean",
            Row.FACTOR,
            "The loss that is reported is a sum, while its gradient is that of the mean.",
            "loss",
            "sum, mean",
            loss=times(_targets),
        ),
        bug(
            "loss-sign",
            Row.SIGN,
            "The loss is +ln p, while its gradient is right.",
            "loss",
            "sign",
            nll=times(-1),
        ),
    ]


def gradient_bugs(network: str, dlogits: str, features: str) -> list[Bug]:
    """Wrong gradients of the loss and of the output layer."""
    bug = bugs_of(network)
    return [
        bug(
            "dlogits-sum",
            Row.FACTOR,
            "The gradient of the loss is not divided by the number of targets.",
            dlogits,
            "factor",
            dlogits=times(_targets),
        ),
        bug(
            "dlogits-averaged-twice",
            Row.FACTOR,
            "The gradient of the loss is divided by the batch size once more.",
            dlogits,
            "factor, batch",
            dlogits=times(lambda net: 1 / net.N),
        ),
        bug(
            "dlogits-times-2",
            Row.FACTOR,
            "The gradient is twice as large, as that of a square would be.",
            dlogits,
            "factor",
            dlogits=times(2),
        ),
        bug(
            "dlogits-sign",
            Row.SIGN,
            "The gradient of the logits is y − p.",
            dlogits,
            "sign",
            dlogits=times(-1),
        ),
        bug(
            "onehot-missing",
            Row.OTHER,
            "The gradient of the logits is p: the target is not subtracted.",
            dlogits,
            "target",
            onehot=times(0),
        ),
        bug(
            "softmax-derivative-again",
            Row.ACTIVATION_DERIVATIVE,
            "p − y is multiplied by p (1 − p), though it is already the gradient of the logits.",
            dlogits,
            "p (1 − p)",
            dlogits=lambda net, right, p, *rest: right(p, *rest) * p * (1 - p),
        ),
        bug(
            "features-through-updated-weight",
            Row.OTHER,
            "The output layer is updated before the gradient is sent through it.",
            features,
            "update, W_out",
            dfeatures=lambda net, right, dlogits: dlogits @ net.updated(net.weights["W_out"], net.dW_out()),
        ),
        bug(
            "db_out-mean",
            Row.BIAS_GRADIENT,
            "The gradient of the output's bias is averaged over the batch.",
            "db_out",
            "bias, mean",
            db_out=times(lambda net: 1 / net.N),
        ),
        bug(
            "dW_out-averaged-twice",
            Row.FACTOR,
            "The gradient of the output's weight is divided by the batch size once more.",
            "dW_out",
            "factor, batch",
            dW_out=times(lambda net: 1 / net.N),
        ),
    ]


def update_bugs(network: str, symbol: str) -> list[Bug]:
    """Wrong gradients of all weights, or a wrong update."""
    bug = bugs_of(network)
    return [
        bug(
            "update-sign",
            Row.SIGN,
            "The update goes up the gradient.",
            f"new_{symbol}",
            "sign, update",
            updated=lambda net, right, weight, gradient: weight + net.lr * gradient,
        ),
        bug(
            "weights-averaged-twice",
            Row.FACTOR,
            "All gradients of weights are divided by the batch size once more.",
            f"d{symbol}",
            "factor, batch",
            parameter_gradients=_each(lambda net, gradients: {k: g / net.N for k, g in gradients.items()}),
        ),
        bug(
            "update-averaged-twice",
            Row.FACTOR,
            "The update divides the learning rate by the batch size.",
            f"new_{symbol}",
            "factor, update",
            updated=lambda net, right, weight, gradient: right(weight, gradient / net.N),
        ),
        bug(
            "decay-in-gradient",
            Row.WEIGHT_DECAY,
            "Weight decay is added to the gradients.",
            f"d{symbol}",
            "decay",
            parameter_gradients=_each(
                lambda net, gradients: {k: g + 0.1 * net.weights[k] for k, g in gradients.items()}
            ),
        ),
        bug(
            "decay-in-update",
            Row.WEIGHT_DECAY,
            "The update adds weight decay to the gradient.",
            f"new_{symbol}",
            "decay",
            updated=lambda net, right, weight, gradient: right(weight, gradient + 0.1 * weight),
        ),
        bug(
            "decay-decoupled",
            Row.WEIGHT_DECAY,
            "The update shrinks the weight by a share that does not depend on the learning rate.",
            f"new_{symbol}",
            "decay",
            updated=lambda net, right, weight, gradient: right(weight, gradient) - 0.1 * weight,
        ),
        bug(
            "clipped-by-norm",
            Row.CLIPPING,
            "The gradients of the weights are scaled down so that their common norm is at most 0.1.",
            f"d{symbol}",
            "clip",
            parameter_gradients=_each(_clipped_by_norm),
        ),
        bug(
            "clipped-by-value",
            Row.CLIPPING,
            "Each gradient of a weight is cut at half its largest number.",
            f"d{symbol}",
            "clip",
            parameter_gradients=_each(lambda net, gradients: {k: clipped(g) for k, g in gradients.items()}),
        ),
    ]


def clipped(gradient: Array) -> Array:
    """Cut at half the largest number."""
    limit = np.abs(gradient).max() / 2
    return np.clip(gradient, -limit, limit)


def _each(wrong: Any) -> Any:
    """An edit of ``parameter_gradients``: what ``wrong(net, gradients)`` makes of the right ones."""
    return lambda net, right: wrong(net, right())


def _targets(net: Classifier) -> float:
    return net.target.size


def _classes(net: Classifier) -> int:
    return len(net.weights["b_out"])


def _softmax_unshifted(net: Classifier, right: Any, logits: Array) -> Array:
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


def _log_of_p(net: Classifier, right: Any, logits: Array, target: Array) -> Array:
    return -np.log(np.take_along_axis(net.softmax(logits), target[:, None], axis=1))


def _clipped_by_norm(net: Classifier, gradients: dict[str, Array]) -> dict[str, Array]:
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    return {symbol: g * min(1, LIMIT / norm) for symbol, g in gradients.items()}
