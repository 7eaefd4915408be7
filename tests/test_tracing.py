"""Plain NumPy code, recorded: its numbers, its names, its time steps, its gradients; and what is refused."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import libreoffice, poison, require
from tinynet.cli import main
from tinynet.run import INITIAL
from tinynet.workbook import read_book, verify


def numerical(function: Any, arrays: dict[str, Any], name: str, h: float = 1e-6) -> np.ndarray:
    """Central differences."""
    out = np.zeros_like(arrays[name])
    for place in np.ndindex(out.shape):
        sides = []
        for sign in (1, -1):
            moved = arrays[name].copy()
            moved[place] += sign * h
            sides.append(function(**(arrays | {name: moved})))
        out[place] = (sides[0] - sides[1]) / (2 * h)
    return out


def characters(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
    """Columns, dicts of time steps, one-hot inputs, a sum that grows: as many people write an RNN."""
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((len(Why), 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][targets[t], 0])
    return loss, ps


CHARACTERS: dict[str, Any] = {
    "inputs": [0, 2, 1],
    "targets": [2, 1, 3],
    "hprev": spread(3, 1),
    "Wxh": spread(3, 4, seed=1),
    "Whh": spread(3, 3, seed=2),
    "Why": spread(4, 3, seed=3),
    "bh": spread(3, 1, seed=4),
    "by": spread(4, 1, seed=5),
}


def gated(x, U, h, Wz, Wn):
    """Rows, two assignments to one variable, arrays that are filled in, the last step first."""
    T, N, _ = x.shape
    out = np.zeros((T, N, h.shape[1]))
    for t in reversed(range(T)):
        z = x[t] @ Wz
        z = 1 / (1 + np.exp(-z))
        n = np.tanh(x[t] @ Wn + h @ U)
        h = z * h + (1 - z) * n
        out[t] = h
    return np.mean(out**2)


GATED = {
    "x": spread(3, 2, 2),
    "U": spread(2, 2, seed=1),
    "h": spread(2, 2, seed=2),
    "Wz": spread(2, 2, seed=3),
    "Wn": spread(2, 2, seed=4),
}


def stacked(x, params, h0):
    """Weights in a dict, gates cut from one product."""
    h = h0
    for t in range(len(x)):
        i, g = np.split(x[t] @ params["W"].T + params["b"], 2, axis=1)
        h = h + (1 / (1 + np.exp(-i))) * np.tanh(g)
    return (h**2).sum()


STACKED: dict[str, Any] = {
    "x": spread(3, 2, 2),
    "params": {"W": spread(6, 2, seed=1), "b": spread(6, seed=2)},
    "h0": spread(2, 3, seed=3),
}


class Cell:
    """Keeps its states as attributes."""

    def __init__(self, w: Any):
        self.w = w

    def run(self, x: Any) -> Any:
        self.states = []
        self.h = np.zeros(2)
        for t in range(len(x)):
            self.h = np.tanh(x[t] * self.w + self.h)
            self.states.append(self.h)
        return (self.states[-1] ** 2).sum()


def test_an_rnn_of_dicts_and_columns_has_its_names_and_its_loss():
    run = tn.trace(characters, **CHARACTERS)
    loss, ps = characters(**CHARACTERS)
    assert run.loss is not None and run.loss.name == "loss[2]"
    np.testing.assert_allclose(run.loss.array, loss, rtol=1e-14)
    for t in range(3):
        np.testing.assert_allclose(run[f"ps[{t}]"], ps[t], rtol=1e-14)
        assert {f"hs[{t}]", f"ys[{t}]", f"d_hs[{t}]", f"xs[{t}]"} <= set(run.names)
    assert run.find("hs[initial]").time == INITIAL
    assert {v.name: v.kind for v in run.leaves} | {"hprev": "input", "Whh": "parameter", "xs[0]": "input"} == {
        v.name: v.kind for v in run.leaves
    }


@pytest.mark.parametrize("function, arrays", [(characters, CHARACTERS), (gated, GATED)])
def test_the_gradients_are_those_of_the_code(function, arrays):
    run = tn.trace(function, **arrays)
    loss = (lambda **given: characters(**given)[0]) if function is characters else function
    for name, array in arrays.items():
        if isinstance(array, np.ndarray):
            leaf = name if name in run else f"{name}[initial]"
            np.testing.assert_allclose(run.grad[leaf], numerical(loss, arrays, name), rtol=1e-6, atol=1e-9)


def test_a_loop_says_what_the_time_steps_are_whichever_way_it_runs():
    run, h = tn.trace(gated, **GATED), GATED["h"]
    for t in (2, 1, 0):
        z = 1 / (1 + np.exp(-(GATED["x"][t] @ GATED["Wz"])))
        h = z * h + (1 - z) * np.tanh(GATED["x"][t] @ GATED["Wn"] + h @ GATED["U"])
        np.testing.assert_allclose(run[f"h[{t}]"], h, rtol=1e-13)
        np.testing.assert_allclose(run[f"z[{t}]"], z, rtol=1e-14)
        np.testing.assert_allclose(run[f"z_1[{t}]"], GATED["x"][t] @ GATED["Wz"], rtol=1e-14)
    np.testing.assert_array_equal(run["h[initial]"], GATED["h"])


def test_arrays_in_a_dict_and_attributes_have_names():
    run = tn.trace(stacked, **STACKED)
    assert {"params.W", "params.b", "i[0]", "g[2]", "h[1]", "d_params.W"} <= set(run.names)
    x = spread(3, 2)
    run = tn.trace(Cell(np.array([0.5, -0.3])).run, x)
    assert {"h[0]", "h[2]", "h[initial]", "d_x"} <= set(run.names)
    np.testing.assert_allclose(run.loss.array, Cell(np.array([0.5, -0.3])).run(x), rtol=1e-14)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: _row(x)[0] + x,
        lambda x: _through_transpose(x),
        lambda x: _masked(x * 1.0),
        lambda x: _copied(x)[1],
        lambda x: x.astype(float).ravel()[1:].min() * x.flatten(),
    ],
    ids=["a row", "a transpose", "a mask", "a copy", "flattened"],
)
def test_views_are_views_and_copies_are_copies(function):
    x = spread(2, 3)
    run = tn.trace(lambda x: (function(x) ** 2).sum(), x)
    np.testing.assert_allclose(run.loss.array, (function(x.copy()) ** 2).sum(), rtol=1e-14)
    expected = numerical(lambda x: (function(x.copy()) ** 2).sum(), {"x": x}, "x")
    np.testing.assert_allclose(run.grad["x"], expected, rtol=1e-6, atol=1e-8)


def _row(x):
    whole = x * 2.0
    row = whole[1]
    row += 1.0
    row[0] = 5.0
    whole[1] *= x[0]
    return whole, row


def _through_transpose(x):
    whole = x * 2.0
    turned = whole.T
    turned[0] = x[0, 0]
    flat = whole.reshape(-1)
    flat[4] += 3.0
    return turned + whole.T


def _masked(x):
    x[x < 0.1] = 0.25
    x[[0, 1], [2, 0]] *= 3.0
    return x


def _copied(x):
    whole = x * 2.0
    part = whole[[1, 0]]
    part += 1.0
    own = whole.copy()
    own[0] = 0.0
    return part, own + whole


def test_the_workbook_recalculates_and_weights_stand_by_what_uses_them(tmp_path: Path):
    require("libreoffice")
    for function, arrays in ((characters, CHARACTERS), (stacked, STACKED)):
        book = tmp_path / f"{function.__name__}.xlsx"
        run = tn.trace(function, **arrays)
        run.to_excel(book)
        assert verify(book).ok
        poison(book, tmp_path / "poisoned.xlsx")
        cells = libreoffice(tmp_path / "poisoned.xlsx")["Network"]
        read = read_book(book).book
        for entry in read.entries:
            for place in np.ndindex(entry.shape):
                address = read.addresses.text[int(entry.ids[place])]
                assert cells[address] == pytest.approx(read.values[int(entry.ids[place])], rel=1e-12, abs=1e-12)
    labels = [text for text in map(str, cells.values()) if re.match(r"\w+\[\d+:\d+\]", text)]
    assert labels == ["W[0:3]  3×2", "b[0:3]", "W[3:6]  3×2", "b[3:6]"]


def _at_places(x, places):
    x = x * 1.0
    x[places] += 1
    return x.sum()


def _written_through(x):
    """A reshape of a transposed array is a copy."""
    x = x * 1.0
    x.T.reshape(-1)[0] = 3.0
    return (x**2).sum()


REFUSED = {
    "a branch": (lambda x: x.sum() if x.sum() > 0 else 2 * x.sum(), TypeError, "decides no `if`"),
    "a plain number": (lambda x: x[int(x[0, 0])].sum(), TypeError, "cannot be taken out as a plain one"),
    "a plain array": (lambda x: np.eye(3).dot(x[0]), TypeError, "cannot be put into a plain one"),
    "an unknown function": (lambda x: np.linalg.svd(x), TypeError, "np.svd is not traced"),
    "an unknown option": (lambda x: np.reshape(x, -1, order="F"), TypeError, "np.reshape with order is not traced"),
    "too many arguments": (lambda x: np.ravel(x, "F"), TypeError, "np.ravel of 2 arguments is not traced"),
    "nothing": (lambda x: 3.0, ValueError, "nothing that <lambda> returns is computed from its arrays"),
    "integers": (lambda x: x.astype(int).sum(), TypeError, "cannot be turned into int64"),
    "their own error": (lambda x: x[7], IndexError, "7"),
    "places that repeat": (lambda x: _at_places(x, [0, 0]), TypeError, "the same place twice is not traced"),
    "random numbers": (lambda x: (x * np.random.rand(3)).sum(), ValueError, "gave other numbers when it was traced"),
    "a copy that is a view here": (_written_through, ValueError, "gave other numbers when it was traced"),
    "an unknown method": (lambda x: x.partition(1), TypeError, "'partition' is not traced"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused(case):
    function, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        tn.trace(function, spread(2, 3))


def test_variables_of_pythons_own_library_name_nothing():
    def forward(x, W):
        with nullcontext(x @ W) as z:  # whose own name for it is enter_result
            h = np.tanh(z)
        return (h * h).sum()

    run = tn.trace(forward, spread(2, 3), spread(3, 2))
    assert [name for name in run.names if not name.startswith("d_")] == ["x", "W", "z", "h", "loss"]


def test_lists_of_numbers_are_no_arrays():
    with pytest.raises(ValueError, match=r"<lambda> is given no NumPy arrays of floating point.*: turn lists into"):
        tn.trace(lambda x: 2 * x[0], [1.0, 2.0])


def test_without_a_single_number_there_is_no_backward_pass():
    run = tn.trace(lambda x, w: np.tanh(x @ w), spread(2, 3), spread(3, 2, seed=1))
    assert run.loss is None and {step.phase for step in run.steps} == {"forward"}


SCRIPT = """
import numpy as np

