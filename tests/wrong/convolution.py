"""A small convolutional net, written as loops over the places of a window.

Convolution here is cross-correlation, as in every framework (LeCun et al., 1989); of equal maxima in a window the first
one, row by row, gets the gradient, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tests.wrong.network import Array, Arrays, Change, FeedForward, Numbers

Pair = tuple[int, int]


def cut(pictures: Array, corner: Pair, size: Pair) -> Array:
    """The window (N, C, *size) whose first row and column are ``corner``; outside the pictures there are zeros."""
    window = np.zeros_like(pictures, shape=(*pictures.shape[:2], *size))
    for r, c, row, column in _inside(pictures, corner, size):
        window[:, :, r, c] = pictures[:, :, row, column]
    return window


def add(pictures: Array, corner: Pair, window: Array) -> None:
    """Add a window to the place that it was cut from; what lies outside is lost."""
    for r, c, row, column in _inside(pictures, corner, window.shape[2:]):
        pictures[:, :, row, column] += window[:, :, r, c]


def put(pictures: Array, corner: Pair, window: Array) -> None:
    """As ``add``, but what was there is overwritten."""
    for r, c, row, column in _inside(pictures, corner, window.shape[2:]):
        pictures[:, :, row, column] = window[:, :, r, c]


def places(size: Pair) -> list[Pair]:
    """All (row, column), row by row."""
    return [(i, j) for i in range(size[0]) for j in range(size[1])]


def count(size: Sequence[int], window: Sequence[int], stride: Pair) -> Pair:
    """How many windows there are, (rows, columns); a remainder at the end is left out."""
    return (size[0] - window[0]) // stride[0] + 1, (size[1] - window[1]) // stride[1] + 1


def _inside(pictures: Array, corner: Pair, size: Pair) -> Iterator[tuple[int, int, int, int]]:
    """(row, column) in the window and in the pictures, wherever there is a pixel."""
    for r, c in places(size):
        row, column = corner[0] + r, corner[1] + c
        if 0 <= row < pictures.shape[2] and 0 <= column < pictures.shape[3]:
            yield r, c, row, column


class ConvNet(FeedForward):
    """x (N, I, height, width) → z = convolution → a = relu → m = max-pool → logits → p → loss.

    ``stride`` and ``padding`` (rows, columns) of the convolution; ``pool`` is the size of the windows of the pooling
    and ``pool_stride`` the way from one to the next. Kernels (O, I, *kernel).
    """

    symbols: ClassVar[Mapping[str, str]] = {
        "W_conv": "conv.weight",
        "b_conv": "conv.bias",
        "W_out": "head.weight",
        "b_out": "head.bias",
    }

    def __init__(
        self,
        x: Array,
        target: Array,
        weights: Arrays,
        stride: Pair,
        padding: Pair,
        pool: Pair,
        pool_stride: Pair,
        bug: Change | None = None,
        dtype: Any = np.float64,
        lr: float = 0.1,
    ):
        super().__init__(x, target, weights, bug, dtype, lr)
        self.stride, self.padding, self.pool, self.pool_stride = stride, padding, pool, pool_stride
        self.kernel = self.weights["W_conv"].shape[2:]
        padded = [x.shape[2 + k] + 2 * padding[k] for k in range(2)]
        self.size = count(padded, self.kernel, stride)
        self.pooled_size = count(self.size, pool, pool_stride)

    def forward(self) -> None:
        self["z"] = self.z()
        self["a"] = np.maximum(self["z"], 0)
        self["m"] = self.m()
        self.score()

    def backward(self) -> None:
        self["dlogits"] = self.dlogits(self["p"], self.target, self.dnll())
        self["dm"] = self.unflat(self.dfeatures(self["dlogits"]))
        self["da"] = self.da()
        self["dz"] = self.dz()
        self["dx"] = self.dx()

    # The convolution
    def corner(self, i: int, j: int) -> Pair:
        """Where the window of an output pixel begins; negative in the padding."""
        return i * self.stride[0] - self.padding[0], j * self.stride[1] - self.padding[1]

    def window(self, i: int, j: int) -> Array:
        """What an output pixel sees (N, I, *kernel)."""
        return cut(self["x"], self.corner(i, j), self.kernel)

    def kernels(self) -> Array:
        """As they are laid over a window (O, I, *kernel)."""
        return self.weights["W_conv"]

    def z(self) -> Array:
        z = self.zeros(self.N, len(self.weights["b_conv"]), *self.size)
        kernels = self.kernels().reshape(z.shape[1], -1)
        for i, j in places(self.size):
            z[:, :, i, j] = self.window(i, j).reshape(self.N, -1) @ kernels.T + self.weights["b_conv"]
        return z

    def kernels_back(self) -> Array:
        """The kernels, for the gradient of x."""
        return self.weights["W_conv"]

    def corner_back(self, i: int, j: int) -> Pair:
        """Where the gradient of an output pixel goes."""
        return self.corner(i, j)

    def dx(self) -> Array:
        dx, kernels = np.zeros_like(self["x"]), self.kernels_back()
        for i, j in places(self.size):
            window = self["dz"][:, :, i, j] @ kernels.reshape(len(kernels), -1)
            self.into_dx(dx, self.corner_back(i, j), window.reshape(self.N, *kernels.shape[1:]))
        return dx

    def into_dx(self, dx: Array, corner: Pair, window: Array) -> None:
        add(dx, corner, window)

    def window_back(self, i: int, j: int) -> Array:
        """What an output pixel saw, for the gradient of the kernels."""
        return self.window(i, j)

    def dW_conv(self) -> Array:
        dW = self.summed(
            self["dz"][:, :, i, j].T @ self.window_back(i, j).reshape(self.N, -1) for i, j in places(self.size)
        )
        return dW.reshape(self.weights["W_conv"].shape)

    def db_conv(self) -> Array:
        return self["dz"].sum(axis=(0, 2, 3))

    # Relu and max-pool
    def dz(self) -> Array:
        return self["da"] * (self["z"] > 0)

    def pool_window(self, i: int, j: int) -> Array:
        """What a pooled pixel sees (N, O, *pool)."""
        return cut(self["a"], self.pool_corner(i, j), self.pool)

    def pool_corner(self, i: int, j: int) -> Pair:
        return i * self.pool_stride[0], j * self.pool_stride[1]

    def largest(self, window: Array) -> Array:
        """(N, O, *pool) to (N, O)."""
        return window.max(axis=(2, 3))

    def m(self) -> Array:
        m = self.zeros(self.N, self["a"].shape[1], *self.pooled_size)
        for i, j in places(self.pooled_size):
            m[:, :, i, j] = self.largest(self.pool_window(i, j))
        return m

    def winners(self, window: Array) -> Array:
        """1 for the first of the largest of a window, else 0, (N, O, *pool)."""
        flat = window.reshape(*window.shape[:2], -1)
        first = flat.argmax(axis=2)[:, :, None] == np.arange(flat.shape[2])
        return first.reshape(window.shape).astype(self.dtype)

    def pool_corner_back(self, i: int, j: int) -> Pair:
        return self.pool_corner(i, j)

    def da(self) -> Array:
        da = np.zeros_like(self["a"])
        for i, j in places(self.pooled_size):
            winners = self.winners(self.pool_window(i, j))
            self.into_da(da, self.pool_corner_back(i, j), winners * self["dm"][:, :, i, j, None, None])
        return da

    def into_da(self, da: Array, corner: Pair, window: Array) -> None:
        add(da, corner, window)

    # The output
    def features(self) -> Array:
        """m (N, O, rows, columns), flat: (N, O · rows · columns)."""
        return self["m"].reshape(self.N, -1)

    def unflat(self, dfeatures: Array) -> Array:
        """The other way round, for the gradient."""
        return dfeatures.reshape(self["m"].shape)


def conv_net(x: Array, target: Array, weights: Arrays, bug: Change | None = None, **options: Any) -> Numbers:
    """All numbers of a small convolutional net; ``options`` of ``ConvNet``: stride, padding, pool, pool_stride …"""
    return ConvNet(x, target, weights, bug=bug, **options).run()
