"""Recurrent layers and cells: PyTorch's where it has them, plain loops and finite differences where it has not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests import loops
from tests.gradients import CLOSE, STEP, numerical_gradients, spread
from tests.spreadsheets import require
from tinynet import nn

EXACT: dict[str, Any] = {"rtol": 0, "atol": 1e-10}
STATES = {"RNN": 1, "LSTM": 2, "GRU": 1}
recordings = pytest.mark.parametrize("recorded", [False, True], ids=["unrecorded", "recorded"])


class Outcome(NamedTuple):
    """All numbers of a call, by name: outputs, last states, and the gradient of a weighted sum of them."""

    values: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


class Call(NamedTuple):
    """What goes into a layer."""

    x: np.ndarray
    states: list[np.ndarray] | None = None
    lengths: list[int] | None = None


def assert_same(mine: dict[str, np.ndarray], expected: dict[str, np.ndarray], **close: Any) -> None:
    assert mine.keys() == expected.keys()
    for name, array in mine.items():
        np.testing.assert_allclose(array, expected[name], **(close or EXACT), err_msg=name)


def weights(shape: Sequence[int], seed: int) -> np.ndarray:
    """What the results are weighed by: different for every element."""
    return spread(*shape, seed=50 + seed)


def outcome(module: nn.Module, call: Call, recorded: bool = False) -> Outcome:
    x = tn.tensor(call.x, requires_grad=True)
    states = None if call.states is None else [tn.tensor(s, requires_grad=True) for s in call.states]
    given = states[0] if states and len(states) == 1 else states and tuple(states)
    module.zero_grad()
    with tn.record() if recorded else nullcontext():
        out, last = module(x, given, **({} if call.lengths is None else {"lengths": call.lengths}))
        results = [out, *(last if isinstance(last, tuple) else [last])]
        total(results, lambda array: tn.tensor(array.astype(call.x.dtype))).backward()
    return gathered(results, x, states, module.named_parameters(), lambda t: t.numpy())


def torch_outcome(torch: Any, module: Any, call: Call) -> Outcome:
    x = torch.tensor(call.x, requires_grad=True)
    states = None if call.states is None else [torch.tensor(s, requires_grad=True) for s in call.states]
    given = states[0] if states and len(states) == 1 else states and tuple(states)
    module.zero_grad()
    out, last = torch_call(torch, module, x, given, call.lengths)
    results = [out, *(last if isinstance(last, tuple) else [last])]
    total(results, torch.tensor).backward()
    return gathered(results, x, states, module.named_parameters(), lambda t: t.detach().numpy())


def torch_call(torch: Any, module: Any, x: Any, states: Any, lengths: list[int] | None) -> Any:
    if lengths is None:
        return module(x, states)
    tools, first = torch.nn.utils.rnn, module.batch_first
    packed = tools.pack_padded_sequence(x, torch.tensor(lengths), batch_first=first, enforce_sorted=False)
    out, last = module(packed, states)
    return tools.pad_packed_sequence(out, batch_first=first, total_length=x.shape[1 if first else 0])[0], last


def total(results: Sequence[Any], tensor: Callable) -> Any:
    products = [(tensor(weights(y.shape, k)) * y).sum() for k, y in enumerate(results)]
    return sum(products[1:], products[0])


def gathered(results: list, x: Any, states: list | None, parameters: Iterable, number: Callable) -> Outcome:
    values = {f"result {k}": number(y) for k, y in enumerate(results)}
    leaves = {"x": x, **{f"state {k}": s for k, s in enumerate(states or ())}, **dict(parameters)}
    return Outcome(values, {name: number(leaf.grad) for name, leaf in leaves.items()})


def twins(torch: Any, name: str, *args: Any, **options: Any) -> tuple[nn.Module, Any]:
    """A module of ours and one of PyTorch's with the same parameters."""
    theirs = getattr(torch.nn, name)(*args, **options).double()
    mine = getattr(nn, name)(*args, **options)
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def make(kind: str, inputs: int = 2, hidden: int = 3, seed: int = 0, **options: Any) -> Any:
    tn.manual_seed(seed)
    return getattr(nn, kind)(inputs, hidden, **options)


def initial(module: Any, batch: int | None, seed: int = 20) -> list[np.ndarray]:
    """Initial states for a module, all numbers different; ``batch`` None for a single sequence."""
    count = module.num_layers * module.directions
    middle = () if batch is None else (batch,)
    sizes = [module.output_size, module.hidden_size][: STATES[type(module).__name__]]
    return [spread(count, *middle, size, seed=seed + k) for k, size in enumerate(sizes)]


# PyTorch's layers, in all their options

KINDS = {
    "RNN tanh": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM": ("LSTM", {}),
    "LSTM projected": ("LSTM", {"proj_size": 2}),
    "GRU": ("GRU", {}),
}
FORMS = {
    "time first": (False, (4, 3, 2), None),
    "batch first": (True, (3, 4, 2), None),
    "one sequence": (False, (4, 2), None),
    "one sequence, batch first": (True, (4, 2), None),
    "lengths": (False, (4, 3, 2), [2, 4, 3]),
    "lengths, batch first": (True, (3, 4, 2), [3, 1, 4]),
    "lengths, all short": (False, (4, 3, 2), [1, 3, 2]),
}


