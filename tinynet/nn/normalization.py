"""Normalising layers, with PyTorch's names, parameters and buffers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from tinynet import functional as F
from tinynet.nn import init
from tinynet.nn.checks import check_share, check_sizes
from tinynet.nn.layers import empty_parameter
from tinynet.nn.module import Module
from tinynet.recording import is_recording, moved, name
from tinynet.tensor import Buffer, Tensor, as_tensor


class BatchNorm1d(Module):
    """Each channel to mean 0 and variance 1 over the batch, then scaled and shifted: (N, C) or (N, C, L).

    ``weight`` and ``bias`` (C,) start as 1 and 0 (``affine=False``: none). Training moves the buffers ``running_mean``
    and ``running_var`` towards what each batch has, by ``momentum`` of the way (None: they are the plain mean over all
    batches); evaluation uses them, or the batch with ``track_running_stats=False``. See ``functional.batch_norm``.
    """

    shapes: ClassVar[dict[int, str]] = {2: "(N, {})", 3: "(N, {}, L)"}

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        check_sizes(self, num_features=num_features)
        check_share(eps, "eps", math.inf)
        check_share(0 if momentum is None else momentum, "momentum")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = init.ones_(empty_parameter(num_features)) if affine else None
        self.bias = empty_parameter(num_features) if affine else None
        zeros = empty_parameter(num_features).data
        self.running_mean = Buffer(zeros) if track_running_stats else None
        self.running_var = Buffer(zeros + 1) if track_running_stats else None
        self.num_batches_tracked = Buffer(empty_parameter().data) if track_running_stats else None

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(input)
        if input.ndim not in self.shapes or input.shape[1] != self.num_features:
            expected = " or ".join(shape.format(self.num_features) for shape in self.shapes.values())
            raise ValueError(f"{type(self).__name__} expects {expected}, got {input.shape}")
        batch = self.training or self.running_mean is None
        count = self._counted() if self.training and self.num_batches_tracked is not None else None
        momentum = self.momentum
        if momentum is None:  # each batch counts as much as any other
            momentum = 0.0 if count is None else 1 / count
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, batch, momentum, self.eps
        )

    def _counted(self) -> Any:
        """Count a batch; returns how many there were with it. A recording goes on from what is computed here."""
        count = self.num_batches_tracked
        assert count is not None
        if not is_recording():
            count.data += 1
            return count.item()
        before = name(count, "num_batches_tracked", title="batches so far")
        after = name(before + 1, "new_num_batches_tracked", title="batches, with this one")
        count.data = after.data
        moved(count, after)
        return after


class BatchNorm2d(BatchNorm1d):
    """Each channel to mean 0 and variance 1 over the batch, then scaled and shifted: (N, C, H, W).

    Parameters and buffers are those of ``BatchNorm1d``. See ``functional.batch_norm``.
    """

    shapes: ClassVar[dict[int, str]] = {4: "(N, {}, H, W)"}


class LayerNorm(Module):
    """Each example to mean 0 and variance 1 over its last axes, then scaled and shifted: (…, *normalized_shape).

    ``weight`` and ``bias`` have that shape and start as 1 and 0 (``elementwise_affine=False``: none; ``bias=False``:
    no bias). See ``functional.layer_norm``.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        check_sizes(self, **{f"normalized_shape[{i}]": size for i, size in enumerate(shape or (None,))})
        check_share(eps, "eps", math.inf)
        self.normalized_shape, self.eps = shape, eps
        self.weight = init.ones_(empty_parameter(*shape)) if elementwise_affine else None
        self.bias = empty_parameter(*shape) if elementwise_affine and bias else None

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(as_tensor(input), self.normalized_shape, self.weight, self.bias, self.eps)
