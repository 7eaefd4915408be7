"""``tinynet export --from-torch``: the architecture read off a state dict, the same numbers as PyTorch's."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gradients import spread
from tests.spreadsheets import require
from tinynet import nn
from tinynet.cli import main
from tinynet.from_torch import infer, run_saved
from tinynet.workbook import read_book

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
TORCH = {"rtol": 0, "atol": 1e-12}


@st.composite
def nets(draw):
    """A recurrent layer of ours with random sizes and options."""
    kind, hidden, options = draw(st.sampled_from(list(KINDS))), draw(st.integers(1, 4)), {}
    if kind == "lstm" and hidden > 1:
        options["proj_size"] = draw(st.integers(0, hidden - 1))
    flags = {"bias": draw(st.booleans()), "bidirectional": draw(st.booleans())}
    return KINDS[kind](draw(st.integers(1, 4)), hidden, draw(st.integers(1, 3)), **flags, **options)


SIZES = ("input_size", "hidden_size", "output_size", "num_layers", "bias", "bidirectional")


@settings(max_examples=60, deadline=None)
@given(net=nets(), prefix=st.sampled_from(["", "rnn.", "encoder.lstm.", "0.", "module.encoder.rnn."]))
def test_names_and_shapes_say_what_the_net_is(net, prefix):
    state = {prefix + key: array for key, array in net.state_dict().items()}
    found, head = infer(state).parts()
    assert type(found) is type(net) and head is None
    assert [getattr(found, size) for size in SIZES] == [getattr(net, size) for size in SIZES]
    for key, array in found.state_dict().items():
        np.testing.assert_array_equal(array, net.state_dict()[key])


@settings(max_examples=20, deadline=None)
@given(net=nets(), classes=st.integers(1, 3))
def test_a_head_is_found_wherever_it_stands(net, classes):
    head = nn.Linear(net.output_size * net.directions, classes)
    for path in ("fc", "decoder.out", "rnn.fc"):
        state = {f"rnn.{key}": array for key, array in net.state_dict().items()}
        state |= {f"{path}.{key}": array for key, array in head.state_dict().items()}
        found = infer(state)
        assert found.state_dict().keys() == state.keys()
        x = spread(3, 2, net.input_size)
        run = run_saved(state, x)
        from_definition = head(net(run_input(x))[0]).numpy()
        assert run["loss"] == pytest.approx((from_definition**2).sum(), rel=1e-9)


def run_input(x):
    import tinynet as tn

    return tn.tensor(x)


def torch_net(torch, name, *args, head=None, **kwargs):
    """A module with ``encoder.rnn`` and, with a head, ``fc``; its loss and gradients follow from ``numbers``."""
    net = torch.nn.Module()
    net.encoder = torch.nn.Module()
    net.encoder.rnn = getattr(torch.nn, name)(*args, **kwargs)
    if head:
        net.fc = torch.nn.Linear(*head)
    return net.double()


CASES = [
    ("RNN", (2, 3), {}),
    ("RNN", (2, 3), {"nonlinearity": "relu", "bias": False}),
    ("GRU", (2, 3, 2), {"bidirectional": True}),
    ("LSTM", (2, 3), {"batch_first": True}),
    ("LSTM", (2, 3, 2), {"bidirectional": True, "proj_size": 2}),
]


@pytest.mark.parametrize("task", ["squares", "head", "every step", "last step"])
@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_loss_and_gradients_are_pytorchs(torch, name, args, kwargs, task):
    torch.manual_seed(0)
    size = (kwargs.get("proj_size") or 3) * (2 if kwargs.get("bidirectional") else 1)
    net = torch_net(torch, name, *args, **kwargs, head=None if task == "squares" else (size, 4))
    batch_first = kwargs.get("batch_first", False)
    x = spread(2, 4, 2) if batch_first else spread(4, 2, 2)
    target = None
    theirs = torch.tensor(x, requires_grad=True)
    out = net.encoder.rnn(theirs)[0]
    out = out if task == "squares" else net.fc(out)
    if task in ("squares", "head"):
        loss = (out * out).sum()
    else:
        if task == "last step":
            out = out[:, -1] if batch_first else out[-1]
        target = np.arange(np.prod(out.shape[:-1])).reshape(out.shape[:-1]) % 4
        loss = torch.nn.functional.cross_entropy(out.reshape(-1, 4), torch.tensor(target.reshape(-1)))
    loss.backward()
    run = run_saved(net.state_dict(), x, target, batch_first, kwargs.get("nonlinearity", "tanh"))
    assert run["loss"] == pytest.approx(loss.item(), abs=1e-12)
    np.testing.assert_allclose(run.grad["x"], theirs.grad.numpy(), **TORCH)
    for key, parameter in net.named_parameters():
        np.testing.assert_allclose(run.grad[key], parameter.grad.numpy(), **TORCH)
    assert name in run.description


def test_a_sequence_without_a_batch():
    state = nn.GRU(2, 3).state_dict() | {"fc.weight": spread(4, 3), "fc.bias": spread(4)}
    batched = run_saved(state, spread(5, 1, 2), np.ones((5, 1), dtype=int))
    alone = run_saved(state, spread(5, 2), np.ones(5, dtype=int))
    assert alone["loss"] == pytest.approx(batched["loss"], abs=1e-12)
    last = run_saved(state, spread(5, 2), np.array(1))
    assert last["loss"] == pytest.approx(run_saved(state, spread(5, 1, 2), np.ones(1, dtype=int))["loss"], abs=1e-12)


# What cannot be inferred


LSTM = {f"lstm.{key}": array for key, array in nn.LSTM(2, 3).state_dict().items()}
SAME = {f"lstm.{key}": array for key, array in nn.LSTM(3, 3).state_dict().items()}
WRONG = {
    "nothing": ({}, "no recurrent net: expected keys such as weight_ih_l0 or lstm.weight_ih_l0, got nothing"),
    "cell": ({"weight_ih": np.ones((4, 2))}, "no recurrent net: .*, got weight_ih"),
    "two": (LSTM | nn.GRU(2, 3).state_dict(), r"2 recurrent nets, lstm\., \(no prefix\): expected one"),
    "five gates": ({"weight_ih_l0": np.ones((10, 3)), "weight_hh_l0": np.ones((10, 2))}, "expected 4, 3 or 1 rows"),
    "odd rows": ({"weight_ih_l0": np.ones((7, 3)), "weight_hh_l0": np.ones((7, 2))}, "expected 4, 3 or 1 rows"),
    "vector": ({"weight_ih_l0": np.ones(8), "weight_hh_l0": np.ones((8, 2))}, r"weight_ih_l0 is of shape \(8,\)"),
    "no first layer": ({"weight_ih_l1": np.ones((8, 2)), "weight_hh_l1": np.ones((8, 2))}, "weight_ih_l0 is missing"),
    "gru projection": (nn.GRU(2, 3).state_dict() | {"weight_hr_l0": np.ones((2, 3))}, "only an LSTM has, not GRU"),
    "missing bias": ({k: a for k, a in LSTM.items() if "bias_hh" not in k}, r"missing lstm\.bias_hh_l0"),
    "gap": (
        LSTM | {"lstm.weight_hh_l7": np.ones((12, 3))},
        r"missing lstm\.weight_ih_l1.*unexpected lstm\.weight_hh_l7",
    ),
    "misshapen": (LSTM | {"lstm.weight_ih_l0": np.ones((9, 2))}, r"has shape \(9, 2\), expected \(12, 2\)"),
    "head size": (LSTM | {"fc.weight": np.ones((4, 5))}, r"fc\.weight has shape \(4, 5\), expected \(classes, 3\)"),
    "two heads": (LSTM | {"a.weight": np.ones((4, 3)), "b.weight": np.ones((4, 3))}, "unexpected a.weight, b.weight"),
    "norm": (LSTM | {"bn.weight": np.ones(3), "bn.bias": np.ones(3)}, r"unexpected bn\.weight, bn\.bias: expected one"),
    "no head weight": (LSTM | {"fc.bias": np.ones(3)}, r"unexpected fc\.bias"),
    "embedding": (SAME | {"e.weight": np.ones((9, 3))}, "may be an embedding before the net or a head behind it"),
    "name": ({f"forward.{k}": a for k, a in nn.RNN(2, 3).state_dict().items()}, "a part called 'forward'"),
    "nonsense": (LSTM | {"lstm.bias_hh_l0": np.array(["x"] * 12)}, "expected real numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_inferred_is_said(case):
    state, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        infer(state)


def test_inputs_and_targets_that_do_not_fit():
    head = LSTM | {"fc.weight": np.ones((4, 3)), "fc.bias": np.ones(4)}
    with pytest.raises(ValueError, match=r"LSTM expects \(T, N, 2\) .* got \(4, 1, 3\)"):
        run_saved(LSTM, np.ones((4, 1, 3)))
    with pytest.raises(ValueError, match="expected finite real numbers"):
        run_saved(LSTM, np.full((4, 1, 2), np.nan))
    with pytest.raises(ValueError, match="expected finite real numbers"):
        run_saved(LSTM, np.array([["a", "b"]]))
    with pytest.raises(ValueError, match="a target needs a linear head"):
        run_saved(LSTM, np.ones((4, 1, 2)), np.zeros((4, 1), dtype=int))
    with pytest.raises(ValueError, match=r"target has shape \(3, 1\), expected \(4, 1\) \(every step\) or \(1,\)"):
        run_saved(head, np.ones((4, 1, 2)), np.zeros((3, 1), dtype=int))
    with pytest.raises(ValueError, match="expected 0 to 3"):
        run_saved(head, np.ones((4, 1, 2)), np.full((4, 1), 4))
    with pytest.raises(TypeError, match="integer classes"):
        run_saved(head, np.ones((4, 1, 2)), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="nonlinearity is 'sin'"):
        run_saved(nn.RNN(2, 3).state_dict(), np.ones((4, 1, 2)), nonlinearity="sin")


# The command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with net.npz, x.npy, y.npy and y_last.npy, made without PyTorch; the working directory."""
    monkeypatch.chdir(tmp_path)
    np.savez("net.npz", **LSTM, **{"fc.weight": spread(4, 3), "fc.bias": spread(4)})
    np.save("x.npy", spread(5, 2, 2))
    np.save("y.npy", np.arange(10).reshape(5, 2) % 4)
    np.save("y_last.npy", np.array([1, 2]))
    return tmp_path


