"""``python -m benchmarks.checker``: wrong derivatives found by our checker of gradients, false alarms, the cost.

Every VJP of the table of primitives is mutated systematically, and checked at two points where that changes a number;
then random right cases are checked, at smooth points, at kinks and ties, and of awkward numbers: our VJPs, which the
tests hold against PyTorch, are taken for right. ``torch.autograd.gradcheck`` and HIPS autograd's ``check_grads``, where
installed, judge the same cases through a custom function made of our forward and our VJP. ``--only`` takes the mutants
whose description, and the kinds of cases whose name, contain a text. PyTorch sums a gradient that was not un-broadcast
itself, so for gradcheck such a mutant is none.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from benchmarks.checker.alarms import KINDS, VERDICTS, Alarms, alarms, worst
from benchmarks.checker.cost import cost, typical
from benchmarks.checker.detection import Fate, fates, is_found
from benchmarks.checker.hidden import hidden
from benchmarks.checker.peers import Checker, checkers, versions

MOST = 8  # reasons, or functions
LARGE = 10_000  # elements: torch's gradcheck makes the whole Jacobian, one of 300×300 does not fit into memory


def print_detection(found: list[Fate], names: Iterable[str]) -> None:
    alive = [fate for fate in found if fate.told]
    equivalent, broken = sum(fate.equivalent for fate in found), sum(not fate.runs for fate in found)
    print(f"\n{len(found)} mutants: {equivalent} change no number, {broken} only raise, {len(alive)} are wrong")
    print(f"{'found, by kind of mutant':32}{'wrong':>8}" + "".join(f"{name:>16}" for name in names))
    for kind in (*dict.fromkeys(fate.mutant.kind for fate in alive), "all"):
        some = [fate for fate in alive if kind in ("all", fate.mutant.kind)]
        shares = "".join(f"{share(fate.found(name) for fate in some):16.1%}" for name in names)
        print(f"{kind:32}{len(some):8}{shares}")
    pairs = [said for fate in alive for _, said in fate.told]
    print(f"{'at every single point':32}{len(pairs):8}", end="")
    print("".join(f"{share(is_found(said[name]) for said in pairs):16.1%}" for name in names))
    print("\nnot found by tinynet at one point or at all:")
    for fate in alive:
        missed = [(point, said["tinynet"]) for point, said in fate.told if not is_found(said["tinynet"])]
        if missed:
            print(f"   {fate.mutant} ({'found elsewhere' if fate.found('tinynet') else 'NOT FOUND'})")
        for point, verdict in missed:
            print(f"      {verdict}: {point.name}, shapes {[a.shape for a in point.inputs]}")


def print_hidden(there: dict[str, Checker]) -> None:
    print(f"\n{'one wrong element, told from right':40}" + "".join(f"{name:>16}" for name in there))
    for kind, shares in hidden(there):
        print(f"{kind:40}" + "".join(f"{shares[name]:16.0%}" for name in there))


def print_alarms(found: Alarms) -> None:
    print(f"\n{'right derivatives':32}{'':16}{'cases':>8}" + "".join(f"{verdict:>16}" for verdict in VERDICTS))
    for (kind, name), counts in found.counts.items():
        shares = "".join(f"{counts[verdict]:8} {counts[verdict] / counts.total():6.2%} " for verdict in VERDICTS)
        print(f"{kind:32}{name:16}{counts.total():8}{shares}")
    for kind, doubts in found.doubts.items():
        print(f"\ncannot tell, {kind}:")
        for reason, times in [*worst(doubts, lambda key: key[0], MOST), *worst(doubts, lambda key: key[1], MOST)]:
            print(f"{times:8}  {reason}")
    print(f"\nright derivatives that tinynet calls wrong: {len(found.bad)}", *found.bad, sep="\n   ")


def print_costs(there: dict[str, Checker]) -> None:
    print(f"\n{'one check: ms, evaluations':32}" + "".join(f"{name:>20}" for name in there))
    for subject in typical():
        told = ""
        for name, checker in there.items():
            if name == "torch" and sum(a.size for a in subject.inputs) > LARGE:
                told += f"{'too large':>20}"
                continue
            milliseconds, evaluations = cost(checker, subject)
            told += f"{milliseconds:10.2f} {evaluations:9}"
        print(f"{subject.name:32}{told}")


def share(found: Iterable[bool]) -> float:
    every = list(found)
    return sum(every) / max(1, len(every))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checker")
    parser.add_argument("--cases", type=int, default=20_000, help="right ones, of all kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"part of a mutant's description, or one of {', '.join(KINDS)}")
    arguments = parser.parse_args()
    there = checkers()
    print(versions())
    if not any(arguments.only == kind for kind in KINDS):
        print_detection(fates(there, arguments.only), there)
    print_alarms(alarms(there, arguments.cases, arguments.seed, arguments.only))
    if not arguments.only:
        print_hidden(there)
        print_costs(there)


if __name__ == "__main__":
    main()
