"""The gallery: ready-to-open workbooks with an illustrated index, rebuilt by ``tinynet gallery``."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl

from tinynet import cli
from tinynet.run import Run
from tinynet.workbook import Written, write
from tinynet.workbook.book import cell_name
from tinynet.workbook.colours import CONTROL_ROW
from tinynet.workbook.sheet import FIRST_SLOT

DPI = 64


@dataclass(frozen=True)
class View:
    """A picture: what is said above it, the sheet, which of its printed pages, and the step it stands at."""

    label: str
    sheet: str = "Network"
    page: int = 0
    step: int = 0


@dataclass(frozen=True)
class Exhibit:
    """One workbook: its name, its title, the command line that makes it, what to say of it, and its two pictures."""

    name: str
    title: str
    command: str
    text: str
    views: tuple[View, View]

    def make(self) -> Run:
        """Record what the command would write."""
        return cli.recorded(["export", *self.command.split()])


def _passes(step: int) -> tuple[View, View]:
    return View(f"forward, at step {step}", step=step), View("backward", page=1)


EXHIBITS = [
    Exhibit(
        "mlp",
        "MLP",
        "mlp",
        "A multilayer perceptron reads three handwritten digits of 4×4 pixels: the digits in grey beside their "
        "numbers, the weights on the rows of the units they feed, softmax and loss, and the way back.",
        _passes(2),
    ),
    Exhibit(
        "cnn",
        "Convolutional net",
        "cnn",
        "A small LeNet, trained on handwritten digits: choose one of ten that it has never seen, or draw your own, and "
        "it is read again. A sheet for each layer and one for its way back, every kernel beside the map it makes.",
        (View("a layer, at the step of its pool", "conv1", step=5), View("its way back", "conv2 back")),
    ),
    Exhibit(
        "edges",
        "Edge detection",
        "cnn --kernel edge",
        "One well-known kernel on a photograph of a cup of coffee. Type another kernel, and look again.",
        (View("the picture", page=0), View("the edges", page=1)),
    ),
    Exhibit(
        "rnn",
        "Vanilla RNN",
        "rnn",
        "An Elman network reads four years of hare and lynx and says what the lynx will do: time to the right, and "
        "backpropagation through time in the same columns, right to left.",
        _passes(4),
    ),
    Exhibit(
        "rnn-truncated",
        "RNN, truncated backpropagation",
        "rnn --steps 6 --truncate 2",
        "The same net over six years, its gradient cut (✂) after every second step: what the states before the cut "
        "lose is a hole in the row δh ← t+1.",
        _passes(4),
    ),
    Exhibit(
        "rnn-adam",
        "RNN, updated by Adam",
        "rnn --hidden 2 --optimizer adam --lr 0.05",
        "The same net, whose weights Adam updates (Kingma and Ba, 2015): both moments, what they were before, and "
        "their correction stand in the columns of the weights. Type in β1, β2, ε or the number of the step.",
        (View("backward, at its first step", page=1), View("the update", page=2)),
    ),
    Exhibit(
        "lstm",
        "LSTM",
        "lstm",
        "The same years in a long short-term memory: every gate, the cell state, and in the backward pass what "
        "each state receives from its own step and from the next.",
        _passes(8),
    ),
    Exhibit(
        "lstm-bidirectional",
        "Bidirectional LSTM",
        "lstm --bidirectional --hidden 2",
        "Two LSTMs on the same years, one of which reads from the end; both stand in the same columns.",
        _passes(8),
    ),
    Exhibit(
        "lstm-peepholes",
        "LSTM with peepholes",
        "lstm --peepholes --hidden 2",
        "The gates look at the cell state (Gers and Schmidhuber, 2000): the output gate at the new one.",
        _passes(8),
    ),
    Exhibit(
        "gru",
        "GRU",
        "gru",
        "The same years in a gated recurrent unit, in PyTorch's form: the reset gate acts on what the candidate takes "
        "from the state.",
        _passes(8),
    ),
    Exhibit(
        "gru-lengths",
        "GRU, sequences of different lengths",
        "gru --hidden 2 --batch 2 --lengths 4,2",
        "A batch of two sequences, the second of which ends after two steps: edit its length and see what changes.",
        _passes(8),
    ),
]


def build(folder: Path) -> Iterator[str]:
    """Write all workbooks, their pictures (where LibreOffice and pdftoppm are installed) and README.md.

    Yields a line about each thing written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for exhibit in EXHIBITS:
        path = folder / f"{exhibit.name}.xlsx"
        written[exhibit.name] = write(exhibit.make(), path, title=exhibit.title)
        yield f"{path}: {written[exhibit.name].formula_cells} formula cells"
    missing = [program for program in ("soffice", "pdftoppm", "pdftotext") if shutil.which(program) is None]
    if missing:
        yield f"pictures: left as they are, {missing[0]} is not installed"
    else:
        for exhibit in EXHIBITS:
            yield from _pictures(folder, exhibit)
    (folder / "README.md").write_text(index(written), encoding="utf-8")
    yield f"{folder / 'README.md'}: the index"


def index(written: dict[str, Written]) -> str:
    """The text of the gallery's README."""
    out = [
        "# Gallery",
        "",
        "Ready to open in Excel, LibreOffice or Google Sheets; every number that is computed is a live formula.",
        "Start at the sheet *Read me*, then choose a step in the orange cell of *Network*. Rebuilt by",
        "`tinynet gallery`; checked by `tinynet verify FILE`.",
    ]
    for exhibit in EXHIBITS:
        book = written[exhibit.name]
        labels = [view.label for view in exhibit.views]
        pictures = [f"pictures/{exhibit.name}-{i}.png" for i in (1, 2)]
        out += [
            "",
            f"## [{exhibit.title}]({exhibit.name}.xlsx)",
            "",
            exhibit.text,
            "",
            f"{book.formula_cells} formula cells. Made by `tinynet export {exhibit.command}`.",
            "",
            f"| {' | '.join(view.label for view in exhibit.views)} |",
            "| --- | --- |",
            f"| ![{labels[0]}]({pictures[0]}) | ![{labels[1]}]({pictures[1]}) |",
        ]
    return "\n".join(out) + "\n"


def _pictures(folder: Path, exhibit: Exhibit) -> Iterator[str]:
    """Print the workbook, standing at a step, and keep the page that each view names."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for number, view in enumerate(exhibit.views, start=1):
            pdf = _printed(folder / f"{exhibit.name}.xlsx", view.step, Path(name))
            page = str(_pages(pdf, view.sheet)[view.page])
            target = pictures / f"{exhibit.name}-{number}"
            _call("pdftoppm", "-r", str(DPI), "-png", "-singlefile", "-f", page, "-l", page, str(pdf), str(target))
            yield f"{target}.png"


def _printed(workbook: Path, step: int, scratch: Path) -> Path:
    """Print a copy of the workbook that stands at ``step`` to a PDF."""
    book = openpyxl.load_workbook(workbook)
    book.worksheets[1][cell_name(CONTROL_ROW, FIRST_SLOT)] = step
    copy = scratch / f"step{step}.xlsx"
    book.save(copy)
    profile = f"-env:UserInstallation={(scratch / 'profile').as_uri()}"
    _call("soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(scratch), str(copy))
    return copy.with_suffix(".pdf")


def _pages(pdf: Path, sheet: str) -> list[int]:
    """The pages whose footer names the sheet."""
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], check=True, capture_output=True, text=True).stdout
    return [i for i, page in enumerate(text.split("\f"), start=1) if re.search(rf"· {re.escape(sheet)}\s\s", page)]


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=300)
