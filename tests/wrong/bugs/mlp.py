"""Bugs of an MLP with dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of, only, times
from tests.wrong.bugs.common import classifier_bugs
from tests.wrong.bugs.slopes import tanh_bugs
from tests.wrong.mlp import MLP
from tests.wrong.network import Array

bug = bugs_of("mlp")


def _softmax_without_keepdims(net: MLP, right: Any, logits: Array) -> Array:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1)


def through_updated(weight: str, gradient: str) -> Callable[..., Array]:
    """A gradient sent through a weight that has been updated before."""

    def wrong(net: MLP, right: Any) -> Array:
        updated = net.updated(net.weights[weight], getattr(net, f"d{weight}")())
        return net[gradient] @ updated

    return wrong


def plus(bias: str) -> Callable[..., Array]:
    return lambda net, right: right() + net.weights[bias]


WEIGHTS = [
    bug(
        "W1-reshaped",
        Row.AXES,
        "The first weight was reshaped where it had to be transposed.",
        "z1",
        "W1, reshape",
        load=only("W1", lambda net, right, symbol, weight: weight.T.reshape(weight.shape)),
    ),
    bug(
        "W2-transposed",
        Row.TRANSPOSED,
        "The second weight, which is square, was transposed when it was loaded; the backward pass agrees with that.",
        "z2",
        "W2, transposed",
        data="square",
        load=only("W2", lambda net, right, symbol, weight: weight.T),
    ),
    bug(
        "W2-transposed-backward",
        Row.TRANSPOSED,
        "The gradient goes through the second weight, which is square, transposed.",
        "dkept",
        "W2, transposed",
        data="square",
        dkept=lambda net, right: net["dz2"] @ net.weights["W2"].T,
    ),
    bug(
        "dW2-transposed",
        Row.TRANSPOSED,
        "The gradient of the second weight, which is square, comes out transposed.",
        "dW2",
        "W2, transposed",
        data="square",
        dW2=lambda net, right: right().T,
    ),
    bug(
        "b1-missing",
        Row.TWO_BIASES,
        "The bias of the first layer is left out.",
        "z1",
        "b1",
        z1=lambda net, right: right() - net.weights["b1"],
    ),
    bug("b1-twice", Row.BIAS_TWICE, "The bias of the first layer is added twice.", "z1", "b1, twice", z1=plus("b1")),
    bug("b2-twice", Row.BIAS_TWICE, "The bias of the second layer is added twice.", "z2", "b2, twice", z2=plus("b2")),
    bug(
        "b1-along-batch",
        Row.AXES,
        "The bias of the first layer is added along the batch, which has as many rows.",
        "z1",
        "b1, axis",
        data="square",
        z1=lambda net, right: right() - net.weights["b1"] + net.weights["b1"][:, None],
    ),
    bug(
        "softmax-without-keepdims",
        Row.SUM_SHAPE,
        "The sum over the classes is spread along the batch, which has as many rows.",
        "p",
        "softmax, axis",
        data="square",
        softmax=_softmax_without_keepdims,
    ),
]

ACTIVATIONS = [
    *tanh_bugs("mlp", "a2", "z2", "dz2"),
    bug(
        "tanh-in-place",
        Row.IN_PLACE,
        "The tanh overwrites z2, so the derivative takes the tanh of what is one already.",
        "dz2",
        "in place, tanh",
        dz2=lambda net, right: net["da2"] * (1 - np.tanh(net["a2"]) ** 2),
    ),
    bug(
        "relu-in-place",
        Row.IN_PLACE,
        "The relu overwrites z1, whose sign is all that the derivative asks for.",
        "",
        "in place, relu",
        dz1=lambda net, right: net["da1"] * (net["a1"] > 0),
    ),
    bug(
        "relu-unmasked",
        Row.ACTIVATION_DERIVATIVE,
        "The derivative of the relu is forgotten.",
        "dz1",
        "derivative, relu",
        dz1=lambda net, right: net["da1"],
    ),
    bug(
        "relu-of-gradient",
        Row.ACTIVATION_DERIVATIVE,
        "The relu's mask is taken of the gradient instead of z1.",
        "dz1",
        "derivative, relu",
        dz1=lambda net, right: np.maximum(net["da1"], 0),
    ),
    bug(
        "relu-function",
        Row.ACTIVATION_DERIVATIVE,
        "The gradient is multiplied by the relu itself.",
        "dz1",
        "derivative, relu",
        dz1=lambda net, right: net["da1"] * net["a1"],
    ),
    bug(
        "relu-of-wrong-sign",
        Row.SIGN,
        "The relu's mask lets the gradient through where z1 is negative.",
        "dz1",
        "derivative, relu",
        dz1=lambda net, right: net["da1"] * (net["z1"] < 0),
    ),
    bug(
        "relu-leaks",
        Row.OTHER,
        "The relu lets through 0.01 of what is negative.",
        "a1",
        "relu",
        a1=lambda net, right: np.where(net["z1"] > 0, net["z1"], 0.01 * net["z1"]),
    ),
]

DROPOUT = [
    bug(
        "dropout-unscaled",
        Row.DROPOUT,
        "What dropout keeps is not divided by 1 − rate; the backward pass agrees with that.",
        "kept",
        "dropout, scale",
        dropout=lambda net, right, a: a * net.mask,
        dropout_back=lambda net, right, da: da * net.mask,
    ),
    bug(
        "dropout-over-rate",
        Row.DROPOUT,
        "What dropout keeps is divided by the rate.",
        "kept",
        "dropout, scale",
        dropout=lambda net, right, a: a * net.mask / net.rate,
    ),
    bug(
        "dropout-times-1-rate",
        Row.DROPOUT,
        "What dropout keeps is multiplied by 1 − rate, as a test run would be.",
        "kept",
        "dropout, scale",
        dropout=lambda net, right, a: a * net.mask * (1 - net.rate),
    ),
    bug(
        "dropout-drops-the-kept",
        Row.DROPOUT,
        "The mask is read as what to drop.",
        "kept",
        "dropout, mask",
        dropout=lambda net, right, a: a * (1 - net.mask) / (1 - net.rate),
    ),
    bug(
        "dropout-off",
        Row.DROPOUT,
        "Nothing is dropped.",
        "kept",
        "dropout",
        dropout=lambda net, right, a: a,
        dropout_back=lambda net, right, da: da,
    ),
    bug(
        "dropout-back-unmasked",
        Row.DROPOUT,
        "The backward pass knows no mask.",
        "da1",
        "dropout, mask",
        dropout_back=lambda net, right, da: da / (1 - net.rate),
    ),
    bug(
        "dropout-back-unscaled",
        Row.DROPOUT,
        "The backward pass does not divide by 1 − rate.",
        "da1",
        "dropout, scale",
        dropout_back=lambda net, right, da: da * net.mask,
    ),
    bug(
        "dropout-back-off",
        Row.DROPOUT,
        "The backward pass knows no dropout.",
        "da1",
        "dropout",
        dropout_back=lambda net, right, da: da,
    ),
    bug(
        "dropout-back-scaled-twice",
        Row.DROPOUT,
        "The backward pass divides by 1 − rate twice.",
        "da1",
        "dropout, scale",
        dropout_back=times(lambda net: 1 / (1 - net.rate)),
    ),
    bug(
        "dropout-mask-regenerated",
        Row.DROPOUT,
        "The backward pass draws a mask of its own.",
        "da1",
        "dropout, mask",
        dropout_back=lambda net, right, da: da * np.roll(net.mask, 1, axis=1) / (1 - net.rate),
    ),
    bug(
        "dropout-mask-from-zeros",
        Row.DROPOUT,
        "The backward pass infers the mask from the zeros that came out, those of the relu included.",
        "da1",
        "dropout, mask",
        dropout_back=lambda net, right, da: da * (net["kept"] != 0) / (1 - net.rate),
    ),
    bug(
        "dW2-of-undropped",
        Row.DROPOUT,
        "The gradient of the second weight takes the activations from before the dropout.",
        "dW2",
        "dropout",
        dW2=lambda net, right: net["dz2"].T @ net["a1"],
    ),
]

GRADIENTS = [
    bug(
        "db1-mean",
        Row.BIAS_GRADIENT,
        "The gradient of the first bias is averaged over the batch.",
        "db1",
        "bias, mean",
        db1=times(lambda net: 1 / net.N),
    ),
    bug(
        "db1-of-first-row",
        Row.BIAS_GRADIENT,
        "The gradient of the first bias is not summed over the batch: it is that of its first row.",
        "db1",
        "bias, batch",
        db1=lambda net, right: net["dz1"][0],
    ),
    bug(
        "db1-along-units",
        Row.BIAS_GRADIENT,
        "The gradient of the first bias is summed over the units, of which there are as many as rows.",
        "db1",
        "bias, axis",
        data="square",
        db1=lambda net, right: net["dz1"].sum(axis=1),
    ),
    bug(
        "db2-of-da2",
        Row.PRE_ACTIVATION,
        "The gradient of the second bias sums da2 where it wants dz2.",
        "db2",
        "bias, da2",
        db2=lambda net, right: net["da2"].sum(axis=0),
    ),
    bug(
        "dW2-of-da2",
        Row.PRE_ACTIVATION,
        "The gradient of the second weight is made of da2 where it wants dz2.",
        "dW2",
        "da2",
        dW2=lambda net, right: net["da2"].T @ net["kept"],
    ),
    bug(
        "dW_out-of-z2",
        Row.PRE_ACTIVATION,
        "The gradient of the output's weight takes z2 where it wants a2.",
        "dW_out",
        "pre-activation",
        dW_out=lambda net, right: net["dlogits"].T @ net["z2"],
    ),
    bug(
        "dW1-averaged-twice",
        Row.FACTOR,
        "The gradient of the first weight is divided by the batch size once more.",
        "dW1",
        "factor, batch",
        dW1=times(lambda net: 1 / net.N),
    ),
    bug(
        "dW1-of-last-row",
        Row.OVERWRITTEN,
        "The gradient of the first weight is overwritten for every row of the batch: it holds the last one's share.",
        "dW1",
        "overwritten, batch",
        dW1=lambda net, right: np.outer(net["dz1"][-1], net["x"][-1]),
    ),
    bug(
        "x-centred-in-place",
        Row.IN_PLACE,
        "The forward pass centres x in place after it has read it, so the gradient of W1 sees another x.",
        "dW1",
        "in place",
        dW1=lambda net, right: net["dz1"].T @ (net["x"] - net["x"].mean(axis=0)),
    ),
    bug(
        "second-layer-through-updated-weight",
        Row.OTHER,
        "The second layer is updated before the gradient is sent through it.",
        "dkept",
        "update, W2",
        dkept=through_updated("W2", "dz2"),
    ),
    bug(
        "first-layer-through-updated-weight",
        Row.OTHER,
        "The first layer is updated before the gradient is sent through it.",
        "dx",
        "update, W1",
        dx=through_updated("W1", "dz1"),
    ),
    bug(
        "dx-of-da1",
        Row.PRE_ACTIVATION,
        "The gradient of x is made of da1 where it wants dz1.",
        "dx",
        "da1",
        dx=lambda net, right: net["da1"] @ net.weights["W1"],
    ),
]

MLP_BUGS: list[Bug] = [*classifier_bugs("mlp", "W1", "da2", timed=False), *WEIGHTS, *ACTIVATIONS, *DROPOUT, *GRADIENTS]
