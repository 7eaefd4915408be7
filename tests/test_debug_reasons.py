"""Reasons that real programs gave: a derivative replaced as a whole, two mistakes apart, one of several windows kept.

Most bring what such a program has at hand, the gradients of its weights, so that everything lies between.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.bugs_measured import numbers, recorded
from tests.wrong.network import Array, sigmoid
from tinynet import nn
from tinynet.debug import compare
from tinynet.debug.compare import in_words


def reasons(network: str, only: str = "", **edits: Any) -> tuple[tuple[str, ...], ...]:
    """The sentences of each explanation of wrong formulas, where names that start with ``only`` were brought."""
    mine = numbers(network, bug=SimpleNamespace(edits=edits))
    starts = tuple(only.split())
    found = compare(recorded(network), {name: a for name, a in mine.items() if name.startswith(starts or "")})
    assert found.diagnosis is not None
    return tuple(explanation.sentences for explanation in found.diagnosis.explanations)


def dz_of(gate: str, slope: Any) -> Any:
    """Another factor in the gradient of one gate's pre-activation."""
    return lambda net, right, g, t: net[f"d{g}", t] * slope(net, t) if g == gate else right(g, t)


def test_a_derivative_is_replaced_as_one_factor() -> None:
    wrong = dz_of("f", lambda net, t: sigmoid(net["f", t]))
    assert reasons("lstm", "dW db", dz=wrong) == (("dz_f: the factor is σ(f), which is not the derivative",),)


def test_a_derivative_is_left_out() -> None:
    (found,) = reasons("lstm", "dW db", dz=dz_of("o", lambda net, t: 1.0))
    assert found == ("dz_o: the derivative of o is left out",)


def test_the_gate_in_one_factor_of_the_derivative_is_another_one() -> None:
    wrong = dz_of("i", lambda net, t: net["i", t] * (1 - net["f", t]))
    assert reasons("lstm", "dW db", dz=wrong) == (("dz_i: f is used where the i of the difference belongs",),)


def test_no_gradient_comes_from_the_next_step_through_any_state() -> None:
    found = reasons("lstm", "dW db", carried=lambda net, right, state, t: 0 * right(state, t))
    assert found == (("no gradient comes from step t+1, through any state",),)


def test_the_carry_is_cut_at_one_step() -> None:
    found = reasons("lstm", "dW db", carried=lambda net, right, state, t: (t != 1) * right(state, t))
    assert found == (("no gradient comes from the step after t = 1, through any state",),)


def test_mistakes_in_two_gradients_are_explained_apart() -> None:
    def dW_hh(net: Any, right: Any) -> Array:
        return sum(net.d_from_h(t).T @ net["h", t] for t in range(net.T))

    found = reasons("lstm", "dW db", dW_hh=dW_hh, db_ih=lambda net, right: right() / net.N)
    assert all(len(sentences) == 2 for sentences in found)
    assert "dweight_hh_l0: h is used where h[t-1] belongs" in found[0] and "dbias_ih_l0" in "; ".join(found[0])
    assert not any("shown only" in sentence for sentences in found for sentence in sentences)


def test_the_block_of_one_gate_is_used_for_others() -> None:
    def z_of(net: Any, right: Any, z: str, t: int) -> Array:
        own, other = (net.weights["b_ih"][k * net.H : (k + 1) * net.H] for k in (net.rows.index(z), 3))
        return right(z, t) + (other - own if z in ("z_i", "z_f") else 0)

    (found,) = reasons("lstm", "c h", z_of=z_of)
    assert found == ("b_io is used where b_ii and b_if belong",)


def test_a_term_is_added_after_the_nonlinearity() -> None:
    def h(net: Any, right: Any, t: int) -> Array:
        b = net.weights["b_ih"]
        return np.tanh(net["z", t] - b) + b

    (found,) = reasons("rnn", "h", h=h)
    assert found == ("h: bias_ih_l0 is added to tanh of the rest, not within it",)


