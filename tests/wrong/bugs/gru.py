"""Bugs of a GRU."""

from __future__ import annotations

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of, times
from tests.wrong.bugs.gates import gate_bugs, order_bugs, stacked_bugs
from tests.wrong.bugs.recurrent import later, recurrent_bugs
from tests.wrong.bugs.slopes import sigmoid_bugs, tanh_bugs
from tests.wrong.network import Array, sigmoid
from tests.wrong.recurrent import GRU

bug = bugs_of("gru")

SLOPES = [
    *sigmoid_bugs("gru", "r", "z_r", "dz_r[-1]"),
    *sigmoid_bugs("gru", "z", "z_z", "dz_z[-1]"),
    *tanh_bugs("gru", "n", "z_n", "dz_n[-1]"),
]


def reset_before(net: GRU, right: object, t: int) -> Array:
    """W_in x + b_in + W_hn (r h) + b_hn."""
    recurrent = (net["r", t] * net.before("h", t)) @ net.block("W_hh", "z_n").T + net.block("b_hh", "z_n")
    return net.part(net.from_x(t), "z_n") + recurrent


def through_reset(net: GRU, t: int) -> Array:
    """The gradient of r h where the reset comes before the recurrent product."""
    return net["dz_n", t] @ net.block("W_hh", "z_n")


def reset_before_dW_hh(net: GRU, right: object) -> Array:
    def share(t: int) -> Array:
        gates = np.concatenate([net["dz_r", t], net["dz_z", t]], axis=1).T @ net.before("h", t)
        return np.concatenate([gates, net["dz_n", t].T @ (net["r", t] * net.before("h", t))])

    return net.over_time("W_hh", share)


def reset_before_dh(net: GRU, right: object, t: int) -> Array:
    gates = sum(net[f"dz_{gate}", t] @ net.block("W_hh", f"z_{gate}") for gate in "rz")
    return net.dh_direct(t) + gates + net["r", t] * through_reset(net, t)


RESET = [
    bug(
        "reset-before",
        Row.GRU_RESET,
        "The reset gate is applied to h before the recurrent product, not to the product; backward agrees with that.",
        "z_n[0]",
        "reset, before",
        z_n=reset_before,
        dr=lambda net, right, t: through_reset(net, t) * net.before("h", t),
        du_n=lambda net, right, t: net["dz_n", t],
        dW_hh=reset_before_dW_hh,
        dh_before=reset_before_dh,
    ),
    bug(
        "reset-before-forward",
        Row.GRU_RESET,
        "The forward pass applies the reset gate to h before the recurrent product; the backward pass after it.",
        "z_n[0]",
        "reset, before",
        z_n=reset_before,
    ),
    bug(
        "reset-before-from-rest",
        Row.GRU_RESET,
        "The reset gate is applied to h before the recurrent product, and its bias left out of the reset.",
        "z_n[0]",
        "reset, before",
        data="rest",
        z_n=reset_before,
    ),
    bug(
        "reset-before-without-bias",
        Row.GRU_RESET,
        "The reset gate is applied to h before the recurrent product: h0 = 0 and no b_hn hide it at the first step.",
        "z_n[1]",
        "reset, before",
        data="rest_unbiased",
        z_n=reset_before,
    ),
    bug(
        "b_hn-outside-reset",
        Row.GRU_RESET,
        "The recurrent bias of the candidate is added outside the reset.",
        "z_n[0]",
        "reset, bias",
        z_n=lambda net, right, t: right(t) + (1 - net["r", t]) * net.block("b_hh", "z_n"),
    ),
    bug(
        "b_in-inside-reset",
        Row.GRU_RESET,
        "The input bias of the candidate is added inside the reset.",
        "z_n[0]",
        "reset, bias",
        z_n=lambda net, right, t: right(t) - (1 - net["r", t]) * net.block("b_ih", "z_n"),
    ),
    bug(
        "reset-of-everything",
        Row.GRU_RESET,
        "The reset gate multiplies what comes from x too.",
        "z_n[0]",
        "reset",
        z_n=lambda net, right, t: net["r", t] * (net.part(net.from_x(t), "z_n") + net["u_n", t]),
    ),
    bug(
        "reset-missing",
        Row.GRU_RESET,
        "The reset gate is not used.",
        "z_n[0]",
        "reset",
        z_n=lambda net, right, t: net.part(net.from_x(t), "z_n") + net["u_n", t],
    ),
    bug(
        "reset-by-z",
        Row.GATE_ORDER,
        "The candidate is reset by z, the update gate.",
        "z_n[0]",
        "reset, z",
        z_n=lambda net, right, t: net.part(net.from_x(t), "z_n") + net["z", t] * net["u_n", t],
    ),
    bug(
        "du_n-without-r",
        Row.GRU_RESET,
        "The backward pass forgets the factor r of the recurrent product.",
        "du_n[-1]",
        "reset, r",
        du_n=lambda net, right, t: net["dz_n", t],
    ),
    bug(
        "dr-of-h",
        Row.GRU_RESET,
        "dr = dz_n h[t−1]: the recurrent product is forgotten.",
        "dr[-1]",
        "reset, h",
        dr=lambda net, right, t: net["dz_n", t] * net.before("h", t),
    ),
    bug(
        "dr-without-bias",
        Row.GRU_RESET,
        "dr leaves the recurrent bias out of what the reset multiplies.",
        "dr[-1]",
        "reset, bias",
        dr=lambda net, right, t: right(t) - net["dz_n", t] * net.block("b_hh", "z_n"),
    ),
    bug(
        "db_hn-without-r",
        Row.GRU_RESET,
        "The gradient of the candidate's recurrent bias forgets the reset: it is that of the input bias.",
        "db_hh",
        "reset, bias",
        db_hh=lambda net, right: net.db_ih(),
    ),
    bug(
        "dW_hn-without-r",
        Row.GRU_RESET,
        "The gradient of W_hn forgets the reset.",
        "dW_hh",
        "reset, W_hh",
        dW_hh=lambda net, right: net.over_time("W_hh", lambda t: net.d_from_x(t).T @ net.before("h", t)),
    ),
]

