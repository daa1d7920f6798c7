"""`limits.keep`: a provider deletes its jobs after a while, whether somebody read them or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tap_exports.errors import ConfigError
from tests.declared.vendors import NAME, config, declaration, landed, made_by_others, served, truth, vendor
from tests.tap.harness import Json, tap

KEPT = vendor(limits={"keep": "2 hours"})
HOURS_3 = 3 * 3600
QUIET: Json = {"job_grace_seconds": 0, "lost_reply_search_seconds": 0}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90 minutes", 5400), ("1 hour", 3600), ("24 hours", 86_400), ("7 days", 604_800), ("2 weeks", 1_209_600)],
)
def test_how_long_jobs_are_kept(written: str, seconds: int) -> None:
    keeps = declaration(vendor(limits={"keep": written})).keeps
    assert (keeps and keeps.total_seconds(), declaration(vendor()).keeps) == (seconds, None)


@pytest.mark.parametrize("written", ["a week", "7", "0 days", "7days", "7 days ago", "-1 days", "1 month"])
def test_another_length_is_an_error(written: str) -> None:
    with pytest.raises(ConfigError, match=r"limits\.keep: a number of minutes, hours, days or weeks is due"):
        declaration(vendor(limits={"keep": written}))


def test_jobs_of_others_that_may_have_vanished_are_warned_of(tmp_path: Path) -> None:
    """A run that comes later than jobs are kept cannot know what it missed; one that comes in time says nothing."""
    with served(KEPT) as box:
        made_by_others(box, 1)
        given = config(box, entry={"mode": "collect"}, **QUIET)
        del given["end_date"]
        ran = tap(tmp_path, given).succeeded()
        again = tap(tmp_path, given, state=ran.states[-1]).succeeded()
        marks = ran.states[-1]["bookmarks"]["vendor_export_rows"]
        late = {**marks, "replication_key_value": "2026-01-02T00:00:00.000Z"}
        warned = tap(tmp_path, given, state={"bookmarks": {"vendor_export_rows": late}}).succeeded()
    said = "is older than the 2 hours for which the provider keeps jobs"
    assert [said in each.stderr for each in (ran, again, warned)] == [False, False, True]


def test_windows_that_the_tap_requests_itself_miss_nothing(tmp_path: Path) -> None:
    """A bookmark of last month is no reason to warn: its window is requested anew."""
    with served(KEPT) as box:
        marks = {"bookmarks": {"vendor_export_rows": {"replication_key_value": "2026-01-02T00:00:00.000Z"}}}
        assert "keeps jobs" not in tap(tmp_path, config(box), state=marks).succeeded().stderr


def test_a_job_of_an_earlier_run_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    """STATE knows jobs that the provider keeps no longer: other ones for their windows, and no row is lost."""
    with served(KEPT, job_seconds=1) as box:
        first = tap(tmp_path, config(box, job_wait="detach")).succeeded()
        made = box.spend()[NAME]["jobs_created"]
        box.clock.advance(HOURS_3)
        last = tap(tmp_path, config(box), state=first.states[-1]).succeeded()
        assert landed(first, last) == truth(box)
        assert (made, box.spend()[NAME]["jobs_created"]) == (3, 6)


def test_the_sandbox_forgets_jobs_as_the_vendor_does(tmp_path: Path) -> None:
    """One that was made before is neither listed nor shown."""
    with served(KEPT) as box:
        made_by_others(box, 2)
        given = config(box, entry={"mode": "collect"}, **QUIET)
        del given["end_date"]
        box.clock.advance(HOURS_3)
        assert landed(tap(tmp_path, given).succeeded()) == []