def test_the_sum_is_taken_over_all_axes() -> None:
    (found,) = reasons("mlp", "da dz dW db", db2=lambda net, right: np.full_like(right(), right().sum()))
    assert found == ("dbias: the sum is taken over all axes",)


# Windows


def test_only_the_first_window_is_put_back() -> None:
    def into_da(net: Any, right: Any, da: Array, corner: tuple[int, int], window: Array) -> None:
        if corner == (0, 0):
            right(da, corner, window)

    found = reasons("conv_net", into_da=into_da)
    words = "only the first window passes its gradient on (`return` within the loop?)"
    assert [sentences[0].partition(": ")[2] for sentences in found] == [words]


def test_the_result_has_the_channels_last_and_is_only_reshaped() -> None:
    (found,) = reasons("conv_net", "z", z=lambda net, right: right().transpose(0, 2, 3, 1).reshape(right().shape))
    assert found == ("the numbers of z have the channels last and are only reshaped",)


def test_the_bias_is_added_at_every_place_of_the_window() -> None:
    def z(net: Any, right: Any) -> Array:
        under = net.kernels()[0].size
        return right() + (under - 1) * net.weights["b_conv"][None, :, None, None]

    found = reasons("conv_net", "z", z=z)
    assert any("bias is multiplied by the numbers under a window" in sentences[0] for sentences in found)


# What says nothing


def lstm_from_zero() -> tuple[tn.Run, dict[str, Array]]:
    """An LSTM whose states start from 0, as most do, and the gradients of one whose dc has no term of the next step."""
    rng = np.random.default_rng(0)
    lstm = nn.LSTM(2, 3)
    lstm.load_state_dict({name: rng.normal(size=w.shape) for name, w in lstm.state_dict().items()})
    with tn.record() as run:
        h, _ = lstm(tn.tensor(rng.normal(size=(5, 2, 2)), name="x"))
        (h * tn.tensor(rng.normal(size=h.shape), name="cotangent")).sum().backward()
    seen = {name: np.stack([run[f"lstm.{name}[{t}]"] for t in range(5)]) for name in "ifgoch"}
    dh = np.zeros((2, 3))
    w, parts = lstm.state_dict()["weight_hh_l0"], []
    g = run["cotangent"]
    for t in reversed(range(5)):
        i, f, gate, o, c, _ = (seen[name][t] for name in "ifgoch")
        dh = dh + g[t]
        dc = dh * o * (1 - np.tanh(c) ** 2)
        before = seen["c"][t - 1] if t else 0 * c
        dz = [dc * gate * i * (1 - i), dc * before * f * (1 - f), dc * i * (1 - gate**2), dh * np.tanh(c) * o * (1 - o)]
        parts.append(np.concatenate(dz, axis=1).T @ (seen["h"][t - 1] if t else 0 * c))
        dh = np.concatenate(dz, axis=1) @ w
    return run, {"weight_hh_l0.grad": sum(parts)}


def test_a_state_of_zeros_is_not_offered_in_place_of_nothing() -> None:
    run, mine = lstm_from_zero()
    report = compare(run, mine)
    assert report.diagnosis is not None
    said = ["; ".join(e.sentences) for e in report.diagnosis.explanations]
    assert any("dc from step t+1 is left out" in sentence for sentence in said)
    assert not any("initial" in sentence for sentence in said)


# The words


@pytest.mark.parametrize(
    "sentence, words",
    [
        ("dz: h is used where c belongs", "in your dz, h is used where c belongs"),
        ("dz is twice what it should be", "your dz is twice what it should be"),
        ("the gradients of the biases: each is halved", "in the gradients of the biases, each is halved"),
        ("the updated weight is zero", "the updated weight is zero"),
        ("everywhere, the gates are interleaved", "everywhere, the gates are interleaved"),
        ("no gradient comes from step t+1", "no gradient comes from step t+1"),
        ("1 is added to b_if", "1 is added to b_if"),
    ],
)
def test_a_sentence_reads_well(sentence: str, words: str) -> None:
    assert in_words(sentence) == words
