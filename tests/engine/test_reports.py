"""Rejects are keyed so that a later run does not overwrite them at the target."""

from __future__ import annotations

from dataclasses import dataclass, field

from tap_exports.engine.model import Receipt, Reject, Rejected, Row
from tap_exports.engine.secrets import Redactor
from tap_exports.singer.streams.reports import Reports


@dataclass
class Written:
    """Stands for the tap and for the streams about the run."""

    rows: list[Row] = field(default_factory=list)
    lineage: tuple[str, ...] = ()

    @property
    def streams(self) -> dict[str, Written]:
        return {"export_jobs": self, "export_rejects": self}

    def report(self, row: Row) -> None:
        self.rows.append(row)


def keys(*rejected: Rejected) -> list[tuple[object, ...]]:
    """Return the keys of rejects of one run."""
    written = Written()
    for each in rejected:
        Reports(written, Redactor()).reject("s", each)
    return [(r["stream"], r["job_id"], r["file"], r["row"]) for r in written.rows]


def of(job_id: str, raw: str, row: int = 1) -> Rejected:
    return Rejected(job_id, Reject("s", row, "c", "type", "wrong", raw))


def test_rejects_of_a_list_differ_between_runs() -> None:
    """A list has no job: another record at the same place has another key, the same one the same key."""
    first, other, again = (keys(of("", raw)) for raw in ('{"a": 1}', '{"a": 2}', '{"a": 1}'))
    assert (first == again, first == other, first[0][1] == "") == (True, False, False)


def test_rejects_of_a_job_keep_its_id() -> None:
    assert keys(of("j", "x", 7)) == [("s", "j", "s", 7)]


def test_receipts_show_no_secret() -> None:
    """What a provider says of a failed job, and its warnings, may quote the key."""
    redactor, written = Redactor(), Written()
    redactor.add("key-of-a-test")
    said = "refused key-of-a-test"
    Reports(written, redactor).receipt(Receipt("p", "j", "s", "f", "failed", reason=said, warnings=(said,)))
    assert (written.rows[0]["reason"], written.rows[0]["warnings"]) == ("refused ***", ["refused ***"])
