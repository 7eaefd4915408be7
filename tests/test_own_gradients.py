"""Which gradients of somebody's code are compared, and which of them is the first that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet.debug.leftovers import left_over

# What is called like a gradient and is something else


def averaged(X, Y, W, b, V, wrong=""):
    """dA and dZ are m times the gradients, as 1/m stands in dW and db."""
    m = X.shape[1]
    A1 = np.tanh(W @ X + b)
    A2 = V @ A1
    cost = 0.5 * np.sum((A2 - Y) ** 2) / m
    dA2 = A2 + Y if wrong == "dA2" else A2 - Y
    dV = dA2 @ A1.T / m
    dA1 = V.T @ dA2 / (m if wrong == "dA1" else 1)
    dZ1 = dA1 * (1 - A1**2)
    dW = dZ1 @ X.T / m
    db = np.sum(dZ1, axis=1, keepdims=True) / (1 if wrong == "db" else m)
    return cost, dV, dW, db


def attention(X, Wq, V, wrong=""):
    """``ds`` is scaled in place, though ``s`` is scaled already."""
    s = X @ Wq / np.sqrt(5)
    a = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    out = a @ V
    loss = 0.5 * np.sum(out**2)
    dV = a.T @ out * (2 if wrong == "dV" else 1)
    da = out @ V.T
    ds = a * (da - (0 if wrong == "ds" else (da * a).sum(1, keepdims=True)))
    ds /= np.sqrt(5)
    dWq = X.T @ ds
    return loss, dWq, dV


def in_parts(X, Wh, b, wrong=""):
    """``dhprev`` is a part of the sum at first."""
    hs = [np.zeros((2, 3))]
    for t in range(4):
        h = 0.5 * hs[-1] + np.tanh(X[t] + hs[-1] @ Wh + b)
        hs.append(h)
    loss = 0.5 * np.sum(h**2)
    dh, dWh, db = h, np.zeros_like(Wh), np.zeros_like(b)
    for t in (3, 2, 1, 0):
        hprev = hs[t]
        dhprev = 0.5 * dh
        dz = dh * (1 - np.tanh(X[t] + hprev @ Wh + b) ** 2)
        dWh += hprev.T @ dz
        db += dz.mean(0) if wrong == "db" else dz.sum(0)
        dhprev = dhprev + dz @ Wh.T
        dh = dhprev
    return loss, dWh, db


def masked_later(X, W, b, wrong=""):
    """``da`` is not 0 where the ReLU drops it, which is done to ``dz``."""
    z = X @ W + b
    a = np.maximum(z, 0)
    loss = 0.5 * np.sum(np.where(a > 0.3, a, 0) ** 2)
    da = np.where(a > 0, a, 9.0)
    dz = np.where(a > 0.3, da, 0)
    dW = X.T @ dz
    db = dz.mean(0) if wrong == "db" else dz.sum(0)
    return loss, dW, db


CONVENTIONS = {
    averaged: [spread(4, 7), spread(2, 7, seed=1), spread(3, 4, seed=2), spread(3, 1, seed=3), spread(2, 3, seed=4)],
    attention: [spread(4, 3), spread(3, 5, seed=1), spread(5, 2, seed=2)],
    in_parts: [spread(4, 2, 3), spread(3, 3, seed=1), spread(3, seed=2)],
    masked_later: [spread(4, 3), spread(3, 5, seed=1), spread(5, seed=2)],
}


@pytest.mark.parametrize(
    ("step", "wrong", "first"),
    [
        (averaged, "db", "db"),
        (averaged, "dA1", "dA1 / 7"),
        (averaged, "dA2", "dA2 / 7"),
        (attention, "dV", "dV"),
        (attention, "ds", "ds * 2.23607"),
        (in_parts, "db", "db"),
        (masked_later, "db", "db"),
    ],
)
def test_only_what_a_wrong_gradient_follows_from_is_called_wrong(step, wrong, first):
    assert tn.debug.compare_gradients(step, *CONVENTIONS[step]).ok
    report = tn.debug.compare_gradients(step, *CONVENTIONS[step], wrong=wrong)
    assert report.first is not None and report.first.yours_is == first


# What is handed out


def layers(X, y, W1, W2, hands_out=""):
    """Right variables; what is made of them in the end may be wrong."""
    h = np.tanh(X @ W1)
    out = h @ W2
    loss = 0.5 * np.sum((out - y) ** 2)
    dout = out - y
    dW2 = h.T @ dout
    dW1 = X.T @ (dout @ W2.T * (1 - h**2))
    if hands_out == "exchanged":
        grads = {"W1": dW2, "W2": dW1}
        return loss, grads
    if hands_out == "scaled":
        grads = {}
        for key, gradient in (("W1", dW1), ("W2", dW2)):
            grads[key] = gradient / 4
        return loss
    if hands_out == "at once":
        return loss, {"W1": dW1, "W2": dW2 / 4}
    if hands_out == "one by one":
        return loss, dW1 * 2, dW2
    if hands_out == "of others":
        return loss, dW1, dW2, dW1 @ dW2, dout @ dW2.T
    if hands_out == "updates":
        return loss, {"W1": W1 - 0.1 * dW1, "W2": W2 - 0.1 * dW2}, W1 - 0.1 * dW1
    return loss, {"W1": dW1, "W2": dW2}


LAYERS = [spread(4, 3), spread(4, 3, seed=1), spread(3, 3, seed=2), spread(3, 3, seed=3)]


@pytest.mark.parametrize(
    ("hands_out", "wrong"),
    [
        ("exchanged", {"d_W1", "d_W2"}),
        ("scaled", {"d_W1", "d_W2"}),
        ("at once", {"d_W2"}),
        ("one by one", {"dW1 * 2"}),
        ("of others", set()),
        ("updates", set()),
        ("", set()),
    ],
)
def test_the_gradients_that_are_handed_out_are_compared(hands_out, wrong):
    report = tn.debug.compare_gradients(layers, *LAYERS, hands_out=hands_out)
    assert report.gradients == ("W2", "W1")
    names = {str(value.quantity): report.matched.sources[value.index] for value in gradients_of(report)}
    assert {names[quantity] for quantity in report.differing} == wrong


def gradients_of(report):
    return [report.run.values[index] for index in report.matched.arrays if report.run.values[index].of is not None]


# What is data


x_in, K_in = spread(4, 3), spread(3, 3)


def module_data(wanted, W, forget=False):
    """One array of the module is data by its name, another is a parameter."""
    out = (x_in @ W) @ K_in
    loss = 0.5 * np.sum((out - wanted) ** 2)
    dout = out - wanted
    dW = x_in.T @ (dout @ K_in.T)
    if not forget:
        dK_in = (x_in @ W).T @ dout
        return loss, dW, dK_in
    return loss, dW


def test_what_is_given_and_has_no_gradient_is_data():
    report = tn.debug.compare_gradients(module_data, spread(4, 3, seed=1), spread(3, 3, seed=2))
    assert report.ok and set(report.data) == {"wanted", "x_in"}
    assert str(report).splitlines()[-1].startswith("taken for data, as there is no gradient of it: ")


def test_a_parameter_whose_gradient_is_forgotten_is_not_taken_for_data():
    report = tn.debug.compare_gradients(module_data, spread(4, 3, seed=1), spread(3, 3, seed=2), forget=True)
    assert not report.ok and report.missing == ("K_in",)
    assert "NOT COMPARED: the gradient of K_in" in str(report)


def test_a_layer_without_a_gradient_is_no_data_where_others_have_one():
    def step(layers, x):
        loss = np.sum((x @ layers["first"]) @ layers["second"])
        d_second = (x @ layers["first"]).T @ np.ones((4, 2))
        return loss, {"second": d_second}

    report = tn.debug.compare_gradients(step, {"first": spread(3, 5), "second": spread(5, 2, seed=1)}, spread(4, 3))
    assert report.missing == ("layers.first",)


# What is left over


@pytest.mark.parametrize(
    ("names", "parameters", "expected"),
    [
        (["W1_diff", "W2_diff"], ["W1", "W2"], {"W1_diff": "W1", "W2_diff": "W2"}),
        (["gW_a", "g_b_hid"], ["params.W_a", "b_hid"], {"gW_a": "params.W_a", "g_b_hid": "b_hid"}),
        (["nabla_w.0", "nabla_w.1"], ["weights.0", "weights.1"], {f"nabla_w.{k}": f"weights.{k}" for k in (0, 1)}),
        (["grad_in", "grad_vc", "grad_out"], ["W_in", "W_out"], {"grad_in": "W_in", "grad_out": "W_out"}),
        (["gb.Wx", "gf.Wx"], ["bw.Wx", "fw.Wx"], {"gb.Wx": "bw.Wx", "gf.Wx": "fw.Wx"}),
        (["dtheta.A", "theta.A"], ["theta.A"], {"dtheta.A": "theta.A"}),
        (["net.w_diff", "old.w_diff"], ["net.w"], {"net.w_diff": "net.w"}),
        (["grad", "g_old"], ["nn_params"], {"grad": "nn_params"}),
        (["grad", "g"], ["nn_params"], {}),
        (["gW", "W_diff"], ["W"], {}),
        (["data", "gates", "delta"], ["b", "W"], {}),
    ],
)
def test_a_name_that_says_less_means_the_parameter_that_is_left(names, parameters, expected):
    assert left_over({name: np.zeros(3) for name in names}, dict.fromkeys(parameters, (3,))) == expected


def test_what_has_another_shape_is_not_the_gradient_that_is_left():
    assert left_over({"W_diff": np.zeros(4)}, {"W": (3,)}) == {}


def updating(X, y, net, wrong=False, rate=0.1):
    """Gradients without names, and one with a name that says less."""
    h = np.tanh(X @ net["W_in"])
    out = h @ net["W_out"]
    loss = 0.5 * np.sum((out - y) ** 2)
    diff_out = h.T @ (out - y)
    before = (out - y) @ net["W_out"].T * (1 if wrong else 1 - h**2)
    net["W_out"] = net["W_out"] - rate * diff_out
    net["W_in"] = net["W_in"] - rate * (X.T @ before)
    return loss


def test_gradients_without_a_name_are_what_is_taken_off_the_weights():
    net = {"W_in": spread(3, 5), "W_out": spread(5, 2, seed=1)}
    assert tn.debug.compare_gradients(updating, spread(4, 3), spread(4, 2, seed=1), net).ok
    report = tn.debug.compare_gradients(updating, spread(4, 3), spread(4, 2, seed=1), net, wrong=True)
    assert report.first is not None and report.first.name == "d_net.W_in"
    assert report.first.yours_is == "(net.W_in before - after) / 0.1"


def test_updates_are_no_gradients_where_none_is_right():
    net = {"W_in": spread(3, 5)}

    def step(X, net):
        loss = np.sum((X @ net["W_in"]) ** 2)
        net["W_in"] -= X.T @ np.ones((4, 5))
        return loss

    with pytest.raises(ValueError, match="call that of W dW"):
        tn.debug.compare_gradients(step, spread(4, 3), net)


# Parameters that are no arrays

weights_in_lists, offset = [[0.1, 0.2], [0.4, -0.5], [0.7, 0.8]], 0.3


def plain_numbers(X, y, wrong=""):
    out = X @ weights_in_lists + offset
    loss = 0.5 * np.sum((out - y) ** 2)
    dout = out - y
    dweights_in_lists = X.T @ dout * (2 if wrong == "list" else 1)
    doffset = dout.sum() * (2 if wrong == "number" else 1)
    return loss, dweights_in_lists, doffset


@pytest.mark.parametrize(("wrong", "first"), [("", None), ("list", "d_weights_in_lists"), ("number", "d_offset")])
def test_numbers_and_lists_are_parameters_where_they_have_gradients(wrong, first):
    report = tn.debug.compare_gradients(plain_numbers, spread(4, 3), spread(4, 2, seed=1), wrong=wrong)
    assert set(report.gradients) == {"weights_in_lists", "offset"}
    assert (report.first and report.first.name) == first


def test_a_number_that_cannot_be_an_array_is_said_not_to_be_compared():
    def step(X, W):
        assert not offset.is_integer()
        loss = np.sum((X @ W + offset) ** 2)
        doffset, dW = 1.0, X.T @ (2 * (X @ W + offset))
        return loss, dW, doffset

    report = tn.debug.compare_gradients(step, spread(4, 3), spread(3, 2))
    assert report.gradients == ("W",) and report.missing == ("offset",)


# Reasons


@pytest.mark.parametrize(
    ("step", "wrong", "reason"),
    [
        (averaged, "db", "your db is 7 times too large (a sum instead of a mean?)"),
        (averaged, "dA1", "your dA1 is divided by 7"),
    ],
)
def test_the_reason_is_said_of_what_was_brought(step, wrong, reason):
    report = tn.debug.compare_gradients(step, *CONVENTIONS[step], wrong=wrong)
    assert f"WHY   {reason}\n" in str(report)


def test_one_reason_without_an_intermediate_gradient_is_better_than_two_with_it():
    """``dz`` is divided by 5 when it is handed over, and what comes of it once more."""

    def step(X, y, W):
        z = X @ W
        loss = 0.5 * np.sum((z - y) ** 2) / 5
        dz = z - y
        dW = X.T @ (dz / 5) / 3
        return loss, dW

    report = tn.debug.compare_gradients(step, spread(5, 3), spread(5, 2, seed=1), spread(3, 2, seed=2))
    assert report.first is not None and report.first.yours_is == "dW"


def test_gradients_that_are_taken_for_each_other_are_said_to_be():
    report = tn.debug.compare_gradients(layers, *LAYERS, hands_out="exchanged")
    assert "WHY   the gradients of W2 and W1 are taken for each other\n" in str(report)


def two_biases(X, y, W1, b1, W2, b2):
    """Neither bias is averaged, both weights are."""
    a = np.tanh(X @ W1 + b1)
    out = a @ W2 + b2
    loss = 0.5 * np.sum((out - y) ** 2) / 4
    dout = out - y
    dW2, db2 = a.T @ dout / 4, dout.sum(0)
    dz = dout @ W2.T * (1 - a**2)
    return loss, X.T @ dz / 4, dz.sum(0), dW2, db2


def test_a_mistake_in_some_gradients_alike_is_said_of_them_together():
    def step(X, y, W1, b1, W2, b2):
        loss, dW1, db1, dW2, db2 = two_biases(X, y, W1, b1, W2, b2)
        return loss, dW1, db1, dW2, db2

    shapes = [(4, 3), (4, 2), (3, 5), (5,), (5, 2), (2,)]
    report = tn.debug.compare_gradients(step, *(spread(*shape, seed=seed) for seed, shape in enumerate(shapes)))
    assert "WHY   in the gradients of b2 and b1, each is 4 times too large (a sum instead of a mean?)\n" in str(report)


def test_a_number_that_was_measured_is_no_reason():
    """In a softmax of one sample, what is left out is some number times the softmax; a reason without one is better."""

    def step(x, Wa, v):
        e = x @ Wa
        a = np.exp(e) / np.exp(e).sum()
        loss = 0.5 * np.sum((a @ v) ** 2)
        da = v @ (a @ v)
        de = a * da
        dWa = np.outer(x, de)
        dv = np.outer(a, a @ v)
        return loss, dWa, dv

    report = tn.debug.compare_gradients(step, spread(3), spread(3, 5, seed=1), spread(5, 2, seed=2))
    assert report.first is not None and report.first.yours_is == "de"
    assert "WHY   your de is da times a\n" in str(report)
