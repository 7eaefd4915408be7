"""The search for the bug: what is offered reproduces every number, says what is wrong, and is silent where nothing is.

``benchmarks.diagnosis`` measures all bugs; here is a sample of them, over every network and nearly every row.
"""

from __future__ import annotations

import time
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

import tinynet as tn
from tests import test_wrong
from tests.bugs_measured import Found, Memory, falsely_found, measured, numbers, recorded, remembering
from tests.wrong import BUGS, Variant, variants
from tests.wrong import NETWORKS as THEIRS
from tests.wrong.data import KINDS, data
from tinynet.debug import Report, compare
from tinynet.debug.comparison import Comparison
from tinynet.debug.hypotheses import Hypotheses
from tinynet.debug.program import Program

ID = {bug.id: bug for bug in BUGS}
NETWORKS = ("rnn", "lstm", "gru", "mlp", "conv_net", "adam")

# A bug, and words that its first explanation must have.
SAMPLE = {
    "rnn-sigmoid": "h: sigmoid instead of tanh",
    "rnn-both-biases-missing": "ih … is missing, and b … hh",
    "rnn-b_out-twice": "bias is counted twice",
    "rnn-U-transposed-backward": "dh from step t+1 … transposed",
    "rnn-carry-h-of-dh": "dh[t+1] is used where dz[t+1] belongs",
    "rnn-dW_hh-without-h0": "dweight_hh_l0 … share of t = 0 is missing",
    "rnn-dW_hh-of-z": "dweight_hh_l0: z[t-1] is used where h[t-1] belongs",
    "rnn-slope-of-h-function": "dz is dh times h",
    "rnn-db_out-mean": "dbias is divided by 2",
    "rnn-dx-reshaped": "dx is reshaped where its transpose is meant",
    "rnn-last-one-off": "step is one too large",
    "lstm-carry-h-dropped": "dh from step t+1 is left out",
    "lstm-carry-c-through-previous-f": "dc from step t+1: f is used where f[t+1] belongs",
    "lstm-c0-ignored": "the initial c is left out",
    "lstm-b_ih-for-b_hh": "bias_ih_l0 is used where bias_hh_l0 belongs",
    "lstm-order-ifog-of-b_ih": "in the order i, f, o, g instead of i, f, g, o",
    "lstm-df-of-last-c": "df: c[3] is used where c[t-1] belongs",
    "lstm-dg-of-z_i": "dg is dc times z_i",
    "lstm-peephole-gradient-of-old-c": "c[t-1] is used where c belongs",
    "lstm-forget-bias-after-sigmoid": "1 is added to all of f",
    "lstm-U-transposed-of-o": "W_ho is transposed",
    "lstm-target-reshaped": "target is reshaped",
    "lstm-decay-decoupled": "updated parameters … weight decay",
    "lstm-outer-dh-ignored": "dh … is left out",
    "gru-softmax-derivative-again": "multiplied by p·(1 − p)",
    "gru-dr-of-h": "dr is dz_n times h[t-1]",
    "gru-dz-of-z_n": "dz: z_n is used where n belongs",
    "gru-logits-of-previous-h": "h[t-1] is used where h belongs",
    "gru-update-sign": "lr has the wrong sign",
    "gru-U-transposed-of-n": "W_hn is transposed",
    "gru-dW_hh-of-one-buffer": "h[3] is used where h[t-1] belongs",
    "mlp-relu-leaks": "leaky relu of slope 0.01",
    "mlp-b1-missing": "z: bias is missing",
    "mlp-b2-twice": "bias is counted twice",
    "mlp-dW2-transposed": "dweight is transposed",
    "mlp-dW2-of-undropped": "dweight: relu is used where kept belongs",
    "mlp-db2-of-da2": "dbias: dtanh is used where dz belongs",
    "mlp-update-averaged-twice": "lr is divided by … 3",
    "mlp-softmax-twice": "softmax is applied to p",
    "mlp-decay-in-gradient": "gradients of the parameters … 0.1 times the parameter is added",
    "rnn-unmasked": "h: the mask is left out",
    "lstm-unmasked": "running: the largest of lengths is used for each",
    "lstm-h-unmasked": "h: the mask is left out",
    "gru-mask-in-candidate-only": "n is multiplied by … running … h: the mask is left out",
    "lstm-length-one-off": "running: lengths is one too small",
    "rnn-last-of-padding": "everywhere, the largest of lengths is used for each",
    "lstm-padding-in-loss": "the largest of lengths_2 is used for each",
    "gru-mean-over-all-steps": "the mean of lengths_2 is used for each",
    "rnn-padding-in-gradient": "dnll: the mask is left out",
    "lstm-counts-expanded-wrongly": "dnll is reshaped where its transpose is meant",
    "gru-loss-expanded-wrongly": "axes 0 and 1 of dnll are swapped",
    "lstm-b_hh-missing-of-short": "bias_hh_l0 is left out",
    "gru-carry-h-dropped-of-short": "the share of dh from step t+1 is missing",
    "gru-reset-before": "r multiplies h before the matrix product",
    "gru-carry-h-without-factor-z": "at all steps but the initial state: the factor z is left out",
    "gru-carry-n-without-reset": "dz_n is used for gate n",
    "gru-dr-without-bias": "dr: b_hn times dz_n is missing",
    "gru-h0-at-every-step": "everywhere, h[initial] is used where h[t-1] belongs",
    "gru-h-one-step-late": "everywhere, h[t-2] is used where h[t-1] belongs",
    "gru-gates-interleaved": "interleaved, unit by unit",
    "lstm-peephole-in-candidate": "z_g: c[t-1] times p_i is added once too often",
    "lstm-peephole-without-gradient-of-i-and-f": "weight_cf_l0 and weight_ci_l0 is left out",
    "mlp-b1-along-batch": "bias is spread along the other axis, as a column",
    "mlp-softmax-without-keepdims": "sum is spread along the other axis",
    "mlp-softmax-twice-before-the-loss": "the cross-entropy is that of p, as if these were scores",
    "rnn-log-of-p-plus-epsilon": "0.001 is added to p before the logarithm",
    "lstm-softmax-unshifted": "e^z is taken without taking off the largest first",
    "mlp-softmax-unshifted": "p: e^z is taken without taking off the largest first",
    "conv_net-ties-all": "several equal maxima … full gradient",
    "conv_net-dx-kernel-flipped": "dx: the kernel is turned round",
    "conv_net-dW-of-one-buffer": "the last window is read in place of every one",
    "conv_net-relu-of-gradient": "dz is drelu times [drelu > 0]",
    "conv_net-db-of-da": "dbias: drelu is used where dz belongs",
    "conv_net-b_conv-missing": "z: bias is left out",
    "adam-uncorrected": "m_hat and v_hat: the division is left out",
    "adam-v-uncorrected": "v_hat_weight: the division is left out",
    "adam-beta-without-power": "m_hat and v_hat: the power is left out",
    "adam-beta-times-t": "m_hat and v_hat: multiply instead of power",
    "adam-t-from-0": "m_hat and v_hat: the exponent is one too small",
    "adam-t-from-2": "m_hat and v_hat: the exponent is one too large",
    "adam-betas-swapped": "m and v: beta1 and beta2 are taken for each other",
    "adam-m-of-the-new": "m_weight: 1 − beta1 is used where beta1 belongs",
    "adam-v-of-g": "v_weight: the absolute value instead of the power",
    "adam-m-forgotten": "m_weight: beta1 is left out",
    "adam-no-root": "weight: sqrt is left out",
    "adam-epsilon-in-root": "eps is added before sqrt, not after it",
    "adam-decay-coupled": "weight_decay times weight is added to its gradient … weight_decay is left out",
    "adam-decay-missing": "weight_decay is left out (0 in its place)",
    "adam-decay-without-lr": "lr beside weight_decay is left out as a factor",
    "adam-sign": "lr has the wrong sign",
}


