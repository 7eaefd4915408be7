"""What compiled code does at once, where it puts numbers, and what it must not mix up."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.test_compiled import CLOSE, assert_same
from tinynet import functional as F
from tinynet import models, nn, optim
from tinynet import primitives as P
from tinynet.compiled.code import Code
from tinynet.compiled.families import Families, circles
from tinynet.compiled.lanes import in_a_row, runs, stacked
from tinynet.compiled.regions import region_of, tiled_axis


def calls(run):
    """How often each function is called."""
    return Counter(re.match(r"\w+", line).group() for line in Code(run.recomputed({})).lines)


def compiles(run, **leaves):
    """The compiled run, which computes what the run does, twice, and then from other leaves."""
    step = run.compile()
    for _ in range(2):
        step()
        assert_same(step, run)
    step(**leaves)
    assert_same(step, run.replay(**leaves))
    return step


# Recurrent layers: what each time step costs, and that every variant is right


def last_state(layer, steps, batch):
    x = tn.tensor(spread(steps, batch, layer.input_size), name="x")
    with tn.record() as run:
        (layer(x)[0][-1] ** 2).sum().backward()
    return run


@pytest.mark.parametrize("batch", [1, 2])
def test_calls_for_each_time_step_of_an_rnn(batch):
    more, fewer = (calls(last_state(nn.RNN(2, 3), steps, batch)) for steps in (9, 8))
    assert more - fewer == Counter(dot=2, add=1, tanh=1, multiply=1) and not fewer - more
    assert not more.keys() & {"concatenate", "matmul"}  # all rows lie one below the other already


def test_calls_for_each_time_step_of_an_lstm():
    more, fewer = (calls(last_state(nn.LSTM(2, 3), steps, 2)) for steps in (9, 8))
    forward = Counter(dot=1, add=3, tanh=2, multiply=5)
    backward = Counter(dot=1, add=1, multiply=4)  # of the gates i, f and g, one product
    assert more - fewer == forward + backward and not fewer - more


VARIANTS = {
    "lstm": [
        {"batch": 3, "steps": 6},
        {"layers": 2, "bidirectional": True, "batch": 2},
        {"peepholes": True, "batch": 2, "steps": 6},
        {"coupled_gates": True},
        {"cell_clip": 0.1},
        {"proj_size": 2, "batch": 2},
        {"lengths": [4, 3, 1], "batch": 3},
        {"truncate": (2, 3), "steps": 6},
    ],
    "gru": [{"batch": 2, "steps": 6}, {"reset_before": True}, {"layers": 2, "dropout": 0.3}],
    "rnn": [{"steps": 7, "loss": "last"}, {"bidirectional": True, "lengths": [4, 3, 1], "batch": 3}],
}


@pytest.mark.parametrize(("kind", "options"), [(kind, o) for kind, each in VARIANTS.items() for o in each])
def test_variants_of_recurrent_layers(kind, options):
    run = getattr(models, kind)(updates=2, **options)
    step, single = run.compile(), run.astype("float32").compile()
    step()
    assert_same(step, run)
    single()
    assert_same(single, run.astype("float32"), {"rtol": 1e-4, "atol": 1e-6})


def test_a_loop_of_ones_own_with_a_sum_that_goes_on():
    """c[t] = c[t − 1] + a · b[t] waits for itself; a · b[t] does not."""
    a = tn.tensor(spread(3), requires_grad=True, name="a")
    b = tn.tensor(spread(8, 3, seed=1), requires_grad=True, name="b")
    with tn.record() as run:
        c = tn.tensor(np.zeros(3))
        for t in range(8):
            with tn.time_step(t):
                c = tn.name(c + tn.name(a * b[t], "p"), "c")
        (c * c).sum().backward()
    compiles(run, a=spread(3, seed=2), b=spread(8, 3, seed=3))
    assert calls(run)["multiply"] < 8


def decaying(steps):
    """h[t] = h[t − 1] · a[t] · b[t] · c[t]."""
    a, b, c = (tn.tensor(spread(steps, 2, seed=i), requires_grad=True, name="abc"[i]) for i in range(3))
    with tn.record() as run:
        h = tn.tensor(np.ones(2))
        for t in range(steps):
            with tn.time_step(t):
                h = tn.name(tn.name(h * a[t], "partial") * b[t] * c[t], "h")
        h.sum().backward()
    return run


def test_products_in_a_loop_are_put_together_before_it():
    """One for h, and two for its gradient, which passes by that of the named partial product."""
    compiles(decaying(9), a=spread(9, 2, seed=5))
    assert calls(decaying(12)) - calls(decaying(11)) == Counter(multiply=3)


# Numbers that are zero, computed twice, or never asked for


def test_zeros_are_not_added():
    x = tn.tensor(spread(2, 3), requires_grad=True, name="x")
    with tn.record() as run:
        y = tn.name(x * 2.0, "y")
        z = F.stack([y, y * 3.0, y * 5.0])
        (z[1] ** 2).sum().backward()
    compiles(run, x=spread(2, 3, seed=1))
    assert not run.grad["x"].any() or calls(run)["add"] < sum(step.primitive == "add" for step in run.steps)


def test_what_is_computed_twice_is_computed_once():
    x = tn.tensor(spread(2, 3), name="x")
    with tn.record() as run:
        tn.name(x.exp() + x.exp(), "y")
    compiles(run, x=spread(2, 3, seed=1))
    assert calls(run) == {"exp": 1, "add": 1}


def test_what_nobody_can_ask_for_has_no_buffer():
    x = tn.tensor(spread(2, 3), name="x")
    with tn.record() as run:
        x.exp()
        tn.name(x + 1.0, "y")
    step = compiles(run)
    assert calls(run) == {"add": 1}
    assert step.run.values[1].array.strides == (0, 0) and step.run.values[1].shape == (2, 3)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_gradients_of_parts_are_computed_in_their_places(order):
    x = tn.tensor(spread(2, 6), requires_grad=True, name="x")
    with tn.record() as run:
        parts = [x[:, 2 * k : 2 * k + 2] for k in order]
        (parts[0].exp() * parts[1].tanh() * parts[2]).sum().backward()
    compiles(run, x=spread(2, 6, seed=1))
    assert not calls(run).keys() & {"copyto", "concatenate"}


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_of_two_dtypes(axis):
    x = tn.tensor(spread(2, 2), requires_grad=True, name="x")
    y = tn.tensor(spread(2, 2, seed=1).astype("float32"), requires_grad=True, name="y")
    with tn.record() as run:
        (F.cat([tn.name(x.exp(), "p"), tn.name(y.tanh(), "q")], axis) ** 2).sum().backward()
    compiles(run, x=spread(2, 2, seed=2))


def test_parts_that_overlap_are_added():
    x = tn.tensor(spread(2, 6), requires_grad=True, name="x")
    with tn.record() as run:
        (x[:, :4].exp() * x[:, 2:].tanh()).sum().backward()
    compiles(run, x=spread(2, 6, seed=1))


@pytest.mark.parametrize("gates", ["st", "ts", "ss", "tt"])
def test_gates_of_one_value(gates):
    x = tn.tensor(spread(3, 8), requires_grad=True, name="x")
    squash = {"s": F.sigmoid, "t": F.tanh}
    with tn.record() as run:
        a, b = (squash[gate](tn.name(x[:, 4 * k : 4 * k + 4], f"z{k}")) for k, gate in enumerate(gates))
        (a * b).sum().backward()
    compiles(run, x=spread(3, 8, seed=1))
    assert calls(run)["tanh"] == 1


@pytest.mark.parametrize("slices", [(slice(0, 3), slice(5, 8)), (slice(0, 5), slice(3, 8)), (slice(1, 8), slice(0, 1))])
def test_gates_that_do_not_fill_a_value_or_overlap(slices):
    x = tn.tensor(spread(3, 8), requires_grad=True, name="x")
    with tn.record() as run:
        a, b = (squash(tn.name(x[:, part], "z")) for squash, part in zip((F.sigmoid, F.tanh), slices, strict=True))
        (a.sum() * b.sum()).backward()
    compiles(run, x=spread(3, 8, seed=1))


def test_a_gradient_that_is_zero_in_part():
    x = tn.tensor(spread(2, 3), requires_grad=True, name="x")
    with tn.record() as run:
        y = x.exp()
        (F.cat([y, x.tanh()], 1)[:, 1:4].sum() + (y * y).sum()).backward()
    compiles(run, x=spread(2, 3, seed=1))


def test_sums_that_share_sums():
    """As Fibonacci's numbers: written out, the last would have billions of terms."""
    a = b = tn.tensor(spread(3), requires_grad=True, name="x")
    with tn.record() as run:
        for _ in range(50):
            a, b = b, a + b
        (b / 1e10).sum().backward()
    compiles(run, x=spread(3, seed=1))


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_sums_of_products(axes):
    a, b = (tn.tensor(spread(5, 3, 3, seed=i), requires_grad=True, name="ab"[i]) for i in range(2))
    with tn.record() as run:
        total = P.transpose(a[0], axes=axes) @ b[0]
        for t in range(1, 5):
            total = total + P.transpose(a[t], axes=axes) @ b[t]
        (total**2).sum().backward()
    compiles(run, a=spread(5, 3, 3, seed=2))


