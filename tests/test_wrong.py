"""The independent networks of ``tests.wrong``: right without a bug, and wrong where a bug says that it is."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests import wrong
from tests.gradients import CLOSE, numerical_gradients
from tests.wrong import BUGS, NETWORKS, Bug, Numbers, Row, cases, data, first_difference, variants
from tests.wrong.data import KINDS
from tinynet import functional as F
from tinynet import nn

SEEDS = (0, 1, 2)
EXACT: dict[str, Any] = {"rtol": 0, "atol": 1e-12}
FLOAT32: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-5}
ALL = frozenset(NETWORKS)
CLASSIFIERS = ALL - {"adam"}
RECURRENT = frozenset({"rnn", "lstm", "gru"})
GATED = frozenset({"lstm", "gru"})
SYMBOLS = {  # of weights, and their names in PyTorch
    **{"W_ih": "weight_ih_l0", "W_hh": "weight_hh_l0", "b_ih": "bias_ih_l0", "b_hh": "bias_hh_l0"},
    **{f"W_c{gate}": f"weight_c{gate}_l0" for gate in "ifo"},
    **{"W1": "fc1.weight", "b1": "fc1.bias", "W2": "fc2.weight", "b2": "fc2.bias"},
    **{"W_conv": "conv.weight", "b_conv": "conv.bias", "W_out": "head.weight", "b_out": "head.bias"},
}
SHOWN = {  # every quantity of a step, in tinynet's names
    "rnn": ("z", "h"),
    "lstm": ("z_i", "z_f", "z_g", "z_o", "i", "f", "g", "o", "c", "tanh_c", "h"),
    "gru": ("z_r", "z_z", "r", "z", "u_n", "z_n", "n", "h"),
}

# Which networks can have the bugs of a row.
ROWS = {
    Row.CONV_GEOMETRY: {"conv_net"},
    Row.BIAS_GRADIENT: CLASSIFIERS,
    Row.ACTIVATION_DERIVATIVE: CLASSIFIERS,
    Row.GATE_ORDER: GATED,
    Row.GRU_RESET: {"gru"},
    Row.MAX_POOL: {"conv_net"},
    Row.ADAM: {"adam"},
    Row.CARRY: RECURRENT | {"adam"},
    Row.PADDING: RECURRENT,
    Row.SOFTMAX_TWICE: CLASSIFIERS,
    Row.TWO_BIASES: CLASSIFIERS,
    Row.DROPOUT: {"mlp"},
    Row.SOFTMAX_SHIFT: CLASSIFIERS,
    Row.TRUNCATION: RECURRENT,
    Row.OVERWRITTEN: CLASSIFIERS,
    Row.FACTOR: CLASSIFIERS,
    Row.AXES: CLASSIFIERS,
    Row.PEEPHOLE: {"lstm"},
    Row.FORGET_BIAS: {"lstm"},
    Row.TRANSPOSED: CLASSIFIERS - {"conv_net"},
    Row.CONV_FLIP: {"conv_net"},
    Row.BIAS_TWICE: CLASSIFIERS,
    Row.IN_PLACE: CLASSIFIERS,
    Row.SUM_SHAPE: CLASSIFIERS,
    Row.PADDED_STEPS: GATED,
    Row.PRE_ACTIVATION: CLASSIFIERS,
    Row.CLIPPING: CLASSIFIERS,
    Row.FORGET_FACTOR: GATED,
    Row.SIGN: ALL,
    Row.INITIAL_STATE: RECURRENT,
    Row.WEIGHT_DECAY: ALL,
    Row.OTHER: ALL,
}


@cache
def right(network: str, kind: str = "plain", seed: int = 0) -> Numbers:
    return NETWORKS[network](**data(network, kind, seed))


def assert_same(numbers: Numbers, expected: dict[str, Any], **close: Any) -> None:
    for name, array in expected.items():
        np.testing.assert_allclose(numbers[name], array, **(close or EXACT), err_msg=name)


# Without a bug: tinynet


class Net(nn.Module):
    """A recurrent layer and an output layer, holding given weights."""

    def __init__(self, network: str, weights: dict[str, np.ndarray]):
        columns, units = weights["weight_ih_l0"].shape[1], weights["weight_hh_l0"].shape[1]
        options = {"peepholes": "weight_ci_l0" in weights} if network == "lstm" else {}
        self.layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[network](columns, units, **options)
        self.head = nn.Linear(units, len(weights["head.bias"]))
        self.load_state_dict({k if k.startswith("head") else f"layer.{k}": w for k, w in weights.items()})

    def forward(self, x: tn.Tensor, states: Any, lengths: Any) -> tuple[tn.Tensor, Any]:
        outputs, last = self.layer(x, states, lengths)
        return self.head(outputs), last


def tinynet_recurrent(network: str, arguments: dict[str, Any]) -> tn.Run:
    net, lengths = Net(network, arguments["weights"]), arguments.get("lengths")
    x = tn.tensor(arguments["x"], requires_grad=True, name="x")
    states = [tn.tensor(arguments[s][None], requires_grad=True) for s in ("h0", "c0") if s in arguments]
    with tn.record() as run:
        scores, last = net(x, states[0] if len(states) == 1 else tuple(states), lengths)
        losses = F.cross_entropy(scores, tn.tensor(arguments["target"], name="target"), reduction="none")
        loss = F.sequence_loss(losses, lengths, "last" if arguments.get("last") else "mean")
        ends = dict(zip("hc", last if isinstance(last, tuple) else [last], strict=False))
        for state, gradient in arguments.get("outer", {}).items():
            loss = loss + (ends[state] * tn.tensor(gradient[None])).sum()
        loss.backward()
        tn.optim.SGD(net.parameters(), lr=0.1).step()
    return run


def from_run(run: tn.Run, names: dict[str, str]) -> dict[str, np.ndarray]:
    """Our names: what is called so in a run, and its gradient."""
    values = {ours: run[theirs] for ours, theirs in names.items()}
    return values | {f"d{ours}": run.grad[theirs] for ours, theirs in names.items() if theirs in run.grad}


def steps_of(run: tn.Run, quantities: tuple[str, ...], T: int) -> dict[str, np.ndarray]:
    """Whole sequences of the quantities of a layer, and of their gradients."""
    found: dict[str, np.ndarray] = {}
    for quantity in quantities:
        names = [f"layer.{quantity}[{t}]" for t in range(T)]
        found[quantity] = np.array([run[name] for name in names])
        found[f"d{quantity}"] = np.array([run.grad[name] for name in names])
    return found


def weights_of(run: tn.Run, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Gradients and new weights, by our symbols."""
    found: dict[str, np.ndarray] = {}
    for symbol, name in SYMBOLS.items():
        if name in weights:
            theirs = f"layer.{name}" if name.endswith("_l0") else name
            found |= {f"d{symbol}": run.grad[theirs], f"new_{symbol}": run[f"new_{theirs}"]}
    return found


