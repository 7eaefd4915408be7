"""Modules: whole nets against PyTorch, state dicts, names and messages."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import nn

TORCH = {"rtol": 0, "atol": 1e-10}
LAYERS = [
    pytest.param(name, layers, bias, options, id=f"{name}-{layers}-{'bias' if bias else 'nobias'}-{options}")
    for layers in (1, 2)
    for bias in (True, False)
    for name, options in (("LSTM", {}), ("RNN", {"nonlinearity": "tanh"}), ("RNN", {"nonlinearity": "relu"}))
]


def twins(torch, name, *args, **kwargs):
    """A module of ours and one of PyTorch's with the same parameters."""
    theirs = getattr(torch.nn, name)(*args, **kwargs).double()
    mine = getattr(nn, name)(*args, **kwargs)
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def assert_same_parameter_gradients(mine, theirs):
    others = dict(theirs.named_parameters())
    for path, parameter in mine.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), others[path].grad.numpy(), **TORCH)


@pytest.mark.parametrize("recorded", [False, True], ids=["kernel", "definition"])
@pytest.mark.parametrize("given_states", [False, True], ids=["zeros", "states"])
@pytest.mark.parametrize(("name", "layers", "bias", "options"), LAYERS)
def test_backpropagation_through_time_matches_pytorch(torch, name, layers, bias, options, given_states, recorded):
    """Outputs, last states and all gradients: input, initial states and parameters; for several T and N."""
    torch.manual_seed(0)
    mine, theirs = twins(torch, name, 2, 3, layers, bias=bias, **options)
    for steps, batch in ((1, 1), (2, 3), (3, 2), (6, 1)):
        theirs.zero_grad(), mine.zero_grad()
        arrays = [spread(steps, batch, 2)]
        if given_states:
            arrays += [spread(layers, batch, 3, seed=s) for s in range(2 if name == "LSTM" else 1)]
        own = [tn.tensor(a, requires_grad=True) for a in arrays]
        other = [torch.tensor(a, requires_grad=True) for a in arrays]
        with tn.record() if recorded else nullcontext():
            results = call(mine, own, name)
            loss = total(results)
            loss.backward()
        expected = call(theirs, other, name)
        total(expected).backward()
        for y, t in zip(results, expected, strict=True):
            np.testing.assert_allclose(y.numpy(), t.detach().numpy(), **TORCH)
        for x, t in zip(own, other, strict=True):
            np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), **TORCH)
        assert_same_parameter_gradients(mine, theirs)


def call(module, inputs, name):
    """The output and the last states, flat."""
    x, *states = inputs
    states = (tuple(states) if name == "LSTM" else states[0]) if states else None
    output, last = module(x, states)
    return (output, *last) if name == "LSTM" else (output, last)


def total(results):
    """A number that weighs outputs and last states differently."""
    return sum((k + 1) * (y * y + y).sum() for k, y in enumerate(results))


def test_linear_matches_pytorch(torch):
    mine, theirs = twins(torch, "Linear", 3, 4)
    x = spread(5, 2, 3)
    (mine(tn.tensor(x)) ** 2).sum().backward()
    (theirs(torch.tensor(x)) ** 2).sum().backward()
    assert_same_parameter_gradients(mine, theirs)


def test_a_classifier_learns_as_pytorchs_does(torch):
    layers = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4),
        torch.nn.Sigmoid(), torch.nn.Linear(4, 3), torch.nn.ReLU(),
    ).double()  # fmt: skip
    mine = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 3), nn.ReLU()
    )
    mine.load_state_dict(layers.state_dict())
    x, target = spread(4, 2, 3), np.array([0, 2, 1, 1])
    my_optimizer = tn.optim.SGD(mine.parameters(), lr=0.3)
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.3)
    for _ in range(5):
        my_optimizer.zero_grad(), optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(mine(tn.tensor(x)), target)
        expected = torch.nn.CrossEntropyLoss()(layers(torch.tensor(x)), torch.tensor(target))
        loss.backward(), expected.backward()
        my_optimizer.step(), optimizer.step()
        assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    for path, array in mine.state_dict().items():
        np.testing.assert_allclose(array, layers.state_dict()[path].numpy(), **TORCH)


