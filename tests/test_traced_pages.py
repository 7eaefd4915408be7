"""How code without any names of ours stands on the page: what a loop does at every step in one row, step by step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet.workbook.book import Book
from tinynet.workbook.plan import Block

STEPS, SAMPLES = 4, 2


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def counted(x, y, W, U, b, V):
    """Samples are columns, and the loop counts."""
    h, loss = np.zeros((3, x.shape[2])), 0.0
    for t in range(len(x)):
        h = np.tanh(W @ x[t] + U @ h + b)
        o = V @ h
        p = np.exp(o) / np.sum(np.exp(o), axis=0)
        loss = loss - np.sum(y[t] * np.log(p))
    return loss


def zipped(x, y, W, U, b, V):
    """Samples are rows, and nothing counts."""
    h, losses = np.zeros((x.shape[1], 3)), []
    for now, wanted in zip(x, y, strict=True):
        h = np.tanh(now @ W + h @ U + b)
        o = h @ V
        p = np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
        losses.append(-(wanted * np.log(p)).sum())
    return sum(losses)


def joined(x, y, W, b, V):
    """One sequence of vectors, each joined to the state."""
    h, c, loss = np.zeros(3), np.zeros(3), 0.0
    for t in range(len(x)):
        z = np.concatenate([h, x[t]])
        f = sigmoid(W @ z + b)
        c = f * c + (1 - f) * np.tanh(z[:3])
        h = f * np.tanh(c)
        o = V @ h
        loss = loss + np.sum((o - y[t]) ** 2)
    return loss


COLUMNS = {"x": (STEPS, 2, SAMPLES), "y": (STEPS, 3, SAMPLES), "W": (3, 2), "U": (3, 3), "b": (3, 1), "V": (3, 3)}
ROWS = {"x": (STEPS, SAMPLES, 2), "y": (STEPS, SAMPLES, 3), "W": (2, 3), "U": (3, 3), "b": (3,), "V": (3, 3)}
JOINED = {"x": (STEPS, 2), "y": (STEPS, 2), "W": (3, 5), "b": (3,), "V": (2, 3)}
CODE: dict[str, tuple[Callable, dict]] = {
    "counted": (counted, COLUMNS),
    "zipped": (zipped, ROWS),
    "joined": (joined, JOINED),
}


def book_of(code: str) -> Book:
    function, shapes = CODE[code]
    return Book(tn.trace(function, **{name: spread(*shape) for name, shape in shapes.items()}), "names", "Network")


def steps_of(book: Book, quantity: str) -> dict[int | None, Block]:
    return {block.time: block for block in book.plan.blocks if block.quantity == quantity}


def columns_of(book: Book, block: Block) -> list[int]:
    return sorted(set(book.layout.column[block.ids.reshape(-1)].tolist()))


@pytest.mark.parametrize("code", ["counted", "zipped"])
def test_what_has_no_name_is_one_quantity_over_time(code: str):
    book = book_of(code)
    names = {block.quantity for block in book.plan.blocks if block.value.quantity is None}
    forward = {name for name in names if steps_of(book, name)[0].phase == "forward"}
    assert "exp" in forward and not any(name[-1].isdigit() for name in forward)
    scores = steps_of(book, "o")
    for name in names:
        steps = steps_of(book, name)
        assert sorted(steps, key=str) == list(range(STEPS)), name
        rows = {tuple(sorted(set(book.layout.row[b.ids.reshape(-1)].tolist()))) for b in steps.values()}
        assert len(rows) == 1, name
        for t, block in steps.items():
            assert set(columns_of(book, block)) <= set(columns_of(book, scores[t])), name


def test_an_unnamed_quantity_of_the_backward_pass_is_not_called_after_a_forward_one():
    book = book_of("zipped")
    forward = {b.quantity for b in book.plan.blocks if b.phase == "forward"}
    nameless = {b.quantity for b in book.plan.blocks if b.phase == "backward" and b.value.quantity is None}
    assert nameless and not nameless & (forward | {f"d_{name}" for name in forward})


def test_a_vector_that_is_joined_to_the_state_stands_at_its_step():
    book = book_of("joined")
    columns = {t: columns_of(book, block) for t, block in steps_of(book, "h").items()}
    assert all(len(found) == 1 for found in columns.values()) and len(columns) == STEPS + 1
    for quantity in ("z", "f", "c", "o", "loss"):
        for t, block in steps_of(book, quantity).items():
            assert columns_of(book, block) == columns[t], (quantity, t)
    assert sorted(steps_of(book, "z")) == list(range(STEPS))  # at the first, too, where both parts are typed in
    for quantity in ("x", "y"):
        (block,) = steps_of(book, quantity).values()
        assert [book.layout.column[ids].tolist() for ids in block.ids] == [2 * columns[t] for t in range(STEPS)]


@pytest.mark.parametrize(("code", "turned"), [("counted", False), ("zipped", True)])
def test_a_square_matrix_stands_on_the_rows_that_it_feeds(code: str, turned: bool):
    book = book_of(code)
    rectangles = [r for sheet in book.sheets for part in sheet.parts for r in part.rectangles if r.name in "WUV"]
    assert len(rectangles) == 3
    ids = {block.quantity: block.ids for block in book.plan.blocks}
    for rectangle in rectangles:
        assert rectangle.turned == turned
        np.testing.assert_array_equal(rectangle.ids, ids[rectangle.name].T if turned else ids[rectangle.name])
    forward = book.words.equation(steps_of(book, "o")[1])
    backward = book.words.equation((steps_of(book, "d_here_h") or steps_of(book, "d_h"))[1])
    assert ("Vᵀ·h" in forward) == turned and ("Vᵀ·δo" in backward) != turned


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2}])
def test_every_operation_of_a_layer_stands_at_its_step(options: dict):
    layer, x = tn.nn.RNN(2, 3, **options), tn.tensor(spread(STEPS, 1, 2), name="x")
    with tn.record() as run:
        layer(x)[0].sum().backward()
    book = Book(run, "ops", "Network")
    made_by = {step.output.index: step for step in run.steps}
    products = [b for b in book.plan.blocks if b.phase == "forward" and b.quantity.partition(".")[2][:6] == "matmul"]
    assert len(products) >= STEPS
    for block in products:
        step = made_by[block.value.index]
        states = [b for b in book.plan.blocks if b.time == step.time and b.phase == "forward" and ".h" in b.quantity]
        assert block.time == step.time
        assert columns_of(book, block) == columns_of(book, states[0])


def test_a_bare_array_stands_where_it_is_used():
    x, w, target = (
        tn.tensor(spread(4, 3), name="x"),
        tn.tensor(spread(3, 2), name="w", requires_grad=True),
        spread(4, 2),
    )
    with tn.record() as run:
        ((x @ w) * target).sum().backward()
    book = Book(run, "names", "Network")
    (block,) = [block for block in book.plan.blocks if block.value.kind == "constant" and block.ids.size > 1]
    (shown,) = [block for block in book.plan.blocks if block.quantity == "x"]
    assert [columns_of(book, shown), len(columns_of(book, shown))] == [columns_of(book, block), 4]


def test_unnamed_quantities_of_several_layers_are_told_apart():
    layers, x = [tn.nn.LayerNorm(3), tn.nn.LayerNorm(3)], tn.tensor(spread(2, 3), name="x")
    with tn.record() as run:
        (layers[1](layers[0](x)) ** 2).sum().backward()
    families = Book(run, "names", "Network").layout.families.all
    symbols = [family.symbol for family in families if family.blocks[0].value.quantity is None]
    assert len(symbols) > 2 and len(set(symbols)) == len(symbols)


def test_integers_that_a_loop_takes_for_places_stand_at_its_steps():
    def code(inputs, targets, W, U):
        h, loss = np.zeros((3, 1)), 0.0
        for t in range(len(inputs)):
            x = np.zeros((2, 1))
            x[inputs[t]] = 1
            h = np.tanh(W @ x + U @ h)
            loss = loss - np.log(h[targets[t], 0] ** 2)
        return loss

    sequences = {"inputs": np.array([0, 1, 1, 0]), "targets": np.array([2, 0, 1, 1])}
    book = Book(tn.trace(code, **sequences, W=spread(3, 2), U=spread(3, 3)), "names", "Network")
    columns = [book.layout.column[steps_of(book, "h")[t].ids.item(0)] for t in range(STEPS)]
    for name in sequences:
        (block,) = [block for block in book.plan.blocks if block.quantity == name]
        assert book.layout.column[block.ids].tolist() == columns
