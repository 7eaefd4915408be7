"""What ``tn.testing.strategies`` draws: that it is what it says, that it shrinks, and that its documentation runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import CLOSE, numerical_gradients
from tinynet.primitives import TABLE
from tinynet.testing import strategies
from tinynet.testing.strategies import arrays, broadcastable_shapes, layers, programs, sequences, shapes
from tinynet.testing.strategies.programs import KINKED, SMOOTH, Instruction, Program

LIGHT = settings(max_examples=60, deadline=None, database=None, derandomize=True)
SEARCH = settings(
    LIGHT, max_examples=2000, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck)
)


def smallest(strategy, condition):
    return find(strategy, condition, settings=SEARCH)


# Shapes, arrays, sequences


@given(shapes(max_dims=2, max_side=5, min_dims=1))
@LIGHT
def test_shapes_keep_within_their_limits(shape):
    assert 1 <= len(shape) <= 2 and all(1 <= side <= 5 for side in shape)


@given(broadcastable_shapes(3, max_dims=2, max_side=3))
@LIGHT
def test_broadcastable_shapes_broadcast(found):
    assert len(found) == 3 and max(map(len, found)) <= 2
    assert max(np.broadcast_shapes(*found), default=1) <= 3


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_awkward_arrays_meet_everything_that_goes_wrong(dtype):
    limits, seen = np.finfo(dtype), set()

    @given(arrays((4,), "awkward", dtype))
    @settings(LIGHT, max_examples=300)
    def collect(array):
        assert array.dtype == dtype and np.isfinite(array).all()
        size = np.abs(array)
        found = {
            "zero": (array == 0).any(),
            "negative zero": ((array == 0) & np.signbit(array)).any(),
            "subnormal": ((size > 0) & (size < limits.tiny)).any(),
            "tiny": (size == limits.tiny).any(),
            "beside one": ((size > 1) & (size < 1 + 2 * limits.eps)).any(),
            "square overflows": (
                size.astype("float64" if dtype != "float64" else "longdouble") ** 2 > limits.max
            ).any(),
            "all equal": (array[0] != 0) & (array == array[0]).all(),
            "all different": len(np.unique(array)) == 4,
        }
        seen.update(what for what, is_so in found.items() if is_so)

    collect()
    assert len(seen) == 8, seen


@given(arrays(shapes()))
@LIGHT
def test_moderate_arrays_hold_quarters_up_to_2(array):
    assert np.abs(array).max() <= 2 and (array % 0.25 == 0).all()


@pytest.mark.parametrize("shape", [(3, 4), (5, 5), 3, [2, 3], (), (0, 2)])
def test_arrays_with_constraints_keep_them(shape):
    @given(arrays(shape, "positive"), arrays(shape, "nonzero"), arrays(shape, "distinct", "float32"))
    @settings(LIGHT, max_examples=20)
    def check(positive, nonzero, distinct):
        assert (positive > 0).all() and (nonzero != 0).all() and np.unique(distinct).size == distinct.size
        assert distinct.dtype == np.float32 and positive.shape == distinct.shape == np.zeros(shape).shape

    check()


def test_distinct_arrays_take_a_strategy_for_shapes():
    assert smallest(arrays(shapes(), "distinct"), lambda a: a.size > 2).size == 3


def test_arrays_shrink_to_what_a_person_would_write():
    np.testing.assert_array_equal(smallest(arrays((2, 2)), lambda a: True), np.zeros((2, 2)))
    np.testing.assert_array_equal(smallest(arrays((3,)), lambda a: (a > 0).any()).sum(), 1.0)
    assert smallest(arrays(shapes()), lambda a: a.ndim == 2).shape == (1, 1)


@pytest.mark.parametrize("batch_first", [False, True])
def test_sequences_have_lengths_of_1_and_of_T_in_any_order(batch_first):
    seen = set()

    @given(sequences(batch_first=batch_first))
    @settings(LIGHT, max_examples=200)
    def collect(drawn):
        count, steps = drawn.x.shape[:2] if batch_first else drawn.x.shape[1::-1]
        lengths = drawn.lengths.tolist()
        assert len(lengths) == count and min(lengths) >= 1 and max(lengths) <= steps
        layer = tn.nn.RNN(drawn.x.shape[2], 1, batch_first=batch_first)
        layer(tn.tensor(drawn.x), lengths=drawn.lengths)  # the engine takes them as they are
        if 1 in lengths and steps in lengths and steps > 1:
            seen.add("1 and T")
        if lengths != sorted(lengths) and lengths != sorted(lengths, reverse=True):
            seen.add("in no order")

    collect()
    assert seen == {"1 and T", "in no order"}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: shapes(max_dims=1, min_dims=2),
        lambda: shapes(max_side=0),
        lambda: broadcastable_shapes(0),
        lambda: broadcastable_shapes(max_dims=1, min_dims=2),
        lambda: arrays((2,), "strange"),
        lambda: arrays((2,), dtype=int),
        lambda: sequences(max_steps=0),
        lambda: sequences(values="strange"),
        lambda: layers("Conv7d"),
        lambda: programs(depth=0),
        lambda: programs(leaves=0),
        lambda: programs(operations=["tanhh"]),
        lambda: programs(operations=["max_pool"]),
        lambda: programs(operations=[]),
    ],
)
def test_wrong_arguments_are_refused_at_once(wrong):
    with pytest.raises(ValueError, match=r"expected|there are|not among"):
        wrong()


# Layers

NO_LAYERS = {"Module", "ModuleList", "Parameter", "Buffer", "CrossEntropyLoss", "MSELoss", "convert", "init"}
KINDS = sorted(set(tn.nn.__all__) - NO_LAYERS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_runs_is_deterministic_and_prints_as_itself(kind):
    @given(layers(kind))
    @settings(LIGHT, max_examples=15)
    def check(case):
        assert case.description.startswith(f"tn.nn.{kind}(")
        tensors = [tn.tensor(array) for array in case.inputs]
        copy = eval(repr(case), {"tn": tn, "np": np})
        y = case(*tensors).numpy()
        assert np.isfinite(y).all() and not case.module.training
        np.testing.assert_array_equal(copy(*map(tn.tensor, copy.inputs)).numpy(), y)

    check()


# A kink hides where only some directions cross it, so that each of these must hold on its own.
KINKED_KINDS = ["ELU", "LeakyReLU", "MaxPool1d", "MaxPool2d", "RNN", "RNNCell", "ReLU"]


@pytest.mark.parametrize("kind", [*KINKED_KINDS, "Sequential", "LayerNorm"])
def test_gradients_of_layers_can_be_measured(kind):
    @given(layers(kind))
    @settings(LIGHT, max_examples=12)
    def check(case):
        x = tn.tensor(case.inputs[0], requires_grad=True)
        found = tn.grad(case(x).sum(), x).numpy()
        (expected,) = numerical_gradients(lambda array: case(tn.tensor(array)).sum().item(), case.inputs)
        np.testing.assert_allclose(found, expected, **CLOSE)

    check()


def test_layers_shrink_to_the_plainest():
    case = smallest(layers("Conv2d"), lambda case: "stride=2" in case.description)
    assert case.description == "tn.nn.Conv2d(1, 1, (1, 1), stride=2)"
    np.testing.assert_array_equal(case.inputs[0], np.zeros((1, 1, 1, 1)))


# Programs: the table

TABLES = {"smooth": SMOOTH, "kinked": SMOOTH | KINKED}
EACH_OPERATION = pytest.mark.parametrize(
    ("table", "name"), [*(("smooth", name) for name in SMOOTH), *(("kinked", name) for name in KINKED)]
)
LEAVES = [(), (1,), (3,), (4,), (1, 1), (2, 3), (3, 2), (2, 1), (3, 3), (2, 2, 3), (3, 2, 2), (2, 2, 2, 3)]


def expressions(operation):
    """Yield (text, shapes) for all that an operation offers on some shapes."""
    for found in product(LEAVES, repeat=operation.operands):
        for text in operation.variants(*found):
            yield text, found


def run_text(text, *operands):
    return eval(text, {"tn": tn, "np": np}, dict(zip("xy", operands, strict=False)))


@EACH_OPERATION
def test_every_text_keeps_numbers_within_2_and_the_dtype(table, name):
    rng, offered = np.random.default_rng(0), list(expressions(TABLES[table][name]))
    assert offered
    for text, found in offered:
        for numbers in ([-2.0, 2.0], [-2.0, -1.0, 0.0, 0.5, 2.0], [2.0], [-2.0]):
            y = run_text(text, *(tn.tensor(rng.choice(numbers, shape).astype("float32")) for shape in found))
            assert y.dtype == np.float32 and np.abs(y.numpy()).max() <= 2.0001, (text, found, numbers)


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_texts_have_no_kink_at_zeros_and_ties(name):
    for text, found in expressions(SMOOTH[name]):
        if found in (((2, 3),) * len(found), ((2, 2, 3),) * len(found)):
            for number in (0.0, 1.0):
                operands = [np.full(shape, number) for shape in found]
                leaves = [tn.tensor(array, requires_grad=True) for array in operands]
                gradients = tn.grad(run_text(text, *leaves).sum(), leaves)
                expected = numerical_gradients(
                    lambda *moved, text=text: run_text(text, *map(tn.tensor, moved)).sum().item(), operands
                )
                for g, numbers in zip(gradients, expected, strict=True):
                    np.testing.assert_allclose(g.numpy(), numbers, err_msg=text, **CLOSE)


@EACH_OPERATION
def test_variants_are_all_within_reach(table, name):
    assert max(len(TABLES[table][name].variants(*found)) for _, found in expressions(TABLES[table][name])) <= 12


def primitives_of(function):
    with tn.record() as run:
        function()
    return {step.primitive for step in run.steps}


def test_smooth_operations_reach_every_primitive_with_a_derivative():
    reached = set()
    for operation in SMOOTH.values():
        for text, found in expressions(operation):
            reached |= primitives_of(
                lambda text=text, found=found: run_text(text, *map(tn.tensor, map(np.ones, found)))
            )
    assert {name for name, primitive in TABLE.items() if primitive.vjps} <= reached


def drawn_primitives(examples, **options):
    reached = set()

    @given(programs(**options))
    @settings(LIGHT, max_examples=examples)
    def collect(program):
        reached.update(primitives_of(lambda: program(*map(tn.tensor, program.arrays))))

    collect()
    return reached


def test_drawn_programs_reach_every_primitive_with_a_derivative():
    reached = drawn_primitives(500)
    assert not {name for name, primitive in TABLE.items() if primitive.vjps} - reached


def test_programs_with_kinks_compare():
    reached = drawn_primitives(200, smooth=False, operations=["compared", "equal", "max_pool", "relu"])
    assert {"greater", "less", "greater_equal", "less_equal", "equal", "not_equal"} <= reached


# Programs: what is drawn


@given(programs(depth=8, leaves=3, smooth=False))
@LIGHT
def test_programs_are_finite_and_print_as_themselves(program):
    assert 1 <= len(program.instructions) <= 8 and 1 <= len(program.arrays) <= 3
    y = program(*map(tn.tensor, program.arrays))
    pasted: dict = {}
    exec(repr(program), pasted)
    assert y.shape == () and np.isfinite(y.item())
    assert pasted["y"].item() == y.item()
    assert all(np.abs(value.numpy()).max() <= 2 for name, value in pasted.items() if name.startswith("v"))


@given(programs(leaves=3))
@LIGHT
def test_every_leaf_is_read_and_every_value_counts(program):
    read = {operand for instruction in program.instructions for operand in instruction.operands}
    assert read.issuperset(range(len(program.arrays)))
    *_, result = program.lines
    for i in range(len(program.arrays) + len(program.instructions)):
        assert (f"v{i}.sum()" in result.split(" ")) == (i not in read)


@given(programs())
@LIGHT
def test_gradients_of_smooth_programs_can_be_measured(program):
    leaves = [tn.tensor(array, requires_grad=True) for array in program.arrays]
    gradients = tn.grad(program(*leaves), leaves)
    expected = numerical_gradients(lambda *moved: program(*map(tn.tensor, moved)).item(), program.arrays)
    for g, numbers in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(g.numpy(), numbers, **CLOSE)


@given(st.data())
@LIGHT
def test_only_the_operations_asked_for_are_drawn(data):
    names = data.draw(st.lists(st.sampled_from(["tanh", "matmul", "fold"]), min_size=1, unique=True))
    program = data.draw(programs(operations=names))
    assert {instruction.operation for instruction in program.instructions} <= set(names)


def test_a_program_tells_how_many_leaves_it_has():
    program = Program((np.zeros(2), np.zeros(2)), (Instruction("add", (0, 1), "(x + y) / 2"),))
    assert program(tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])).item() == 5.0
    with pytest.raises(ValueError, match="2 leaves, got 1"):
        program(tn.tensor(1.0))


# Programs: the smallest


FEW = programs(operations=["negative", "tanh", "exp", "add", "matmul", "softmax"])


def contains(name):
    return lambda program: any(instruction.operation == name for instruction in program.instructions)


def test_a_failure_on_tanh_shrinks_to_tanh_of_zero_and_prints_it():
    @given(programs())
    @settings(SEARCH, max_examples=300)
    def fails(program):
        assert not contains("tanh")(program)

    with pytest.raises(AssertionError) as caught:
        fails()
    printed = [line.strip() for line in "\n".join(caught.value.__notes__).splitlines()]
    first = printed.index("v0 = tn.tensor(np.array(0.0), requires_grad=True)")
    assert printed[first + 1 : first + 3] == ["v1 = v0.tanh()", "y = v1.sum(),"]


def test_programs_shrink_to_one_instruction_on_a_single_number():
    program = smallest(programs(), contains("conv2d"))
    assert len(program.instructions) == len(program.arrays) == 1
    assert program.arrays[0].size == 1 and program.arrays[0].sum() == 0


def test_programs_shrink_to_the_chain_that_matters():
    def exp_of_tanh(program):
        values = [None] * len(program.arrays) + [each.operation for each in program.instructions]
        return any(each.operation == "exp" and values[each.operands[0]] == "tanh" for each in program.instructions)

    assert smallest(FEW, exp_of_tanh).lines == ["v1 = v0.tanh()", "v2 = v1.exp() / 4", "y = v2.sum()"]


def test_programs_shrink_to_the_simplest_operations_and_numbers():
    program = smallest(FEW, lambda program: len(program.instructions) >= 3)
    assert program.lines == ["v1 = -v0", "v2 = -v1", "v3 = -v2", "y = v3.sum()"]
    negated = smallest(programs(operations=["negative"]), lambda program: program.arrays[0].max() > 0)
    assert negated.lines == ["v1 = -v0", "y = v1.sum()"] and negated.arrays[0].tolist() == 1.0


# The documentation


def documented() -> str:
    """The examples of the module's docstring as one file."""
    lines = [line for line in strategies.__doc__.splitlines() if not line.strip() or line.startswith("    ")]
    return textwrap.dedent("\n".join(lines))


