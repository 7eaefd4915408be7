"""Run: names, gradients of everything, order, replay; and that recording changes nothing."""

from __future__ import annotations

import gc
import weakref
from contextlib import nullcontext

import numpy as np
import pytest

import tinynet as tn
from tests.gradients import spread
from tinynet import functional as F
from tinynet import nn

T, N, INPUTS, UNITS = 4, 2, 2, 3
TARGET = np.array([1, 0])


class Classifier(nn.Module):
    def __init__(self):
        self.lstm = nn.LSTM(INPUTS, UNITS)
        self.head = nn.Linear(UNITS, 2)

    def forward(self, x):
        output, _ = self.lstm(x)
        return self.head(output[-1])


def parts():
    tn.manual_seed(1)
    return Classifier(), tn.tensor(spread(T, N, INPUTS), name="x", requires_grad=True)


def recorded_training(updates=1):
    net, x = parts()
    optimizer = tn.optim.SGD(net.parameters(), lr=0.5)
    with tn.record() as run:
        for _ in range(updates):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), TARGET)
            loss.backward()
            optimizer.step()
    return run, net, x, loss


@pytest.fixture(scope="module")
def trained():
    return recorded_training()


# Names


def test_every_quantity_of_the_textbook_has_its_name(trained):
    run, *_ = trained
    for t in range(T):
        for quantity in ("x", "z_i", "z_f", "z_g", "z_o", "i", "f", "g", "o", "c", "tanh_c", "h"):
            name = f"lstm.{quantity}[{t}]"
            assert run[name].shape == ((N, INPUTS) if quantity == "x" else (N, UNITS))
            assert f"d_{name}" in run
    for name in (
        "lstm.h[initial]",
        "lstm.c[initial]",
        "x",
        "target",
        "lstm.W_ii",
        "lstm.b_ho",
        "head.weight",
    ):
        assert name in run
    for name in ("head.z", "loss.max", "loss.e", "loss.sum", "loss.p", "loss.nll", "loss", "d_loss", "lr"):
        assert name in run
    for name in ("d_head.z", "d_lstm.weight_ih_l0", "new_lstm.weight_ih_l0", "new_head.bias", "d_x"):
        assert name in run


def test_no_name_is_given_twice():
    for updates in (1, 2, 3):
        run, *_ = recorded_training(updates)
        assert len(run.names) == len(set(run.names))


def test_the_share_from_the_next_step_has_a_name(trained):
    run, *_ = trained
    for quantity in ("lstm.h", "lstm.c"):
        for t in range(T - 1):
            parts = [f"d_{share}_{quantity}[{t}]" for share in ("here", "next")]
            present = [run[part] for part in parts if part in run]
            assert f"d_next_{quantity}[{t}]" in run
            np.testing.assert_allclose(sum(present), run[f"d_{quantity}[{t}]"], rtol=1e-15)
        assert f"d_next_{quantity}[{T - 1}]" not in run


def test_layers_of_a_stack_are_told_apart():
    lstm = nn.LSTM(INPUTS, UNITS, num_layers=2)
    with tn.record() as run:
        lstm(tn.tensor(spread(2, N, INPUTS), name="x"))
    for name in ("lstm.c_l0[1]", "lstm.c_l1[1]", "lstm.h_l0[initial]", "lstm.weight_ih_l1", "lstm.W_hf_l1"):
        assert name in run


def test_an_rnn_names_its_pre_activation_and_state():
    rnn = nn.RNN(INPUTS, UNITS)
    with tn.record() as run:
        output, _ = rnn(tn.tensor(spread(2, N, INPUTS), name="x"))
    np.testing.assert_array_equal(run["rnn.h[1]"], output.numpy()[1])
    np.testing.assert_allclose(np.tanh(run["rnn.z[0]"]), run["rnn.h[0]"])
    assert "rnn.h[initial]" in run and "rnn.x[0]" in run


