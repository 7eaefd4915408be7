"""What a check of gradients found, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

RIGHT, WRONG, CANNOT_TELL = "right", "wrong", "cannot tell"
SHOWN = 8  # elements in a message


@dataclass(frozen=True)
class Element:
    """One element of the gradient of an input: both values, and the numerical error.

    ``input`` is the parameter's name in the function; ``slopes`` are those on the left and on the right of a kink.
    """

    input: str
    index: tuple[int, ...]
    yours: float
    numerical: float
    error: float
    doubt: str = ""
    slopes: tuple[float, float] | None = None

    def __str__(self) -> str:
        where = f"{self.input}[{', '.join(map(str, self.index))}]" if self.index else self.input
        if self.doubt:
            return f"{where}: yours {self.yours:.8g}, cannot tell ({self.doubt})"
        if self.slopes is not None:
            left, right = self.slopes
            return f"{where}: yours {self.yours:.8g}, the slope is {left:.6g} on the left and {right:.6g} on the right"
        digits = 8 if abs(self.yours - self.numerical) > 1e-6 * abs(self.numerical) else 15
        return f"{where}: yours {self.yours:.{digits}g}, numerical {self.numerical:.{digits}g} ± {self.error:.1g}"


@dataclass(repr=False)
class Report:
    """The verdict ("right", "wrong" or "cannot tell"), its reason, and the elements that are not right.

    ``names`` are those of the inputs and ``gradients`` the ones that were checked, by input (None for integers).
    ``numerical`` and ``error`` are those measured, with nan for what was not measured by itself; ``precision`` is the
    largest error of what is right, as a share of the derivative; ``order`` is that of the derivative, and ``function``
    the name of what was checked. It is true where the verdict is "right". Gradients, derivatives and slopes are those
    of the sum of all outputs times their ``cotangents``.
    """

    verdict: str
    reason: str = ""
    wrong: list[Element] = field(default_factory=list)
    doubtful: list[Element] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    inputs: list[np.ndarray] = field(default_factory=list)
    cotangents: list[np.ndarray] = field(default_factory=list)
    gradients: list[np.ndarray | None] = field(default_factory=list)
    numerical: list[np.ndarray | None] = field(default_factory=list)
    error: list[np.ndarray | None] = field(default_factory=list)
    precision: float = 0.0
    order: int = 1
    function: str = ""
    subject: Any = None  # what was checked

    def __bool__(self) -> bool:
        return self.verdict == RIGHT

    def __getstate__(self) -> dict[str, Any]:
        """Without the function that was checked, which may be a lambda: a report can be pickled."""
        return self.__dict__ | {"subject": None}

    def __repr__(self) -> str:
        what = ("gradient" if self.order == 1 else "gradient of the gradient") + (
            self.function and f" of {self.function}"
        )
        reason = self.reason or (f"measured to {self.precision:.1g}" if self.verdict == RIGHT else "")
        lines = [f"{what}: {self.verdict}" + (f", {reason}" if reason else "")]
        for elements in (self.wrong, self.doubtful):
            lines += [f"  {element}" for element in elements[:SHOWN]]
            if len(elements) > SHOWN:
                lines.append(f"  … and {len(elements) - SHOWN} more")
        if self.wrong or any(element.doubt for element in self.doubtful):
            lines.append(f"  ({self._weights()})")
        return "\n".join(lines)

    def _weights(self) -> str:
        """What the numbers are times."""
        if sum(g.size for g in self.cotangents) == 1:
            return f"all numbers are times the cotangent, {sum(float(np.sum(g)) for g in self.cotangents):.8g}"
        return "all numbers are times random cotangents, summed over the outputs: report.cotangents"


class GradientError(AssertionError):
    """A gradient is wrong; ``report`` says where."""

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[type[GradientError], tuple[Report]]:
        return GradientError, (self.report,)
