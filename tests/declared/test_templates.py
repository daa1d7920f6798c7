"""Holes of templates and paths into replies."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tap_exports.providers.declared.declaration.paths import pick
from tap_exports.providers.declared.declaration.templates import fill, fill_path

MOMENT = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=timezone.utc)
VALUES = {"start": MOMENT, "n": 7, "list": ["a", "b"], "text": 'q"{n}', "none": None, "flag": False}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{start}", "2026-01-31T12:30:15.250Z"),
        ("{start:iso}", "2026-01-31T12:30:15Z"),
        ("{start:unix}", 1769862615),
        ("{start:unix_ms}", 1769862615250),
        ("from {start:date} on", "from 2026-01-31 on"),
        ("{n}", 7),
        ("{list}", ["a", "b"]),
        ("{flag}", False),
        ("n={n}", "n=7"),
        ("{text}", 'q"{n}'),  # a value is not a template
        ("{{n}", "{n}"),
        ("{ n }", "{ n }"),
        ({"a": "{none}", "b": "x{none}", "c": "{missing}", "d": 1}, {"d": 1}),
        (["{none}", "{n}", True], [7, True]),
    ],
)
def test_holes_are_filled(template: object, filled: object) -> None:
    """A text that is one hole keeps the value's type, what is missing is left out, and no value is a template."""
    assert fill(template, VALUES) == filled


def test_paths_are_quoted() -> None:
    """An id cannot lead elsewhere."""
    assert fill_path("/jobs/{id}/file", {"id": "../a b?c"}) == "/jobs/..%2Fa%20b%3Fc/file"


def test_a_path_needs_its_values() -> None:
    """None is no segment."""
    with pytest.raises(KeyError):
        fill_path("/jobs/{id}", {"id": None})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", 1),
        ("rows[0].u", "x"),
        ("rows.0.u", "x"),
        ("rows[].u", ["x", "y"]),
        ("rows[*].u", ["x", "y"]),
        ("nothing.there", None),
        ("header:Job-Id", "j1"),
        (None, {"a": {"b": 1}, "rows": [{"u": "x"}, {"u": "y"}]}),
    ],
)
def test_paths(path: str | None, found: object) -> None:
    """JMESPath, an index with a dot, or a header."""
    body = {"a": {"b": 1}, "rows": [{"u": "x"}, {"u": "y"}]}
    assert pick(body, path, {"Job-Id": "j1"}) == found
