"""The engine on other array libraries: NumPy's numbers everywhere, and nothing copied between host and device unasked.

array-api-strict knows the standard and nothing else, and has a second device; a stand-in for CuPy has NumPy's interface
but lets no array through. CuPy itself runs the same tests (``-m gpu``) where there is a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

import tinynet as tn
from tests import fake_cupy
from tests.gradients import spread
from tests.spreadsheets import require
from tests.test_primitives import CASES, fixed
from tinynet import backend, nn
from tinynet import functional as F
from tinynet import primitives as P
from tinynet.testing import strategies

LIBRARIES = ["array_api_strict", "stand-in", pytest.param("cupy", marks=pytest.mark.gpu)]
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(params=LIBRARIES)
def library(request: Any, monkeypatch: Any) -> str:
    """The name of an array library; afterwards new tensors are NumPy's again."""
    monkeypatch.setattr(backend, "_default_library", np)
    if request.param == "stand-in":
        fake_cupy.install(monkeypatch)
    elif request.param == "cupy":
        try:
            backend.library("cupy")
        except (ImportError, RuntimeError) as error:
            pytest.skip(str(error))
    else:
        require(request.param)
    return "cupy" if request.param == "stand-in" else request.param


@pytest.fixture
def stand_in(monkeypatch: Any) -> Iterator[Any]:
    monkeypatch.setattr(backend, "_default_library", np)
    yield fake_cupy.install(monkeypatch)


def is_in(library: str, *tensors: Any) -> bool:
    return all(backend.namespace(x.data if isinstance(x, tn.Tensor) else x).__name__ == library for x in tensors)


def leaf(array: Any, library: str = "numpy") -> tn.Tensor:
    return tn.tensor(array, requires_grad=np.asarray(array).dtype.kind == "f").to(library)


def assert_close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(backend.to_host(found), expected, **CLOSE)


# Primitives and composites


def results(function, arrays, library):
    """The value, the gradients, and the gradients of those, in one library, which also makes the constants."""
    tn.use(library)
    leaves = [leaf(array, library) for array in arrays]
    y = function(*leaves)
    tracked = [x for x in leaves if x.requires_grad]
    seed = tn.tensor(spread(*y.shape, seed=5)).to(library)
    first = tn.grad(y, tracked, seed, create_graph=True)
    second = [h for g in first if g.requires_grad for h in tn.grad(g, tracked, seed_like(g))]
    found = [y, *first, *second]
    assert is_in(library, *found)
    return [x.numpy() for x in found]


def seed_like(g: tn.Tensor) -> tn.Tensor:
    return tn.Tensor(backend.placed(spread(*g.shape, seed=6), g.data))


def assert_same(function, arrays, library):
    for found, expected in zip(results(function, arrays, library), results(function, arrays, "numpy"), strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.primitive}: {case.note}")
def test_primitives_and_their_derivatives_of_two_orders(case, library):
    assert_same(case.function, case.arrays, library)


@pytest.mark.parametrize("name", ["greater", "less", "greater_equal", "less_equal", "equal", "not_equal", "sign"])
def test_primitives_without_a_derivative(name, library):
    operands = [spread(3, 4), spread(4)] if name != "sign" else [spread(3, 4)]
    there = [leaf(x, library) for x in operands]
    np.testing.assert_array_equal(P.TABLE[name](*there).numpy(), P.TABLE[name](*operands))


def test_argmax(library):
    x = spread(3, 4)
    np.testing.assert_array_equal(P.argmax(leaf(x, library), axis=1).numpy(), P.argmax(x, axis=1))


