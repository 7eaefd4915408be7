"""A small convolutional network."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.networks.by_hand import cross_entropy, update
from benchmarks.networks.network import Network, Step

SHIFTS = [(i, j) for i in range(3) for j in range(3)]  # of a kernel of 3×3


class Convolution(Network):
    """Twice: 3×3 kernels with a border of zeros, relu, the largest of 2×2. Then a linear layer, cross-entropy."""

    def __init__(self, channels: tuple[int, int], pixels: int, batch: int, dtype: Any = "float64", classes: int = 10):
        first, second = channels
        features = second * (pixels // 4) ** 2
        shapes: dict[str, tuple[int, ...]] = {
            "0.weight": (first, 1, 3, 3),
            "0.bias": (first,),
            "3.weight": (second, first, 3, 3),
            "3.bias": (second,),
            "7.weight": (classes, features),
            "7.bias": (classes,),
        }
        name = f"conv 1→{first}→{second}, {pixels}×{pixels}, batch {batch}"
        super().__init__(name, dtype, shapes, scale=0.1)
        self.channels, self.features, self.classes = channels, features, classes
        self.x, self.y = self.normal((batch, 1, pixels, pixels)), self.rng.integers(classes, size=batch)

    def module(self, nn: Any) -> Any:
        first, second = self.channels
        return nn.Sequential(
            *(nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(self.features, self.classes)),
        )

    def loss(self, ops: Any, p: dict[str, Any], x: Any, y: Any) -> Any:
        for layer in "03":
            x = ops.max_pool(ops.relu(ops.convolve(x, p[f"{layer}.weight"], p[f"{layer}.bias"])))
        return ops.cross_entropy(ops.linear(x.reshape(len(y), -1), p["7.weight"], p["7.bias"]), y)

    def numpy(self) -> Step:
        """Arrays are (channels, height, width, batch), so that what is copied lies together in memory."""
        w1, b1, w2, b2, w3, b3 = (array.copy() for array in self.state.values())
        one = _ByHand(np.moveaxis(self.x, 0, -1), w1, b1)
        two = _ByHand(one.pooled, w2, b2)
        flat, d_flat = two.pooled.reshape(self.features, -1), two.d_pooled.reshape(self.features, -1)
        z = np.empty((len(self.y), self.classes), self.dtype)
        dw3, db3 = np.empty_like(w3), np.empty_like(b3)
        loss_of_z = cross_entropy(z, self.y)

        def step() -> float:
            one.forward()
            two.forward()
            np.dot(flat.T, w3.T, z)
            np.add(z, b3, z)
            loss = loss_of_z()  # z is now its gradient
            np.dot(z.T, flat.T, dw3)
            np.add.reduce(z, 0, None, db3)
            np.dot(w3.T, z.T, d_flat)
            two.backward()
            two.to_input(one.d_pooled)
            one.backward()
            update([(w3, dw3), (b3, db3), *two.pairs, *one.pairs])
            return loss

        return step


class _ByHand:
    """Convolution, relu and pooling over fixed buffers.

    All windows are columns of one matrix, so that a convolution is one product; the largest of four is taken before
    the relu, which then has a quarter of the work.
    """

    def __init__(self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray):
        (channels, height, width, batch), kernels = x.shape, len(bias)
        self.x, self.weight, self.bias = x, weight.reshape(kernels, -1), bias[:, None]
        padded = np.zeros((channels, height + 2, width + 2, batch), x.dtype)
        self.inside = padded[:, 1:-1, 1:-1]
        self.windows = [padded[:, i : i + height, j : j + width] for i, j in SHIFTS]
        self.columns = np.empty((channels, len(SHIFTS), height, width, batch), x.dtype)
        self.matrix = self.columns.reshape(channels * len(SHIFTS), -1)
        self.z = np.empty((kernels, height * width * batch), x.dtype)
        corners = self.z.reshape(kernels, height // 2, 2, width // 2, 2, batch)
        self.corners = [corners[:, :, i, :, j] for i in (0, 1) for j in (0, 1)]
        self.pooled, self.d_pooled, self.largest, self.other = (np.empty_like(self.corners[0]) for _ in range(4))
        self.mask = np.empty(self.pooled.shape, bool)
        self.pairs = [(self.weight, np.empty_like(self.weight)), (self.bias, np.empty_like(self.bias))]

    def forward(self) -> None:
        np.copyto(self.inside, self.x)
        for k, window in enumerate(self.windows):
            np.copyto(self.columns[:, k], window)
        np.dot(self.weight, self.matrix, self.z)
        a, b, c, d = self.corners
        np.maximum(a, b, out=self.largest)
        np.maximum(c, d, out=self.other)
        np.maximum(self.largest, self.other, out=self.largest)
        np.add(self.largest, self.bias[..., None, None], self.pooled)
        np.maximum(self.pooled, 0, out=self.pooled)

    def backward(self) -> None:
        """From ``d_pooled`` to the gradients of weight and bias; ``z`` becomes its own gradient."""
        np.greater(self.pooled, 0, self.mask)
        np.multiply(self.d_pooled, self.mask, self.d_pooled)
        for corner in self.corners:
            np.equal(corner, self.largest, self.mask)
            np.multiply(self.mask, self.d_pooled, corner)
        (_, d_weight), (_, d_bias) = self.pairs
        np.dot(self.z, self.matrix.T, d_weight)
        np.add.reduce(self.d_pooled.reshape(len(d_bias), -1), 1, None, d_bias, True)

    def to_input(self, d_x: np.ndarray) -> None:
        """The gradient of what came in, which takes the place of the windows and their columns."""
        np.dot(self.weight.T, self.z, self.matrix)
        self.windows[0].base[...] = 0
        for k, window in enumerate(self.windows):
            np.add(window, self.columns[:, k], window)
        np.copyto(d_x, self.inside)
        self.windows[0].base[...] = 0
