"""A function of Tensors held against PyTorch's, and against itself when it is recorded, replayed or in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinynet as tn
from tests.gradients import spread

EXACT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}


def twins(torch: Any, kind: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """A module of ours and one of PyTorch's with the same state."""
    theirs = getattr(torch.nn, kind)(*args, **options).double()
    mine = getattr(tn.nn, kind)(*args, **options)
    mine.load_state_dict(theirs.state_dict())
    assert list(mine.state_dict()) == list(theirs.state_dict())
    return mine, theirs


def assert_agrees(torch: Any, mine: Callable, theirs: Callable, *arrays: np.ndarray) -> None:
    """Output, first and second derivatives in all arrays; recorded and replayed alike, and no wider than float32."""
    expected = _torch_derivatives(torch, theirs, arrays)
    found = _derivatives(mine, arrays)
    assert len(found) == len(expected)
    for ours, other in zip(found, expected, strict=True):
        assert ours.shape == other.shape
        np.testing.assert_allclose(ours, other, **EXACT)
    assert_recorded_alike(mine, *arrays)
    single = _derivatives(mine, [array.astype("float32") for array in arrays])
    assert {str(array.dtype) for array in single} == {"float32"}


def assert_recorded_alike(function: Callable, *arrays: np.ndarray) -> tn.Run:
    """Recording changes no number of output or gradients, and replaying none of the recording. Returns the run."""
    y, *gradients = _gradients(function, arrays)
    with tn.record() as run:
        again = _gradients(function, arrays)
    for ours, other in zip([y, *gradients], again, strict=True):
        np.testing.assert_allclose(other, ours, rtol=1e-13, atol=1e-13)
    for value, other in zip(run.values, run.replay().values, strict=True):
        np.testing.assert_array_equal(value.array, other.array)
    return run


def _gradients(function: Callable, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    leaves = [tn.tensor(array, requires_grad=True) for array in arrays]
    y = function(*leaves)
    y.backward(_weights(y.shape, y.dtype))
    return [y.numpy(), *(leaf.grad.numpy() for leaf in leaves)]


def _derivatives(function: Callable, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The output, its gradients for random weights, and the gradients of those: in the arrays and in the weights."""
    leaves = [tn.tensor(array, requires_grad=True) for array in arrays]
    y = function(*leaves)
    v = tn.tensor(_weights(y.shape, y.dtype), requires_grad=True)
    first = tn.grad(y, leaves, v, create_graph=True)
    total = sum((g * _weights(g.shape, g.dtype, k)).sum() for k, g in enumerate(first))
    return [t.numpy() for t in (y, *first, *tn.grad(total, [*leaves, v]))]


def _torch_derivatives(torch: Any, function: Callable, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    y = function(*leaves)
    v = torch.tensor(_weights(y.shape, "float64"), requires_grad=True)
    first = torch.autograd.grad(y, leaves, v, create_graph=True)
    total = sum((g * torch.tensor(_weights(g.shape, "float64", k))).sum() for k, g in enumerate(first))
    second = torch.autograd.grad(total, [*leaves, v], allow_unused=True)
    second = [torch.zeros_like(x) if g is None else g for x, g in zip([*leaves, v], second, strict=True)]
    return [t.detach().numpy() for t in (y, *first, *second)]


def _weights(shape: Sequence[int], dtype: Any, seed: int = 0) -> np.ndarray:
    """What results are weighed by: different for every element."""
    return spread(*shape, seed=70 + seed).astype(dtype)