PROPERTIES = [
    "test_vjp_against_numerical",
    "test_linearity",
    "test_transpose_identity",
    "test_second_order_symmetry",
    "test_kernel_against_definition",
    "test_batch_independence",
    "test_permutation_equivariance",
    "test_unrolled_against_layered",
    "test_replay_against_recording",
    "test_workbook_against_engine",
]


def test_the_documented_file_passes_as_it_stands(tmp_path):
    """In a process of its own, where the first call of everything imports; by fewer examples, for the time it takes."""
    few = [
        "from hypothesis import settings as s",
        "s.register_profile('few', max_examples=12)",
        "s.load_profile('few')",
    ]
    (tmp_path / "conftest.py").write_text("\n".join(few))
    (tmp_path / "test_properties.py").write_text(documented())
    (tmp_path / "pytest.ini").write_text("[pytest]")
    environment = {key: text for key, text in os.environ.items() if key not in ("CI", "GITHUB_ACTIONS")}
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--tb=short", "test_properties.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.findall(r"::(\w+) PASSED", done.stdout) == PROPERTIES


def test_the_tables_of_operations_are_there():
    assert "tanh" in strategies.SMOOTH and "relu" in strategies.KINKED


def test_without_hypothesis_it_says_what_to_install():
    code = "import sys; sys.modules['hypothesis'] = None; import tinynet.testing.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode and "ImportError" in done.stderr and 'pip install "tinynet-sheets[test]"' in done.stderr
