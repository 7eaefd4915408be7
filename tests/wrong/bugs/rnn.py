"""Bugs of a vanilla recurrent net."""

from __future__ import annotations

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of
from tests.wrong.bugs.recurrent import recurrent_bugs
from tests.wrong.bugs.slopes import tanh_bugs
from tests.wrong.network import sigmoid

bug = bugs_of("rnn")

RNN_BUGS: list[Bug] = [
    *recurrent_bugs("rnn", "z"),
    *tanh_bugs("rnn", "h", "z", "dz[-1]"),
    bug(
        "slope-of-previous-h",
        Row.ACTIVATION_DERIVATIVE,
        "The derivative is taken at the h of the step before.",
        "dz[-1]",
        "derivative, step",
        dz=lambda net, right, t: net.through("h", t) * (1 - net.before("h", t) ** 2),
    ),
    bug(
        "dW_hh-of-z",
        Row.PRE_ACTIVATION,
        "The gradient of W_hh takes the z of the step before where it wants its h.",
        "dW_hh",
        "pre-activation",
        dW_hh=lambda net, right: net.over_time(
            "W_hh", lambda t: net["dz", t].T @ (net["z", t - 1] if t else net.before("h", 0))
        ),
    ),
    bug(
        "dW_ih-of-dh",
        Row.PRE_ACTIVATION,
        "The gradient of W_ih is made of dh where it wants dz.",
        "dW_ih",
        "dh, dz",
        dW_ih=lambda net, right: net.over_time("W_ih", lambda t: net["dh", t].T @ net["x", t]),
    ),
    bug(
        "carry-h-of-dh",
        Row.CARRY,
        "dh, not dz, is sent through W_hh to the step before.",
        "dh[-2]",
        "dh, dz",
        dh_before=lambda net, right, t: net["dh", t] @ net.weights["W_hh"],
    ),
    bug(
        "sigmoid",
        Row.OTHER,
        "h is the sigmoid of z, not its tanh; the backward pass agrees with that.",
        "h[0]",
        "sigmoid, tanh",
        h=lambda net, right, t: sigmoid(net["z", t]),
        tanh_slope=lambda net, right, quantity, y, z: net.sigmoid_slope(quantity, y, z),
    ),
    bug(
        "relu",
        Row.OTHER,
        "h is the relu of z, not its tanh; the backward pass agrees with that.",
        "h[0]",
        "relu, tanh",
        h=lambda net, right, t: np.maximum(net["z", t], 0),
        tanh_slope=lambda net, right, quantity, y, z: net.array(z > 0),
    ),
    bug(
        "linear",
        Row.OTHER,
        "h is z: the tanh is forgotten; the backward pass agrees with that.",
        "h[0]",
        "tanh",
        h=lambda net, right, t: net["z", t],
        tanh_slope=lambda net, right, quantity, y, z: np.ones_like(y),
    ),
]
