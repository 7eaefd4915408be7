"""A convolutional net on handwritten digits, after LeNet; and well-known kernels on a photograph."""

from __future__ import annotations

import numpy as np

from tinynet import functional as F
from tinynet import manual_seed, nn
from tinynet.datasets import load_coffee, load_digits
from tinynet.models.common import check, trained
from tinynet.optim import SGD
from tinynet.recording import name, record
from tinynet.run import Run
from tinynet.tape import no_grad
from tinynet.tensor import Tensor, tensor

UNSEEN = 497  # digits that are kept for the test
CANVAS = 10  # the place of the picture to draw on, behind ten digits
FILTERS = {
    "edge": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "box": np.full((3, 3), 1 / 9),
    "gauss": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
    "identity": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
}


class ConvNet(nn.Module):
    """For each of ``channels`` a convolution, relu and a pool that halves the picture; then two dense layers.

    (N, 1, size, size) to a score per class (N, 10). After LeCun et al., Gradient-based learning applied to document
    recognition (1998), with relu and max-pooling.
    """

    def __init__(self, channels: list[int], kernel: int = 3, hidden: int = 24, size: int = 8):
        self.depth = len(channels)
        for i, (before, after) in enumerate(zip([1, *channels], channels, strict=False), start=1):
            setattr(self, f"conv{i}", nn.Conv2d(before, after, kernel, padding="same"))
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(channels[-1] * (size >> self.depth) ** 2, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        for i in range(1, self.depth + 1):
            x = F.max_pool2d(F.relu(getattr(self, f"conv{i}")(x)), 2)
        return self.fc2(F.relu(self.fc1(self.flatten(x))))


def cnn(
    kernel: int | str = 3,
    channels: tuple[int, ...] = (4, 8),
    image: int | None = None,
    seed: int = 0,
    lr: float = 0.1,
    updates: int = 1,
    optimizer: str = "sgd",
) -> Run:
    """A convolutional net, trained on 1,300 digits of 8×8 pixels, reads one of ten that it has not seen.

    Which of the ten stands in a cell, and an eleventh picture is there to be drawn on: it begins as digit number
    ``image`` of the 1,797, or as a blank. ``kernel`` is the size of all kernels, ``channels`` how many maps each layer
    makes; or ``kernel`` names a well-known filter (``edge``, ``sharpen``, ``box``, ``gauss``, ``identity``), which is
    then laid on a photograph (or on digit ``image``). Raises ValueError for what does not fit.
    """
    if image is not None:
        check(image, 0, 1796, "--image")
    if isinstance(kernel, str):
        return filtered(kernel, image)
    check(kernel, 1, 7, "--kernel (or edge, sharpen, box, gauss, identity)")
    check(len(channels), 1, 3, "the number of layers in --channels")
    for number in channels:
        check(number, 1, 64, "a number of maps in --channels")
    images, labels = load_digits()
    net, unseen, scores = trained_digits(images, labels, channels, kernel, seed)
    right = scores.argmax(axis=1) == labels[unseen]
    ten, hardest = _doubtful(unseen, scores, labels)
    canvas = np.zeros((1, 8, 8)) if image is None else images[image : image + 1]
    digits = tensor(np.concatenate([images[ten], canvas]))
    names = tensor(np.append(labels[ten], 0 if image is None else labels[image]))
    which = tensor([hardest if image is None else CANVAS], name="which")

    def objective(choice: Tensor) -> Tensor:
        name(digits, "digits", title=f"ten digits to choose from, and number {CANVAS} to draw on")
        picture = name(digits[choice], "x", title="the picture that is read (type its number in the green cell)")
        scores = net(picture.unsqueeze(1))
        name(names, "labels")
        target = name(names[choice], "target", title=f"what the picture shows (number {CANVAS}: what you draw)")
        return F.cross_entropy(scores, target)

    run = trained(net, objective, which, lr, updates, optimizer)
    layers = " and ".join(map(str, channels))
    run.description = (
        f"handwritten digits of 8×8 pixels · {layers} maps with {kernel}×{kernel} kernels, relu, max-pool · "
        f"24 relu units · trained, weights to two decimals: {right.mean():.1%} of {len(unseen)} unseen digits right"
        f" · seed {seed}"
    )
    return run


def _doubtful(unseen: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> tuple[list[int], int]:
    """Of each class the digit that was read right with least certainty; and the least certain of these."""
    margin = np.sort(scores, axis=1)[:, -1] - np.sort(scores, axis=1)[:, -2]
    wrong = scores.argmax(axis=1) != labels[unseen]
    rank = np.where(wrong, margin.max() + margin, margin)  # what is read wrong comes last
    places = [min(np.flatnonzero(labels[unseen] == digit), key=lambda i: rank[i]) for digit in range(10)]
    return [int(unseen[i]) for i in places], int(np.argmin(rank[places]))


def trained_digits(
    images: np.ndarray, labels: np.ndarray, channels: tuple[int, ...], kernel: int, seed: int
) -> tuple[ConvNet, np.ndarray, np.ndarray]:
    """Train a ``ConvNet``, to two decimals; return it, which digits it has not seen, and their scores (497, 10)."""
    manual_seed(seed)
    net = ConvNet(list(channels), kernel)
    shuffled = np.random.default_rng(0).permutation(len(images))
    seen, unseen = shuffled[UNSEEN:], shuffled[:UNSEEN]
    epochs, rate, order = 25, 0.2, np.random.default_rng(seed)
    optimizer = SGD(net.parameters(), rate)
    for epoch in range(epochs):
        optimizer.lr = rate * (1 - epoch / epochs)
        for batch in np.array_split(order.permutation(seen), len(seen) // 16):
            optimizer.zero_grad()
            F.cross_entropy(net(tensor(images[batch, None])), labels[batch]).backward()
            optimizer.step()
    optimizer.zero_grad()
    for parameter in net.parameters():  # what a cell shows is what it holds, and every machine gets the same
        parameter.data = parameter.data.round(2)
    with no_grad():
        return net, unseen, net(tensor(images[unseen, None])).numpy()


def filtered(kernel: str, image: int | None = None) -> Run:
    """A filter of ``FILTERS`` on a photograph of 32×32 pixels, or on digit number ``image``."""
    if kernel not in FILTERS:
        raise ValueError(f"--kernel is {kernel!r}, expected a size such as 3, or one of {', '.join(FILTERS)}")
    picture = load_coffee() if image is None else load_digits()[0][image]
    net = nn.Sequential({kernel: nn.Conv2d(1, 1, 3, padding=1, bias=False)})
    net.load_state_dict({f"{kernel}.weight": FILTERS[kernel][None, None]})
    x = tensor(picture[None, None], name="x")
    with record() as run, no_grad():
        net(x)
    what = "a cup of coffee, 32×32 pixels" if image is None else f"digit number {image}"
    run.description = f"the {kernel} kernel on {what}: change the kernel, or the picture"
    return run