def top(found: Found | Report) -> str:
    diagnosis = found.report.diagnosis if isinstance(found, Found) else found.diagnosis
    assert diagnosis is not None and diagnosis.explanations
    return "; ".join(diagnosis.explanations[0].sentences)


@pytest.mark.parametrize("bug", SAMPLE)
def test_a_bug_is_placed_and_explained_and_the_explanation_holds_on_other_data(bug: str) -> None:
    found = measured(ID[bug])
    assert found.place != "wrong"
    assert found.named and all(word in top(found) for word in SAMPLE[bug].split(" … "))
    assert found.true, found.explanations
    assert all(e.explained == sum(found.report.differing.values()) for e in found.explanations)


def test_a_multiple_of_the_parameter_is_that_of_the_round() -> None:
    """In each update, of the parameter as it was then."""
    decay = SimpleNamespace(edits={"decayed": lambda net, right, t: right(t) + 0.3 * net["w", t - 1]})
    report = compare(recorded("adam"), numbers("adam", bug=decay))
    assert "updated parameters: 0.3 times the parameter is added (weight decay?)" in top(report)


def test_what_an_optimiser_keeps_explains_nothing_that_came_before_it() -> None:
    """The explanations of a wrong gradient are the same, whatever the optimiser."""
    bug = ID["lstm-db_hh-mean-over-time"]
    mine = {k: a for k, a in numbers("lstm", bug.data, bug=bug).items() if not k.startswith("new_")}
    with mock.patch.object(tn.optim, "SGD", tn.optim.Adam):
        run = test_wrong.tinynet_recurrent("lstm", data("lstm", bug.data))
    found, expected = compare(run, mine).diagnosis, compare(recorded("lstm", bug.data), mine).diagnosis
    assert found is not None and expected is not None and expected.explanations
    assert found.explanations == expected.explanations


