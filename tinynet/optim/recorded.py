"""What a definition of an update sees of a recording: numbers that can be edited, and what is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet.backend import placed
from tinynet.tensor import Parameter, Tensor

if TYPE_CHECKING:
    from tinynet.optim.base import Memory
    from tinynet.recording import Recorder


class Update:
    """One update of one parameter; ``counts`` is shared by all parameters that are updated together."""

    def __init__(self, recorder: Recorder, p: Parameter, memory: Memory, counts: dict[Any, Tensor]):
        self.recorder, self.p, self.memory, self.counts = recorder, p, memory, counts

    def number(self, label: str, number: float) -> Tensor:
        """A hyper-parameter."""
        return self.recorder.hyperparameter(label, float(number), beside=self.p)

    def t(self) -> Tensor:
        """The number of this step, counted from 1: one number for all parameters that took as many before."""
        memory, recorder = self.memory, self.recorder
        known = memory.t is not None and recorder.holds(memory.t)
        key = id(memory.t) if known else (memory.steps, self.p.dtype)
        if key not in self.counts:
            old = memory.t if known else Tensor(placed(float(memory.steps), self.p.data, self.p.dtype))
            assert old is not None
            recorder.remembered(old, "t")
            self.counts[key] = recorder.named("t", old + 1, "number of the step", replaces=old)
        memory.t = self.counts[key]
        return memory.t

    def old(self, label: str) -> Tensor:
        """A moving average before the update."""
        average = self.memory.average(label, self.p.data)
        self.recorder.remembered(average, label, beside=self.p)
        return average

    def new(self, label: str, x: Tensor, title: str = "") -> Tensor:
        """A moving average after the update."""
        average = self.memory.average(label, self.p.data)
        self.recorder.named(label, x, title, beside=self.p, replaces=average)
        average.data, average.value = x.data, x.value
        return x

    def name(self, label: str, x: Tensor, title: str = "") -> Tensor:
        """A quantity of the parameter that only this update needs."""
        return self.recorder.named(label, x, title, beside=self.p)