def test_a_convolutional_net_learns_as_pytorchs_does(torch):
    parts = [("Conv2d", 1, 4, 3), ("BatchNorm2d", 4), ("LeakyReLU",), ("MaxPool2d", 2), ("Conv2d", 4, 4, 2), ("GELU",)]
    parts += [("AvgPool2d", 2), ("Flatten",), ("LayerNorm", 4), ("Linear", 4, 3)]
    theirs = torch.nn.Sequential(*(getattr(torch.nn, kind)(*args) for kind, *args in parts)).double()
    mine = nn.Sequential(*(getattr(nn, kind)(*args) for kind, *args in parts))
    mine.load_state_dict(theirs.state_dict())
    x, target = spread(3, 1, 8, 8), np.array([0, 2, 1])
    my_optimizer = tn.optim.SGD(mine.parameters(), lr=0.3)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.3)
    for step in range(4):
        my_optimizer.zero_grad(), optimizer.zero_grad()
        with tn.record() if step == 2 else nullcontext():
            loss = nn.CrossEntropyLoss()(mine(tn.tensor(x)), target)
            loss.backward()
            my_optimizer.step()
        expected = torch.nn.CrossEntropyLoss()(theirs(torch.tensor(x)), torch.tensor(target))
        expected.backward()
        optimizer.step()
        assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    for path, array in mine.state_dict().items():
        np.testing.assert_allclose(array, theirs.state_dict()[path].numpy(), **TORCH)
    out = mine.eval()(tn.tensor(x)).numpy()
    np.testing.assert_allclose(out, theirs.eval()(torch.tensor(x)).detach().numpy(), **TORCH)


def test_flatten_joins_the_axes_that_it_is_told_to():
    x = tn.tensor(spread(2, 3, 4, 5))
    assert [nn.Flatten(*dims)(x).shape for dims in ((), (2,), (0, 1), (1, -2))] == [
        (2, 60), (2, 3, 20), (6, 4, 5), (2, 12, 5),
    ]  # fmt: skip


def test_mse_loss_module_matches_the_function():
    x, y = tn.tensor(spread(3)), tn.tensor(spread(3, seed=1))
    assert nn.MSELoss(reduction="sum")(x, y).item() == tn.functional.mse_loss(x, y, reduction="sum").item()


class Net(nn.Module):
    def __init__(self):
        self.lstm = nn.LSTM(2, 3)
        self.head = nn.Sequential({"hidden": nn.Linear(3, 3), "out": nn.Linear(3, 2)})
        self.head.tied = self.head.hidden.weight


def test_parameters_are_named_by_attribute_path_once_each():
    net = Net()
    recurrent = [f"lstm.{kind}_{of}_l0" for kind in ("weight", "bias") for of in ("ih", "hh")]
    own = ["head.tied", "head.hidden.bias", "head.out.weight", "head.out.bias"]
    assert [path for path, _ in net.named_parameters()] == recurrent + own
    assert len(list(net.parameters())) == 8


def test_named_modules_and_modes():
    net = Net()
    assert [path for path, _ in net.named_modules()] == ["", "lstm", "head", "head.hidden", "head.out"]
    assert net.eval() is net and not net.head.out.training
    assert net.train().head.out.training


def test_zero_grad_forgets_all_gradients():
    linear = nn.Linear(2, 2)
    linear(tn.tensor(spread(1, 2))).sum().backward()
    assert linear.weight.grad is not None
    linear.zero_grad()
    assert linear.weight.grad is None and linear.bias.grad is None


def test_a_state_dict_is_a_copy_and_loads_back():
    one, other = nn.LSTM(2, 3, 2), nn.LSTM(2, 3, 2)
    state = one.state_dict()
    other.load_state_dict(state)
    state["weight_ih_l0"][:] = 9
    for path, parameter in other.named_parameters():
        np.testing.assert_array_equal(parameter.numpy(), one.state_dict()[path])
    assert 9 not in other.weight_ih_l0.numpy()


def test_loading_keeps_the_dtype_and_the_parameter():
    linear = nn.Linear(2, 1)
    weight = linear.weight
    linear.load_state_dict({"weight": np.ones((1, 2), dtype="float32"), "bias": tn.tensor([2.0])})
    assert linear.weight is weight and weight.dtype == "float64" and weight.requires_grad
    np.testing.assert_array_equal(linear(tn.tensor([[1.0, 1.0]])).numpy(), [[4.0]])


def test_loading_names_every_fault_and_loads_nothing():
    linear = nn.Linear(2, 1)
    before = linear.state_dict()
    with pytest.raises(ValueError, match="cannot load into Linear") as error:
        linear.load_state_dict({"weight": np.ones((2, 1)), "extra": np.ones(1)})
    for fault in ("missing bias", "unexpected extra", "weight has shape (2, 1), expected (1, 2)"):
        assert fault in str(error.value)
    np.testing.assert_array_equal(linear.weight.numpy(), before["weight"])


