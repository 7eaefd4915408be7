"""What is trained: the numbers that all peers start from, and the same network told in three ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], float]  # forward, backward, update; returns the loss before the update
LR = 0.01


class Network:
    """A network with its data.

    ``module`` tells it in layers, for whoever has PyTorch's; ``loss`` in array operations, for whoever differentiates
    those; ``numpy`` is the whole step by hand, as fast as NumPy goes without any autograd: the limit.
    """

    criterion = "cross_entropy"  # or mse_loss
    fused = False  # whether ``nn`` has one kernel for what ``loss`` tells in many operations

    def __init__(self, name: str, dtype: Any, shapes: dict[str, tuple[int, ...]], scale: float):
        self.name, self.dtype, self.rng = name, np.dtype(dtype), np.random.default_rng(0)
        self.state = {key: self.normal(shape, scale) for key, shape in shapes.items()}

    def normal(self, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        return self.rng.normal(scale=scale, size=shape).astype(self.dtype)

    @property
    def tolerance(self) -> float:
        """How far two losses may be apart that are rounded differently."""
        return float(np.finfo(self.dtype).eps ** 0.5)

    def module(self, nn: Any) -> Any:
        """Of tinynet's ``nn`` or PyTorch's; its parameters are called as in ``state``."""
        raise NotImplementedError

    def loss(self, ops: Any, p: dict[str, Any], x: Any, y: Any) -> Any:
        """In the operations of a peer; see ``benchmarks.peers.arrays.Operations``."""
        raise NotImplementedError

    def numpy(self) -> Step:
        raise NotImplementedError