def initial_gradients(run: tn.Run, arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    return {f"d{s}0": run.grad[f"layer.{s}[initial]"] for s in "hc" if f"{s}0" in arguments}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "network, kind",
    [(n, kind) for n in sorted(RECURRENT) for kind in ("plain", "rest", "single", "outer")] + [("lstm", "peephole")],
)
def test_every_number_of_a_recurrent_net_is_that_of_tinynet(network: str, kind: str, seed: int) -> None:
    arguments = data(network, kind, seed)
    run, numbers = tinynet_recurrent(network, arguments), right(network, kind, seed)
    expected = {"x": run["x"], "dx": run.grad["x"], "logits": run["head.z"], "p": run["loss.p"]}
    expected |= {"dlogits": run.grad["head.z"]} | ({} if kind == "outer" else {"loss": run["loss"]})
    expected |= steps_of(run, SHOWN[network], len(arguments["x"])) | initial_gradients(run, arguments)
    expected |= weights_of(run, arguments["weights"])
    expected |= {state: arguments[state] for state in ("h0", "c0") if state in arguments}
    assert numbers.keys() - expected.keys() <= {"loss"}
    assert_same(numbers, expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["short", "last", "turned_short"])
@pytest.mark.parametrize("network", sorted(RECURRENT))
def test_short_sequences_are_those_of_tinynet(network: str, kind: str, seed: int) -> None:
    arguments = data(network, kind, seed)
    run = tinynet_recurrent(network, arguments)
    states = ("h", "c") if network == "lstm" else ("h",)
    expected = {s: np.array([run[f"layer.{s}[{t}]"] for t in range(len(arguments["x"]))]) for s in states}
    expected |= {"loss": run["loss"], "dx": run.grad["x"]} | initial_gradients(run, arguments)
    expected |= weights_of(run, arguments["weights"])
    assert_same(right(network, kind, seed), expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["plain", "square"])
