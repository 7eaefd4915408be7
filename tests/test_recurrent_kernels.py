"""The kernels of recurrent layers compute in workspaces that are used again: nobody must be able to tell."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tinynet import nn
from tinynet.functional import recurrent
from tinynet.functional.kernels import lstm, workspace
from tinynet.functional.kernels.gru import gru_backward, gru_forward
from tinynet.functional.kernels.lstm import lstm_backward, lstm_forward
from tinynet.functional.kernels.rnn import rnn_backward, rnn_forward

# By title: the composite, its gates and states, what follows the operands, and the kernel.
LAYERS: dict[str, tuple[Any, int, int, tuple, tuple]] = {
    "rnn": (recurrent._rnn, 1, 1, ("tanh", "", None, False, None), (rnn_forward, rnn_backward)),
    "rnn, relu": (recurrent._rnn, 1, 1, ("relu", "", None, False, None), (rnn_forward, rnn_backward)),
    "lstm": (recurrent._lstm, 4, 2, ("", None, None, False, None, None, False, None), (lstm_forward, lstm_backward)),
    "gru": (recurrent._gru, 3, 1, ("", True, None, False, None), (gru_forward, gru_backward)),
}
layers = pytest.mark.parametrize("title", LAYERS)


def operands(title: str, seed: int = 0, steps: int = 4, batch: int = 2) -> list[np.ndarray]:
    """x, states, both weights and both biases, all different for every seed."""
    _, gates, states, *_ = LAYERS[title]
    shapes = [(steps, batch, 2), *[(batch, 3)] * states, (gates * 3, 2), (gates * 3, 3), (gates * 3,), (gates * 3,)]
    return [spread(*shape, seed=10 * seed + i) for i, shape in enumerate(shapes)]


def leaves(arrays: list) -> list[Any]:
    return [None if array is None else tn.tensor(array, requires_grad=True) for array in arrays]


def loss(outputs: tuple, chosen: Any = None) -> Any:
    """A sum of all outputs, weighed differently; or of the one chosen."""
    picked = outputs if chosen is None else [chosen(outputs)]
    products = [(y * spread(*y.shape, seed=i)).sum() for i, y in enumerate(picked)]
    return sum(products[1:], products[0])


def gradients(function: Any, title: str, arrays: list, chosen: Any = None) -> list[np.ndarray]:
    given = leaves(arrays)
    found = tn.grad(loss(function(*given, *LAYERS[title][3]), chosen), [leaf for leaf in given if leaf is not None])
    return [g.numpy() for g in found]


def expected(title: str, arrays: list, chosen: Any = None) -> list[np.ndarray]:
    return gradients(LAYERS[title][0].definition, title, arrays, chosen)


def assert_close(found: list, wanted: list) -> None:
    for mine, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-12)


@given(
    title=st.sampled_from(list(LAYERS)),
    calls=st.lists(st.tuples(st.sampled_from(["forward", "backward", "forget"]), st.integers(0, 3)), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_calls_in_any_order_do_not_disturb_each_other(title, calls):
    """Forward passes wait for their backward passes, which come once, twice, late or never."""
    layer, *_, rest, _ = LAYERS[title]
    waiting: dict[int, tuple[list, Any]] = {}
    for what, k in calls:
        if what == "forward":
            given = leaves(operands(title, k))
            waiting[k] = given, layer(*given, *rest)
        elif what == "forget":
            waiting.pop(k, None)
        elif k in waiting:
            given, outputs = waiting[k]
            assert_close([g.numpy() for g in tn.grad(loss(outputs), given)], expected(title, operands(title, k)))


@layers
def test_results_stay_as_they_are_when_the_next_call_computes(title):
    layer, *_, rest, _ = LAYERS[title]

    def results(seed: int) -> list[np.ndarray]:
        given = leaves(operands(title, seed))
        outputs = layer(*given, *rest)
        return [y.numpy() for y in (*outputs, *tn.grad(loss(outputs), given))]

    first = results(0)
    before = [array.copy() for array in first]
    for seed in (1, 2):
        results(seed)
    for array, copy in zip(first, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@layers
def test_gradients_share_no_memory(title):
    """With each other, with the operands, and with the outputs."""
    layer, *_, rest, _ = LAYERS[title]
    given = leaves(operands(title))
    outputs = layer(*given, *rest)
    found = [g.numpy() for g in tn.grad(loss(outputs), given)]
    for a, b in combinations(found, 2):
        assert not np.shares_memory(a, b)
    for g in found:
        assert not any(np.shares_memory(g, tensor.numpy()) for tensor in (*given, *outputs))


@layers
def test_outputs_changed_in_place_leave_the_gradients_alone(title):
    layer, *_, rest, _ = LAYERS[title]
    given = leaves(operands(title))
    outputs = layer(*given, *rest)
    total = loss(outputs)
    for y in outputs:
        y.data[...] = 7
    assert_close([g.numpy() for g in tn.grad(total, given)], expected(title, operands(title)))


CHOICES = {
    "the last output": lambda outputs: outputs[0][-1],
    "one in the middle": lambda outputs: outputs[0][1],
    "the first": lambda outputs: outputs[0][0],
    "all but the last": lambda outputs: outputs[0][:-1],
    "the last state": lambda outputs: outputs[-1],
}


@pytest.mark.parametrize("choice", CHOICES)
@layers
def test_what_only_some_outputs_are_used_for(title, choice):
    """Where nothing arrives, nothing is added: neither more nor less must come of that."""
    arrays = operands(title)
    found = gradients(LAYERS[title][0], title, arrays, CHOICES[choice])
    assert_close(found, expected(title, arrays, CHOICES[choice]))


@layers
def test_one_time_step_of_one_sequence(title):
    arrays = operands(title, steps=1, batch=1)
    assert_close(gradients(LAYERS[title][0], title, arrays), expected(title, arrays))


@pytest.mark.parametrize("missing", [(-1,), (-2,), (-1, -2)], ids=["bias_hh", "bias_ih", "both"])
@layers
def test_biases_may_be_missing(title, missing):
    arrays: list = operands(title)
    for k in missing:
        arrays[k] = None
    layer, *_, rest, _ = LAYERS[title]
    given = leaves(arrays)
    outputs, wanted = layer(*given, *rest), layer.definition(*given, *rest)
    assert_close([y.numpy() for y in outputs], [y.numpy() for y in wanted])
    assert_close(gradients(layer, title, arrays), expected(title, arrays))


@layers
def test_dtypes_meet_as_in_the_definition(title):
    for single in range(len(operands(title))):
        arrays = operands(title)
        arrays[single] = arrays[single].astype("float32")
        found = gradients(LAYERS[title][0], title, arrays)
        for mine, other in zip(found, expected(title, arrays), strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-7)


@layers
def test_a_call_that_fails_spoils_nothing(title):
    layer, *_, rest, _ = LAYERS[title]
    arrays = operands(title)
    wrong = leaves([*arrays[:-1], arrays[-1][:-1]])
    with pytest.raises(ValueError, match="broadcast"):
        layer(*wrong, *rest)
    assert_close(gradients(layer, title, arrays), expected(title, arrays))


@layers
def test_threads_have_workspaces_of_their_own(title):
    *_, rest, (forward, backward) = LAYERS[title]
    calls = [[*operands(title, seed, steps=40), *rest] for seed in range(4)]

    def results(call: list) -> list[np.ndarray]:
        outputs, saved = forward(*call)
        gs = [spread(*out.shape) for out in outputs]
        return [*outputs, *backward(gs, saved, [True] * len(call), *call)]

    alone = [results(call) for call in calls]
    with ThreadPoolExecutor(4) as threads:
        for k, together in enumerate(threads.map(results, calls * 25)):
            for mine, other in zip(together, alone[k % 4], strict=True):
                np.testing.assert_array_equal(mine, other)


def test_factors_of_an_lstm_may_be_computed_in_several_blocks(monkeypatch):
    monkeypatch.setattr(lstm, "BLOCK", 1000)
    arrays = operands("lstm", steps=7, batch=3)  # of 288 bytes a time step: blocks of 3, 3 and 1
    found = gradients(recurrent._lstm, "lstm", arrays)
    assert [block.stop - block.start for block in lstm.Back(np, 7, 3, 3, np.dtype("float64")).blocks] == [3, 3, 1]
    assert_close(found, expected("lstm", arrays))


# Workspaces


class Room(workspace.Workspace):
    def __init__(self, xp: Any, size: int):
        self.numbers = xp.zeros(size, dtype="uint8")
        self.view = self.numbers[: size // 2]


def test_a_workspace_is_lent_to_one_at_a_time_and_used_again():
    one, two = workspace.borrow(Room, np, 8), workspace.borrow(Room, np, 8)
    room = one.workspace
    assert two.workspace is not room
    del one
    assert workspace.borrow(Room, np, 9).workspace is not room
    assert workspace.borrow(Room, np, 8).workspace is room
    assert room.nbytes == 8


@pytest.mark.parametrize(("size", "kept"), [(50, 2), (51, 1), (100, 1), (101, 0)])
def test_no_more_is_kept_than_said(monkeypatch, size, kept):
    monkeypatch.setattr(workspace, "KEPT", 100)
    loans = [workspace.borrow(Room, np, size) for _ in range(4)]
    rooms = [loan.workspace for loan in loans]
    loans.clear()
    again = [workspace.borrow(Room, np, size) for _ in range(4)]
    assert sum(loan.workspace in rooms for loan in again) == kept


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("name", ["bias_hh_l0", "weight_ih_l0"])
def test_mixed_dtypes_give_what_the_definition_gives(layer, name):
    net = layer(2, 3)
    for path, parameter in net.named_parameters():
        parameter.data = parameter.data.astype(np.float64 if path == name else np.float32)
    x = tn.tensor(np.ones((4, 1, 2), np.float32))
    eager = net(x)[0]
    with tn.record():
        recorded = net(x)[0]
    assert eager.dtype == recorded.dtype == np.float64
    np.testing.assert_allclose(eager.numpy(), recorded.numpy(), rtol=1e-12)
