"""Whose array is whose: names as people write them, layouts, files, and what is refused."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tests import test_wrong as theirs
from tests.spreadsheets import require
from tests.wrong import BUGS, NETWORKS, data
from tests.wrong.data import KINDS
from tinynet import functional as F
from tinynet import models, nn
from tinynet.debug.arrays import read
from tinynet.debug.names import Matched, match

RECURRENT = ("rnn", "lstm", "gru")
ENDING = ("short", "last", "turned_short")  # kinds of data whose sequences end early
# Beyond an end our outputs are 0, and the cell that is squashed is the new one, not the one that is kept.
BEYOND_THE_END = {"logits", "p", "tanh_c"}


@cache
def recorded(network: str, kind: str = "plain", seed: int = 0) -> tn.Run:
    arguments = data(network, kind, seed)
    recorders = {"mlp": theirs.tinynet_mlp, "conv_net": tinynet_conv_net, "adam": theirs.tinynet_adam}
    recorder = recorders.get(network)
    return recorder(arguments) if recorder else theirs.tinynet_recurrent(network, arguments)


def tinynet_conv_net(arguments: dict[str, Any]) -> tn.Run:
    weights, sizes = arguments["weights"], arguments["weights"]["conv.weight"].shape

    class ConvNet(nn.Module):
        def __init__(self) -> None:
            ways = {"stride": arguments["stride"], "padding": arguments["padding"]}
            self.conv = nn.Conv2d(sizes[1], sizes[0], sizes[2:], **ways)
            self.head = nn.Linear(*weights["head.weight"].shape[::-1])

        def forward(self, x: tn.Tensor) -> tn.Tensor:
            pooled = F.max_pool2d(F.relu(self.conv(x)), arguments["pool"], arguments["pool_stride"])
            return self.head(F.flatten(pooled, 1))

    net = ConvNet()
    net.load_state_dict(weights)
    with tn.record() as run:
        x = tn.tensor(arguments["x"], requires_grad=True, name="x")
        F.cross_entropy(net(x), tn.tensor(arguments["target"], name="target")).backward()
        tn.optim.SGD(net.parameters(), lr=0.1).step()
    return run


def named(run: tn.Run, matched: Matched) -> dict[str, str]:
    """Our names, and how he calls them."""
    return {str(run.values[index].name): source for index, source in matched.sources.items()}


def assert_ours(run: tn.Run, matched: Matched, close: float = 1e-12) -> None:
    for index, array in matched.arrays.items():
        assert array.shape == run.values[index].shape
        np.testing.assert_allclose(array, run.values[index].array, rtol=0, atol=close, err_msg=run.values[index].name)


def series(run: tn.Run, quantity: str) -> np.ndarray:
    """A quantity of the layer in all its steps (T, N, H), or as it is."""
    steps = [name for name in run.names if name.partition("[")[0] == quantity and not name.endswith("[initial]")]
    order = sorted(steps, key=lambda name: int(name.partition("[")[2][:-1] or 0))
    return run[quantity] if quantity in run else np.array([run[name] for name in order])


# All that the independent networks compute


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("network, kind", [(n, k) for n in (*RECURRENT, "mlp", "conv_net") for k in KINDS[n]])
def test_every_result_of_an_independent_network_is_matched(network: str, kind: str, seed: int) -> None:
    run, numbers = recorded(network, kind, seed), NETWORKS[network](**data(network, kind, seed))
    different = {"loss"} if kind == "outer" else BEYOND_THE_END if kind in ENDING else set()
    matched = match(run, numbers)
    assert not matched.unmatched and matched.layouts.keys() == numbers.keys()
    for index, array in matched.arrays.items():
        name, source = str(run.values[index].name), matched.sources[index]
        if source.partition("[")[0] not in different:
            np.testing.assert_allclose(array, run[name], rtol=0, atol=1e-12, err_msg=f"{source} as {name}")
    assert len(matched.arrays) == sum(len(array) if _by_step(run, name) else 1 for name, array in numbers.items())


def _by_step(run: tn.Run, name: str) -> bool:
    whole = ("x", "dx", "logits", "dlogits", "p", "loss", "h0", "c0", "dh0", "dc0")
    return "layer.h[0]" in run and name not in whole and not name.startswith(("dW", "db", "new"))


@cache
def right_matched(network: str, kind: str) -> Matched:
    return match(recorded(network, kind), known(network, kind, theirs.right(network, kind)))


def known(network: str, kind: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without what only right numbers show: behind ends, his dc is the gradient of what we call c_new."""
    unknown = {"dc"} if network == "lstm" and kind in ENDING else set()
    return {name: array for name, array in arrays.items() if name not in unknown}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_a_bug_does_not_change_what_is_matched(bug: Any) -> None:
    wrong = known(bug.network, bug.data, NETWORKS[bug.network](**data(bug.network, bug.data), bug=bug))
    matched, expected = match(recorded(bug.network, bug.data), wrong), right_matched(bug.network, bug.data)
    assert (matched.sources, matched.layouts) == (expected.sources, expected.layouts)
    assert [u.name for u in matched.unmatched] == [u.name for u in expected.unmatched]


# Names as people write them

