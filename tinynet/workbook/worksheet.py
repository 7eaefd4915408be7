"""A worksheet that keeps cells as columns of numbers and XML, and streams them row by row.

It is a worksheet of XlsxWriter in all but its cells: those it writes several times as fast, in a fraction of the
memory, and every number so that it reads back bit for bit (XlsxWriter keeps 16 digits). The private methods that it
overrides are tested, and the version is pinned in pyproject.toml.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import chain, pairwise
from operator import itemgetter
from sys import intern
from typing import Any, NamedTuple

import numpy as np
from xlsxwriter.worksheet import Worksheet

from tinynet.workbook.addresses import column_letters
from tinynet.workbook.runs import DOWN

MAX_TEXT = 32_767  # UTF-16 units in a cell
MOST_LINKS = 65_530  # of a sheet: a spreadsheet takes no more
BITS = DOWN.bit_length() - 1
CHUNK = 1 << 14  # cells that are XML at one time
BANDS = 16  # of rows, into which the cells of a large sheet are cut
ERRORS = {"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"}


class Lot(NamedTuple):
    """Cells that were written together: their keys (n,), and what makes the XML behind the address of any of them."""

    keys: np.ndarray
    xml: Callable[[np.ndarray], list[str]]


class Looks(NamedTuple):
    """The formats of many cells: the end of the address and the attribute of each, and which of them a cell has."""

    styles: list[str]
    which: np.ndarray

    def of(self, places: np.ndarray) -> list[str]:
        if len(self.styles) == 1:
            return self.styles * len(places)
        return [self.styles[i] for i in self.which[places].tolist()]


class ExactWorksheet(Worksheet):
    """Of a cell that is written twice the last writing counts, and many at once more than one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.lots: list[Lot] = []
        self.keys, self.xml = array("q"), list[str]()  # of the cells that are written one by one
        self.links: list[tuple[int, int, str]] = []  # row, column, where to
        self.later: list[Callable[[], None]] = []  # what writes more cells when the sheet becomes XML, others before it

    # Many cells at once. Rows and columns are arrays (n,), of which one may be a number, looks a format or many
    def write_numbers(self, rows: Any, columns: Any, numbers: np.ndarray, looks: Any = None) -> None:
        """Write the numbers (n,) at rows and columns."""
        if not np.all(np.isfinite(numbers)):
            raise ValueError(f"a number on the sheet {self.name!r} is not finite: no spreadsheet cell can hold it")
        looks = _looks(looks, len(numbers))

        def xml(places: np.ndarray) -> list[str]:
            cells = zip(looks.of(places), numbers[places].tolist(), strict=True)
            return [f"{style}><v>{x!r}</v></c>" for style, x in cells]

        self.lots.append(Lot(_keys(rows, columns), xml))

    def write_texts(self, rows: Any, columns: Any, texts: Sequence[str], looks: Any = None) -> None:
        """Write the texts (n,) into the cells themselves: among the shared ones they would take memory to the end."""
        looks = _looks(looks, len(texts))

        def xml(places: np.ndarray) -> list[str]:
            some = [self._escape_control_characters(self._fitting(texts[i])) for i in places.tolist()]
            cells = zip(looks.of(places), _escaped(some), strict=True)
            return [f'{style} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>' for style, text in cells]

        self.lots.append(Lot(_keys(rows, columns), xml))

    def write_formulas(
        self,
        rows: Any,
        columns: Any,
        formulas: Callable[[np.ndarray], list[str]] | Sequence[str],
        numbers: Callable[[np.ndarray], np.ndarray] | np.ndarray,
        looks: Any = None,
    ) -> None:
        """Write n formulas, with their equals signs, and the numbers (n,) that they give.

        Instead of a list, ``formulas`` may be what makes any of them, given their places in it; so may ``numbers``.
        """
        keys = _keys(rows, columns)
        looks = _looks(looks, len(keys))
        found = formulas if callable(formulas) else lambda places: [formulas[i] for i in places.tolist()]
        given = numbers if callable(numbers) else numbers.__getitem__

        def xml(places: np.ndarray) -> list[str]:
            cells = zip(looks.of(places), _escaped(found(places)), given(places).tolist(), strict=True)
            return [f"{style}><f>{text[1:]}</f><v>{x!r}</v></c>" for style, text, x in cells]

        self.lots.append(Lot(keys, xml))

    # One cell
    def _put(self, row: int, column: int, cell_format: Any, content: str) -> int:
        self.keys.append(row * DOWN + column)
        self.xml.append(intern(_style(cell_format) + content))  # many cells are alike
        return 0

    def _write_number(self, row: int, column: int, number: float, cell_format: Any = None) -> int:
        return self._put(row, column, cell_format, f"><v>{float(number)!r}</v></c>")

    def _write_blank(self, row: int, column: int, _: Any, cell_format: Any = None) -> int:
        return 0 if cell_format is None else self._put(row, column, cell_format, "/>")

    def _write_string(self, row: int, column: int, string: str, cell_format: Any = None) -> int:
        index = self.str_table._get_shared_string_index(self._fitting(string))
        return self._put(row, column, cell_format, f' t="s"><v>{index}</v></c>')

    def _fitting(self, text: str) -> str:
        """XlsxWriter cuts a text that is too long, and only returns a number. Raises ValueError instead."""
        if len(text) > MAX_TEXT // 2 and len(text.encode("utf-16-le")) > 2 * MAX_TEXT:
            raise ValueError(
                f"a text of {len(text):,} characters on the sheet {self.name!r} does not fit into a cell, which "
                f"holds {MAX_TEXT:,}: shorten the title, description or name that begins {text[:40]!r}"
            )
        return text

    def _write_rich_string(self, row: int, column: int, *parts: Any) -> int:
        result = super()._write_rich_string(row, column, *parts)
        cell = self.table[row].pop(column)
        self._put(row, column, cell.format, f' t="s"><v>{cell.string}</v></c>')
        return result

    def _write_formula(self, row: int, column: int, formula: str, cell_format: Any = None, value: Any = 0) -> int:
        kind = ""
        if isinstance(value, str):
            kind = ' t="e"' if value in ERRORS else ' t="str"' if value else ""
            value = self._escape_data(value)
        elif isinstance(value, bool):
            kind, value = ' t="b"', int(value)
        text = self._escape_data(formula.removeprefix("="))
        return self._put(row, column, cell_format, f"{kind}><f>{text}</f><v>{value}</v></c>")

    def _write_url(
        self, row: int, column: int, url: str, cell_format: Any = None, string: str = "", tip: Any = None
    ) -> int:
        """A link to another place of the workbook, ``internal:'Read me'!A1``; ours lead nowhere else."""
        if len(self.links) < MOST_LINKS:
            self.links.append((row, column, url.removeprefix("internal:")))
        return self._write_string(row, column, string, cell_format)

    def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:
        """Of a rule. Ours use no function that needs a prefix: XlsxWriter would look for 29 of them in each."""
        return formula.removeprefix("=")

    write_number, write_blank, write_string, write_formula = _write_number, _write_blank, _write_string, _write_formula
    write_url = _write_url

    # The file
    def _assemble_xml_file(self) -> None:
        if any(self.table.values()):
            raise NotImplementedError("numbers, texts, blanks, formulas and rich texts are the only cells known here")
        while self.later:
            self.later.pop(0)()
        one_by_one = Lot(np.array(self.keys, dtype=np.int64), lambda places: [self.xml[i] for i in places.tolist()])
        self.lots = [lot for lot in (one_by_one, *self.lots) if lot.keys.size]
        for lot in self.lots:
            columns = lot.keys & (DOWN - 1)
            corners = [(int(lot.keys[i]) >> BITS, int(columns[i])) for i in _ends(lot.keys) | _ends(columns)]
            if any(self._check_dimensions(*corner) for corner in corners):
                raise ValueError(f"the sheet {self.name!r} needs more rows or columns than a spreadsheet has")
        super()._assemble_xml_file()
        self.lots.clear()  # there may be millions of cells
        del self.keys, self.xml

    def _write_rows(self) -> None:
        filled = np.zeros(self.dim_rowmax + 1, dtype=int)  # how many cells each row has
        for lot in self.lots:
            filled += np.bincount(lot.keys >> BITS, minlength=len(filled))
        empty = ((row, None) for row in sorted(self.row_info) if row >= len(filled) or not filled[row])
        for row, cells in merge(empty, self._filled_rows(filled), key=itemgetter(0)):
            if cells is None:
                self._write_empty_row(row, None, self.row_info[row])
                continue
            self._write_row(row, None, self.row_info.get(row))
            self.fh.write("".join(cells))
            self._xml_end_tag("row")

    def _filled_rows(self, filled: np.ndarray) -> Iterator[tuple[int, list[str]]]:
        """Every row that has cells, and their XML; some rows are put in order at a time, which takes less memory."""
        letters = [f'<c r="{column_letters(column)}' for column in range(self.dim_colmax + 1)]
        for start, end in _bands(filled):
            chosen = [np.flatnonzero((lot.keys >= start) & (lot.keys < end)) for lot in self.lots]
            keys = np.concatenate([lot.keys[places] for lot, places in zip(self.lots, chosen, strict=True)])
            order = _in_order(keys)
            lots = np.repeat(np.arange(len(chosen)), [len(places) for places in chosen])[order]
            cells = chain.from_iterable(self._rendered(lots, np.concatenate(chosen)[order]))
            rows, columns = keys[order] >> BITS, keys[order] & (DOWN - 1)
            for first, last in pairwise([0, *(np.flatnonzero(np.diff(rows, append=-1)) + 1).tolist()]):
                number, here = str(rows[first] + 1), columns[first:last].tolist()
                yield int(rows[first]), [letters[c] + number + xml for c, xml in zip(here, cells, strict=False)]

    def _rendered(self, lots: np.ndarray, places: np.ndarray) -> Iterator[list[str]]:
        """The XML, behind their addresses, of the cells at these places of these lots (n,), in chunks."""
        for start in range(0, len(places), CHUNK):
            some, where = lots[start : start + CHUNK], places[start : start + CHUNK]
            out = np.empty(len(some), dtype=object)
            for number in np.unique(some):
                mine = some == number
                out[mine] = self.lots[number].xml(where[mine])
            yield out.tolist()

    def _write_hyperlinks(self) -> None:
        if self.links:
            links = [
                f'<hyperlink ref="{column_letters(column)}{row + 1}" location="{self._escape_attributes(to)}"/>'
                for row, column, to in sorted(self.links)
            ]
            self.fh.write(f"<hyperlinks>{''.join(links)}</hyperlinks>")

    def _get_range_data(self, top: int, left: int, bottom: int, right: int) -> list[Any]:
        """What a chart shows without looking at the cells: those that were written one by one."""
        wanted = {row * DOWN + column: None for row in range(top, bottom + 1) for column in range(left, right + 1)}
        found: dict[int, Any] = dict(wanted)
        for key, xml in zip(self.keys, self.xml, strict=True):
            if key in wanted:
                value = re.search("<v>(.*)</v>", xml)
                text = value and value[1]
                found[key] = self.str_table._get_shared_string(int(text)) if text and ' t="s"' in xml else text
        return list(found.values())