def test_sums_of_what_has_different_shapes_before_it_is_moved():
    a, b = tn.tensor(spread(5, 6), name="a"), tn.tensor(spread(5, 2, 3), name="b")
    c, d = tn.tensor(spread(5, 4), name="c"), tn.tensor(spread(5, 3), name="d")
    with tn.record() as run:
        tn.name(P.reshape(P.sum(a, axis=0, keepdims=False), shape=(2, 3)) + _reshaped_sum(b), "sum")
        tn.name(P.reshape(c.T @ d, shape=(2, 6)) + P.reshape(a[:, :2].T @ a, shape=(2, 6)), "product")
    compiles(run, a=spread(5, 6, seed=1))


def _reshaped_sum(x):
    return P.reshape(P.sum(x, axis=0, keepdims=False), shape=(2, 3))


def test_two_factors_of_the_loop():
    a, b = (tn.tensor(spread(6, 2, seed=i), requires_grad=True, name="ab"[i]) for i in range(2))
    with tn.record() as run:
        h = tn.tensor(np.ones(2))
        for t in range(6):
            with tn.time_step(t):
                h = tn.name(((h * a[t]) * (h * b[t])).tanh() + 0.5, "h")
        h.sum().backward()
    compiles(run, a=spread(6, 2, seed=5))