def test_the_sample_covers_every_network_and_most_rows() -> None:
    assert {ID[bug].network for bug in SAMPLE} == set(NETWORKS)
    assert len({ID[bug].row for bug in SAMPLE}) >= 20


# Nothing is wrong


@pytest.mark.parametrize("network, kind", [(n, kind) for n in NETWORKS for kind in KINDS[n] if kind != "long"])
def test_a_right_network_has_no_bug(network: str, kind: str) -> None:
    for seed in (0, 1, 2):
        assert falsely_found(network, None, kind, seed) is None


@pytest.mark.parametrize(
    "network, variant, seed",
    [(n, v, seed) for seed in (0, 1) for n, v, _ in variants() if (v.data != "long" or not seed)],
    ids=lambda value: getattr(value, "id", str(value)),
)
def test_rounding_is_no_bug(network: str, variant: Variant, seed: int) -> None:
    assert falsely_found(network, variant, variant.data, seed) is None


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.equivalent], ids=lambda bug: bug.id)
def test_a_bug_that_changes_nothing_is_not_found(bug: Any) -> None:
    assert measured(bug).report.ok


@pytest.mark.parametrize("filler", [0.0, 1e6, np.nan], ids=str)
@pytest.mark.parametrize("network, kind", [(n, kind) for n in ("rnn", "lstm", "gru") for kind in ("short", "last")])
def test_a_filler_behind_the_end_is_no_bug(network: str, kind: str, filler: float) -> None:
    for seed in (0, 1, 2):
        assert falsely_found(network, None, kind, seed, filler) is None


# Two bugs at once

PAIRS = {
    ("rnn-both-biases-missing", "rnn-carry-h-dropped"): ["is missing, and b", "dh from step t+1 is left out"],
    ("lstm-c0-ignored", "lstm-db_out-mean"): ["the initial c is left out", "dbias is divided by 2"],
    ("mlp-b1-missing", "mlp-dW2-of-undropped"): ["z: bias is missing", "relu is used where kept belongs"],
    ("conv_net-b_conv-twice", "conv_net-db-of-da"): ["bias is counted twice", "drelu is used where dz belongs"],
}


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_bugs_at_once_get_a_sentence_each(pair: tuple[str, str]) -> None:
    one, two = (ID[bug] for bug in pair)
    both = SimpleNamespace(edits={**one.edits, **two.edits})
    report = compare(recorded(one.network, one.data), numbers(one.network, one.data, 0, both))
    assert report.diagnosis is not None
    sentences = report.diagnosis.explanations[0].sentences
    assert len(sentences) == 2 and all(any(words in s for s in sentences) for words in PAIRS[pair])
    lines = str(report).splitlines()
    assert any(line.startswith("WHY") for line in lines) and any(line.startswith(" and") for line in lines)


# Two reasons for one result


def test_other_numbers_tell_two_reasons_apart() -> None:
    bug = ID["mlp-db1-along-units"]
    report = measured(bug, truth=False).report
    assert report.diagnosis is not None and len(report.diagnosis.explanations) > 1
    other = report.diagnosis.other
    assert other is not None and "--other other.xlsx" in str(report)
    given = data(bug.network, bug.data)
    theirs = {"x": other["x"], "weights": {name: other[name] for name in given["weights"]}}
    np.testing.assert_array_equal(other["input"] > 0, given["mask"])
    again = compare(other, THEIRS[bug.network](**(given | theirs), bug=bug))
    assert again.diagnosis is not None and again.diagnosis.other is None
    assert [e.sentences for e in again.diagnosis.explanations] == [("dbias: dz is transposed",)]


# Nothing fits


def test_if_nothing_fits_it_says_so_and_offers_nothing() -> None:
    rng, mine = np.random.default_rng(0), numbers("mlp")
    mine["da2"] = mine["da2"] + rng.normal(size=mine["da2"].shape)
    report = compare(recorded("mlp"), mine)
    assert report.first is not None and report.first.yours_is == "da2" and report.diagnosis is not None
    assert report.diagnosis.explanations == () and report.diagnosis.complete and report.diagnosis.tried > 100
    tried = f"({report.diagnosis.tried:,} hypotheses tried in {report.diagnosis.seconds:.1f} s)"
    assert str(report).splitlines()[-1] == (
        f"WHY  no edit of the computation that was tried reproduces your numbers {tried}"
    )


