"""Tables keep words whole at every width; where they cannot, each row is a block of lines."""

from __future__ import annotations

import json

import pytest

from tap_exports.operator import render
from tap_exports.operator.report import Report, Table

ROWS = [
    ("exelensia", "019760a0-0050-7000-8000-000000000053", "2024-01-01 to 2024-06-30 00:00:00.001Z", "a note in words"),
    ("px", "exp_hGoQS5Cd3Ww3UrXfmwdSHg", "", "https://example.com/a/word/that/is/rather/long and more"),
]
TABLE = Table(("provider", "job", "window", "note"), ROWS, "Jobs")


def test_json_stays_json_with_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """A provider's text is shown with escapes that JSON knows."""
    note = "a\n\x1b\x7f\x85\u2028\u202eb"
    render.show(Report({"note": note}, []), "json")
    printed = capsys.readouterr().out.removesuffix("\n")
    assert (printed.isprintable(), json.loads(printed)) == (True, {"note": note})


@pytest.mark.parametrize("width", range(40, 200, 7))
def test_words_stay_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int) -> None:
    """No line of a table is wider than the terminal, and no word is cut."""
    monkeypatch.setattr(render, "PIPE_WIDTH", width)
    render.show(Report({}, [TABLE]), "text")
    printed = capsys.readouterr().out
    words = {word for row in ROWS for cell in row for word in cell.split()}
    assert words <= set(printed.split())
    assert "─" not in printed or max(map(len, printed.splitlines())) <= width


def test_a_table_that_fits_has_one_line_per_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(render, "PIPE_WIDTH", 200)
    render.show(Report({}, [TABLE]), "text")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [" ".join(cell for cell in row if cell).split() for row in ROWS] == lines[-3:-1]
