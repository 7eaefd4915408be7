"""Activations. Recorded, each is called after what it came from (``hidden.tanh`` after ``hidden.z``)."""

from __future__ import annotations

from tinynet import primitives as P
from tinynet.functional.composite import composite
from tinynet.functional.kernels import softmax as kernel
from tinynet.recording import name, name_after
from tinynet.tensor import Tensor


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return name_after(P.tanh(input), input, "tanh")


def sigmoid(input: Tensor) -> Tensor:
    """σ(x) = 1 / (1 + e⁻ˣ), computed without overflow."""
    return name_after(P.sigmoid(input), input, "sigmoid")


def relu(input: Tensor) -> Tensor:
    """max(x, 0); the derivative at 0 is 0."""
    return name_after(P.relu(input), input, "relu")


def exponentials(input: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the max, e^(x − max) and its sum along ``dim``. The max gets no gradient: it cancels."""
    largest = name(P.max(input, axis=dim, keepdims=True).detach(), "max", title="largest score")
    e = name(P.exp(input - largest), "e", title="exponentials, shifted by the largest score")
    return largest, e, name(P.sum(e, axis=dim, keepdims=True), "sum", title="sum of the exponentials")


@composite(kernel.softmax_forward, kernel.softmax_backward)
def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """pᵢ = e^(xᵢ − max) / Σ e^(xⱼ − max) along ``dim``; shape as ``input``."""
    _, e, total = exponentials(input, dim)
    return name(e / total, "p", title="probabilities")
