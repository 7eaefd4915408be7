"""Memory of large results is used again, and never while somebody has it."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinynet as tn
from tinynet import functional as F
from tinynet import memory, nn, optim
from tinynet.memory import room

SHAPE, DTYPE = (100, 101), np.dtype("float64")


@pytest.fixture(autouse=True)
def nothing_kept():
    memory._kept.clear()
    yield
    memory._kept.clear()


def test_an_array_that_nobody_has_is_used_again():
    first = room(SHAPE, DTYPE)
    place = first.ctypes.data
    del first
    assert room(SHAPE, DTYPE).ctypes.data == place


VIEWS = {
    "itself": lambda a: a,
    "a slice": lambda a: a[3:],
    "a view of a view": lambda a: a.T[2:][:, 3:],
    "a buffer": memoryview,
    "an iterator": iter,
    "a tensor": tn.tensor,
}


@pytest.mark.parametrize("view", VIEWS)
def test_an_array_that_somebody_has_is_not(view):
    first = room(SHAPE, DTYPE)
    first[...] = 1
    held, place = VIEWS[view](first), first.ctypes.data
    del first
    second = room(SHAPE, DTYPE)
    assert second.ctypes.data != place
    del held
    gc.collect()
    assert room(SHAPE, DTYPE).ctypes.data == place


def test_other_shapes_and_dtypes_have_other_arrays():
    one, other, single = room(SHAPE, DTYPE), room(SHAPE[::-1], DTYPE), room(SHAPE, np.dtype("float32"))
    assert (one.shape, other.shape, single.dtype) == (SHAPE, SHAPE[::-1], np.float32)


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 10 * 8 * 101 * 100)
    held = [room(SHAPE, DTYPE) for _ in range(25)]
    assert len({array.ctypes.data for array in held}) == 25
    assert sum(len(arrays) for arrays in memory._kept.values()) <= 10
    assert room((1000, 1000), DTYPE) is not room((1000, 1000), DTYPE)


def test_threads_never_share_an_array():
    def work(number: int) -> bool:
        for _ in range(300):
            mine = room(SHAPE, DTYPE)
            mine[...] = number
            if not np.all(mine == number):
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_what_training_leaves_behind_stays_as_it_was():
    """Parameters, gradients and outputs of every step, kept by a user, while the memory of others is used again."""
    layer, x = nn.Linear(120, 110), tn.tensor(np.random.default_rng(0).normal(size=(90, 120)))
    optimizer, kept = optim.SGD(layer.parameters(), lr=0.1), []
    for step in range(6):
        optimizer.zero_grad()
        y = layer(x)
        (y * y).mean().backward()
        before = layer.weight.data
        optimizer.step()
        arrays = [y.data, layer.weight.grad.data, before, layer.weight.data]
        if step % 2:
            kept += [(array, array.copy()) for array in arrays]
    for array, copy in kept:
        np.testing.assert_array_equal(array, copy)


def test_a_backward_pass_after_the_update_is_that_of_the_numbers_before():
    layer, x = nn.Linear(3, 2), tn.tensor(np.ones((4, 3)))
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    y = F.tanh(layer(x))
    hidden = tn.tensor(np.ones((4, 3)), requires_grad=True)
    z = layer(hidden).sum()
    expected = np.tile(layer.weight.data.sum(0), (4, 1))
    y.sum().backward()
    optimizer.step()
    z.backward()
    np.testing.assert_allclose(hidden.grad.numpy(), expected)
