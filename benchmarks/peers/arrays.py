"""The array operations that networks are told in, for whatever looks like NumPy (HIPS autograd, JAX)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Operations:
    def __init__(self, np: Any):
        self.np, self.tanh = np, np.tanh

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        return x @ weight.T + bias

    def relu(self, x: Any) -> Any:
        return self.np.maximum(x, 0)

    def sigmoid(self, x: Any) -> Any:
        return 0.5 * self.np.tanh(0.5 * x) + 0.5

    def convolve(self, x: Any, weight: Any, bias: Any) -> Any:
        """With a border of zeros that keeps the size, as one product with all windows: (N, C, H, W)."""
        (n, channels, height, width), kernels = x.shape, weight.shape[0]
        padded = self.np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
        windows = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        columns = self.np.stack(windows, 2).reshape(n, channels * 9, height * width)
        z = weight.reshape(kernels, -1) @ columns + bias[:, None]
        return z.reshape(n, kernels, height, width)

    def max_pool(self, x: Any) -> Any:
        """The largest of 2×2."""
        n, channels, height, width = x.shape
        return self.np.max(x.reshape(n, channels, height // 2, 2, width // 2, 2), (3, 5))

    def zeros(self, like: Any) -> Any:
        return self.np.zeros(like.shape, like.dtype)

    def loop(self, step: Callable[[Any, Any], Any], state: Any, series: Any) -> Any:
        """The last state."""
        for item in series:
            state = step(state, item)
        return state

    def cross_entropy(self, z: Any, y: Any) -> Any:
        shifted = z - self.np.max(z, 1, keepdims=True)
        chosen = shifted[self.np.arange(len(y)), y]
        return self.np.mean(self.np.log(self.np.sum(self.np.exp(shifted), 1)) - chosen)

    def mse_loss(self, z: Any, y: Any) -> Any:
        return self.np.mean((z - y) ** 2)
