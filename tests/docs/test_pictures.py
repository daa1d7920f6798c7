"""The pictures of docs/commands.md show what the commands print now; `python -m tools.pictures` makes them again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import report_picture
from tools.pictures import FOLDER, SHOTS, pictures

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "commands.md"


def test_each_picture_is_shown() -> None:
    assert set(re.findall(r"\(commands/(\w+)\.svg\)", PAGE.read_text(encoding="utf-8"))) == SHOTS.keys()


@pytest.mark.process
def test_pictures_are_those_of_the_commands() -> None:
    """The same bytes, whenever and wherever they are made; they load nothing."""
    for name, drawn in pictures():
        assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == drawn, (
            f"{name}.svg is out of date: python -m tools.pictures"
        )
        assert "url(http" not in drawn


def test_the_picture_of_the_report_names_what_makes_it() -> None:
    text = (DOCS / "report.md").read_text(encoding="utf-8")
    assert f"({report_picture.PICTURE.relative_to(DOCS)})" in text
    assert f"`python -m {report_picture.__name__}`" in text


def test_without_a_browser_the_way_to_one_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Before the run whose report would be drawn; the picture stays as it is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    before = report_picture.PICTURE.stat().st_mtime_ns
    assert report_picture.main() == 1
    assert "apt-get install chromium" in capsys.readouterr().err
    assert report_picture.PICTURE.stat().st_mtime_ns == before