@pytest.mark.parametrize("options", ["", "--target y.npy", "--target y_last.npy -o named.xlsx"])
def test_export_without_pytorch(here, options, capsys):
    assert main(shlex.split(f"export --from-torch net.npz --input x.npy {options}")) == 0
    file = "named.xlsx" if "-o" in options else "net.xlsx"
    run = read_book(file).book.run
    targets = np.load(options.split()[1]) if options else None
    expected = run_saved("net.npz", np.load("x.npy"), targets)
    assert run["loss"] == pytest.approx(expected["loss"], abs=1e-12)
    np.testing.assert_allclose(run.grad["lstm.weight_hh_l0"], expected.grad["lstm.weight_hh_l0"], **TORCH)
    assert main(["verify", file]) == 0
    assert "agree with NumPy" in capsys.readouterr().out


@pytest.mark.parametrize("ending", [".pt", ".pth", ".safetensors"])
def test_export_of_a_real_state_dict(here, torch, ending, capsys):
    net = torch_net(torch, "GRU", 2, 3, 2, bidirectional=True, batch_first=True, head=(6, 3))
    file = f"torch{ending}"
    if ending == ".safetensors":
        require("safetensors")
        require("safetensors.torch").save_file(net.state_dict(), file)
    else:
        torch.save(net.state_dict(), file)
    x = spread(2, 4, 2)
    np.save("x.npy", x), np.save("y.npy", np.array([2, 0]))
    assert main(shlex.split(f"export --from-torch {file} --input x.npy --target y.npy --batch-first")) == 0
    scores = net.fc(net.encoder.rnn(torch.tensor(x))[0])[:, -1]
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([2, 0]))
    run = read_book("torch.xlsx").book.run
    assert run["loss"] == pytest.approx(expected.item(), abs=1e-12)
    assert "encoder.rnn.weight_ih_l1_reverse" in {value.name for value in run.values}
    assert main(["verify", "torch.xlsx"]) == 0
    assert "agree with NumPy" in capsys.readouterr().out


