"""Memory of large arrays is used again, and never while somebody has it."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

import tinynet as tn
from tinynet import functional as F
from tinynet import memory, nn, optim
from tinynet.functional.kernels import order

LARGE = (128, 256)  # in float64 more than ``memory.SMALLEST``
FLOAT64 = np.dtype("float64")


def address(x: np.ndarray) -> int:
    return x.__array_interface__["data"][0]


def large(number: float = 0.0) -> np.ndarray:
    x = memory.empty(np, LARGE, FLOAT64)
    x[...] = number
    return x


VIEWS = {
    "itself": lambda a: a,
    "a slice": lambda a: a[3:],
    "a view of a view": lambda a: a.reshape(-1)[::2].T,
    "a buffer": memoryview,
    "an iterator": iter,
    "another class": lambda a: a.view(type("Other", (np.ndarray,), {}))[3:],
    "a tensor": tn.tensor,
}


@pytest.mark.parametrize("view", VIEWS)
def test_memory_is_used_again_when_the_last_that_holds_it_is_gone(view):
    first = large(1)
    held, place = VIEWS[view](first), address(first)
    del first
    others = [large() for _ in range(20)]
    assert place not in map(address, others)
    del held
    gc.collect()
    assert address(large()) == place


def test_arrays_that_live_at_the_same_time_do_not_share():
    arrays = [large(i) for i in range(10)]
    assert [x.min() for x in arrays] == [x.max() for x in arrays] == list(range(10))


@pytest.mark.parametrize("size", [1, 2**14, 2**14 + 1, 2**15, 2**15 + 1, 2**21, 2**21 + 1])
def test_an_array_has_room_for_all_its_numbers(size):
    x, y = memory.empty(np, (size,), FLOAT64), memory.empty(np, (size,), FLOAT64)
    assert x.shape == (size,) and x.dtype == FLOAT64 and x.flags.c_contiguous and x.flags.writeable
    x[:], y[:] = 1, 2
    assert x.min() == x.max() == 1 and not np.shares_memory(x, y)


def test_not_more_is_kept_than_promised():
    arrays = [large() for _ in range(200)]
    del arrays
    for size, blocks in memory._free.items():
        assert len(blocks) * size <= memory.LARGEST


def test_threads_do_not_get_the_same_memory():
    wrong = []

    def work(number: int) -> None:
        for _ in range(300):
            x = large(number)
            y = large(-number)
            if x.min() != number or y.max() != -number:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (3, 0, 1, 2), (2, 3, 1, 0)])
@pytest.mark.parametrize("length", [3, 40])
def test_an_array_like_another_has_its_order(axes, length):
    x = np.zeros((length, 4, 30, 10)).transpose(axes)
    assert order.empty_like(x).strides == np.empty_like(x).strides
    assert order.empty_like(x, np.dtype("float32")).strides == np.empty_like(x, "float32").strides


def test_what_training_leaves_behind_stays_as_it_was():
    """Parameters, gradients and outputs of every step, kept by a user, while the memory of others is used again."""
    layer, x = nn.Linear(120, 140), tn.tensor(np.random.default_rng(0).normal(size=(150, 120)))
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


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_large_tanh_in_memory_that_was_used_before(dtype):
    """Two at a time, each differentiated after the other has been computed, and once more."""
    x = [tn.tensor(np.linspace(-3, 3, 40_000).reshape(200, 200)[:: 1 - 2 * i].astype(dtype), True) for i in range(2)]
    g = np.random.default_rng(0).normal(size=(200, 200)).astype(dtype)
    for _ in range(3):
        y = [F.tanh(each) for each in x]
        for each, result in zip(x, y, strict=True):
            np.testing.assert_array_equal(result.numpy(), np.tanh(each.data))
            for _ in range(2):
                found = tn.grad(result, each, g).numpy()
                np.testing.assert_allclose(found, g * (1 - np.tanh(each.data) ** 2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_search_for_cycles_goes_on_as_it_was(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ZeroDivisionError), tn.record():
            assert not gc.isenabled()
            raise ZeroDivisionError
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
