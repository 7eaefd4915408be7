"""The ``tinynet`` command. Exit codes: 0 fine, 1 a difference or failure, 2 bad usage or input."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tinynet import __version__, models
from tinynet.run import Run
from tinynet.workbook import Written, load, verify, write

MODELS: dict[str, Callable[..., Run]] = {"mlp": models.mlp, "rnn": models.rnn, "lstm": models.lstm}
TITLES = {"mlp": "MLP", "rnn": "Vanilla RNN", "lstm": "LSTM"}
OPTIONS = {
    "mlp": ("inputs", "hidden", "batch", "layers", "seed", "lr", "updates"),
    "rnn": ("inputs", "hidden", "steps", "batch", "layers", "seed", "lr", "updates"),
    "lstm": ("inputs", "hidden", "steps", "batch", "layers", "seed", "lr", "updates"),
}


class UsageError(Exception):
    """What the user typed cannot be done; the message says what to type."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
        return 0
    except (UsageError, ValueError, OSError) as error:
        message = (
            str(error)
            if not isinstance(error, OSError) or not error.strerror
            else f"{error.strerror}: {error.filename}"
        )
        print(f"tinynet: {message}", file=sys.stderr)
        return 2


def export(arguments: argparse.Namespace) -> int:
    """``tinynet export``: record a model and write its workbook."""
    given = {name: getattr(arguments, name) for name in OPTIONS["lstm"] if getattr(arguments, name) is not None}
    if arguments.model in MODELS:
        unknown = [name for name in given if name not in OPTIONS[arguments.model]]
        if unknown:
            raise UsageError(f"--{unknown[0]} has no meaning for {arguments.model}: leave it out")
        for name, number in given.items():
            least = {"seed": 0, "lr": 0}.get(name, 1)
            if not least <= number < math.inf:
                raise UsageError(f"--{name} is {number}, expected at least {least}")
        run, title, stem = MODELS[arguments.model](**given), TITLES[arguments.model], arguments.model
    elif ":" in arguments.model:
        if given:
            raise UsageError(f"--{next(iter(given))} is for the built-in models: set it in {arguments.model}")
        run, stem = _from_script(arguments.model)
        title = stem
    else:
        raise UsageError(
            f"no model is called {arguments.model!r}: expected {', '.join(MODELS)}, or path/to/script.py:function"
        )
    path = Path(arguments.output) if arguments.output else Path(f"{stem}.xlsx")
    _report(write(run, path, detail=arguments.detail, title=title))
    return 0


def _report(written: Written) -> None:
    loss = "" if written.loss is None else f" · loss {written.loss:.6g}"
    print(f"{written.path}: {written.formula_cells:,} formula cells · {written.size / 1024:.0f} kB{loss}")
    print(f"sheets: {', '.join(written.sheets)}")
    print(f"Open it in any spreadsheet program and start at the sheet {written.sheets[0]!r}.")
    print(f"Check it: tinynet verify {written.path}")


def verify_file(arguments: argparse.Namespace) -> int:
    """``tinynet verify``: recompute a workbook and compare every cell."""
    result = verify(arguments.file)
    wrong_cells = len({(d.sheet, d.address) for d in result.differences})
    edited = f"; {len(result.edited)} typed-in cells were edited since it was made" if result.edited else ""
    if result.ok:
        worst = f"the worst by {result.worst:.1e} at {result.worst_at}" if result.worst else "to the last digit"
        print(f"{arguments.file}: all {result.cells:,} formula cells agree with NumPy, {worst}{edited}")
        return 0
    print(f"{arguments.file}: {wrong_cells:,} cells differ ({result.cells:,} formula cells compared){edited}")
    print(f"first: {result.differences[0]}")
    for difference in result.differences[1:5]:
        print(f"  also {difference}")
    if len(result.differences) > 5:
        print(f"  … and {len(result.differences) - 5:,} more differences")
    return 1


def info(arguments: argparse.Namespace) -> int:
    """``tinynet info``: every named block, its shape, sheet and range."""
    book = load(arguments.file).book
    rows = [("name", "shape", "kind", "sheet", "range")]
    for entry in book.entries():
        shape = "×".join(map(str, entry.shape)) or "1"
        rows.append((entry.name, shape, entry.kind, entry.area.sheet.name, book.range(entry.area).rpartition("!")[2]))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def gallery(arguments: argparse.Namespace) -> int:
    """``tinynet gallery``: rebuild the workbooks of ``sheets/`` and their index."""
    from tinynet.gallery import build

    for line in build(Path(arguments.folder)):
        print(line)
    return 0


def _from_script(reference: str) -> tuple[Run, str]:
    """Import ``path/to/script.py:function`` and call it. Raises UsageError if it is not there or returns no Run."""
    file, _, function = reference.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no script {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python script: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
        make = getattr(module, function, None)
        if not callable(make):
            functions = [n for n, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == path.stem]
            raise UsageError(f"{file} has no function {function!r}; it has {', '.join(functions) or 'none'}")
        run = make()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{reference} failed: {type(error).__name__}: {error}") from error
    if not isinstance(run, Run):
        raise UsageError(f"{reference} returned {type(run).__name__}, expected the Run of a tn.record() block")
    return run, path.stem


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One clear line, exit code 2."""
        print(f"tinynet: {message} (see tinynet --help)", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="tinynet", description="Neural networks you can see into: workbooks of live formulas.")
    parser.add_argument("--version", action="version", version=f"tinynet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, action: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=action)
        return sub

    make = command("export", export, "write a network as a workbook, forward, backward and update")
    make.add_argument("model", metavar="MODEL", help="mlp, rnn, lstm, or path/to/script.py:function returning a Run")
    make.add_argument("-o", "--output", metavar="FILE", help="the workbook to write (default: MODEL.xlsx)")
    make.add_argument("--inputs", type=int, help="mlp: 64, 16 or 4 pixels; rnn, lstm: 2 (hare, lynx) or 1 (lynx)")
    make.add_argument("--hidden", type=int, help="units of a hidden layer")
    make.add_argument("--steps", type=int, help="time steps (rnn, lstm)")
    make.add_argument("--batch", type=int, help="samples")
    make.add_argument("--layers", type=int, help="hidden or recurrent layers")
    make.add_argument("--seed", type=int, help="of the initial weights")
    make.add_argument("--lr", type=float, help="learning rate")
    make.add_argument("--updates", type=int, help="rounds of forward, backward and update, a sheet each")
    make.add_argument("--detail", choices=("names", "ops"), default="names", help="ops: cells for every operation")
    check = command("verify", verify_file, "recompute a workbook in NumPy and compare every cell and formula")
    check.add_argument("file", metavar="FILE")
    listing = command("info", info, "list every named block of a workbook: shape, sheet and range")
    listing.add_argument("file", metavar="FILE")
    shelf = command("gallery", gallery, "rebuild the ready-made workbooks and their illustrated index")
    shelf.add_argument("folder", metavar="FOLDER", nargs="?", default="sheets")
    return parser


if __name__ == "__main__":
    sys.exit(main())