def test_every_number_of_an_mlp_is_that_of_tinynet(kind: str, seed: int) -> None:
    arguments = data("mlp", kind, seed)
    run = tinynet_mlp(arguments)
    quantities = {"x": "x", "z1": "fc1.z", "a1": "fc1.relu", "kept": "kept", "z2": "fc2.z", "a2": "fc2.tanh"}
    expected = from_run(run, quantities | {"logits": "head.z"}) | {"p": run["loss.p"], "loss": run["loss"]}
    expected |= weights_of(run, arguments["weights"])
    assert right("mlp", kind, seed).keys() == expected.keys()
    assert_same(right("mlp", kind, seed), expected)


def tinynet_mlp(arguments: dict[str, Any]) -> tn.Run:
    weights = arguments["weights"]

    class Mlp(nn.Module):
        fc1: nn.Linear
        fc2: nn.Linear
        head: nn.Linear

        def __init__(self) -> None:
            for name in ("fc1", "fc2", "head"):
                setattr(self, name, nn.Linear(*weights[f"{name}.weight"].shape[::-1]))

        def forward(self, x: tn.Tensor) -> tn.Tensor:
            scale = tn.tensor(arguments["mask"] / (1 - arguments["rate"]))
            kept = tn.name(F.relu(self.fc1(x)) * scale, "kept")
            return self.head(F.tanh(self.fc2(kept)))

    net = Mlp()
    net.load_state_dict(weights)
    with tn.record() as run:
        x = tn.tensor(arguments["x"], requires_grad=True, name="x")
        F.cross_entropy(net(x), tn.tensor(arguments["target"], name="target")).backward()
        tn.optim.SGD(net.parameters(), lr=0.1).step()
    return run


def tinynet_adam(arguments: dict[str, Any]) -> tn.Run:
    """One weight whose loss has the given gradients."""
    w = tn.Parameter(arguments["weights"]["weight"], name="weight")
    optimizer = tn.optim.AdamW([w], lr=0.1, betas=(0.9, 0.99), eps=1e-3, weight_decay=0.2)
    with tn.record() as run:
        for gradient in arguments["gradients"]:
            optimizer.zero_grad()
            (w * gradient).sum().backward()
            optimizer.step()
    return run


@pytest.mark.parametrize("seed", SEEDS)
def test_adam_is_that_of_tinynet(seed: int) -> None:
    run, numbers = tinynet_adam(data("adam", seed=seed)), right("adam", seed=seed)
    rounds = ["", *(f"#{t}" for t in range(2, len(numbers["w"]) + 1))]
    ours = {"g": "d_weight", "m": "m_weight", "v": "v_weight", "m_hat": "m_hat_weight", "v_hat": "v_hat_weight"}
    ours["w"] = "new_weight"
    assert_same(numbers, {name: np.array([run[f"{quantity}{t}"] for t in rounds]) for name, quantity in ours.items()})
    assert_same(numbers, {"w0": run["weight"], "m0": run["old_m_weight"], "v0": run["old_v_weight"]})


# Without a bug: PyTorch


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("network, kind", [(n, k) for n in sorted(CLASSIFIERS) for k in KINDS[n] if k != "peephole"])
def test_a_classifier_is_that_of_torch(torch: Any, network: str, kind: str, seed: int) -> None:
    arguments = data(network, kind, seed)
    weights = {name: torch.tensor(w, requires_grad=True) for name, w in arguments["weights"].items()}
    leaves = {k: torch.tensor(arguments[k], requires_grad=True) for k in ("x", "h0", "c0") if k in arguments}
    forward = {"mlp": torch_mlp, "conv_net": torch_conv_net}.get(network, torch_recurrent)
    found, objective = forward(torch, network, arguments, leaves, weights)
    for quantity in found.values():
        quantity.retain_grad()
    objective.backward()
    expected = found | {f"d{name}": value.grad for name, value in (found | leaves).items() if name != "loss"}
    symbols = {symbol: name for symbol, name in SYMBOLS.items() if name in weights}
    expected |= {f"d{symbol}": weights[name].grad for symbol, name in symbols.items()}
    torch.optim.SGD(weights.values(), lr=0.1).step()
    expected |= {f"new_{symbol}": weights[name] for symbol, name in symbols.items()}
    assert_same(right(network, kind, seed), {name: value.detach().numpy() for name, value in expected.items()})


