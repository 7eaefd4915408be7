"""tinynet: a neural network whose every number, forward and backward, is a spreadsheet cell you can click.

import tinynet as tn

with tn.record() as run:
    loss = tn.functional.cross_entropy(model(x), target)
    loss.backward()
    optimizer.step()
run.to_excel("model.xlsx")
"""

from typing import Any

from tinynet import functional, nn, optim
from tinynet.autograd import backward, grad
from tinynet.backend import get_default_dtype, set_default_dtype, use
from tinynet.recording import called as name
from tinynet.recording import record, scope, time_step
from tinynet.run import Run
from tinynet.tape import no_grad
from tinynet.tensor import Parameter, Tensor, tensor
from tinynet.tracing import trace


def load(path: Any) -> Run:
    """Read a workbook back as the Run that it is, computed again from what its cells now hold.

    ``run.parameters`` are named by the path of the module: ``net.load_state_dict(run.parameters)`` takes them where
    ``net`` was the outermost module that ran. A layer that ran by itself has its scope before its names, which is cut
    off by ``{name.removeprefix("lstm."): array for name, array in run.parameters.items()}``. Raises FileNotFoundError,
    or ValueError for a file that is damaged, is not tinynet's, or holds something that cannot be computed with.
    """
    from tinynet import workbook

    return workbook.load(path)


def __getattr__(name: str) -> Any:
    """``tn.debug``, ``tn.testing`` and what they need are imported when they are first asked for."""
    if name in ("debug", "testing"):
        from importlib import import_module

        return import_module(f"tinynet.{name}")
    raise AttributeError(f"module 'tinynet' has no attribute {name!r}")


def manual_seed(seed: int) -> None:
    """Seed everything random: initialisers and dropout."""
    nn.init.manual_seed(seed)
    functional.random.manual_seed(seed)


__version__ = "0.1.0"

__all__ = [
    "Parameter",
    "Run",
    "Tensor",
    "backward",
    "functional",
    "get_default_dtype",
    "grad",
    "load",
    "manual_seed",
    "name",
    "nn",
    "no_grad",
    "optim",
    "record",
    "scope",
    "set_default_dtype",
    "tensor",
    "time_step",
    "trace",
    "use",
]
