"""Compare: which of somebody's numbers is the first that is wrong, although everything it is computed from is right?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tinynet.debug.arrays import read
from tinynet.debug.comparison import Comparison
from tinynet.debug.names import Matched, match
from tinynet.debug.program import Program
from tinynet.debug.search import Diagnosis, Search
from tinynet.run import Run, Value
from tinynet.workbook.book import Book
from tinynet.workbook.stepping import PER_MOMENT

# Of the largest number of a quantity: rounding over some fifty steps stays below, every bug that was met lies above.
TOLERANCES = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2}
OF_ALL = (
    "everywhere, ",
    "in the forward pass, ",
    "the ",
    "no ",
)  # how a sentence begins that is not about one quantity
MOST_NAMES = 12  # of variables that were not compared
MOST_CELLS = 20_000  # of a run whose cells are looked up


@dataclass(frozen=True)
class Difference:
    """The first number that is wrong: where it stands, ours and theirs, and what computes it."""

    name: str
    yours_is: str
    step: int | None
    time: int | None
    element: tuple[int, ...]
    ours: float
    yours: float
    error: float
    allowed: float
    equation: str = ""
    cell: str = ""


@dataclass(frozen=True)
class Report:
    """What a comparison found. ``print`` it, ask ``report.ok``, or take it as ``report.to_json()``."""

    compared: int
    tolerance: float
    dtype: str
    first: Difference | None
    differing: dict[str, int]  # quantity → values that differ
    matched: Matched = field(repr=False)
    run: Run = field(repr=False)
    diagnosis: Diagnosis | None = None
    behind_ends: bool = False  # whether all that differs lies behind the ends of sequences
    leaves_others: bool = False  # whether arrays that are none of ours need not be compared
    gradients: tuple[str, ...] = ()  # parameters whose gradients were compared, if that is what was asked for
    missing: tuple[str, ...] = ()  # those whose gradients were not
    data: tuple[str, ...] = ()  # arrays that have no gradient and were not taken for parameters

    @property
    def ok(self) -> bool:
        """Whether every array was compared, and agrees."""
        complete = not self.missing if self.leaves_others else not self.matched.unmatched
        return self.first is None and self.compared > 0 and complete

    def to_json(self) -> str:
        """The report as JSON text."""
        found = {
            "ok": self.ok,
            "compared": self.compared,
            "tolerance": self.tolerance,
            "dtype": self.dtype,
            "first": None if self.first is None else {k: _finite(x) for k, x in asdict(self.first).items()},
            "differing": self.differing,
            "missing": list(self.missing),
            "data": list(self.data),
            "behind_ends": self.behind_ends,
            "unmatched": [
                {"name": u.name, "shape": list(u.shape), "guesses": list(u.guesses)} for u in self.matched.unmatched
            ],
            "explanations": [],
        }
        if self.diagnosis is not None:
            found["explanations"] = [
                {"sentences": [in_words(s) for s in e.sentences], "explained": e.explained, "alike": list(e.alike)}
                for e in self.diagnosis.explanations
            ]
            found["hypotheses"] = {"tried": self.diagnosis.tried, "complete": self.diagnosis.complete}
        return json.dumps(found, ensure_ascii=False, indent=2)

    def __str__(self) -> str:
        lines = [
            f"compared {self.compared} values, tolerance {self.tolerance:.0e} of each quantity's largest number "
            f"({self.dtype})"
        ]
        lines += _said_first(self)
        if self.diagnosis is not None and self.first is not None:
            lines += _said_why(self.diagnosis)
        if self.leaves_others:
            return "\n".join([*lines, *_said_others(self)])
        if self.matched.unmatched and not self._has_parameters():
            lines.append("bring your weights too, under your names: what they are says what their gradients are")
        for item in self.matched.unmatched:
            near = f": nearest {'; '.join(item.guesses)}" if item.guesses else ""
            lines.append(f"not matched  {item.name} {tuple(item.shape)}{near}  (say which: --map {item.name}=OURS)")
        return "\n".join(lines)

    def _has_parameters(self) -> bool:
        """Whether a parameter is among what was brought."""
        return any(self.run.values[i].kind == "parameter" for i in self.matched.arrays)


def compare(
    run: Run,
    mine: Any,
    mapping: Mapping[str, str] | None = None,
    explain: bool = True,
    tolerance: float | None = None,
    effort: float = 1.0,
) -> Report:
    """Compare arrays with a run, in the order of execution; see ``Report``.

    ``mine`` is a mapping of arrays (NumPy, PyTorch, CuPy, lists), or the path of a file of them; whole sequences
    (T, N, H) or (N, T, H), or single steps. ``mapping`` says what names mean that cannot be guessed. ``tolerance`` is a
    share of the largest number of a quantity; by default it follows the least precise dtype that came in. With
    ``explain``, what differs is explained by a search, whose limit is ``effort``: how much it may compute, where 1 is
    about 20 s. It is no time, so that the answer is the same on every machine; see ``tinynet.debug.search``.
    Raises ValueError where nothing can be compared.
    """
    return compared(run, match(run, read(mine), mapping), explain, tolerance, effort)


def compared(
    run: Run,
    matched: Matched,
    explain: bool = True,
    tolerance: float | None = None,
    effort: float = 1.0,
    leaves_others: bool = False,
) -> Report:
    """As ``compare``, of arrays in our places; the others may be let be: the report is ``ok`` where the rest agrees."""
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance is {tolerance}, expected a share of a quantity's largest number, such as 1e-6")
    if not matched.arrays:
        names = ", ".join(item.name for item in matched.unmatched) or "nothing"
        raise ValueError(f"none of your arrays could be matched ({names}): name them after ours, or map them")
    if not effort >= 0:
        raise ValueError(f"effort is {effort}, expected a number from 0: 10 lets the search compute ten times as much")
    exact, dtype = run.astype(np.float64), str(matched.dtype)
    allowed = _allowed(matched, tolerance)
    beside = Comparison(Program(exact), matched.arrays, allowed)
    wrong = beside.wrong()
    if not wrong:
        return Report(len(matched.arrays), allowed, dtype, None, {}, matched, exact, None, False, leaves_others)
    differing = Counter(str(exact.values[i].quantity) for i in wrong)
    first = _first(exact, beside, matched, wrong[0])
    diagnosis = Search(beside, effort).run() if explain else None
    beyond = beside.behind_ends(wrong)
    count = len(matched.arrays)
    return Report(count, allowed, dtype, first, dict(differing), matched, exact, diagnosis, beyond, leaves_others)


def laid_beside(program: Program, matched: Matched, tolerance: float | None = None) -> Comparison:
    """Somebody's numbers beside our values, in float64."""
    return Comparison(program, matched.arrays, _allowed(matched, tolerance))


