"""What XlsxWriter does not do by itself: exact numbers, no noise, no half-written file, no illegal name.

The private hooks are those of `ExactWorksheet`: tested, and the version pinned in pyproject.toml.
"""

from __future__ import annotations

import datetime
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

MAX_TEXT, MAX_NAME = 32_767, 255  # characters of a cell, and of a range name


class ExactWorksheet(Worksheet):
    """A worksheet that writes every float so that it reads back bit for bit (XlsxWriter keeps 16 digits)."""

    def _xml_number_element(self, number: float, attributes: Any = ()) -> None:
        attr = "".join(f' {key}="{value}"' for key, value in attributes)
        self.fh.write(f"<c{attr}><v>{float(number)!r}</v></c>")

    def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:
        """Our formulas use no function that needs a prefix: XlsxWriter would look for 29 of them in each."""
        return formula.removeprefix("=")

    def _write_string(self, row: int, col: int, string: str, cell_format: Any = None) -> Any:
        """XlsxWriter cuts a text that is too long, and only returns a number. Raises ValueError instead."""
        result = super()._write_string(row, col, string, cell_format)
        if result:
            raise ValueError(
                f"a text of {len(string):,} characters on the sheet {self.name!r} does not fit into a cell, which "
                f"holds {MAX_TEXT:,}: shorten the title, description or name that begins {string[:40]!r}"
            )
        return result


@contextmanager
def open_workbook(path: Path) -> Iterator[xlsxwriter.Workbook]:
    """Open a workbook that appears under its name only once it is complete. Raises OSError if it cannot be."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".xlsx")
    os.close(handle)
    temporary = Path(name)
    try:
        book = xlsxwriter.Workbook(temporary, {"strings_to_formulas": False, "strings_to_urls": False})
        book.set_properties({"created": datetime.datetime(2000, 1, 1)})  # the same file from the same run
        yield book
        book.close()
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def defined_name(name: str) -> str:
    """Return a name that spreadsheets accept: ``c`` → ``c_``, ``h1`` → ``h1_``, ``0.z`` → ``_0.z``.

    Raises ValueError for a name that is longer than they allow.
    """
    if len(name) >= MAX_NAME:
        raise ValueError(
            f"the name {name[:40]!r}… has {len(name)} characters, a spreadsheet allows {MAX_NAME}: "
            "give it a shorter one"
        )
    legal = re.sub(r"[^A-Za-z0-9_.]", "_", name)
    if not re.match(r"[A-Za-z_]", legal):
        legal = f"_{legal}"
    reserved = re.fullmatch(r"(?i)[a-z]{1,3}\d+|r\d*c?\d*|c\d*|true|false|print_area|print_titles", legal)
    return f"{legal}_" if reserved else legal
