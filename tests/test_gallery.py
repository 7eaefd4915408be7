"""What is committed in ``sheets/`` is what the code makes now."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.spreadsheets import require
from tinynet.gallery import EXHIBITS, Exhibit, build, index
from tinynet.workbook import Written, read_book, verify, write

SHEETS = Path(__file__).parent.parent / "sheets"
NUMBER = re.compile(r"(?<![\w.$])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    folder = tmp_path_factory.mktemp("gallery")
    return {e.name: write(e.make(), folder / f"{e.name}.xlsx", title=e.title) for e in EXHIBITS}


@pytest.fixture(params=EXHIBITS, ids=lambda exhibit: exhibit.name)
def exhibit(request: pytest.FixtureRequest) -> Exhibit:
    return request.param


def parts(path: Path) -> dict[str, str]:
    """All XML of a workbook, with the numbers that were computed set aside."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


CACHED = {"xl/worksheets/": r"<v>([^<]*)</v>", "xl/charts/": r"<c:v>([-+.e\d]+)</c:v>"}


def cached(name: str) -> str | None:
    """What finds the cached values in a part of the file, if it has any."""
    return next((pattern for folder, pattern in CACHED.items() if name.startswith(folder)), None)


def skeleton(name: str, text: str) -> str:
    """What must be equal to the letter: everything but cached values and, in texts, the digits of numbers."""
    if pattern := cached(name):
        return re.sub(pattern, "<v/>", text)
    return NUMBER.sub("#", text) if name == "xl/sharedStrings.xml" else text


def values(name: str, text: str) -> list[float]:
    """The numbers that were set aside, in order."""
    pattern = cached(name)
    texts = re.findall(pattern, text) if pattern else [text]
    return [float(number) for content in texts for number in NUMBER.findall(content)]


def test_a_gallery_workbook_is_what_the_code_makes(exhibit: Exhibit, fresh: dict[str, Written]):
    committed, made = parts(SHEETS / f"{exhibit.name}.xlsx"), parts(fresh[exhibit.name].path)
    assert list(committed) == list(made)
    for name, text in made.items():
        assert skeleton(name, committed[name]) == skeleton(name, text), f"{name}: run `tinynet gallery`"
        old, new = values(name, committed[name]), values(name, text)
        np.testing.assert_allclose(old, new, rtol=1e-9, atol=1e-9, err_msg=f"{name}: run `tinynet gallery`")


def test_a_gallery_workbook_verifies_and_is_its_run(exhibit: Exhibit):
    path = SHEETS / f"{exhibit.name}.xlsx"
    result = verify(path)
    assert result.ok and result.edited == []
    run, recorded = read_book(path).book.run, exhibit.make()
    assert run.names == recorded.names and run.description == recorded.description
    last = run.values[-1].array
    np.testing.assert_allclose(last, recorded.values[-1].array, rtol=1e-12)


def test_the_index_is_what_the_code_writes(fresh: dict[str, Written]):
    assert (SHEETS / "README.md").read_text(encoding="utf-8") == index(fresh)


def test_nothing_else_lies_in_the_gallery():
    found = {path.relative_to(SHEETS).as_posix() for path in SHEETS.rglob("*") if path.is_file()}
    pictures = {f"pictures/{e.name}-{number}.png" for e in EXHIBITS for number in (1, 2)}
    assert found == {"README.md", *(f"{e.name}.xlsx" for e in EXHIBITS), *pictures}


def test_every_link_of_the_index_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", (SHEETS / "README.md").read_text(encoding="utf-8"))
    assert len(links) == 3 * len(EXHIBITS) and all((SHEETS / link).is_file() for link in links)


@pytest.mark.parametrize("number", [1, 2])
def test_pictures_are_small_pngs(exhibit: Exhibit, number: int):
    content = (SHEETS / "pictures" / f"{exhibit.name}-{number}.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n") and content.endswith(b"IEND\xaeB`\x82")
    assert 5_000 < len(content) < 150_000
    width, height = struct.unpack(">II", content[16:24])
    assert 400 < width < 1600 and 400 < height < 1600


def test_the_gallery_is_rebuilt_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One exhibit, with its pictures; the rest are made alike."""
    require("libreoffice"), require("pdftoppm")
    rnn = next(e for e in EXHIBITS if e.name == "rnn")
    monkeypatch.setattr("tinynet.gallery.EXHIBITS", [rnn])
    lines = list(build(tmp_path / "shelf"))
    names = ["rnn.xlsx", "pictures/rnn-1.png", "pictures/rnn-2.png", "README.md"]
    assert [Path(line.partition(":")[0]) for line in lines] == [tmp_path / "shelf" / name for name in names]
    made = {path.relative_to(tmp_path / "shelf").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert made == set(names)
    assert len({(tmp_path / "shelf" / name).read_bytes() for name in names[1:3]}) == 2


def test_without_libreoffice_the_pictures_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("tinynet.gallery.EXHIBITS", [e for e in EXHIBITS if e.name == "rnn"])
    lines = list(build(tmp_path))
    assert "pictures: left as they are, soffice is not installed" in lines
    assert {path.name for path in tmp_path.iterdir()} == {"rnn.xlsx", "README.md"}