IMAGES = spread(2, 2, 5, 6)
CLASSES = np.array([[0, 3], [1, 2]])
COMPOSITES = {
    "softmax": (lambda x: F.softmax(x, 1), spread(3, 4)),
    "cross_entropy": (lambda x: F.cross_entropy(x, fixed(CLASSES, x)), spread(2, 2, 4)),
    "cross_entropy of a list": (lambda x: F.cross_entropy(x, CLASSES.tolist()), spread(2, 2, 4)),
    "mse_loss": (F.mse_loss, spread(3, 4), spread(3, 4, seed=1)),
    "leaky_relu": (F.leaky_relu, spread(3, 4)),
    "elu": (F.elu, spread(3, 4)),
    "gelu": (F.gelu, spread(3, 4)),
    "gelu by tanh": (lambda x: F.gelu(x, "tanh"), spread(3, 4)),
    "softplus": (F.softplus, spread(3, 4)),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, 4, w, b), spread(3, 4), spread(4, seed=1), spread(4, seed=2)),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), spread(3, 4)),
    "conv1d": (lambda x, w: F.conv1d(x, w, padding="same", dilation=2), spread(2, 2, 5), spread(3, 2, 3, seed=1)),
    "conv2d": (lambda x, w: F.conv2d(x, w, stride=2, padding=1), IMAGES, spread(3, 2, 3, 2, seed=1)),
    "conv2d in groups": (
        lambda x, w, b: F.conv2d(x, w, b, groups=2),
        IMAGES,
        spread(4, 1, 3, 2, seed=1),
        spread(4, seed=2),
    ),
    "conv_transpose2d": (
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1),
        spread(2, 2, 3, 2),
        spread(2, 3, 3, 2, seed=1),
    ),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, stride=2, padding=1), IMAGES),
    "max_pool2d inside": (lambda x: F.max_pool2d(x, 2, stride=(1, 3)), IMAGES),
    "max_pool2d of tiles": (lambda x: F.max_pool2d(x, (5, 3)), IMAGES),
    "relu": (F.relu, IMAGES),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2, padding=1, count_include_pad=False), IMAGES),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (2, 4)), IMAGES),
    "embedding": (lambda w: F.embedding(tn.Tensor(fixed(CLASSES, w)), w), spread(4, 3)),
    "gather": (lambda x: F.gather(x, 1, tn.Tensor(fixed(CLASSES, x))), spread(2, 4)),
    "shapes": (lambda x: F.stack([x.T.reshape(-1), F.flatten(x)]), spread(3, 4)),
    "getitem of a tensor": (lambda x: x[tn.Tensor(fixed(CLASSES, x))], spread(4, 3)),
    "a list": (lambda x: x * [1.0, 2.0, 3.0] + x @ [[1.0, 0.5, 2.0]] * 3, spread(2, 1)),
    "sequence_loss": (lambda x: F.sequence_loss(x, [3, 1], time="last"), spread(3, 2)),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_and_their_derivatives_of_two_orders(name, library):
    function, *arrays = COMPOSITES[name]
    assert_same(function, arrays, library)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=strategies.programs())
def test_programs_of_everything_that_there_is(program, library):
    assume("where(np" not in repr(program))  # a NumPy array among the operands is refused
    assert_same(program, program.arrays, library)


def test_dropout_draws_the_same_mask(library):
    def dropped(x):
        tn.manual_seed(3)
        return F.dropout(x, 0.5)

    assert_same(dropped, [spread(3, 4)], library)


# Networks


class Recurrent(nn.Module):
    """A recurrent layer and what reads its states."""

    def __init__(self, layer: Any):
        self.layer, self.head = layer, nn.Linear(layer.directions * layer.output_size, 3)

    def forward(self, x: Any, lengths: Any = None) -> Any:
        return self.head(self.layer(x, None, lengths)[0])


def convolutional() -> nn.Module:
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3, momentum=None), nn.ReLU(), nn.MaxPool2d(2, padding=1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(36, 3))


def joined() -> nn.Module:
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, padding=1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(36, 3))


NETWORKS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 3)), (6, 4)),
    "conv": (convolutional, (2, 2, 5, 6)),
    "joined": (joined, (2, 2, 5, 6)),
    "rnn": (lambda: Recurrent(nn.RNN(4, 5)), (3, 2, 4)),
    "lstm": (lambda: Recurrent(nn.LSTM(4, 5, forget_bias=1.0)), (3, 2, 4)),
    "gru": (lambda: Recurrent(nn.GRU(4, 5)), (3, 2, 4)),
    "bidirectional": (lambda: Recurrent(nn.LSTM(4, 5, num_layers=2, bidirectional=True)), (3, 2, 4)),
    "peepholes": (lambda: Recurrent(nn.LSTM(4, 5, proj_size=2, peepholes=True, cell_clip=0.2)), (3, 2, 4)),
}
EACH_NETWORK = pytest.mark.parametrize("name", NETWORKS)


def network(name: str) -> nn.Module:
    tn.manual_seed(0)
    return NETWORKS[name][0]()


