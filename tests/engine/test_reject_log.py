"""Rejects are keyed so that a later run does not overwrite them at the target."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tap_exports.engine.model import Reject, Rejected
from tap_exports.engine.spool import Spool
from tap_exports.singer.streams.rejects import RejectLog


def keys(folder: Path, *rejected: Rejected) -> list[tuple[object, ...]]:
    """Return the keys of rejects of one run."""
    with closing(Spool(str(folder))) as spool:
        log = RejectLog(lambda: spool)
        for each in rejected:
            log.add("s", each)
        return [(r["stream"], r["job_id"], r["file"], r["row"]) for batch in log.batches() for r in batch]


def of(job_id: str, raw: str, row: int = 1) -> Rejected:
    return Rejected(job_id, Reject("s", row, "c", "type", "wrong", raw))


def test_rejects_of_a_list_differ_between_runs(tmp_path: Path) -> None:
    """A list has no job: another record at the same place has another key, the same one the same key."""
    first, other, again = (keys(tmp_path, of("", raw)) for raw in ('{"a": 1}', '{"a": 2}', '{"a": 1}'))
    assert (first == again, first == other, first[0][1] == "") == (True, False, False)


def test_rejects_of_a_job_keep_its_id(tmp_path: Path) -> None:
    assert keys(tmp_path, of("j", "x", 7)) == [("s", "j", "s", 7)]
