"""Somebody's code, whose variables are compared: what they are taken to hold, and what is found without a workbook."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet.cli import main

Wxh, Whh, Why = spread(3, 4, seed=1), spread(3, 3, seed=2), spread(4, 3, seed=3)
bh, by = spread(3, 1, seed=4), spread(4, 1, seed=5)
INPUTS, TARGETS, FIRST = [0, 2, 1, 3], [2, 1, 3, 0], spread(3, 1)


def characters(inputs, targets, hprev, forget=False, unsquashed=False):
    """A recurrent net in columns that learns to spell, and its gradients by hand: weights stand in the module."""
    xs, hs, ps = {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((len(Why), 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        ys = Why @ hs[t] + by
        ps[t] = np.exp(ys) / np.sum(np.exp(ys))
        loss += -np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dys = np.copy(ps[t])
        dys[targets[t]] -= 1
        dWhy += dys @ hs[t].T
        dby += dys
        dh = Why.T @ dys
        if not forget:
            dh = dh + dhnext
        draw = dh if unsquashed else (1 - hs[t] * hs[t]) * dh
        dbh += draw
        dWxh += draw @ xs[t].T
        dWhh += draw @ hs[t - 1].T
        dhnext = Whh.T @ draw
    for gradient in [dWxh, dWhh, dWhy, dbh, dby]:
        np.clip(gradient, -50, 50, out=gradient)
    return loss, dWxh, dWhh, dWhy, dbh, dby


class Dense:
    """Two layers as an object that keeps everything, and updates its weights in place."""

    def __init__(self, wrong=False):
        self.W1, self.b1 = spread(4, 5, seed=6), spread(5, seed=7)
        self.W2, self.b2 = spread(5, 3, seed=8), spread(3, seed=9)
        self.wrong = wrong

    def forward(self, X):
        self.z1 = X @ self.W1 + self.b1
        self.a1 = np.tanh(self.z1)
        self.z2 = self.a1 @ self.W2 + self.b2
        return self.z2

    def backward(self, X, y):
        self.dz2 = 2 * (self.z2 - y) / y.size
        self.dW2 = self.a1.T @ self.dz2
        self.db2 = self.dz2.sum(axis=0)
        self.da1 = self.dz2 @ self.W2.T
        self.dz1 = self.da1 if self.wrong else self.da1 * (1 - self.a1**2)
        self.dW1 = X.T @ self.dz1
        self.db1 = self.dz1.sum(axis=0)

    def step(self, X, y, lr=0.1):
        loss = np.mean((self.forward(X) - y) ** 2)
        self.backward(X, y)
        self.W1 -= lr * self.dW1
        self.W2 -= lr * self.dW2
        return loss


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def cell(x, h, c, W, slip):
    z = W @ np.concatenate([h, x]) + (0.1 if slip else 0)
    i, f, g, o = np.split(z, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, c


def memory(x, W, slip=False):
    """A function for each time step; states go on from zeros."""
    h = c = np.zeros(3)
    for t in range(len(x)):
        h, c = cell(x[t], h, c, W, slip)
    return (h**2).sum()


# What variables hold


def test_variables_of_loops_are_sequences_and_sums_are_what_they_come_to():
    found = tn.debug.variables(characters, INPUTS, TARGETS, FIRST)
    loss, dWxh, *_ = characters(INPUTS, TARGETS, FIRST)
    assert sorted(found["hs"]) == [-1, 0, 1, 2, 3]
    assert found["loss"] == loss
    np.testing.assert_array_equal(found["dWxh"], dWxh)
    assert sorted(found["draw"]) == [0, 1, 2, 3]
    np.testing.assert_array_equal(found["dhnext"][2], Whh.T @ found["draw"][3])  # a step begins with it
    np.testing.assert_array_equal(found["dhnext"][3], np.zeros((3, 1)))


def test_a_variable_of_several_lines_is_what_the_last_one_made():
    found = tn.debug.variables(characters, INPUTS, TARGETS, FIRST)
    (before,) = [name for name in found if name.startswith("dh (line ")]
    for t in range(4):
        np.testing.assert_allclose(found["dh"][t], found[before][t] + found["dhnext"][t], rtol=1e-15)


def test_what_is_changed_in_place_later_is_as_it_was_at_its_step():
    def grows(n):
        total, seen = np.zeros(2), np.zeros(2)
        for t in range(n):
            seen = total
            total += t
        return seen

    found = tn.debug.variables(grows, 4)
    assert [found["seen"][t][0] for t in range(4)] == [0, 0, 1, 3]
    assert found["total"][0] == 6


def test_what_is_changed_in_place_within_its_step_is_what_comes_of_it():
    def backward(dy, rows):
        d = np.zeros(2)
        for t in range(len(dy)):
            dz = dy[t].copy()
            dz[rows[t]] -= 1
            np.clip(dz, -0.5, 0.5, out=dz)
            d += dz
        return d

    dy, rows = spread(4, 2), np.array([0, 1, 1, 0])
    expected = np.clip(dy - np.eye(2)[rows], -0.5, 0.5)
    found = tn.debug.variables(backward, dy, rows)
    np.testing.assert_array_equal([found["dz"][t] for t in range(4)], expected)


def test_a_gradient_that_is_handed_on_by_its_own_name_is_the_one_of_its_step():
    """Two meanings of one variable: all of dh, and what goes to the step before."""

    def backward(dy, W):
        dh = np.zeros(2)
        for t in reversed(range(len(dy))):
            dh += dy[t]
            dh = W @ dh
        return dh

    dy, W = spread(3, 2), spread(2, 2, seed=1)
    found = tn.debug.variables(backward, dy, W)
    last = dy[2]
    middle = dy[1] + W @ last
    np.testing.assert_allclose([found["dh"][2], found["dh"][1]], [last, middle], rtol=1e-14)
    np.testing.assert_allclose([found["dh_next"][2], found["dh_next"][1]], [[0, 0], W @ last], rtol=1e-14)


def test_functions_that_are_called_count_at_the_time_step_of_the_call():
    found = tn.debug.variables(memory, spread(4, 2), spread(12, 5))
    assert sorted(found["i"]) == [0, 1, 2, 3]
    assert sorted(found["h"]) == [-1, 0, 1, 2, 3]
    np.testing.assert_array_equal(found["c"][-1], np.zeros(3))


def power(x, n):
    for k in range(n):
        x = x * (k + 1)
    return x


def doubled_power(x):
    a = power(x, 3)
    b = a * 2
    return b


def test_a_loop_inside_a_function_that_is_called_does_not_count_outside_of_it():
    def powers(x):
        total = 0
        for t in range(len(x)):
            total = total + doubled_power(x[t])
        return total

    found = tn.debug.variables(powers, spread(5, 2))
    assert sorted(found["b"]) == [0, 1, 2, 3, 4]


def test_variables_of_libraries_do_not_count():
    def copies(x):
        same = copy.deepcopy([x])
        return same

    assert set(tn.debug.variables(copies, spread(2))) == {"x", "same"}


# Without a workbook


def test_a_right_backward_pass_is_called_right():
    report = tn.debug.compare_gradients(characters, INPUTS, TARGETS, FIRST)
    assert report.ok
    assert "all of them agree" in str(report)
    assert {"d_hs", "d_Whh", "d_by"} <= {str(report.run.values[i].quantity) for i in report.matched.arrays}


@pytest.mark.parametrize(
    ("bug", "first", "reason"),
    [
        ({"forget": True}, "dh[2]", "dhs from step t+1 is missing"),
        ({"unsquashed": True}, "dhnext[2]", "the derivative of hs is left out"),
    ],
)
def test_a_wrong_backward_pass_is_found_and_told(bug, first, reason):
    report = tn.debug.compare_gradients(characters, INPUTS, TARGETS, FIRST, **bug)
    assert not report.ok
    assert report.first is not None and report.first.yours_is.startswith(first)
    assert reason in str(report)
    assert report.diagnosis is not None and report.diagnosis.explanations


def linear(x, y, W, b, wrong=""):
    """A layer and its squared error; what is wrong with its gradients."""
    z = x @ W + b
    loss = ((z - y) ** 2).sum()
    grads = {}
    dz = 2 * (z - y)
    grads["W"] = x.T @ dz * (3 if wrong == "W" else 1)
    db = dz if wrong == "shape" else dz.sum(0)
    dh = x * 7  # of something else, whatever it is called
    return loss, grads, db, dh


def accumulated(xs, y, W, wrong=False):
    """A gradient that is the sum over time, or only its last term."""
    z = np.zeros(2)
    for t in range(len(xs)):
        z = z + np.tanh(xs[t] @ W)
    loss = ((z - y) ** 2).sum()
    dW = np.zeros_like(W)
    for t in reversed(range(len(xs))):
        da = 2 * (z - y) * (1 - np.tanh(xs[t] @ W) ** 2)
        if wrong:
            dW = np.outer(xs[t], da)
        else:
            dW += np.outer(xs[t], da)
    return loss, dW


LINEAR = {"x": spread(4, 3), "y": spread(4, 2, seed=1), "W": spread(3, 2, seed=2), "b": spread(2, seed=3)}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", "all of them agree, also the gradients of b, W"),
        ("W", "(your d_W, step"),
        ("shape", "NOT COMPARED: the gradient of b"),
    ],
)
def test_no_verdict_without_the_gradients_of_all_parameters(wrong, said):
    report = tn.debug.compare_gradients(linear, **LINEAR, wrong=wrong)
    assert report.ok is (not wrong)
    assert said in str(report)


def two_layers(x, W1, W2, wrong=False):
    """``dh`` is first the gradient of h, then that of what comes before the tanh, as in many courses."""
    h = np.tanh(x @ W1)
    out = h @ W2
    loss = (out**2).sum()
    dout = 2 * out
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dh = dh * (1 if wrong else 1 - h**2)
    dW1 = x.T @ dh
    return loss, dW1, dW2


def test_another_use_of_a_name_is_no_mistake():
    given = spread(4, 3), spread(3, 2, seed=1), spread(2, 2, seed=2)
    assert tn.debug.compare_gradients(two_layers, *given).ok
    report = tn.debug.compare_gradients(two_layers, *given, wrong=True)
    assert report.first is not None and report.first.name == "d_W1"


def doubled(xs, W, wrong=False):
    """In its loop ``do`` is first the gradient of o, then that of what comes before the tanh."""
    h, hs, os = np.zeros(2), {}, {}
    for t in range(len(xs)):
        o = np.tanh(xs[t] + W @ h)
        os[t], hs[t] = o, h
        h = o * 0.5
    loss = (h**2).sum()
    dW, dh = np.zeros_like(W), 2 * h
    for t in reversed(range(len(xs))):
        do = dh * 0.5
        do = do * (1 - os[t] ** 2)
        dW += np.outer(do, hs[t])
        dh = do @ W if not wrong else do @ W.T
    return loss, dW


def test_of_two_lines_that_assign_to_a_variable_the_one_counts_that_is_right():
    given = spread(3, 2), spread(2, 2, seed=1)
    assert tn.debug.compare_gradients(doubled, *given).ok
    report = tn.debug.compare_gradients(doubled, *given, wrong=True)
    assert report.first is not None
    assert report.first.yours_is.split("[")[0] in ("dh", "dh_next", "do") and report.first.time == 1


def test_a_gradient_without_a_name_is_not_compared():
    def step(x, W):
        loss = (x @ W).sum()
        return loss, x.T @ np.ones((4, 2))

    with pytest.raises(ValueError, match="could be told to be the gradient of W: call that of W dW"):
        tn.debug.compare_gradients(step, spread(4, 3), spread(3, 2))


def test_the_last_term_of_a_sum_is_compared_with_the_sum():
    given = {"xs": spread(4, 3), "y": spread(2), "W": spread(3, 2, seed=1)}
    assert tn.debug.compare_gradients(accumulated, **given).ok
    report = tn.debug.compare_gradients(accumulated, **given, wrong=True)
    assert report.first is not None and report.first.name == "d_W"


def test_the_derivative_of_relu_at_zero_is_zero():
    def step(x, W):
        z = x @ W
        a = np.maximum(0, z)
        loss = a.sum()
        dz = (z > 0) * np.ones_like(z)
        dW = x.T @ dz
        return loss, dW

    W = spread(3, 2)
    W[:, 0] = 0  # so that z is 0 there
    assert tn.debug.compare_gradients(step, spread(4, 3), W).ok


def test_what_cannot_be_followed_is_told_with_its_line():
    def step(W):
        loss = np.linalg.det(W)
        dW = np.ones_like(W)
        return loss, dW

    line = step.__code__.co_firstlineno + 1
    with pytest.raises(ValueError, match=f"beyond line {line} of test_own_code.py: np.det is not traced"):
        tn.debug.compare_gradients(step, spread(2, 2))

    def infinite(W):
        return (W * np.inf).sum()

    with pytest.raises(ValueError, match="the loss of infinite is inf: nothing can be compared"):
        tn.debug.compare_gradients(infinite, np.ones(2))


@pytest.mark.parametrize("wrong", [False, True])
def test_an_object_keeps_its_weights(wrong):
    net = Dense(wrong)
    before = net.W1.copy()
    report = tn.debug.compare_gradients(net.step, spread(6, 4), spread(6, 3, seed=1))
    assert report.ok is not wrong
    if report.first is not None:
        assert report.first.yours_is == "dz1"
    np.testing.assert_array_equal(net.W1, before)


class Weight:
    """An array and its gradient side by side."""

    def __init__(self, *shape, seed):
        self.value, self.grad = spread(*shape, seed=seed), np.zeros(shape)


class Layer:
    """One of several that are alike."""

    def __init__(self, rows, columns, seed):
        self.W, self.b = spread(rows, columns, seed=seed), spread(columns, seed=seed + 1)

    def forward(self, x):
        self.x = x
        self.a = np.tanh(x @ self.W + self.b)
        return self.a

    def backward(self, da):
        dz = da * (1 - self.a**2)
        self.dW = self.x.T @ dz * (2 if WRONG == "last layer" and len(self.b) == 2 else 1)
        self.db = dz.sum(axis=0)
        return dz @ self.W.T


WRONG = ""
LAYERS = [Layer(4, 3, seed=0), Layer(3, 2, seed=2)]
SLOPE = Weight(4, 2, seed=4)
TABLE = {"W": spread(4, 2, seed=5)}


def through_layers(x, y):
    a = x
    for layer in LAYERS:
        a = layer.forward(a)
    loss = np.mean((a - y) ** 2)
    da = 2 * (a - y) / y.size
    for layer in reversed(LAYERS):
        da = layer.backward(da)
        layer.W -= 0.1 * layer.dW
    return loss


def through_weights(x, y, slope=SLOPE):
    residual = x @ slope.value + x @ TABLE["W"] - y
    loss = np.sum(residual**2)
    slope.grad += 2 * x.T @ residual * (3 if WRONG == "weight" else 1)
    grads = {"W": 2 * x.T @ residual * (3 if WRONG == "table" else 1)}
    TABLE["W"] = TABLE["W"] - 0.1 * grads["W"]
    return loss


def scaled(x, slope=SLOPE):
    return x @ slope.value


def through_a_default(x, y):
    residual = scaled(x) - y
    loss = np.sum(residual**2)
    SLOPE.grad += 2 * x.T @ residual * (3 if WRONG == "default" else 1)
    return loss


@pytest.mark.parametrize(
    ("step", "wrong", "first"),
    [
        (through_layers, "", None),
        (through_layers, "last layer", "d_LAYERS.1.W"),
        (through_weights, "", None),
        (through_weights, "weight", "d_slope.value"),
        (through_weights, "table", "d_TABLE.W"),
        (through_a_default, "", None),
        (through_a_default, "default", "d_SLOPE.value"),
    ],
)
def test_weights_stand_in_lists_of_layers_objects_dicts_and_defaults(step, wrong, first, monkeypatch):
    monkeypatch.setitem(globals(), "WRONG", wrong)
    before = LAYERS[0].W.copy(), SLOPE.grad.copy(), TABLE["W"]
    report = tn.debug.compare_gradients(step, spread(5, 4), spread(5, 2, seed=1))
    assert report.ok is (first is None)
    assert (None if report.first is None else report.first.name) == first
    np.testing.assert_array_equal(LAYERS[0].W, before[0])
    np.testing.assert_array_equal(SLOPE.grad, before[1])
    assert TABLE["W"] is before[2]


def test_the_code_finds_its_arrays_as_they_were():
    def step(w):
        loss = (w**2).sum()
        dw = 2 * w
        w -= dw
        Whh[0, 0] += 100
        return loss * Whh[0, 0]

    w, corner = spread(3), Whh[0, 0]
    assert tn.debug.compare_gradients(step, w).first is not None
    assert (w[0], Whh[0, 0]) == (spread(3)[0], corner)


def test_code_that_draws_at_random_is_refused():
    def dropped(w):
        mask = np.random.default_rng().normal(size=3)
        loss = (w * mask).sum()
        dw = mask + 0
        return loss, dw

    with pytest.raises(ValueError, match="the loss of dropped is another when it is traced"):
        tn.debug.compare_gradients(dropped, spread(3))


def test_what_says_nothing_about_a_backward_pass_is_refused():
    with pytest.raises(ValueError, match="could be told to be the gradient of W: call that of W dW"):
        tn.debug.compare_gradients(memory, spread(4, 2), spread(12, 5))
    with pytest.raises(ValueError, match="has no loss: let it return a number"):
        tn.debug.compare_gradients(lambda x: x * 2, spread(3))
    with pytest.raises(ValueError, match="failed: ZeroDivisionError"):
        tn.debug.compare_gradients(lambda x: 1 // 0, spread(3))


# From the command line

SCRIPT = Path(__file__).read_text(encoding="utf-8").partition("# What variables hold")[0]
SCRIPT = SCRIPT.replace("from tests.gradients import spread", "") + (
    "inputs, targets, hprev = INPUTS, TARGETS, FIRST\n"
    "net = Dense(wrong=True)\nX, y = spread(6, 4), spread(6, 3, seed=1)\n"
)
SPREAD = """
def spread(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(SCRIPT.replace("Wxh, Whh, Why =", SPREAD + "\n\nWxh, Whh, Why =", 1), encoding="utf-8")
    return path


def test_compare_needs_neither_arrays_nor_a_workbook(script, capsys):
    assert main(["compare", "mine.py:characters"]) == 0
    assert "all of them agree" in capsys.readouterr().out
    assert main(["compare", "mine.py:net.step", "-o", "diff.xlsx"]) == 1
    assert "(your dz1, step" in capsys.readouterr().out
    assert Path("diff.xlsx").exists()


def test_code_is_compared_with_a_workbook(script, capsys):
    """Of the same weights, which it gets from the workbook by the names of its parameters."""
    x, W = spread(4, 2), spread(12, 5)
    run = tn.trace(memory, x=x, W=W)
    run.to_excel("memory.xlsx")
    assert main(["compare", "mine.py:memory", "memory.xlsx"]) == 0
    assert "compared" in capsys.readouterr().out
    np.savez("arrays.npz", x=x, W=W, slip=True)
    assert main(["compare", "mine.py:memory", "memory.xlsx", "--arrays", "arrays.npz"]) == 1
    assert "FIRST DIFFERENCE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("compare mine.npz", "a BOOK is required to compare arrays with; only path/to/script.py:function goes without"),
        ("compare mine.py:memory", "takes x, W: give arrays called so by --arrays FILE.npz, or define them in the scr"),
        ("compare mine.py:net.walk", "mine.py has no function 'net.walk'; it has cell, characters, memory, sigmoid"),
        ("compare none.py:step", "there is no script none.py"),
    ],
)
def test_one_clear_line_for_every_wrong_use(script, capsys, command, message):
    assert main(command.split()) == 2
    assert message in capsys.readouterr().err


TALKS = """
import argparse
import numpy as np
argparse.ArgumentParser().parse_args()
x, W = np.ones((2, 3)), np.eye(3)
def step():
    z = x @ W
    loss = np.sum(z**2)
    print("loss", loss)
    dz = 2 * z
    dW = x.T @ dz
    dz *= 1.001
    return loss, dW
"""


def test_a_script_reads_its_own_arguments_and_prints_beside_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("talks.py").write_text(TALKS)
    assert main(["compare", "talks.py:step", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"] and err == "loss 6.0\n"


@pytest.mark.parametrize(("tolerance", "count"), [("1e-9", 3), ("0.01", 4)])
def test_a_tolerance_decides_what_is_taken_for_a_gradient(tmp_path, monkeypatch, capsys, tolerance, count):
    monkeypatch.chdir(tmp_path)
    Path("talks.py").write_text(TALKS)
    assert main(["compare", "talks.py:step", "--tolerance", tolerance]) == 0
    assert f"compared {count} values" in capsys.readouterr().out
