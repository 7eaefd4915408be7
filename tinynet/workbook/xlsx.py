"""What XlsxWriter does not do by itself: no noise, no half-written file, no illegal name."""

from __future__ import annotations

import datetime
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from tinynet.workbook.package import StreamingPackager

MAX_NAME = 255  # characters of a range name


class _Nowhere(BytesIO):
    """XlsxWriter's own archive: it stays empty, and must not complain when it is collected after an error."""

    def close(self) -> None:
        pass


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Another name to write under, which becomes ``path`` once that is done; after an error nothing is left of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def open_workbook(path: Path) -> Iterator[xlsxwriter.Workbook]:
    """Open a workbook that appears under its name only once it is complete. Raises OSError if it cannot be."""
    with written_whole(path) as temporary:
        book = xlsxwriter.Workbook(_Nowhere(), {"strings_to_formulas": False, "strings_to_urls": False})
        book._get_packager = lambda: StreamingPackager(temporary)
        book.set_properties({"created": datetime.datetime(2000, 1, 1)})  # the same file from the same run
        yield book
        try:
            book.close()
        except FileCreateError as error:  # what XlsxWriter makes of an OSError
            cause = error.args[0]
            raise OSError(cause.errno, cause.strerror, str(path)) from error


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