def test_the_nonlinearity_of_an_rnn_can_be_said(here):
    np.savez("rnn.npz", **nn.RNN(2, 3).state_dict())
    assert main(shlex.split("export --from-torch rnn.npz --input x.npy --nonlinearity relu")) == 0
    expected = run_saved("rnn.npz", np.load("x.npy"), nonlinearity="relu")["loss"]
    assert read_book("rnn.xlsx").book.run["loss"] == pytest.approx(expected, abs=1e-12)


REFUSED = {
    "export": "a MODEL is required, or --from-torch FILE --input X.npy",
    "export --from-torch net.npz": "--from-torch needs an input",
    "export mlp --from-torch net.npz --input x.npy": "leave 'mlp' out",
    "export mlp --input x.npy": "--input is for --from-torch",
    "export rnn --batch-first": "--batch-first is for --from-torch",
    "export --from-torch net.npz --input x.npy --hidden 3": "--hidden is for the built-in models",
    "export --from-torch none.npz --input x.npy": "No such file or directory: none.npz",
    "export --from-torch net.npz --input none.npy": "No such file or directory: none.npy",
    "export --from-torch net.npz --input net.npz": "net.npz is not an .npy file of numbers",
    "export --from-torch x.npy --input x.npy": "x.npy is no .safetensors, .npz, .pt or .pth file",
    "export --from-torch net.npz --input y.npy --target x.npy": "net.npz: the target has shape (5, 2, 2)",
    "export --from-torch bad.npz --input x.npy": "bad.npz: no recurrent net",
    "export --from-torch net.npz --input x.npy --target y_last.npy --batch-first": "expected (5, 2) (every step)",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refusals_are_one_line_and_exit_code_2(here, line, capsys):
    np.savez("bad.npz", weight=np.ones((2, 2)))
    assert main(shlex.split(line)) == 2
    message = capsys.readouterr().err
    assert REFUSED[line] in message and message.count("\n") == 1
    assert not list(here.glob("*.xlsx"))


def test_a_missing_library_is_one_line_too(here, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    Path("net.pt").write_bytes(b"")
    assert main(shlex.split("export --from-torch net.pt --input x.npy")) == 2
    assert "pip install 'tinynet-sheets[torch]'" in capsys.readouterr().err
