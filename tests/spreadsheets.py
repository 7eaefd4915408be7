"""Recalculate a workbook for real, in engines that know nothing of tinynet.

    poison(path, out)           destroy every cached formula value, so that nothing can be merely read back
    libreoffice(path, edits)    LibreOffice's values of all cells, after typing ``edits``
    ironcalc(path)              IronCalc's: a second, independent opinion
    resave(path, out)           what LibreOffice saves
    render(path, out_dir)       pictures of the printed pages
    require("torch")            skip the test, with a reason, where an optional tool is absent

Values come as ``{sheet: {address: value}}``. Numbers and truth values are floats with all their digits; an
error is the text the cell shows, such as ``"#NUM!"`` or ``"Err:502"``; a cell that is blank or shows no text
is left out. The first call of :func:`libreoffice` or :func:`render` starts a headless office (seconds), that of
:func:`resave` another; later ones reuse it.

LibreOffice is driven through UNO, which only the system's Python can import. So this file is also a program:
run by that Python, it starts an office and answers each line of stdin, a request in JSON, by one line on
stdout, until stdin ends.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

Value = float | str
Values = dict[str, dict[str, Value]]

# A formula cell in a worksheet's XML: <c attributes><f>formula</f><v>cached value</v>
_FORMULA_CELL = re.compile(
    rb"<c\b([^>]*)>(\s*<f\b(?:[^>]*/>|[^>]*>.*?</f>)\s*)<v\b(?:[^>]*/>|[^>]*>.*?</v>)", re.DOTALL
)
_TYPE = re.compile(rb'\st="(\w+)"')
_TIMEOUT = 300.0  # seconds; an office that has not answered by then hangs


def require(name: str) -> Any:
    """Skip the calling test unless ``name`` is here: "libreoffice", "pdftoppm" or any importable module.

    Returns the module (None for a program). With ``TINYNET_REQUIRE_ALL=1`` the test fails instead of being
    skipped, so that a continuous-integration run cannot pass by testing nothing.
    """
    import pytest

    if name == "libreoffice":
        present = bool(_soffice() and _uno_python())
        hint = "install LibreOffice Calc and its Python bridge (Debian: libreoffice-calc python3-uno)"
    elif name == "pdftoppm":
        present, hint = bool(shutil.which(name)), "install Poppler's tools (Debian: poppler-utils)"
    else:
        present, hint = importlib.util.find_spec(name) is not None, f"pip install {name}"
        if present:
            return importlib.import_module(name)
    if not present:
        if os.environ.get("TINYNET_REQUIRE_ALL") == "1":
            pytest.fail(f"{name} is missing and TINYNET_REQUIRE_ALL=1: {hint}", pytrace=False)
        pytest.skip(f"needs {name}: {hint}", allow_module_level=True)
    return None


def poison(path: str | Path, out: str | Path) -> int:
    """Copy a workbook with every cached formula value made wrong; return how many there were.

    Numbers, truth values and errors become -12345, texts become "poisoned". Works on the XML itself, so that
    everything else stays as it was written. A formula cell without a cached value is left alone, not counted.
    """
    total = 0

    def spoil(cell: re.Match[bytes]) -> bytes:
        attributes, formula = cell.groups()
        kind = _TYPE.search(attributes)
        if kind and kind[1] == b"str":
            return b"<c%s>%s<v>poisoned</v>" % (attributes, formula)
        return b"<c%s>%s<v>-12345</v>" % (_TYPE.sub(b"", attributes), formula)

    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            content = source.read(item)
            if re.fullmatch(r"xl/worksheets/[^/]+\.xml", item.filename):
                content, count = _FORMULA_CELL.subn(spoil, content)
                total += count
            target.writestr(item, content)
    return total


def libreoffice(path: str | Path, edits: Mapping[tuple[str, str], Value] | None = None) -> Values:
    """Type ``edits``, such as ``{("Net", "C5"): 0.25}``, recalculate everything and read all sheets.

    Hidden sheets are read too. A text is typed as a user would: "=A1" makes a formula.
    The file itself is not changed.
    """
    require("libreoffice")
    typed = [[sheet, address, value] for (sheet, address), value in (edits or {}).items()]
    return _ask({"path": str(Path(path).resolve()), "edits": typed})


def resave(path: str | Path, out: str | Path) -> Path:
    """Open a workbook and save it as .xlsx, with 15 digits; nothing is recalculated that has a cached value."""
    require("libreoffice")
    _ask({"path": str(Path(path).resolve()), "saved": str(Path(out).resolve())}, recalculates=False)
    return Path(out)


def ironcalc(path: str | Path) -> Values:
    """Recalculate everything with IronCalc and read all sheets, hidden ones too."""
    engine = require("ironcalc")
    model = engine.load_from_xlsx(str(path))
    model.evaluate()
    sheets = [sheet["name"] for sheet in model.get_worksheets_properties()]
    values: Values = {name: {} for name in sheets}
    for sheet, row, column in model.get_all_cells():
        value = model.get_cell_value(sheet, row, column)
        if value not in (None, ""):
            address = f"{engine.column_name_from_number(column)}{row}"
            values[sheets[sheet]][address] = value if isinstance(value, str) else float(value)
    return values


def render(path: str | Path, out_dir: str | Path, dpi: int = 70) -> list[Path]:
    """Print a workbook with LibreOffice and return one PNG a page, in order."""
    require("libreoffice"), require("pdftoppm")
    out = Path(out_dir).resolve()
    out.mkdir(parents=True, exist_ok=True)
    stem = Path(path).stem
    with tempfile.TemporaryDirectory() as folder:
        pdf = Path(folder, "pages.pdf")
        _ask({"path": str(Path(path).resolve()), "pdf": str(pdf)})
        subprocess.run(["pdftoppm", "-r", str(dpi), "-png", str(pdf), str(Path(folder, stem))], check=True)
        pages = sorted(Path(folder).glob("*.png"))  # pdftoppm pads the page numbers
        return [Path(shutil.copy(page, out)) for page in pages]


# The office: found, started, asked --------------------------------------------------------------------------


@cache
def _soffice() -> str | None:
    return shutil.which("soffice") or shutil.which("libreoffice")


@cache
def _uno_python() -> str | None:
    """A Python that can import UNO."""
    bundled = str(Path(_soffice() or "").resolve().with_name("python"))
    for python in ("/usr/bin/python3", shutil.which("python3"), sys.executable, bundled):
        if python and shutil.which(python):
            probe = subprocess.run([python, "-I", "-c", "import uno"], capture_output=True)
            if probe.returncode == 0:
                return python
    return None


@cache
def _server(recalculates: bool) -> subprocess.Popen[str]:
    """This process's own office: it ends with our end of its stdin, however we end."""
    command = [str(_uno_python()), "-I", __file__, str(_soffice()), "always" if recalculates else "as it likes"]
    pipe = subprocess.PIPE
    server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
    atexit.register(_stop, server)
    return server