def test_layers_and_activations_of_a_sequential_are_named_by_path():
    net = nn.Sequential({"hidden": nn.Linear(2, 2), "act": nn.Tanh(), "head": nn.Linear(2, 1)})
    with tn.record() as run:
        net(tn.tensor([[1.0, 2.0]], name="x"))
    assert [name for name in run.names if name.endswith((".z", ".tanh"))] == [
        "hidden.z",
        "hidden.tanh",
        "head.z",
    ]


def test_two_lone_layers_of_one_class_are_told_apart():
    x = tn.tensor([[1.0, 2.0]], name="x")
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    with tn.record() as run:
        second(first(x))
    assert "linear.weight" in run and "linear_2.weight" in run and "linear_2.z" in run


def test_a_repeated_name_becomes_a_series():
    x = tn.tensor(1.0, name="x")
    with tn.record() as run:
        for _ in range(3):
            x = tn.name(x * 2, "doubled")
    assert [run[f"doubled[{t}]"] for t in range(3)] == [2, 4, 8]


def test_leaves_with_one_name_are_numbered():
    with tn.record() as run:
        tn.tensor(1.0, name="x") + tn.tensor(2.0, name="x")
    assert (run["x"], run["x_2"]) == (1, 2)


def test_a_number_that_is_a_name_already_is_not_given_twice():
    with tn.record() as run:
        for label, number in (("x", 1.0), ("x_2", 2.0), ("x", 3.0)):
            tn.tensor(number, name=label) * 1
    assert (run["x"], run["x_2"], run["x_3"]) == (1, 2, 3)


def test_a_target_without_a_name_is_called_target():
    with tn.record() as run:
        F.cross_entropy(tn.tensor([[1.0, 2.0]]), tn.tensor([1]))
    np.testing.assert_array_equal(run["target"], [1])


def test_scopes_and_time_steps():
    with tn.record() as run, tn.scope("outer"):
        with tn.scope("inner"), tn.time_step(2):
            tn.name(tn.tensor(1.0) + 1, "q")
        tn.name(tn.tensor(1.0) + 2, "r", t=0)
    assert run["outer.inner.q[2]"] == 2 and run["outer.r[0]"] == 3


def test_names_cost_nothing_while_nobody_records():
    x = tn.tensor(1.0)
    with tn.scope("s"), tn.time_step(1):
        assert tn.name(x, "q") is x and x.name is None


def test_two_updates():
    run, net, _, loss = recorded_training(updates=2)
    assert run["loss#2"] == loss.item() < run["loss"]
    np.testing.assert_array_equal(run["new_head.weight#2"], net.head.weight.numpy())
    np.testing.assert_array_equal(run["new_head.weight"], run["head.weight"] - 0.5 * run["d_head.weight"])
    np.testing.assert_array_equal(run["new_head.weight#2"], run["new_head.weight"] - 0.5 * run["d_head.weight#2"])
    np.testing.assert_array_equal(run.grad["lstm.c#2[1]"], run["d_lstm.c#2[1]"])
    assert run["lr"] == 0.5 and "lr_2" not in run


# Gradients


def test_gradients_are_those_of_the_tensors(trained):
    run, net, x, _ = trained
    for path, parameter in net.named_parameters():
        np.testing.assert_array_equal(run.grad[path], parameter.grad.numpy())
        np.testing.assert_array_equal(run.grad[path], run[f"d_{path}"])
        assert path in run.grad
    np.testing.assert_array_equal(run.grad["x"], x.grad.numpy())


def test_gradients_of_parts_are_parts_of_the_gradient(trained):
    run, *_ = trained
    for k, gate in enumerate("ifgo"):
        rows = slice(k * UNITS, (k + 1) * UNITS)
        np.testing.assert_array_equal(run.grad[f"lstm.W_h{gate}"], run.grad["lstm.weight_hh_l0"][rows])
        np.testing.assert_array_equal(run.grad[f"lstm.b_i{gate}"], run.grad["lstm.bias_ih_l0"][rows])
    for t in range(T):
        np.testing.assert_array_equal(run.grad[f"lstm.x[{t}]"], run.grad["x"][t])


