"""What the sheets say in words: equations that are true for what they describe, and worked numbers."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet import functional as F
from tinynet import models, nn
from tinynet.run import Run
from tinynet.workbook.book import Book
from tinynet.workbook.worked import Live, Worked


def equations(run: Run) -> dict[str, str]:
    """The equation of every quantity, as the head of its block has it."""
    book = Book(run, "names", "x")
    return {family.quantity: book.words.of_family(family) for family in book.layout.families.all if family.computed}


def test_an_lstm_reads_like_the_textbook():
    found = equations(models.lstm(steps=5))
    assert found["lstm.z_f"] == "z_f = W_if·x + W_hf·h[t-1] + b_if + b_hf"
    assert found["lstm.c"] == "c = f ⊙ c[t-1] + i ⊙ g"
    assert found["lstm.h"] == "h = o ⊙ tanh_c"
    assert found["d_next_lstm.c"] == "δc ← t+1 = δc[t+1] ⊙ f[t+1]"
    assert found["d_lstm.z_o"] == "δz_o = δo ⊙ o ⊙ (1 − o)"
    assert found["d_output.z"] == "δz = δe ⊙ e − [target = row]·δnll"


def test_a_reverse_direction_reads_the_step_after_it():
    found = equations(models.rnn(bidirectional=True))
    assert found["rnn.z_reverse"] == (
        "z_reverse = W_ih_reverse·x + W_hh_reverse·h_reverse[t+1] + b_ih_reverse + b_hh_reverse"
    )
    assert found["d_previous_rnn.h_reverse"] == "δh_reverse ← t-1 = W_hh_reverseᵀ·δz_reverse[t-1]"


def test_a_mask_reads_as_a_comparison_with_the_time_step():
    found = equations(models.gru(batch=2, lengths=[4, 2]))
    assert found["gru.running"] == "running = lengths > t"
    assert found["gru.h"] == "h = (h_new if running else h[t-1])"


def test_an_equation_says_where_other_steps_differ():
    """One layer, called first on the input and then on its own output: no single equation is true for both."""
    layer, x = nn.Linear(3, 3), tn.tensor(np.ones((2, 3)), name="x")
    with tn.record() as run:
        h = x
        for _ in range(4):
            h = layer(h).tanh() if h is not x else layer(x)
        other = layer(x * 2)
        (h.sum() + other.sum()).backward()
    texts = equations(run)
    assert texts["linear.z"].endswith("(other steps differ)")


def test_an_equation_names_all_that_a_block_is_computed_from():
    """The gradient of a weight whose columns multiply different things says both ends."""
    w = tn.tensor(np.ones((2, 4)), requires_grad=True, name="w")
    a, b = tn.tensor(np.ones((3, 2)), name="a"), tn.tensor(np.ones((3, 2)), name="b")
    with tn.record() as run:
        tn.name(F.cat([a, b], 1) @ w.T, "y").sum().backward()
    book = Book(run, "names", "x")
    (block,) = [block for block in book.plan.blocks if block.name == "d_w"]
    assert book.words.equation(block) == "∂L/∂w = Σ δy·a, …, ∂L/∂w = Σ δy·b"


def test_a_comparison_of_numbers_is_not_a_choice_of_rows():
    w = tn.tensor([0.5, 2.0], requires_grad=True, name="w")
    with tn.record() as run:
        tn.name(F.where(w == 0.5, w, w * 3), "y").sum().backward()
    assert equations(run)["y"] == "y = (w if w = 0.5 else w·3)"


def test_numbers_are_worked_out_as_they_stand():
    run = models.rnn()
    book = Book(run, "names", "x")
    (block,) = [block for block in book.plan.blocks if block.name == "rnn.h[1]"]
    _, text = Worked(book.addresses, book.values, book.whole).line(block, "h[1]")
    z, h = run["rnn.z[1]"][0, 0], run["rnn.h[1]"][0, 0]
    assert text == f"h[1], first element:  tanh({z:.3f})  =  {h:.3f}"


@pytest.mark.parametrize(
    "number, text", [(0.0, "0.000"), (-0.0001234, "-1.2E-4"), (0.0005, "0.001"), (12.3456, "12.346"), (-2.0, "-2.000")]
)
def test_tiny_numbers_keep_their_digits(number: float, text: str):
    assert str(Live("A1", number)) == text


def test_joined_vectors_are_named_in_their_order():
    h, x = (tn.tensor(np.arange(3.0), name=name) for name in ("h", "x"))
    with tn.record() as run, tn.time_step(0):
        z = tn.name(F.cat([h * 2, x, h], dim=0) * 1, "z")
        tn.name((z * z).sum(), "penalty")
    found = equations(run)
    assert found["z"] == "z = [multiply, x, h]" and found["penalty"] == "penalty = Σ z²"


def test_the_element_that_is_worked_out_lacks_nothing():
    x = tn.tensor(np.array([2.0, 4.0, 8.0]), name="x", requires_grad=True)
    with tn.record() as run:
        tn.name(1 / x[2], "y").backward()
    book = Book(run, "names", "x")
    worked = Worked(book.addresses, book.values, book.whole)
    (block,) = [block for block in book.plan.blocks if block.quantity == "d_x"]
    assert worked.line(block, "δx")[1].startswith("δx[2]:  ")
