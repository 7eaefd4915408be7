"""Elementwise primitives: each a line, its derivative beside it (all broadcast as NumPy does)."""

from __future__ import annotations

import math

from tinynet.primitives.core import Primitive


def _elementwise(name, forward, *vjps):
    return Primitive(name, "elementwise", forward, vjps)


def _sigmoid(xp, x):
    # One exponential of a number that is never positive: no overflow at either end.
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _where(xp, condition, a, b):
    return xp.where(condition, *_matched(xp, a, b))


def _maximum(xp, a, b):
    return xp.maximum(*_matched(xp, a, b))


def _minimum(xp, a, b):
    return xp.minimum(*_matched(xp, a, b))


def _matched(xp, a, b):
    """Turn a Python number into an array of the other operand's dtype."""
    if not hasattr(a, "dtype"):
        a = xp.asarray(a, dtype=b.dtype) if hasattr(b, "dtype") else xp.asarray(a)
    if not hasattr(b, "dtype"):
        b = xp.asarray(b, dtype=a.dtype)
    return a, b


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
sigmoid: Primitive = _elementwise("sigmoid", _sigmoid, lambda g, y, x: g * y * (1 - y))
relu: Primitive = _elementwise("relu", lambda xp, x: _maximum(xp, x, 0), lambda g, y, x: where(x > 0, g, 0))
sign: Primitive = _elementwise("sign", lambda xp, x: xp.sign(x))
absolute: Primitive = _elementwise("absolute", lambda xp, x: xp.abs(x), lambda g, y, x: g * sign(x))
maximum: Primitive = _elementwise(
    "maximum",
    _maximum,
    lambda g, y, a, b: _ties_shared(g, a > b, equal(a, b)),
    lambda g, y, a, b: _ties_shared(g, b > a, equal(a, b)),
)
minimum: Primitive = _elementwise(
    "minimum",
    _minimum,
    lambda g, y, a, b: _ties_shared(g, a < b, equal(a, b)),
    lambda g, y, a, b: _ties_shared(g, b < a, equal(a, b)),
)
where: Primitive = _elementwise(
    "where", _where, None, lambda g, y, c, a, b: where(c, g, 0), lambda g, y, c, a, b: where(c, 0, g)
)

greater: Primitive = _elementwise("greater", lambda xp, a, b: a > b)
less: Primitive = _elementwise("less", lambda xp, a, b: a < b)
greater_equal: Primitive = _elementwise("greater_equal", lambda xp, a, b: a >= b)
less_equal: Primitive = _elementwise("less_equal", lambda xp, a, b: a <= b)
equal: Primitive = _elementwise("equal", lambda xp, a, b: a == b)
not_equal: Primitive = _elementwise("not_equal", lambda xp, a, b: a != b)