def data(name: str, library: str = "numpy") -> tuple[tn.Tensor, tn.Tensor]:
    """Inputs, and a class for all but their last axis (or, of images, their last three)."""
    shape = NETWORKS[name][1]
    classes = np.arange(np.prod(shape[: 1 if len(shape) == 4 else -1])) % 3
    x, target = tn.tensor(spread(*shape), name="x"), tn.tensor(classes, name="target")
    return x.to(library), (target if len(shape) != 3 else target.reshape(shape[:2])).to(library)


def train(net: nn.Module, x: tn.Tensor, target: tn.Tensor, steps: int = 2, **options: Any) -> list[float]:
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    tn.manual_seed(1)  # of dropout
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x, **options), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_same_state(net: nn.Module, expected: nn.Module) -> None:
    found = net.state_dict()
    for path, array in expected.state_dict().items():
        assert_close(found[path], array)


@EACH_NETWORK
def test_training_gives_numpys_numbers(name, library):
    net, expected = network(name).to(library), network(name)
    assert train(net, *data(name, library)) == pytest.approx(train(expected, *data(name)), rel=1e-12)
    assert is_in(library, *net.parameters(), *(p.grad for p in net.parameters()))
    assert_same_state(net, expected)


def test_training_on_sequences_of_different_lengths(library):
    net, expected, options = network("lstm").to(library), network("lstm"), {"lengths": [3, 1]}
    found = train(net, *data("lstm", library), **options)
    assert found == pytest.approx(train(expected, *data("lstm"), **options), rel=1e-12)
    assert_same_state(net, expected)


@EACH_NETWORK
def test_training_stays_on_its_device(name):
    """array-api-strict's second device cannot be read by NumPy, nor meet an array of the first."""
    strict = require("array_api_strict")
    device, net = strict.Device("device1"), network(name)
    x, target = data(name)
    there = [*net.to("array_api_strict").parameters(), *(buffer for _, buffer in net.named_buffers())]
    for tensor in (*there, x, target):
        tensor.data = strict.asarray(tensor.data, device=device)
    train(net, x, target)
    assert all(tensor.data.device == device for tensor in there)
    assert all(p.grad.data.device == device for p in net.parameters())


@EACH_NETWORK
def test_training_copies_next_to_nothing_between_host_and_device(name, stand_in):
    """The loss and the extremes of the classes come back. There goes dropout's mask, drawn on the host; the plain mean
    counts its batches."""
    net, (x, target) = network(name).to("cupy"), data(name, "cupy")
    fake_cupy.crossings.clear()
    train(net, x, target, steps=1)
    expected = {"one number": 2, "to host": 1}
    assert +fake_cupy.crossings == expected | ({"to device": 1, "to host": 2} if name == "conv" else {})


# Where tensors are


def test_use_decides_where_new_tensors_are(library):
    tn.use(library)
    net, x = nn.LSTM(2, 3), tn.tensor([[[1.0, 2.0]]])
    h, states = net(x)
    assert is_in(library, x, h, *states, *net.parameters())
    assert is_in(library, tn.tensor(np.ones(2)), tn.Parameter(np.ones(2)), nn.Buffer(np.ones(2)))
    assert is_in(library, F.mse_loss(x, np.ones(x.shape)), x @ np.ones((2, 1)))
    assert [str(p.dtype).rpartition(".")[2] for p in net.parameters()] == ["float64"] * 4


def test_the_data_decides_everything_else(library):
    here, there = tn.tensor([1.0, 2.0]), tn.tensor([1.0, 2.0]).to(library)
    for name in (library, "numpy"):
        tn.use(name)
        for x, place in ((here, "numpy"), (there, library)):
            assert is_in(place, x * [1.0, 2.0], F.mse_loss(x, [1.0, 2.0]), F.dropout(x), nn.RNNCell(2, 3).to(place)(x))
            assert is_in(place, F.mse_loss(x, x.data), tn.Tensor(x.data), x + 1)
    assert is_in("numpy", tn.tensor([1.0]), *nn.Linear(1, 1).parameters())
    assert is_in(library, tn.tensor(there.data))


def test_initialisers_draw_the_same_numbers_everywhere(library):
    expected = network("lstm")
    tn.use(library)
    assert_same_state(network("lstm"), expected)


