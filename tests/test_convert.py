"""Layouts of other frameworks: round trips, and outputs equal to loops written from their documentation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tinynet import nn
from tinynet.nn.convert import LAYOUTS, convert

CLASSES = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
sizes = st.integers(1, 5)


def numbers(*shapes, seed=0):
    """Arrays of these shapes, no two elements alike."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) * 0.7 for shape in shapes]


def keras_arrays(kind, inputs, units, bias=True, reset_after=True, seed=0):
    columns = GATES[kind] * units
    kernel, recurrent, *rest = numbers(
        (inputs, columns), (units, columns), (2, columns) if kind == "gru" and reset_after else (columns,), seed=seed
    )
    return {"kernel": kernel, "recurrent_kernel": recurrent} | ({"bias": rest[0]} if bias else {})


def onnx_arrays(kind, inputs, units, directions=1, bias=True, peepholes=False, seed=0):
    rows = GATES[kind] * units
    w, r, b, p = numbers(
        (directions, rows, inputs),
        (directions, rows, units),
        (directions, 2 * rows),
        (directions, 3 * units),
        seed=seed,
    )
    return {"W": w, "R": r} | ({"B": b} if bias else {}) | ({"P": p} if peepholes else {})


def cudnn_arrays(kind, inputs, units, bias=True):
    rows = GATES[kind] * units
    w, r, b_w, b_r = numbers((rows, inputs), (rows, units), (rows,), (rows,))
    return {"W": w, "R": r} | ({"bW": b_w, "bR": b_r} if bias else {})


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)


# Round trips, exact


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(list(CLASSES)), inputs=sizes, units=sizes, bias=st.booleans(), data=st.data())
def test_from_every_framework_and_back_is_exact(kind, inputs, units, bias, data):
    reset_after, reverse, layer = data.draw(st.booleans()), data.draw(st.booleans()), data.draw(st.integers(0, 3))
    peepholes = kind == "lstm" and data.draw(st.booleans())
    given = {
        "keras": keras_arrays(kind, inputs, units, bias, reset_after),
        "onnx": onnx_arrays(kind, inputs, units, data.draw(st.integers(1, 2)), bias, peepholes),
        "cudnn": cudnn_arrays(kind, inputs, units, bias),
    }
    for framework, arrays in given.items():
        options = {"layer": layer, "reverse": reverse, "reset_after": reset_after}
        there = convert(arrays, kind, source=framework, **options)
        assert_same(convert(there, kind, target=framework, **options), arrays)
        assert all(f"_l{layer}" in key for key in there)
        own = convert(there, kind, layer=layer, reverse=all(key.endswith("_reverse") for key in there))
        assert_same(own, there)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(list(CLASSES)), inputs=sizes, units=sizes, bias=st.booleans(), both=st.booleans())
def test_from_our_layers_and_back_is_exact(kind, inputs, units, bias, both):
    state = CLASSES[kind](inputs, units, bias=bias, bidirectional=both).state_dict()
    assert_same(convert(convert(state, kind, target="onnx"), kind, source="onnx"), state)
    for reverse in (False, True)[: 1 + both]:
        one = {key: array for key, array in state.items() if key.endswith("_reverse") == reverse}
        for framework in ("cudnn", "keras"):
            there = convert(state, kind, target=framework, reverse=reverse)
            back = convert(there, kind, source=framework, reverse=reverse)
            if bias and framework == "keras" and kind != "gru":
                end = "_l0_reverse" if reverse else "_l0"
                summed = one[f"bias_ih{end}"] + one[f"bias_hh{end}"]
                one |= {f"bias_ih{end}": summed, f"bias_hh{end}": np.zeros_like(summed)}
            assert_same(back, one)


def test_peepholes_go_to_onnx_in_its_order():
    state = nn.LSTM(2, 3, peepholes=True).state_dict()
    there = convert(state, "lstm", target="onnx")
    expected = [state[f"weight_c{gate}_l0"] for gate in "iof"]
    np.testing.assert_array_equal(there["P"], [np.concatenate(expected)])


def test_a_layer_of_a_deep_net_is_taken_out_and_nothing_is_shared():
    state = nn.GRU(2, 3, 2, bidirectional=True).state_dict()
    there = convert(state, "gru", layer=1)
    assert_same(there, {key: array for key, array in state.items() if "_l1" in key})
    there["weight_ih_l1"][:] = 9
    assert 9 not in state["weight_ih_l1"]


def test_from_one_framework_straight_to_another():
    arrays = keras_arrays("gru", 2, 3)
    through = convert(convert(arrays, "gru", source="keras"), "gru", target="onnx")
    assert_same(convert(arrays, "gru", source="keras", target="onnx"), through)


@pytest.mark.parametrize("kind", CLASSES)
def test_pytorchs_own_parameters_are_taken_as_they_are(torch, kind):
    theirs = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](2, 3, bidirectional=True).double()
    mine = CLASSES[kind](2, 3, bidirectional=True)
    mine.load_state_dict(convert(convert(theirs.state_dict(), kind, target="onnx"), kind, source="onnx"))
    x = spread(4, 2, 2)
    np.testing.assert_allclose(
        mine(tn.tensor(x))[0].numpy(), theirs(torch.tensor(x))[0].detach().numpy(), rtol=0, atol=1e-12
    )


