"""Without STATE, jobs that exist are read in place of new ones, where the list shows all of a request (P2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.declared.vendors import NAME, VENDOR, config, landed, receipts, served, truth, vendor
from tests.tap.harness import Json, Ran, tap

SUBMIT, DAY = VENDOR["submit"], {"key": "moment", "days": 31, "by": "day"}


def asked(body: Json, find: Json | None = None, **parts: object) -> Json:
    """Return a declaration whose list shows what it sends, or what `find` says."""
    return vendor(submit={"post": "/exports", "json": body}, find=find or body, **parts)


SHOWN: dict[str, Json] = {
    "instants": vendor(),
    "numbers": asked({"type": "{type}", "from": "{start:unix_ms}", "to": "{end:unix_ms}"}),
    "in one text": asked({"type": "{type}", "span": "bwi:{start},{end}"}),
    "whole seconds, cut": asked(
        {"type": "{type}", "from": "{start:iso}", "to": "{end:iso}"}, window={"key": "moment", "by": "second"}
    ),
    "whole seconds, exclusive": asked(
        {"type": "{type}", "from": "{start:iso}", "to": "{until:iso}"},
        window={"key": "moment", "days": 31, "by": "second"},
    ),
    "dates": asked({"type": "{type}", "from": "{start:date}", "to": "{end:date}"}, window=DAY),
    "dates, exclusive": asked({"type": "{type}", "from": "{start:date}", "to": "{until:date}"}, window=DAY),
    "the fingerprint": vendor(
        submit={"post": "/exports", "json": {**SUBMIT["json"], "lines": "all", "label": "x {mark}"}},
        find={"from": "{start}", "to": "{end}", "label": "x {mark}"},
    ),
    "constants": asked({"type": "{type}", "lines": "all", "from": "{start}", "to": "{end}"}),
    "full": asked({"type": "{type}"}, window=None),
}
HIDDEN: dict[str, Json] = {
    "a param": asked({"type": "{type}", "columns": "{columns}", "from": "{start}", "to": "{end}"}, VENDOR["find"]),
    "a constant": asked({"type": "{type}", "lines": "all", "from": "{start}", "to": "{end}"}, VENDOR["find"]),
    "a header": vendor(submit={**SUBMIT, "headers": {"X-Zone": "{zone}"}}),
    "a part of the path": vendor(submit={**SUBMIT, "post": "/exports/{place}"}),
    "a bound": asked(SUBMIT["json"], {"type": "{type}", "from": "{start}"}),
    "its age": vendor(job={key: path for key, path in VENDOR["job"].items() if key != "created"}),
    "the kind of a full export": asked({"type": "{type}", "lines": "all"}, {"type": "{type}"}, window=None),
}


def runs(
    box: Sandbox,
    folder: Path,
    *entries: Json,
    **changes: Any,  # noqa: ANN401 - settings
) -> list[Ran]:
    """Return runs without STATE on machines of their own: each has its own ledger."""
    ledgers = (str(folder / f"ledger-{number}.json") for number in range(len(entries)))
    given = (config(box, entry=entry, ledger=path, **changes) for entry, path in zip(entries, ledgers, strict=True))
    return [tap(folder, {key: value for key, value in each.items() if value is not None}).succeeded() for each in given]


@pytest.mark.parametrize("case", SHOWN)
def test_jobs_that_exist_are_read(tmp_path: Path, case: str) -> None:
    """STATE is lost: the second run makes no job, and all rows arrive by it alone."""
    with served(SHOWN[case]) as box:
        first, again = runs(box, tmp_path, {}, {})
        assert landed(again) == truth(box)
        assert [r["job_id"] for r in receipts(again)] == [r["job_id"] for r in receipts(first)]
        assert box.spend()[NAME]["jobs_created"] == len(receipts(first))


@pytest.mark.parametrize("case", HIDDEN)
def test_a_job_that_hides_a_part_of_its_request_is_not_read(tmp_path: Path, case: str) -> None:
    """It may have been another request: new ones are made."""
    with served(HIDDEN[case]) as box:
        first, again = runs(box, tmp_path, {}, {})
        assert landed(again) == truth(box)
        assert box.spend()[NAME]["jobs_created"] == 2 * len(receipts(first))


def test_jobs_of_other_params_are_not_read(tmp_path: Path) -> None:
    """What the list shows is held against what is asked for."""
    with served(vendor()) as box:
        _, other = runs(box, tmp_path, {}, {"params": {"type": "other"}})
        assert landed(other) == truth(box)
        assert box.spend()[NAME]["jobs_created"] == 6


def test_a_last_window_is_read_and_the_rest_requested(tmp_path: Path) -> None:
    """A range without an end ends now, so its last window differs in each run: one job more covers what came since."""
    with served(vendor()) as box:
        first, again = runs(box, tmp_path, {}, {}, end_date=None)
        assert landed(again) == truth(box)
        assert box.spend()[NAME]["jobs_created"] == len(receipts(first)) + 1 == len(receipts(again))


def test_none_is_read_where_the_setting_says_so(tmp_path: Path) -> None:
    with served(vendor()) as box:
        runs(box, tmp_path, {}, {}, job_reuse_seconds=0)
        assert box.spend()[NAME]["jobs_created"] == 6
