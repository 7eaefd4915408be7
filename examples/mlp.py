"""Train an MLP on the digits, then look inside: one training step of the trained network as a workbook.

Run it: python examples/mlp.py    (or: tinynet export examples/mlp.py:trained)
"""

import numpy as np

import tinynet as tn
from tinynet import nn
from tinynet.datasets import load_digits


def trained(epochs: int = 30) -> tn.Run:
    """Train 16-12-10 with minibatch SGD, print the accuracy on unseen digits, and record one step on three of them."""
    images, labels = load_digits(4)
    tn.manual_seed(0)
    net = nn.Sequential(
        {"flatten": nn.Flatten(), "hidden": nn.Linear(16, 12), "tanh": nn.Tanh(), "output": nn.Linear(12, 10)}
    )
    optimizer = tn.optim.SGD(net.parameters(), lr=0.3)
    order = np.random.default_rng(0)
    for _ in range(epochs):
        for batch in np.array_split(order.permutation(1500), 50):
            optimizer.zero_grad()
            tn.functional.cross_entropy(net(tn.tensor(images[batch])), labels[batch]).backward()
            optimizer.step()
    with tn.no_grad():
        guesses = net(tn.tensor(images[1500:])).numpy().argmax(axis=1)
    print(f"right on {np.mean(guesses == labels[1500:]):.1%} of {len(guesses)} unseen digits of 4×4 pixels")

    optimizer.zero_grad()
    with tn.record() as run:
        tn.functional.cross_entropy(net(tn.tensor(images[1500:1503], name="x")), labels[1500:1503]).backward()
        optimizer.step()
    run.description = "trained on 1,500 digits of 4×4 pixels; three that it has not seen"
    return run


if __name__ == "__main__":
    print(trained().to_excel("trained_mlp.xlsx", title="Trained MLP"))