# The frameworks' own equations, in their own layout


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def keras_layer(kind, x, kernel, recurrent_kernel, bias=None, reset_after=True):
    """x (N, T, I) to all h (N, T, H), as ``call`` of Keras's LSTMCell, GRUCell and SimpleRNNCell."""
    units = recurrent_kernel.shape[0]
    h = c = np.zeros((len(x), units))
    outputs = []
    zero = np.zeros(kernel.shape[1])
    for t in range(x.shape[1]):
        if kind == "gru" and reset_after:
            b_input, b_recurrent = (zero, zero) if bias is None else bias
            x_z, x_r, x_h = np.split(x[:, t] @ kernel + b_input, 3, axis=1)
            h_z, h_r, h_h = np.split(h @ recurrent_kernel + b_recurrent, 3, axis=1)
            z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
            h = z * h + (1 - z) * np.tanh(x_h + r * h_h)
        elif kind == "gru":
            x_z, x_r, x_h = np.split(x[:, t] @ kernel + (zero if bias is None else bias), 3, axis=1)
            k_z, k_r, k_h = np.split(recurrent_kernel, 3, axis=1)
            z, r = sigmoid(x_z + h @ k_z), sigmoid(x_r + h @ k_r)
            h = z * h + (1 - z) * np.tanh(x_h + (r * h) @ k_h)
        else:
            sums = x[:, t] @ kernel + h @ recurrent_kernel + (zero if bias is None else bias)
            if kind == "rnn":
                h = np.tanh(sums)
            else:
                i, f, candidate, o = np.split(sums, 4, axis=1)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
                h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def onnx_layer(kind, x, W, R, B=None, P=None, linear_before_reset=0):
    """X (T, N, I) to Y (T, D, N, H), as the operators RNN, LSTM and GRU of ONNX are written down."""
    steps, batch, _ = x.shape
    directions, rows, units = R.shape
    y = np.zeros((steps, directions, batch, units))
    for d in range(directions):
        wb, rb = np.split(np.zeros(2 * rows) if B is None else B[d], 2)
        p_i, p_o, p_f = np.split(np.zeros(3 * units) if P is None else P[d], 3)
        h = c = np.zeros((batch, units))
        for t in range(steps) if d == 0 else reversed(range(steps)):
            from_x, from_h = x[t] @ W[d].T, h @ R[d].T
            if kind == "rnn":
                h = np.tanh(from_x + from_h + wb + rb)
            elif kind == "lstm":
                z_i, z_o, z_f, z_c = np.split(from_x + from_h + wb + rb, 4, axis=1)
                i, f = sigmoid(z_i + p_i * c), sigmoid(z_f + p_f * c)
                c = f * c + i * np.tanh(z_c)
                h = sigmoid(z_o + p_o * c) * np.tanh(c)
            else:
                x_z, x_r, x_h = np.split(from_x + wb, 3, axis=1)
                h_z, h_r, _ = np.split(from_h + rb, 3, axis=1)
                rb_h, r_h = rb[2 * units :], R[d][2 * units :]
                z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
                seen = r * (h @ r_h.T + rb_h) if linear_before_reset else (r * h) @ r_h.T + rb_h
                h = (1 - z) * np.tanh(x_h + seen) + z * h
            y[t, d] = h
    return y


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "nobias"])
@pytest.mark.parametrize(("kind", "reset_after"), [("rnn", True), ("lstm", True), ("gru", True), ("gru", False)])
def test_outputs_are_those_of_kerass_equations(kind, reset_after, bias):
    arrays = keras_arrays(kind, 2, 3, bias, reset_after)
    options = {"reset_after": reset_after} if kind == "gru" else {}
    mine = CLASSES[kind](2, 3, bias=bias, batch_first=True, **options)
    mine.load_state_dict(convert(arrays, kind, source="keras", reset_after=reset_after))
    x = spread(4, 5, 2)
    expected = keras_layer(kind, x, **arrays, **options)
    np.testing.assert_allclose(mine(tn.tensor(x))[0].numpy(), expected, rtol=0, atol=1e-12)


def test_two_layers_of_keras_are_the_two_directions_of_ours():
    forward, backward = keras_arrays("lstm", 2, 3), keras_arrays("lstm", 2, 3, seed=1)
    mine = nn.LSTM(2, 3, batch_first=True, bidirectional=True)
    mine.load_state_dict(
        convert(forward, "lstm", source="keras") | convert(backward, "lstm", source="keras", reverse=True)
    )
    x = spread(4, 5, 2)
    expected = [keras_layer("lstm", x, **forward), keras_layer("lstm", x[:, ::-1], **backward)[:, ::-1]]
    np.testing.assert_allclose(mine(tn.tensor(x))[0].numpy(), np.concatenate(expected, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "nobias"])
