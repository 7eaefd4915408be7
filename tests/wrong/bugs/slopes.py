"""Wrong derivatives of tanh and sigmoid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of, only
from tests.wrong.network import Array, sigmoid

Slope = tuple[str, Row, str, Callable[[Array, Array], Array]]

# A slug, the row, what the derivative of y = s(z) is (in words), and the formula.
OF_BOTH: list[Slope] = [
    ("function", Row.ACTIVATION_DERIVATIVE, "is {y} itself", lambda y, z: y),
    ("forgotten", Row.ACTIVATION_DERIVATIVE, "is forgotten", lambda y, z: np.ones_like(y)),
]
OF_TANH: list[Slope] = [
    ("tanh-again", Row.ACTIVATION_DERIVATIVE, "is 1 − tanh²({y}), of what is a tanh", lambda y, z: 1 - np.tanh(y) ** 2),
    ("without-square", Row.ACTIVATION_DERIVATIVE, "is 1 − {y}, without the square", lambda y, z: 1 - y),
    ("of-sigmoid", Row.ACTIVATION_DERIVATIVE, "is that of a sigmoid, {y} (1 − {y})", lambda y, z: y * (1 - y)),
    ("of-z", Row.PRE_ACTIVATION, "is 1 − {z}², of what goes into the tanh", lambda y, z: 1 - z**2),
]
OF_SIGMOID: list[Slope] = [
    (
        "sigmoid-again",
        Row.ACTIVATION_DERIVATIVE,
        "is σ({y}) (1 − σ({y})), of what is a sigmoid",
        lambda y, z: sigmoid(y) * (1 - sigmoid(y)),
    ),
    ("half", Row.ACTIVATION_DERIVATIVE, "is 1 − {y}, without the factor {y}", lambda y, z: 1 - y),
    ("of-tanh", Row.ACTIVATION_DERIVATIVE, "is that of a tanh, 1 − {y}²", lambda y, z: 1 - y**2),
    ("of-z", Row.PRE_ACTIVATION, "is {z} (1 − {z}), of what goes into the sigmoid", lambda y, z: z * (1 - z)),
]


def tanh_bugs(network: str, y: str, z: str, first: str) -> list[Bug]:
    """For y = tanh(z), a derivative that shows first in ``first``."""
    return [_bug(network, "tanh", slope, y, z, first) for slope in OF_BOTH + OF_TANH]


def sigmoid_bugs(network: str, y: str, z: str, first: str) -> list[Bug]:
    """For y = σ(z), a derivative that shows first in ``first``."""
    return [_bug(network, "sigmoid", slope, y, z, first) for slope in OF_BOTH + OF_SIGMOID]


def _bug(network: str, function: str, slope: Slope, y: str, z: str, first: str) -> Bug:
    slug, row, words, formula = slope
    return bugs_of(network)(
        f"slope-of-{y}-{slug}",
        row,
        f"The derivative of the {function} {y} {words.format(y=y, z=z)}.",
        first,
        f"derivative, {y}",
        **{f"{function}_slope": only(y, lambda net, right, quantity, y, z: formula(y, z))},
    )
