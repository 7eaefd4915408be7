"""Write the case on which a gradient is wrong as a workbook that one can open and step through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinynet.recording import name, record
from tinynet.run import Run
from tinynet.tape import state
from tinynet.tensor import Tensor
from tinynet.testing.plain import write_plain
from tinynet.testing.subject import HandWritten, TensorFunction, cotangent_names, flattened, is_floating
from tinynet.testing.verdict import Report
from tinynet.tracing import traced
from tinynet.workbook import write_beside


def write_counterexample(report: Report, path: Any) -> Path:
    """Write the case of a report to ``path`` (.xlsx).

    The function is recorded, as live formulas with our backward pass. On the sheet Yours stand, beside the gradients
    that were recorded, the numerical derivatives; or, for a backward pass written by hand, what it gave. A function
    that cannot be recorded gets a sheet of numbers: the gradients claimed, those measured, and the differences.
    So does a mistake that shows before anything is measured, such as a gradient of the wrong shape. Raises OSError
    where the file cannot be written.
    """
    if not report.gradients:
        return write_plain(report, Path(path), "nothing was measured, since this shows without that")
    try:
        run, inputs = _recorded(report)
        hand_written = isinstance(report.subject, HandWritten)
        beside = report.gradients if hand_written else report.numerical
        of = {value.index: gradient for value, gradient in run.total_gradients.items()}
        numbers = {of[i].index: array for i, array in zip(inputs, beside, strict=True) if array is not None and i in of}
        if numbers:
            title = "Counterexample: " + ("your gradients" if hand_written else "numerical derivatives")
            return write_beside(run, numbers, path, _tolerance(report), title=title)
        why = "the function could not be recorded: nothing that was recorded depends on the inputs"
    except OSError:
        raise
    except Exception as error:  # somebody's code, run on what it was not written for, may raise anything
        why = f"the function could not be recorded: {type(error).__name__}: {error}"
    return write_plain(report, Path(path), why)


def _recorded(report: Report) -> tuple[Run, list[int]]:
    """Run the case again while it is recorded; return the run and the index of each input."""
    with record() as run:
        inputs = [Tensor(a.copy(), is_floating(a), label) for label, a in zip(report.names, report.inputs, strict=True)]
        assert state.recorder is not None
        indices = [state.recorder.value_of(x).index for x in inputs]
        outputs = _outputs(report.subject, inputs)
        labels = cotangent_names(len(report.cotangents))
        seeds = [Tensor(g, name=label) for label, g in zip(labels, report.cotangents, strict=True)]
        products = [(out * g).sum() for out, g in zip(outputs, seeds, strict=True) if out.requires_grad]
        total = sum(products[1:], products[0])
        name(total, "weighted_sum")
        total.backward()
    return run, indices


def _outputs(subject: Any, inputs: list[Tensor]) -> list[Tensor]:
    if isinstance(subject, TensorFunction):
        return subject.outputs(inputs)
    result = traced(subject.function, inputs)
    return flattened(result[0] if subject.cache else result)


def _tolerance(report: Report) -> float:
    """What the numerical derivatives are certain to, as a share of the largest number of a gradient."""
    worst = 0.0
    for numerical, error in zip(report.numerical, report.error, strict=True):
        if numerical is not None and error is not None and np.any(np.isfinite(error)):
            worst = max(worst, float(np.nanmax(error)) / max(1.0, float(np.nanmax(np.abs(numerical)))))
    return max(1e-9, worst)