def wrong_values(program: Program, matched: Matched, tolerance: float | None = None) -> set[int]:
    """The indexes of our values, in float64, from which somebody's numbers differ."""
    return set(laid_beside(program, matched, tolerance).wrong())


def _allowed(matched: Matched, tolerance: float | None) -> float:
    return TOLERANCES.get(str(matched.dtype), TOLERANCES["float16"]) if tolerance is None else tolerance


def _first(run: Run, beside: Comparison, matched: Matched, index: int) -> Difference:
    ours, yours = (np.asarray(numbers[index], float) for numbers in (beside.program.arrays, beside.mine))
    with np.errstate(all="ignore"):
        distance = np.where(np.isfinite(ours - yours), np.abs(ours - yours), np.inf)
    bad = distance > beside.allowed[index]
    place = np.unravel_index(int(np.argmax(bad)), ours.shape) if ours.shape else ()
    value = run.values[index]
    equation, cell, step = _in_the_workbook(run, value, place)
    return Difference(
        str(value.name),
        matched.sources.get(index, str(value.name)),
        step,
        value.time,
        tuple(int(k) for k in place),
        float(ours[place]),
        float(yours[place]),
        float(distance[place]),
        beside.allowed[index],
        equation,
        cell,
    )


def _in_the_workbook(run: Run, value: Value, place: tuple) -> tuple[str, str, int | None]:
    """The equation of a number, its cell, and the step of the step control that computes it."""
    try:
        book = Book(run, "names", "", MOST_CELLS)
    except ValueError:  # too large, or not finite: it has no workbook
        return "", "", None
    ids = book.plan.ids_of(value.index)
    if ids is None:
        return "", "", None
    cell = int(ids[place])
    block = book.plan.blocks[book.layout.families.owner[cell]]
    equation = book.words.equation(block) if block.expression is not None else ""
    sheet = book.sheets[int(book.layout.sheet[cell])].name
    moment = int(book.moments.mark[cell]) // PER_MOMENT
    return equation, f"{sheet}!{book.addresses.text[cell]}", moment if moment > 0 else None


