"""Random programs: their gradients, and that a recording and its replay compute the very same numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import CLOSE, numerical_gradients, spread
from tinynet import functional as F

# Every operation keeps numbers moderate, and has no kink where its operand is.
ELEMENTWISE = {
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "negative": lambda x: -x,
    "square": lambda x: x * x / 4,
    "cube": lambda x: x.tanh() ** 3,
    "exp": lambda x: x.tanh().exp(),
    "log": lambda x: (x * x + 1).log(),
    "sqrt": lambda x: (x * x + 1).sqrt(),
    "absolute": lambda x: (x.sigmoid() + 0.5).abs(),
    "relu": lambda x: (x.tanh() + 2).relu() - 1.5,
    "power": lambda x: 2 ** x.tanh(),
    "softmax": lambda x: F.softmax(x, -1),
}
SHAPING = {
    "transpose": lambda x: x.T,
    "flip": lambda x: F.flip(x, 0),
    "rows, one twice": lambda x: x[np.array([0, -1, 0])],
    "one column": lambda x: x[:, :1],
    "as one row": lambda x: x.reshape(1, -1)[:, :5],
    "pad": lambda x: F.pad(x, [(0, 1), (1, 0)])[:4, :4],
    "twice": lambda x: F.cat([x, x * 0.5], 1)[:, :5],
    "sum of rows": lambda x: x.sum(0, keepdims=True) / 2,
    "mean of columns": lambda x: x.mean(-1, keepdims=True),
    "rows of a table": lambda x: F.embedding(tn.tensor([[0, 0, 0]]), x).reshape(3, -1),
    "number per row": lambda x: F.gather(x, 1, tn.tensor(np.zeros((x.shape[0], 2), dtype=int))),
}
BINARY = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y / 2,
    "divide": lambda x, y: x / (y * y + 1),
    "maximum": lambda x, y: F.maximum(x.tanh() + 3, y.tanh()) - 3,
    "where": lambda x, y: F.where(np.indices(x.shape).sum(0) % 2 == 0, x, y),
    "product": lambda x, y: (x.T @ (y.sum(0) + 0 * x)).tanh(),
}


class Instruction(NamedTuple):
    name: str
    operands: tuple[int, ...]


@st.composite
def programs(draw):
    """Six instructions, each on values computed before it (two leaves come first)."""
    program = []
    for position in range(6):
        table = draw(st.sampled_from([ELEMENTWISE, SHAPING, BINARY]))
        count = 2 if table is BINARY else 1
        operands = tuple(draw(st.integers(0, position + 1)) for _ in range(count))
        program.append(Instruction(draw(st.sampled_from(sorted(table))), operands))
    return program


def execute(program, *leaves):
    """Run a program, ending in one number that depends on all values that nothing else reads."""
    values = list(leaves)
    for name, operands in program:
        inputs = [values[i] for i in operands]
        if name in BINARY and not broadcastable(*inputs):
            inputs[1] = inputs[1].mean(keepdims=True)
        values.append((ELEMENTWISE | SHAPING | BINARY)[name](*inputs))
    read = {i for _, operands in program for i in operands}
    ends = [value.sum() for i, value in enumerate(values) if i not in read]
    return sum(ends[1:], ends[0])


def broadcastable(x, y):
    try:
        return np.broadcast_shapes(x.shape, y.shape) == x.shape
    except ValueError:
        return False


def leaves():
    return [tn.tensor(a, requires_grad=True, name=n) for a, n in zip(ARRAYS, "ab", strict=True)]


ARRAYS = [spread(3, 2), spread(3, 2, seed=1, shift=0.03)]


@given(programs())
@settings(max_examples=60, deadline=None)
def test_gradients_match_finite_differences(program):
    inputs = leaves()
    gradients = tn.grad(execute(program, *inputs), inputs)
    expected = numerical_gradients(lambda *arrays: execute(program, *map(tn.tensor, arrays)).item(), ARRAYS)
    for g, numbers in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(g.numpy(), numbers, **CLOSE)


@given(programs())
@settings(max_examples=60, deadline=None)
def test_a_recording_and_its_replay_compute_the_same_numbers(program):
    plain, recorded = leaves(), leaves()
    result = execute(program, *plain)
    result.backward()
    with tn.record() as run:
        again = execute(program, *recorded)
        again.backward()
    assert abs(again.item() - result.item()) <= 1e-12 * max(1.0, abs(result.item()))
    for x, y in zip(plain, recorded, strict=True):
        np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), rtol=1e-12, atol=1e-14)
    for copy in (run.replay(), tn.Run.from_json(run.to_json())):
        for new, old in zip(copy.values, run.values, strict=True):
            np.testing.assert_array_equal(new.array, old.array)
            assert new.array.dtype == old.array.dtype
    assert run.loss.array == again.item()


@given(programs())
@settings(max_examples=30, deadline=None)
def test_float32_programs_stay_float32(program):
    inputs = [tn.tensor(a.astype("float32"), requires_grad=True) for a in ARRAYS]
    result = execute(program, *inputs)
    assert {str(t.dtype) for t in (result, *tn.grad(result, inputs))} == {"float32"}