def torch_recurrent(torch: Any, network: str, arguments: dict[str, Any], leaves: Any, weights: Any) -> tuple[Any, Any]:
    """(quantities by our names, what to differentiate)."""
    x, T, tools = leaves["x"], len(arguments["x"]), torch.nn.utils.rnn
    sizes = x.shape[2], arguments["h0"].shape[1]
    layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[network](*sizes, dtype=torch.float64)
    lengths = torch.tensor(arguments.get("lengths", [T] * x.shape[1]))
    states = [leaves[s][None] for s in ("h0", "c0") if s in leaves]
    inputs = (
        tools.pack_padded_sequence(x, lengths, enforce_sorted=False),
        states[0] if len(states) == 1 else tuple(states),
    )
    own = {name: w for name, w in weights.items() if not name.startswith("head")}
    packed, last = torch.func.functional_call(layer, own, inputs)
    h = tools.pad_packed_sequence(packed)[0]
    logits = h @ weights["head.weight"].T + weights["head.bias"]
    losses = cross_entropy(torch, logits, arguments["target"])
    steps = torch.arange(T)[:, None]
    counts = (steps == lengths - 1 if arguments.get("last") else steps < lengths).double()
    loss = (losses * counts / counts.sum(0)).sum(0).mean()
    ends = dict(zip("hc", last if isinstance(last, tuple) else [last], strict=False))
    outer = sum((ends[s][0] * torch.tensor(g)).sum() for s, g in arguments.get("outer", {}).items())
    return {"loss": loss} | ({} if "lengths" in arguments else {"logits": logits}), loss + outer


def torch_mlp(torch: Any, network: str, arguments: dict[str, Any], leaves: Any, weights: Any) -> tuple[Any, Any]:
    found = {"z1": leaves["x"] @ weights["fc1.weight"].T + weights["fc1.bias"]}
    found["a1"] = torch.relu(found["z1"])
    found["kept"] = found["a1"] * torch.tensor(arguments["mask"] / (1 - arguments["rate"]))
    found["z2"] = found["kept"] @ weights["fc2.weight"].T + weights["fc2.bias"]
    found["a2"] = torch.tanh(found["z2"])
    return with_loss(torch, found, found["a2"], arguments, weights)


def torch_conv_net(torch: Any, network: str, arguments: dict[str, Any], leaves: Any, weights: Any) -> tuple[Any, Any]:
    ways = {"stride": arguments["stride"], "padding": arguments["padding"]}
    pooling = {"kernel_size": arguments["pool"], "stride": arguments["pool_stride"]}
    found = {"z": torch.nn.functional.conv2d(leaves["x"], weights["conv.weight"], weights["conv.bias"], **ways)}
    found["a"] = torch.relu(found["z"])
    found["m"] = torch.nn.functional.max_pool2d(found["a"], **pooling)
    return with_loss(torch, found, found["m"].flatten(1), arguments, weights)


def with_loss(
    torch: Any, found: dict[str, Any], features: Any, arguments: dict[str, Any], weights: Any
) -> tuple[Any, Any]:
    found["logits"] = features @ weights["head.weight"].T + weights["head.bias"]
    found["loss"] = cross_entropy(torch, found["logits"], arguments["target"]).mean()
    return found, found["loss"]


def cross_entropy(torch: Any, logits: Any, target: np.ndarray) -> Any:
    """One loss for each of the integers of ``target`` (…), from logits (…, C)."""
    flat = torch.nn.functional.cross_entropy(logits.flatten(0, -2), torch.tensor(target).flatten(), reduction="none")
    return flat.reshape(target.shape)


@pytest.mark.parametrize("seed", SEEDS)
def test_adam_is_that_of_torch(torch: Any, seed: int) -> None:
    arguments = data("adam", seed=seed)
    w = torch.tensor(arguments["weights"]["weight"], requires_grad=True)
    optimizer = torch.optim.AdamW([w], lr=0.1, betas=(0.9, 0.99), eps=1e-3, weight_decay=0.2)
    expected: dict[str, list] = {"w": [], "m": [], "v": []}
    for gradient in arguments["gradients"]:
        w.grad = torch.tensor(gradient)
        optimizer.step()
        expected["w"].append(w.detach().numpy().copy())
        expected["m"].append(optimizer.state[w]["exp_avg"].numpy().copy())
        expected["v"].append(optimizer.state[w]["exp_avg_sq"].numpy().copy())
    assert_same(right("adam", seed=seed), expected)


# With a bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_a_bug_shows_first_where_it_says(bug: Bug) -> None:
    for seed in SEEDS:
        numbers = right(bug.network, bug.data, seed)
        found = NETWORKS[bug.network](**data(bug.network, bug.data, seed), bug=bug)
        assert kinds_of(found) == kinds_of(numbers)
        first = None if bug.equivalent else at_a_step(bug.first, numbers)
        assert first_difference(numbers, found) == first
        assert (first_difference(numbers, found, tolerance=1e-6) is None) == bug.equivalent


