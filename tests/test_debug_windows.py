"""Mistakes of windows: their tables are those of the engine, and mistakes that are made are named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests.test_debug_names import recorded
from tests.wrong import BUGS, NETWORKS, data
from tinynet import functional as F
from tinynet.debug import compare, windows
from tinynet.debug.hypotheses import Hypotheses, symbol
from tinynet.debug.program import Edit, Program
from tinynet.debug.windows import Layout, Way

Array = np.ndarray
MOST = 400  # hypotheses at most about one quantity's windows


def program_of(compute: Callable[..., tn.Tensor], **leaves: Array) -> Program:
    """Record Σ of what is computed from some leaves, and its gradients."""
    with tn.record() as run:
        tensors = {k: tn.tensor(a, requires_grad=True, name=k) for k, a in leaves.items()}
        y = compute(**tensors)
        (y * tn.tensor(np.random.default_rng(1).normal(size=y.shape), name="g")).sum().backward()
    return Program(run)


def convolved(seed: int) -> tuple[Program, windows.Convolution]:
    """A convolution of random geometry."""
    rng = np.random.default_rng(seed)
    axes, groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    size, stride, padding, dilation = (tuple(map(int, rng.integers(low, 4, axes))) for low in (1, 1, 0, 1))
    shape = tuple(int(d * (k - 1) + rng.integers(2, 8)) for k, d in zip(size, dilation, strict=True))
    x, w = rng.normal(size=(2, 2 * groups, *shape)), rng.normal(size=(3 * groups, 2, *size))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    convolve: Any = (F.conv1d, F.conv2d)[axes - 1]
    program = program_of(lambda x, w: convolve(x, w, **options), x=x, w=w)
    forward = next(i for i, step in enumerate(program.steps) if step.primitive == "correlate")
    return program, windows.convolution(program, forward)


def changed_by(program: Program, edit: Edit) -> dict[int, Array]:
    changed = program.evaluate(edit)
    assert changed is not None
    return changed


@pytest.mark.parametrize("seed", range(30))
def test_a_convolution_and_both_gradients_are_those_by_its_table(seed: int) -> None:
    program, site = convolved(seed)
    right = Way("", site.layout)
    assert site.into_x is not None and site.into_kernel is not None
    d_x, d_w = (next(v.index for v in program.run.values if v.name == name) for name in ("d_x", "d_w"))
    z = program.steps[site.forward].output.index
    for out, edit in ((z, site.z(right)), (d_x, site.dx(right)), (d_w, site.dw(right))):
        np.testing.assert_allclose(changed_by(program, edit)[out], program.arrays[out], rtol=0, atol=1e-12)


def test_the_changed_convolution_is_differentiated_as_its_gradients_are_written() -> None:
    program, site = convolved(4)
    names = {v.name: v.index for v in program.run.values if v.name}
    for way in site.ways():
        written = changed_by(program, site.dx(way) | site.dw(way))
        derived = program.differentiated(site.z(way))
        assert derived is not None
        for name in ("d_x", "d_w"):
            np.testing.assert_allclose(
                written[names[name]], derived[names[name]], rtol=0, atol=1e-12, err_msg=way.label
            )


def test_the_place_that_a_window_reads_is_that_of_the_loops() -> None:
    layout = Layout((5, 4), ((2, 1), (1, 2)), (3, 3), (3, 2), (2, 1), (2, 1), (1, 2))
    stored = np.zeros((8, 7))
    stored[2:7, 1:5] = np.arange(1, 21).reshape(5, 4)
    loops = np.zeros((9, 6))
    for i, j, r, c in np.ndindex(3, 3, 3, 2):
        row, column = 2 * i + r - 2, j + 2 * c - 1
        if 0 <= row < 5 and 0 <= column < 4:
            loops[3 * i + j, 2 * r + c] = 1 + 4 * row + column
    np.testing.assert_array_equal(np.append(stored, 0)[layout.table()], loops)


def test_what_overlaps_is_added_or_overwritten() -> None:
    table = np.array([[0, 1], [1, 2], [3, 9]])  # one past the end is nowhere; here 9 places
    x = np.array([[1.0, 2], [30, 4], [5, 6]]).reshape(1, 1, 3, 2)
    np.testing.assert_array_equal(windows.put_back(x, table, (1, 1, 3, 3)).reshape(-1)[:5], [1, 32, 4, 5, 0])
    np.testing.assert_array_equal(
        windows.put_back(x, table, (1, 1, 3, 3), "by window").reshape(-1)[:5], [1, 30, 4, 5, 0]
    )


@pytest.mark.parametrize(
    "words, shares",
    [
        ("only the first of the largest", [0, 1, 0, 0, 0, 0]),
        ("the last of several equal maxima", [0, 0, 0, 0, 1, 0]),
        ("every one of several equal maxima", [0, 1, 0, 0, 1, 0]),
        ("several equal maxima share", [0, 0.5, 0, 0, 0.5, 0]),
        ("the gradient goes to the smallest", [0, 0, 0, 1, 0, 0]),
        ("the gradient goes to the first place", [1, 0, 0, 0, 0, 0]),
        ("the gradient goes to the last place", [0, 0, 0, 0, 0, 1]),
        ("every number of a window", [1, 1, 1, 1, 1, 1]),
        ("the gradient is shared by all", [1 / 6] * 6),
        ("split into row and column by the number of rows", [0, 0, 0, 1, 0, 0]),  # 1 = row 1 + 2 rows · column 0
    ],
)
def test_who_gets_the_gradient_of_a_window_with_a_tie(words: str, shares: list[float]) -> None:
    (policy,) = (f for label, f in windows.POLICIES.items() if words in label)
    window = np.array([2.0, 7, 3, 1, 7, 5])  # two rows and three columns
    np.testing.assert_allclose(policy(window, (2, 3)), shares)


@pytest.mark.parametrize("name", ["conv.z", "d_x", "d_conv.weight", "conv.pooled", "d_conv.relu"])
def test_every_mistake_can_be_computed_and_changes_something(name: str) -> None:
    program = Program(recorded("conv_net"))
    value = next(v for v in program.run.values if v.name == name)
    steps = program.between(value.index, {v.index for v in program.run.values if v.name in ("d_conv.z", "conv.relu")})
    found = list(windows.mistakes(program, [steps], symbol(name), symbol))
    assert 20 < len(found) < MOST
    for sentence, edit in found:
        other = changed_by(program, edit).get(value.index)
        assert other is not None and np.abs(other - program.arrays[value.index]).max() > 1e-6, sentence


def test_what_is_computed_without_windows_has_no_such_mistakes() -> None:
    program = Program(recorded("conv_net"))
    steps = [Hypotheses(program).local(v.index) for v in program.run.values if v.name in ("loss", "d_head.z")]
    assert len(steps) == 2 and all(steps)
    assert list(windows.mistakes(program, steps, "loss", symbol)) == []


@cache
def explained(bug_id: str | None) -> list[tuple[str, ...]]:
    """How the numbers of an independent net with a bug are explained."""
    bug = next((bug for bug in BUGS if bug.id == f"conv_net-{bug_id}"), None)
    kind = "plain" if bug is None else bug.data
    numbers = NETWORKS["conv_net"](**data("conv_net", kind), bug=bug)
    report = compare(recorded("conv_net", kind), dict(numbers))
    assert report.ok == (bug is None)
    return [e.sentences for e in report.diagnosis.explanations] if report.diagnosis else []


AGREES = " (the backward pass agrees with that)"


@pytest.mark.parametrize(
    "bug, sentence",
    [
        ("stride-ignored", f"z: the stride of the convolution is left out{AGREES}"),
        ("dx-padding-swapped", "dx: the paddings of rows and columns of the convolution are swapped"),
        ("dW-flipped", "dweight: the kernel is turned round"),
        ("true-convolution", "z: the kernel is turned round; so it is in dx"),
        ("ties-all", "drelu: every one of several equal maxima gets the full gradient; only the first should"),
        ("pool-by-average", f"pooled: the mean of each window is taken instead of the largest{AGREES}"),
        ("dm-expanded-wrongly", "dpooled: each place gets the same, the mean over all places"),
    ],
)
def test_a_mistake_is_named(bug: str, sentence: str) -> None:
    assert explained(bug) == [(sentence,)]


def test_a_right_net_has_no_mistake() -> None:
    assert explained(None) == []


def test_ties_behind_a_relu_are_a_convention_unless_they_are_passed_on() -> None:
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    x[:, :, :2, :2] = -abs(x[:, :, :2, :2])  # a window of which nothing is left
    with tn.record() as run:
        leaf = tn.tensor(x, requires_grad=True, name="x")
        ((F.max_pool2d(tn.name(F.relu(leaf), "relu1"), 2) + 1) ** 2).sum().backward()
    relu, gradient = run["relu1"], run["d_relu1"]
    every = np.where(relu == 0, 5.0, gradient)  # each of the maxima gets something
    right = {"relu1": relu, "d_relu1": every}
    assert compare(run, right, explain=False).ok
    passed_on = compare(run, right | {"d_x": run["d_x"] + (relu == 0)}, explain=False)
    assert passed_on.first is not None and passed_on.first.name == "d_relu1"
    assert not compare(run, right | {"d_relu1": every + (relu > 0)}, explain=False).ok