SPELLINGS = {
    ("lstm", "layer.c"): "c cs C cell cells Cell_State cell_states c_list all_c layer.c c_t ct c_next layer_c",
    ("lstm", "layer.h"): "h hs H Hout hidden hiddens hidden_states h_t h_next hseq a h_all",
    ("lstm", "layer.g"): "g c_tilde cbar c_bar candidate C_tilde cct c_hat g_t gt",
    ("lstm", "layer.i"): "i it i_t input_gate I is i_gate",
    ("lstm", "layer.f"): "f ft forget forget_gate fs",
    ("lstm", "layer.o"): "o ot output_gate os o_gate",
    ("lstm", "layer.z_i"): "z_i zi a_i ai i_pre net_i pre_i zi_t i_raw layer.z_i",
    ("lstm", "layer.z_g"): "z_g zg a_g g_pre a_c zc net_c",
    ("lstm", "layer.tanh_c"): "tanh_c tanhc tanh_ct",
    ("lstm", "d_layer.c"): "dc d_c grad_c delta_c dL_dc c_grad c.grad dcs dC dc_t dL/dc d_layer.c",
    ("lstm", "d_layer.h"): "dh d_h grad_h delta_h dL_dh h_grad h.grad dhs dH dh_total dhidden".replace(" dh_total", ""),
    ("lstm", "d_layer.z_o"): "dz_o dzo da_o do_pre d_zo delta_o_pre grad_z_o",
    ("lstm", "d_layer.o"): "do d_o dot grad_o",
    ("lstm", "x"): "x X xs input inputs",
    ("lstm", "d_x"): "dx dX dxs grad_x d_inputs x.grad",
    ("lstm", "head.z"): "logits scores y ys out z_out head.z y_t",
    ("lstm", "d_head.z"): "dlogits dscores dy dout d_logits logits.grad dys",
    ("lstm", "loss.p"): "p probs ps p_t yhat y_hat a_out probabilities",
    ("lstm", "loss"): "loss L cost J total_loss",
    ("lstm", "target"): "target targets labels y_true",
    ("lstm", "layer.weight_ih_l0"): "weight_ih_l0 W_ih Wxh W_xh Wx Wax Wi2h W_x lstm.weight_ih_l0 Wih",
    ("lstm", "layer.weight_hh_l0"): "weight_hh_l0 W_hh Whh Waa Wh W_h Wh2h rnn.weight_hh_l0",
    ("lstm", "layer.bias_ih_l0"): "bias_ih_l0 b_ih bxh b bias bh",
    ("lstm", "layer.bias_hh_l0"): "bias_hh_l0 b_hh bhh",
    ("lstm", "d_layer.weight_hh_l0"): "dW_hh dWhh dWh weight_hh_l0.grad grad_W_hh W_hh_grad lstm.weight_hh_l0.grad",
    ("lstm", "d_layer.bias_ih_l0"): "db_ih db dbh d_b dbias bias_ih_l0.grad",
    ("lstm", "new_layer.weight_hh_l0"): "new_W_hh W_hh_new updated_Whh weight_hh_l0_new new_weight_hh_l0 W_hh_updated",
    ("lstm", "head.weight"): "head.weight Why W_out Wy V fc.weight W_hy linear.weight head_weight",
    ("lstm", "head.bias"): "head.bias by b_out b_y fc.bias",
    ("lstm", "d_head.weight"): "dWhy dW_out dV head.weight.grad dWy dWya",
    ("lstm", "new_head.bias"): "new_by by_new new_head.bias new_b_out",
    ("lstm", "layer.W_if"): "W_if W_xf Wxf W_fx",
    ("lstm", "layer.W_hf"): "W_hf Uf U_f Whf W_fh",
    ("lstm", "layer.b_if"): "b_if bf b_f b_xf",
    ("lstm", "layer.b_hf"): "b_hf bhf",
    ("lstm", "layer.h[initial]"): "h0 h_0 h_init h_prev[0] init_h initial_h h[initial] H0",
    ("lstm", "layer.c[initial]"): "c0 c_init c_prev[0] c_start",
    ("lstm", "d_layer.h[initial]"): "dh0 d_h0 dh_init grad_h0",
    ("lstm", "layer.h[3]"): "h[3] h_3 h3 h_T h_n hn h_last h_final hT layer.h[3] h_next",
    ("lstm", "layer.c[1]"): "c[1] c_1 c1 c_prev[2] c_t1",
    ("lstm", "d_next_layer.h[1]"): "dh_next[1] dhnext[1] d_next_h[1] dh_prev[2] d_next_layer.h[1]",
    ("gru", "layer.z"): "z zs z_t update update_gate u",
    ("gru", "layer.r"): "r reset r_t",
    ("gru", "layer.n"): "n h_tilde candidate h_hat g",
    ("gru", "layer.u_n"): "u_n un hn",
    ("gru", "layer.z_z"): "z_z zz a_z z_pre",
    ("gru", "layer.z_n"): "z_n a_n n_pre a_h",
    ("gru", "d_layer.z"): "dz d_z dzs",
    ("gru", "d_layer.u_n"): "du_n dhn",
    ("gru", "layer.W_in"): "W_in W_xn Wxn",
    ("gru", "layer.W_hz"): "W_hz Uz Whz",
    ("rnn", "layer.z"): "z a_pre zs z_t net pre_activation",
    ("rnn", "layer.h"): "h hidden hs",
    ("rnn", "layer.weight_ih_l0"): "Wxh W_ih weight_ih_l0 U",
    ("rnn", "layer.bias_ih_l0"): "bxh b_ih bh b",
    ("mlp", "fc1.z"): "z1 z_1 Z1 fc1.z fc1_z",
    ("mlp", "fc1.relu"): "a1 A1 h1 fc1.relu",
    ("mlp", "fc2.tanh"): "a2 h2",
    ("mlp", "head.z"): "z3 logits scores y o",
    ("mlp", "loss.p"): "a3 probs y_hat",
    ("mlp", "fc2.weight"): "W2 w2 fc2.weight layer2.weight linear2.weight",
    ("mlp", "head.weight"): "W3 W_out",
    ("mlp", "d_fc1.bias"): "db1 fc1.bias.grad grad_b1 d_b1 nabla_b1 b1_d fc1.dbiases",
    ("mlp", "new_fc1.weight"): "new_W1 W1_new weights1_new",
    ("conv_net", "conv.z"): "z z1 conv.z conv_out".replace(" conv_out", ""),
    ("conv_net", "conv.relu"): "a a1 relu1",
    ("conv_net", "conv.pooled"): "m pooled m1 pool",
    ("conv_net", "conv.weight"): "W_conv kernel conv.weight W1 filters",
    ("conv_net", "d_conv.pooled"): "dm dpooled",
    ("conv_net", "head.weight"): "W_out W2 fc.weight",
}


@pytest.mark.parametrize(
    "network, ours, his", [(n, ours, his) for (n, ours), names in SPELLINGS.items() for his in names.split()]
)
def test_a_name_as_people_write_it(network: str, ours: str, his: str) -> None:
    run = recorded(network)
    given = any(v.name == ours and v.kind in ("parameter", "input") for v in run.values)
    array = series(run, ours) * (1 if given else 1.0001)  # wrong, or its numbers alone would do
    matched = match(run, {his: array})
    assert not matched.unmatched, matched.unmatched
    found = named(run, matched)
    assert {name.partition("[")[0] for name in found} - TWINS == {ours.partition("[")[0]}
    assert sum(matched.arrays[i].size for i in matched.arrays if run.values[i].name not in TWINS) == array.size
    assert_ours(run, matched, close=1e-3)


