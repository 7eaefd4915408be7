"""Numbers that code takes out of traced arrays: they are followed, of no consequence, or refused with their lines."""

from __future__ import annotations

import json
import math
import statistics
from math import exp
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.test_tracing import numerical
from tinynet.tracing import trace_loss

X, W = spread(4, 3), spread(3, 2, seed=1)
TOTAL = np.sum(W).item()


def penalty(x, w):
    """Of numbers that ``float`` takes out, one by one."""
    h = np.tanh(x @ w)
    loss = np.sum(h**2)
    loss += 0.05 * sum(float(np.sum(part**2)) for part in (w, w[0]))
    return loss


def standardised(x, w):
    h = x @ w
    mean, deviation = float(h.mean()), math.sqrt(h.var())
    return np.sum(np.tanh((h - mean) / deviation) ** 3)


def softmax(x, w):
    loss = 0.0
    for row, target in zip(x, (0, 1, 1, 0), strict=True):
        scores = row @ w
        scores = scores - max(scores)
        p = [exp(score) for score in scores]
        loss -= math.log(p[target] / sum(p)) / 4
    return float(loss)


def hinge(x, w):
    loss = 0.0
    for row in x:
        scores = row @ w
        margin = scores[0] - scores[1] + 1
        if margin > 0:
            loss += margin
    return loss + 0.1 * np.sum(w**2)


def largest(x, w):
    total = 0.0
    for score in (x @ w).tolist():
        total += max(0.0, score[0]) + min(score) ** 2
    return total


def printed(x, w):
    """Numbers that are only looked at."""
    h = np.tanh(x @ w)
    print(f"{h.max():.3f}", math.floor(h.min()), round(h.mean(), 2), h[0], h.sum())
    right = sum(int(np.argmax(row) == 1) for row in h)
    loss = float(np.sum(h**2))
    history = [loss]
    print(json.dumps({"right": right}), history, isinstance(loss, float), math.isfinite(loss))
    assert not np.any(np.isnan(h)) and isinstance(loss, float)
    return loss


def chosen(x, w):
    """Integers that are cut out of numbers, and places where a condition holds."""
    h = np.tanh(x @ w)
    k = int(abs(h[0, 0]) * 2)
    return np.sum(h[k] ** 2) + np.sum(h[h > 0]) + h[:, int(x[0, 0] > 0)].sum()


def detached(x, w):
    h = x @ w
    scale = statistics.fmean([float(v) for v in np.abs(h).ravel()])
    loss = np.sum(h / scale)
    return loss


def rounded(x, w):
    loss = np.sum((x @ w) ** 2)
    loss = loss + round(np.sum(w), 12)
    return loss


def at_the_switch(x, w):
    """Both ways give the same number, and other derivatives."""
    loss = np.sum((x @ w) ** 2)
    z = np.sum(w) - TOTAL
    return loss + z if z > 0 else loss - z


BOTH = [penalty, standardised]
LOSS_ONLY = [softmax, hinge, largest, printed, chosen]


