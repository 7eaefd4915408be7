"""What a bug is, and the table of bugs that people make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.wrong.network import Array, Network


class Row(StrEnum):
    """The rows of the first table of BUGS.md, in its order and nearly in its words."""

    CONV_GEOMETRY = "conv geometry: stride, column index, h and w swapped, overlap"
    BIAS_GRADIENT = "bias gradient reduced wrongly"
    ACTIVATION_DERIVATIVE = "activation derivative of the wrong argument"
    GATE_ORDER = "gate order"
    GRU_RESET = "GRU: reset before or after the recurrent product"
    MAX_POOL = "max-pool backward: ties, overlapping windows"
    ADAM = "Adam: bias correction"
    CARRY = "carry dropped"
    PADDING = "padding and last state"
    SOFTMAX_TWICE = "softmax applied twice"
    TWO_BIASES = "two biases against one"
    DROPOUT = "dropout scale and mask"
    SOFTMAX_SHIFT = "softmax without the max shift, log of 0"
    TRUNCATION = "truncated by accident, gradient of h0, carry twice"
    OVERWRITTEN = "gradient overwritten for a reused weight"
    FACTOR = "1/N, 1/T or both"
    AXES = "axes: batch and time, reshape for transpose"
    PEEPHOLE = "peephole missing or late"
    FORGET_BIAS = "forget bias after the sigmoid, or twice"
    TRANSPOSED = "weight transposed in transfer"
    CONV_FLIP = "conv weight gradient or convolution flipped"
    BIAS_TWICE = "bias added twice"
    IN_PLACE = "forward changes its cached input in place"
    SUM_SHAPE = "backward of a sum over several axes restores the wrong shape"
    PADDED_STEPS = "padded steps still update the state"
    PRE_ACTIVATION = "pre-activation used where the activation is wanted"
    CLIPPING = "clipping before the comparison, or per step"
    FORGET_FACTOR = "forget factor missing in dc_prev"
    SIGN = "sign: y - p for p - y"
    INITIAL_STATE = "h0 or c0 ignored"
    WEIGHT_DECAY = "weight decay coupled or decoupled"
    FLOAT32 = "float32 accumulation over a long sequence (not a bug)"
    OTHER = "not on the list"


@dataclass(frozen=True)
class Bug:
    """One wrong formula.

    ``first`` is the first cell that comes out wrong though all it is computed from is right, with Python's indices for
    time: ``dh[-2]`` is that of the last step but one. ``sentence_keywords`` are words for a sentence about the bug.
    ``data`` names the data (see ``tests.wrong.data``) on which it shows, or, if it is ``equivalent``, does not.
    """

    id: str
    network: str
    row: Row
    what: str
    first: str
    sentence_keywords: tuple[str, ...]
    edits: Mapping[str, Any]
    data: str = "plain"
    equivalent: bool = False


def bugs_of(network: str) -> Callable[..., Bug]:
    """How a list of bugs is written: ``bug(slug, row, what, first, "some, keywords", formula=wrong …)``.

    Without a ``first`` the bug is equivalent.
    """

    def bug(slug: str, row: Row, what: str, first: str, keywords: str, *, data: str = "plain", **edits: Any) -> Bug:
        words = tuple(keywords.split(", "))
        return Bug(f"{network}-{slug}", network, row, what, first, words, edits, data, equivalent=not first)

    return bug


# Edits that many bugs share


def times(factor: Callable[[Any], Any] | float) -> Callable[..., Array]:
    """The right result times a number, or times a number that depends on the network."""

    def wrong(net: Network, right: Callable[..., Array], *arguments: Any) -> Array:
        return right(*arguments) * (factor(net) if callable(factor) else factor)

    return wrong


def only(first: Any, wrong: Callable[..., Any]) -> Callable[..., Any]:
    """``wrong`` where the first argument is ``first`` (a gate, a symbol); else what is right."""

    def edit(net: Network, right: Callable[..., Any], argument: Any, *rest: Any) -> Any:
        return wrong(net, right, argument, *rest) if argument == first else right(argument, *rest)

    return edit
