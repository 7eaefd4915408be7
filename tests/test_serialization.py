"""A run as JSON: every bit comes back, and hostile text gives one ValueError."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.gradients import spread
from tests.test_run import recorded_training
from tinynet import functional as F
from tinynet import primitives as P


def same(one, other):
    assert one.names == other.names and len(one.steps) == len(other.steps)
    for a, b in zip(one.values, other.values, strict=True):
        assert a.array.dtype == b.array.dtype and a.array.tobytes() == b.array.tobytes()
        assert (a.kind, a.title, a.time, a.update, a.share) == (b.kind, b.title, b.time, b.update, b.share)
    for a, b in zip(one.steps, other.steps, strict=True):
        assert (a.number, a.primitive, a.phase, a.time) == (b.number, b.primitive, b.phase, b.time)


def test_a_training_step_comes_back_bit_by_bit():
    run, *_ = recorded_training(updates=2)
    run.description = "Ein Lauf, größer als «einer» = 2"
    again = tn.Run.from_json(run.to_json())
    same(again, run)
    assert again.loss.name == run.loss.name and again.description == run.description
    np.testing.assert_array_equal(again.grad["lstm.c[2]"], run.grad["lstm.c[2]"])
    assert again.to_json() == run.to_json()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_number_survives(dtype):
    numbers = np.array([0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, np.nan, np.inf, -np.inf])
    with tn.record() as run, np.errstate(all="ignore"):
        x = tn.tensor(numbers.astype(dtype), name="x") * 1
        tn.name(x, "y")
    again = tn.Run.from_json(run.to_json())
    same(again, run)


def test_every_kind_of_argument_survives():
    x = tn.tensor(spread(3, 4), requires_grad=True, name="x")
    index = np.array([2, 0, 2])
    with tn.record() as run:
        pieces = [
            x[index, 1:4:2],
            x[range(3), index],
            x[..., None, -1],
            x[[0, 0], [1, 1]],
            x[tn.tensor(index)],
            x.sum((0, -1), True),
        ]
        pieces += [
            F.pad(x, [(1, 0), (0, 2)]),
            F.flip(x, (0, 1)),
            F.cat([x, x], -1),
            x.max(-1),
            x.T.reshape(-1),
        ]
        pieces += [
            P.where(x > 0, x, -np.inf).exp(),
            F.gather(x, 1, tn.tensor([[0], [3], [3]])),
            x[np.int64(1)],
        ]
        pieces += [P.take(x, np.array(1)), x * np.array(2.0), 2**x, x**2]
        sum((piece * piece).sum() for piece in pieces).backward()
    same(tn.Run.from_json(run.to_json()), run)
    same(run.replay(), run)


def test_an_empty_run():
    with tn.record() as run:
        pass
    assert tn.Run.from_json(run.to_json()).values == []


# What is not a run


def a_document():
    x = tn.tensor([1.0, 2.0], requires_grad=True, name="x")
    with tn.record() as run:
        (x * x).sum().backward()
    return json.loads(run.to_json())


def refuse(document, match=""):
    text = document if isinstance(document, (str, bytes)) else json.dumps(document)
    with pytest.raises(ValueError, match=f"not a readable tinynet run: .*{match}"):
        tn.Run.from_json(text)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "1e999", "{}", '{"format": "other"}', "[" * 100_000, b"\xff\xfe{"]
)
def test_garbage_is_refused(text):
    refuse(text)


def change(path, new):
    def apply(document):
        *parents, last = path
        for key in parents:
            document = document[key]
        document[last] = new

    return apply


STEP, LEAF = ["steps", 0], ["values", 0]


def circle(document):
    gradients = [i for i, row in enumerate(document["values"]) if row.get("of") == 0]
    document["values"][0]["of"] = gradients[-1]


HOSTILE = {
    "unknown primitive": (change([*STEP, 0], "system"), "no primitive of tinynet"),
    "a primitive that is no text": (change([*STEP, 0], ["multiply"]), ""),
    "missing value": (change([*STEP, 1, 0], {"value": 99}), "no value 99"),
    "negative reference": (change([*STEP, 1, 0], {"value": -1}), "no value -1"),
    "forward reference": (change([*STEP, 1, 0], {"value": 2}), "not there yet"),
    "reference that is no integer": (change([*STEP, 1, 0], {"value": "0"}), "no value 0"),
    "output written twice": (change(["steps", 1, 3], 1), "not there yet, or writes one twice"),
    "output over a leaf": (change([*STEP, 3], 0), "writes one twice"),
    "step left out": (lambda d: d["steps"].pop(), "neither given nor computed"),
    "wrong shape of a leaf": (change([*LEAF, "shape"], [3]), "cannot reshape"),
    "wrong shape of a result": (change(["values", 1, "shape"], [3]), "as it says"),
    "wrong dtype of a result": (change(["values", 1, "dtype"], "float32"), "as it says"),
    "shape left out": (lambda d: d["values"][1].pop("shape"), "shape"),
    "dtype of objects": (change([*LEAF, "dtype"], "object"), "dtype object"),
    "dtype of texts": (change([*LEAF, "dtype"], "U9"), "dtype <U9"),
    "dtype unknown": (change([*LEAF, "dtype"], "number"), "number"),
    "text for numbers": (change([*LEAF, "data"], ["a", "b"]), "convert"),
    "ragged numbers": (change([*LEAF, "data"], [[1], [1, 2]]), ""),
    "numbers left out": (lambda d: d["values"][0].pop("data"), "exactly if it is not computed"),
    "numbers for a result": (change(["values", 1, "data"], [1, 4]), "exactly if it is not computed"),
    "a quantity that is no text": (change([*LEAF, "quantity"], ["x"]), "quantity"),
    "a kind that there is not": (change([*LEAF, "kind"], "formula"), "kind 'formula'"),
    "a time that is no number": (change([*LEAF, "time"], "now"), "time 'now'"),
    "unknown argument": (change([*STEP, 2], {"colour": 1}), "colour"),
    "argument of no kind": (change([*STEP, 2], {"axis": {"call": "exit"}}), "cannot be read"),
    "operands of text": (change([*STEP, 1], [{"value": 0}, "a"]), "no numbers"),
    "no operands": (change([*STEP, 1], []), "no numbers"),
    "only plain numbers": (change([*STEP, 1], [2, 10**9]), "no numbers"),
    "too many operands": (change([*STEP, 1], [{"value": 0}] * 3), ""),
    "phase that is no text": (change([*STEP, 4], {}), "phase"),
    "step that is too short": (change(["steps", 0], ["add"]), "unpack"),
    "steps of another kind": (change(["steps"], 5), ""),
    "values of another kind": (change(["values"], {"a": 1}), ""),
    "loss that there is not": (change(["loss"], 99), "no value 99"),
    "gradient of itself": (change(["values", 0, "of"], 0), "value 0 is of value 0, which depends on it"),
    "gradient of its own gradient": (circle, "value 0 is of value [0-9]+, which depends on it"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_document_that_lies_is_refused(what):
    apply, match = HOSTILE[what]
    document = a_document()
    tn.Run.from_json(json.dumps(document))  # it was sound before
    apply(document)
    refuse(document, match)


def one_step(primitive, shapes, **arguments):
    """A document with one step, on leaves of ``shapes``, that claims to make a single number."""
    leaves = [{"kind": "input", "shape": s, "dtype": "int64", "data": [0] * int(np.prod(s))} for s in shapes]
    operands = [{"value": i} for i in range(len(shapes))]
    result = {"shape": [], "dtype": "int64"}
    step = [primitive, operands, arguments, len(shapes), "forward", None]
    return {"format": "tinynet run 1", "values": [*leaves, result], "steps": [step]}


TEN_THOUSAND = {"array": [0] * 10_000, "dtype": "int64"}
HUGE = {
    "broadcast_to": one_step("broadcast_to", [[1]], shape={"tuple": [10**6, 10**6]}),
    "scatter": one_step("scatter", [[1]], index=0, shape={"tuple": [10**12]}),
    "pad": one_step("pad", [[1]], pad_width={"tuple": [{"tuple": [0, 10**12]}]}),
    "put": one_step("put", [[1], [1]], size=10**12),
    "put_along_axis": one_step("put_along_axis", [[1], [1]], axis=0, size=10**12),
    "outer sum": one_step("add", [[100_000, 1], [100_000]]),
    "outer product": one_step("matmul", [[100_000, 1], [1, 100_000]]),
    "repeated rows": one_step("getitem", [[1, 100_000]], index=TEN_THOUSAND),
    "taken rows": one_step("take", [[1, 100_000], [10_000]]),
    "taken numbers": one_step("take_along_axis", [[100_000, 1], [1, 100_000]], axis=1),
}


@pytest.mark.parametrize("what", HUGE)
def test_a_small_text_cannot_ask_for_a_huge_result(what):
    refuse(HUGE[what], "numbers, more than")


def test_repeated_doubling_is_refused():
    steps = [["concatenate", [{"value": i}] * 2, {"axis": 0}, i + 1, "forward", None] for i in range(60)]
    values = [{"shape": [2**i], "dtype": "int64"} for i in range(61)]
    values[0] |= {"kind": "input", "data": [1]}
    refuse({"format": "tinynet run 1", "values": values, "steps": steps}, "numbers, more than")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths(node, path=()):
    """All places of a document."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


PATHS = list(paths(a_document()))[1:]


@given(st.sampled_from(PATHS), JSON)
@settings(max_examples=150, deadline=None)
def test_any_change_gives_a_run_or_a_value_error(path, new):
    document = a_document()
    change(path, new)(document)
    with np.errstate(all="ignore"):
        try:
            run = tn.Run.from_json(json.dumps(document))
        except ValueError as error:
            assert "tinynet run" in str(error)
        else:
            assert run.replay().names == run.names and str(run)
