"""Recalculated from nothing by two engines that know nothing of tinynet, every cell is what NumPy computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import Values, ironcalc, libreoffice, poison
from tests.workbooks import Sample, assert_agrees, changed, row_of, sample
from tinynet import functional as F
from tinynet import models, nn
from tinynet.primitives import TABLE

AS_RECORDED = "ALL CELLS ARE AS RECORDED"
ENGINES = {"libreoffice": libreoffice, "ironcalc": ironcalc}


def poisoned(one: Sample) -> Path:
    """A copy of the workbook in which every cached value is wrong."""
    out = one.path.with_name(f"poisoned-{one.path.name}")
    assert poison(one.path, out) == len(one.formulas) >= sum(block.ids.size for block in one.computed) > 0
    return out


def assert_recalculates(one: Sample) -> None:
    """Both engines, from poisoned caches: every computed cell right, no error anywhere, Checks content."""
    path = poisoned(one)
    places = [place for block in one.book.plan.blocks for place in one.places(block)]
    assert len(set(places)) == len(places)  # no two numbers share a cell
    engines = dict(ENGINES)
    if any("ERF(" in formula for formula in one.formulas.values()):
        del engines["ironcalc"]  # whose ERF has ten digits; LibreOffice's has all
    for engine in engines.values():
        values = engine(path)
        assert_agrees(one, values)
        assert values["Checks"]["B3"] == AS_RECORDED
        assert "poisoned" not in {value for cells in values.values() for value in cells.values()}
        for (sheet, address), formula in one.formulas.items():
            here = values[sheet]
            if sheet in one.networks and formula[1:] in here:  # the pictures of the inputs repeat their cells
                assert here[address] == here[formula[1:]]


# The networks

SHAPES = {
    "mlp": (models.mlp, {}),
    "mlp, batch 1, 2 layers": (models.mlp, {"inputs": 4, "batch": 1, "layers": 2}),
    "mlp, 2 updates": (models.mlp, {"inputs": 4, "batch": 2, "updates": 2}),
    "rnn": (models.rnn, {}),
    "rnn, batch 3": (models.rnn, {"batch": 3, "steps": 3}),
    "rnn, 2 layers, 2 updates": (models.rnn, {"layers": 2, "updates": 2, "steps": 3}),
    "rnn, 1 step": (models.rnn, {"steps": 1, "hidden": 1}),
    "lstm": (models.lstm, {}),
    "lstm, batch 3, 1 input": (models.lstm, {"batch": 3, "inputs": 1, "steps": 3}),
    "lstm, 2 layers, batch 3": (models.lstm, {"layers": 2, "batch": 3, "steps": 2, "hidden": 2}),
    "lstm, 2 updates": (models.lstm, {"updates": 2, "steps": 2}),
}


@pytest.mark.parametrize("detail", ["names", "ops"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_network_recalculates(shape: str, detail: str, tmp_path: Path):
    model, options = SHAPES[shape]
    assert_recalculates(sample(model(**options), tmp_path / "network.xlsx", detail))


def test_a_saturated_network_recalculates(tmp_path: Path):
    """Pre-activations of ±900 neither overflow nor lose the small side of a sigmoid."""
    run = models.lstm(steps=2, hidden=2)
    huge = {name: 1000 * array for name, array in run.parameters.items()}
    one = sample(run.replay(**huge), tmp_path / "huge.xlsx")
    assert_recalculates(one)


# Programs that people write by hand: plain functions of tensors


class Program(NamedTuple):
    function: Callable[..., tn.Tensor]
    leaves: dict[str, np.ndarray]


def regression(w: tn.Tensor, b: tn.Tensor, x: tn.Tensor, y: tn.Tensor) -> tn.Tensor:
    return F.mse_loss(x @ w + b, y)


def kinks(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    largest, smallest = F.maximum(w, x), F.minimum(w, x)
    return (largest.relu() * 2 - smallest.abs()).sum() + w.max(0).sum() * x.min()


def choices(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    picked = F.where(w > x, w * x, w - x) + F.where(w <= 0.25, 1, w) + F.where(w >= x, w, 0) * 3
    return (picked + F.where(w != x, w / 2, x)).sum() + F.where(w < 0, -w, F.where(w == x, x, w * w)).sum()


def powers(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    squares = w * w + 1
    return (squares.sqrt() + squares.log() - squares**-0.5 + (-(w**2)).exp() + squares**x + 2**w + w**3).sum()


def signs(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    return (tn.primitives.sign(w) * w * x - (-w - -x) * -3.0 - 1 / (x - -4)).sum()


def shapes(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    padded = F.pad(F.flip(w, 1), [(1, 0), (0, 2)])
    joined = F.cat([padded, F.pad(x, [(0, 0), (2, 1)])], 0)
    mixed = joined.T.reshape(-1, 9)[1:] @ joined.reshape(9, 5)[:, ::2]
    return (mixed.sigmoid() * x[1:, :1].expand(4, 3)).sum() + joined[np.array([0, -1, 0])].tanh().sum()


def table(w: tn.Tensor, index: tn.Tensor) -> tn.Tensor:
    return (F.embedding(index, w).tanh() * w[index]).sum()


def places(w: tn.Tensor, index: tn.Tensor) -> tn.Tensor:
    return (F.gather(w, 1, index) ** 2).sum() + F.gather(w * w, 0, index[:, [0, 2, 1, 1]]).sum()


def batched(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    return (x.transpose(1, 2) @ F.softmax(x @ w, -1)).tanh().sum()


def maps(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    smooth = F.gelu(F.conv2d(x, w, padding=1))
    return (F.max_pool2d(smooth, 2, stride=1) * F.avg_pool2d(smooth, 2, stride=1)).sum()


def projection(w: tn.Tensor, x: tn.Tensor, s: tn.Tensor) -> tn.Tensor:
    return ((x @ w).tanh() * s).sum()


def slopes(w: tn.Tensor, index: tn.Tensor) -> tn.Tensor:
    """A penalty on a gradient: the backward pass has a backward pass."""
    slope = tn.grad((F.gather(w, 1, index) ** 3).sum() + (w[index[0]] ** 3).sum(), w, create_graph=True)
    return (slope * slope).sum()


def alike(w: tn.Tensor) -> tn.Tensor:
    number = F.mse_loss(w, w)
    return F.mse_loss(number, number)


def stored(w: tn.Tensor, index: tn.Tensor) -> tn.Tensor:
    return (tn.primitives.put(w, index, size=3) ** 2).sum()


def filtered(w: tn.Tensor) -> tn.Tensor:
    return (F.conv1d(-w.reshape(1, 1, 1), -w.reshape(1, 1, 1)) / 2).sum()


def slid(w: tn.Tensor, index: tn.Tensor) -> tn.Tensor:
    chosen = F.gather(F.maximum(w + 5, w) - 5, 2, index)
    return tn.primitives.windows(chosen.reshape(1, 1, -1), size=(2,), stride=(1,), dilation=(1,)).sum()


def accumulated(w: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    """A batch in two parts: backward() runs twice, and the gradients add up."""
    (x[:1] @ w).tanh().sum().backward()
    return (x[1:] @ w).tanh().sum()


W, X = spread(3, 3), spread(3, 3, seed=1, shift=0.03)
PROGRAMS = {
    "projection": Program(projection, {"w": spread(4, 2), "x": spread(3, 4, seed=1), "s": spread(3, 2, seed=2)}),
    "vectors": Program(projection, {"w": spread(4, 2), "x": spread(4, seed=1), "s": spread(2, seed=2)}),
    "regression": Program(
        regression, {"w": spread(2, 1), "b": spread(1), "x": spread(5, 2, seed=3), "y": spread(5, 1, seed=4)}
    ),
    "kinks": Program(kinks, {"w": W, "x": X}),
    "ties": Program(kinks, {"w": np.array([[1.0, 2.0], [1.0, -2.0]]), "x": np.array([[1.0, -2.0], [-2.0, -2.0]])}),
    "choices": Program(choices, {"w": W, "x": np.where(np.eye(3) > 0, W, X)}),
    "powers": Program(powers, {"w": W, "x": X}),
    "signs": Program(signs, {"w": W, "x": X}),
    "shapes": Program(shapes, {"w": spread(3, 3), "x": spread(5, 2, seed=5)}),
    "table": Program(table, {"w": spread(4, 2), "index": np.array([[2, 0, 2], [3, 2, 1]])}),
    "places": Program(places, {"w": spread(3, 4), "index": np.array([[0, 2, 0], [1, 1, 2], [2, 0, 1]])}),
    "batched": Program(batched, {"w": spread(2, 3), "x": spread(2, 2, 2, seed=6)}),
    "gradient of a gradient": Program(slopes, {"w": spread(3, 3), "index": np.array([[0, 2], [1, 1], [2, 0]])}),
    "accumulated gradients": Program(accumulated, {"w": spread(2, 2), "x": spread(3, 2)}),
    "a constant kernel": Program(
        lambda x: F.conv2d(x, tn.tensor(np.ones((1, 1, 2, 2)))).sum(), {"x": spread(1, 1, 3, 3)}
    ),
    "one number": Program(lambda w: w * w, {"w": np.array(0.3)}),
    "a number that is compared with itself": Program(alike, {"w": np.array([0.3])}),
    "matrices that are put somewhere": Program(stored, {"w": spread(2, 2, 3), "index": np.array([2, 0])}),
    "nothing but maps": Program(filtered, {"w": np.array([0.3])}),
    "nothing but windows": Program(slid, {"w": spread(3, 1, 1), "index": np.zeros((3, 1, 1), dtype=int)}),
    "nothing but a sum of one": Program(lambda w: w.reshape(-1).sum(), {"w": np.array([0.3])}),
    "maps": Program(maps, {"w": spread(2, 1, 2, 2), "x": spread(1, 1, 3, 3)}),
}


def recorded(program: Program) -> tn.Run:
    """The program and its gradients, by all leaves that can have one."""
    leaves = [tn.tensor(a, requires_grad=a.dtype.kind == "f", name=n) for n, a in program.leaves.items()]
    with tn.record() as run:
        program.function(*leaves).backward()
    return run


@pytest.mark.parametrize("detail", ["names", "ops"])
@pytest.mark.parametrize("title", PROGRAMS)
def test_a_program_recalculates(title: str, detail: str, tmp_path: Path):
    program = PROGRAMS[title]
    run = recorded(program)
    for name, array in program.leaves.items():
        assert array.dtype.kind != "f" or f"d_{name}" in run
    assert_recalculates(sample(run, tmp_path / "program.xlsx", detail))


@pytest.mark.parametrize("detail", ["names", "ops"])
def test_a_computation_without_names_or_gradients_recalculates(detail: str, tmp_path: Path):
    x = tn.tensor(spread(2, 3), name="x")
    with tn.record() as run:
        x.tanh().T  # noqa: B018
        (x > 0).sum(0)
    one = sample(run, tmp_path / "nameless.xlsx", detail)
    shown = np.concatenate([one.numbers(block) for block in one.computed])
    assert np.isin(np.tanh(spread(2, 3)), shown).all() and np.isin((spread(2, 3) > 0).sum(0), shown).all()
    assert_recalculates(one)


LAYERS = {
    "of units": (lambda: (nn.Linear(2, 3), nn.Linear(3, 1)), spread(2, 2), spread(2, 3)),
    "of maps": (lambda: (nn.Conv2d(1, 1, 2), nn.Conv2d(1, 1, 2)), spread(1, 1, 4, 4), spread(1, 1, 3, 3)),
}


@pytest.mark.parametrize("detail", ["names", "ops"])
@pytest.mark.parametrize("what", LAYERS)
def test_rounds_of_training_that_use_other_layers_recalculate(what: str, detail: str, tmp_path: Path):
    """All parameters have gradients and new values in each round that they take part in, and stand in every one."""
    make, x, z = LAYERS[what]
    tn.manual_seed(1)
    first, second = make()
    optimiser = tn.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1)
    uses = (lambda: second(first(tn.tensor(x))), lambda: second(tn.tensor(z)).tanh(), lambda: first(tn.tensor(x)))
    with tn.record() as run:
        for use in uses:
            optimiser.zero_grad()
            use().sum().backward()
            optimiser.step()
    assert_recalculates(sample(run, tmp_path / "rounds.xlsx", detail))


@pytest.mark.parametrize("detail", ["names", "ops"])
def test_vectors_that_take_turns_beside_the_same_rows_recalculate(detail: str, tmp_path: Path):
    vectors = [nn.Parameter(spread(2, seed=seed)) for seed in (1, 2)]
    optimiser = tn.optim.SGD(vectors, lr=0.1)
    with tn.record() as run:
        for w in vectors:
            optimiser.zero_grad()
            tn.name(w.max(0, keepdims=True), "largest").tanh().sum().backward()
            optimiser.step()
    assert_recalculates(sample(run, tmp_path / "turns.xlsx", detail))


@pytest.mark.parametrize("detail", ["names", "ops"])
def test_a_round_of_training_in_which_nothing_is_computed_forward_recalculates(detail: str, tmp_path: Path):
    w = nn.Parameter(spread(1))
    optimiser = tn.optim.SGD([w], lr=0.1)
    with tn.record() as run:
        for use in (lambda: w.tanh().sum(), lambda: w.reshape(-1).sum()):
            optimiser.zero_grad()
            use().backward()
            optimiser.step()
    assert_recalculates(sample(run, tmp_path / "rounds.xlsx", detail))


def test_the_programs_use_every_primitive():
    used = {step.primitive for program in PROGRAMS.values() for step in recorded(program).steps}
    assert used == set(TABLE)


# What the reader types


class Edit(NamedTuple):
    leaf: str
    index: tuple[int, ...]
    number: float


EDITS = {
    "a weight of the lstm": ("lstm", Edit("lstm.weight_hh_l0", (7, 1), 0.7)),
    "a bias of the lstm": ("lstm", Edit("lstm.bias_ih_l0", (2,), -0.4)),
    "an input of the lstm": ("lstm", Edit("x", (1, 0, 1), 0.35)),
    "a target class of the lstm": ("lstm", Edit("target", (2, 0), 1)),
    "the initial state of the lstm": ("lstm", Edit("lstm.c[initial]", (0, 1), 0.5)),
    "the learning rate of the lstm": ("lstm", Edit("lr", (), 0.03)),
    "a weight of the mlp": ("mlp", Edit("output.weight", (9, 5), 0.25)),
    "an input of the mlp": ("mlp", Edit("x", (2, 1, 3), 0.9)),
    "a target class of the mlp": ("mlp", Edit("target", (1,), 7)),
    "the learning rate of the mlp": ("mlp", Edit("lr", (), 2.0)),
    "a weight before two updates": ("twice", Edit("rnn.weight_ih_l0", (2, 0), 1.5)),
    "the learning rate of two updates": ("twice", Edit("lr", (), 1.0)),
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("books")
    runs = {"mlp": models.mlp(), "lstm": models.lstm(), "twice": models.rnn(updates=2, batch=2)}
    return {name: sample(run, folder / f"{name}.xlsx") for name, run in runs.items()}


def edited(one: Sample, edit: Edit) -> Values:
    return libreoffice(one.path, {one.place_of(edit.leaf, *edit.index): edit.number})


def check(values: Values, label: str, column: str = "B") -> float:
    """A number of the sheet Checks, by the label of its row."""
    number = values["Checks"][f"{column}{row_of(values, 'Checks', label)}"]
    assert isinstance(number, float)
    return number


@pytest.mark.parametrize("what", EDITS)
def test_after_an_edit_the_sheet_is_the_replayed_run(what: str, books: dict[str, Sample]):
    name, edit = EDITS[what]
    one = books[name]
    values = edited(one, edit)
    assert_agrees(one, values, changed(one.run, *edit))
    assert str(values["Checks"]["B3"]).startswith("EDITED")
    assert check(values, "all") == 1


@pytest.mark.parametrize("what", [what for what in EDITS if what.startswith(("a weight", "a bias", "an input"))])
def test_the_predicted_loss_is_the_loss_plus_gradient_times_edit(what: str, books: dict[str, Sample]):
    name, edit = EDITS[what]
    one = books[name]
    loss, slope = one.run["loss"], one.run.grad[edit.leaf][edit.index]
    start = one.run[edit.leaf][edit.index]
    misses = []
    for delta in (0.02, 0.002):
        values = edited(one, edit._replace(number=start + delta))
        predicted = check(values, "loss predicted to first order")
        assert predicted == pytest.approx(loss + slope * (start + delta - start), abs=1e-14)
        assert check(values, "loss that the sheet now computes") == pytest.approx(
            changed(one.run, edit.leaf, edit.index, start + delta)["loss"], abs=1e-14
        )
        misses.append(check(values, "what the prediction misses"))
    assert 80 < misses[0] / misses[1] < 125  # ten times the edit misses about a hundred times as much


@pytest.mark.parametrize(
    "what, note",
    [
        ("a target class of the mlp", "not predicted, no gradient was recorded: target"),
        ("a weight of the mlp", "Gradients say where a small edit takes the loss"),
        ("the learning rate of the mlp", "Gradients say where a small edit takes the loss"),
        ("the learning rate of two updates", "Gradients say where a small edit takes the loss"),
    ],
)
def test_what_the_prediction_leaves_out_is_said(what: str, note: str, books: dict[str, Sample]):
    name, edit = EDITS[what]
    values = edited(books[name], edit)
    row = row_of(values, "Checks", "what the prediction misses")
    assert str(values["Checks"][f"A{row + 1}"]).startswith(note)


def test_several_edits_are_counted_and_their_predictions_added(books: dict[str, Sample]):
    one = books["lstm"]
    edits = [Edit("x", (0, 0, 0), 0.1), Edit("x", (3, 0, 1), 0.2), Edit("output.bias", (1,), 0.3)]
    values = libreoffice(one.path, {one.place_of(e.leaf, *e.index): e.number for e in edits})
    moved = sum(one.run.grad[e.leaf][e.index] * (e.number - one.run[e.leaf][e.index]) for e in edits)
    assert check(values, "all") == 3
    assert check(values, "all", "C") == pytest.approx(moved, abs=1e-14)


def test_a_number_typed_over_a_formula_is_found(books: dict[str, Sample]):
    one = books["lstm"]
    block = next(block for block in one.computed if block.name == "lstm.c[1]")
    values = libreoffice(one.path, {one.places(block)[0]: 0.5})
    assert str(values["Checks"]["B3"]).startswith("DIFFERENT, first: lstm.")


# The step control


@pytest.mark.parametrize("name", ["mlp", "lstm", "twice"])
def test_the_step_control_shows_the_row_of_its_step(name: str, books: dict[str, Sample]):
    one = books[name]
    first, moments = one.networks[0], one.book.moments.all
    for step in (0, 1, len(moments) // 2, len(moments)):
        values = libreoffice(one.path, {(first, "C3"): step})
        row = values["Steps"]
        at = next(int(address[1:]) for address, value in row.items() if address[0] == "A" and value == step)
        for sheet in one.networks:
            shown = values[sheet]
            assert shown["C4"] == row[f"D{at}"]
            assert shown["C5"] == row[f"E{at}"]
            assert row[f"B{at}"] in [value for address, value in shown.items() if address[1:] == "3"]
            assert shown["C3"] == step
        if step:
            moment = moments[step - 1]
            assert row[f"B{at}"] == moment.phase
            place, number = one.places(moment.blocks[0])[0], one.numbers(moment.blocks[0])[0]
            assert row[f"H{at}"].partition(":")[0].replace("'", "") == "!".join(place)
            shown_number = str(row[f"E{at}"]).rpartition("=  ")[2].replace("−", "-")
            assert float(shown_number) == pytest.approx(number, abs=5e-4)