def _finite(x: Any) -> Any:
    """JSON has no NaN and no infinity: they are written as text."""
    return str(x) if isinstance(x, float) and not np.isfinite(x) else x


def in_words(sentence: str) -> str:
    """``dz: tanh(h) is used where h belongs`` → ``in your dz, tanh(h) is used where h belongs``."""
    head, colon, rest = sentence.partition(": ")
    if colon and len(head) < 60:
        return f"in {head}, {rest}" if head.startswith("the ") else f"in your {head}, {rest}"
    return sentence if sentence.startswith(OF_ALL) or sentence[0].isdigit() else f"your {sentence}"


def _said_first(report: Report) -> list[str]:
    unmatched = [item.name for item in report.matched.unmatched]
    if report.first is None and report.missing:
        return [f"those compared agree; NOT COMPARED: the gradient of {', of '.join(report.missing)}"]
    if report.first is None and report.gradients:
        return [f"all of them agree, also the gradients of {', '.join(report.gradients)}"]
    if report.first is None and unmatched and not report.leaves_others:
        count = len(unmatched) + len(report.matched.layouts)
        return [f"those compared agree; NOT COMPARED: {len(unmatched)} of your {count} arrays ({', '.join(unmatched)})"]
    if report.first is None:
        return ["all of them agree"]
    d = report.first
    where = f"{list(d.element)}" if d.element else ""
    step = f", step {d.step}" if d.step is not None else ""
    out = [
        f"FIRST DIFFERENCE  {d.name}{where}   (your {d.yours_is}{step})",
        f"   ours   {d.ours:.9g}",
        f"   yours  {d.yours:.9g}   they differ by {d.error:.2g}, allowed is {d.allowed:.1g}",
    ]
    if d.equation:
        out.append(f"   formula  {d.equation}")
    if d.cell:
        out.append(f"   cell     {d.cell}")
    total = sum(report.differing.values())
    if total > 1:
        rest = ", ".join(f"{name} ×{count}" for name, count in list(report.differing.items())[:8])
        more = f", … ({len(report.differing)} quantities)" if len(report.differing) > 8 else ""
        out.append(f"   {total - 1} more values differ after it: {rest}{more}")
    if report.behind_ends:
        out.append("   all of it lies behind the end of a sequence: it matters to those only who read a state there")
    return out


def _said_others(report: Report) -> list[str]:
    """What was not compared of the variables of somebody's code."""
    out, names = [], [item.name for item in report.matched.unmatched]
    if report.first is not None and report.missing:
        out.append(f"NOT COMPARED: the gradient of {', of '.join(report.missing)}")
    if names:
        more = f", … ({len(names)} variables)" if len(names) > MOST_NAMES else ""
        out.append(f"not compared: {', '.join(names[:MOST_NAMES])}{more}  (say what they are: --map MINE=OURS)")
    if report.data:
        out.append(f"taken for data, as there is no gradient of it: {', '.join(report.data)}")
    return out


def _said_why(diagnosis: Diagnosis) -> list[str]:
    tried = f"{diagnosis.tried:,} hypotheses tried in {diagnosis.seconds:.1f} s"
    if not diagnosis.explanations:
        end = "" if diagnosis.complete else "; it stopped before all were tried, --effort 10 goes on"
        return [f"WHY  no edit of the computation that was tried reproduces your numbers ({tried}{end})"]
    out: list[str] = []
    for n, explanation in enumerate(diagnosis.explanations):
        head = "WHY " if n == 0 else "  or"
        for k, sentence in enumerate(explanation.sentences):
            out.append(f"{head if k == 0 else ' and'}  {in_words(sentence)}")
    count = diagnosis.explanations[0].explained
    differ = "the one value that differs" if count == 1 else f"the {count} values that differ"
    out.append(f"     this reproduces every number you brought, {differ} too ({tried})")
    if len(diagnosis.explanations) > 1:
        out.append(
            "     these data cannot tell them apart, others can: --other other.xlsx writes some (or bring 3 steps "
            "or more, 2 samples or more, sizes that all differ, and initial states and biases that are not 0)"
        )
    return out
