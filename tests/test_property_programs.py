"""The engine, tested with its own strategies: random programs and layers, their gradients, replay and workbooks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.spreadsheets import ironcalc, libreoffice, poison, require
from tests.workbooks import assert_agrees, sample
from tinynet.testing import GradientError, check_gradients
from tinynet.testing.strategies import Program, layers, programs
from tinynet.testing.strategies.layers import KINDS
from tinynet.testing.strategies.programs.table import KINKED, SMOOTH

SLOW = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])


def recorded(*drawn: Program) -> tn.Run:
    """All of the programs in one run, the sum of what they give, and its gradients."""
    with tn.record() as run:
        totals = []
        for i, program in enumerate(drawn):
            with tn.scope(f"program{i}"):
                leaves = [tn.tensor(a, requires_grad=True, name=f"p{i}_v{k}") for k, a in enumerate(program.arrays)]
                totals.append(tn.name(program(*leaves), "y"))
        sum(totals[1:], totals[0]).backward()
    return run


@given(programs())
@settings(deadline=None, max_examples=60)
def test_first_and_second_derivatives_of_a_program(program):
    assert check_gradients(program, *program.arrays, order=2)


@given(programs(smooth=False, operations=(SMOOTH | KINKED).keys() - {"equal"}))
@settings(deadline=None, max_examples=40)
def test_no_derivative_of_a_program_with_kinks_is_wrong(program):
    check_gradients(program, *program.arrays, order=2)  # it may well be that none can be told


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradients_of_a_layer(kind):
    @given(layers(kind))
    @settings(deadline=None, max_examples=5)
    def check(case):
        assert check_gradients(case.module, *case.inputs)

    check()


@given(programs(smooth=False))
@settings(deadline=None, max_examples=60)
def test_a_recording_and_its_replay_compute_the_same_numbers(program):
    plain = [tn.tensor(array, requires_grad=True) for array in program.arrays]
    result = program(*plain)
    result.backward()
    run = recorded(program)
    np.testing.assert_allclose(run.loss.array, result.numpy(), rtol=1e-12)
    for k, x in enumerate(plain):
        np.testing.assert_allclose(run.grad[f"p0_v{k}"], x.grad.numpy(), rtol=1e-12, atol=1e-14)
    for copy in (run.replay(), tn.Run.from_json(run.to_json())):
        for new, old in zip(copy.values, run.values, strict=True):
            np.testing.assert_array_equal(new.array, old.array)
            assert new.array.dtype == old.array.dtype


@given(programs())
@settings(deadline=None, max_examples=30)
def test_a_program_in_float32_stays_in_float32(program):
    inputs = [tn.tensor(a.astype("float32"), requires_grad=True) for a in program.arrays]
    result = program(*inputs)
    assert {str(t.dtype) for t in (result, *tn.grad(result, inputs))} == {"float32"}


@pytest.mark.parametrize("engine", [ironcalc, libreoffice], ids=lambda engine: engine.__name__)
@pytest.mark.parametrize("detail", ["names", "ops"])
def test_programs_become_workbooks_that_another_engine_computes_alike(engine, detail):
    """From poisoned caches. Several programs share a workbook, since opening one takes longer than computing it."""
    require(engine.__name__)

    @given(st.lists(programs(), min_size=6, max_size=6))
    @settings(SLOW, max_examples=3)
    def check(drawn):
        with tempfile.TemporaryDirectory() as folder:
            one = sample(recorded(*drawn), Path(folder) / "programs.xlsx", detail)
            assert poison(one.path, one.path.with_name("poisoned.xlsx")) > 0
            if engine is ironcalc and any("ERF(" in formula for formula in one.formulas.values()):
                return  # its ERF has ten digits
            assert_agrees(one, engine(one.path.with_name("poisoned.xlsx")))

    check()


def test_a_branch_for_equal_numbers_has_not_the_derivative_of_the_function():
    """Hypothesis found it: this is y everywhere, and automatic differentiation sends all to x where they are equal."""

    def function(x, y):
        return tn.functional.where(x == y, x, y)

    with pytest.raises(GradientError, match="2 of 2 elements"):
        check_gradients(function, np.array(0.5), np.array(0.5))