def forward(x, W, steps=2):
    h = x
    for t in range(steps):
        h = np.tanh(h @ W)
    return (h ** 2).mean()
"""


def test_a_script_of_plain_numpy_is_exported(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SCRIPT)
    np.savez("arrays.npz", x=spread(2, 2), W=spread(2, 2, seed=1), steps=3, other=1.0)
    assert main(["export", "mine.py:forward", "--arrays", "arrays.npz"]) == 0
    run = tn.load("mine.xlsx")
    assert {"h[2]", "d_W", "d_h[0]"} <= set(run.names) and verify("mine.xlsx").ok
    capsys.readouterr()
    np.savez("less.npz", x=spread(2, 2))
    for line, words in {
        "export mine.py:forward": "takes x, W: give arrays called so by --arrays FILE.npz\n",
        "export mine.py:forward --arrays less.npz": "takes W: give arrays called so by --arrays FILE.npz; the file has",
        "export lstm --arrays arrays.npz": "--arrays is for path/to/script.py:function: leave it out",
        "export mine.py:forward --arrays none.npz": "none.npz",
    }.items():
        assert main(line.split()) == 2
        error = capsys.readouterr().err
        assert words in error and error.startswith("tinynet: ") and error.count("\n") == 1


def test_what_a_call_is_given_is_left_as_it_was():
    given = SimpleNamespace(x=spread(2, 2))
    before = given.x.copy()

    def changes(x):
        x += 1.0
        return (x**2).sum()

    tn.trace(changes, given.x)
    np.testing.assert_array_equal(given.x, before)


def test_an_equation_is_that_of_an_element_that_has_all_of_it(tmp_path: Path):
    tn.trace(characters, **CHARACTERS).to_excel(tmp_path / "book.xlsx")
    book = read_book(tmp_path / "book.xlsx").book
    said = [book.words.of_family(family) for family in book.layout.families.all if family.computed]
    assert "δps = (−δloss) / ps" in said and not [text for text in said if text.endswith("/ 0")]


def _exchanged(x):
    x = x * 1.0
    first = x[0]
    x[0] = x[1]
    x[1] = first
    x[2], x[0] = x[0], x[2]
    return (x * np.arange(3)).sum()


def _running(x):
    """Sums and means that grow in place; what they were is kept."""
    seen, mean, total = [], x[0], x.sum()
    before = total
    for t in range(3):
        seen.append(mean)
        mean *= 0.9
        mean += 0.1 * x[t]
        total += (x * x).sum()
    return mean * x[0] + seen[1] + before * total


def _in_one_line(x):
    h = x
    for t in range(3): h = np.tanh(h * 2 + 0 * t)  # noqa: E701  # fmt: skip
    return h.sum()


LAYERS = ((np.eye(3), np.ones(3)), (np.ones((3, 3)) / 2, np.zeros(3)))


def _layers(x, layers=LAYERS):
    for W, b in layers:
        x = np.tanh(x @ W + b)
    return x.sum()


def _masked_rows(x):
    x = np.outer(np.ones(2), np.ones(3)) * x
    x[np.array([True, False])] *= 2.0
    x[x.sum(axis=1) > 100.0] = 0.0
    return (x**2).sum() + ((x > -1).astype(float) + (x > 0).astype(float)).sum()


def _zeros_like_plain(x):
    z = np.zeros_like(np.ones(3))
    z[1:] = x[:2]
    return (z**2).sum() + np.add.reduce(np.vstack([x, 2 * x]))[1] + np.dot(2.0, x)[0]


def _mean_loss(x):
    loss, h = 0, x
    for t in range(3):
        h = np.tanh(h + 0 * t)
        loss += np.mean(h**2)
    return loss / 3


def _rows_of(x):
    a, b, c = x
    return a * b + sum(v * v for v in x) + sum(list(x)) - c


def assert_followed(loss: Any, x: np.ndarray, path: Path) -> None:
    """The numbers, the gradient and the workbook of a function of x are right."""
    run = tn.trace(loss, x)
    np.testing.assert_allclose(run.loss.array, loss(x.copy()), rtol=1e-14)
    expected = numerical(lambda x: loss(x.copy()), {"x": x}, "x")
    np.testing.assert_allclose(run.grad["x" if "x" in run else "x[initial]"], expected, rtol=1e-6, atol=1e-8)
    run.to_excel(path)
    assert verify(path).ok


STYLES = [_exchanged, _running, _in_one_line, _layers, _masked_rows, _zeros_like_plain, _mean_loss, _rows_of]


@pytest.mark.parametrize("function", STYLES, ids=lambda function: function.__name__)
def test_numbers_gradients_and_workbook_of_many_styles(function, tmp_path: Path):
    assert_followed(function, np.array([0.3, -0.7, 1.1]), tmp_path / "book.xlsx")


def test_parameters_in_nested_lists_are_leaves_and_one_array_is_one_leaf():
    layers = [(np.eye(3), np.ones(3)), (np.ones((3, 3)), np.zeros(3))]
    run = tn.trace(_layers, np.ones(3), [*layers, layers[0]])
    learned = [v.name for v in run.leaves if v.kind == "parameter"]
    assert learned == ["layers.0.0", "layers.0.1", "layers.1.0", "layers.1.1"]
    assert all(name in run.grad for name in learned)


def test_steps_of_a_loop_in_one_line_are_counted_as_they_come():
    run, h = tn.trace(_in_one_line, np.array([0.1, 0.2])), np.array([0.1, 0.2])
    for t in range(3):
        h = np.tanh(h * 2)
        np.testing.assert_allclose(run[f"h[{t}]"], h, rtol=1e-14)


def test_a_variable_called_like_a_gradient_is_told_apart():
    def function(x, W):
        d_x = W - x
        return (d_x**2 * x).sum()

    x, W = np.array([0.3, -0.7]), np.ones(2)
    run = tn.trace(function, x, W)
    np.testing.assert_array_equal(run["d_x"], W - x)
    np.testing.assert_allclose(run["d_x_2"], numerical(function, {"x": x, "W": W}, "x"), rtol=1e-6)


def test_other_threads_and_numpy_itself_get_plain_zeros():
    found = []

    def function(x):
        thread = Thread(target=lambda: found.append(type(np.zeros(3))))
        thread.start()
        thread.join()
        return (x * np.random.default_rng(0).normal(size=3)).sum()

    tn.trace(function, np.ones(3))
    assert found == [np.ndarray, np.ndarray]  # called, and traced


def _filled_by_step(x, W, U, V):
    T = len(x)
    h, out = np.zeros((T + 1, 3)), np.zeros((2, T, 3))
    h[-1] = np.zeros(3)
    for t in range(T):
        h[t] = np.tanh(x[t] @ W + h[t - 1] @ U)
        out[0, t] = h[t] * 2
        out[1, t, :] = h[t - 1]
    return np.sum((out @ V) ** 2) + np.sum(h**2)


def test_steps_of_an_array_that_is_filled_are_read_as_they_were_put_in():
    shapes = {"x": (3, 2), "W": (2, 3), "U": (3, 3), "V": (3,)}
    arrays = {name: spread(*shape) for name, shape in shapes.items()}
    run = tn.trace(_filled_by_step, **arrays)
    assert float(run["loss"]) == pytest.approx(_filled_by_step(**arrays), rel=1e-14)
    named = {value.name: value.shape for value in run.values if value.quantity == "h"}
    assert named == {"h[initial]": (3,), "h[0]": (3,), "h[1]": (3,), "h[2]": (3,)}
    assert run["out"].shape == (2, 3, 3) and not any(name.startswith("out_") for name in run.names)
    for name in ("W", "U", "V"):
        eps, direction = 1e-6, np.cos(np.arange(arrays[name].size)).reshape(shapes[name])
        sides = [_filled_by_step(**arrays | {name: arrays[name] + sign * eps * direction}) for sign in (1, -1)]
        assert np.sum(run.grad[name] * direction) == pytest.approx((sides[0] - sides[1]) / (2 * eps), rel=1e-7)


def _overwritten(x):
    h = np.zeros((3, 2))
    for t in range(3):
        h[t] += x[t]  # fills
        h[t] *= 2
        h[t] = h[t] + x[t]
        if t:
            h[t] += h[t - 1]
    total = np.sum(h**2)  # read as a whole
    h[1] = x[0]
    h[0, 1] = 5.0
    view = h[2]
    view[0] = x[1, 1]
    return total + np.sum(h * x)


def test_what_is_put_in_again_counts():
    x = spread(3, 2)
    run = tn.trace(_overwritten, x=x.copy())
    assert float(run["loss"]) == pytest.approx(_overwritten(x.copy()), rel=1e-14)
    again = run.replay(x=2 * x)
    assert float(again["loss"]) == pytest.approx(_overwritten(2 * x), rel=1e-14)


PUT = {
    "row": lambda h, x, t: h.__setitem__(t, x[t] * 2),
    "column": lambda h, x, t: h.__setitem__((slice(None), t % 2), x[:, 0] + 1),
    "element": lambda h, x, t: h.__setitem__((t, 1), x[t, 0]),
    "plain row": lambda h, x, t: h.__setitem__(t, [1.0, 2.0]),
    "plain element": lambda h, x, t: h.__setitem__((t, 0), 3.0),
    "zeros": lambda h, x, t: h.__setitem__(t, np.zeros(2)),
    "more": lambda h, x, t: h.__setitem__(t, h[t] + x[t]),
    "from before": lambda h, x, t: h.__setitem__(t, h[t - 1] * x[t]),
    "of a view": lambda h, x, t: h[t].__setitem__(0, x[t, 1]),
    "of a column": lambda h, x, t: h[:, 1].__setitem__(t, x[t, 1]),
    "whole": lambda h, x, t: h.__setitem__(slice(None), h * x[t, 0]),
}


def _in_place(h, x, t):
    h[t] += x[t]
    h[t] *= 2


@given(st.lists(st.tuples(st.sampled_from([*PUT, "in place"]), st.integers(0, 2)), max_size=7))
def test_whatever_is_put_into_an_array_and_read(actions: list[tuple[str, int]]):
    def code(x):
        h, seen = np.zeros((3, 2)), 0.0
        for action, t in actions:
            (PUT | {"in place": _in_place})[action](h, x, t)
            seen = seen + np.sum(h[t] * x[0]) + np.sum(h[t - 1]) * (t == 1)
        return seen + np.sum(h * x)

    x = spread(3, 2)
    run = tn.trace(code, x=x.copy())
    assert float(run["loss"]) == pytest.approx(code(x.copy()), rel=1e-12, abs=1e-12)
    again = run.replay(x=np.cos(x))
    assert float(again["loss"]) == pytest.approx(code(np.cos(x)), rel=1e-12, abs=1e-12)


def test_code_without_integers_is_traced_once():
    calls = []

    def code(x):
        calls.append(x)
        return np.sum(np.linalg.inv(x))

    with pytest.raises(TypeError, match=r"np\.inv is not traced"):
        tn.trace(code, np.eye(2))
    assert len(calls) == 2  # as it is, and traced
