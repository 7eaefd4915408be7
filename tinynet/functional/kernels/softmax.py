"""Softmax and cross-entropy in one pass."""

from __future__ import annotations

from tinynet.backend import namespace
from tinynet.functional.kernels import sums


def softmax_forward(x, dim=-1):
    xp = namespace(x)
    p = xp.exp(x - xp.max(x, axis=dim, keepdims=True))
    p = p / xp.sum(p, axis=dim, keepdims=True)
    return p, p


def softmax_backward(g, p, wanted, x, dim=-1):
    xp = namespace(g)
    return (p * (g - xp.sum(g * p, axis=dim, keepdims=True)),)


def cross_entropy_forward(x, target):
    xp = namespace(x)
    shifted = x - xp.max(x, axis=-1, keepdims=True)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=-1, keepdims=True)
    return xp.log(total) - xp.take_along_axis(shifted, target, axis=-1), e / total


def cross_entropy_backward(g, p, wanted, x, target):
    xp = namespace(p)
    onehot = xp.arange(p.shape[-1]) == target
    return g * (p - onehot), None


def mean_cross_entropy_forward(x, target):
    """Of scores (…, C) and classes (…): one number."""
    xp, (*_, width) = namespace(x), x.shape
    count = target.size
    e = x.reshape(count, width)
    e = e - e.max(1, keepdims=True)
    places = xp.arange(0, count * width, width or 1) + target.reshape(-1).astype(int, copy=False)
    scores = e.reshape(-1)[places]
    xp.exp(e, e)
    total = sums.of_rows(e)
    e /= total[:, None]
    losses = xp.log(total)
    losses -= scores
    count = max(count, 1)
    return losses.sum() / count, (e, places, count)


def mean_cross_entropy_backward(g, saved, wanted, x, target):
    p, places, count = saved
    slope = g / count
    dx = p * slope
    dx.reshape(-1)[places] -= slope
    return dx.reshape(x.shape), None