@recordings
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("title", KINDS)
def test_a_layer_is_pytorchs(torch, title, layers, bidirectional, bias, form, recorded):
    """Outputs, last states and every gradient, from initial states that are given and from zeros."""
    torch.manual_seed(0)
    kind, options = KINDS[title]
    batch_first, shape, lengths = FORMS[form]
    options = {**options, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first, "dropout": 0.0}
    mine, theirs = twins(torch, kind, 2, 3, num_layers=layers, **options)
    batch = None if len(shape) == 2 else 3
    for states in (None, initial(mine, batch)):
        call = Call(spread(*shape), states, lengths)
        found, expected = outcome(mine, call, recorded), torch_outcome(torch, theirs, call)
        assert_same(found.values, expected.values)
        assert_same(found.gradients, expected.gradients)


SMALL = st.integers(1, 3)


@given(
    title=st.sampled_from(list(KINDS)),
    steps=st.integers(1, 5),
    batch=st.integers(1, 4),
    inputs=SMALL,
    hidden=SMALL,
    layers=SMALL,
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    data=st.data(),
)
@settings(max_examples=120, deadline=None)
def test_a_layer_of_any_size_is_pytorchs(title, steps, batch, inputs, hidden, layers, flags, data):
    torch = require("torch")
    torch.manual_seed(0)
    bidirectional, bias, batch_first, given_states, recorded = flags
    kind, options = KINDS[title]
    if "proj_size" in options:
        hidden = hidden + 1
        options = {"proj_size": data.draw(st.integers(1, hidden - 1))}
    options = {**options, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
    mine, theirs = twins(torch, kind, inputs, hidden, num_layers=layers, **options)
    one_length = st.integers(1, steps)
    lengths = data.draw(st.none() | st.lists(one_length, min_size=batch, max_size=batch))
    shape = (batch, steps, inputs) if batch_first else (steps, batch, inputs)
    call = Call(spread(*shape), initial(mine, batch) if given_states else None, lengths)
    found, expected = outcome(mine, call, recorded), torch_outcome(torch, theirs, call)
    assert_same(found.values, expected.values)
    assert_same(found.gradients, expected.gradients)


@recordings
@pytest.mark.parametrize("title", KINDS)
def test_float32_stays_float32(title, recorded):
    kind, options = KINDS[title]
    module = make(kind, num_layers=2, bidirectional=True, **options)
    for parameter in module.parameters():
        parameter.data = parameter.data.astype("float32")
    single = [state.astype("float32") for state in initial(module, 3)]
    for states, lengths in product((None, single), (None, [4, 2, 3])):
        found = outcome(module, Call(spread(4, 3, 2).astype("float32"), states, lengths), recorded)
        arrays = [*found.values.values(), *found.gradients.values()]
        assert {str(array.dtype) for array in arrays} == {"float32"}


# Cells

CELLS = [
    ("RNNCell", {}),
    ("RNNCell", {"nonlinearity": "relu"}),
    ("RNNCell", {"bias": False}),
    ("LSTMCell", {}),
    ("LSTMCell", {"bias": False}),
    ("GRUCell", {}),
    ("GRUCell", {"bias": False}),
]


def cell_outcome(module: Any, x: Any, states: Any, tensor: Callable, number: Callable) -> Outcome:
    """Three steps of a cell over the same input."""
    leaves = [x, *states]
    now = (states[0] if len(states) == 1 else tuple(states)) if states else None
    for _ in range(3):
        now = module(x, now)
    results = list(now) if isinstance(now, tuple) else [now]
    total(results, tensor).backward()
    return gathered(results, leaves[0], leaves[1:], module.named_parameters(), number)


@recordings
@pytest.mark.parametrize("given_states", [False, True], ids=["zeros", "states"])
@pytest.mark.parametrize("batch", [(), (1,), (3,)], ids=str)
@pytest.mark.parametrize(("name", "options"), CELLS)
def test_a_cell_is_pytorchs(torch, name, options, batch, given_states, recorded):
    torch.manual_seed(0)
    mine, theirs = twins(torch, name, 2, 3, **options)
    count = STATES[name.removesuffix("Cell")] if given_states else 0
    arrays = [spread(*batch, 2), *(spread(*batch, 3, seed=k) for k in range(1, count + 1))]
    x, *states = (tn.tensor(a, requires_grad=True) for a in arrays)
    with tn.record() if recorded else nullcontext():
        found = cell_outcome(mine, x, states, tn.tensor, lambda t: t.numpy())
    x, *states = (torch.tensor(a, requires_grad=True) for a in arrays)
    expected = cell_outcome(theirs, x, states, torch.tensor, lambda t: t.detach().numpy())
    assert_same(found.values, expected.values)
    assert_same(found.gradients, expected.gradients)


@pytest.mark.parametrize("title", ["RNN tanh", "RNN relu", "LSTM", "GRU"])
def test_a_cell_unrolled_by_hand_is_the_layer(title):
    kind, options = KINDS[title]
    layer = make(kind, **options)
    cell = getattr(nn, f"{kind}Cell")(2, 3, **options)
    cell.load_state_dict({name.removesuffix("_l0"): array for name, array in layer.state_dict().items()})
    call = Call(spread(4, 3, 2), initial(layer, 3))
    expected = outcome(layer, call)
    x, *states = (tn.tensor(a, requires_grad=True) for a in (call.x, *(s[0] for s in call.states)))
    now: Any = states[0] if len(states) == 1 else tuple(states)
    outputs = []
    for t in range(4):
        now = cell(x[t], now)
        outputs.append(now[0] if kind == "LSTM" else now)
    last = list(now) if kind == "LSTM" else [now]
    results = [tn.functional.stack(outputs), *(tn.functional.unsqueeze(state, 0) for state in last)]
    total(results, tn.tensor).backward()
    named = ((f"{name}_l0", parameter) for name, parameter in cell.named_parameters())
    found = gathered(results, x, states, named, lambda t: t.numpy())
    assert_same(found.values, expected.values)
    whole = {name: g[None] if name.startswith("state") else g for name, g in found.gradients.items()}
    assert_same(whole, expected.gradients)


# Variants, against plain loops

LENGTHS = [2, 4]
VARIANTS: dict[str, tuple[str, dict[str, Any], list[int] | None]] = {
    "rnn": ("RNN", {}, None),
    "rnn, lengths": ("RNN", {"nonlinearity": "relu"}, LENGTHS),
    "lstm": ("LSTM", {}, None),
    "lstm, lengths": ("LSTM", {}, LENGTHS),
    "gru": ("GRU", {}, None),
    "gru, lengths": ("GRU", {}, LENGTHS),
    "gru, reset before": ("GRU", {"reset_after": False}, None),
    "gru, reset before, no bias": ("GRU", {"reset_after": False, "bias": False}, None),
    "gru, reset before, deep, both, lengths": (
        "GRU",
        {"reset_after": False, "num_layers": 2, "bidirectional": True},
        LENGTHS,
    ),
    "peepholes": ("LSTM", {"peepholes": True}, None),
    "peepholes, both, lengths": ("LSTM", {"peepholes": True, "bidirectional": True}, LENGTHS),
    "coupled": ("LSTM", {"coupled_gates": True}, None),
    "coupled, no bias, lengths": ("LSTM", {"coupled_gates": True, "bias": False}, LENGTHS),
    "coupled, peepholes": ("LSTM", {"coupled_gates": True, "peepholes": True}, None),
    "clipped": ("LSTM", {"cell_clip": 0.3}, None),
    "clipped, lengths": ("LSTM", {"cell_clip": 0.3}, LENGTHS),
    "clipped, peepholes, projected": ("LSTM", {"cell_clip": 0.3, "peepholes": True, "proj_size": 2}, None),
    "projected, peepholes, lengths": ("LSTM", {"proj_size": 1, "peepholes": True}, LENGTHS),
    "forget bias": ("LSTM", {"forget_bias": 2.0}, None),
    "everything": (
        "LSTM",
        {
            "num_layers": 2,
            "bidirectional": True,
            "peepholes": True,
            "coupled_gates": True,
            "cell_clip": 0.3,
            "proj_size": 2,
            "truncate": 2,
        },
        LENGTHS,
    ),
    "rnn, truncated": ("RNN", {"truncate": 1}, None),
    "gru, truncated, both": ("GRU", {"truncate": 3, "bidirectional": True}, None),
    "gru, truncated, reset before, lengths": ("GRU", {"truncate": 2, "reset_after": False}, LENGTHS),
    "rnn, truncated, overlapping": ("RNN", {"truncate": (1, 3)}, None),
    "lstm, truncated, overlapping, peepholes": ("LSTM", {"truncate": (1, 2), "peepholes": True}, None),
    "gru, truncated, overlapping, both": ("GRU", {"truncate": (2, 3), "bidirectional": True}, None),
    "lstm, truncated, deep": ("LSTM", {"truncate": 2, "num_layers": 2}, None),
}


class Loops:
    """The results of plain loops as a function of all arrays, weighed as ``outcome`` weighs them."""

    def __init__(self, kind: str, options: dict[str, Any], module: Any, call: Call):
        assert call.states is not None
        self.kind, self.lengths, self.cuts = kind, call.lengths, {}
        self.options = {name: value for name, value in options.items() if name not in ("forget_bias", "truncate")}
        self.truncate = options.get("truncate")
        self.arrays = {"x": call.x, **{f"state {k}": s for k, s in enumerate(call.states)}, **module.state_dict()}
        self.values = {f"result {k}": y for k, y in enumerate(self(*self.arrays.values()))}

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        named = dict(zip(self.arrays, arrays, strict=True))
        x = named.pop("x")
        states = [named.pop(f"state {k}") for k in range(STATES[self.kind])]
        return loops.network(
            self.kind, named, x, states, self.lengths, self.cuts, truncate=self.truncate, **self.options
        )

    def loss(self, *arrays: np.ndarray) -> float:
        return float(sum((weights(y.shape, k) * y).sum() for k, y in enumerate(self(*arrays))))

    def gradients(self) -> dict[str, np.ndarray]:
        found = numerical_gradients(self.loss, list(self.arrays.values()))
        return dict(zip(self.arrays, found, strict=True))

    def slopes(self) -> dict[str, tuple[np.ndarray, float]]:
        """For every array a direction, and the slope of the loss in it."""
        found = {}
        for k, (name, array) in enumerate(self.arrays.items()):
            direction = weights(array.shape, 30 + k)
            sides = [
                self.loss(*(a + step * direction if other == name else a for other, a in self.arrays.items()))
                for step in (STEP, -STEP)
            ]
            found[name] = direction, (sides[0] - sides[1]) / (2 * STEP)
        return found


@pytest.mark.parametrize("title", VARIANTS)
def test_a_variant_is_the_loop_and_its_gradients_are_finite_differences(title):
    """Recorded and unrecorded; the gradient of every element of every array."""
    kind, options, lengths = VARIANTS[title]
    module = make(kind, 2, 3 if options.get("proj_size") else 2, **options)
    call = Call(spread(4, 2, 2), initial(module, 2), lengths)
    reference = Loops(kind, options, module, call)
    expected = reference.gradients()
    for recorded in (False, True):
        found = outcome(module, call, recorded)
        assert_same(found.values, reference.values, rtol=0, atol=1e-13)
        assert_same(found.gradients, expected, **CLOSE)


@st.composite
def configurations(draw) -> tuple[str, dict[str, Any], Call, int, int]:
    kind = draw(st.sampled_from(["RNN", "LSTM", "LSTM", "GRU"]))
    steps, batch, inputs, hidden = draw(st.integers(1, 4)), draw(SMALL), draw(SMALL), draw(SMALL)
    options: dict[str, Any] = {
        "num_layers": draw(st.integers(1, 2)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "truncate": draw(st.none() | st.integers(1, 3) | st.sampled_from([(1, 2), (1, 3), (2, 3), (2, 2)])),
    }
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if kind == "GRU":
        options["reset_after"] = draw(st.booleans())
    if kind == "LSTM":
        options["proj_size"] = draw(st.integers(0, hidden - 1))
        options["peepholes"], options["coupled_gates"] = draw(st.booleans()), draw(st.booleans())
        options["cell_clip"] = draw(st.none() | st.just(0.3))
    one_each = st.lists(st.integers(1, steps), min_size=batch, max_size=batch)
    overlapping = isinstance(options["truncate"], tuple) and options["truncate"] != (2, 2)
    lengths = draw(st.none() if overlapping else st.none() | one_each)
    return kind, options, Call(spread(steps, batch, inputs), None, lengths), inputs, hidden


@given(configurations(), st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True)  # finite differences fail where a kink is near
def test_any_mixture_of_options_is_the_loop(configuration, recorded):
    """Outputs, last states, and the slope along a random direction of every input, state and parameter."""
    kind, options, call, inputs, hidden = configuration
    module = make(kind, inputs, hidden, **options)
    call = call._replace(states=initial(module, call.x.shape[1]))
    reference = Loops(kind, options, module, call)
    found = outcome(module, call, recorded)
    assert_same(found.values, reference.values, rtol=0, atol=1e-13)
    for name, (direction, slope) in reference.slopes().items():
        assert (found.gradients[name] * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7), name


def test_the_clip_of_these_variants_clips_some_cells_and_not_others():
    with tn.record() as run:
        make("LSTM", cell_clip=0.3)(tn.tensor(spread(4, 2, 2)), tuple(map(tn.tensor, two_states())))
    before = np.abs([run[f"lstm.c_unclipped[{t}]"] for t in range(4)])
    after = np.abs([run[f"lstm.c[{t}]"] for t in range(4)])
    assert (before > 0.3).any() and (before < 0.3).any()
    assert after.max() == 0.3


def two_states() -> list[np.ndarray]:
    return [spread(1, 2, 3, seed=20), spread(1, 2, 3, seed=21)]


@pytest.mark.parametrize("title", ["gru, reset before", "coupled, peepholes", "projected, peepholes, lengths"])
def test_a_variant_has_second_derivatives(title):
    """In the input and every parameter."""
    kind, options, lengths = VARIANTS[title]
    module = make(kind, 1, 2, **options)
    names = [name for name, _ in module.named_parameters()]

    def function(x: tn.Tensor, *parameters: tn.Tensor) -> tn.Tensor:
        for name, parameter in zip(names, parameters, strict=True):
            setattr(module, name, parameter)
        return module(x, lengths=None if lengths is None else [1, 2])[0]

    assert tn.testing.check_gradients(function, spread(2, 2, 1), *module.state_dict().values(), order=2)


def test_a_forget_bias_is_where_the_forget_gates_start():
    for module in (make("LSTM", forget_bias=2.0), make("LSTM", num_layers=2, bidirectional=True, forget_bias=2.0)):
        for layer, reverse in module.passes():
            ending = f"_l{layer}{'_reverse' if reverse else ''}"
            bias = getattr(module, f"bias_ih{ending}").numpy()
            np.testing.assert_array_equal(bias[3:6], np.full(3, 2.0))
            assert 2.0 not in bias[:3] and 2.0 not in bias[6:]
            assert 2.0 not in getattr(module, f"bias_hh{ending}").numpy()


# Truncated backpropagation, against PyTorch cut by hand


@recordings
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("every", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("kind", STATES)
def test_truncation_is_detaching_the_states_every_so_many_steps(torch, kind, every, layers, recorded):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(2, 3, layers).double()
    mine = getattr(nn, kind)(2, 3, layers, truncate=every)
    mine.load_state_dict(theirs.state_dict())
    call = Call(spread(5, 2, 2), initial(mine, 2))
    x, *states = (torch.tensor(a, requires_grad=True) for a in (call.x, *call.states))
    now, pieces = states, []
    for start in range(0, 5, every):
        cut = [state.detach() for state in now] if start else now
        out, last = theirs(x[start : start + every], tuple(cut) if kind == "LSTM" else cut[0])
        now = list(last) if kind == "LSTM" else [last]
        pieces.append(out)
    results = [torch.cat(pieces), *now]
    total(results, torch.tensor).backward()
    expected = gathered(results, x, states, theirs.named_parameters(), lambda t: t.detach().numpy())
    found = outcome(mine, call, recorded)
    assert_same(found.values, expected.values)
    assert_same(found.gradients, expected.gradients)


@recordings
@pytest.mark.parametrize("k", [(1, 2), (2, 3), (2, 5), (3, 4), (1, 9)], ids=str)
@pytest.mark.parametrize("kind", STATES)
def test_overlapping_truncation_is_pytorch_run_again_from_a_detached_state(torch, kind, k, recorded):
    """Each k1 outputs come from a pass over k2 steps, the last of which they are."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(2, 3).double()
    mine = getattr(nn, kind)(2, 3, truncate=k)
    mine.load_state_dict(theirs.state_dict())
    call = Call(spread(5, 2, 2), initial(mine, 2))
    x, *states = (torch.tensor(a, requires_grad=True) for a in (call.x, *call.states))

    def run(start: int, end: int, before: list) -> tuple[Any, list]:
        out, last = theirs(x[start:end], tuple(before) if kind == "LSTM" else before[0])
        return out, list(last) if kind == "LSTM" else [last]

    pieces = []
    for first in range(0, 5, k[0]):
        start = max(0, first + k[0] - k[1]) if first else 0
        before = [state.detach() for state in run(0, start, states)[1]] if start else states
        out, last = run(start, min(first + k[0], 5), before)
        pieces.append(out[first - start :])
    results = [torch.cat(pieces), *last]
    total(results, torch.tensor).backward()
    expected = gathered(results, x, states, theirs.named_parameters(), lambda t: t.detach().numpy())
    found = outcome(mine, call, recorded)
    assert_same(found.values, expected.values)
    assert_same(found.gradients, expected.gradients)


@pytest.mark.parametrize("kind", STATES)
def test_truncation_changes_no_output_and_no_gradient_within_the_last_piece(kind):
    whole, cut = make(kind), make(kind, truncate=3)
    x = spread(5, 2, 2)
    first, second = outcome(whole, Call(x)), outcome(cut, Call(x))
    assert_same(second.values, first.values)
    np.testing.assert_allclose(second.gradients["x"][3:], first.gradients["x"][3:], **EXACT)
    assert np.abs(second.gradients["x"][:3] - first.gradients["x"][:3]).max() > 1e-3


# Laws of lengths, batches and directions

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    "lstm": ("LSTM", {"bidirectional": True}),
    "gru": ("GRU", {"num_layers": 2, "bidirectional": True}),
    "gru, reset before": ("GRU", {"reset_after": False}),
    "peepholes, projected": ("LSTM", {"peepholes": True, "proj_size": 2}),
    "coupled, clipped": ("LSTM", {"coupled_gates": True, "cell_clip": 0.3, "num_layers": 2}),
    "truncated": ("LSTM", {"truncate": 2}),
}
any_lengths = st.lists(st.integers(1, 4), min_size=3, max_size=3)
laws = settings(max_examples=25, deadline=None)


@given(st.sampled_from(list(LAYERS)), any_lengths, st.floats(-1e6, 1e6), st.booleans())
@laws
def test_what_stands_beyond_the_end_of_a_sequence_does_not_matter(title, lengths, anything, recorded):
    """It changes no number at all, receives a gradient of exactly 0, and the output there is exactly 0."""
    kind, options = LAYERS[title]
    module = make(kind, **options)
    x = spread(4, 3, 2)
    beyond = np.arange(4)[:, None] >= np.array(lengths)
    other = np.where(beyond[..., None], anything, x)
    first, second = (outcome(module, Call(a, initial(module, 3), lengths), recorded) for a in (x, other))
    assert_same(second.values, first.values, rtol=0, atol=0)
    assert_same(second.gradients, first.gradients, rtol=0, atol=0)
    assert not second.gradients["x"][beyond].any()
    assert not second.values["result 0"][beyond].any()


@given(st.sampled_from(list(LAYERS)), any_lengths)
@laws
def test_a_state_stays_as_it_is_beyond_the_end(title, lengths):
    kind, options = LAYERS[title]
    module = make(kind, **options)
    with tn.record() as run:
        module(tn.tensor(spread(4, 3, 2)), lengths=lengths)
    quantities = {value.quantity for value in run.values if value.time == -1}
    assert quantities
    for quantity in quantities:
        here = [run[f"{quantity}[{t}]"] for t in range(4)]
        for n, length in enumerate(lengths):
            kept = run[f"{quantity}[initial]"][n] if quantity.endswith("reverse") else here[length - 1][n]
            for t in range(length, 4):
                np.testing.assert_array_equal(here[t][n], kept)


@given(st.sampled_from(list(LAYERS)), st.none() | any_lengths, st.booleans())
@laws
def test_a_batch_is_its_sequences_one_by_one(title, lengths, recorded):
    """Cut to their lengths: outputs and last states; of the parameters' gradients, the batch has the sum."""
    kind, options = LAYERS[title]
    module = make(kind, **options)
    x, states = spread(4, 3, 2), initial(module, 3)
    batch = outcome(module, Call(x, states, lengths), recorded)
    summed = dict.fromkeys(dict(module.named_parameters()), 0.0)
    for n in range(3):
        end = 4 if lengths is None else lengths[n]
        weigh = [weights(y.shape, k) for k, y in enumerate(batch.values.values())]
        leaves = [tn.tensor(a, requires_grad=True) for a in (x[:end, n], *(s[:, n] for s in states))]
        module.zero_grad()
        out, last = module(leaves[0], tuple(leaves[1:]) if kind == "LSTM" else leaves[1])
        results = [out, *(last if isinstance(last, tuple) else [last])]
        parts = [weigh[0][:end, n], *(w[:, n] for w in weigh[1:])]
        products = [(tn.tensor(w) * y).sum() for w, y in zip(parts, results, strict=True)]
        sum(products[1:], products[0]).backward()
        for k, y in enumerate(results):
            whole = batch.values[f"result {k}"]
            np.testing.assert_allclose(y.numpy(), whole[:, n] if k else whole[:end, n], **EXACT)
        np.testing.assert_allclose(leaves[0].grad.numpy(), batch.gradients["x"][:end, n], **EXACT)
        for k, state in enumerate(leaves[1:]):
            np.testing.assert_allclose(state.grad.numpy(), batch.gradients[f"state {k}"][:, n], **EXACT)
        for name, parameter in module.named_parameters():
            summed[name] = summed[name] + parameter.grad.numpy()
    assert_same(summed, {name: batch.gradients[name] for name in summed})


@given(st.sampled_from(list(LAYERS)), st.integers(1, 4), st.booleans())
@laws
def test_the_reverse_direction_is_the_forward_one_on_the_flipped_sequence(title, steps, recorded):
    kind, options = LAYERS[title]
    options = {**options, "num_layers": 1, "bidirectional": True}
    both, one = make(kind, **options), make(kind, **{**options, "bidirectional": False})
    reverse = {name: array for name, array in both.state_dict().items() if name.endswith("_reverse")}
    one.load_state_dict({name.removesuffix("_reverse"): array for name, array in reverse.items()})
    x, states, size = spread(steps, 2, 2), initial(both, 2), both.output_size
    with tn.record() if recorded else nullcontext():
        given_both = tuple(map(tn.tensor, states))
        out, last = both(tn.tensor(x), given_both if kind == "LSTM" else given_both[0])
        given_one = tuple(tn.tensor(s[1:]) for s in states)
    with tn.record() if recorded else nullcontext():
        flipped, ends = one(tn.tensor(x[::-1].copy()), given_one if kind == "LSTM" else given_one[0])
    np.testing.assert_allclose(out.numpy()[..., size:], flipped.numpy()[::-1], **EXACT)
    pairs = zip(last, ends, strict=True) if kind == "LSTM" else [(last, ends)]
    for end, expected in pairs:
        np.testing.assert_allclose(end.numpy()[1:], expected.numpy(), **EXACT)


@given(any_lengths)
@laws
def test_full_lengths_are_no_lengths(lengths):
    """And lengths cut at T, beyond which nobody looks, are those of a shorter sequence."""
    module, longest = make("GRU", bidirectional=True), max(lengths)
    x = spread(4, 3, 2)
    assert_same(outcome(module, Call(x, None, [4, 4, 4])).values, outcome(module, Call(x)).values)
    padded = outcome(module, Call(x, None, lengths)).values
    short = outcome(module, Call(x[:longest], None, lengths)).values
    assert_same(short, {**padded, "result 0": padded["result 0"][:longest]})


# Dropout between layers


def deep(kind: str, p: float, **options: Any) -> Any:
    return make(kind, 2, 8, num_layers=3, dropout=p, **options)


@pytest.mark.parametrize("kind", STATES)
def test_dropout_drops_between_the_layers_and_only_while_training(kind):
    """What a layer receives is a share of what the one before sent: 0, or 1 / (1 − p) times it."""
    module, x = deep(kind, 0.25), tn.tensor(spread(4, 3, 2), name="x")
    with tn.record() as run:
        module(x)
    masks = [value for value in run.leaves if value.quantity and "dropout_mask" in value.quantity]
    assert [mask.shape for mask in masks] == [(4, 3, 8)] * 2
    for layer, mask in enumerate(masks):
        assert set(np.unique(mask.array)) == {0.0, 1.0}
        sent = np.stack([run[f"{kind.lower()}.h_l{layer}[{t}]"] for t in range(4)])
        received = [v for v in run.values if v.shape == (4, 3, 8) and v.quantity and "dropped" in v.quantity]
        np.testing.assert_allclose(received[layer].array, sent * mask.array / 0.75, rtol=1e-15)
    share = np.mean([mask.array.mean() for mask in masks])
    assert 0.65 < share < 0.85

    module.eval()
    with tn.record() as calm:
        module(x)
    assert not [name for name in calm.names if "drop" in name]
    plain = deep(kind, 0.0)
    plain.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(module(x)[0].numpy(), plain(x)[0].numpy())


@pytest.mark.parametrize("kind", STATES)
def test_a_single_layer_drops_nothing(kind):
    with pytest.warns(UserWarning, match=r"dropout=0.9 does nothing: .* num_layers is 1"):
        module = make(kind, dropout=0.9)
    plain, x = make(kind), tn.tensor(spread(4, 3, 2))
    np.testing.assert_array_equal(module(x)[0].numpy(), plain(x)[0].numpy())


@recordings
def test_dropout_under_the_masks_drawn_is_the_layers_with_these_masks(recorded):
    """Outputs and gradients: two single layers with the same mask between them by hand."""
    module, x = make("LSTM", num_layers=2, bidirectional=True, dropout=0.5), spread(4, 3, 2)
    layers = [make("LSTM", bidirectional=True), make("LSTM", 6, bidirectional=True)]
    for k, layer in enumerate(layers):
        state = {n.replace(f"_l{k}", "_l0"): a for n, a in module.state_dict().items() if f"_l{k}" in n}
        layer.load_state_dict(state)
    tn.manual_seed(7)
    found = outcome(module, Call(x), recorded)
    tn.manual_seed(7)
    mask = tn.functional.dropout(tn.tensor(np.ones((4, 3, 6))), 0.5)
    assert 0 in mask.numpy() and 2 in mask.numpy()
    leaf = tn.tensor(x, requires_grad=True)
    between, (h0, c0) = layers[0](leaf)
    out, (h1, c1) = layers[1](between * mask)
    results = [out, *(tn.functional.cat(pair) for pair in ((h0, h1), (c0, c1)))]
    total(results, tn.tensor).backward()
    np.testing.assert_allclose(found.values["result 0"], out.numpy(), **EXACT)
    np.testing.assert_allclose(found.gradients["x"], leaf.grad.numpy(), **EXACT)
    for k, layer in enumerate(layers):
        for name, parameter in layer.named_parameters():
            np.testing.assert_allclose(found.gradients[name.replace("_l0", f"_l{k}")], parameter.grad.numpy(), **EXACT)


# Messages

X = spread(4, 3, 2)
STATE = np.zeros((1, 3, 3))
FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "input size": (lambda: nn.GRU(5, 3)(tn.tensor(X)), r"GRU expects \(T, N, 5\) .*, got \(4, 3, 2\)"),
    "batch first": (
        lambda: nn.LSTM(5, 3, batch_first=True)(tn.tensor(X)),
        r"LSTM expects \(N, T, 5\) .*, got \(4, 3, 2\)",
    ),
    "axes": (lambda: nn.RNN(2, 3)(tn.tensor(X[0, 0])), r"RNN expects \(T, N, 2\) .*, got \(2,\)"),
    "no steps": (lambda: nn.RNN(2, 3)(tn.tensor(X[:0])), r"T and N at least 1, got \(0, 3, 2\)"),
    "state": (
        lambda: nn.GRU(2, 3, num_layers=2)(tn.tensor(X), tn.tensor(STATE)),
        r"initial state has shape \(1, 3, 3\), expected \(2, 3, 3\)",
    ),
    "state of one sequence": (
        lambda: nn.GRU(2, 3)(tn.tensor(X[:, 0]), tn.tensor(STATE)),
        r"initial state has shape \(1, 3, 3\), expected \(1, 3\)",
    ),
    "projected state": (
        lambda: nn.LSTM(2, 3, proj_size=2)(tn.tensor(X), (tn.tensor(STATE), tn.tensor(STATE))),
        r"initial state has shape \(1, 3, 3\), expected \(1, 3, 2\)",
    ),
    "h without c": (lambda: nn.LSTM(2, 3)(tn.tensor(X), tn.tensor(STATE)), r"LSTM expects states \(h, c\), got one"),
    "c of a gru": (
        lambda: nn.GRU(2, 3)(tn.tensor(X), (tn.tensor(STATE), tn.tensor(STATE))),
        "GRU expects one state, got 2 states",
    ),
    "length 0": (lambda: nn.RNN(2, 3)(tn.tensor(X), lengths=[4, 0, 1]), r"from 1 to 4, got \[4, 0, 1\]"),
    "length 5": (lambda: nn.RNN(2, 3)(tn.tensor(X), lengths=[5, 4, 1]), r"from 1 to 4, got \[5, 4, 1\]"),
    "two lengths": (lambda: nn.RNN(2, 3)(tn.tensor(X), lengths=[4, 4]), r"3 integers, one a sequence, got .* \(2,\)"),
    "broken lengths": (lambda: nn.RNN(2, 3)(tn.tensor(X), lengths=[1.0, 2.0, 3.5]), "3 integers.*, got float64"),
    "nonlinearity": (lambda: nn.RNN(2, 3, nonlinearity="sin"), "'sin', expected 'tanh' or 'relu'"),
    "cell's nonlinearity": (lambda: nn.RNNCell(2, 3, nonlinearity="sin"), "'sin', expected 'tanh' or 'relu'"),
    "layers": (lambda: nn.GRU(2, 3, num_layers=0), "GRU needs sizes and layers of at least 1"),
    "hidden": (lambda: nn.LSTM(2, 0), "at least 1|expected 0"),
    "dropout": (lambda: nn.GRU(2, 3, dropout=1.5), "dropout is 1.5, expected a probability from 0 to 1"),
    "truncate": (lambda: nn.GRU(2, 3, truncate=0), r"truncate is 0, expected a number of steps, or \(k1, k2\)"),
    "truncate to less": (lambda: nn.RNN(2, 3, truncate=(3, 2)), r"truncate is \(3, 2\), expected .* 1 ≤ k1 ≤ k2"),
    "truncate again, lengths": (
        lambda: nn.RNN(2, 3, truncate=(1, 2))(tn.tensor(X), lengths=[4, 4, 1]),
        "lengths go with truncate=k, not with k2 larger than k1",
    ),
    "projection": (lambda: nn.LSTM(2, 3, proj_size=3), r"proj_size is 3, expected 0 \(none\) to 2"),
    "clip": (lambda: nn.LSTM(2, 3, cell_clip=-1.0), "cell_clip is -1.0, expected a positive number"),
    "forget bias, no bias": (lambda: nn.LSTM(2, 3, bias=False, forget_bias=1.0), "forget_bias needs bias=True"),
    "forget bias, coupled": (lambda: nn.LSTM(2, 3, coupled_gates=True, forget_bias=1.0), "coupled_gates=False"),
    "cell's input": (lambda: nn.GRUCell(2, 3)(tn.tensor(STATE[0])), r"GRUCell expects \(N, 2\), got \(3, 3\)"),
    "cell's input beside a state": (
        lambda: nn.RNNCell(2, 3)(tn.tensor(STATE[0]), tn.tensor(STATE[0])),
        r"RNNCell expects \(N, 2\), got \(3, 3\)",
    ),
    "cell's state": (
        lambda: nn.RNNCell(2, 3)(tn.tensor(X[0]), tn.tensor(STATE[0, :1])),
        r"a state has shape \(1, 3\), expected \(3, 3\)",
    ),
    "cell's h without c": (
        lambda: nn.LSTMCell(2, 3)(tn.tensor(X[0]), tn.tensor(STATE[0])),
        r"LSTMCell expects states \(h, c\), got one",
    ),
    "cell's size": (lambda: nn.LSTMCell(2, 0), "LSTMCell needs sizes of at least 1"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_met_with_what_was_expected(what):
    fault, message = FAULTS[what]
    with pytest.raises(ValueError, match=message):
        fault()


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_last_state_may_be_reset_in_place(layer):
    """As for sequences of a stateful net that begin anew; neither outputs nor gradients see it."""
    net, x = layer(2, 3), tn.tensor(spread(4, 2, 2))
    found = []
    for reset in (False, True):
        net.zero_grad()
        outputs, states = net(x)
        loss = (outputs * outputs).sum()
        for state in states if isinstance(states, tuple) else (states,):
            state.detach().data[:, 0] = 0 if reset else state.data[:, 0]
        loss.backward()
        found.append([outputs.numpy().copy(), *(p.grad.numpy() for p in net.parameters())])
    for plain, after in zip(*found, strict=True):
        np.testing.assert_array_equal(plain, after)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0"])
def test_parameters_of_another_shape_are_no_parameters_of_the_kernel(layer, name):
    net, x = layer(2, 3), tn.tensor(spread(4, 1, 2))
    parameter = getattr(net, name)
    parameter.data = np.ones(tuple(1 if axis == parameter.ndim - 1 else n for axis, n in enumerate(parameter.shape)))
    if name.startswith("weight"):
        with pytest.raises(ValueError, match="cannot multiply"):
            net(x)
    else:
        net(x)[0].sum().backward()
        assert parameter.grad.shape == parameter.shape == (1,)


@pytest.mark.parametrize("options", [{}, {"peepholes": True}, {"proj_size": 2}])
def test_resetting_the_last_states_in_place_does_not_change_the_gradients(options):
    """The output gate of an LSTM with peepholes looks at the last cell state, whose gradient needs it as it was."""
    x, gradients = tn.tensor(spread(3, 2, 4)), []
    for reset in (False, True):
        nn.init.manual_seed(0)
        net = nn.LSTM(4, 3, **options)
        outputs, states = net(x)
        for state in states if reset else ():
            state.numpy()[...] = 7
        (outputs**2).sum().backward()
        gradients.append({name: p.grad.numpy() for name, p in net.named_parameters()})
    for name in gradients[0]:
        np.testing.assert_array_equal(gradients[0][name], gradients[1][name])
