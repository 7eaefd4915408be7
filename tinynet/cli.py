"""The ``tinynet`` command. Exit codes: 0 fine, 1 a difference or failure, 2 bad usage or input."""

from __future__ import annotations

import argparse
import inspect
import math
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinynet import __version__, models, workbook
from tinynet.from_script import run_script
from tinynet.from_torch import run_saved
from tinynet.models.common import OPTIMIZERS
from tinynet.models.convolutional import FILTERS
from tinynet.nn.state import read_state
from tinynet.run import Run
from tinynet.workbook.budget import BUDGET

MODELS: dict[str, Callable[..., Run]] = {
    "mlp": models.mlp,
    "cnn": models.cnn,
    "rnn": models.rnn,
    "lstm": models.lstm,
    "gru": models.gru,
}
TITLES = {"mlp": "MLP", "cnn": "Convolutional net", "rnn": "Vanilla RNN", "lstm": "LSTM", "gru": "GRU"}


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
    run, title, stem = _record(arguments)
    path = Path(arguments.output) if arguments.output else Path(f"{stem}.xlsx")
    options = arguments.max_cells, arguments.values_beyond
    _report(workbook.write(run, path, arguments.detail, title, *options, tell=lambda text: print(f"writing {text}")))
    return 0


def recorded(argv: Sequence[str]) -> Run:
    """Return the run that a command line would write. Raises UsageError or ValueError for one that cannot be."""
    return _record(_parser().parse_args(argv))[0]


def _record(arguments: argparse.Namespace) -> tuple[Run, str, str]:
    """Record what the arguments of ``export`` ask for; its title and the name of the workbook."""
    every = set().union(*map(_options, MODELS))
    given = {name: value for name, value in vars(arguments).items() if name in every and value is not None}
    _no_stray_options(arguments, given)
    if arguments.from_torch is not None:
        return _from_torch(arguments)
    if arguments.arrays is not None and ":" not in arguments.model:
        raise UsageError("--arrays is for path/to/script.py:function: leave it out")
    if arguments.model in MODELS:
        _check(arguments.model, given)
        return MODELS[arguments.model](**given), TITLES[arguments.model], arguments.model
    if ":" not in arguments.model:
        raise UsageError(
            f"no model is called {arguments.model!r}: expected {', '.join(MODELS)}, or path/to/script.py:function"
        )
    if given:
        raise UsageError(f"{_flag(next(iter(given)))} is for the built-in models: set it in {arguments.model}")
    arrays = None if arguments.arrays is None else read_state(Path(arguments.arrays))
    run, stem = run_script(arguments.model, arrays)
    return run, stem, stem


def _options(model: str) -> set[str]:
    """The options that mean something for a model: what its function takes."""
    taken = set(inspect.signature(MODELS[model]).parameters)
    if "options" in taken:
        taken |= set(inspect.signature(models.recurrent).parameters)
    return taken - {"options", "kind", "variant"}


def _check(model: str, given: dict[str, Any]) -> None:
    if isinstance(given.get("kernel"), str):
        stray = next((name for name in given if name not in ("kernel", "image")), None)
        if stray is not None:
            raise UsageError(f"{_flag(stray)} has no meaning for --kernel {given['kernel']}: leave it out")
    for name, value in given.items():
        if name not in _options(model):
            raise UsageError(f"{_flag(name)} has no meaning for {model}: leave it out")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            least = 0 if name in ("seed", "lr", "dropout", "forget_bias", "cell_clip", "image") else 1
            if not least <= value < math.inf:
                raise UsageError(f"{_flag(name)} is {value}, expected at least {least}")


def _flag(name: str) -> str:
    return "--no-bias" if name == "bias" else "--" + name.replace("_", "-")


