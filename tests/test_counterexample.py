"""The case on which a gradient is wrong, as a workbook: somebody's NumPy code recorded, and the plugin that does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import libreoffice, poison, require
from tinynet.primitives import TABLE
from tinynet.tensor import Tensor
from tinynet.testing import GradientError, check_backward, check_gradients
from tinynet.testing.export import write_counterexample
from tinynet.tracing import traced
from tinynet.workbook import read_yours, verify

pytest_plugins = ["pytester"]
X, W, B = spread(3, 2), spread(2, 2, seed=1), spread(2, seed=2)


def layer(x, w, b):
    z = x @ w + b
    return np.tanh(z)


def layer_backward(g, x, w, b):
    """Its mistake: the gradient of the bias leaves out the slope of tanh."""
    slope = 1 - layer(x, w, b) ** 2
    return (g * slope) @ w.T, x.T @ (g * slope), g.sum(axis=0)


def failing(check: Any, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(GradientError) as caught:
        check(*arguments, **options)
    return caught.value.report


def loop(x, w, u):
    """Preallocates, slices, writes into places, calls a helper."""
    hidden = np.zeros((len(x) + 1, u.shape[0]))
    for t in range(len(x)):
        hidden[t + 1] = half(np.tanh(x[t] @ w + hidden[t] @ u))
    return hidden[1:]


def half(h):
    return 0.5 * h


FUNCTIONS = {
    "concatenate": lambda x, y: np.concatenate([x, y], axis=1),
    "stack and mean": lambda x, y: np.stack([x, y]).mean(axis=0),
    "hstack, vstack": lambda x, y: np.hstack([np.vstack([x, x]), np.vstack([y, y])]),
    "split": lambda x, y: np.split(x, 2, axis=1)[1] * np.split(y, [1], axis=1)[0],
    "dot and T": lambda x, y: np.dot(x.T, y) + x.T.dot(y),
    "where and comparison": lambda x, y: np.where(x > y, x, 2 * y),
    "maximum of a number": lambda x, y: np.maximum(0, x) + np.maximum(y, 0.1),
    "sum, keepdims": lambda x, y: x / np.sum(np.exp(y), axis=1, keepdims=True) + y.sum(),
    "max": lambda x, y: x - np.max(y, axis=-1, keepdims=True) + y.max(),
    "amin": lambda x, y: x * np.amin(y),
    "sqrt, log, square, reciprocal": lambda x, y: np.sqrt(np.square(x) + 1) + np.log(np.reciprocal(y * y + 1)),
    "reshape, transpose": lambda x, y: x.reshape(-1) + np.reshape(y.transpose(), (4,)) + y.transpose(1, 0).reshape(4),
    "new axes": lambda x, y: np.expand_dims(x, 0) * y[None] + np.squeeze(y[:, None], 1),
    "flip, copy, power": lambda x, y: np.flip(x, 0) ** 2 + y.copy() - np.copy(x),
    "zeros_like, filled": lambda x, y: filled(np.zeros_like(x), x, y),
    "zeros, overwritten": lambda x, y: overwritten(np.zeros((2, 2)), x, y),
    "zeros that stay": lambda x, y: x @ np.zeros((2, 2)) + y,
    "integers stay": lambda x, y: x[np.zeros(2, dtype=int)] + y,
    "in place": lambda x, y: added(x * 2, y),
    "into another": lambda x, y: into(x * 2, y),
    "sigmoid": lambda x, y: 1 / (1 + np.exp(-x)) - y,
}


def filled(out, x, y):
    out[0] = x[0]
    out[1, :] = y[1] * 2
    return out


def overwritten(out, x, y):
    out[:] = 3.0
    out[:, 0] = x[:, 0]
    out[0] += y[0]
    out += 1
    out *= x
    return out


def into(x, y):
    out = y * 3
    np.add(x, y, out=out)
    return out * x


def added(out, y):
    out += y
    out /= 2
    return out


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_what_is_traced_computes_what_numpy_computes(function):
    x, y = spread(2, 2), spread(2, 2, seed=1, shift=0.05)
    result = traced(function, [Tensor(x, requires_grad=True), Tensor(y)])
    assert isinstance(result, Tensor)
    np.testing.assert_allclose(result.numpy(), function(x, y), rtol=1e-14)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_what_is_traced_has_its_gradients(function):
    arrays = (spread(2, 2), spread(2, 2, seed=1, shift=0.05))
    assert check_gradients(lambda x, y: traced(function, [x, y]), *arrays)


@pytest.mark.parametrize(
    "function",
    [lambda x: np.fft.fft(x), lambda x: np.add.accumulate(x), lambda x: np.array([round(v, 3) for v in x[0]])],
    ids=["a function that is not known", "a method of a ufunc", "numbers taken out"],
)
def test_what_cannot_be_traced_is_refused(function):
    with pytest.raises(TypeError):
        traced(function, [Tensor(X)])


def test_numpy_is_left_as_it_was():
    zeros, empty = np.zeros, np.empty
    with pytest.raises(ZeroDivisionError):
        traced(lambda x: 1 / 0, [Tensor(X)])
    assert (np.zeros, np.empty) == (zeros, empty)


def test_code_becomes_formulas_under_the_names_of_its_variables(tmp_path: Path):
    book = write_counterexample(failing(check_backward, layer, layer_backward, X, W, B), tmp_path / "case.xlsx")
    run = tn.load(book)
    assert {"x", "w", "b", "z", "cotangent", "d_z", "d_b"} <= set(run.names)
    np.testing.assert_allclose(run["z"], X @ W + B, rtol=1e-14)
    assert verify(book).ok


def test_a_variable_of_a_loop_gets_a_time_step(tmp_path: Path):
    def named(x, w, u):
        h = np.zeros(2)
        for t in range(3):
            h = half(np.tanh(x[t] @ w + h @ u))
        return h

    case = failing(check_backward, named, lambda g, *inputs: [0 * a for a in inputs], X, W, spread(2, 2, seed=3))
    run = tn.load(write_counterexample(case, tmp_path / "case.xlsx"))
    assert {"h[0]", "h[1]", "h[2]", "d_h[0]"} <= set(run.names)


def test_a_parameter_of_a_helper_gives_no_name(tmp_path: Path):
    def helped(x, w):
        return half(x @ w)

    case = failing(check_backward, helped, lambda g, x, w: (0 * x, 0 * w), X, W)
    assert not [name for name in tn.load(write_counterexample(case, tmp_path / "case.xlsx")).names if "half" in name]


def test_a_debugger_goes_on_tracing_after_a_trace():
    def tracer(*arguments: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        traced(half, [Tensor(X)])
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_arrays_that_are_filled_in_part_by_part_are_recorded(tmp_path: Path):
    case = failing(check_backward, loop, lambda g, *inputs: [0 * a for a in inputs], X, W, spread(2, 2, seed=3))
    book = write_counterexample(case, tmp_path / "case.xlsx")
    numerical = dict(zip(case.names, case.numerical, strict=True))
    run = tn.load(book)
    for name in ("x", "w", "u"):
        np.testing.assert_allclose(run.grad[name], numerical[name], atol=1e-8)


def test_the_sheet_yours_holds_what_the_backward_pass_gave(tmp_path: Path):
    case = failing(check_backward, layer, layer_backward, X, W, B)
    yours = read_yours(write_counterexample(case, tmp_path / "case.xlsx"))
    for name, gradient in zip(case.names, case.gradients, strict=True):
        np.testing.assert_allclose(np.asarray(yours[f"d_{name}"]).reshape(np.shape(gradient)), gradient, rtol=1e-14)


def test_a_function_of_tensors_has_the_numerical_derivatives_beside_its_gradients(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "vjps", (lambda g, y, x: g * (1 - y),))
    case = failing(check_gradients, lambda x, w: (x @ w).tanh(), X, W)
    book = write_counterexample(case, tmp_path / "case.xlsx")
    yours = read_yours(book)
    np.testing.assert_allclose(np.asarray(yours["d_x"]).reshape(X.shape), case.numerical[0], rtol=1e-14)
    assert not np.allclose(tn.load(book).grad["x"], case.numerical[0], rtol=1e-3)


def test_another_engine_finds_the_first_difference(tmp_path: Path):
    require("libreoffice")
    case = failing(check_backward, layer, layer_backward, X, W, B)
    book = write_counterexample(case, tmp_path / "case.xlsx")
    poison(book, tmp_path / "poisoned.xlsx")
    cells = libreoffice(tmp_path / "poisoned.xlsx")["Yours"].values()
    assert any(str(text).startswith("FIRST DIFFERENCE: d_b") for text in cells)


def test_code_that_cannot_be_recorded_gets_a_sheet_of_numbers(tmp_path: Path):
    require("libreoffice")
    function = lambda x: np.array([v.__float__() ** 2 for v in x.reshape(-1)])  # noqa: E731
    case = failing(check_backward, function, lambda g, x: 3 * (g * x.reshape(-1)).reshape(x.shape), X)
    book = write_counterexample(case, tmp_path / "case.xlsx")
    sheet = openpyxl.load_workbook(book).active
    assert "could not be recorded" in sheet["A4"].value and sheet["A2"].value.startswith("gradient: wrong, 6 of 6")
    poison(book, tmp_path / "poisoned.xlsx")
    values = libreoffice(tmp_path / "poisoned.xlsx")["Counterexample"]
    found = [cell.coordinate for row in sheet.iter_rows() for cell in row if str(cell.value).startswith("=")]
    differences = (np.asarray(case.gradients[0]) - case.numerical[0]).reshape(-1)
    np.testing.assert_allclose([values[cell] for cell in found], differences, rtol=1e-12)


def test_a_gradient_of_the_wrong_shape_can_be_written_too(tmp_path: Path):
    case = failing(check_backward, lambda x, b: x + b, lambda g, x, b: (g, g), X, B)
    sheet = openpyxl.load_workbook(write_counterexample(case, tmp_path / "case.xlsx")).active
    assert "b has (2,)" in sheet["A2"].value
    assert sheet["A4"].value == "Numbers only: nothing was measured, since this shows without that."
    assert sheet["A3"].value is None
    shown = {cell.value for row in sheet.iter_rows() for cell in row}
    assert {f"x {X.shape}", f"b {B.shape}", *X.reshape(-1), *B} <= shown


def test_a_folder_that_is_not_there_is_said(tmp_path: Path):
    case = failing(check_backward, layer, layer_backward, X, W, B)
    with pytest.raises(OSError, match="nowhere"):
        write_counterexample(case, tmp_path / "nowhere" / "case.xlsx")


TEST = """
import numpy as np
from hypothesis import Phase, given, settings, strategies as st
import tinynet as tn