def test_gradients_of_intermediates_match_pytorch(torch, trained):
    run, *_ = trained
    p = {name: torch.tensor(array, requires_grad=True) for name, array in run.parameters.items()}
    h, c = torch.zeros(N, UNITS, dtype=torch.float64), torch.zeros(N, UNITS, dtype=torch.float64)
    kept = {}
    for t in range(T):
        z = torch.tensor(run["x"][t]) @ p["lstm.weight_ih_l0"].T + p["lstm.bias_ih_l0"]
        z = z + h @ p["lstm.weight_hh_l0"].T + p["lstm.bias_hh_l0"]
        z_i, z_f, z_g, z_o = z.split(UNITS, 1)
        i, f, g, o = z_i.sigmoid(), z_f.sigmoid(), z_g.tanh(), z_o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        for name, value in zip(("z_i", "z_f", "z_g", "z_o", "i", "f", "g", "o", "c", "h"),
                               (z_i, z_f, z_g, z_o, i, f, g, o, c, h), strict=True):  # fmt: skip
            value.retain_grad()
            kept[f"lstm.{name}[{t}]"] = value
    z = h @ p["head.weight"].T + p["head.bias"]
    z.retain_grad()
    kept["head.z"] = z
    torch.nn.functional.cross_entropy(z, torch.tensor(TARGET)).backward()
    for name, value in kept.items():
        np.testing.assert_allclose(run[name], value.detach().numpy(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(run.grad[name], value.grad.numpy(), rtol=0, atol=1e-10)
    for name, value in p.items():
        np.testing.assert_allclose(run.grad[name], value.grad.numpy(), rtol=0, atol=1e-10)


def test_a_gradient_that_was_not_recorded_says_so():
    with tn.record() as run:
        tn.name(tn.tensor([1.0], name="x") * 2, "y")
    assert "y" not in run.grad and "y" in run
    with pytest.raises(KeyError, match=r"no gradient of 'y' was recorded: call backward\(\) inside record\(\)"):
        run.grad["y"]


def test_accumulated_gradients_in_one_recording():
    x = tn.tensor(3.0, requires_grad=True, name="x")
    with tn.record() as run:
        (x * x).backward()
        (x * x).backward()
    assert x.grad.item() == 12.0
    assert run["d_x"] == 6.0 and run["d_x_2"] == 6.0


# Order and phases


def test_steps_are_numbered_in_the_order_of_computation(trained):
    run, *_ = trained
    assert [step.number for step in run] == list(range(1, len(run.steps) + 1))
    seen = {id(leaf) for leaf in run.leaves}
    for step in run.steps:
        assert all(id(o) in seen for o in step.operands if hasattr(o, "array"))
        seen.add(id(step.output))
    assert len(seen) == len(run.values)


def test_phases_follow_one_another(trained):
    run, *_ = trained
    phases = [step.phase for step in run.steps]
    assert list(dict.fromkeys(phases)) == ["forward", "backward", "update"]
    assert sorted(phases, key=["forward", "backward", "update"].index) == phases
    assert run.loss.name == "loss" and run.loss.array == run["loss"]


def test_backward_steps_have_the_time_of_their_forward_step(trained):
    run, *_ = trained
    steps = {step.name: step for step in run.steps}
    for t in range(T):
        assert steps[f"lstm.c[{t}]"].time == steps[f"d_lstm.c[{t}]"].time == t


def test_leaves_have_their_kinds(trained):
    run, *_ = trained
    kinds = {leaf.name: leaf.kind for leaf in run.leaves}
    assert kinds["lstm.weight_hh_l0"] == "parameter" and kinds["lr"] == "hyperparameter"
    assert {kinds[name] for name in ("x", "target", "lstm.h[initial]")} == {"input"}
    assert set(run.parameters) == {name for name, kind in kinds.items() if kind == "parameter"}


def test_a_run_prints_as_a_table(trained):
    run, *_ = trained
    lines = str(run).splitlines()
    assert lines[0].split() == ["step", "phase", "t", "name", "operation", "operands", "shape"]
    assert len(lines) == 1 + len(run.steps)
    assert any("lstm.f[2], lstm.c[1]" in line and "multiply" in line for line in lines)


# Recording changes nothing


@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_recording_changes_no_number(name):
    results = []
    for recorded in (False, True):
        tn.manual_seed(2)
        module = getattr(nn, name)(INPUTS, UNITS, 2)
        x = tn.tensor(spread(T, N, INPUTS), requires_grad=True)
        with tn.record() if recorded else nullcontext():
            output, _ = module(x)
            loss = F.mse_loss(F.softmax(output), np.zeros(output.shape))
            loss.backward()
            tn.optim.SGD(module.parameters(), lr=0.1).step()
        gradients = [p.grad.numpy() for p in (x, *module.parameters())]
        results.append([output.numpy(), loss.numpy(), *gradients, *module.state_dict().values()])
    for plain, recorded in zip(*results, strict=True):
        np.testing.assert_allclose(recorded, plain, rtol=1e-12, atol=1e-15)


def test_changing_arrays_afterwards_does_not_change_the_run():
    numbers, other, index = spread(3), spread(3, seed=1), np.array([0, 2, 0])
    x = tn.tensor(numbers, requires_grad=True, name="x")
    with tn.record() as run:
        y = tn.name((x * other)[index] * 1.0, "y")
        y.sum().backward()
    before = [value.array.copy() for value in run.values]
    for array in (numbers, other, y.numpy(), x.grad.numpy()):
        array[:] = 99
    index[:] = 1
    for value, array in zip(run.values, before, strict=True):
        np.testing.assert_array_equal(value.array, array)
    for value, array in zip(run.replay().values, before, strict=True):
        np.testing.assert_array_equal(value.array, array)


def test_recordings_do_not_nest_and_end_after_an_error():
    with pytest.raises(RuntimeError, match="already running"), tn.record(), tn.record():
        pass
    with tn.record() as run:
        tn.tensor(1.0) + 1
    assert len(run.steps) == 1


def test_one_parameter_in_two_recordings():
    linear, x = nn.Linear(2, 1), tn.tensor([[1.0, 2.0]], name="x")
    runs = []
    for _ in range(2):
        with tn.record() as run:
            linear(x)
        runs.append(run)
    assert runs[0].names == runs[1].names and runs[0].find("x") is not runs[1].find("x")


# Replay


def test_a_replay_repeats_every_bit(trained):
    run, *_ = trained
    for new, old in zip(run.replay().values, run.values, strict=True):
        np.testing.assert_array_equal(new.array, old.array)
        assert (new.name, new.array.dtype, new.shape) == (old.name, old.array.dtype, old.shape)


def test_a_replay_with_other_leaves_equals_a_fresh_computation(trained):
    run, *_ = trained
    x, weight, target = spread(T, N, INPUTS, seed=7), spread(2, UNITS, seed=8), np.array([1, 1])
    again = run.replay(x=x, target=target, lr=0.01, **{"head.weight": tn.tensor(weight)})
    net, _ = parts()
    net.head.weight.data = weight
    optimizer = tn.optim.SGD(net.parameters(), lr=0.01)
    with tn.record() as fresh:
        F.cross_entropy(net(tn.tensor(x, name="x", requires_grad=True)), target).backward()
        optimizer.step()
    assert again.names == fresh.names
    for name in fresh.names:
        np.testing.assert_array_equal(again[name], fresh[name])
    np.testing.assert_array_equal(again.grad["lstm.c[2]"], fresh.grad["lstm.c[2]"])
    assert run["lr"] == 0.5


def test_a_replay_has_leaves_of_its_own(trained):
    run, *_ = trained
    x = spread(T, N, INPUTS, seed=7)
    again = run.replay(x=x)
    x[:] = 0
    assert again["x"].all() and again["lstm.x[0]"].all()


def test_a_replay_refuses_what_does_not_fit(trained):
    run, *_ = trained
    with pytest.raises(KeyError, match=r"no leaf is called 'head\.wieght'; the nearest are head\.weight"):
        run.replay(**{"head.wieght": 0})
    with pytest.raises(KeyError, match=r"no leaf is called 'head\.z'"):
        run.replay(**{"head.z": 0})
    with pytest.raises(ValueError, match=r"x has shape \(4, 2, 2\) in this run, got \(3,\)"):
        run.replay(x=np.zeros(3))


@pytest.mark.parametrize("done", ["replayed", "written as JSON", "exported"])
def test_a_run_that_is_being_recorded_is_not_used_yet(done, tmp_path):
    path = tmp_path / "early.xlsx"
    uses = {"replayed": lambda run: run.replay(), "written as JSON": lambda run: run.to_json()}
    use = uses.get(done, lambda run: run.to_excel(path))
    with tn.record() as run:
        x = tn.tensor(spread(2), requires_grad=True, name="x")
        (x * x).sum().backward()
        with pytest.raises(RuntimeError, match=rf"cannot be {done} yet, since its recording has not ended.*after the"):
            use(run)
    assert not path.exists()
    use(run)


def test_new_values_of_parameters_without_names_are_told_apart():
    first, second = nn.Parameter(spread(2)), nn.Parameter(spread(3))
    optimiser = tn.optim.SGD([first, second], lr=0.1)
    with tn.record() as run:
        (first.sum() * second.sum()).backward()
        optimiser.step()
    assert run["new_parameter"].shape == (2,) and run["new_parameter_2"].shape == (3,)


def test_an_updated_parameter_is_told_apart_from_a_quantity_of_that_name():
    w = nn.Parameter(spread(2), name="w")
    with tn.record() as run:
        tn.name(w * 2, "new_w").sum().backward()
        tn.optim.SGD([w], lr=0.5).step()
    np.testing.assert_array_equal(run["new_w"], 2 * spread(2))
    np.testing.assert_array_equal(run["new_w_2"], spread(2) - 1)


def test_constants_of_several_rounds_are_told_apart():
    w = nn.Parameter(spread(2, 2))
    optimiser = tn.optim.SGD([w], lr=0.1)
    with tn.record() as run:
        for count in (3, 4):
            optimiser.zero_grad()
            sum((F.where(np.eye(2) == i, w, 0) for i in range(count)), w).sum().backward()
            optimiser.step()
    names = [(value.quantity, value.update) for value in run.leaves if value.kind == "constant"]
    assert len(set(names)) == len(names)


def test_a_bare_array_is_one_leaf_in_both_passes():
    target, w = np.eye(2), tn.tensor(spread(2, 2), name="w", requires_grad=True)
    with tn.record() as run:
        ((w - target) * (w - target) * target).sum().backward()
    (leaf,) = [value for value in run.leaves if value.kind == "constant" and value.shape == (2, 2)]
    again = run.replay(**{str(leaf.name): spread(2, 2)})
    expected = 2 * (spread(2, 2) - spread(2, 2)) * spread(2, 2)
    np.testing.assert_allclose(again.grad["w"], expected)


def test_a_bare_array_that_changes_is_another_leaf():
    target, w = np.ones(2), tn.tensor(spread(2), name="w")
    with tn.record() as run:
        before = w * target
        target[0] = 3
        tn.name(before + w * target, "both")
    np.testing.assert_array_equal(run["both"], spread(2) * [4, 2])
    np.testing.assert_array_equal(run.replay(w=np.ones(2))["both"], [4, 2])


def test_an_unknown_name_lists_the_nearest(trained):
    run, *_ = trained
    with pytest.raises(KeyError, match=r"no value is called 'lstm.c\[9\]'; the nearest are lstm.c\["):
        run["lstm.c[9]"]
    assert "lstm.c[9]" not in run


def test_another_dtype(trained):
    run, *_ = trained
    single = run.astype("float32")
    assert {v.array.dtype.kind + str(v.array.dtype.itemsize) for v in single.values} == {"f4", "i8"}
    np.testing.assert_allclose(single["d_lstm.weight_ih_l0"], run["d_lstm.weight_ih_l0"], atol=1e-6)


def test_what_was_recorded_is_safe_from_later_changes_though_views_of_it_are_views():
    x = tn.tensor(np.arange(6.0).reshape(2, 3), name="x")
    with tn.record() as run:
        turned = x.T
        row = turned[1]
        row * 2
    before = [value.array.copy() for value in run.values]
    x.data[...] = -1
    for value, array in zip(run.values, before, strict=True):
        np.testing.assert_array_equal(value.array, array)
    assert all(np.shares_memory(step.output.array, run["x"]) for step in run.steps[:2])


def test_a_change_in_place_between_two_operations_reaches_what_is_recorded_after_it():
    x = tn.tensor(np.arange(3.0), name="x")
    with tn.record() as run:
        x * 1
        x.data[0] = 100
        tn.name(tn.name(x[:2], "y") * 2, "z")
    np.testing.assert_array_equal(run["y"], [100, 1])
    np.testing.assert_array_equal(run["z"], [200, 2])


def test_a_recording_that_begins_before_the_backward_pass_can_be_replayed():
    w = tn.Parameter(np.ones((2, 2)), name="w")
    loss = (tn.tensor(np.ones((1, 2))) @ w).sum()
    with tn.record() as run:
        loss.backward()
    for again in (run.replay(), tn.Run.from_json(run.to_json())):
        np.testing.assert_array_equal(again["d_w"], run["d_w"])
        (gradient,) = [value for value in again.values if value.name == "d_w"]
        assert gradient.of is not None and gradient.of is again.find("w")


def test_a_run_does_not_hold_what_the_tensors_held():
    x = tn.tensor(np.ones(3), name="x", requires_grad=True)
    with tn.record() as run:
        y = x * 2
    held = weakref.ref(y.data)
    del y
    assert held() is None and run.values[-1].array.tolist() == [2, 2, 2]


def test_a_run_that_nobody_has_any_more_is_gone_at_once() -> None:
    """Without waiting for the search for cycles: each training step may be recorded, and large."""
    layer, x = nn.Linear(2, 3), tn.tensor(np.ones((1, 2)), name="x")

    def recorded() -> weakref.ref:
        with tn.record() as run:
            layer(x).sum().backward()
        return weakref.ref(run)

    gc.disable()
    try:
        assert recorded()() is None
    finally:
        gc.enable()


# Names that a user chooses


def test_a_chosen_name_takes_the_place_of_a_default_one():
    x = tn.tensor(spread(2, 2), requires_grad=True)
    with tn.record() as run:
        probabilities = tn.name(F.softmax(F.relu(x), 1), "probs")
        total = (probabilities**2).sum()
        total.backward()
        tn.name(total, "mse")
    assert {"probs", "d_probs", "mse", "d_mse"} <= set(run.names) and not {"p", "loss"} & set(run.names)
    assert run.find("probs").title == "probabilities" and run.loss is run.find("mse")


def test_a_default_name_does_not_take_the_place_of_a_chosen_one():
    x = tn.tensor(spread(2, 2), requires_grad=True)
    with tn.record() as run:
        tn.name((tn.name(x * 2, "a") ** 2).sum(), "mine").backward()
    assert "mine" in run and "loss" not in run


def test_one_tensor_has_one_name():
    x, w = tn.tensor([1.0], name="x"), tn.tensor([2.0], requires_grad=True)
    with tn.record() as run:
        y = tn.name(tn.name(x * w, "a"), "a")
        tn.name(y * 2, "b", t=np.int64(1))
        with pytest.raises(ValueError, match="this tensor is called 'a' already, and cannot be called 'b', too"):
            tn.name(y, "b")
        with pytest.raises(ValueError, match=r"is called 'a' already, and cannot be called 'a\[1\]'"):
            tn.name(y, "a", t=1)
        with pytest.raises(ValueError, match="this tensor is called 'x' already"):
            tn.name(x, "z")
        y.sum().backward()
        with pytest.raises(ValueError, match="'g' cannot be the name of a gradient"):
            tn.name(w.grad, "g")
    assert {"x", "a", "d_a", "b[1]"} <= set(run.names) and type(run.find("b[1]").time) is int


@pytest.mark.parametrize("arguments", [(np.ones(2), "a"), (tn.tensor(1.0), 3), (tn.tensor(1.0), "a", "0")])
def test_a_name_is_a_text_for_a_tensor(arguments):
    with pytest.raises(TypeError, match="expected a Tensor, a text, and the number of a time step"):
        tn.name(*arguments)
