"""The same training steps three times: in tinynet, in PyTorch and by hand in NumPy, without any autograd.

A step is forward, backward and the SGD update. Each function returns one as a function of no arguments that
returns the loss, so that the three can be seen to agree; they start from the same parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinynet as tn

Step = Callable[[], float]
LR = 0.01


class Mlp:
    """Linear, tanh, linear, softmax cross-entropy (mean squared error for one output)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, batch: int):
        rng = np.random.default_rng(0)
        self.name = f"MLP {inputs}-{hidden}-{outputs}, batch {batch}"
        self.x = rng.normal(size=(batch, inputs))
        self.regression = outputs == 1
        self.y = rng.normal(size=(batch, 1)) if self.regression else rng.integers(outputs, size=batch)
        shapes = {
            "0.weight": (hidden, inputs),
            "0.bias": (hidden,),
            "2.weight": (outputs, hidden),
            "2.bias": (outputs,),
        }
        self.state = {name: rng.normal(scale=0.1, size=shape) for name, shape in shapes.items()}

    def tinynet(self) -> Step:
        (hidden, inputs), (outputs, _) = self.state["0.weight"].shape, self.state["2.weight"].shape
        model = tn.nn.Sequential(tn.nn.Linear(inputs, hidden), tn.nn.Tanh(), tn.nn.Linear(hidden, outputs))
        model.load_state_dict(self.state)
        optimizer = tn.optim.SGD(model.parameters(), lr=LR)
        x, y = tn.tensor(self.x), tn.tensor(self.y)
        criterion = tn.functional.mse_loss if self.regression else tn.functional.cross_entropy

        def step() -> float:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def torch(self) -> Step:
        import torch

        (hidden, inputs), (outputs, _) = self.state["0.weight"].shape, self.state["2.weight"].shape
        layers = torch.nn.Linear(inputs, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, outputs)
        model = torch.nn.Sequential(*layers).double()
        model.load_state_dict({name: torch.tensor(array) for name, array in self.state.items()})
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)
        x, y = torch.tensor(self.x), torch.tensor(self.y)
        criterion = torch.nn.functional.mse_loss if self.regression else torch.nn.functional.cross_entropy

        def step() -> float:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def numpy(self) -> Step:
        w1, b1, w2, b2 = (array.copy() for array in self.state.values())
        x, y, rows = self.x, self.y, np.arange(len(self.x))

        def step() -> float:
            h = np.tanh(x @ w1.T + b1)
            z = h @ w2.T + b2
            if self.regression:
                error = z - y
                loss, dz = float(np.mean(error * error)), 2 / error.size * error
            else:
                loss, dz = cross_entropy(z, y, rows)
            dh = (dz @ w2) * (1 - h * h)
            for p, g in ((w2, dz.T @ h), (b2, dz.sum(0)), (w1, dh.T @ x), (b1, dh.sum(0))):
                p -= LR * g
            return loss

        return step


class Lstm:
    """An LSTM over a sequence, and a linear layer with softmax cross-entropy on its last state."""

    def __init__(self, inputs: int, units: int, steps: int, batch: int, classes: int = 2):
        rng = np.random.default_rng(0)
        self.name = f"LSTM {units} units, {steps} steps, batch {batch}"
        self.sizes = inputs, units, classes
        self.x, self.y = rng.normal(size=(steps, batch, inputs)), rng.integers(classes, size=batch)
        shapes = {
            "lstm.weight_ih_l0": (4 * units, inputs),
            "lstm.weight_hh_l0": (4 * units, units),
            "lstm.bias_ih_l0": (4 * units,),
            "lstm.bias_hh_l0": (4 * units,),
            "head.weight": (classes, units),
            "head.bias": (classes,),
        }
        self.state = {name: rng.normal(scale=0.3, size=shape) for name, shape in shapes.items()}

    def tinynet(self) -> Step:
        inputs, units, classes = self.sizes
        lstm, head = tn.nn.LSTM(inputs, units), tn.nn.Linear(units, classes)
        model = tn.nn.Sequential({"lstm": lstm, "head": head})
        model.load_state_dict(self.state)
        optimizer = tn.optim.SGD(model.parameters(), lr=LR)
        x, y = tn.tensor(self.x), tn.tensor(self.y)

        def step() -> float:
            optimizer.zero_grad()
            output, _ = lstm(x)
            loss = tn.functional.cross_entropy(head(output[-1]), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def torch(self) -> Step:
        import torch

        inputs, units, classes = self.sizes
        model = torch.nn.ModuleDict(
            {"lstm": torch.nn.LSTM(inputs, units), "head": torch.nn.Linear(units, classes)}
        ).double()
        model.load_state_dict({name: torch.tensor(array) for name, array in self.state.items()})
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)
        x, y = torch.tensor(self.x), torch.tensor(self.y)

        def step() -> float:
            optimizer.zero_grad()
            output, _ = model["lstm"](x)
            loss = torch.nn.functional.cross_entropy(model["head"](output[-1]), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def numpy(self) -> Step:
        w_ih, w_hh, b_ih, b_hh, w, b = (array.copy() for array in self.state.values())
        x, y, rows, n = self.x, self.y, np.arange(len(self.y)), self.sizes[1]

        def step() -> float:
            h = c = np.zeros((x.shape[1], n))
            tape = []
            for x_t in x:
                z = x_t @ w_ih.T + h @ w_hh.T + b_ih + b_hh
                i, f, o = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n]), sigmoid(z[:, 3 * n :])
                g = np.tanh(z[:, 2 * n : 3 * n])
                before = h, c
                c = f * c + i * g
                tanh_c = np.tanh(c)
                h = o * tanh_c
                tape.append((x_t, *before, i, f, g, o, tanh_c))
            loss, dz = cross_entropy(h @ w.T + b, y, rows)
            d_w, d_b, dh, dc = dz.T @ h, dz.sum(0), dz @ w, 0.0
            d_w_ih, d_w_hh, d_bias = np.zeros_like(w_ih), np.zeros_like(w_hh), np.zeros_like(b_ih)
            for x_t, h_before, c_before, i, f, g, o, tanh_c in reversed(tape):
                dc = dc + dh * o * (1 - tanh_c * tanh_c)
                gates = (
                    dc * g * i * (1 - i),
                    dc * c_before * f * (1 - f),
                    dc * i * (1 - g * g),
                    dh * tanh_c * o * (1 - o),
                )
                dz = np.concatenate(gates, 1)
                d_w_ih += dz.T @ x_t
                d_w_hh += dz.T @ h_before
                d_bias += dz.sum(0)
                dh, dc = dz @ w_hh, dc * f
            for p, grad in zip((w_ih, w_hh, b_ih, b_hh, w, b), (d_w_ih, d_w_hh, d_bias, d_bias, d_w, d_b), strict=True):
                p -= LR * grad
            return loss

        return step


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def cross_entropy(z: np.ndarray, y: np.ndarray, rows: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean loss and its gradient."""
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    loss = -float(np.log(p[rows, y]).mean())
    p[rows, y] -= 1
    return loss, p / len(rows)


NETWORKS: list[Mlp | Lstm] = [
    Mlp(2, 8, 1, batch=4),
    Mlp(784, 128, 10, batch=32),
    Lstm(2, units=8, steps=10, batch=1),
]
