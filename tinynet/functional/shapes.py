"""Functions that shape, join and reduce; arguments as in PyTorch and the array API."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.axes import axes_of, axis_of, integers
from tinynet.backend import extent, kind
from tinynet.functional.composite import composite
from tinynet.functional.kernels import linear as kernel
from tinynet.tensor import Tensor, beside


def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """Give the elements another shape, in row-major order; one size may be -1.

    Raises ValueError if their number differs.
    """
    sizes = list(integers(shape))
    if sizes.count(-1) == 1:
        known = -prod(sizes)
        sizes[sizes.index(-1)] = input.size // known if known > 0 else 0
    if prod(sizes) != input.size:
        raise ValueError(f"cannot reshape {input.shape} ({input.size} elements) to {tuple(shape)}")
    return P.reshape(input, shape=tuple(sizes))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the axes from ``start_dim`` to ``end_dim`` into one; a single number becomes a vector of one."""
    if not input.ndim:
        return reshape(input, (1,))
    start, end = axis_of(start_dim, input.shape), axis_of(end_dim, input.shape)
    if start > end:
        raise ValueError(f"start_dim {start_dim} comes after end_dim {end_dim} in shape {input.shape}")
    return reshape(input, (*input.shape[:start], -1, *input.shape[end + 1 :]))


def expand(input: Tensor, shape: Sequence[int]) -> Tensor:
    """Repeat along axes of size 1, or new leading ones; -1 keeps a size."""
    given = integers(shape)
    lead = len(given) - input.ndim
    sizes = [input.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(given)]
    return P.broadcast_to(input, shape=tuple(sizes))


def squeeze(input: Tensor, dim: int | None = None) -> Tensor:
    """Drop all axes of size 1, or the axis ``dim`` if its size is 1."""
    axes = range(input.ndim) if dim is None else (axis_of(dim, input.shape),)
    return P.reshape(input, shape=tuple(n for i, n in enumerate(input.shape) if i not in axes or n != 1))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Insert an axis of size 1 at ``dim``."""
    at = axis_of(dim, input.shape, new=1)
    return P.reshape(input, shape=(*input.shape[:at], 1, *input.shape[at:]))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors along an axis that exists. Raises ValueError where there are none."""
    if not len(tensors):
        raise ValueError("cat got no tensors: expected one at least")
    axis_of(dim, tensors[0].shape)
    return P.concatenate(*tensors, axis=int(dim))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis. Raises ValueError where there are none."""
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def pad(input: Tensor, pad_width: Sequence[tuple[int, int]]) -> Tensor:
    """Put zeros around: ``pad_width`` holds (before, after) for every axis, as NumPy's."""
    return P.pad(input, pad_width=tuple((int(low), int(high)) for low, high in pad_width))


def flip(input: Tensor, dims: int | Sequence[int]) -> Tensor:
    """Reverse the order along the axes ``dims``."""
    return P.flip(input, axis=axes_of(dims, input.shape))


def getitem(input: Tensor, index: Any) -> Tensor:
    """Pick by slices, integers and integer arrays. An index that is a Tensor picks rows (embedding).

    Raises IndexError for a place that is not there, TypeError for a boolean mask and for an index tensor of fractions.
    """
    if isinstance(index, Tensor):
        _refuse_mask(index)
        return P.take(input, _from_the_start(index, len(input)))
    plain = tuple(_plain_index(i) for i in index) if isinstance(index, tuple) else _plain_index(index)
    return P.getitem(input, index=plain)


def _from_the_start(index: Tensor, size: int) -> Tensor:
    """Places of which some may be counted from the end, counted from the start, as a spreadsheet has to."""
    if kind(index) not in "iu" or not index.size or extent(index.data)[0] >= 0:
        return index
    lowest = extent(index.data)[0]
    if lowest < -size:
        raise IndexError(f"index holds {lowest}, expected {-size} to {size - 1}")
    return P.where(index < 0, index + size, index)


def _plain_index(index: Any) -> Any:
    """Slices, integers … as they are; a list, range, array or Tensor as an array that nobody else can change."""
    index = list(index) if isinstance(index, range) else index
    if not isinstance(index, (list, np.ndarray, Tensor)):
        return index
    _refuse_mask(index)
    return np.array(index)


def _refuse_mask(index: Any) -> None:
    if kind(np.array(index) if isinstance(index, list) else index) == "b":
        raise TypeError("a boolean mask has no fixed shape: use functional.where, or np.flatnonzero(mask)")


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Pick one number for every place of ``index`` along ``dim`` (as ``torch.gather``).

    Raises IndexError for a place that is not there; -1 is none.
    """
    return P.take_along_axis(input, index, axis=axis_of(dim, input.shape))


def embedding(input: Tensor, weight: Tensor) -> Tensor:
    """Look up the rows of ``weight`` (V, D) for integer ``input`` of any shape: the result is (…, D).

    Raises IndexError for a row that is not there; -1 is none.
    """
    return P.take(weight, input)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """Take ``input`` where the condition holds, ``other`` elsewhere."""
    return P.where(condition, input, other)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, element by element; where equal, each gets half the gradient."""
    return P.maximum(input, other)


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, element by element; where equal, each gets half the gradient."""
    return P.minimum(input, other)


def mean(input: Tensor, dim: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over ``dim`` (all axes by default), divided by the number of elements summed."""
    axes = axes_of(dim, input.shape)
    summed = range(input.ndim) if axes is None else (axes,) if isinstance(axes, int) else axes
    count = prod(input.shape[axis] for axis in summed)
    if count == 0:
        raise ValueError(f"mean over no elements: the tensor has shape {input.shape}")
    return P.sum(input, axis=axes, keepdims=keepdims) / count


def matmul(input: Any, other: Any) -> Tensor:
    """Matrix product (…, n, k) @ (…, k, m); a vector stands for a row on the left, a column on the right.

    Raises ValueError where the inner sizes differ.
    """
    a, b = beside(other, input), beside(input, other)
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"cannot multiply {a.shape} by {b.shape}: the inner sizes must be equal")
    left, right = a.ndim == 1, b.ndim == 1
    a, b = (unsqueeze(a, 0) if left else a), (unsqueeze(b, 1) if right else b)
    out = P.matmul(a, b)
    out = squeeze(out, -1) if right else out
    return squeeze(out, -1 if right else -2) if left else out


@composite(kernel.linear_forward, kernel.linear_backward)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``input @ weight.T + bias``: (…, in) and (out, in) give (…, out)."""
    out = matmul(input, weight.T)
    return out if bias is None else out + bias
