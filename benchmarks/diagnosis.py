"""``python -m benchmarks.diagnosis``: how many bugs are found, how well, how fast, and how often nothing is wrong.

Every bug of ``tests.wrong`` is planted in an independent network, whose numbers are compared with our run through the
public ``tinynet.debug.compare``. *placed*: the first difference is where the bug shows first (or beside it, if neither
is computed from the other). *named*: an explanation reproduces every number. *true*: it also foretells what the wrong
code computes on other data. ``--sample N`` takes N bugs, spread over the list; ``--seeds`` says which data.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

import tinynet as tn
from tests.bugs_measured import falsely_found, measured
from tests.wrong import BUGS, VARIANTS, Bug
from tests.wrong import Row as BugRow
from tests.wrong.data import KINDS
from tinynet.debug import compare

RIGHT = 1_000  # right computations at least, none of which may be called wrong
FILLERS = (0.0, 1e6, float("nan"))  # that some store behind the end of a sequence


class RightCase(NamedTuple):
    """A right computation, perhaps in one of the ``VARIANTS``, perhaps with a filler behind the ends."""

    network: str
    variant: int | None
    kind: str
    seed: int
    filler: float | None = None


class Row(NamedTuple):
    """One bug on the data of one seed."""

    number: int  # of the bug
    place: str
    named: bool
    true: bool
    offered: int  # explanations
    untrue: int  # of these
    seconds: float
    report: str


def bug_of(row: Row) -> Bug:
    return BUGS[row.number]


def bug_found(case: tuple[int, int]) -> Row:
    number, seed = case
    bug = BUGS[number]
    found = measured(bug, seed)
    sentences = " | ".join("; ".join(e.sentences) for e in found.explanations[:2])
    first = found.report.first.yours_is if found.report.first else "no difference"
    said = f"{bug.id}, seed {seed} ({bug.first}): {first}: {sentences or 'no explanation'}   [{bug.what}]"
    true = found.true
    return Row(number, found.place, found.named, true, len(found.explanations), len(found.untrue), found.seconds, said)


def right_cases() -> list[RightCase]:
    """At least ``RIGHT``."""
    cases: list[RightCase] = []
    for seed in range(100):
        for network in KINDS:
            cases += [RightCase(network, None, kind, seed) for kind in KINDS[network] if kind != "long"]
            cases += [
                RightCase(network, None, kind, seed, filler)
                for kind in ("short", "last", "turned_short")
                if kind in KINDS[network]
                for filler in FILLERS
            ]
            cases += [
                RightCase(network, number, kind, seed)
                for number, variant in enumerate(VARIANTS)
                if network in variant.networks
                for kind in ([variant.data, "outer", "short"] if len(KINDS[network]) > 3 else [variant.data])
                if kind != "long" or seed < 10
            ]
        if len(cases) >= RIGHT:
            return cases
    return cases


def right_called_wrong(case: RightCase) -> str | None:
    network, number, kind, seed, filler = case
    report = falsely_found(network, None if number is None else VARIANTS[number], kind, seed, filler)
    variant = "float64" if number is None else VARIANTS[number].id
    return None if report is None else f"{network}, {kind}, seed {seed}, {variant}, filler {filler}: {report.first}"


def small_lstm() -> list[float]:
    """Seconds per diagnosis of an LSTM of 3 units and 10 steps, with each of its numbers doubled in turn."""
    rng, found = np.random.default_rng(0), []
    lstm, head = tn.nn.LSTM(2, 3), tn.nn.Linear(3, 2)
    net = tn.nn.Sequential({"lstm": lstm, "head": head})
    net.load_state_dict({name: rng.normal(size=w.shape) for name, w in net.state_dict().items()})
    with tn.record() as run:
        scores = head(lstm(tn.tensor(rng.normal(size=(10, 2, 2)), name="x"))[0])
        target = tn.tensor(rng.integers(2, size=(10, 2)), name="target")
        losses = tn.functional.cross_entropy(scores, target, reduction="none")
        losses.mean().backward()
    mine = {name: run[name] for name in run.names if run.find(name).array.dtype.kind == "f"}
    for gate in ("c", "h", "z_i", "d_lstm.c", "d_lstm.z_f"):
        name = gate if gate.startswith("d_") else f"lstm.{gate}"
        wrong = {n: a * (1 + n.startswith(f"{name}[")) for n, a in mine.items()}
        start = time.process_time()
        compare(run, wrong)
        found.append(time.process_time() - start)
    return found


def table(title: str, rows: list[Row], by: Callable[[Row], str]) -> None:
    print(f"\n{title:58}{'cases':>7}{'placed':>9}{'named':>9}{'true':>9}{'median':>10}")
    for key in (*dict.fromkeys(map(by, rows)), "all"):
        some = [row for row in rows if key in ("all", by(row))]
        shares = (share(r.place != "wrong" for r in some), share(r.named for r in some), share(r.true for r in some))
        seconds = statistics.median(r.seconds for r in some)
        print(f"{key[:57]:58}{len(some):7}" + "".join(f"{s:9.1%}" for s in shares) + f"{seconds:8.2f} s")


def share(found: Iterable[bool]) -> float:
    every = list(found)
    return sum(every) / max(1, len(every))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis")
    parser.add_argument("--sample", type=int, help="so many bugs only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--missed", action="store_true", help="list what is not placed, not named or not true")
    arguments = parser.parse_args()
    numbers = [n for n, bug in enumerate(BUGS) if not bug.equivalent]
    chosen = numbers if arguments.sample is None else numbers[:: max(1, len(numbers) // arguments.sample)]
    cases, right = [(n, seed) for n in chosen for seed in arguments.seeds], right_cases()
    right = right if arguments.sample is None else right[:: max(1, len(right) // arguments.sample)]
    with multiprocessing.Pool(arguments.processes) as pool:
        rows = list(pool.imap_unordered(bug_found, cases, chunksize=4))
        false = [said for said in pool.imap_unordered(right_called_wrong, right, chunksize=8) if said]
    rows.sort()
    table("by network", rows, lambda row: bug_of(row).network)
    order = {row: n for n, row in enumerate(BugRow)}
    table("by row of BUGS.md", sorted(rows, key=lambda row: order[bug_of(row).row]), lambda row: bug_of(row).row)
    seconds = sorted(row.seconds for row in rows)
    print(f"\nplaced exactly {share(r.place == 'exact' for r in rows):.1%}", end=", ")
    print(f"beside it {share(r.place == 'beside' for r in rows):.1%}")
    offered, untrue = sum(r.offered for r in rows), sum(r.untrue for r in rows)
    print(f"explanations offered {offered}, of which {untrue} do not hold on other data")
    print(f"right computations called wrong: {len(false)} of {len(right)}", *false, sep="\n   ")
    print(f"seconds a diagnosis: median {statistics.median(seconds):.2f}", end=", ")
    print(f"95% below {seconds[int(0.95 * (len(seconds) - 1))]:.2f}, worst {seconds[-1]:.2f}")
    print(f"LSTM of 3 units, 10 steps: median {statistics.median(small_lstm()):.2f} s")
    if arguments.missed:
        missed = (row.report for row in rows if not row.true or row.place == "wrong")
        print("\nnot placed, not named or not true:", *missed, sep="\n   ")


if __name__ == "__main__":
    main()
