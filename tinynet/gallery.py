"""The gallery: ready-to-open workbooks with an illustrated index, rebuilt by ``tinynet gallery``."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl

from tinynet import models
from tinynet.run import Run
from tinynet.workbook import Written, write
from tinynet.workbook.book import cell_name
from tinynet.workbook.layout import FIRST_SLOT
from tinynet.workbook.network import CONTROL_ROW

DPI = 64


@dataclass(frozen=True)
class Exhibit:
    """One workbook: how its run is made, what to say of it, and the step that its picture shows."""

    name: str
    title: str
    make: Callable[[], Run]
    text: str
    step: int


EXHIBITS = [
    Exhibit(
        "mlp",
        "MLP",
        models.mlp,
        "A multilayer perceptron reads three handwritten digits of 4×4 pixels: the digits in grey beside their "
        "numbers, the weights on the rows of the units they feed, softmax and loss, and the way back.",
        2,
    ),
    Exhibit(
        "rnn",
        "Vanilla RNN",
        models.rnn,
        "An Elman network reads four years of hare and lynx and says what the lynx will do: time to the right, and "
        "backpropagation through time in the same columns, right to left.",
        4,
    ),
    Exhibit(
        "lstm",
        "LSTM",
        models.lstm,
        "The same years in a long short-term memory: every gate, the cell state, and in the backward pass what "
        "each state receives from its own step and from the next.",
        8,
    ),
    Exhibit(
        "gru",
        "GRU",
        models.gru,
        "The same years in a gated recurrent unit, in PyTorch's form: the reset gate acts on what the candidate takes "
        "from the state.",
        8,
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
        out += [
            "",
            f"## [{exhibit.title}]({exhibit.name}.xlsx)",
            "",
            exhibit.text,
            "",
            f"{book.formula_cells} formula cells. Made by `tinynet export {exhibit.name}`.",
            "",
            f"| forward, at step {exhibit.step} | backward |",
            "| --- | --- |",
            f"| ![forward](pictures/{exhibit.name}-forward.png) | ![backward](pictures/{exhibit.name}-backward.png) |",
        ]
    return "\n".join(out) + "\n"


def _pictures(folder: Path, exhibit: Exhibit) -> Iterator[str]:
    """Print the network sheet and keep its first pages: the forward pass at one step, the backward pass."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        pages = {"forward": (exhibit.step, 0), "backward": (0, 1)}
        for kind, (step, page) in pages.items():
            pdf = _printed(folder / f"{exhibit.name}.xlsx", step, scratch)
            target = pictures / f"{exhibit.name}-{kind}"
            number = str(_network_pages(pdf)[page])
            _call(
                "pdftoppm",
                "-r",
                str(DPI),
                "-png",
                "-singlefile",
                "-f",
                number,
                "-l",
                number,
                str(pdf),
                str(target),
            )
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


def _network_pages(pdf: Path) -> list[int]:
    """The pages whose footer says that they show the network."""
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], check=True, capture_output=True, text=True).stdout
    pages = text.split("\f")
    return [i + 1 for i, page in enumerate(pages) if re.search(r"· (Network|Update \d+)\s", page)]


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=300)
