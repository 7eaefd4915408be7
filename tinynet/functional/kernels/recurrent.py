"""What the kernels of all recurrent layers share.

The state before a time step, a one and x stand side by side in a row, the weights and the bias in a matrix alike. So
each time step is one product, and the gradients of all parameters are one product for all time steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinynet.backend import namespace
from tinynet.functional.kernels.workspace import Workspace
from tinynet.memory import empty


class Rows(Workspace):
    """Rows [left | 1 | right], (T + 1, N, ·), and the weights [W left | b | W right] of all gates, (gates · H, ·).

    Without a bias there is no 1 and no b. The last step has a place for the state after it, which is in no product.
    """

    def __init__(self, xp: Any, steps: int, batch: int, left: int, right: int, gates: int, bias: bool, dtype: Any):
        middle = left + bias
        self.rows = xp.ones((steps + 1, batch, middle + right), dtype=dtype)
        self.left, self.right = self.rows[:, :, :left], self.rows[:, :, middle:]
        self.flat = self.rows[:-1].reshape(steps * batch, middle + right)
        self.weights = xp.empty((gates, middle + right), dtype=dtype)
        self.w_left, self.w_right = self.weights[:, :left], self.weights[:, middle:]
        self.bias: Any = self.weights[:, left] if bias else None
        self.product = self.weights.T

    def load(self, w_left: Any, bias: Any, w_right: Any = None) -> None:
        self.w_left[...] = w_left
        if w_right is not None:
            self.w_right[...] = w_right
        if bias is not None:
            self.bias[...] = bias

    def gradients(self, dz: Any) -> tuple[Any, Any, Any]:
        """From dz (T · N, gates · H): the gradients of what was loaded, None for a bias that is not there."""
        xp, left = namespace(dz), self.w_left.shape[1]
        together = dz.T.dot(self.flat, empty(xp, self.weights.shape, self.weights.dtype))
        if self.bias is None:
            return together[:, :left], None, together[:, left:]
        return together[:, :left], together[:, left], together[:, left + 1 :]


def copied(states: Any) -> Any:
    """A copy for the user."""
    result = empty(namespace(states), states.shape, states.dtype)
    result[...] = states
    return result


def added(bias_ih: Any, bias_hh: Any) -> Any:
    """The sum of two biases, each of which may be None."""
    return bias_hh if bias_ih is None else bias_ih if bias_hh is None else bias_ih + bias_hh


def through_rows(rows: Rows, dz: Any, for_x: bool, x: Any, weight_ih: Any, bias_ih: Any, bias_hh: Any) -> tuple:
    """From dz (T · N, gates · H): dx, where it is wanted, and the gradients of weights and biases.

    That of both biases is that of their sum, each in its own array.
    """
    dx = (dz @ weight_ih).reshape(x.shape) if for_x else None
    d_weight_hh, d_bias, d_weight_ih = rows.gradients(dz)
    d_bias_ih = None if bias_ih is None else d_bias
    return dx, d_weight_ih, d_weight_hh, d_bias_ih, None if bias_hh is None else d_bias.copy()


def last(xp: Any, g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """What arrives at the last state, in memory of its own: a sum to which the time steps add."""
    found = xp.zeros(shape, dtype)
    if g is not None:
        found[...] = g
    return found


def backwards(g: Any, steps: int) -> Iterable[Any]:
    """What arrives at each time step, (T, N, H), the last first; None for zeros, where only the last one is used."""
    if g is None:
        return [None] * steps
    if type(g) is np.ndarray and not g[:-1].any():
        return [g[-1], *[None] * (len(g) - 1)]
    return g[::-1]


def is_plain(lengths: Any, reverse: bool, truncate: Any) -> bool:
    """Whether all sequences run from the first step to the last."""
    return lengths is None and truncate is None and not reverse


def fits(gates: int, x: Any, states: tuple, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> bool:
    """Whether states (N, H), weights and biases have the dtype of ``x`` (T, N, I), and shapes without broadcasting."""
    if len(x.shape) != 3 or not states[0].shape:
        return False
    (_, batch, inputs), units, dtype = x.shape, states[0].shape[-1], x.dtype
    rows = gates * units
    shapes = (*[(batch, units) for _ in states], (rows, inputs), (rows, units), (rows,), (rows,))
    for a, shape in zip((*states, weight_ih, weight_hh, bias_ih, bias_hh), shapes, strict=True):
        if a is not None and (a.shape != shape or a.dtype != dtype):
            return False
    return True