def _style(cell_format: Any) -> str:
    """The end of the address, and the attribute of the format."""
    return '"' if cell_format is None else f'" s="{cell_format._get_xf_index()}"'


def looks_of(formats: list[Any], which: np.ndarray) -> Looks:
    """Cells of which each (n,) has one of these formats, which get their numbers in the order of the cells."""
    used, first = np.unique(which, return_index=True)
    styles = [""] * len(formats)
    for i in used[np.argsort(first)].tolist():
        styles[i] = _style(formats[i])
    return Looks(styles, which.astype(np.min_scalar_type(len(formats))))


def _looks(looks: Any, n: int) -> Looks:
    return looks if isinstance(looks, Looks) else Looks([_style(looks)], np.broadcast_to(np.uint8(0), n))


def _keys(rows: Any, columns: Any) -> np.ndarray:
    keys = np.multiply(rows, DOWN, dtype=np.int64)
    return np.add(keys, columns, out=keys if keys.ndim else None)


def _escaped(texts: list[str]) -> list[str]:
    """Texts as they stand between the tags of XML."""
    joined = "\0".join(texts)
    if not any(mark in joined for mark in "&<>"):
        return texts
    return joined.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split("\0")


def _ends(x: np.ndarray) -> set[int]:
    """Where its smallest and its largest number stand."""
    return {int(x.argmin()), int(x.argmax())}


def _bands(filled: np.ndarray) -> Iterator[tuple[int, int]]:
    """Half-open ranges of keys, each of whole rows and about as many cells; ``filled`` counts those of every row."""
    total = np.cumsum(filled)
    band = (total - 1) // max(CHUNK, int(total[-1]) // BANDS)
    starts = np.flatnonzero(np.diff(band, prepend=-1)).tolist()
    yield from pairwise(row * DOWN for row in [*starts, len(filled)])


def _in_order(keys: np.ndarray) -> np.ndarray:
    """Where the keys stand that are to be written, in order: of equal ones only the last."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    return order[np.append(ordered[1:] != ordered[:-1], True)[: len(keys)]]