def test_a_tensor_moves_as_a_leaf(library):
    x = tn.tensor([1.0, 2.0], requires_grad=True, name="x")
    there = x.to(library)
    assert is_in(library, there) and there.requires_grad and there.name == "x"
    assert there.to(library) is there and x.to("numpy") is x
    back = there.to("numpy")
    back.data[0] = 7.0  # a copy
    assert there.numpy().tolist() == [1.0, 2.0] and there.dtype != bool
    with pytest.raises(ValueError, match=r"computed.*move what it was computed from, or detach\(\) it"):
        (x * 2).to(library)
    assert is_in(library, (x * 2).detach().to(library))


def test_a_module_moves_and_its_optimiser_goes_on(library):
    net, expected = network("mlp"), network("mlp")
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    F.cross_entropy(net(data("mlp")[0]), data("mlp")[1]).backward()
    assert net.to(library) is net
    optimizer.step()
    train(expected, *data("mlp"), steps=1)
    assert is_in(library, *net.parameters())
    assert_same_state(net, expected)
    assert_same_state(net.to("numpy"), expected)


OPTIMISERS = {
    "momentum": lambda ps: tn.optim.SGD(ps, 0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "rmsprop": lambda ps: tn.optim.RMSprop(ps, weight_decay=0.1),
    "adam": lambda ps: tn.optim.Adam(ps, weight_decay=0.1),
    "adamw": tn.optim.AdamW,
}


@pytest.mark.parametrize("kind", OPTIMISERS)
@pytest.mark.parametrize("recorded", [False, True])
def test_what_an_optimiser_remembers_stays_where_the_parameters_are(kind, recorded, library):
    (net, optimizer), (expected, other) = (
        (n, OPTIMISERS[kind](n.parameters())) for n in (network("mlp"), network("mlp"))
    )
    net.to(library)
    for _ in range(3):
        for each, update, there in ((net, optimizer, library), (expected, other, "numpy")):
            with tn.record() if recorded else nullcontext() as run:
                update.zero_grad()
                F.cross_entropy(each(data("mlp", there)[0]), data("mlp", there)[1]).backward()
                update.step()
            if run is not None:
                assert is_in(there, *(value.array for value in run.values))
    remembered = [average for memory in optimizer.memory for average in memory.averages.values()]
    assert remembered and is_in(library, *net.parameters(), *remembered)
    assert_same_state(net, expected)
    again = OPTIMISERS[kind](expected.parameters())
    again.load_state_dict(optimizer.state_dict())  # comes to where its parameters are
    for memory, there in zip(again.memory, optimizer.memory, strict=True):
        for label, average in memory.averages.items():
            assert is_in("numpy", average)
            assert_close(there.averages[label].data, average.data)


def test_state_dicts_are_copies_where_they_are_and_load_everywhere(library):
    net, expected = network("conv").to(library), network("conv")
    train(net, *data("conv", library))
    state = net.state_dict()
    assert is_in(library, *state.values())
    expected.load_state_dict(state)
    assert is_in("numpy", *expected.parameters())
    net.load_state_dict(expected.state_dict())
    assert is_in(library, *net.parameters())
    assert_same_state(net, expected)


def test_numbers_in_another_dtype_stay_where_they_are(library):
    x = tn.tensor([1.5]).to(library)
    for dtype in ("float32", np.float32, np.dtype("float32"), (x.data.dtype if library == "cupy" else x.dtype)):
        assert is_in(library, tn.Tensor(x, dtype=dtype))
    assert str(tn.Tensor(x, dtype="float32").dtype).rpartition(".")[2] == "float32"


def test_a_tensor_prints_its_numbers(library):
    x = tn.tensor([1.0, 2.0]).to(library)
    assert repr(x) == repr(tn.tensor([1.0, 2.0])) and x[1].item() == 2.0 and x[1:] > 1


# Errors


def test_libraries_that_meet_are_both_named(library):
    here, there = tn.tensor([[1.0]], requires_grad=True), tn.tensor([[1.0]]).to(library)
    for meet in (
        lambda: here + there,
        lambda: there * np.ones(1),
        lambda: F.linear(there, here),
        lambda: F.mse_loss(there, here),
        lambda: F.cross_entropy(there, np.array([0])),
        lambda: F.embedding(tn.tensor(np.array([0])), there),
        lambda: nn.RNN(1, 1)(there),
        lambda: (here * 2).backward(there),
    ):
        with pytest.raises(TypeError, match=rf"(numpy and {library}|{library} and numpy) arrays meet.*\.to\("):
            meet()


def test_a_tensor_elsewhere_does_not_pass_for_a_numpy_array(library):
    x = tn.tensor([1, 0]).to(library)
    with pytest.raises(TypeError, match=rf"in {library}, not copied to NumPy unasked: call .numpy\(\)"):
        np.asarray(x)
    with pytest.raises(TypeError, match="unasked"):
        tn.tensor(np.eye(2))[x, 0]
    with pytest.raises(TypeError, match="a boolean mask has no fixed shape"):
        x[x > 0]


def test_what_is_not_real_numbers_is_refused_everywhere(library):
    tn.use(library)
    for data in ("text", np.array(["a"]), np.array([1j]), [[1], [1, 2]]):
        with pytest.raises(TypeError, match="cannot make a tensor"):
            tn.tensor(data)


def test_cupy_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for ask in (tn.use, tn.tensor(1.0).to, nn.Linear(1, 1).to):
        with pytest.raises(ImportError, match=r"'cupy' cannot be imported.*pip install 'tinynet-sheets\[cupy\]'"):
            ask("cupy")


@pytest.mark.parametrize(("gpus", "reason"), [(0, "0 of them"), (-1, "cudaErrorInsufficientDriver")])
def test_cupy_without_a_gpu(monkeypatch, gpus, reason):
    fake_cupy.install(monkeypatch, gpus)
    with pytest.raises(RuntimeError, match=f"cupy is installed, but finds no GPU .*{reason}.*stay with 'numpy'"):
        tn.use("cupy")


def test_what_is_no_array_library():
    with pytest.raises(ImportError, match=r"'nmupy' cannot be imported.*expected numpy, cupy or an array-API module"):
        tn.use("nmupy")
    with pytest.raises(ValueError, match="'json' is no array library: expected numpy, cupy or"):
        tn.use("json")
    assert is_in("numpy", tn.tensor(1.0))


# Runs


def recorded(name: str, library: str) -> tn.Run:
    net, (x, target) = network(name).to(library), data(name, library)
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    with tn.record() as run:
        F.cross_entropy(net(x), target).backward()
        optimizer.step()
    return run


@pytest.mark.parametrize("name", ["mlp", "conv", "lstm"])
def test_a_run_is_that_of_numpy_value_by_value(name, library):
    run, expected = recorded(name, library), recorded(name, "numpy")
    assert [step.primitive for step in run.steps] == [step.primitive for step in expected.steps]
    assert is_in(library, *(value.array for value in run.values))
    for value, other in zip(run.values, expected.values, strict=True):
        assert (value.name, value.kind, value.shape) == (other.name, other.kind, other.shape)
        assert_close(value.array, other.array)


def test_a_run_is_replayed_where_it_is(library):
    run, expected = recorded("lstm", library), recorded("lstm", "numpy")
    x = spread(3, 2, 4, seed=9)
    for numbers in (x, x.tolist(), tn.tensor(x).to(library)):
        again = run.replay(x=numbers)
        assert is_in(library, *(value.array for value in again.values))
        assert_close(again["loss"], expected.replay(x=x)["loss"])
        assert_close(again.grad["layer.c[1]"], expected.replay(x=x).grad["layer.c[1]"])
    assert {str(v.array.dtype).rpartition(".")[2] for v in run.astype("float32").values} == {"float32", "int64"}


def test_a_run_goes_to_the_host_when_it_is_written(library, tmp_path):
    run, expected = recorded("lstm", library), recorded("lstm", "numpy")
    assert_close(tn.Run.from_json(run.to_json())["loss"], expected["loss"])
    run.to_excel(tmp_path / "run.xlsx")
    loaded = tn.load(tmp_path / "run.xlsx")
    for name in expected.names:
        assert_close(loaded[name], expected[name])
    assert is_in("numpy", *run.parameters.values(), *(value.array for value in run.to("numpy").values))
    network("lstm").to(library).load_state_dict(loaded.parameters)
    assert loaded.to("numpy") is loaded and is_in(library, loaded.to(library)["loss"])