def test_layers_start_within_pytorchs_bounds():
    for module, bound in ((nn.Linear(16, 50), 1 / 4), (nn.LSTM(2, 25), 1 / 5), (nn.RNN(2, 25, 2), 1 / 5)):
        for parameter in module.parameters():
            largest = np.abs(parameter.numpy()).max()
            assert 0.8 * bound < largest <= bound


def test_a_seed_makes_the_same_network():
    states = []
    for _ in range(2):
        tn.manual_seed(3)
        states.append(nn.LSTM(2, 3).state_dict())
    for path, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][path])


# Initialisers: the shape (40, 50, 2) has fan_in 100 and fan_out 80.
BOUNDS = {nn.init.xavier_uniform_: np.sqrt(6 / 180), nn.init.kaiming_uniform_: np.sqrt(6 / 100)}
DEVIATIONS = {nn.init.xavier_normal_: np.sqrt(2 / 180), nn.init.kaiming_normal_: np.sqrt(2 / 100)}


def filled(initialiser, *args):
    parameter = nn.Parameter(np.zeros((40, 50, 2)))
    assert initialiser(parameter, *args, generator=np.random.default_rng(0)) is parameter
    return parameter.numpy()


@pytest.mark.parametrize("initialiser", BOUNDS)
def test_uniform_initialisers_fill_up_to_their_bound(initialiser):
    numbers, bound = filled(initialiser), BOUNDS[initialiser]
    assert 0.995 * bound < np.abs(numbers).max() <= bound
    assert numbers.var() == pytest.approx(bound**2 / 3, rel=0.05)


@pytest.mark.parametrize("initialiser", DEVIATIONS)
def test_normal_initialisers_have_their_variance(initialiser):
    numbers, deviation = filled(initialiser), DEVIATIONS[initialiser]
    assert numbers.std() == pytest.approx(deviation, rel=0.05)
    assert abs(numbers.mean()) < 0.05 * deviation
    assert np.abs(numbers).max() > 3 * deviation


def test_plain_initialisers():
    assert 1.99 < filled(nn.init.uniform_, -1.0, 2.0).max() <= 2
    assert filled(nn.init.normal_, 3.0, 0.1).mean() == pytest.approx(3, rel=0.01)
    assert not nn.init.zeros_(nn.Parameter(np.ones(3))).numpy().any()
    assert (nn.init.ones_(nn.Parameter(np.zeros(3))).numpy() == 1).all()
    assert nn.init.zeros_(nn.Parameter(np.ones(3, dtype="float32"))).dtype == "float32"


def test_messages():
    x = tn.tensor(spread(2, 1, 3))
    with pytest.raises(ValueError, match=r"Linear expects \(…, 2\), got \(2, 1, 3\)"):
        nn.Linear(2, 1)(x)
    with pytest.raises(ValueError, match=r"LSTM expects \(T, N, 2\) with T and N at least 1, got \(2, 1, 3\)"):
        nn.LSTM(2, 3)(x)
    with pytest.raises(ValueError, match=r"RNN expects .* got \(0, 1, 3\)"):
        nn.RNN(3, 3)(tn.tensor(np.zeros((0, 1, 3))))
    with pytest.raises(ValueError, match=r"initial state has shape \(1, 2, 3\), expected \(1, 1, 3\)"):
        nn.RNN(3, 3)(x, tn.tensor(np.zeros((1, 2, 3))))
    with pytest.raises(ValueError, match="nonlinearity is 'sin', expected 'tanh' or 'relu'"):
        nn.RNN(2, 3, nonlinearity="sin")
    with pytest.raises(ValueError, match=r"at least two axes, got shape \(3,\)"):
        nn.init.xavier_uniform_(nn.Parameter(np.zeros(3)))
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        nn.Module()(x)


def test_a_sequence_joins_only_what_nobody_changed(monkeypatch):
    """A relu and the pooling after it are computed at once, unless one has its own ``forward`` or a run is recorded."""

    class Halved(nn.ReLU):
        def forward(self, input):
            return super().forward(input) / 2

    x = tn.tensor(spread(2, 1, 4, 4), name="x")
    plain, pool = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), nn.MaxPool2d(2)
    expected = pool(tn.functional.relu(x)).numpy()
    np.testing.assert_array_equal(plain(x).numpy(), expected)
    np.testing.assert_array_equal(nn.Sequential(Halved(), pool)(x).numpy(), expected / 2)
    patched = nn.ReLU()
    monkeypatch.setattr(patched, "forward", lambda input: tn.functional.relu(input) * 2, raising=False)
    np.testing.assert_array_equal(nn.Sequential(patched, pool)(x).numpy(), expected * 2)
    with tn.record() as run:
        plain(x)
    assert "0.relu" in {value.name for value in run.values}