def test_parts_with_a_common_factor_of_which_one_waits_for_another():
    a = tn.tensor(spread(6, 2, 2), requires_grad=True, name="a")
    with tn.record() as run:
        h = tn.tensor(np.ones((2, 4)))
        for t in range(6):
            with tn.time_step(t):
                s = h[:, :2].tanh()
                first = s * a[t]
                h = tn.name(F.cat([first, s * first.exp()], 1), "h")
        h.sum().backward()
    compiles(run, a=spread(6, 2, 2, seed=5))


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((2, 2, 3), (3,)), ((3,), (2, 3)), ((2, 3), (2, 1))])
def test_operands_with_fewer_axes_at_all_times(shapes):
    a, b = (tn.tensor(spread(9, *shape, seed=i), requires_grad=True, name="ab"[i]) for i, shape in enumerate(shapes))
    with tn.record() as run:
        for t in range(9):
            with tn.time_step(t):
                tn.name(a[t] * b[t], "product")
                if shapes[0][-1] == shapes[1][0]:
                    tn.name(P.matmul(a[t], b[t]), "dot")
    compiles(run, a=spread(9, *shapes[0], seed=2))
    assert calls(run)["multiply"] == 1


def test_places_that_are_named_twice():
    x = tn.tensor(spread(2, 3), requires_grad=True, name="x")
    index = tn.tensor(np.array([[0, 0], [2, 1]]), name="index")
    with tn.record() as run:
        (P.take_along_axis(x, index, axis=1) ** 2).sum().backward()
    compiles(run, x=spread(2, 3, seed=1), index=np.array([[1, 1], [2, 2]]))


# Updates: a parameter's buffer holds the old number until nobody needs it


def test_a_version_of_a_parameter_that_is_read_after_the_next():
    p = nn.Linear(1, 1, bias=False)
    optimizer, x = optim.SGD(p.parameters(), lr=0.5), tn.tensor([[2.0]], name="x")
    with tn.record() as run:
        for k in range(3):
            optimizer.zero_grad()
            (p(x) ** 2).sum().backward()
            optimizer.step()
            if k == 0:
                second = p.weight[0]
        tn.name(second * 3.0, "late")
    step = run.compile()
    step()
    late = next(value for value in run.values if value.quantity == "late")
    np.testing.assert_allclose(step[late.name], late.array, **CLOSE)
    for name, array in step.parameters.items():
        np.testing.assert_allclose(array, run[f"new_{name}#3"], **CLOSE)


def test_what_reads_the_old_and_the_new_number():
    p = nn.Linear(1, 1, bias=False)
    optimizer, x = optim.SGD(p.parameters(), lr=0.5), tn.tensor([[2.0]], name="x")
    with tn.record() as run:
        old = p.weight[0]
        p(x).sum().backward()
        optimizer.step()
        tn.name(old * p.weight[0], "both")
    step = run.compile()
    step()
    both = next(value.name for value in run.values if value.quantity == "both")
    np.testing.assert_allclose(step[both], run[both], **CLOSE)


@pytest.mark.parametrize("axis", [0, 1])
def test_parameters_that_are_joined_before_and_after_their_updates(axis):
    (eager, train), (_, train_recorded) = joined(axis), joined(axis)
    with tn.record() as run:
        train_recorded()
    step = run.compile()
    for _ in range(3):
        train()
        step()
        for mine, array in zip(step.parameters.values(), eager.state_dict().values(), strict=True):
            np.testing.assert_allclose(mine, array, **CLOSE)