def _stop(server: subprocess.Popen[str]) -> None:
    assert server.stdin
    try:
        server.stdin.close()
        server.wait(timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        server.kill()


def _ask(request: dict[str, Any], recalculates: bool = True) -> Values:
    server = _server(recalculates)
    assert server.stdin and server.stdout
    answer: dict[str, Any] = {"error": f"no answer in {_TIMEOUT:g} seconds"}
    try:
        print(json.dumps(request), file=server.stdin, flush=True)
        if select.select([server.stdout], [], [], _TIMEOUT)[0]:
            answer = json.loads(server.stdout.readline() or '{"error": "it ended"}')
    except BrokenPipeError:
        answer = {"error": "it ended"}
    if "error" in answer:  # the next request gets a fresh office
        _server.cache_clear()
        _stop(server)
        raise RuntimeError(f"LibreOffice could not recalculate {request['path']}: {answer['error']}")
    values: Values = answer["values"]
    return values


# The other side: run by the Python that has UNO -------------------------------------------------------------

# LibreOffice believes the cached values of a file unless its profile says "always recalculate" (0).
_ALWAYS_RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop>
<prop oor:name="ODFRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>"""


def _serve(soffice: str, recalculates: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="tinynet-office-", ignore_cleanup_errors=True) as folder:
        profile = Path(folder, "profile")
        Path(profile, "user").mkdir(parents=True)
        if recalculates:
            Path(profile, "user", "registrymodifications.xcu").write_text(_ALWAYS_RECALCULATE)
        pipe = Path(folder).name
        options = ["--headless", "--norestore", "--nologo", "--nodefault", f"--accept=pipe,name={pipe};urp;"]
        command = [soffice, f"-env:UserInstallation={profile.as_uri()}", *options]
        quiet = subprocess.DEVNULL
        office = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        desktop = None
        try:
            desktop = _connect(pipe)
            shelf = _Shelf(desktop)
            for line in sys.stdin:
                answer: dict[str, Any]
                try:
                    answer = {"values": _answer(shelf, **json.loads(line))}
                except Exception as error:
                    answer = {"error": f"{type(error).__name__}: {error}"}
                print(json.dumps(answer), flush=True)
        finally:
            try:
                desktop.terminate()  # type: ignore[union-attr]
                office.wait(timeout=10)
            except Exception:
                os.killpg(office.pid, signal.SIGKILL)


def _connect(pipe: str) -> Any:
    import uno

    context = uno.getComponentContext()
    resolver = context.ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
    for _ in range(600):
        try:
            office = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
            return office.ServiceManager.createInstance("com.sun.star.frame.Desktop")
        except Exception:  # not listening yet
            time.sleep(0.1)
    raise TimeoutError("LibreOffice did not start within a minute")


class _Shelf:
    """Keeps the last workbook open: opening takes most of the time, and many tests type into one and the same."""

    def __init__(self, desktop: Any):
        self.desktop, self.book, self.key = desktop, None, ()

    def open(self, path: str) -> Any:
        """The workbook of a file, with the numbers of the file."""
        status = os.stat(path)
        key = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        if self.book is None or key != self.key:
            self.close()
            self.book = self.desktop.loadComponentFromURL(Path(path).as_uri(), "_blank", 0, _options(Hidden=True))
            self.key = key
        if self.book is None:
            raise FileNotFoundError(f"{path} cannot be opened")
        return self.book

    def close(self) -> None:
        if self.book is not None:
            book, self.book = self.book, None
            book.close(True)


def _options(**named: Any) -> tuple[Any, ...]:
    from com.sun.star.beans import PropertyValue

    return tuple(PropertyValue(Name=name, Value=value) for name, value in named.items())


def _answer(
    shelf: _Shelf,
    path: str,
    edits: list[tuple[str, str, Value]] | None = None,
    pdf: str | None = None,
    saved: str | None = None,
) -> Values:
    """Load and save; or type the edits, recalculate, and print to ``pdf`` if that is asked, else read every cell."""
    from com.sun.star.table.CellContentType import VALUE

    book = shelf.open(path)
    typed = []  # numbers over numbers, which are put back; what else is typed ends with the workbook
    try:
        if saved:
            book.storeToURL(Path(saved).as_uri(), _options(FilterName="Calc MS Excel 2007 XML"))
            return {}
        for sheet, address, value in edits or ():
            if not book.Sheets.hasByName(sheet):
                raise KeyError(f"no sheet {sheet!r}; there are {', '.join(book.Sheets.ElementNames)}")
            cell = book.Sheets.getByName(sheet).getCellRangeByName(address)
            if cell.Type == VALUE and not isinstance(value, str):
                typed.append((cell, cell.getValue()))
            cell.setFormula(value) if isinstance(value, str) else cell.setValue(value)
        book.calculateAll()
        if pdf:
            book.storeToURL(Path(pdf).as_uri(), _options(FilterName="calc_pdf_Export"))
            return {}
        return {sheet.Name: _read(sheet) for sheet in book.Sheets}
    finally:
        if saved or pdf or len(typed) < len(edits or ()):
            shelf.close()
        for cell, value in reversed(typed) if shelf.book else ():
            cell.setValue(value)


def _read(sheet: Any) -> dict[str, Value]:
    area = sheet.createCursor()
    area.gotoEndOfUsedArea(False)
    end = area.RangeAddress
    area = sheet.getCellRangeByPosition(0, 0, end.EndColumn, end.EndRow)
    columns = [_column(j) for j in range(end.EndColumn + 1)]
    values: dict[str, Value] = {}
    for i, row in enumerate(area.getDataArray()):
        for j, value in enumerate(row):
            if value is None:  # an error
                value = area.getCellByPosition(j, i).String
            if value != "":
                values[f"{columns[j]}{i + 1}"] = value
    return values


def _column(index: int) -> str:
    """0 is A, 25 is Z, 26 is AA."""
    name = ""
    while index >= 0:
        name = chr(ord("A") + index % 26) + name
        index = index // 26 - 1
    return name


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2] == "always")
