"""Contractions: sums over k of A[.., k] · B[k, ..]."""

from __future__ import annotations

from tinynet.primitives.core import Primitive, unbroadcast
from tinynet.primitives.structural import reshape, swap_last_axes


def _left(g, y, a, b):
    return unbroadcast(matmul(g, swap_last_axes(b)), a.shape)


def _right(g, y, a, b):
    if len(b.shape) == 2 < len(a.shape):
        # A batch times one matrix: the sum over the batch is part of one product.
        a = reshape(a, shape=(-1, a.shape[-1]))
        g = reshape(g, shape=(-1, g.shape[-1]))
    return unbroadcast(matmul(swap_last_axes(a), g), b.shape)


matmul: Primitive = Primitive("matmul", "contraction", lambda xp, a, b: xp.matmul(a, b), (_left, _right))
