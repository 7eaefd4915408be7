"""tinynet: a neural network whose every number, forward and backward, is a spreadsheet cell you can click.

import tinynet as tn

with tn.record() as run:
    loss = tn.functional.cross_entropy(model(x), target)
    loss.backward()
    optimizer.step()
run.to_excel("model.xlsx")
"""

from tinynet import functional, nn, optim
from tinynet.autograd import backward, grad
from tinynet.backend import get_default_dtype, set_default_dtype
from tinynet.recording import name, record, scope, time_step
from tinynet.run import Run
from tinynet.tape import no_grad
from tinynet.tensor import Parameter, Tensor, tensor


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
]
