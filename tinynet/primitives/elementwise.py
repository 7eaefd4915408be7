"""Elementwise primitives: each a line, its derivative beside it (all broadcast as NumPy does)."""

from __future__ import annotations

import math

import numpy as np

from tinynet.primitives.core import Primitive
from tinynet.selection import kept


def _elementwise(name, forward, *vjps):
    return Primitive(name, "elementwise", forward, vjps)


def _sigmoid(xp, x):
    # One exponential of a number that is never positive: no overflow at either end.
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _erf(xp, x):
    """W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969), in three pieces."""
    size = xp.abs(x)
    small = xp.where(size > 0.5, 0, x)
    near = small * _ratio(small * small, _ERF_NEAR)
    middle = xp.minimum(xp.maximum(size, 0.46875), 4.0)
    far = xp.minimum(xp.maximum(size, 4.0), 6.0)  # from 6 on it is 1
    inverse = 1 / (far * far)
    tail = (1 / math.sqrt(math.pi) - inverse * _ratio(inverse, _ERF_FAR)) / far
    rest = xp.where(size > 4, xp.exp(-far * far) * tail, xp.exp(-middle * middle) * _ratio(middle, _ERF_MIDDLE))
    return xp.where(size > 0.46875, xp.sign(x) * (1 - rest), near)


def _ratio(x, coefficients):
    """A polynomial over a polynomial, by Horner's rule, highest power first."""
    top, bottom = coefficients
    above, below = 0 * x + top[0], 0 * x + bottom[0]
    for c in top[1:]:
        above = above * x + c
    for c in bottom[1:]:
        below = below * x + c
    return above / below


# fmt: off
_ERF_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERF_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)
_ERF_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)
# fmt: on


def _where(xp, condition, a, b):
    if type(condition) is np.ndarray and condition.dtype == bool and type(b) is int and b == 0 and xp.ndim(a):
        return kept(condition, a)
    return xp.where(condition, a, b)


def _ties_shared(g, wins, ties):
    """The cotangent of a maximum: all of it to the winner, half each where the two are equal (as PyTorch)."""
    return where(wins, g, where(ties, 0.5 * g, 0))


def _power_of_base(g, y, x, p):
    # A plain exponent of 0 leaves nothing to differentiate: x**-1 must not be looked at where x = 0.
    return 0 * g if isinstance(p, (int, float)) and p == 0 else g * p * x ** (p - 1)


def _power_of_exponent(g, y, x, p):
    # d(x**p)/dp = x**p ln x; where x = 0 the value is flat in p, and ln x must not be looked at.
    if isinstance(x, (int, float)):
        return g * y * (math.log(x) if x > 0 else 0.0)
    return g * y * log(where(x > 0, x, 1))


add: Primitive = _elementwise("add", lambda xp, a, b: a + b, lambda g, y, a, b: g, lambda g, y, a, b: g)
subtract: Primitive = _elementwise("subtract", lambda xp, a, b: a - b, lambda g, y, a, b: g, lambda g, y, a, b: -g)
multiply: Primitive = _elementwise(
    "multiply", lambda xp, a, b: a * b, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a
)
divide: Primitive = _elementwise(
    "divide", lambda xp, a, b: a / b, lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * y / b)
)
power: Primitive = _elementwise("power", lambda xp, x, p: x**p, _power_of_base, _power_of_exponent)
negative: Primitive = _elementwise("negative", lambda xp, x: -x, lambda g, y, x: -g)
exp: Primitive = _elementwise("exp", lambda xp, x: xp.exp(x), lambda g, y, x: g * y)
log: Primitive = _elementwise("log", lambda xp, x: xp.log(x), lambda g, y, x: g / x)
sqrt: Primitive = _elementwise("sqrt", lambda xp, x: xp.sqrt(x), lambda g, y, x: g / (2 * y))
tanh: Primitive = _elementwise("tanh", lambda xp, x: xp.tanh(x), lambda g, y, x: g * (1 - y * y))
sin: Primitive = _elementwise("sin", lambda xp, x: xp.sin(x), lambda g, y, x: g * cos(x))
cos: Primitive = _elementwise("cos", lambda xp, x: xp.cos(x), lambda g, y, x: -(g * sin(x)))
sigmoid: Primitive = _elementwise("sigmoid", _sigmoid, lambda g, y, x: g * y * (1 - y))
erf: Primitive = _elementwise("erf", _erf, lambda g, y, x: g * (2 / math.sqrt(math.pi) * exp(-(x * x))))
relu: Primitive = _elementwise("relu", lambda xp, x: xp.maximum(x, 0), lambda g, y, x: where(x > 0, g, 0))
sign: Primitive = _elementwise("sign", lambda xp, x: xp.sign(x))
absolute: Primitive = _elementwise("absolute", lambda xp, x: xp.abs(x), lambda g, y, x: g * sign(x))
maximum: Primitive = _elementwise(
    "maximum",
    lambda xp, a, b: xp.maximum(a, b),
    lambda g, y, a, b: _ties_shared(g, a > b, equal(a, b)),
    lambda g, y, a, b: _ties_shared(g, b > a, equal(a, b)),
)
minimum: Primitive = _elementwise(
    "minimum",
    lambda xp, a, b: xp.minimum(a, b),
    lambda g, y, a, b: _ties_shared(g, a < b, equal(a, b)),
    lambda g, y, a, b: _ties_shared(g, b < a, equal(a, b)),
)
where: Primitive = _elementwise(
    "where",
    _where,
    None,
    lambda g, y, c, a, b: where(c, g, 0),
    lambda g, y, c, a, b: where(c, 0, g),
)

greater: Primitive = _elementwise("greater", lambda xp, a, b: a > b)
less: Primitive = _elementwise("less", lambda xp, a, b: a < b)
greater_equal: Primitive = _elementwise("greater_equal", lambda xp, a, b: a >= b)
less_equal: Primitive = _elementwise("less_equal", lambda xp, a, b: a <= b)
equal: Primitive = _elementwise("equal", lambda xp, a, b: a == b)
not_equal: Primitive = _elementwise("not_equal", lambda xp, a, b: a != b)