def lstm_with_noise() -> dict[str, Any]:
    mine = numbers("lstm")
    return mine | {"c": mine["c"] + np.random.default_rng(0).normal(size=mine["c"].shape)}


def test_if_the_effort_is_spent_it_says_so() -> None:
    report = compare(recorded("lstm"), lstm_with_noise(), effort=0)
    assert report.diagnosis is not None and not report.diagnosis.complete and not report.diagnosis.explanations
    assert "it stopped before all were tried" in str(report)


def test_more_effort_tries_more() -> None:
    reports = [compare(recorded("lstm"), lstm_with_noise(), effort=effort) for effort in (0.01, 0.1)]
    (less, more) = (report.diagnosis for report in reports)
    assert less is not None and more is not None and 0 < less.tried < more.tried


@pytest.mark.parametrize("effort", [-1.0, float("nan")])
def test_an_effort_is_a_number_from_0(effort: float) -> None:
    with pytest.raises(ValueError, match="expected a number from 0"):
        compare(recorded("lstm"), lstm_with_noise(), effort=effort)


@pytest.mark.parametrize("effort", [1.0, 0.01])
def test_a_slow_machine_finds_what_a_fast_one_does(effort: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> tuple[Any, ...]:
        diagnosis = compare(recorded(bug.network), numbers(bug.network, bug=bug), effort=effort).diagnosis
        assert diagnosis is not None
        return diagnosis.explanations, diagnosis.tried, diagnosis.complete

    bug = ID["lstm-b_hh-missing-of-short"]
    fast, clock = found(), count(0.0, 100.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert found() == fast


@pytest.mark.parametrize("network", [network for network in NETWORKS if network != "adam"])
def test_a_number_that_stands_alone_is_explained_by_no_factor_of_another(network: str) -> None:
    mine = numbers(network)
    mine["loss"] = mine["loss"] + 0.123
    report = compare(recorded(network), mine)
    assert report.first is not None and report.first.yours_is == "loss" and report.diagnosis is not None
    assert report.diagnosis.explanations == ()


def test_no_sentence_says_that_an_operation_is_used_instead_of_itself() -> None:
    facts = Hypotheses(Program(recorded("gru")))
    said = [h.sentence for family in facts.series if facts.computed(family) for h in facts.about(family)]
    assert len(said) > 1_000
    assert not [s for s in said if s.endswith(("+ instead of add", "− instead of subtract"))]


# Every explanation is computed again, by nothing that the search had computed


def computed_again(memory: Memory, sentences: tuple[str, ...]) -> bool:
    """Does a fresh program with the edits of these sentences give all the numbers that were brought?"""
    searched = memory.comparison
    fresh = Comparison(Program(searched.program.run.astype(np.float64)), searched.mine, searched.tolerance)
    states = [state for state in memory.found if state.sentences == sentences]
    repeated = [memory.repeated(state, fresh) for state in states]
    return any(state is not None and agree(fresh, state.changed) for state in repeated)


def agree(beside: Comparison, changed: dict[int, np.ndarray]) -> bool:
    arrays, values = beside.program.arrays, beside.program.run.values
    for index, mine in beside.mine.items():
        ours = np.asarray(changed.get(index, arrays[index]), float)
        alike = [arrays[i] for i in beside.mine if values[i].quantity == values[index].quantity]
        allowed = beside.tolerance * max(1e-12, *(float(np.abs(array).max(initial=0)) for array in alike))
        if not np.all((np.abs(ours - mine) <= allowed) | (ours == mine) | (np.isnan(ours) & np.isnan(mine))):
            return False
    return True


@pytest.mark.parametrize(
    "bug", ["lstm-carry-h-dropped", "rnn-dh0-of-first-step", "gru-db_out-mean", "mlp-relu-leaks", "conv_net-ties-all"]
)
def test_every_explanation_that_is_offered_reproduces_every_number(bug: str) -> None:
    with remembering() as memory:
        report = compare(recorded(ID[bug].network, ID[bug].data), numbers(ID[bug].network, ID[bug].data, 0, ID[bug]))
    assert report.diagnosis is not None and report.diagnosis.explanations
    offered = [e.sentences for e in report.diagnosis.explanations]
    assert all(computed_again(memory, sentences) for sentences in offered)
    alike = [tuple(a.split("; ")) for e in report.diagnosis.explanations for a in e.alike]
    assert all(computed_again(memory, sentences) for sentences in alike if len(sentences) == 1)
