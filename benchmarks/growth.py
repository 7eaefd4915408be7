"""``python -m benchmarks.growth``: seconds and peak memory of an LSTM as its units, steps, batch or cells grow.

Each column doubles the one before. The exponent is the slope of a line through the logarithms of the last three: with
1, twice the size takes twice as long. In units it goes towards 2, as the weights are a matrix; in steps, batch and
cells nothing may be above 1.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.chart import Curve, write_charts
from benchmarks.networks import Lstm
from benchmarks.peers.ours import compiled, eager, recorded
from benchmarks.report import print_heading, save
from benchmarks.timing import fastest, peak

BASE = {"inputs": 8, "units": 32, "steps": 20, "batch": 8}
SIZES = {"units": (32, 64, 128, 256), "steps": (160, 320, 640, 1280), "batch": (16, 32, 64, 128)}
STEPS_OF_BOOKS = (20, 40, 80, 160)


class Cost(NamedTuple):
    seconds: float
    bytes: int


class Growth(NamedTuple):
    """One row: what was measured at each size of something."""

    what: str
    along: str
    sizes: list[int]
    seconds: list[float]
    bytes: list[int]

    @property
    def exponents(self) -> tuple[float, float]:
        return exponent(self.sizes, self.seconds), exponent(self.sizes, self.bytes)


def exponent(sizes: Sequence[float], measured: Sequence[float]) -> float:
    return float(np.polyfit(np.log(sizes[-3:]), np.log(measured[-3:]), 1)[0])


def actions(network: Lstm) -> dict[str, Callable[[], Any]]:
    """What is done with a network: a step that was compiled needs no memory but that of its compilation."""
    run = recorded(network)
    return {
        "eager step": eager(network),
        "record a step": lambda: recorded(network),
        "compile": run.compile,
        "compiled step": compiled(network),
    }


def training(along: str, sizes: Sequence[int], seconds: float) -> list[Growth]:
    costs = [costs_of(actions(Lstm(**(BASE | {along: size}))), seconds) for size in sizes]
    return [growth(what, along, sizes, [each[what] for each in costs]) for what in costs[0]]


def costs_of(steps: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Cost]:
    return {what: Cost(fastest(step, seconds), peak(step)) for what, step in steps.items()}


def growth(what: str, along: str, sizes: Sequence[int], costs: Sequence[Cost]) -> Growth:
    return Growth(what, along, list(sizes), [cost.seconds for cost in costs], [cost.bytes for cost in costs])


def writing(steps: Sequence[int], seconds: float) -> Growth:
    """Workbooks of longer and longer sequences, against their formula cells."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lstm.xlsx"
        cells, costs = [], []
        for n in steps:
            run = recorded(Lstm(2, units=4, steps=n, batch=1))
            cells.append(run.to_excel(path).formula_cells)
            costs.append(costs_of({"write": lambda run=run: run.to_excel(path)}, seconds)["write"])
    return growth("to_excel", "cells", cells, costs)


def print_growth(row: Growth) -> None:
    slopes = row.exponents
    print(f"\n{row.what + ', ' + row.along:24}" + "".join(f"{n:12,}" for n in row.sizes) + "    exponent")
    print(f"{'   milliseconds':24}" + "".join(f"{s * 1e3:12,.2f}" for s in row.seconds) + f"{slopes[0]:12.2f}")
    print(
        f"{'   MiB at the peak':24}" + "".join(f"{b / 2**20:12,.2f}" for b in row.bytes) + f"{slopes[1]:12.2f}",
        flush=True,
    )


def curves(rows: Sequence[Growth]) -> list[Curve]:
    return [
        Curve(
            f"LSTM: {row.along}",
            f"{row.what}, exponent {row.exponents[0]:.2f}",
            row.sizes,
            [1e3 * s for s in row.seconds],
        )
        for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("--only", default="", metavar="TEXT", help="only units, steps, batch or cells")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement")
    parser.add_argument("--json", metavar="PATH", help="write the results there, too")
    parser.add_argument("--chart", metavar="PATH", help="and a workbook (.xlsx) with their curves")
    arguments = parser.parse_args()
    print_heading()
    print(f"LSTM, float64: {', '.join(f'{size} {name}' for name, size in BASE.items())}, but for what grows")
    rows = []
    for along in (*SIZES, "cells"):
        if arguments.only in along:
            cells = along == "cells"
            seconds = arguments.seconds
            found = [writing(STEPS_OF_BOOKS, seconds)] if cells else training(along, SIZES[along], seconds)
            rows += found
            for row in found:
                print_growth(row)
    if arguments.chart:
        write_charts(arguments.chart, curves(rows), "milliseconds")
    save(arguments.json, growth=[row._asdict() | {"exponents": row.exponents} for row in rows])


if __name__ == "__main__":
    main()
