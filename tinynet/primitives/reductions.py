"""Reductions over axes: ``axis`` is None (all), an integer or a tuple."""

from __future__ import annotations

from tinynet.primitives.core import Primitive
from tinynet.primitives.elementwise import equal, sign, where
from tinynet.primitives.structural import broadcast_to, reshape


def _kept(shape, axis):
    """The shape that a reduction over ``axis`` has with keepdims."""
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = {a % len(shape) for a in axes}
    return tuple(1 if a in axes else size for a, size in enumerate(shape))


def _sum_vjp(g, y, x, axis, keepdims):
    return broadcast_to(reshape(g, shape=_kept(x.shape, axis)), shape=x.shape)


def _extreme_vjp(g, y, x, axis, keepdims):
    """Share the cotangent equally among the elements that reach the extreme (as ``torch.amax``)."""
    kept = _kept(x.shape, axis)
    reached = where(equal(x, reshape(y, shape=kept)), 1, 0 * sign(x))  # 1 and 0, in the dtype of x
    return reached / sum(reached, axis=axis, keepdims=True) * reshape(g, shape=kept)


sum: Primitive = Primitive(
    "sum", "reduction", lambda xp, x, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims), (_sum_vjp,)
)
max: Primitive = Primitive(
    "max", "reduction", lambda xp, x, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims), (_extreme_vjp,)
)
min: Primitive = Primitive(
    "min", "reduction", lambda xp, x, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims), (_extreme_vjp,)
)