@pytest.mark.parametrize(
    ("kind", "variant"), [("rnn", False), ("lstm", False), ("lstm", True), ("gru", False), ("gru", True)]
)
def test_outputs_are_those_of_onnxs_equations(kind, variant, bias, directions):
    arrays = onnx_arrays(kind, 2, 3, directions, bias, peepholes=kind == "lstm" and variant)
    options = {"lstm": {"peepholes": variant}, "gru": {"reset_after": variant}, "rnn": {}}[kind]
    mine = CLASSES[kind](2, 3, bias=bias, bidirectional=directions == 2, **options)
    mine.load_state_dict(convert(arrays, kind, source="onnx"))
    x = spread(5, 4, 2)
    y = onnx_layer(kind, x, **arrays, **({"linear_before_reset": int(variant)} if kind == "gru" else {}))
    expected = y.transpose(0, 2, 1, 3).reshape(5, 4, -1)
    np.testing.assert_allclose(mine(tn.tensor(x))[0].numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", CLASSES)
def test_cudnns_order_by_its_linear_layer_ids_is_pytorchs(kind):
    """linLayerID 0-3: input, forget, new memory, output; 0-2: reset, update, new memory."""
    arrays = cudnn_arrays(kind, 2, 3)
    there = convert(arrays, kind, source="cudnn")
    assert_same(there, dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
                                arrays.values(), strict=True)))  # fmt: skip


# What is wrong is named


def faults(arrays, kind, **options):
    with pytest.raises(ValueError) as error:
        convert(arrays, kind, **options)
    return str(error.value)


def test_every_fault_is_named_with_what_was_expected():
    arrays = keras_arrays("lstm", 2, 3) | {"kernel": np.ones((2, 11)), "gamma": np.ones(3)}
    message = faults(arrays, "lstm", source="keras")
    assert message == (
        "cannot convert this lstm from keras: kernel has shape (2, 11), expected (I, 4H) with H = 3; "
        "unexpected gamma: expected recurrent_kernel, kernel, bias"
    )
    assert "missing recurrent_kernel (H, 4H); missing kernel (I, 4H)" in faults({}, "lstm", source="keras")
    state = nn.GRU(2, 3, bidirectional=True).state_dict()
    del state["bias_hh_l0_reverse"]
    state["bias_ih_l0"] = np.ones(8)
    message = faults(state | {"weight_hr_l0": np.ones((2, 3))}, "gru", target="onnx")
    for part in (
        "bias_ih_l0 has shape (8,), expected (3H,) with H = 3",
        "missing bias_hh_l0_reverse (3H,) with H = 3",
        "unexpected weight_hr_l0: expected weight_hh_l0, weight_ih_l0, bias_ih_l0, bias_hh_l0",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("framework", "key", "array", "expected"),
    [
        ("onnx", "W", np.ones((1, 12, 2)), "expected (D, 4H, I) with D = 2, H = 3"),
        ("onnx", "R", np.ones((3, 12, 3)), "expected (D, 4H, H)"),
        ("onnx", "B", np.ones((2, 12)), "expected (D, 8H) with D = 2, H = 3"),
        ("onnx", "P", np.ones(9), "expected (D, 3H) with D = 2, H = 3"),
        ("keras", "bias", np.ones((2, 12)), "expected (4H,) with H = 3"),
        ("keras", "recurrent_kernel", np.ones((12, 3)), "expected (H, 4H)"),
        ("cudnn", "bR", np.ones(3), "expected (4H,) with H = 3"),
        ("cudnn", "R", np.ones((0, 0)), "expected (4H, H)"),
    ],
)
def test_a_misshapen_array_is_named(framework, key, array, expected):
    arrays = {
        "onnx": onnx_arrays("lstm", 2, 3, 2, peepholes=True),
        "keras": keras_arrays("lstm", 2, 3),
        "cudnn": cudnn_arrays("lstm", 2, 3),
    }[framework]
    message = faults(arrays | {key: array}, "lstm", source=framework)
    assert f"{key} has shape {array.shape}, {expected}" in message


def test_a_gru_of_keras_needs_the_right_reset_after():
    arrays = keras_arrays("gru", 2, 3)
    assert "bias has shape (2, 9), expected (3H,)" in faults(arrays, "gru", source="keras", reset_after=False)
    arrays = keras_arrays("gru", 2, 3, reset_after=False)
    assert "bias has shape (9,), expected (2, 3H)" in faults(arrays, "gru", source="keras")


def test_what_a_framework_cannot_hold_is_said():
    state = nn.LSTM(2, 3, proj_size=2).state_dict()
    assert faults(state, "lstm", target="onnx") == "onnx has no place for weight_hr"
    state = nn.LSTM(2, 3, peepholes=True).state_dict()
    assert "keras has no place for weight_ci" in faults(state, "lstm", target="keras")
    assert "missing weight_co_l0" in faults({k: a for k, a in state.items() if "co" not in k}, "lstm", target="onnx")


def test_unknown_frameworks_and_kinds():
    assert "no layout is called 'caffe': expected pytorch, keras, onnx, cudnn" in faults({}, "lstm", source="caffe")
    assert "no kind of layer is called 'LSTM': expected rnn, lstm, gru" in faults({}, "LSTM", source="keras")
    assert list(LAYOUTS) == ["pytorch", "keras", "onnx", "cudnn"]
