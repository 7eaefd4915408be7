"""Activations. Recorded, each is called after what it came from (``hidden.tanh`` after ``hidden.z``)."""

from __future__ import annotations

import math
from typing import Any

from tinynet import primitives as P
from tinynet.backend import kind
from tinynet.functional.composite import composite
from tinynet.functional.kernels import relu as relu_kernel
from tinynet.functional.kernels import softmax as kernel
from tinynet.functional.kernels import tanh as tanh_kernel
from tinynet.recording import name, name_after
from tinynet.tensor import Tensor


def _is_floating(x: Any) -> bool:
    """Whether a kernel can do it: of numbers, lists and integers the definition makes what they become."""
    return isinstance(x, Tensor) and kind(x.data) == "f"


@composite(tanh_kernel.tanh_forward, tanh_kernel.tanh_backward, covers=_is_floating)
def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return name_after(P.tanh(input), input, "tanh")


def sigmoid(input: Tensor) -> Tensor:
    """σ(x) = 1 / (1 + e⁻ˣ), computed without overflow."""
    return name_after(P.sigmoid(input), input, "sigmoid")


@composite(relu_kernel.relu_forward, relu_kernel.relu_backward, covers=_is_floating)
def relu(input: Tensor) -> Tensor:
    """max(x, 0); the derivative at 0 is 0."""
    return name_after(P.relu(input), input, "relu")


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, negative_slope · x elsewhere. Source: Maas, Hannun and Ng (2013)."""
    return name_after(P.where(input > 0, input, negative_slope * input), input, "leaky_relu")


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha · (eˣ − 1) elsewhere. Source: Clevert, Unterthiner and Hochreiter (2016), equation 15."""
    positive = input > 0
    negative = P.where(positive, 0, input)  # where x is large, its exponential must not be looked at
    return name_after(P.where(positive, input, alpha * (P.exp(negative) - 1)), input, "elu")


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), Φ the normal distribution: x/2 · (1 + erf(x/√2)); with ``approximate="tanh"``, by a tanh.

    Raises ValueError for any other ``approximate``. Source: Hendrycks and Gimpel, Gaussian error linear units (2016).
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate is {approximate!r}, expected 'none' or 'tanh'")
    if approximate == "none":
        twice = 1 + P.erf(input / math.sqrt(2))
    else:
        twice = 1 + P.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input**3))
    return name_after(0.5 * input * twice, input, "gelu")


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(beta · x)) / beta; where beta · x > threshold, x itself, which is all but equal to it.

    Source: Dugas et al., Incorporating second-order functional knowledge for better option pricing (2001).
    """
    large = beta * input > threshold
    z = P.where(large, 0, beta * input)  # where it is large, its exponential must not be looked at
    return name_after(P.where(large, input, P.log(1 + P.exp(z)) / beta), input, "softplus")


def exponentials(input: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the max, e^(x − max) and its sum along ``dim``. The max gets no gradient: it cancels."""
    largest = name(P.max(input, axis=dim, keepdims=True).detach(), "max", title="largest score")
    e = name(P.exp(input - largest), "e", title="exponentials of the shifted scores")
    return largest, e, name(P.sum(e, axis=dim, keepdims=True), "sum", title="sum of the exponentials")


@composite(kernel.softmax_forward, kernel.softmax_backward)
def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """pᵢ = e^(xᵢ − max) / Σ e^(xⱼ − max) along ``dim``; shape as ``input``."""
    _, e, total = exponentials(input, dim)
    return name(e / total, "p", title="probabilities")