def joined(axis):
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net.load_state_dict({name: spread(2, 2, seed=i) for i, name in enumerate(net.state_dict())})
    optimizer, weights = optim.SGD(net.parameters(), lr=0.1), list(net.parameters())

    def train():
        for _ in range(2):
            optimizer.zero_grad()
            squares = [weight * weight for weight in weights]
            (F.cat(weights, axis) * F.cat(squares, axis)).sum().backward()
            optimizer.step()
            F.cat([weights[0], squares[1]], axis).sum().backward()
        tn.name(F.cat([weights[0], squares[1]], axis), "joined")

    return net, train


def test_a_step_that_has_to_wait_for_another():
    x = tn.tensor(spread(2), name="x")
    with tn.record() as run:
        tn.name(x + 1.0, "first")
        tn.name(x * 2.0, "second")
    first, second = run.steps
    assert [group[0] for group in Families(run.steps).groups] == [first, second]
    assert [group[0] for group in Families(run.steps, [(second, first)]).groups] == [second, first]


def test_a_tied_weight():
    w = tn.tensor(spread(3, 3), requires_grad=True, name="w")
    x = tn.tensor(spread(5, 2, 3, seed=1), name="x")
    with tn.record() as run:
        h = tn.tensor(np.zeros((2, 3)))
        for t in range(5):
            with tn.time_step(t):
                h = tn.name((h @ w + x[t] @ w.T).tanh(), "h")
        (h @ w).sum().backward()
    compiles(run, w=spread(3, 3, seed=2), x=spread(5, 2, 3, seed=3))


# Lanes


def test_lanes_at_equal_distances_are_one_view():
    base = np.arange(60.0).reshape(5, 3, 4)
    for lanes in (list(base), list(base[::-1]), list(base[1::2]), [base[2]] * 3, list(base[:, :, 1:3])):
        assert list(runs([lanes])) == [slice(0, len(lanes))]
        np.testing.assert_array_equal(stacked(lanes), np.stack(lanes))
        assert np.shares_memory(stacked(lanes), base)


def test_lanes_are_cut_where_a_distance_changes_in_any_column():
    base, other = np.zeros((6, 2)), np.zeros((6, 2))
    assert list(runs([list(base), [other[0]] * 3 + [other[1]] * 3])) == [slice(0, 3), slice(3, 6)]
    assert list(runs([[base[0], other[0], base[1]]])) == [slice(0, 1), slice(1, 2), slice(2, 3)]


def test_rows_one_after_the_other_are_one_array():
    base = np.arange(24.0).reshape(4, 2, 3)
    np.testing.assert_array_equal(in_a_row(list(base)), base.reshape(8, 3))
    np.testing.assert_array_equal(in_a_row(list(base[:, :1])), base[:, 0])
    others = [list(base[::-1]), list(base[::-1, :1]), [base[0, :1]] * 2]
    for lanes in (*others, list(base[::2]), [base[0], np.zeros((2, 3))], [base[0]] * 2):
        assert in_a_row(lanes) is None


# Circles and regions


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_circles_against_the_definition(edges):
    """Two nodes are in one circle where each waits for the other; a circle comes after all that it waits for."""
    before = {i: {a for a, b in edges if b == i} for i in range(7)}
    waits = {i: {i} | before[i] for i in range(7)}
    for k, i in product(range(7), range(7)):
        if k in waits[i]:
            waits[i] |= waits[k]
    found = circles(list(range(7)), before)
    assert sorted(i for circle in found for i in circle) == list(range(7))
    seen = set()
    for circle in found:
        for i in circle:
            assert set(circle) == {k for k in range(7) if k in waits[i] and i in waits[k]}
        seen |= set(circle)
        assert set().union(*(waits[i] for i in circle)) <= seen


@given(st.lists(st.one_of(st.integers(-3, 2), st.slices(3)), max_size=2), st.booleans())
def test_regions_against_indexing(index, ellipsis):
    index = (..., *index) if ellipsis else tuple(index)
    region = region_of(index, (3, 3))
    if region is not None:
        x = np.arange(9).reshape(3, 3)
        np.testing.assert_array_equal(x[tuple(slice(*bounds) for bounds in region)].ravel(), x[index].ravel())


def test_tiles():
    assert tiled_axis([((0, 2), (0, 1)), ((0, 2), (1, 3))], (2, 3)) == 1
    assert tiled_axis([((0, 2), (0, 1)), ((0, 2), (2, 3))], (2, 3)) is None
    assert tiled_axis([((0, 1), (0, 1)), ((1, 2), (1, 3))], (2, 3)) is None
    assert tiled_axis([((0, 2), (0, 3))], (2, 3)) is None
