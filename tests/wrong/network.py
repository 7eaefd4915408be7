"""What the networks of this package share: formulas that can be replaced, numbers that know their order, a classifier.

A network is a class. Its loops call *formulas*: methods of a line or two, one for each quantity. A bug is another
formula in the place of one of them, so the loops stay as they are in a textbook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np

Array = np.ndarray
Arrays = Mapping[str, Array]
Key = str | tuple[str, int]


class Change(Protocol):
    """What is done to a network: ``edits``, by the name of a formula.

    A function ``wrong(net, right, *arguments)`` takes the formula's place and is given the right one too; anything
    else takes the place of an attribute.
    """

    @property
    def edits(self) -> Mapping[str, Any]: ...


class Numbers(dict[str, Array]):
    """All arrays of a run by name, sequences whole: (T, …).

    ``cells`` holds the same numbers one time step at a time, called ``h[2]``, in the order of their computation.
    """

    def __init__(self, computed: Mapping[Key, Array]):
        self.cells = {label(key): np.array(cell) for key, cell in computed.items()}
        series: dict[str, dict[int, Array]] = {}
        for key, cell in computed.items():
            if isinstance(key, tuple) and key[1] >= 0:
                series.setdefault(key[0], {})[key[1]] = cell
                self[key[0]] = cell  # to keep its place among the names
            else:
                self[label(key)] = np.array(cell)
        for name, steps in series.items():
            self[name] = np.array([steps[t] for t in range(len(steps))])


def label(key: Key) -> str:
    """How a cell is called: ``loss``, ``h[2]``, and ``h0`` for the state before step 0."""
    if isinstance(key, str):
        return key
    name, t = key
    return f"{name}0" if t == -1 else f"{name}[{t}]"


class Network:
    """Cells, formulas and weights: ``net["h", 2]`` is a quantity at a time step, ``net["loss"]`` one without time.

    A state starts from its time step −1.
    """

    symbols: ClassVar[Mapping[str, str]] = {}  # the symbol of a weight, and its name in PyTorch

    def __init__(self, weights: Arrays, change: Change | None, dtype: Any):
        self.dtype = np.dtype(dtype)
        self.computed: dict[Key, Array] = {}
        for name, wrong in (change.edits if change else {}).items():
            setattr(self, name, partial(wrong, self, getattr(self, name)) if callable(wrong) else wrong)
        present = {symbol: name for symbol, name in self.symbols.items() if name in weights}
        self.weights = {symbol: self.load(symbol, self.array(weights[name])) for symbol, name in present.items()}

    def __getitem__(self, key: Key) -> Array:
        return self.computed[key]

    def __setitem__(self, key: Key, value: Array) -> None:
        self.computed[key] = value

    def array(self, numbers: Any) -> Array:
        """An input or a weight, as an array of the network's dtype."""
        return np.array(numbers, self.dtype)

    def zeros(self, *shape: int) -> Array:
        return self.array(np.zeros(shape))

    def load(self, symbol: str, weight: Array) -> Array:
        """A weight as it comes from the file."""
        return weight

    def summed(self, shares: Iterable[Array]) -> Array:
        """The shares, added one after another."""
        shares = list(shares)
        total = self.zeros(*shares[0].shape)
        for share in shares:
            total = total + share
        return total

    def tanh_slope(self, quantity: str, y: Array, z: Array) -> Array:
        """The derivative of y = tanh(z); ``quantity`` is what y is called."""
        return 1 - y**2

    def sigmoid_slope(self, quantity: str, y: Array, z: Array) -> Array:
        """The derivative of y = σ(z)."""
        return y * (1 - y)

    def compute(self) -> None:
        """Fill in every cell."""
        raise NotImplementedError

    def run(self) -> Numbers:
        """Compute and return all numbers. A bug may overflow, which is no reason to warn."""
        with np.errstate(all="ignore"):
            self.compute()
        return Numbers(self.computed)


class Classifier(Network):
    """A network whose scores (N, C) become probabilities and a mean cross-entropy; one step of gradient descent.

    A subclass fills in ``forward``, ``backward`` and a formula ``dW`` for each of its weights ``W``.
    """

    def __init__(self, target: Array, weights: Arrays, change: Change | None, dtype: Any, lr: float):
        super().__init__(weights, change, dtype)
        self.target, self.lr = np.array(target), lr

    def compute(self) -> None:
        self.forward()
        self.backward()
        for symbol, gradient in self.parameter_gradients().items():
            self[f"d{symbol}"] = gradient
        for symbol, weight in self.weights.items():
            self[f"new_{symbol}"] = self.updated(weight, self[f"d{symbol}"])

    def forward(self) -> None:
        raise NotImplementedError

    def backward(self) -> None:
        raise NotImplementedError

    # The output layer, for features (N, F)
    def scores(self, features: Array) -> Array:
        """logits (N, C)."""
        return features @ self.weights["W_out"].T + self.weights["b_out"]

    def dfeatures(self, dlogits: Array) -> Array:
        """The gradient of the features (N, F)."""
        return dlogits @ self.weights["W_out"]

    # The loss, for logits (N, C)
    def softmax(self, logits: Array) -> Array:
        """p (N, C)."""
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def nll(self, logits: Array, target: Array) -> Array:
        """−ln p[target] (N, 1), without a logarithm of 0."""
        largest = logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)) + largest
        return log_sum - np.take_along_axis(logits, target[:, None], axis=1)

    def share(self, *t: int) -> Array:
        """How much each row's −ln p counts in the loss (N, 1): all shares add up to 1."""
        raise NotImplementedError

    def loss(self) -> Array:
        """All −ln p, each times its share ()."""
        raise NotImplementedError

    def dnll(self, *t: int) -> Array:
        """The gradient of each −ln p (N, 1)."""
        return self.share(*t)

    def onehot(self, target: Array) -> Array:
        """(N, C)."""
        return np.eye(len(self.weights["b_out"]), dtype=self.dtype)[target]

    def dlogits(self, p: Array, target: Array, dnll: Array) -> Array:
        """(N, C)."""
        return (p - self.onehot(target)) * dnll

    # The weights
    def parameter_gradients(self) -> dict[str, Array]:
        return {symbol: getattr(self, f"d{symbol}")() for symbol in self.weights}

    def updated(self, weight: Array, gradient: Array) -> Array:
        return weight - self.lr * gradient


class FeedForward(Classifier):
    """A classifier that sees each row of ``x`` (N, …) once. A subclass has ``features``."""

    def __init__(self, x: Array, target: Array, weights: Arrays, change: Change | None, dtype: Any, lr: float):
        super().__init__(target, weights, change, dtype, lr)
        self["x"] = self.array(x)
        self.N = len(x)

    def features(self) -> Array:
        """What the output layer sees (N, F)."""
        raise NotImplementedError

    def score(self) -> None:
        """The end of the forward loop."""
        self["logits"] = self.scores(self.features())
        self["p"] = self.softmax(self["logits"])
        self["loss"] = self.loss()

    def share(self, *t: int) -> Array:
        return np.full((self.N, 1), 1 / self.N, self.dtype)

    def loss(self) -> Array:
        return (self.nll(self["logits"], self.target) * self.share()).sum()

    def dW_out(self) -> Array:
        return self["dlogits"].T @ self.features()

    def db_out(self) -> Array:
        return self["dlogits"].sum(axis=0)


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^−z), which overflows for no z."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)