@given(st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=20, database=None, deadline=None, phases=[Phase.generate, Phase.shrink])
def test_wrong(rows, columns):
    x = np.ones((rows, columns))
    tn.testing.check_backward(lambda x: x * x, lambda g, x: g * x * (2 if rows < 2 else 3), x)

def test_right():
    assert tn.testing.check_backward(lambda x: x * x, lambda g, x: 2 * g * x, np.ones(2))

def test_something_else():
    assert 1 == 2
"""


@pytest.fixture
def suite(pytester):
    quick = "['generate', 'shrink']"
    text = TEST.replace("{phases}", "[settings.default.phases[i] for i in (2, 4)]" if quick else "")
    pytester.makepyfile(test_it=text)
    return pytester


def test_the_plugin_writes_the_shrunk_case_and_says_where(suite):
    done = suite.runpytest("-n0", "--tinynet-export", "cases")
    done.assert_outcomes(failed=2, passed=1)
    (book,) = (suite.path / "cases").iterdir()
    assert book.name == "test_it.py_test_wrong.xlsx"
    done.stdout.fnmatch_lines([f"the counterexample is in cases/{book.name}"])
    assert tn.load(book)["x"].shape == (2, 1)  # the smallest that fails


def test_the_plugin_says_that_it_could(suite):
    done = suite.runpytest("-n0")
    assert str(done.stdout).count("pytest --tinynet-export DIR writes this case as a workbook") == 1
