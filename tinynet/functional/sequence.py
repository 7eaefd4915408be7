"""Losses over sequences: which steps count, and how they are added up."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import primitives as P
from tinynet.backend import kind, placed
from tinynet.functional.shapes import mean
from tinynet.recording import name, scope
from tinynet.tensor import Tensor, beside


def sequence_loss(losses: Tensor, lengths: Any = None, time: str = "mean", batch: str = "mean") -> Tensor:
    """One number from the losses of all steps (T, N), as ``cross_entropy(..., reduction="none")`` gives them.

    ``lengths`` (N,): steps beyond them do not count. ``time`` is "mean" over the steps that count, "sum", or "last"
    (the last step that counts); ``batch`` is "mean" or "sum" over the sequences. Each stage is a quantity of its own:
    ``loss.counted`` (T, N), ``loss.sequence`` (N,). Raises ValueError for anything else.
    """
    if losses.ndim != 2:
        raise ValueError(f"losses have shape {losses.shape}, expected (T, N): pass reduction='none'")
    if time not in ("mean", "sum", "last") or batch not in ("mean", "sum"):
        raise ValueError(f"time is {time!r} and batch {batch!r}, expected mean, sum or last, and mean or sum")
    steps, count = losses.shape
    with scope("loss"):
        if lengths is None:
            total = losses[-1] if time == "last" else losses.sum(0)
            total = total / steps if time == "mean" else total
        else:
            ends = beside(losses, lengths, name="lengths")
            if ends.shape != (count,) or kind(ends) not in "iu":
                raise ValueError(f"lengths must be {count} integers, got {ends.dtype} {ends.shape}")
            total = _of_lengths(losses, ends, time)
        sequence = name(total, "sequence", title="loss of each sequence")
        return sequence.sum() if batch == "sum" else mean(sequence)


def _of_lengths(losses: Tensor, lengths: Tensor, time: str) -> Tensor:
    numbers = np.broadcast_to(np.arange(losses.shape[0])[:, None], losses.shape)
    steps = Tensor(placed(numbers, lengths.data), name="step")
    counts = P.equal(steps, lengths - 1) if time == "last" else P.less(steps, lengths)
    counted = name(P.where(counts, losses, 0), "counted", title="losses that count")
    total = counted.sum(0)
    return total / lengths if time == "mean" else total
