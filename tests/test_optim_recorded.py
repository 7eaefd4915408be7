"""Recorded, an update is steps of the run: named as in the paper, replayed, compiled, written as JSON and as cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import libreoffice
from tests.test_compiled import CLOSE, assert_same
from tests.test_workbook_recalculated import assert_recalculates
from tests.workbooks import Sample, assert_agrees, changed, sample, typed
from tinynet import functional as F
from tinynet import models, nn, optim
from tinynet.workbook import verify
from tinynet.workbook.families import parameter_of

OPTIMISERS = {
    "sgd": lambda ps: optim.SGD(ps, 0.1),
    "momentum": lambda ps: optim.SGD(ps, 0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda ps: optim.SGD(ps, 0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda ps: optim.RMSprop(ps, 0.1, weight_decay=0.1),
    "adam": lambda ps: optim.Adam(ps, 0.1),
    "adam, decay": lambda ps: optim.Adam(ps, 0.1, weight_decay=0.1),
    "adamw": lambda ps: optim.AdamW(ps, 0.1, weight_decay=0.1),
}


class Training:
    """A small net, its data and its optimiser."""

    def __init__(self, make):
        self.net = nn.Sequential({"hidden": nn.Linear(3, 4), "tanh": nn.Tanh(), "output": nn.Linear(4, 2)})
        arrays = {name: spread(*a.shape, seed=i) for i, (name, a) in enumerate(self.net.state_dict().items())}
        self.net.load_state_dict(arrays)
        self.optimizer = make(self.net.parameters())

    def round(self):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(tn.tensor(spread(5, 3, seed=9), name="x")), np.array([0, 1, 0, 1, 1]))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def recorded(self, rounds=1):
        with tn.record() as run:
            for _ in range(rounds):
                self.round()
        return run


def test_the_names_are_those_of_the_paper():
    run = Training(OPTIMISERS["adam, decay"]).recorded(rounds=2)
    update = [step.name for step in run.steps if step.phase == "update" and step.name]
    labels = ["g", "m", "v", "m_hat", "v_hat", "new"]
    of = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]
    first = [f"{label}_{parameter}" for parameter in of for label in labels]
    first.insert(1, "t")
    assert update == first + [f"{name}#2" for name in first]
    kinds = {value.name: value.kind for value in run.leaves}
    assert {name for name, kind in kinds.items() if kind == "hyperparameter"} == {
        *("lr", "beta1", "beta2", "eps", "weight_decay")
    }
    states = {f"old_{label}_{parameter}" for label in "mv" for parameter in of} | {"old_t"}
    assert {name for name, kind in kinds.items() if kind == "state"} == states
    assert list(run.parameters) == of
    assert run["t"] == 1 and run["t#2"] == 2 and run["old_t"] == 0


def test_the_numbers_are_those_of_the_paper():
    """Algorithm 1 of Kingma and Ba (2015), of two steps."""
    run = Training(lambda ps: optim.Adam(ps, 0.1, (0.8, 0.9), 1e-3)).recorded(rounds=2)
    w, m, v = run["hidden.weight"], 0, 0
    for t, again in ((1, ""), (2, "#2")):
        g = run[f"d_hidden.weight{again}"]
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.9**t)
        w = w - 0.1 * m_hat / (np.sqrt(v_hat) + 1e-3)
        for name, array in {"m": m, "v": v, "m_hat": m_hat, "v_hat": v_hat, "new": w}.items():
            np.testing.assert_allclose(run[f"{name}_hidden.weight{again}"], array, rtol=1e-12)


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_a_run_starts_from_what_was_remembered(kind):
    """After three steps that nobody recorded."""
    training, other = Training(OPTIMISERS[kind]), Training(OPTIMISERS[kind])
    for _ in range(3):
        training.round(), other.round()
    run = training.recorded(rounds=2)
    other.round(), other.round()
    for name, p in other.net.named_parameters():
        np.testing.assert_allclose(run[f"new_{name}#2"], p.data, **CLOSE)
    if "adam" in kind:
        assert run["old_t"] == 3


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_replayed_and_from_json(kind):
    run = Training(OPTIMISERS[kind]).recorded(rounds=2)
    for other in (run.replay(), tn.run.Run.from_json(run.to_json())):
        assert other.names == run.names
        for value, same in zip(run.values, other.values, strict=True):
            np.testing.assert_array_equal(value.array, same.array)
            assert value.kind == same.kind
            assert getattr(value.beside, "name", None) == getattr(same.beside, "name", None)
            assert same.beside is None or same.beside is other.values[same.beside.index]


@pytest.mark.parametrize("kind", OPTIMISERS)
@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("before", [0, 2])
def test_a_compiled_step_remembers(kind, rounds, before):
    """Each call goes on with the averages, and the number of the step, that the call before left."""
    eager, recorded = Training(OPTIMISERS[kind]), Training(OPTIMISERS[kind])
    for _ in range(before):
        eager.round(), recorded.round()
    step = recorded.recorded(rounds).compile()
    for _ in range(4):
        losses = [eager.round() for _ in range(rounds)]
        assert step() == pytest.approx(losses[0], rel=1e-11)
    for name, p in eager.net.named_parameters():
        np.testing.assert_allclose(step.parameters[name], p.data, **CLOSE)


def test_a_compiled_step_computes_what_was_recorded():
    run = models.lstm(optimizer="adam", updates=3)
    step = run.compile()
    step()
    assert_same(step, run)


def late():
    """Parameters that take their first steps in different rounds, the last of them in a batch of one number."""
    ps = [nn.Parameter(spread(3, seed=i)) for i in range(2)] + [nn.Parameter(np.array(0.5))]
    optimizer = optim.Adam(ps, 0.1)

    def train(rounds=3):
        for t in range(rounds):
            optimizer.zero_grad()
            sum((p * p * (i + 1.0)).sum() for i, p in enumerate(ps[: t + 1])).backward()
            optimizer.step()
        return [np.array(p.data) for p in ps]

    return train


def test_each_parameter_counts_its_own_steps():
    expected, train = late()(), late()
    with tn.record() as run:
        found = train()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)
    counts = [float(value.array) for value in run.values if value.quantity in ("t", "t_2", "t_3")]
    assert counts == [1, 2, 1, 3, 2, 1]
    assert len(set(run.names)) == len(run.names)


def test_two_optimisers_of_one_parameter():
    w = nn.Parameter(spread(2))
    with tn.record() as run:
        for _ in range(2):
            for make in (lambda: optim.Adam([w], 0.1), lambda: optim.AdamW([w], 0.2)):
                w.grad = None
                (w * w).sum().backward()
                make().step()
    assert len(set(run.names)) == len(run.names)
    np.testing.assert_array_equal(run.replay()[run.names[-1]], run[run.names[-1]])


def test_a_name_that_the_user_has_given_stays_his():
    w = nn.Parameter(spread(2), name="w")
    t = tn.tensor(spread(2, seed=1), name="t")
    with tn.record() as run:
        tn.name((w * t), "m_w").sum().backward()
        optim.Adam([w], 0.1).step()
    np.testing.assert_array_equal(run["t"], spread(2, seed=1))
    np.testing.assert_array_equal(run["m_w"], run["w"] * run["t"])
    np.testing.assert_allclose(run["m_w_2"], 0.1 * run["d_w"], rtol=1e-12)


# As cells

BOOKS = {
    **{kind: lambda make=make: Training(make).recorded(rounds=2) for kind, make in OPTIMISERS.items()},
    "late": lambda: recorded_late(),
    "lstm": lambda: models.lstm(optimizer="adamw", steps=2, updates=2),
    "lstm of two layers": lambda: models.lstm(optimizer="momentum", layers=2, hidden=2, steps=2),
    "rnn": lambda: models.rnn(optimizer="rmsprop", batch=2, steps=2, updates=3),
    "cnn": lambda: models.cnn(channels=(2,), optimizer="adam"),
}


EDITS = {
    "a moment before the update": ("old_v_hidden.weight", (2, 1), 0.3),
    "a hyper-parameter": ("beta1", (), 0.5),
    "the number of steps before": ("old_t", (), 4),
    "a weight": ("hidden.weight", (0, 0), 0.7),
}


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Sample:
    return sample(Training(OPTIMISERS["adam"]).recorded(rounds=2), tmp_path_factory.mktemp("books") / "adam.xlsx")


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_recalculates_and_comes_back(what: str, book: Sample, tmp_path: Path):
    leaf, index, number = EDITS[what]
    expected, edits = changed(book.run, leaf, index, number), {book.place_of(leaf, *index): number}
    values = libreoffice(book.path, edits)
    assert_agrees(book, values, expected)
    assert str(values["Checks"]["B3"]).startswith("EDITED")
    loaded = tn.load(typed(book.path, tmp_path / "edited.xlsx", edits))
    for value, same in zip(loaded.values, expected.values, strict=True):
        np.testing.assert_array_equal(value.array, same.array, err_msg=str(value.name))


def test_a_book_that_is_loaded_and_written_again_is_the_same_file(book: Sample, tmp_path: Path):
    assert verify(book.path).ok
    tn.load(book.path).to_excel(tmp_path / "again.xlsx")
    assert (tmp_path / "again.xlsx").read_bytes() == book.path.read_bytes()


def test_the_equations_are_those_of_the_paper(book: Sample):
    """In every round."""
    words = {block.name: book.book.words.equation(block) for block in book.book.plan.blocks if block.expression}
    for label in ("m", "v", "m_hat", "v_hat", "new"):
        assert words[f"{label}_hidden.weight"] == words[f"{label}_hidden.weight#2"]
    assert words["t"] == "t = old t + 1"
    assert words["m_hidden.weight"] == "m = β1·old m + (1 − β1)·∂L/∂hidden.weight"
    assert words["v_hidden.weight"] == "v = β2·old v + (1 − β2)·(∂L/∂hidden.weight)²"
    assert words["m_hat_hidden.weight"] == "m̂ = m / (1 − β1^t)"
    assert words["v_hat_hidden.weight"] == "v̂ = v / (1 − β2^t)"
    assert words["new_hidden.weight"] == "new hidden.weight = hidden.weight − lr·m̂ / (√(v̂) + ε)"


def test_the_step_control_updates_one_parameter_after_the_other(book: Sample):
    moments = [m for m in book.book.moments.all if m.phase == "update" and m.blocks[0].update == 0]
    parameters = [{id(parameter_of(block)) for block in moment.blocks} for moment in moments]
    assert all(len(several) == 1 for several in parameters)
    names = [[block.name for block in moment.blocks] for moment in moments]
    assert names[:4] == [
        ["t"],
        ["m_hidden.weight", "v_hidden.weight"],
        ["m_hat_hidden.weight", "v_hat_hidden.weight"],
        ["new_hidden.weight"],
    ]


def test_what_is_kept_stands_in_the_columns_of_its_parameter(book: Sample):
    layout, plan = book.book.layout, book.book.plan
    columns = {block.name: layout.column[block.ids] for block in plan.blocks}
    rows = {block.name: layout.row[block.ids] for block in plan.blocks}
    labels = ["old_m", "m", "m_hat", "old_v", "v", "v_hat"]
    for name in (f"{label}_{parameter}" for label in labels for parameter in ("hidden.weight", "output.bias")):
        parameter = name.rpartition("_")[2]
        np.testing.assert_array_equal(columns[name], columns[parameter])
        np.testing.assert_array_equal(np.diff(rows[name], axis=0), np.diff(rows[parameter], axis=0))


def recorded_late():
    with tn.record() as run:
        late()()
    return run


@pytest.mark.parametrize("detail", ["names", "ops"])
@pytest.mark.parametrize("what", BOOKS)
def test_a_workbook_recalculates(what: str, detail: str, tmp_path: Path):
    assert_recalculates(sample(BOOKS[what](), tmp_path / "book.xlsx", detail))


def test_each_dtype_has_hyperparameters_of_its_own():
    single, double = (nn.Parameter(np.ones(2, dtype), name=dtype) for dtype in ("float32", "float64"))
    optimizer = optim.SGD([single, double], lr=0.1)
    with tn.record() as run:
        for p in (single, double):
            (p * p).sum().backward()
        optimizer.step()
    assert (run["lr"].dtype, run["lr_2"].dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(run["new_float64"], np.full(2, 1 - 0.1 * 2.0))
    np.testing.assert_array_equal(run["new_float32"], single.data)
