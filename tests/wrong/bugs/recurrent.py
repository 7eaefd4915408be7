"""Bugs that can be made in every recurrent net, around the formulas of its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of, only, times
from tests.wrong.bugs.common import classifier_bugs, clipped
from tests.wrong.network import Array
from tests.wrong.recurrent import Recurrent


def recurrent_bugs(network: str, z: str, state: str = "h") -> list[Bug]:
    """``z`` is the first pre-activation; ``state`` the first one to change beyond the end of a sequence."""
    return [
        *classifier_bugs(network, "W_ih", "dh[-1]", timed=True),
        *weight_bugs(network, z),
        *state_bugs(network, z),
        *axis_bugs(network, z),
        *loss_bugs(network),
        *carry_bugs(network),
        *gradient_bugs(network),
        *length_bugs(network, state),
        *bugs_beside_lengths(network, z),
    ]


def weight_bugs(network: str, z: str) -> list[Bug]:
    """Wrong weights in the forward pass."""
    bug = bugs_of(network)
    return [
        bug(
            "U-transposed",
            Row.TRANSPOSED,
            "The recurrent weight was transposed when it was loaded; the backward pass agrees with that.",
            f"{z}[0]",
            "W_hh, transposed",
            load=only("W_hh", lambda net, right, symbol, weight: blocks_transposed(weight)),
        ),
        bug(
            "U-transposed-forward",
            Row.TRANSPOSED,
            "The forward pass multiplies h by W_hh where the transposed weight is meant.",
            f"{z}[0]",
            "W_hh, transposed",
            from_h=_from_h_transposed,
        ),
        bug(
            "U-transposed-backward",
            Row.TRANSPOSED,
            "The backward pass sends the gradient through the transposed recurrent weight.",
            "dh[-2]",
            "W_hh, transposed",
            dh_before=_dh_before_transposed,
        ),
        bug(
            "U-transposed-from-rest",
            Row.TRANSPOSED,
            "The recurrent weight is transposed, which an initial state of 0 hides at the first step.",
            f"{z}[1]",
            "W_hh, transposed",
            data="rest",
            from_h=_from_h_transposed,
        ),
        bug(
            "W-reshaped",
            Row.AXES,
            "The input weight was reshaped where it had to be transposed.",
            f"{z}[0]",
            "W_ih, reshape",
            load=only("W_ih", lambda net, right, symbol, weight: reshaped(weight)),
        ),
        bug(
            "b_hh-missing",
            Row.TWO_BIASES,
            "The recurrent bias is left out.",
            f"{z}[0]",
            "b_hh",
            from_h=lambda net, right, t: right(t) - net.weights["b_hh"],
        ),
        bug(
            "b_ih-missing",
            Row.TWO_BIASES,
            "The input bias is left out.",
            f"{z}[0]",
            "b_ih",
            from_x=lambda net, right, t: right(t) - net.weights["b_ih"],
        ),
        bug(
            "both-biases-missing",
            Row.TWO_BIASES,
            "Both biases are left out.",
            f"{z}[0]",
            "b_ih, b_hh",
            from_x=lambda net, right, t: right(t) - net.weights["b_ih"],
            from_h=lambda net, right, t: right(t) - net.weights["b_hh"],
        ),
        bug(
            "b_ih-for-b_hh",
            Row.TWO_BIASES,
            "The input bias stands in for the recurrent bias too.",
            f"{z}[0]",
            "b_ih, b_hh",
            from_h=lambda net, right, t: right(t) - net.weights["b_hh"] + net.weights["b_ih"],
        ),
        bug(
            "b_hh-twice",
            Row.BIAS_TWICE,
            "The recurrent bias is added twice.",
            f"{z}[0]",
            "b_hh, twice",
            from_h=lambda net, right, t: right(t) + net.weights["b_hh"],
        ),
        bug(
            "b_ih-twice",
            Row.BIAS_TWICE,
            "The input bias is added twice.",
            f"{z}[0]",
            "b_ih, twice",
            from_x=lambda net, right, t: right(t) + net.weights["b_ih"],
        ),
        bug(
            "b_out-twice",
            Row.BIAS_TWICE,
            "The bias of the output is added twice.",
            "logits[0]",
            "b_out, twice",
            scores=lambda net, right, features: right(features) + net.weights["b_out"],
        ),
    ]


def state_bugs(network: str, z: str) -> list[Bug]:
    """The wrong state, or the wrong step."""
    bug = bugs_of(network)
    return [
        bug(
            "h0-ignored",
            Row.INITIAL_STATE,
            "The initial h is ignored: the net starts from 0.",
            f"{z}[0]",
            "h0",
            before=lambda net, right, state, t: right(state, t) * (state != "h" or t > 0),
        ),
        bug(
            "h0-ignored-from-rest",
            Row.INITIAL_STATE,
            "The initial h is ignored, and was 0 anyway.",
            "",
            "h0",
            data="rest",
            before=lambda net, right, state, t: right(state, t) * (state != "h" or t > 0),
        ),
        bug(
            "h0-at-every-step",
            Row.OTHER,
            "Every step starts from the initial h: the new one is never fed back.",
            f"{z}[1]",
            "h0, fed back",
            before=only("h", lambda net, right, state, t: right(state, 0)),
        ),
        bug(
            "h-one-step-late",
            Row.OTHER,
            "A step reads the h of two steps before.",
            f"{z}[1]",
            "step",
            before=only("h", lambda net, right, state, t: right(state, max(t - 1, 0))),
        ),
        bug(
            "logits-of-previous-h",
            Row.OTHER,
            "The scores of a step are made of the h of the step before.",
            "logits[0]",
            "step",
            features=lambda net, right, t: right(t - 1),
        ),
    ]


def axis_bugs(network: str, z: str) -> list[Bug]:
    """Axes swapped, or a reshape for a transpose."""
    bug = bugs_of(network)
    return [
        bug(
            "x-reshaped",
            Row.AXES,
            "x came with the batch first and was reshaped to time first where it had to be transposed.",
            f"{z}[0]",
            "reshape, batch",
            x_at=lambda net, right, t: reshaped(whole(net, "x"))[t],
        ),
        bug(
            "x-batch-for-time",
            Row.AXES,
            "x is read with batch and time swapped, which is legal as both have the same size.",
            f"{z}[0]",
            "batch, time",
            data="turned",
            x_at=lambda net, right, t: whole(net, "x")[:, t],
        ),
        bug(
            "x-backwards",
            Row.OTHER,
            "The sequence is read from its end.",
            f"{z}[0]",
            "time, reverse",
            x_at=lambda net, right, t: net["x", net.T - 1 - t],
        ),
        bug(
            "target-reshaped",
            Row.AXES,
            "The targets came with the batch first and were reshaped where they had to be transposed.",
            "loss",
            "target, reshape",
            target_at=lambda net, right, t: reshaped(net.target)[t],
        ),
        bug(
            "target-batch-for-time",
            Row.AXES,
            "The targets are read with batch and time swapped.",
            "loss",
            "target, batch, time",
            data="turned",
            target_at=lambda net, right, t: net.target[:, t],
        ),
        bug(
            "h0-reshaped",
            Row.AXES,
            "The initial h came with the units first and was reshaped where it had to be transposed.",
            f"{z}[0]",
            "h0, reshape",
            before=only("h", lambda net, right, state, t: reshaped(right("h", 0)) if t == 0 else right("h", t)),
        ),
    ]


def loss_bugs(network: str) -> list[Bug]:
    """The loss of the wrong steps, or another mean over them."""
    bug = bugs_of(network)
    return [
        bug(
            "loss-over-T-only",
            Row.FACTOR,
            "The loss is averaged over the steps, but summed over the batch.",
            "loss",
            "factor, batch",
            share=times(lambda net: net.N),
        ),
        bug(
            "loss-over-N-only",
            Row.FACTOR,
            "The loss is averaged over the batch, but summed over the steps.",
            "loss",
            "factor, steps",
            share=times(lambda net: net.T),
        ),
        bug(
            "dlogits-over-T-only",
            Row.FACTOR,
            "The gradient of the loss is divided by the number of steps only.",
            "dlogits[-1]",
            "factor, batch",
            dnll=times(lambda net: net.N),
        ),
        bug(
            "dlogits-over-N-only",
            Row.FACTOR,
            "The gradient of the loss is divided by the batch size only.",
            "dlogits[-1]",
            "factor, steps",
            dnll=times(lambda net: net.T),
        ),
        bug(
            "weights-averaged-over-time",
            Row.FACTOR,
            "All gradients of weights are divided by the number of steps once more.",
            "dW_ih",
            "factor, steps",
            parameter_gradients=lambda net, right: {symbol: g / net.T for symbol, g in right().items()},
        ),
        bug(
            "dW_hh-averaged-over-time",
            Row.FACTOR,
            "The gradient of the recurrent weight alone is averaged over the steps.",
            "dW_hh",
            "factor, steps",
            dW_hh=times(lambda net: 1 / net.T),
        ),
        bug(
            "loss-of-last-step",
            Row.OTHER,
            "Only the last step counts in the loss, though every step was meant.",
            "loss",
            "last, step",
            counts=lambda net, right: right() * (np.arange(net.T) == net.T - 1)[:, None],
        ),
        bug(
            "dlogits-of-last-step",
            Row.OTHER,
            "The loss counts every step, but only the last one sends a gradient back.",
            "dlogits[-2]",
            "last, step",
            dnll=lambda net, right, t: right(t) * (t == net.T - 1),
        ),
    ]


def carry_bugs(network: str) -> list[Bug]:
    """What a step sends to the one before it."""
    bug = bugs_of(network)
    return [
        bug(
            "carry-h-dropped",
            Row.CARRY,
            "The gradient that the next step sends to h is never added.",
            "dh[-2]",
            "dh, next",
            dh_before=later(times(0)),
        ),
        bug(
            "carry-h-dropped-single-step",
            Row.CARRY,
            "The gradient that the next step sends to h is never added: a single step cannot show it.",
            "",
            "dh, next",
            data="single",
            dh_before=later(times(0)),
        ),
        bug(
            "carry-h-overwrites",
            Row.CARRY,
            "The gradient from the next step overwrites that of the scores.",
            "dh[-2]",
            "dh, overwritten",
            dh=lambda net, right, t: right(t) if t == net.T - 1 else net.carried("h", t),
        ),
        bug(
            "carry-h-alone",
            Row.CARRY,
            "dh is what the next step sends; the gradient of the scores is left out from the start.",
            "dh[-1]",
            "dh, scores",
            dh=lambda net, right, t: net.carried("h", t),
        ),
        bug(
            "outer-dh-ignored",
            Row.CARRY,
            "The gradient that arrives at the last h from elsewhere is ignored.",
            "dh[-1]",
            "dh, last",
            data="outer",
            from_outside=only("h", times(0)),
        ),
        bug(
            "carry-h-of-last-step",
            Row.CARRY,
            "The gradient that is carried to h is never renewed: every step gets what the last one sent.",
            "dh[-3]",
            "dh, next",
            dh_before=later(lambda net, right, t: right(net.T - 1)),
        ),
        bug(
            "carry-h-without-step",
            Row.CARRY,
            "The whole dh is passed on as it is: it should go through the formulas of the step.",
            "dh[-2]",
            "dh, W_hh",
            dh_before=later(lambda net, right, t: net["dh", t]),
        ),
        bug(
            "carry-h-twice",
            Row.TRUNCATION,
            "The gradient that the next step sends to h is added twice.",
            "dh[-2]",
            "dh, twice",
            dh_before=later(times(2)),
        ),
        bug(
            "carry-h-cut-every-2",
            Row.TRUNCATION,
            "The state is cut off at every second step: no gradient passes there.",
            "dh[-3]",
            "truncated",
            dh_before=later(lambda net, right, t: right(t) * ((net.T - t) % 2)),
        ),
        bug(
            "dh0-zero",
            Row.TRUNCATION,
            "The gradient of h0 is never handed out.",
            "dh0",
            "h0",
            dh_before=at_start(times(0)),
        ),
        bug(
            "dh0-of-first-step",
            Row.TRUNCATION,
            "The gradient of h0 is that of the first h: one step too few.",
            "dh0",
            "h0",
            dh_before=at_start(lambda net, right, t: net["dh", 0]),
        ),
        bug(
            "dh-clipped",
            Row.CLIPPING,
            "dh is clipped at every step.",
            "dh[-1]",
            "clip, step",
            dh=lambda net, right, t: clipped(right(t)),
        ),
    ]


def gradient_bugs(network: str) -> list[Bug]:
    """Gradients of weights, as sums over time and batch."""
    bug = bugs_of(network)
    return [
        bug(
            "weights-overwritten",
            Row.OVERWRITTEN,
            "The gradients of all weights are overwritten at every step: they hold the share of step 0.",
            "dW_ih",
            "overwritten, step",
            over_time=share_of(0),
        ),
        bug(
            "dW_ih-overwritten",
            Row.OVERWRITTEN,
            "The gradient of the input weight is overwritten at every step.",
            "dW_ih",
            "overwritten, step",
            over_time=only("W_ih", share_of(0)),
        ),
        bug(
            "dW_hh-overwritten",
            Row.OVERWRITTEN,
            "The gradient of the recurrent weight is overwritten at every step.",
            "dW_hh",
            "overwritten, step",
            over_time=only("W_hh", share_of(0)),
        ),
        bug(
            "dW_hh-of-last-step",
            Row.OVERWRITTEN,
            "The gradient of the recurrent weight holds the share of the last step only.",
            "dW_hh",
            "overwritten, step",
            over_time=only("W_hh", share_of(-1)),
        ),
        bug(
            "db_hh-overwritten",
            Row.OVERWRITTEN,
            "The gradient of the recurrent bias is overwritten at every step.",
            "db_hh",
            "overwritten, step",
            over_time=only("b_hh", share_of(0)),
        ),
        bug(
            "dW_out-overwritten",
            Row.OVERWRITTEN,
            "The gradient of the output's weight is overwritten at every step.",
            "dW_out",
            "overwritten, step",
            over_time=only("W_out", share_of(0)),
        ),
        bug(
            "dW_hh-of-new-h",
            Row.OTHER,
            "The gradient of the recurrent weight takes h[t] where it wants h[t−1].",
            "dW_hh",
            "h[t−1]",
            dW_hh=lambda net, right: net.over_time("W_hh", lambda t: net.d_from_h(t).T @ net["h", t]),
        ),
        bug(
            "dW_hh-without-h0",
            Row.INITIAL_STATE,
            "The gradient of the recurrent weight leaves out the first step, which started from h0.",
            "dW_hh",
            "h0",
            dW_hh=lambda net, right: right() - net.d_from_h(0).T @ net.before("h", 0),
        ),
        bug(
            "dW_hh-of-one-buffer",
            Row.IN_PLACE,
            "h is kept in one buffer that every step changes in place, so the gradient of W_hh sees the last h only.",
            "dW_hh",
            "in place",
            dW_hh=lambda net, right: net.over_time("W_hh", lambda t: net.d_from_h(t).T @ net["h", net.T - 1]),
        ),
        bug(
            "dW_ih-of-one-buffer",
            Row.IN_PLACE,
            "x is read into one buffer that every step fills anew, so the gradient of W_ih sees the last x only.",
            "dW_ih",
            "in place",
            dW_ih=lambda net, right: net.over_time("W_ih", lambda t: net.d_from_x(t).T @ net["x", net.T - 1]),
        ),
        bug(
            "db_ih-mean",
            Row.BIAS_GRADIENT,
            "The gradient of the input bias is averaged over the batch.",
            "db_ih",
            "bias, mean",
            db_ih=times(lambda net: 1 / net.N),
        ),
        bug(
            "db_ih-mean-over-all",
            Row.BIAS_GRADIENT,
            "The gradient of the input bias is averaged over batch and steps.",
            "db_ih",
            "bias, mean",
            db_ih=times(lambda net: 1 / (net.N * net.T)),
        ),
        bug(
            "db_ih-of-first-row",
            Row.BIAS_GRADIENT,
            "The gradient of the input bias is not summed over the batch: it is that of its first row.",
            "db_ih",
            "bias, batch",
            db_ih=lambda net, right: net.over_time("b_ih", lambda t: net.d_from_x(t)[0]),
        ),
        bug(
            "db_hh-zero",
            Row.TWO_BIASES,
            "The recurrent bias gets no gradient.",
            "db_hh",
            "bias",
            db_hh=times(0),
        ),
        bug(
            "db_hh-mean-over-time",
            Row.BIAS_GRADIENT,
            "The gradient of the recurrent bias is averaged over the steps.",
            "db_hh",
            "bias, mean",
            db_hh=times(lambda net: 1 / net.T),
        ),
        bug(
            "dx-reshaped",
            Row.AXES,
            "The gradient of x is reshaped where it had to be transposed.",
            "dx[-1]",
            "reshape",
            dx=lambda net, right, t: reshaped(right(t)),
        ),
    ]


def length_bugs(network: str, state: str) -> list[Bug]:
    """Sequences that end early."""
    bug = bugs_of(network)
    return [
        bug(
            "unmasked",
            Row.PADDING,
            "Nothing is masked: the padding changes the states of the short sequences.",
            f"{state}[-2]",
            "padding, length",
            data="short",
            running=lambda net, right, state, t: net.array(np.ones((net.N, 1))),
        ),
        bug(
            "last-of-padding",
            Row.PADDING,
            "The output is taken at the last step of every row, which is padding in the short ones.",
            f"{state}[-2]",
            "padding, length",
            data="last",
            running=lambda net, right, state, t: net.array(np.ones((net.N, 1))),
            counts=lambda net, right: net.array(np.arange(net.T)[:, None] == np.full(net.N, net.T - 1)),
        ),
        bug(
            "length-one-off",
            Row.PADDING,
            "The mask ends a step early.",
            f"{state}[-3]",
            "length",
            data="short",
            running=lambda net, right, state, t: right(state, t + 1),
        ),
        bug(
            "last-one-off",
            Row.PADDING,
            "The output is taken one step before the end of each sequence.",
            "loss",
            "last, length",
            data="last",
            counts=lambda net, right: np.roll(right(), -1, axis=0),
        ),
        bug(
            "padding-in-loss",
            Row.PADDING,
            "The padded steps count in the loss.",
            "loss",
            "padding, loss",
            data="short",
            counts=lambda net, right: np.ones_like(right()),
        ),
        bug(
            "padding-in-divisor",
            Row.FACTOR,
            "The loss of the true steps is divided by the number of all steps, padding included.",
            "loss",
            "padding, factor",
            data="short",
            shares=lambda net, right: net.counts() / net.counts().size,
        ),
        bug(
            "mean-over-all-steps",
            Row.FACTOR,
            "The loss is the mean over all true steps of the batch, so a short sequence counts less than a long one.",
            "loss",
            "mean, length",
            data="short",
            shares=lambda net, right: net.counts() / net.counts().sum(),
        ),
        bug(
            "padding-in-gradient",
            Row.PADDING,
            "The loss leaves the padding out, but the gradient does not.",
            "dlogits[-1]",
            "padding",
            data="short",
            dnll=lambda net, right, t: right(0),
        ),
        bug(
            "kept-state-without-gradient",
            Row.PADDING,
            "Where a sequence has ended, its state is kept but the gradient is not, though nothing reads that state.",
            "",
            "padding",
            data="short",
            past=times(0),
        ),
        bug(
            "counts-expanded-wrongly",
            Row.SUM_SHAPE,
            "The sum over steps and batch hands its gradient back by a reshape, to the wrong steps and rows.",
            "dlogits[-1]",
            "shape",
            data="short",
            dnll=lambda net, right, t: reshaped(net.shares())[t][:, None],
        ),
        bug(
            "loss-expanded-wrongly",
            Row.SUM_SHAPE,
            "The sum over steps and batch hands its gradient back along the wrong axis, as both have the same size.",
            "dlogits[-1]",
            "shape, axis",
            data="turned_short",
            dnll=lambda net, right, t: net.shares()[:, t][:, None],
        ),
    ]


def bugs_beside_lengths(network: str, z: str) -> list[Bug]:
    """Bugs that have nothing to do with the ends, where sequences end early."""
    bug = bugs_of(network)
    return [
        bug(
            "b_hh-missing-of-short",
            Row.TWO_BIASES,
            "The recurrent bias is left out; some sequences end early.",
            f"{z}[0]",
            "b_hh",
            data="short",
            from_h=lambda net, right, t: right(t) - net.weights["b_hh"],
        ),
        bug(
            "U-transposed-of-short",
            Row.TRANSPOSED,
            "The recurrent weight was transposed when it was loaded; some sequences end early.",
            f"{z}[0]",
            "W_hh, transposed",
            data="short",
            load=only("W_hh", lambda net, right, symbol, weight: blocks_transposed(weight)),
        ),
        bug(
            "h0-ignored-of-short",
            Row.INITIAL_STATE,
            "The initial h is ignored; some sequences end early.",
            f"{z}[0]",
            "h0",
            data="short",
            before=lambda net, right, state, t: right(state, t) * (state != "h" or t > 0),
        ),
        bug(
            "carry-h-dropped-of-short",
            Row.CARRY,
            "The gradient that the next step sends to h is never added; some sequences end early.",
            "dh[-2]",
            "dh, next",
            data="short",
            dh_before=later(times(0)),
        ),
        bug(
            "dW_hh-of-new-h-of-short",
            Row.OTHER,
            "The gradient of the recurrent weight takes h[t] where it wants h[t−1]; some sequences end early.",
            "dW_hh",
            "h[t−1]",
            data="short",
            dW_hh=lambda net, right: net.over_time("W_hh", lambda t: net.d_from_h(t).T @ net["h", t]),
        ),
    ]


# Edits


def later(wrong: Callable[..., Array]) -> Callable[..., Array]:
    """Wrong in what a step sends to the step before it, though not in what step 0 sends to the initial state."""
    return lambda net, right, t: right(t) if t == 0 else wrong(net, right, t)


def at_start(wrong: Callable[..., Array]) -> Callable[..., Array]:
    """Wrong in what step 0 sends to the initial state."""
    return only(0, wrong)


def share_of(t: int) -> Callable[..., Array]:
    """Of the gradient of a weight, the share of step ``t`` (−1: the last) alone."""
    return lambda net, right, symbol, share: share(t % net.T)


def reshaped(array: Array) -> Array:
    """As many numbers in the same shape, in the order that they have with the first two axes swapped."""
    return array.swapaxes(0, 1).reshape(array.shape)


def blocks_transposed(weight: Array) -> Array:
    """Every (H, H) of a recurrent weight (gates · H, H), transposed."""
    return np.concatenate([block.T for block in np.split(weight, len(weight) // weight.shape[1])])


def whole(net: Recurrent, name: str) -> Array:
    """A quantity at all steps (T, …)."""
    return np.stack([net[name, t] for t in range(net.T)])


def _from_h_transposed(net: Recurrent, right: Any, t: int) -> Array:
    return net.before("h", t) @ blocks_transposed(net.weights["W_hh"]).T + net.weights["b_hh"]


def _dh_before_transposed(net: Recurrent, right: Any, t: int) -> Array:
    difference = blocks_transposed(net.weights["W_hh"]) - net.weights["W_hh"]
    return right(t) + net.d_from_h(t) @ difference