def _numbers(text: str) -> list[int]:
    """``4,2,3`` as a list."""
    if not all(part.strip().isdigit() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers: expected such as 4,2")
    return [int(part) for part in text.split(",")]


def _kernel(text: str) -> int | str:
    """A size, or the name of a filter."""
    return int(text) if text.lstrip("-").isdigit() else text


def _steps_back(text: str) -> tuple[int, int]:
    """``k`` or ``k1,k2``."""
    numbers = _numbers(text)
    if len(numbers) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers: expected k or k1,k2")
    return numbers[0], numbers[-1]


def _no_stray_options(arguments: argparse.Namespace, given: dict[str, Any]) -> None:
    """MODEL or --from-torch, not both, and no option of the one with the other."""
    its_own = [name for name in ("input", "target", "batch_first") if getattr(arguments, name)]
    strange = [name for name in given if name != "nonlinearity"]
    if arguments.from_torch is None:
        if arguments.model is None:
            raise UsageError("a MODEL is required, or --from-torch FILE --input X.npy")
        if its_own:
            raise UsageError(f"{_flag(its_own[0])} is for --from-torch: leave it out")
    elif arguments.model is not None:
        raise UsageError(f"--from-torch takes the place of a model: leave {arguments.model!r} out")
    elif strange:
        raise UsageError(f"{_flag(strange[0])} is for the built-in models: the weights say it all")
    elif arguments.input is None:
        raise UsageError("--from-torch needs an input to run the net on: --input X.npy, shape (T, N, inputs)")


def _from_torch(arguments: argparse.Namespace) -> tuple[Run, str, str]:
    """Record the net of a state dict; its title and the name of the workbook."""
    target = None if arguments.target is None else _array(arguments.target)
    nonlinearity = arguments.nonlinearity or "tanh"
    file = Path(arguments.from_torch)
    try:
        state = read_state(file)
    except ImportError as error:
        raise UsageError(str(error)) from error
    try:
        run = run_saved(state, _array(arguments.input), target, arguments.batch_first, nonlinearity)
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error
    return run, f"{run.description.partition(',')[0]} from PyTorch", file.stem


def _array(file: str) -> np.ndarray:
    try:
        with open(file, "rb") as opened:
            return np.lib.format.read_array(opened, allow_pickle=False)
    except ValueError as error:
        raise UsageError(f"{file} is not an .npy file of numbers: expected what numpy.save writes") from error


def _report(written: workbook.Written) -> None:
    loss = "" if written.loss is None else f" · loss {written.loss:.6g}"
    print(f"{written.path}: {written.formula_cells:,} formula cells · {written.size / 1024:.0f} kB{loss}")
    print(f"sheets: {', '.join(written.sheets)}")
    if written.values_only:
        names = ", ".join(written.values_only[:5]) + (" …" if len(written.values_only) > 5 else "")
        print(f"numbers only, beyond the budget (hatched, they do not recompute): {names}")
    print(f"Open it in any spreadsheet program and start at the sheet {written.sheets[0]!r}.")
    print(f"Check it: tinynet verify {written.path}")


def compare_files(arguments: argparse.Namespace) -> int:
    """``tinynet compare``: the first of somebody's numbers that is wrong, and why."""
    from tinynet.debug.apart import write_other_numbers
    from tinynet.debug.colour import coloured, wanted

    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():  # what your code prints is no JSON
        report = _compared(arguments)
    if arguments.json:
        print(report.to_json())
    else:
        print(coloured(str(report)) if wanted(sys.stdout) else report)
    if arguments.output:
        allowed = max(report.tolerance, 1e-6)
        written = workbook.write_beside(report.run, report.matched.arrays, arguments.output, allowed)
        print(f"{written}: our workbook with your numbers on the sheet Yours", file=sys.stderr)
    if arguments.other and report.diagnosis is not None and report.diagnosis.other is not None:
        numbers = write_other_numbers(report.diagnosis.other, Path(arguments.other))
        print(f"{numbers}: run your code with these numbers, and compare with {arguments.other}", file=sys.stderr)
    elif arguments.other:
        print(f"{arguments.other} is not written: there are no two reasons to tell apart", file=sys.stderr)
    return 0 if report.ok else 1


def _compared(arguments: argparse.Namespace) -> Any:
    """The report on arrays or code, with a workbook or, of code, without one."""
    from tinynet.debug import compare
    from tinynet.debug.own_code import compare_script

    mine: Any = arguments.mine
    mapping = dict(pair.split("=", 1) for pair in arguments.map)
    options = {"explain": arguments.explain, "tolerance": arguments.tolerance, "effort": arguments.effort}
    run = None if arguments.book is None else workbook.load(arguments.book)
    if re.search(r"\.py:[\w.]+$", mine):
        arrays = {} if arguments.arrays is None else read_state(Path(arguments.arrays))
        return compare_script(mine, arrays, run, mapping, **options)
    if run is None:
        raise UsageError("a BOOK is required to compare arrays with; only path/to/script.py:function goes without one")
    if arguments.arrays is not None:
        raise UsageError("--arrays is for path/to/script.py:function: leave it out")
    if Path(mine).suffix.lower() == ".xlsx":
        mine = workbook.read_yours_whole(mine)
        if not mine:
            raise UsageError(f"nothing whole was pasted into the sheet Yours of {arguments.mine}")
    return compare(run, mine, mapping, **options)


def _pair(text: str) -> str:
    """``mine=ours``."""
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no pair: expected MINE=OURS, such as Whx=weight_ih_l0")
    return text


def verify_file(arguments: argparse.Namespace) -> int:
    """``tinynet verify``: recompute a workbook and compare every cell."""
    result = workbook.verify(arguments.file)
    wrong_cells = len({(d.sheet, d.address) for d in result.differences})
    if result.note:
        print(result.note)
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
    book = workbook.read_book(arguments.file).book
    rows = [("name", "shape", "kind", "sheet", "range")]
    for entry in book.entries:
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
    make.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="mlp, cnn, rnn, lstm, gru, or path/to/script.py:function, which returns a Run, or is plain NumPy code "
        "(--arrays); left out with --from-torch",
    )
    make.add_argument("-o", "--output", metavar="FILE", help="the workbook to write (default: MODEL.xlsx)")
    make.add_argument("--inputs", type=int, help="mlp: 64, 16 or 4 pixels; otherwise 2 (hare, lynx) or 1 (lynx)")
    make.add_argument("--hidden", type=int, help="units of a hidden layer")
    make.add_argument("--steps", type=int, help="time steps of a recurrent net")
    make.add_argument("--batch", type=int, help="samples")
    make.add_argument("--layers", type=int, help="hidden or recurrent layers")
    make.add_argument("--seed", type=int, help="of the initial weights")
    make.add_argument("--lr", type=float, help="learning rate")
    make.add_argument("--updates", type=int, help="rounds of forward, backward and update, a sheet each")
    make.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help="of the update (default: sgd)")
    maps = make.add_argument_group("the convolutional net")
    maps.add_argument("--kernel", type=_kernel, help=f"size of the kernels, or one of {', '.join(FILTERS)}")
    maps.add_argument("--channels", type=_numbers, metavar="4,8", help="how many maps each layer makes")
    maps.add_argument("--image", type=int, metavar="I", help="digit number I of 1,797")
    variants = make.add_argument_group("variants of the recurrent nets")
    variants.add_argument("--bidirectional", action="store_true", default=None, help="a second net reads from the end")
    variants.add_argument("--no-bias", dest="bias", action="store_false", default=None)
    variants.add_argument("--dropout", type=float, help="share that is zeroed between layers; the mask is cells")
    variants.add_argument("--lengths", type=_numbers, metavar="4,2", help="where each sequence of the batch ends")
    variants.add_argument("--truncate", type=_steps_back, metavar="K1[,K2]", help="truncated backpropagation")
    variants.add_argument("--loss", choices=("mean", "sum", "last"), help="over the steps (default: mean)")
    variants.add_argument("--nonlinearity", choices=("tanh", "relu"), help="rnn")
    variants.add_argument("--reset-before", action="store_true", default=None, help="gru: before the recurrent product")
    variants.add_argument("--peepholes", action="store_true", default=None, help="lstm: gates see the cell state")
    variants.add_argument("--coupled-gates", action="store_true", default=None, help="lstm: f = 1 − i")
    variants.add_argument("--cell-clip", type=float, help="lstm: c stays within ± this")
    variants.add_argument("--forget-bias", type=float, help="lstm: what b_if starts with")
    variants.add_argument("--proj-size", type=int, help="lstm: size of a projection of h")
    make.add_argument("--max-cells", type=int, default=BUDGET, help="formula cells at most (default: %(default)s)")
    make.add_argument(
        "--values-beyond", action="store_true", help="write what is beyond --max-cells as numbers only, hatched"
    )
    make.add_argument("--detail", choices=("names", "ops"), default="names", help="ops: cells for every operation")
    script = make.add_argument_group("plain NumPy code")
    script.add_argument("--arrays", metavar="FILE", help="what the function is called with, by name (.npz)")
    saved = make.add_argument_group("from saved weights")
    saved.add_argument(
        "--from-torch",
        metavar="FILE",
        help="a state dict (.safetensors, .npz, .pt, .pth) of an RNN, LSTM or GRU, perhaps with a linear head",
    )
    saved.add_argument("--input", metavar="X.npy", help="what to run it on: (T, N, inputs)")
    saved.add_argument("--target", metavar="Y.npy", help="integer classes, of every step (T, N) or of the last (N,)")
    saved.add_argument("--batch-first", action="store_true", help="X is (N, T, inputs), Y (N, T) or (N,)")
    check = command("verify", verify_file, "recompute a workbook in NumPy and compare every cell and formula")
    check.add_argument("file", metavar="FILE")
    beside = command(
        "compare", compare_files, "the first of your numbers that is wrong, and why; exit code 1 unless all agree"
    )
    beside.add_argument(
        "mine",
        metavar="MINE",
        help="your arrays: .npz, .npy, .safetensors, or a workbook's sheet Yours; or your code, "
        "path/to/script.py:function or path/to/script.py:object.method, whose variables are compared",
    )
    beside.add_argument(
        "book",
        metavar="BOOK",
        nargs="?",
        help="the workbook of tinynet to compare with; without it, the gradients that your code computes are compared "
        "with those that its own forward pass should have",
    )
    beside.add_argument("--arrays", metavar="FILE", help="what the function is called with, by name (.npz)")
    beside.add_argument(
        "--map",
        type=_pair,
        action="append",
        default=[],
        metavar="MINE=OURS",
        help="what a name of yours means; once for each",
    )
    beside.add_argument("--no-explain", dest="explain", action="store_false", help="do not look for the reason")
    beside.add_argument("--effort", type=float, default=1.0, help="how much the search may compute (1: about 20 s)")
    beside.add_argument("--tolerance", type=float, help="share of a quantity's largest number (default: by dtype)")
    beside.add_argument("--json", action="store_true", help="the report as JSON")
    beside.add_argument("-o", "--output", metavar="FILE", help="a workbook with your numbers beside ours")
    beside.add_argument("--other", metavar="FILE", help="where several reasons fit: a workbook on which they differ")
    listing = command("info", info, "list every named block of a workbook: shape, sheet and range")
    listing.add_argument("file", metavar="FILE")
    shelf = command("gallery", gallery, "rebuild the ready-made workbooks and their illustrated index")
    shelf.add_argument("folder", metavar="FOLDER", nargs="?", default="sheets")
    return parser


if __name__ == "__main__":
    sys.exit(main())