@pytest.mark.parametrize("function", BOTH + LOSS_ONLY, ids=lambda function: function.__name__)
def test_numbers_stay_traced_and_branches_are_those_taken(function):
    run = trace_loss(function, X, W)
    np.testing.assert_allclose(run.loss.array, function(X, W), rtol=1e-13)
    expected = numerical(lambda w: float(function(X, w)), {"w": W}, "w")
    np.testing.assert_allclose(run.grad["w"], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", [*BOTH, softmax, largest, printed], ids=lambda function: function.__name__)
def test_trace_follows_numbers_too_and_lets_them_be_printed(function):
    run = tn.trace(function, X, W)
    moved = W + 0.1
    np.testing.assert_allclose(run.replay(w=moved).loss.array, function(X, moved), rtol=1e-13)


@pytest.mark.parametrize("function", [detached, rounded, at_the_switch], ids=lambda function: function.__name__)
def test_numbers_that_matter_and_cannot_be_followed_are_refused_with_their_line(function):
    first = function.__code__.co_firstlineno
    lines = {"detached": first + 2, "rounded": first + 2, "at_the_switch": first + 4}
    with pytest.raises(ValueError, match=rf"lines? {lines[function.__name__]} of test_tracing_numbers.py"):
        trace_loss(function, X, W)


def test_trace_refuses_numbers_that_matter():
    with pytest.raises(ValueError, match="takes numbers out of its arrays in line"):
        tn.trace(rounded, X, W)


def rewarded(x, w, rewards):
    """A branch on data, which lies at its switch."""
    loss, running = 0.0, 0.0
    for t in range(len(x)):
        if rewards[t] != 0:
            running = rewards[t]
        loss += running * np.sum((x[t] @ w) ** 2)
    return loss


def test_branches_on_data_are_taken_as_they_are():
    rewards = np.array([0.0, 1.0, 0.0, -2.0])
    run = trace_loss(rewarded, X, W, rewards)
    expected = numerical(lambda w: rewarded(X, w, rewards), {"w": W}, "w")
    np.testing.assert_allclose(run.grad["w"], expected, rtol=1e-6, atol=1e-8)
    assert {"rewards": "input", "w": "parameter"}.items() <= {leaf.name: leaf.kind for leaf in run.leaves}.items()


def partial(x, w):
    data_loss = np.sum((x @ w) ** 2)
    penalty = np.linalg.det(w.T @ w)
    return data_loss + penalty


def complete(x, w):
    loss = np.sum((x @ w) ** 2)
    print(np.linalg.det(w.T @ w))
    return loss


def test_a_part_of_the_loss_is_not_taken_for_it():
    with pytest.raises(ValueError, match=r"beyond line \d+ of test_tracing_numbers.py: np.det is not traced"):
        trace_loss(partial, X, W)
    np.testing.assert_allclose(trace_loss(complete, X, W).loss.array, complete(X, W), rtol=1e-14)


class Dropped:
    """Draws at random from a generator of its own."""

    def __init__(self) -> None:
        self.w, self.random = W.copy(), np.random.default_rng(0)

    def step(self, x: Any) -> Any:
        h = (x @ self.w) * (self.random.random((len(x), 2)) < 0.5)
        print(float(h[0, 0]))
        return np.sum(h**2)


def test_an_object_is_left_as_it_was_by_every_call():
    net = Dropped()
    state = net.random.bit_generator.state
    run = trace_loss(net.step, X)
    assert net.random.bit_generator.state == state
    np.testing.assert_allclose(run.loss.array, net.step(X), rtol=1e-14)


def test_functions_are_what_they_were_afterwards():
    before = np.array, np.sum, math.exp, np.r_
    tn.trace(penalty, X, W)
    assert before == (np.array, np.sum, math.exp, np.r_) and "float" not in globals()


# Arrays that share their memory


SQUARE = spread(3, 3, seed=2)
TURNED = SQUARE.T
THETA = spread(8, seed=3)
FIRST, LAST, OVER = THETA[:6].reshape(3, 2), THETA[6:], THETA[1::3]
COLUMNS = np.asfortranarray(spread(3, 2, seed=4))
COLUMN = COLUMNS[:, 1]


def tied(x):
    return np.sum(np.tanh(x @ SQUARE) @ TURNED)


def flat(x):
    h = np.tanh(x @ FIRST + LAST)
    return np.sum(h) + np.sum(THETA**3) + np.sum(OVER**2)


def in_columns(x):
    return np.sum(np.tanh(x @ COLUMNS) ** 2) + np.sum(COLUMN**3)


def written(x):
    LAST[:] = LAST * 2
    return np.sum(THETA**2) + np.sum(x * x)


@pytest.mark.parametrize(
    "function, owner",
    [(tied, SQUARE), (flat, THETA), (in_columns, COLUMNS), (written, THETA)],
    ids=["tied", "flat", "columns", "written"],
)
def test_arrays_that_share_their_memory_are_one_leaf(function, owner):
    run = tn.trace(function, X)
    (label,) = [leaf.name for leaf in run.leaves if leaf.kind == "parameter"]
    assert {"SQUARE": SQUARE, "THETA": THETA, "COLUMNS": COLUMNS}[label.partition("[")[0]] is owner
    before, expected = owner.copy(), np.zeros_like(owner)
    for place in np.ndindex(owner.shape):
        sides = []
        for sign in (1, -1):
            owner[place] += sign * 1e-6
            sides.append(function(X))
            owner[...] = before
        expected[place] = (sides[0] - sides[1]) / 2e-6
    np.testing.assert_allclose(run.grad[label], expected, rtol=1e-6, atol=1e-8)


def test_arrays_that_overlap_are_refused():
    whole = spread(6, seed=5)
    with pytest.raises(ValueError, match="overlap in memory"):
        tn.trace(lambda a, b: np.sum(a * b), whole[:4], whole[2:])