FORWARD = [
    bug(
        "h-exchanged",
        Row.OTHER,
        "h = z n + (1 − z) h[t−1], as in Cho's paper: z and 1 − z have changed places; backward agrees with that.",
        "h[0]",
        "1 − z",
        h=lambda net, right, t: net["z", t] * net["n", t] + (1 - net["z", t]) * net.before("h", t),
        dn=lambda net, right, t: net.through("h", t) * net["z", t],
        dz=times(-1),
        dh_direct=lambda net, right, t: net.through("h", t) * (1 - net["z", t]),
    ),
    bug(
        "h-exchanged-forward",
        Row.OTHER,
        "The forward pass has z and 1 − z in each other's place.",
        "h[0]",
        "1 − z",
        h=lambda net, right, t: net["z", t] * net["n", t] + (1 - net["z", t]) * net.before("h", t),
    ),
    bug(
        "h-by-r",
        Row.GATE_ORDER,
        "h is mixed by r, the reset gate.",
        "h[0]",
        "r, z",
        h=lambda net, right, t: (1 - net["r", t]) * net["n", t] + net["r", t] * net.before("h", t),
    ),
    bug(
        "h-without-old",
        Row.OTHER,
        "h = (1 − z) n: nothing of the old state is kept.",
        "h[0]",
        "z",
        h=lambda net, right, t: (1 - net["z", t]) * net["n", t],
    ),
    bug(
        "h-keeps-all",
        Row.OTHER,
        "h = (1 − z) n + h[t−1]: the old state lacks its factor z.",
        "h[0]",
        "z",
        h=lambda net, right, t: right(t) + (1 - net["z", t]) * net.before("h", t),
    ),
    bug(
        "n-is-sigmoid",
        Row.OTHER,
        "The candidate is a sigmoid; the backward pass agrees with that.",
        "n[0]",
        "sigmoid, tanh",
        n=lambda net, right, t: sigmoid(net["z_n", t]),
        tanh_slope=lambda net, right, quantity, y, z: y * (1 - y),
    ),
    bug(
        "hard-sigmoid",
        Row.OTHER,
        "The gates are hard sigmoids, 0.2 z + 0.5 between 0 and 1.",
        "r[0]",
        "sigmoid",
        sigmoid=lambda net, right, z: np.clip(0.2 * z + 0.5, 0, 1),
    ),
    bug(
        "mask-in-candidate-only",
        Row.PADDED_STEPS,
        "The mask of the padding reaches the candidate only: z still mixes it into the state.",
        "n[-2]",
        "padding, candidate",
        data="short",
        n=lambda net, right, t: right(t) * (t < net.lengths)[:, None],
        running=lambda net, right, state, t: right(state, 0),
    ),
]

