"""One digit, and the same digit one pixel further right, in an MLP and in a conv net, side by side in one workbook.

The MLP has a weight for every place; the conv net lays the same kernels everywhere and keeps only the mean of each map.
Run it: python examples/translation.py    (or: tinynet export examples/translation.py:shifted)
"""

import numpy as np

import tinynet as tn
from tinynet import nn
from tinynet.datasets import load_digits

F = tn.functional


class Mlp(nn.Module):
    """64 pixels, 16 relu units, 10 probabilities."""

    def __init__(self):
        self.flatten, self.hidden, self.output = nn.Flatten(), nn.Linear(64, 16), nn.Linear(16, 10)

    def scores(self, x):
        return self.output(F.relu(self.hidden(self.flatten(x))))

    def forward(self, x):
        return F.softmax(self.scores(x))


class Cnn(Mlp):
    """Two layers of 3×3 kernels, the mean of each map, 10 probabilities."""

    def __init__(self):
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 10, 3, padding=1)
        self.pool, self.flatten, self.output = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 10)

    def scores(self, x):
        maps = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.output(self.flatten(self.pool(maps)))


class Both(nn.Module):
    """Two nets that read the same digits."""

    def __init__(self):
        self.cnn, self.mlp = Cnn(), Mlp()

    def forward(self, x):
        return self.mlp(x), self.cnn(x)


def right(images):
    """Move (N, 1, 8, 8) one pixel to the right."""
    return np.pad(images, ((0, 0), (0, 0), (0, 0), (1, 0)))[:, :, :, :-1]


def fit(net, images, labels, lr=0.1, epochs=30):
    """Train with SGD on four digits at a time, the learning rate falling to nothing."""
    optimizer, order = tn.optim.SGD(net.parameters(), lr), np.random.default_rng(0)
    for epoch in range(epochs):
        optimizer.lr = lr * (1 - epoch / epochs)
        for batch in np.array_split(order.permutation(len(images)), len(images) // 4):
            optimizer.zero_grad()
            F.cross_entropy(net.scores(tn.tensor(images[batch])), labels[batch]).backward()
            optimizer.step()


def shifted() -> tn.Run:
    """Train both nets, print how they do on shifted digits, and record them on one that the MLP then gets wrong."""
    images, labels = load_digits()
    images = images[:, None]
    shuffled = np.random.default_rng(0).permutation(len(images))
    unseen, seen = shuffled[:497], shuffled[497:]
    tn.manual_seed(0)
    both, read = Both(), {}
    for name in ("mlp", "cnn"):
        net = getattr(both, name)
        fit(net, images[seen], labels[seen])
        with tn.no_grad():
            views = images[unseen], right(images[unseen])
            read[name] = [net(tn.tensor(view)).numpy().argmax(axis=1) == labels[unseen] for view in views]
        here, there = (f"{np.mean(right_):.1%}" for right_ in read[name])
        print(f"{name}: {here} of the unseen digits right, {there} when they are shifted by one pixel")
    telling = np.logical_and.reduce([read["mlp"][0], ~read["mlp"][1], *read["cnn"]])
    digit = unseen[np.flatnonzero(telling)[0]]
    pair = np.concatenate([images[[digit]], right(images[[digit]])])
    with tn.record() as run, tn.no_grad():
        both(tn.tensor(pair, name="x"))
    run.description = (
        f"a handwritten {labels[digit]} and the same one pixel further right, in two nets that never saw it"
    )
    return run


if __name__ == "__main__":
    print(shifted().to_excel("translation.xlsx", title="Shifted by one pixel"))
