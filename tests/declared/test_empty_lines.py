"""JSON Lines without a line: an empty export where two replies with a proper end say so, whoever reads the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.declared.vendors import NAME, STREAM, VENDOR, config, landed, receipts, served, truth, vendor
from tests.tap.harness import Json, tap

LINES = vendor(files={**VENDOR["files"], "format": "jsonl"})
NOTHING: Json = {"match": {"origin": "files", "nth": 1}, "action": {"status": 200, "body": "empty"}}


def settings(folder: Path, *, batches: bool) -> Json:
    """Return settings under which files are converted to batches by workers, or read as rows."""
    if not batches:
        return {}
    place = {"root": f"file://{folder / 'batches'}", "prefix": "p-"}
    return {"batch_config": {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": place}}


@pytest.mark.parametrize("batches", [False, True], ids=["rows", "batches"])
def test_an_export_of_nothing_is_proven(tmp_path: Path, *, batches: bool) -> None:
    """Level B without a count, each window once: the next run makes no job for it."""
    with served(LINES, knobs={"rows": 0}) as box:
        columns: Json = {"schema": {"row_id": "string", "name": "string", "amount": "string"}}
        ran = tap(tmp_path, config(box, entry=columns, **settings(tmp_path, batches=batches))).succeeded()
        assert [(r["status"], r["rows"], r["proof"]) for r in receipts(ran)] == [("completed", 0, "B")] * 3
        made = box.spend()[NAME]["jobs_created"]
        tap(tmp_path, config(box), state=ran.states[-1]).succeeded()
        assert box.spend()[NAME]["jobs_created"] == made


def test_a_reply_of_nothing_is_no_empty_export(tmp_path: Path) -> None:
    """A server answers once with a length of 0: the rows arrive, in the same run."""
    with served(LINES, faults={"faults": [NOTHING]}) as box:
        assert landed(tap(tmp_path, config(box)).succeeded()) == truth(box)


def test_nothing_without_an_end_is_refused(tmp_path: Path) -> None:
    """The connection just ended, and `unframed_files: accept` takes that: the window stays open."""
    cut: Json = {"match": {"origin": "files"}, "action": {"unframed": True, "cut_after_bytes": 0}}
    with served(LINES, faults={"faults": [cut]}) as box:
        ran = tap(tmp_path, config(box, unframed_files="accept", max_attempts=1, end_date="2026-01-20"))
        assert (ran.code, landed(ran)) == (1, [])
        assert "replication_key_value" not in ran.states[-1]["bookmarks"].get(STREAM, {})
        box.set_faults({})
        assert landed(tap(tmp_path, config(box), state=ran.states[-1]).succeeded()) == truth(box)
