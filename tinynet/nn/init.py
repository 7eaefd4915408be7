"""Initialisers: fill a parameter in place and return it. ``generator`` is a NumPy random Generator."""

from __future__ import annotations

import math

import numpy as np

from tinynet.backend import placed
from tinynet.tensor import Parameter

_default = np.random.default_rng(0)


def manual_seed(seed: int) -> None:
    """Seed the generator that initialisers use when they are given none."""
    global _default
    _default = np.random.default_rng(seed)


def zeros_(parameter: Parameter) -> Parameter:
    """Fill with 0."""
    return _fill(parameter, np.zeros(parameter.shape))


def ones_(parameter: Parameter) -> Parameter:
    """Fill with 1."""
    return _fill(parameter, np.ones(parameter.shape))


def uniform_(
    parameter: Parameter, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None
) -> Parameter:
    """Draw from U(a, b)."""
    return _fill(parameter, (generator or _default).uniform(a, b, parameter.shape))


def normal_(
    parameter: Parameter, mean: float = 0.0, std: float = 1.0, generator: np.random.Generator | None = None
) -> Parameter:
    """Draw from N(mean, std²)."""
    return _fill(parameter, (generator or _default).normal(mean, std, parameter.shape))


def xavier_uniform_(parameter: Parameter, *, generator: np.random.Generator | None = None) -> Parameter:
    """Draw from U(−a, a), a = √(6 / (fan_in + fan_out)). Source: Glorot and Bengio (2010), equation 16."""
    bound = math.sqrt(6 / sum(fans(parameter)))
    return uniform_(parameter, -bound, bound, generator)


def xavier_normal_(parameter: Parameter, *, generator: np.random.Generator | None = None) -> Parameter:
    """Draw from N(0, 2 / (fan_in + fan_out)). Source: Glorot and Bengio (2010), equation 12."""
    return normal_(parameter, 0.0, math.sqrt(2 / sum(fans(parameter))), generator)


def kaiming_uniform_(parameter: Parameter, *, generator: np.random.Generator | None = None) -> Parameter:
    """Draw from U(−a, a), a = √(6 / fan_in), for ReLU. Source: He et al. (2015), equation 10."""
    bound = math.sqrt(6 / fans(parameter)[0])
    return uniform_(parameter, -bound, bound, generator)


def kaiming_normal_(parameter: Parameter, *, generator: np.random.Generator | None = None) -> Parameter:
    """Draw from N(0, 2 / fan_in), for ReLU. Source: He et al. (2015), equation 10."""
    return normal_(parameter, 0.0, math.sqrt(2 / fans(parameter)[0]), generator)


def fans(parameter: Parameter) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight (out, in, …). Raises ValueError for fewer than two axes."""
    if parameter.ndim < 2:
        raise ValueError(f"fan in and fan out need a weight of at least two axes, got shape {parameter.shape}")
    field = math.prod(parameter.shape[2:])
    return parameter.shape[1] * field, parameter.shape[0] * field


def _fill(parameter: Parameter, numbers: np.ndarray) -> Parameter:
    parameter.data = placed(numbers, parameter.data, parameter.dtype)
    return parameter