def kinds_of(numbers: Numbers) -> dict[str, Any]:
    return {name: (array.shape, array.dtype) for name, array in numbers.items()}


AGREEING = [bug for bug in BUGS if "agrees with that" in bug.what]


@pytest.mark.parametrize("bug", [None, *AGREEING], ids=lambda bug: bug.id if bug else "no bug")
def test_a_backward_pass_that_agrees_is_the_derivative_of_its_forward_pass(bug: Bug | None) -> None:
    for network in [bug.network] if bug else sorted(CLASSIFIERS):
        arguments = data(network, bug.data if bug else "plain")
        x = arguments["x"]

        def loss(moved: np.ndarray, network: str = network, arguments: dict[str, Any] = arguments) -> float:
            return float(NETWORKS[network](**arguments | {"x": moved}, bug=bug)["loss"])

        (expected,) = numerical_gradients(loss, [x])
        np.testing.assert_allclose(NETWORKS[network](**arguments, bug=bug)["dx"], expected, **CLOSE)


def at_a_step(first: str, numbers: Numbers) -> str:
    """``dh[-2]`` as the name of a cell: ``dh[3]`` of five steps."""
    name, index = re.fullmatch(r"(\w+)(?:\[(-?\d+)\])?", first).groups()  # type: ignore[union-attr]
    return first if index is None else f"{name}[{int(index) % len(numbers[name])}]"


def test_a_late_difference_is_found_in_the_order_of_computation() -> None:
    numbers, later, unknown = right("lstm"), right("lstm", seed=0), NETWORKS["lstm"](**data("lstm"))
    assert first_difference(numbers, later) is None
    unknown.cells["df[1]"] = unknown.cells["df[1]"] + 1e-9
    unknown.cells["dh[1]"] = unknown.cells["dh[1]"] * np.nan
    assert first_difference(numbers, unknown) == "dh[1]"


def test_cells_are_in_the_order_of_time_and_back() -> None:
    cells = list(right("rnn").cells)
    order = ["x[0]", "h0", "z[0]", "h[0]", "z[1]", "h[3]", "logits[0]", "p[3]", "loss", "dlogits[3]", "dh[3]", "dz[3]"]
    order += ["dx[3]", "dh[2]", "dx[0]", "dh0", "dW_ih", "db_out", "new_W_ih"]
    assert [cell for cell in cells if cell in order] == order


def test_every_row_has_bugs_in_every_network_that_it_applies_to() -> None:
    rows = {row: {bug.network for bug in BUGS if bug.row == row and not bug.equivalent} for row in Row}
    assert rows == {**ROWS, Row.FLOAT32: set()}


def test_bugs_are_told_apart() -> None:
    assert len({bug.id for bug in BUGS}) == len(BUGS)
    assert all(bug.what.endswith(".") and all(bug.sentence_keywords) for bug in BUGS)
    groups: dict[Any, set[str]] = {}
    for network, bug, arguments in cases((1,)):
        cells = NETWORKS[network](**arguments, bug=bug).cells.values()
        numbers = np.round(np.concatenate([cell.ravel() for cell in cells]), 9) + 0.0  # + 0: no -0
        groups.setdefault((network, bug.data, bug.equivalent or numbers.tobytes()), set()).add(bug.id)
    twins = [ids for (_, _, numbers), ids in groups.items() if len(ids) > 1 and numbers is not True]
    assert twins == [{"mlp-slope-of-a2-tanh-again", "mlp-tanh-in-place"}]


@pytest.mark.parametrize(
    "network, variant, arguments", list(variants(SEEDS)), ids=lambda value: getattr(value, "id", "")
)
def test_a_variant_is_right(network: str, variant: wrong.Variant, arguments: dict[str, Any]) -> None:
    numbers = NETWORKS[network](**arguments)
    found = NETWORKS[network](**arguments, bug=variant, dtype=variant.dtype)
    assert {array.dtype for array in found.values()} == {np.dtype(variant.dtype)}
    assert_same(found, numbers, **(FLOAT32 if variant.dtype == np.float32 else EXACT))
    assert first_difference(numbers, found, tolerance=0) is not None


def test_unknown_data_are_refused() -> None:
    with pytest.raises(ValueError, match="gru has no data 'peephole'"):
        data("gru", "peephole")


def test_nothing_comes_from_tinynet() -> None:
    for path in Path(wrong.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any((module or "").startswith("tinynet") for module in modules), path
