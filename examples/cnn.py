"""Train a small LeNet on the digits, then look inside: forward, backward and update of one picture as a workbook.

Run it: python examples/cnn.py    (or: tinynet export examples/cnn.py:trained)
"""

import numpy as np

import tinynet as tn
from tinynet import nn
from tinynet.datasets import load_digits

F = tn.functional


class LeNet(nn.Module):
    """Two rounds of convolution, relu and pooling, then two dense layers: (N, 1, 8, 8) to ten scores."""

    def __init__(self):
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.pool, self.flatten = nn.MaxPool2d(2), nn.Flatten()
        self.fc1, self.fc2 = nn.Linear(32, 24), nn.Linear(24, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc2(F.relu(self.fc1(self.flatten(x))))


def trained(epochs: int = 12) -> tn.Run:
    """Train with minibatch SGD, print the accuracy on unseen digits, and record one step on one of them."""
    images, labels = load_digits()
    shuffled = np.random.default_rng(0).permutation(len(images))
    images, labels = images[shuffled, None], labels[shuffled]
    tn.manual_seed(0)
    net = LeNet()
    optimizer, order = tn.optim.SGD(net.parameters(), lr=0.2), np.random.default_rng(0)
    for epoch in range(epochs):
        optimizer.lr = 0.2 * (1 - epoch / epochs)
        for batch in np.array_split(order.permutation(1500), 94):
            optimizer.zero_grad()
            F.cross_entropy(net(tn.tensor(images[batch])), labels[batch]).backward()
            optimizer.step()
    with tn.no_grad():
        guesses = net(tn.tensor(images[1500:])).numpy().argmax(axis=1)
    print(f"right on {np.mean(guesses == labels[1500:]):.1%} of {len(guesses)} unseen digits")

    optimizer.zero_grad()
    optimizer.lr = 0.2
    x = tn.tensor(images[1500:1501], name="x", requires_grad=True)
    with tn.record() as run:
        F.cross_entropy(net(x), labels[1500:1501]).backward()
        optimizer.step()
    run.description = "a small LeNet, trained on 1,500 digits, reads one that it has not seen"
    return run


if __name__ == "__main__":
    print(trained().to_excel("trained_cnn.xlsx", title="Trained LeNet"))
