"""Rows that do not fit: quarantined under the limits, else the stream stops with file, row and column."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, tap

Boxes = Callable[..., Sandbox]
COMPANIES = "exelensia_export_companies"


def one_export(box: Sandbox, **changes: object) -> Json:
    """Return a configuration whose one export types a text column as integer: `2013 (1888)` does not fit."""
    config = box.config("exelensia")
    entry = next(e for e in config["exelensia"]["exports"] if e["name"] == "companies")
    entry |= {"schema": {"founded": "integer"}, "max_window_days": 10000}
    config["exelensia"]["exports"] = [entry]
    return {**config, "end_date": "2026-01-01T00:00:00Z", **changes}


def test_stop_names_the_place(tmp_path: Path, sandbox: Boxes) -> None:
    """Beyond the limits the error says file, row, column and value, and the window stays open."""
    ran = tap(tmp_path, one_export(sandbox()))
    assert (ran.code, len(ran.errors)) == (1, 2)
    assert ran.errors[0].startswith(f"{COMPANIES}: file export.csv, row ")
    assert 'column "founded"' in ran.errors[0]
    assert "replication_key_value" not in ran.states[-1]["bookmarks"][COMPANIES]


def test_rejects_are_rows_of_their_own(tmp_path: Path, sandbox: Boxes) -> None:
    """Under the limits the other rows arrive, and each rejected one is a record with its text."""
    box = sandbox()
    ran = tap(tmp_path, one_export(box, rejects_max_count=1000)).succeeded()
    truth = box.truth("exelensia/export", schema_id="019760a0-0001-7000-8000-000000000002")
    founded = truth["columns"].index("founded")
    misfits = [i for i, row in enumerate(truth["rows"], 1) if row[founded] and not row[founded].isdigit()]
    assert [r["row"] for r in ran.records["export_rejects"]] == misfits
    assert {(r["stream"], r["file"], r["column"], r["code"]) for r in ran.records["export_rejects"]} == {
        (COMPANIES, "export.csv", "founded", "type")
    }
    assert len(ran.records[COMPANIES]) == len(truth["rows"]) - len(misfits)
    (receipt,) = ran.records["export_jobs"]
    assert (receipt["rows"], receipt["rejects"]) == (len(ran.records[COMPANIES]), len(misfits))


def test_ragged_row(tmp_path: Path, sandbox: Boxes) -> None:
    """A row with a field too many is rejected with its exact ordinal; the rows around it arrive."""
    body = base64.b64encode(b"symbol,founded\nA,1\nB,2,3\nC,4\n").decode()
    fault = {"match": {"origin": "files"}, "action": {"replace": {"base64": body}}}
    ran = tap(tmp_path, one_export(sandbox(faults={"faults": [fault]}), rejects_max_count=1)).succeeded()
    assert [(r["symbol"], r["founded"], r["_sdc_row"]) for r in ran.records[COMPANIES]] == [("A", 1, 1), ("C", 4, 3)]
    assert [(r["row"], r["code"], r["raw"]) for r in ran.records["export_rejects"]] == [(2, "ragged", "B,2,3")]
