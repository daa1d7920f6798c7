"""The pictures of docs/commands.md show what the commands print now; `python -m tools.pictures` makes them again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.pictures import FOLDER, SHOTS, pictures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"


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
