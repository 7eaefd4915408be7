"""State dicts from memory and from files: taken as they are, or refused as a whole with every fault named."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.spreadsheets import require
from tinynet import nn
from tinynet.nn.state import read_state


def assert_loaded(module, state):
    for key, array in module.state_dict().items():
        np.testing.assert_array_equal(array, state[key])


@pytest.fixture
def file(tmp_path: Path):
    """A file of this ending that holds the state dict of an LSTM, and the state dict."""

    def write(ending: str) -> tuple[Path, dict[str, np.ndarray]]:
        state, path = nn.LSTM(2, 3).state_dict(), tmp_path / f"net{ending}"
        if ending == ".npz":
            np.savez(path, **state)
        elif ending == ".safetensors":
            require("safetensors")
            require("safetensors.numpy").save_file(state, path)
        else:
            torch = require("torch")
            torch.save({key: torch.tensor(array) for key, array in state.items()}, path)
        return path, state

    return write


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_loaded_as_its_state_dict(file, ending, kind):
    path, state = file(ending)
    lstm = nn.LSTM(2, 3)
    lstm.load_state_dict(kind(path))
    assert_loaded(lstm, state)


@settings(max_examples=15, deadline=None)
@given(inputs=st.integers(1, 4), units=st.integers(1, 4), layers=st.integers(1, 3), both=st.booleans())
def test_saving_and_loading_is_exact(tmp_path_factory, inputs, units, layers, both):
    path = tmp_path_factory.mktemp("state") / "net.npz"
    one, other = (nn.GRU(inputs, units, layers, bidirectional=both) for _ in range(2))
    np.savez(path, **one.state_dict())
    other.load_state_dict(path)
    assert_loaded(other, one.state_dict())


def test_pytorchs_tensors_are_taken_as_they_are(torch):
    theirs = torch.nn.LSTM(2, 3)
    mine = nn.LSTM(2, 3)
    mine.load_state_dict(theirs.state_dict())
    assert_loaded(mine, {key: tensor.numpy() for key, tensor in theirs.state_dict().items()})
    mine.load_state_dict(dict(theirs.named_parameters()))  # these require gradients
    halves = theirs.bfloat16().state_dict()
    mine.load_state_dict(halves)
    assert_loaded(mine, {key: tensor.float().numpy() for key, tensor in halves.items()})


def test_bfloat16_in_safetensors(torch, tmp_path):
    require("safetensors")
    save = require("safetensors.torch").save_file
    state = torch.nn.Linear(3, 2).bfloat16().state_dict()
    save(state, tmp_path / "net.safetensors")
    found = read_state(tmp_path / "net.safetensors")
    for key, tensor in state.items():
        np.testing.assert_array_equal(found[key], tensor.float().numpy())


def test_a_checkpoint_that_wraps_the_state_dict(torch, tmp_path):
    theirs = torch.nn.Linear(3, 2)
    for wrapper in ("state_dict", "model_state_dict"):
        torch.save({wrapper: theirs.state_dict(), "epoch": 3}, tmp_path / "net.pt")
        mine = nn.Linear(3, 2)
        mine.load_state_dict(tmp_path / "net.pt")
        assert_loaded(mine, {key: tensor.numpy() for key, tensor in theirs.state_dict().items()})


def test_faults_of_a_file_are_named_and_nothing_is_loaded(tmp_path):
    path = tmp_path / "net.npz"
    state = nn.Linear(2, 3).state_dict()
    np.savez(path, weight=state["weight"].T, extra=np.ones(1))
    linear = nn.Linear(2, 3)
    before = linear.state_dict()
    with pytest.raises(ValueError) as error:
        linear.load_state_dict(path)
    for fault in ("missing bias", "unexpected extra", "weight has shape (2, 3), expected (3, 2)"):
        assert fault in str(error.value)
    assert_loaded(linear, before)


@pytest.mark.parametrize("array", [np.array(["a", "b", "c"]), np.ones(3) * 1j, np.array([None] * 3)])
def test_what_is_no_real_number_is_refused_before_anything_is_loaded(array):
    linear = nn.Linear(2, 3)
    before = linear.state_dict()
    with pytest.raises(ValueError, match=r"bias holds .*, expected real numbers"):
        linear.load_state_dict({"weight": np.zeros((3, 2)), "bias": array})
    assert_loaded(linear, before)


class Evil:
    """Unpickling it would set ``tinynet.unpickled``."""

    def __reduce__(self):
        return exec, ("import tinynet; tinynet.unpickled = True",)


def test_pickled_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "net.npz", weight=np.ones(2), bias=np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"pickled objects.* under 'bias': expected plain numbers"):
        read_state(tmp_path / "net.npz")
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"is not an \.npz file"):
        read_state(tmp_path / "bare.npz")
    assert not hasattr(tn, "unpickled")


def test_a_pickled_model_is_refused(torch, tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"could run code\): expected a state dict"):
        read_state(tmp_path / "net.pt")
    torch.save(Evil(), tmp_path / "net.pt")
    with pytest.raises(ValueError, match="expected a state dict"):
        read_state(tmp_path / "net.pt")
    assert not hasattr(tn, "unpickled")
    for item in (torch.ones(3), {"epoch": 3}, [torch.ones(2)]):
        torch.save(item, tmp_path / "net.pt")
        with pytest.raises(ValueError, match=r"holds no state dict: save it by torch\.save\(model\.state_dict\(\)"):
            read_state(tmp_path / "net.pt")


def test_broken_files(tmp_path):
    np.savez(tmp_path / "net.npz", weight=np.ones(100))
    whole = (tmp_path / "net.npz").read_bytes()
    (tmp_path / "net.npz").write_bytes(whole[:200])
    with pytest.raises(ValueError, match=r"is not an \.npz file"):
        read_state(tmp_path / "net.npz")
    (tmp_path / "net.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"is no \.safetensors, \.npz, \.pt or \.pth file"):
        read_state(tmp_path / "net.h5")
    for ending in (".npz", ".safetensors", ".pt"):
        with pytest.raises(FileNotFoundError):
            read_state(tmp_path / f"none{ending}")


def test_broken_safetensors(tmp_path):
    require("safetensors")
    (tmp_path / "net.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        read_state(tmp_path / "net.safetensors")


@pytest.mark.parametrize(("module", "ending"), [("safetensors", ".safetensors"), ("torch", ".pt")])
def test_a_missing_library_is_named_with_its_extra(monkeypatch, tmp_path, module, ending):
    (tmp_path / f"net{ending}").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'tinynet-sheets\[{module}\]'"):
        nn.Linear(2, 3).load_state_dict(tmp_path / f"net{ending}")
