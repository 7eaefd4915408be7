"""What of a recorded program its gradients need."""

from __future__ import annotations

from tinynet.run import Run, Value


def keep_gradients(run: Run) -> None:
    """Leave out of a run what neither its loss nor a gradient is computed from."""
    needed = {value for value in run.values if value.of is not None or value is run.loss}
    steps = []
    for step in reversed(run.steps):
        if step.output in needed:
            steps.append(step)
            needed.update(operand for operand in step.operands if isinstance(operand, Value))
    run.steps = steps[::-1]
    run.values = [value for value in run.values if value in needed]
    for number, step in enumerate(run.steps, start=1):
        step.number = number
    for index, value in enumerate(run.values):
        value.index = index