BACKWARD = [
    bug(
        "carry-h-without-direct",
        Row.CARRY,
        "The old state gets nothing for what z keeps of it.",
        "dh[-2]",
        "dh, z",
        dh_direct=lambda net, right, t: right(t) * (t == 0),
    ),
    bug(
        "carry-h-without-factor-z",
        Row.FORGET_FACTOR,
        "dh is passed on to the step before without the factor z.",
        "dh[-2]",
        "dh, z",
        dh_direct=later(lambda net, right, t: net["dh", t]),
    ),
    bug(
        "carry-h-through-1-z",
        Row.FORGET_FACTOR,
        "dh is passed on to the step before with the factor 1 − z.",
        "dh[-2]",
        "dh, 1 − z",
        dh_direct=later(lambda net, right, t: net["dh", t] * (1 - net["z", t])),
    ),
    bug(
        "carry-h-direct-only",
        Row.TRUNCATION,
        "Only what z keeps of the state is sent back: the gates and the candidate take it for a constant.",
        "dh[-2]",
        "truncated",
        dh_before=later(lambda net, right, t: net.dh_direct(t)),
    ),
    bug(
        "carry-n-without-reset",
        Row.GRU_RESET,
        "What the candidate sends to the old h forgets the reset.",
        "dh[-2]",
        "reset",
        dh_before=later(lambda net, right, t: net.dh_direct(t) + net.d_from_x(t) @ net.weights["W_hh"]),
    ),
    bug(
        "dz-sign",
        Row.SIGN,
        "dz = dh (n − h[t−1]).",
        "dz[-1]",
        "sign",
        dz=times(-1),
    ),
    bug(
        "dz-without-n",
        Row.OTHER,
        "dz = dh h[t−1]: z's share of the candidate is forgotten.",
        "dz[-1]",
        "n",
        dz=lambda net, right, t: net.through("h", t) * net.before("h", t),
    ),
    bug(
        "dn-of-z",
        Row.OTHER,
        "dn = dh z where it is dh (1 − z).",
        "dn[-1]",
        "1 − z",
        dn=lambda net, right, t: net.through("h", t) * net["z", t],
    ),
    bug(
        "dn-without-z",
        Row.OTHER,
        "dn = dh: the factor 1 − z is forgotten.",
        "dn[-1]",
        "1 − z",
        dn=lambda net, right, t: net.through("h", t),
    ),
    bug(
        "dz-of-new-h",
        Row.IN_PLACE,
        "h is changed in place, so dz = dh (h[t] − n): the old state is gone.",
        "dz[-1]",
        "in place",
        dz=lambda net, right, t: net.through("h", t) * (net["h", t] - net["n", t]),
    ),
    bug(
        "dz-of-z_n",
        Row.PRE_ACTIVATION,
        "dz = dh (h[t−1] − z_n): the pre-activation stands in for the candidate.",
        "dz[-1]",
        "pre-activation",
        dz=lambda net, right, t: net.through("h", t) * (net.before("h", t) - net["z_n", t]),
    ),
    bug(
        "dz-rows-out-of-order",
        Row.GATE_ORDER,
        "The backward pass stacks the gradients of the gates as z, r, n.",
        "dx[-1]",
        "order, gates",
        d_from_x=lambda net, right, t: np.concatenate([net[f"dz_{gate}", t] for gate in "zrn"], axis=1),
    ),
]

GRU_BUGS: list[Bug] = [
    *recurrent_bugs("gru", "z_r"),
    *order_bugs("gru", "rzn", {"zrn": "r", "rnz": "z", "nzr": "r"}),
    *stacked_bugs("gru", "rzn"),
    *gate_bugs("gru", "rzn"),
    *SLOPES,
    *RESET,
    *FORWARD,
    *BACKWARD,
]
