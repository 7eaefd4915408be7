"""A multilayer perceptron on handwritten digits."""

from __future__ import annotations

from tinynet import functional as F
from tinynet import manual_seed, nn
from tinynet.datasets import load_digits
from tinynet.models.common import check, trained
from tinynet.run import Run
from tinynet.tensor import Tensor, tensor


class MLP(nn.Module):
    """Flatten, then ``layers`` hidden layers with tanh, then one score per class."""

    def __init__(self, inputs: int, hidden: int, classes: int, layers: int):
        self.layers = layers
        for layer in range(layers):
            linear = nn.Linear(hidden if layer else inputs, hidden)
            setattr(self, "hidden" if layers == 1 else f"hidden_{layer}", _glorot(linear))
        self.output = _glorot(nn.Linear(hidden, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = F.flatten(x, 1)
        for _, layer in list(self.children())[:-1]:
            x = F.tanh(layer(x))
        return self.output(x)


def mlp(
    inputs: int = 16,
    hidden: int = 6,
    batch: int = 3,
    layers: int = 1,
    seed: int = 0,
    lr: float = 0.5,
    updates: int = 1,
    optimizer: str = "sgd",
) -> Run:
    """An MLP on handwritten digits, 8×8 pixels averaged to 64, 16 or 4 ``inputs``.

    Raises ValueError for other sizes, or more samples than there are (1,797).
    """
    sizes = {64: 8, 16: 4, 4: 2}
    if inputs not in sizes:
        raise ValueError(f"--inputs is {inputs}, expected 64, 16 or 4: the pixels of a digit of 8×8, 4×4 or 2×2")
    images, labels = load_digits(sizes[inputs])
    check(batch, 1, len(labels), "--batch")
    x = tensor(images[:batch], requires_grad=True, name="x")
    target = tensor(labels[:batch], name="target")
    digits = ", ".join(map(str, labels[:batch]))
    manual_seed(seed)
    model = MLP(inputs, hidden, 10, layers)
    run = trained(model, lambda x: F.cross_entropy(model(x), target), x, lr, updates, optimizer)
    size = sizes[inputs]
    stacked = "hidden layer" if layers == 1 else f"{layers} hidden layers"
    run.description = (
        f"{inputs} inputs ({size}×{size} pixels, handwritten digits {digits}) · {stacked} of {hidden} tanh units"
        f" · 10 classes · batch {batch} · seed {seed}"
    )
    return run


def _glorot(linear: nn.Linear) -> nn.Linear:
    nn.init.xavier_uniform_(linear.weight)
    assert linear.bias is not None
    nn.init.zeros_(linear.bias)
    return linear
