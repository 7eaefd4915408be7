"""What to draw for property tests of gradients: of this engine, or of NumPy or PyTorch code of your own.

Built on Hypothesis (``pip install "tinynet-sheets[test]"``). ``shapes`` and ``broadcastable_shapes`` give tuples,
``arrays`` and ``sequences`` NumPy arrays, ``layers`` a layer with inputs that fit, ``programs`` whole random
computations. All shrink to what a person would have written: a program to the fewest instructions, the simplest
operations, small shapes and plain numbers; what is left prints as Python that can be pasted.

Ten properties worth testing
----------------------------

The examples are a test file, complete as it stands. Its profile is ``@settings(deadline=None)`` for each test: a first
call imports, and a check calls a function many times, which takes longer than the 200 ms that Hypothesis allows::

    import tempfile

    import numpy as np
    import tinynet as tn
    from hypothesis import given, settings
    from hypothesis import strategies as st
    from tinynet.testing.strategies import arrays, layers, programs, sequences

    settings.register_profile("gradients", deadline=None)
    settings.load_profile("gradients")

    def vjp(f, x, v):
        x = tn.tensor(x, requires_grad=True)
        return tn.grad(f(x), x, v).numpy()

    def jvp(f, x, u, h=1e-5):  # not by way of the VJP: a wrong one would agree with itself
        return (f(tn.tensor(x + h * u)).numpy() - f(tn.tensor(x - h * u)).numpy()) / (2 * h)

1. *The VJP against a numerical derivative.* It knows nothing of how yours is computed. ``smooth`` programs, which are
   the default, have no kink that a step could cross::

    @given(programs())
    def test_vjp_against_numerical(program):
        assert tn.testing.check_gradients(program, *program.arrays)

   A wrong gradient raises either way. With ``assert`` a verdict "cannot tell" fails too, which is right where no kink
   is near; without it, what cannot be told passes. Where kinks are drawn on purpose, ``assume`` of Hypothesis has it
   draw other numbers instead, so that every example that counts was measured: ``assume(check_backward(...))``.

2. *A VJP is linear in its cotangent*, whatever the function::

    @given(layers("GRU"), st.sampled_from([-2.0, 0.5, 3.0]))
    def test_linearity(case, a):
        (x,), y = case.inputs, case(*map(tn.tensor, case.inputs)).numpy()
        np.testing.assert_allclose(vjp(case, x, y + a), vjp(case, x, y) + a * vjp(case, x, 1 + 0 * y), atol=1e-12)

3. *The VJP is the transpose of the JVP*: v · (J u) = (Jᵀ v) · u::

    @given(layers("Conv2d"), st.data())
    def test_transpose_identity(case, data):
        (x,), y = case.inputs, case(*map(tn.tensor, case.inputs)).numpy()
        u, v = data.draw(arrays(x.shape)), data.draw(arrays(y.shape))
        np.testing.assert_allclose((v * jvp(case, x, u)).sum(), (vjp(case, x, v) * u).sum(), atol=1e-6)

4. *Second derivatives are symmetric*: w · (H u) = u · (H w)::

    @given(programs(leaves=1), st.data())
    def test_second_order_symmetry(program, data):
        x = tn.tensor(program.arrays[0], requires_grad=True)
        u, w = (data.draw(arrays(x.shape)) for _ in range(2))
        g = tn.grad(program(x.tanh()), x, create_graph=True)
        hu, hw = tn.grad(g, x, u).numpy(), tn.grad(g, x, w).numpy()
        np.testing.assert_allclose((w * hu).sum(), (u * hw).sum(), atol=1e-12)

5. *A fused kernel is its definition.* Here the kernel runs, unless a run is being recorded::

    @given(layers("LSTM"))
    def test_kernel_against_definition(case):
        fused = case(*map(tn.tensor, case.inputs))
        with tn.record():
            defined = case(*map(tn.tensor, case.inputs))
        np.testing.assert_allclose(fused.numpy(), defined.numpy(), atol=1e-12)

6. *No example of a batch depends on another* (outside of training)::

    @given(layers("BatchNorm1d"))
    def test_batch_independence(case):
        (x,) = case.inputs
        np.testing.assert_allclose(case(tn.tensor(x)).numpy()[:1], case(tn.tensor(x[:1])).numpy(), atol=1e-12)

7. *What treats all places alike goes along with a permutation*::

    @given(arrays((2, 4)), st.permutations(range(4)))
    def test_permutation_equivariance(x, order):
        y, permuted = (tn.functional.softmax(tn.tensor(each), -1).numpy() for each in (x, x[:, order]))
        np.testing.assert_allclose(permuted, y[:, order], atol=1e-12)

8. *A layer is its cell, unrolled*, up to where a sequence ends::

    @given(sequences())
    def test_unrolled_against_layered(drawn):
        cell, layer = tn.nn.GRUCell(drawn.x.shape[-1], 2), tn.nn.GRU(drawn.x.shape[-1], 2)
        layer.load_state_dict({f"{name}_l0": array for name, array in cell.state_dict().items()})
        outputs, h = layer(tn.tensor(drawn.x), lengths=drawn.lengths)[0].numpy(), None
        for t, x in enumerate(tn.tensor(drawn.x)):
            h, running = cell(x, h), drawn.lengths > t
            np.testing.assert_allclose(outputs[t], h.numpy() * running[:, None], atol=1e-12)

9. *A replay computes what was recorded*, bit by bit::

    @given(programs(smooth=False))
    def test_replay_against_recording(program):
        with tn.record() as run:
            program(*(tn.tensor(array, requires_grad=True) for array in program.arrays)).backward()
        for new, old in zip(run.replay().values, run.values, strict=True):
            np.testing.assert_array_equal(new.array, old.array)

10. *The workbook computes what the engine did.* This reads the leaves from its cells and computes all again; the file
   itself can be recalculated by any spreadsheet program::

    @given(programs(depth=3))
    def test_workbook_against_engine(program):
        with tn.record() as run:
            program(*(tn.tensor(array, requires_grad=True) for array in program.arrays)).backward()
        with tempfile.TemporaryDirectory() as folder:
            run.to_excel(f"{folder}/program.xlsx")
            loaded = tn.load(f"{folder}/program.xlsx")
        np.testing.assert_allclose(loaded.loss.array, run.loss.array, rtol=1e-12)
"""

try:
    import hypothesis.extra.numpy  # noqa: F401
except ImportError as error:
    raise ImportError(
        'tinynet.testing.strategies draws with Hypothesis, which is missing: pip install "tinynet-sheets[test]"'
    ) from error

from tinynet.testing.strategies.arrays import arrays
from tinynet.testing.strategies.layers import LayerCase, layers
from tinynet.testing.strategies.programs import KINKED, SMOOTH, Instruction, Program, programs
from tinynet.testing.strategies.sequences import Sequences, sequences
from tinynet.testing.strategies.shapes import broadcastable_shapes, shapes

__all__ = [
    "KINKED",
    "SMOOTH",
    "Instruction",
    "LayerCase",
    "Program",
    "Sequences",
    "arrays",
    "broadcastable_shapes",
    "layers",
    "programs",
    "sequences",
    "shapes",
]