TWINS = {"layer.W_ih", "layer.W_hh", "layer.b_ih", "layer.b_hh"}  # the parameters once more


# Layouts

H = "layer.h"


def h_of(run: tn.Run) -> np.ndarray:
    return series(run, H)  # (T, N, H) = (4, 2, 5)


LAYOUTS: dict[str, tuple[Any, str, str]] = {  # how he has h: from (T, N, H), in words, and how he calls step 2
    "time first": (lambda h: h, "(T, N, H)", "h[2]"),
    "batch first": (lambda h: h.transpose(1, 0, 2), "(N, T, H)", "h[:, 2]"),
    "units first": (lambda h: h.transpose(2, 1, 0), "(H, N, T)", "h[:, :, 2]"),
    "columns": (lambda h: h.transpose(0, 2, 1), "(T, H, N)", "h[2]"),
    "flat": (lambda h: h.reshape(8, 5), "(T·N, H)", "h[4:6]"),
    "flat, batch first": (lambda h: h.transpose(1, 0, 2).reshape(8, 5), "(N·T, H)", "h[2::4]"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("network", RECURRENT)
def test_a_sequence_in_any_layout(network: str, layout: str) -> None:
    run, (changed, words, source) = recorded(network), LAYOUTS[layout]
    matched = match(run, {"h": changed(h_of(run))})
    assert named(run, matched)[f"{H}[2]"] == source
    assert matched.layouts["h"].startswith(words) and len(matched.arrays) == 4
    assert_ours(run, matched)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_quantity_that_is_recorded_whole_in_any_layout(layout: str) -> None:
    run, (changed, _, _) = recorded("rnn"), LAYOUTS[layout]
    for his, ours in {"logits": "head.z", "probs": "loss.p", "dlogits": "d_head.z", "x": "x"}.items():
        if layout in ("flat", "flat, batch first") and his == "x":
            continue
        array = changed(run[ours]) if "flat" not in layout else changed_flat(run[ours], layout)
        matched = match(run, {his: array})
        assert named(run, matched) == {ours: his}
        assert_ours(run, matched)


def changed_flat(array: np.ndarray, layout: str) -> np.ndarray:
    return (array.transpose(1, 0, 2) if "batch" in layout else array).reshape(-1, array.shape[-1])


def test_the_initial_state_first() -> None:
    run = recorded("lstm")
    matched = match(
        run,
        {name: np.concatenate([run[f"layer.{name}[initial]"][None], series(run, f"layer.{name}")]) for name in "hc"},
    )
    assert named(run, matched)["layer.c[initial]"] == "c[0]" and named(run, matched)["layer.c[3]"] == "c[4]"
    assert len(matched.arrays) == 10 and "initial" in matched.layouts["h"]
    assert_ours(run, matched)


def test_the_states_before_each_step() -> None:
    run = recorded("lstm")
    before = np.array([run["layer.h[initial]"], *series(run, H)[:-1]])
    matched = match(run, {"h_prev": before})
    assert named(run, matched) == {
        "layer.h[initial]": "h_prev[0]",
        **{f"layer.h[{t}]": f"h_prev[{t + 1}]" for t in range(3)},
    }
    assert_ours(run, matched)


@pytest.mark.parametrize("kind", ["arrives", "is sent"])
def test_what_arrives_from_the_next_step(kind: str) -> None:
    run = recorded("lstm")
    shares = [run[f"d_next_layer.c[{t}]"] for t in ("initial", 0, 1, 2)]
    dc_next = [*shares[1:], np.zeros_like(shares[0])] if kind == "arrives" else shares
    matched = match(run, {"dc_next": np.array(dc_next)})
    assert len(matched.arrays) == (3 if kind == "arrives" else 4)
    assert_ours(run, matched)
    assert_ours(run, match(run, {"dc_prev": np.array(shares)}))


@pytest.mark.parametrize("network", RECURRENT)
def test_one_sequence_needs_no_axis_for_the_batch(network: str) -> None:
    run = getattr(models, network)(steps=5)
    h, x = series(run, f"{network}.h")[:, 0], run["x"][:, 0]
    for arrays in ({"h": h, "x": x}, {"h": h[:, :, None], "x": x[:, :, None]}, {"h": h[None], "x": x[None]}):
        matched = match(run, arrays)
        assert not matched.unmatched and len(matched.arrays) == 6
        assert_ours(run, matched)
    single = match(run, {"h[2]": h[2], "h3": h[3][:, None]})
    assert named(run, single) == {f"{network}.h[2]": "h[2]", f"{network}.h[3]": "h3"}
    assert_ours(run, single)


@pytest.mark.parametrize("first", [0, 1])
def test_steps_by_number(first: int) -> None:
    run = recorded("lstm")
    steps = {f"h{t + first}": array for t, array in enumerate(series(run, H))} | {"c0": run["layer.c[initial]"]}
    steps |= {"h0": run["layer.h[initial]"]} if first else {}
    matched = match(run, steps)
    assert not matched.unmatched and len(matched.arrays) == 5 + first
    assert_ours(run, matched)


def test_h0_is_the_initial_state_if_it_equals_it() -> None:
    run = recorded("lstm")
    h = [run["layer.h[initial]"], *series(run, H)]
    matched = match(
        run, {f"h_{t}": h[t] for t in range(4)} | {f"dh_{t}": run.grad[f"layer.h[{t - 1}]"] for t in range(1, 4)}
    )
    assert named(run, matched)["layer.h[2]"] == "h_3"
    assert_ours(run, matched)


@pytest.mark.parametrize("network", RECURRENT)
@pytest.mark.parametrize("batch_first", [False, True])
def test_as_many_steps_as_sequences(network: str, batch_first: bool) -> None:
    run = recorded(network, "turned")
    quantities = {"x": "x", "h": H, "z": "layer.z_i" if network == "lstm" else "layer.z", "logits": "head.z"}
    quantities |= {"z_i" if name == "z" and network == "lstm" else name: q for name, q in quantities.items()}
    quantities = {name: q for name, q in quantities.items() if not (name == "z" and network == "lstm")}
    quantities |= {"target": "target", "dh": "d_layer.h", "dlogits": "d_head.z"}
    arrays = {name: series(run, ours) for name, ours in quantities.items()}
    if batch_first:
        arrays = {name: array.swapaxes(0, 1) for name, array in arrays.items()}
    matched = match(run, arrays)
    assert_ours(run, matched)
    assert matched.layouts["h"].startswith("(N, T, H)" if batch_first else "(T, N, H)")
    wrong = {name: array + (name != "x") for name, array in arrays.items()}  # nothing can be told: time first
    assert match(run, {"h": wrong["h"]}).layouts["h"].startswith("(T, N, H)")


def test_what_is_wrong_follows_what_is_right() -> None:
    run = recorded("lstm", "turned")
    arrays = {gate: series(run, f"layer.{gate}").swapaxes(0, 1) for gate in "ifgo"}
    arrays["f"] = arrays["f"] + 0.3
    matched = match(run, arrays)
    assert matched.layouts["f"] == matched.layouts["i"] and matched.layouts["f"].startswith("(N, T, H)")


# Weights


@pytest.mark.parametrize("network", RECURRENT)
def test_weights_the_other_way_round(network: str) -> None:
    run = recorded(network)
    names = {"W_hh": "layer.weight_hh_l0", "Wx": "layer.weight_ih_l0", "Why": "head.weight"}
    arrays = {his: run[ours].T for his, ours in names.items()}
    arrays |= {f"d{his}": run.grad[ours].T for his, ours in names.items()}
    arrays |= {f"new_{his}": run[f"new_{ours}"].T for his, ours in names.items()}
    matched = match(run, arrays)
    assert set(matched.layouts.values()) == {"transposed"} and not matched.unmatched
    assert named(run, matched)["d_head.weight"] == "dWhy.T"
    assert_ours(run, matched)


def test_a_square_weight_is_as_it_is_unless_it_is_ours_transposed() -> None:
    run = recorded("rnn")
    right, gradient = run["layer.weight_hh_l0"], run.grad["layer.weight_hh_l0"]
    assert match(run, {"Whh": right + 1}).layouts == {"Whh": "as it is"}
    matched = match(run, {"dWhh": gradient.T + 1, "Whh": right.T})
    assert matched.layouts == {"Whh": "transposed", "dWhh": "transposed"}
    matched = match(run, {"dWhh": gradient.T, "Why": run["head.weight"]})  # others stand as they are: this is a bug
    assert matched.layouts == {"dWhh": "as it is", "Why": "as it is"}
    assert match(run, {"dWhh": gradient.T}).layouts == {"dWhh": "transposed"}


@pytest.mark.parametrize("role", ["", "d", "new_"])
def test_gates_one_by_one(role: str) -> None:
    run = recorded("lstm")
    ours = {"": "", "d": "d_", "new_": "new_"}[role]
    blocks: dict[str, np.ndarray] = {}
    for symbol, name in {"W_x{}": "weight_ih_l0", "U{}": "weight_hh_l0", "b{}": "bias_ih_l0"}.items():
        parts = np.split(run[f"{ours}layer.{name}"], 4)
        blocks |= {role + symbol.format(gate): part.T for gate, part in zip("ifco", parts, strict=True)}
    matched = match(run, blocks)
    assert not matched.unmatched
    found = named(run, matched)
    assert found[f"{ours}layer.bias_ih_l0"] == ", ".join(f"{role}b{gate}" for gate in "ifco")
    assert len(found) == (3 if role else 3 + 12)
    assert_ours(run, matched)


def test_a_part_of_a_gradient_is_no_value_of_ours() -> None:
    run = recorded("lstm")
    matched = match(run, {"dUf": np.split(run.grad["layer.weight_hh_l0"], 4)[1]})
    assert not matched.arrays and "bring the rest" in matched.unmatched[0].guesses[0]


def test_gates_side_by_side() -> None:
    run = recorded("lstm")
    gates = np.concatenate([series(run, f"layer.{gate}") for gate in "ifgo"], axis=2)
    before = np.concatenate([series(run, f"layer.z_{gate}") for gate in "ifgo"], axis=2)
    gradients = np.concatenate([series(run, f"d_layer.z_{gate}") for gate in "ifgo"], axis=2)
    matched = match(run, {"gates": gates, "z": before, "dz": gradients, "gates[3]": gates[3]})
    assert named(run, matched)["layer.f[3]"] == "gates[3][:, 5:10]" and len(matched.arrays) == 48
    assert not matched.unmatched  # gates[3] comes twice
    assert_ours(run, matched)
    assert_ours(run, match(run, {"a": before.transpose(1, 0, 2)}))


def test_gates_in_another_order() -> None:
    run = recorded("lstm")
    order = [0, 1, 3, 2]

    def mixed(array: np.ndarray, axis: int = 0) -> np.ndarray:
        return np.concatenate([np.split(array, 4, axis)[k] for k in order], axis)

    names = {"W_ih": "weight_ih_l0", "W_hh": "weight_hh_l0", "b_ih": "bias_ih_l0", "b_hh": "bias_hh_l0"}
    arrays = {his: mixed(run[f"layer.{ours}"]) for his, ours in names.items()}
    arrays["dW_hh"] = mixed(run.grad["layer.weight_hh_l0"])
    arrays["new_b_hh"] = mixed(run["new_layer.bias_hh_l0"])
    arrays["gates"] = mixed(np.concatenate([series(run, f"layer.{gate}") for gate in "ifgo"], axis=2), 2)
    matched = match(run, arrays)
    assert matched.layouts["W_hh"] == matched.layouts["dW_hh"] == "as it is, rows i,f,o,g"
    assert_ours(run, matched)


def gates_mixed(run: tn.Run, quantity: str, order: list[int]) -> np.ndarray:
    return np.concatenate([np.split(run[quantity], len(order))[k] for k in order])


def test_gradients_show_the_order_of_gates_where_no_weights_came() -> None:
    run, order = recorded("lstm"), [0, 1, 3, 2]
    right = {"dWx": "d_layer.weight_ih_l0", "db": "d_layer.bias_ih_l0"}
    arrays = {his: gates_mixed(run, ours, order) for his, ours in right.items()}
    arrays["dWh"] = gates_mixed(run, "d_layer.weight_hh_l0", order) + 1  # wrong, and in the order of the others
    matched = match(run, arrays)
    assert all(words.endswith("rows i,f,o,g") for words in matched.layouts.values())
    # With his weights, or another array, in our order, that is a mistake.
    for name, ours in {"Wx": "layer.weight_ih_l0", "db": "d_layer.bias_ih_l0"}.items():
        matched = match(run, {"dWx": arrays["dWx"], name: run[ours]})
        assert matched.layouts["dWx"] == "as it is"


def test_a_wrong_square_matrix_stands_as_the_others_of_its_layer() -> None:
    run = recorded("rnn")
    arrays = {f"dW{at}": run.grad[f"layer.weight_{at}_l0"].T + 1 for at in ("ih", "hh")}
    assert match(run, arrays).layouts == {"dWih": "transposed", "dWhh": "transposed"}
    assert match(run, arrays | {"dWhy": run.grad["head.weight"]}).layouts["dWhh"] == "transposed"


def test_gates_side_by_side_stand_in_the_nearest_order() -> None:
    run = recorded("lstm")
    gates = np.concatenate([series(run, f"layer.{gate}") for gate in "ifog"], axis=2)
    gates[2:] *= 1.1  # wrong from there on
    gradients = np.concatenate([series(run, f"d_layer.z_{gate}") for gate in "ifog"], axis=2)
    matched = match(run, {"dz": -gradients, "db": run.grad["layer.bias_ih_l0"] + 1, "gates": gates})
    assert matched.layouts["gates"] == matched.layouts["dz"] == "(T, N, H), side by side i,f,o,g"
    assert matched.layouts["db"] == "as it is"  # rows may have another order


@pytest.mark.parametrize("at", ["front", "end"])
def test_the_initial_state_stands_where_it_is_ours(at: str) -> None:
    """In front, or as h[-1] of somebody's loop at the end."""
    run = recorded("lstm")
    h, initial = series(run, H) + 1, run["layer.h[initial]"][None]
    matched = match(run, {"h": np.concatenate([initial, h] if at == "front" else [h, initial])})
    found = {str(run.values[index].name): array for index, array in matched.arrays.items()}
    np.testing.assert_array_equal(found["layer.h[1]"], run["layer.h[1]"] + 1)
    np.testing.assert_array_equal(found["layer.h[initial]"], initial[0])


@pytest.mark.parametrize("his", ["o", "y", "y_pred", "predictions"])
def test_what_sums_to_1_is_no_score(his: str) -> None:
    run = recorded("lstm")
    wrong = np.exp(run["head.z"])
    wrong /= wrong.sum(axis=0)  # along the wrong axis
    assert set(named(run, match(run, {his: wrong}))) == {"loss.p"}
    assert set(named(run, match(run, {his: run["head.z"] + 1}))) <= {"head.z", *(f"layer.o[{t}]" for t in range(4))}


def test_modules_of_their_own_by_their_names() -> None:
    with tn.record() as run:
        x = tn.tensor(np.random.default_rng(0).normal(size=(2, 1, 4, 4)), requires_grad=True, name="x")
        relu1 = tn.name(F.relu(x), "relu1")
        (F.max_pool2d(relu1, 2) ** 2).sum().backward()
    for his in ("relu1", "relu", "relu_out", "relu1_out"):
        assert set(named(run, match(run, {his: run["relu1"] + 1}))) == {"relu1"}


def test_one_gate_shows_which_of_two_weights_stands_first() -> None:
    run = recorded("lstm")
    joined = np.concatenate([run.grad["layer.weight_hh_l0"], run.grad["layer.weight_ih_l0"]], axis=1)
    arrays = {f"dW{gate}": rows for gate, rows in zip("ifco", np.split(joined, 4), strict=True)}
    arrays["dWf"] = 2 * arrays["dWf"]
    assert set(match(run, arrays).layouts.values()) == {"as it is, side by side weight_hh_l0, weight_ih_l0"}


@pytest.mark.parametrize("order", [("hh", "ih"), ("ih", "hh")])
def test_one_weight_for_state_and_input(order: tuple[str, str]) -> None:
    run = recorded("lstm")
    arrays: dict[str, np.ndarray] = {}
    for role, ours in {"": "", "d": "d_", "new_": "new_"}.items():
        joined = np.concatenate([run[f"{ours}layer.weight_{part}_l0"] for part in order], axis=1)
        arrays |= {f"{role}W{gate}": rows for gate, rows in zip("ifco", np.split(joined, 4), strict=True)}
    matched = match(run, arrays)
    assert not matched.unmatched and len(matched.arrays) == 6 + 8
    assert_ours(run, matched)
    assert match(run, {"dWf": arrays["dWf"] + 1}).unmatched  # without the weight itself nobody knows the order


def test_one_bias_for_our_two() -> None:
    run = recorded("rnn")
    both = run["layer.bias_ih_l0"] + run["layer.bias_hh_l0"]
    step = 0.1 * run.grad["layer.bias_ih_l0"]
    matched = match(run, {"bh": both, "dbh": run.grad["layer.bias_ih_l0"], "new_bh": both - step})
    assert "sum" in matched.layouts["bh"] and named(run, matched)["layer.bias_ih_l0"] == "bh - bias_hh_l0"
    assert_ours(run, matched)
    other = match(run, {"bh": both + 1})
    assert other.layouts == {"bh": "as it is"} and named(run, other) == {"layer.bias_ih_l0": "bh"}
    two = match(run, {"bx": run["layer.bias_ih_l0"], "bh": run["layer.bias_hh_l0"]})
    assert_ours(run, two)
    assert {"layer.bias_ih_l0", "layer.bias_hh_l0"} <= named(run, two).keys()


@pytest.mark.parametrize("shape", [(20, 1), (1, 20), (20,)])
def test_a_vector_of_any_shape(shape: tuple[int, ...]) -> None:
    run = recorded("lstm")
    matched = match(run, {"b_ih": run["layer.bias_ih_l0"].reshape(shape), "loss": np.array([run["loss"]])})
    assert not matched.unmatched
    assert_ours(run, matched)


def test_pictures_with_the_channels_last() -> None:
    run = recorded("conv_net")
    arrays = {"x": run["x"], "a": run["conv.relu"], "m": run["conv.pooled"]}
    arrays = {name: array.transpose(0, 2, 3, 1) for name, array in arrays.items()}
    matched = match(run, arrays | {"kernel": run["conv.weight"].transpose(2, 3, 1, 0)})
    assert matched.layouts["a"] == "(N, H, W, C)" and not matched.unmatched
    assert_ours(run, matched)
    flat = match(run, {"m": run["conv.pooled"].reshape(3, -1), "W_conv": run["conv.weight"].reshape(4, -1)})
    assert_ours(run, flat)
    assert not flat.unmatched


# Layers, directions, updates


def test_layers_and_directions_have_their_own_names() -> None:
    run = models.lstm(layers=2, bidirectional=True, batch=2)
    names = [f"{q}_l{layer}{end}" for q in ("h", "c", "z_i") for layer in (0, 1) for end in ("", "_reverse")]
    arrays = {name: series(run, f"lstm.{name}") for name in names}
    arrays |= {f"d{name}": series(run, f"d_lstm.{name}") for name in names}
    arrays |= {"W_hh_l1_reverse": run["lstm.weight_hh_l1_reverse"], "dW_ih_l1": run.grad["lstm.weight_ih_l1"]}
    matched = match(run, arrays)
    assert not matched.unmatched
    assert len(matched.arrays) == 24 * 4 + 2
    assert_ours(run, matched)


def test_the_first_round_unless_a_name_says_another() -> None:
    run = models.rnn(updates=2)
    second = np.array([run[f"rnn.h#2[{t}]"] for t in range(4)])
    matched = match(run, {"h": series(run, "rnn.h"), "rnn.h#2": second, "new_Whh": run["new_rnn.weight_hh_l0"]})
    assert len(matched.arrays) == 9
    assert_ours(run, matched)


@pytest.mark.parametrize("options", [{"bias": False}, {"coupled_gates": True}, {"proj_size": 2}, {"lengths": [4, 2]}])
def test_variants_of_an_lstm(options: dict[str, Any]) -> None:
    run = models.lstm(batch=2, **options)
    for name, value in ((str(value.name), value) for value in run.values if value.name):
        matched = match(run, {name: value.array})
        assert value.index in matched.arrays, name
        np.testing.assert_array_equal(matched.arrays[value.index], value.array)


@pytest.mark.parametrize("run", [recorded(n) for n in (*RECURRENT, "mlp", "conv_net")])
def test_our_own_names_are_understood(run: tn.Run) -> None:
    arrays = {str(value.name): value.array for value in run.values if value.name}
    matched = match(run, arrays)
    assert not matched.unmatched and matched.arrays.keys() == {v.index for v in run.values if v.name}
    assert named(run, matched) == {name: name for name in arrays}


# Whole programs of other people


def test_a_program_with_columns_and_dicts_of_steps() -> None:
    """As many first programs are written: hs[-1] is the state before, everything is a column, one bias."""
    run = models.rnn(steps=4)
    h = {t: run[f"rnn.h[{t}]"].T for t in range(4)} | {-1: run["rnn.h[initial]"].T}
    steps = {"xs": "x", "ys": "output.z", "ps": "loss.p"}
    mine: dict[str, Any] = {his: {t: run[ours][t].T for t in range(4)} for his, ours in steps.items()}
    mine["hs"] = h
    mine |= {"Wxh": run["rnn.weight_ih_l0"], "Whh": run["rnn.weight_hh_l0"], "Why": run["output.weight"]}
    mine |= {"bh": (run["rnn.bias_ih_l0"] + run["rnn.bias_hh_l0"])[:, None], "by": run["output.bias"][:, None]}
    mine |= {f"d{his}": run.grad[ours] for his, ours in {"Wxh": "rnn.weight_ih_l0", "Why": "output.weight"}.items()}
    mine |= {"dbh": run.grad["rnn.bias_ih_l0"][:, None], "loss": float(run["loss"])}
    matched = match(run, read(mine | {"dhnext": run["d_next_rnn.h[0]"].T}))
    assert not matched.unmatched  # of which step dhnext is, its numbers show
    assert named(run, matched)["rnn.h[initial]"] == "hs[0]"
    assert_ours(run, matched)


def test_a_program_with_units_first_and_joined_weights() -> None:
    """As in well-known exercises: a (units, batch, steps), one weight for [a, x] and one bias for each gate."""
    run = models.lstm(steps=4, batch=2)
    quantities = {"a": "lstm.h", "c": "lstm.c", "x": "x", "y": "loss.p"}
    mine = {his: series(run, ours).transpose(2, 1, 0) for his, ours in quantities.items()}
    for his, gate in zip("ifco", "ifgo", strict=True):
        mine[f"W{his}"] = np.concatenate([run[f"lstm.W_h{gate}"], run[f"lstm.W_i{gate}"]], axis=1)
        mine[f"b{his}"] = (run[f"lstm.b_h{gate}"] + run[f"lstm.b_i{gate}"])[:, None]
    mine |= {"Wy": run["output.weight"], "by": run["output.bias"][:, None], "a0": run["lstm.h[initial]"].T}
    matched = match(run, mine)
    assert not matched.unmatched and named(run, matched)["loss.p"] == "y"  # it sums to 1
    assert_ours(run, matched)


def test_a_sequential_net_whose_layers_have_numbers() -> None:
    run = models.mlp(layers=2)
    layers = {"0": "hidden_0", "2": "hidden_1", "4": "output"}
    mine = {f"{his}.{p}": run[f"{ours}.{p}"] for his, ours in layers.items() for p in ("weight", "bias")}
    mine |= {f"{name}.grad": run.grad[f"{layers[name[0]]}.{name[2:]}"] for name in mine}
    mine |= {"x": run["x"].reshape(3, 16), "Z1": run["hidden_0.z"].T, "dA2": run.grad["hidden_1.tanh"].T}
    matched = match(run, mine)
    assert not matched.unmatched and matched.layouts["x"] == "flat, (3, 16)"
    assert_ours(run, matched)


def test_a_net_that_is_called_as_ours_is_not() -> None:
    run = recorded("gru")
    parameters = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    mine = {f"encoder.{name}": run[f"layer.{name}"] for name in parameters}
    mine |= {f"encoder.{name}.grad": run.grad[f"layer.{name}"] for name in parameters}
    mine |= {"decoder.weight": run["head.weight"], "decoder.bias": run["head.bias"]}
    matched = match(run, mine | {"output": series(run, H), "logits": run["head.z"].reshape(8, 6)})
    assert not matched.unmatched and len(matched.arrays) == 10 + 4 + 1
    assert_ours(run, matched)


def calls_to_match(steps: int) -> int:
    """How often functions are called to recognise the arrays of an LSTM of so many steps."""
    arguments = data("lstm", "long")
    arguments |= {name: arguments[name][:steps] for name in ("x", "target")}
    run, numbers, seen = theirs.tinynet_recurrent("lstm", arguments), NETWORKS["lstm"](**arguments), Counter[str]()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, argument: seen.update([event]))
    try:
        match(run, numbers)
    finally:
        sys.setprofile(before)
    return seen["call"] + seen["c_call"]


def test_matching_costs_no_more_than_there_are_steps() -> None:
    calls_to_match(10)  # what is worked out once
    assert calls_to_match(40) < 4 * calls_to_match(10)


# What does not match


def test_what_is_not_recognised_has_guesses() -> None:
    run = recorded("lstm")
    matched = match(run, {"foo": series(run, "layer.z_f") + 1e-3, "bar": np.zeros((7, 9)), "db_ih": np.zeros(7)})
    assert not matched.arrays
    foo, bar, bias = matched.unmatched
    assert foo.guesses[0] == "layer.z_f (same shape, closest values)" and len(foo.guesses) == 3
    assert (bar.name, bar.shape, bar.guesses) == ("bar", (7, 9), [])
    assert bias.guesses == ["d_layer.bias_ih_l0 (so by its name, but that has shape (20,))"]


def test_numbers_that_are_ours_need_no_name() -> None:
    run = recorded("lstm")
    z = np.concatenate([series(run, f"d_layer.z_{gate}") for gate in "fogi"], axis=2)
    arrays = {
        "something": series(run, "layer.c").transpose(2, 1, 0),
        "i": series(run, "layer.i")[3],
        "Z": z,
        "total": run["loss"],
    }
    matched = match(run, arrays)
    assert not matched.unmatched and len(matched.arrays) == 4 + 1 + 16 + 1
    assert (matched.layouts["something"], matched.layouts["Z"]) == ("(H, N, T)", "(T, N, H), side by side f,o,g,i")
    assert_ours(run, matched)


def test_numbers_that_anything_may_have_show_nothing() -> None:
    run = recorded("lstm")
    matched = match(run, {"something": np.zeros(20), "other": np.ones((5, 20)), "number": np.array(1.0)})
    assert len(matched.unmatched) == 3


def test_a_sure_name_is_not_overruled_by_its_numbers() -> None:
    run = recorded("lstm")
    matched = match(run, {"i": series(run, "layer.f"), "h_prev": series(run, H), "dh0": run.grad["layer.h[0]"]})
    ours = named(run, matched)
    assert ours["layer.i[1]"] == "i[1]" and ours["layer.h[0]"] == "h_prev[1]" and ours["d_layer.h[initial]"] == "dh0"


def test_a_delta_may_have_the_opposite_sign() -> None:
    run = recorded("mlp")
    z1, z2 = run.grad["fc1.z"], run.grad["fc2.z"]
    arrays = {"l1": run["fc1.relu"], "l2": run["fc2.tanh"], "l1_delta": -z1, "l2_delta": -2 * z2}
    matched = match(run, arrays)
    ours = {str(run.values[index].name): array for index, array in matched.arrays.items()}
    np.testing.assert_array_equal(ours["d_fc1.z"], z1)  # y − p, as many write it
    assert matched.layouts["l2_delta"].endswith("with the opposite sign")  # as the other
    np.testing.assert_array_equal(ours["d_fc2.z"], 2 * z2)
    gradients = match(run, {"l1_delta": -z1, "dz2": -z2})
    assert gradients.layouts["dz2"] == "(N, H)"  # what is called a gradient has its sign


def test_layers_are_counted_as_his_others_are() -> None:
    run = recorded("mlp")
    matched = match(run, {"syn1": run["new_fc2.weight"].T, "syn0": run["new_fc1.weight"].T + 1})
    assert set(named(run, matched)) == {"new_fc1.weight", "new_fc2.weight"}


def test_gradients_follow_what_was_found_by_its_numbers() -> None:
    run = recorded("lstm")
    weight, gradient = run["layer.weight_hh_l0"], run.grad["layer.weight_hh_l0"]
    arrays = {"Wax": weight.T, "dWax": gradient.T + 1, "dHout": series(run, f"d_here_{H}"), "Hout": series(run, H)}
    matched = match(run, arrays)
    assert not matched.unmatched and matched.layouts["dWax"] == "transposed"
    found = {run.values[index].name: array for index, array in matched.arrays.items()}
    np.testing.assert_array_equal(found["d_layer.weight_hh_l0"], gradient + 1)
    assert named(run, matched)["d_layer.h[2]"] == "dHout[2]"


def test_the_first_of_two_wins() -> None:
    run = recorded("lstm")
    h = series(run, H)
    matched = match(run, {"hidden": h, "hidden_states": h + 1})
    assert set(matched.layouts) == {"hidden"} and "'hidden' already" in matched.unmatched[0].guesses[0]
    assert_ours(run, matched)


def test_a_name_that_can_mean_two_things() -> None:
    run = recorded("rnn")
    h, z = series(run, H), series(run, "layer.z")
    assert "either" in match(run, {"a": h + 1}).unmatched[0].guesses[0]
    assert_ours(run, match(run, {"a": z, "h": h}))
    assert_ours(run, match(run, {"a": h, "z": z}))
    assert not match(run, {"a": h, "z": z}).unmatched


def test_a_mapping_overrides_names() -> None:
    run = recorded("lstm")
    mapping = {"foo": "layer.z_f", "i": "layer.o", "last": "layer.h[3]"}
    arrays = {"foo": series(run, "layer.z_f"), "i": series(run, "layer.o"), "last": run["layer.h[3]"]}
    matched = match(run, arrays, mapping)
    assert not matched.unmatched and len(matched.arrays) == 9
    assert_ours(run, matched)


@pytest.mark.parametrize(
    "mapping, message",
    [({"foo": "layer.zf"}, "'layer.zf'; the nearest are layer.z_f"), ({"fo": "layer.c"}, "array of yours.*foo")],
)
def test_a_mapping_of_what_is_not_there(mapping: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match(recorded("lstm"), {"foo": np.zeros(3)}, mapping)


def test_the_least_precise_dtype() -> None:
    run = recorded("lstm")
    arrays = {"h": series(run, H).astype(np.float32), "c": series(run, "layer.c"), "target": run["target"]}
    matched = match(run, arrays)
    assert matched.dtype == np.float32
    assert {array.dtype for array in matched.arrays.values()} == {np.dtype(d) for d in ("f4", "f8", "i8")}
    assert match(run, {"target": run["target"]}).dtype == np.float64


def test_not_a_number_is_matched_like_any_other() -> None:
    run = recorded("lstm", "turned")
    matched = match(run, {"h": np.full((4, 4, 5), np.nan), "Whh": np.full((20, 5), np.inf), "foo": np.full(3, np.nan)})
    assert len(matched.arrays) == 5 and matched.layouts["h"].startswith("(T, N, H)")


# Reading

ENTRIES: dict[str, tuple[Any, Any]] = {
    "float32": (np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)),
    "a number": (2.5, np.array(2.5)),
    "a list": ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
    "steps": ([np.zeros((2, 3)), np.ones((2, 3))], np.stack([np.zeros((2, 3)), np.ones((2, 3))])),
    "steps by number": ({1: np.ones(2), 0: np.zeros(2)}, np.array([[0.0, 0], [1, 1]])),
    "from the initial state": ({0: np.ones(2), -1: np.zeros(2)}, np.array([[0.0, 0], [1, 1]])),
    "a tensor": (tn.tensor([1.0, 2.0]), np.array([1.0, 2.0])),
    "tensors": ((tn.tensor([1.0]), tn.tensor([2.0])), np.array([[1.0], [2.0]])),
}


@pytest.mark.parametrize("what", ENTRIES)
def test_what_an_entry_can_be(what: str) -> None:
    given, expected = ENTRIES[what]
    found = read({"h": given})["h"]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_tensors_of_pytorch() -> None:
    torch = require("torch")
    found = read({"h": torch.ones(2, 3, requires_grad=True), "hs": [torch.ones(2), torch.zeros(2)]})
    assert found["h"].dtype == np.float32 and found["hs"].shape == (2, 2)


@pytest.mark.parametrize(
    "entry, error, message",
    [
        ("text", TypeError, "h is text"),
        (None, TypeError, "h is None"),
        (np.array(["a"]), TypeError, "h holds ndarray of dtype <U1"),
        (np.array([1j]), TypeError, "h holds complex numbers"),
        (object(), TypeError, "h holds object"),
        (np.array([None]), TypeError, "h holds ndarray of dtype object"),
        ([[1, 2], [3]], ValueError, r"h is ragged.*\(1,\), \(2,\)"),
        ([], ValueError, "h is empty"),
        ({}, TypeError, "h is a mapping"),
        ({"a": 1}, TypeError, "h is a mapping whose keys are no time steps"),
        ({0: 1, 2: 1}, ValueError, r"h has the time steps \[0, 2\]"),
        ([1, "b"], TypeError, r"h\[1\] is text"),
    ],
)
def test_what_an_entry_cannot_be(entry: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read({"h": entry})


def test_files(tmp_path: Any) -> None:
    arrays: dict[str, Any] = {"h": np.arange(6, dtype=np.float32).reshape(2, 3), "loss": np.array(1.5)}
    np.savez(tmp_path / "mine.npz", **arrays)
    np.save(tmp_path / "h.npy", arrays["h"])
    require("safetensors")
    require("safetensors.numpy").save_file({"h": arrays["h"]}, tmp_path / "mine.safetensors")
    for path in (tmp_path / "mine.npz", str(tmp_path / "h.npy"), tmp_path / "mine.safetensors"):
        np.testing.assert_array_equal(read(path)["h"], arrays["h"])
        assert read(path)["h"].dtype == np.float32


@pytest.mark.parametrize("name", ["mine.txt", "objects.npy", "broken.npy"])
def test_files_that_are_refused(tmp_path: Any, name: str) -> None:
    path = tmp_path / name
    if name == "objects.npy":
        np.save(path, np.array([{}]), allow_pickle=True)
    else:
        path.write_text("no numbers")
    with pytest.raises(ValueError, match=name):
        read(path)


def test_what_is_no_source() -> None:
    with pytest.raises(TypeError, match="got list, expected a path"):
        read([1, 2])
    with pytest.raises(FileNotFoundError):
        read("nowhere.npz")


# What an optimiser keeps


def adam_of_two(updates: int) -> tn.Run:
    tn.manual_seed(0)
    net = nn.Sequential({"fc1": nn.Linear(3, 4), "tanh": nn.Tanh(), "fc2": nn.Linear(4, 2)})
    optimizer, x = tn.optim.Adam(net.parameters(), 0.1), tn.tensor(np.ones((5, 3)), name="x")
    with tn.record() as run:
        for _ in range(updates):
            optimizer.zero_grad()
            tn.functional.cross_entropy(net(x), np.array([0, 1, 0, 1, 1])).backward()
            optimizer.step()
    return run


MOMENTS = {
    "m_fc1.weight": "m_W1 mW1 exp_avg_W1 W1_m W1_exp_avg m_fc1.weight first_moment_W1",
    "v_fc2.weight": "v_W2 vW2 exp_avg_sq_W2 W2_exp_avg_sq second_moment_W2",
    "m_hat_fc1.bias": "m_hat_b1 mhat_b1 b1_m_hat m_corrected_b1",
    "v_hat_fc2.bias": "v_hat_b2 vhat_b2 v_corrected_b2",
    "new_fc1.weight": "new_W1 W1_new",
    "d_fc2.weight": "dW2 grad_W2",
    "t": "t",
}


@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("ours", MOMENTS)
def test_what_an_optimiser_keeps_is_recognised_in_every_round(ours: str, updates: int) -> None:
    run = adam_of_two(updates)
    series = [run[ours if not t else f"{ours}#{t + 1}"] for t in range(updates)]
    for name in MOMENTS[ours].split():
        found = match(run, {name: np.array(series) if updates > 1 else series[0]})
        assert {run.values[i].name for i in found.arrays} == {
            ours if not t else f"{ours}#{t + 1}" for t in range(updates)
        }, name
        for i, array in found.arrays.items():
            np.testing.assert_array_equal(array, run.values[i].array)


def test_all_our_own_names_are_recognised() -> None:
    """A file with every value under its own name, in all rounds."""
    run = adam_of_two(3)
    whole = {str(value.name): value.array for value in run.values if value.name and value.array.dtype.kind == "f"}
    matched = match(run, whole)
    assert not matched.unmatched
    assert all(matched.sources[run.find(name).index] == name for name in whole)


def test_a_weight_followed_through_all_updates_is_told_apart_from_the_weight() -> None:
    run = adam_of_two(3)
    after = np.array([run[f"new_fc1.weight{again}"] for again in ("", "#2", "#3")])
    matched = match(run, {"W1": after, "W2": run["fc2.weight"]})
    names = {run.values[i].name for i in matched.arrays}
    assert names == {"new_fc1.weight", "new_fc1.weight#2", "new_fc1.weight#3", "fc2.weight"}
