"""Rows that do not fit: quarantined under the limits, else the stream stops with file, row and column."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox
from tests.process.child import DEVNULL, Child
from tests.tap.harness import Json, arguments_of, tap

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


# No STATE before the rejects that it covers ---------------------------------------------------------------------------

FORMS = pytest.mark.parametrize("mode", ["records", "batches"])
SPLIT = {"max_concurrent_jobs": 1, "rejects_max_count": 1000}


def in_windows(box: Sandbox, folder: Path, *, mode: str, **changes: object) -> Json:
    """Return a configuration of several windows; two at least have rows that fit and rows that do not."""
    config = one_export(box, **SPLIT, **changes)
    config["exelensia"]["exports"][0]["max_window_days"] = 30
    storage = {"encoding": {"format": "jsonl"}, "storage": {"root": str(folder / "parts")}}
    return {
        **config,
        "start_date": "2024-02-29T00:00:00Z",
        "end_date": "2024-05-25T00:00:00Z",
        **({"batch_config": storage} if mode == "batches" else {}),
    }


def until_state(arguments: list[str], number: int) -> Iterator[Json]:
    """Run the tap and yield what it writes up to the STATE of that number; then it is killed."""
    process = Child(arguments, stderr=DEVNULL)
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        yield message
        number -= message["type"] == "STATE"
        if not number:
            break
    process.kill()
    process.communicate()
    process.wait()


def symbols(messages: Iterable[Json]) -> set[str]:
    """Return which companies came, as a row or as a reject."""
    found: set[str] = set()
    for message in messages:
        if message["type"] == "BATCH" and message["stream"] == COMPANIES:
            lines = [gzip.decompress(Path(url.removeprefix("file://")).read_bytes()) for url in message["manifest"]]
            found |= {json.loads(line)["symbol"] for part in lines for line in part.splitlines()}
        elif message["type"] == "RECORD" and message["stream"] == COMPANIES:
            found.add(message["record"]["symbol"])
        elif message["type"] == "RECORD" and message["stream"] == "export_rejects":
            found.add(message["record"]["raw"].partition(",")[0])
    return found


@FORMS
def test_a_kill_after_any_state_loses_no_reject(tmp_path: Path, sandbox: Boxes, mode: str) -> None:
    """Killed right after each STATE and begun again from it: every row of the source is a row or a reject."""
    config = in_windows(sandbox(), tmp_path, mode=mode)
    whole = tap(tmp_path, config).succeeded()
    truth, states = symbols(whole.messages), len(whole.states)
    assert len({reject["job_id"] for reject in whole.records["export_rejects"]}) > 1
    for number in range(1, states):
        before = list(until_state(arguments_of(tmp_path, config), number))
        after = tap(tmp_path, config, state=before[-1]["value"]).succeeded()
        assert symbols([*before, *after.messages]) == truth, number


@FORMS
def test_receipts_and_rejects_come_before_the_state_that_covers_them(tmp_path: Path, sandbox: Boxes, mode: str) -> None:
    """When a job leaves the ledger its receipt and its rejects are written; SCHEMA comes once, before the first."""
    ran = tap(tmp_path, in_windows(sandbox(), tmp_path, mode=mode)).succeeded()
    assert [m["type"] for m in ran.messages if m.get("stream") == "export_rejects"][:2] == ["SCHEMA", "RECORD"]
    assert sum(m["type"] == "SCHEMA" and m["stream"] == "export_jobs" for m in ran.messages) == 1
    told: set[str] = set()
    open_jobs: set[str] = set()
    for message in ran.messages:
        if message["type"] == "RECORD" and message["stream"] == "export_jobs":
            told.add(message["record"]["job_id"])
        elif message["type"] == "RECORD" and message["stream"] == "export_rejects":
            assert message["record"]["job_id"] not in told
        elif message["type"] == "STATE":
            now = {job["id"] for job in message["value"]["bookmarks"][COMPANIES]["ledger"]["jobs"]}
            assert open_jobs - now <= told
            open_jobs = now


def test_rejects_of_a_deselected_stream_are_logged(tmp_path: Path, sandbox: Boxes) -> None:
    """Without `export_rejects` nothing of it is written, and the log names the first rows."""
    config = one_export(sandbox(), rejects_max_count=1000)
    found = json.loads(b"\n".join(tap(tmp_path, config, "--discover").lines))
    for entry in found["streams"]:
        root = next(m for m in entry["metadata"] if not m["breadcrumb"])["metadata"]
        root["selected"] = entry["tap_stream_id"] == COMPANIES
    ran = tap(tmp_path, config, catalog=found).succeeded()
    assert {m.get("stream") for m in ran.messages if m["type"] != "STATE"} == {COMPANIES}
    assert ran.stderr.count("export_rejects is not selected") == 10
    assert "further rejected rows are not logged" in ran.stderr