def convolutions_to_join():
    """(convolution, pooling, input) that a ReLU may stand between."""
    yield nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2), spread(3, 2, 6, 8)
    yield nn.Conv2d(2, 4, (2, 3), 2, groups=2, bias=False), nn.MaxPool2d(3, 1, 1), spread(3, 2, 9, 8)
    yield nn.Conv2d(2, 4, 3, padding="same", dilation=2), nn.MaxPool2d(2, ceil_mode=True), spread(2, 7, 5)
    yield nn.Conv1d(2, 3, 4), nn.MaxPool1d(3, 2), spread(3, 2, 12)
    yield nn.Conv1d(2, 3, 4), nn.MaxPool2d(2), spread(3, 2, 12)  # of one image with three channels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", range(len(list(convolutions_to_join()))))
def test_a_convolution_joined_with_its_relu_and_pooling_computes_the_same(case, dtype):
    conv, pool, numbers = list(convolutions_to_join())[case]
    for parameter in conv.parameters():
        parameter.data = parameter.data.astype(dtype)
    x = tn.tensor(numbers.astype(dtype), requires_grad=True)
    joined, one_by_one = nn.Sequential(conv, nn.ReLU(), pool)(x), pool(tn.functional.relu(conv(x)))
    leaves, seed = [x, *conv.parameters()], spread(*joined.shape, seed=1).astype(dtype)
    assert joined.node.primitive is not one_by_one.node.primitive or conv.axes != pool.axes
    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(joined.numpy(), one_by_one.numpy(), rtol=tolerance, atol=tolerance)
    for g, expected in zip(tn.grad(joined, leaves, seed), tn.grad(one_by_one, leaves, seed), strict=True):
        assert g.dtype == expected.dtype
        np.testing.assert_allclose(g.numpy(), expected.numpy(), rtol=tolerance, atol=20 * tolerance)


@pytest.mark.parametrize("layers", [[nn.Conv2d(2, 3, 3)], [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2)]])
def test_a_batch_of_no_images_sends_zeros_back(layers):
    net, x = nn.Sequential(*layers), tn.tensor(np.zeros((0, 2, 6, 6)), requires_grad=True)
    net(x).sum().backward()
    assert x.grad.shape == x.shape
    assert not any(parameter.grad.numpy().any() for parameter in net.parameters())


def test_a_convolution_is_joined_only_as_nobody_changed_it(monkeypatch):
    class Doubled(nn.Conv2d):
        def forward(self, input):
            return super().forward(input) * 2

    x, pool = tn.tensor(spread(2, 1, 4, 4)), nn.MaxPool2d(2)
    conv, doubled = nn.Conv2d(1, 2, 3, padding=1), Doubled(1, 2, 3, padding=1)
    doubled.load_state_dict(conv.state_dict())
    expected = pool(tn.functional.relu(conv(x) * 2)).numpy()
    np.testing.assert_allclose(nn.Sequential(doubled, nn.ReLU(), pool)(x).numpy(), expected, rtol=1e-12)
    forward = conv.forward
    monkeypatch.setattr(conv, "forward", lambda input: forward(input) * 2)
    np.testing.assert_allclose(nn.Sequential(conv, nn.ReLU(), pool)(x).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("conv", "pool", "shape"),
    [
        (nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), (2, 3, 4, 4)),
        (nn.Conv2d(1, 2, 5), nn.MaxPool2d(2), (2, 1, 4, 4)),
        (nn.Conv2d(1, 2, 3), nn.MaxPool2d(3), (2, 1, 4, 4)),
        (nn.Conv2d(1, 2, 3), nn.MaxPool2d(2, padding=2), (2, 1, 4, 4)),
        (nn.Conv2d(1, 2, 3), nn.MaxPool2d(0), (2, 1, 4, 4)),
    ],
)
def test_joined_layers_say_what_does_not_fit_as_they_do_one_by_one(conv, pool, shape):
    x = tn.tensor(np.zeros(shape))
    with pytest.raises(ValueError) as one_by_one:
        pool(tn.functional.relu(conv(x)))
    with pytest.raises(ValueError) as joined:
        nn.Sequential(conv, nn.ReLU(), pool)(x)
    assert str(joined.value) == str(one_by_one.value)


def test_joined_layers_may_have_parameters_of_another_dtype():
    conv, pool = nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)
    x = tn.tensor(spread(2, 1, 6, 6).astype("float32"))
    joined, expected = nn.Sequential(conv, nn.ReLU(), pool)(x), pool(tn.functional.relu(conv(x)))
    assert joined.dtype == expected.dtype
    np.testing.assert_allclose(joined.numpy(), expected.numpy(), rtol=1e-6)
