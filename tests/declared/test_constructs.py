"""Each construct of the format, read forwards by the tap and backwards by the sandbox: all rows arrive, each once.

docs/declare.md names the construct behind each row of `CASES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tap_exports.engine.http.credentials import KeyedTransport
from tap_exports.engine.http.transport import Answer, OpensUrls
from tap_exports.providers.declared import streams
from tap_exports.sandbox.declared.access import KEY
from tap_exports.tap import TapExports
from tests.declared.vendors import (
    NAME,
    STREAM,
    VENDOR,
    config,
    landed,
    paths,
    receipts,
    served,
    truth,
    vendor,
)
from tests.tap.harness import Json, tap

Headers = Callable[[], Mapping[str, str]]
Noting = Callable[[str, Answer], None]
JOB, FILES = VENDOR["job"], VENDOR["files"]
PATH = "/exports/{id}/rows"
CHUNKS = "/exports/{id}/chunks/{next}"
ARRAYS: Json = {"at": "result.rows", "columns_at": "schema.columns[].name"}
CASES: dict[str, Json] = {
    "submit: form": {"submit": {"post": "/exports", "form": {"type": "{type}", "from": "{start}", "to": "{end}"}}},
    "submit: params, headers": {
        "submit": {
            "post": "/exports/{type}",
            "params": {"from": "{start:unix_ms}", "to": "{end:unix_ms}"},
            "headers": {"Idempotency-Key": "{mark}"},
        },
        "list": None,
        "find": None,
        "lost_reply": "repeat",
    },
    "forms of a date": {
        "submit": {"post": "/exports", "json": {"type": "{type}", "from": "{start:date}", "until": "{until:iso}"}},
        "window": {"key": "moment", "by": "day", "bounds": "half_open", "days": 31},
        "find": {"type": "{type}", "from": "{start:date}"},
    },
    "then": {"then": [{"post": "/exports/{id}/enqueue"}, {"put": "/exports/{id}/started", "json": {"by": "{mark}"}}]},
    "job: poll_after, also": {
        "job": {**JOB, "poll_after": "next_poll", "also": {"fileId": "file.id"}},
        "files": {"get": "/files/{fileId}", "url": "link", "not_ready": [409]},
    },
    "job: id in a header": {"job": {**JOB, "id": "header:Job-Id"}, "list": None, "find": None, "lost_reply": "stop"},
    "status: an HTTP status": {
        "job": {**JOB, "status": "header::status"},
        "status": {"202": "running", "200": "completed", "422": "failed"},
        "list": None,
        "find": None,
        "lost_reply": "repeat",
    },
    "poll: post with the id in the body": {"poll": {"post": "/exports/look", "json": {"job": "{id}"}, "at": "job"}},
    "poll: the list": {"poll": {"list": True}, "files": {"get": "/exports/{id}/file", "url": "link"}},
    "files: one of a projection": {"files": {**FILES, "url": "parts[0].url", "null_is_empty": True}},
    "files: keyed URL": {"files": {**FILES, "keyed": True}},
    "files: path": {"files": {"path": PATH, "format": "tsv"}},
    "files: path, chained by a header": {
        "files": {"path": PATH, "pages": {"next": "header:Locator", "param": "after"}}
    },
    "files: path, chained by the body": {
        "files": {
            "path": PATH,
            "format": "json",
            "pages": {"next": "next.page", "param": "after"},
            "rows": {"at": "data"},
        }
    },
    "files: path, counted": {
        "files": {"path": PATH, "format": "json", "pages": {"count": "parts", "param": "n", "first": 0}, "rows": ARRAYS}
    },
    "files: URLs, chained in the path": {
        "files": {"get": CHUNKS, "url": "links[].url", "pages": {"next": "links[-1].next", "first": 0}}
    },
    "files: URLs, chained by a parameter": {
        "files": {"get": "/exports/{id}/files", "url": "files[].url", "pages": {"next": "after", "param": "startAfter"}}
    },
    "rows: arrays": {"files": {**FILES, "format": "json", "rows": {"columns_at": "columns"}}},
    "rows: arrays within an object": {"files": {**FILES, "format": "json", "rows": ARRAYS}},
    "rows: objects within an object": {"files": {**FILES, "format": "json", "rows": {"at": "a.b.rows"}}},
    "format: jsonl": {"files": {**FILES, "format": "jsonl"}},
    "auth: query": {"auth": {"query": {"api_key": "{key}"}}},
    "auth: query, keyed file": {"auth": {"query": {"api_key": "{key}"}}, "files": {"path": PATH}},
    "auth: basic": {"auth": {"basic": {"user": "{user}", "password": "{password}"}}},
    "auth: body": {
        "auth": {"body": {"key": "{key}"}},
        "poll": {"post": "/exports/look", "json": {"id": "{id}"}},
        "list": None,
        "find": None,
        "lost_reply": "repeat",
    },
    "window: none": {
        "window": None,
        "submit": {"post": "/exports", "json": {"type": "{type}"}},
        "find": {"type": "{type}"},
    },
    "window: by second": {"window": {"key": "moment", "by": "second", "days": 31}},
    "limits": {"limits": {"jobs": 1, "per_minute": 600, "keep": "7 days"}},
}


@pytest.mark.parametrize("case", CASES)
def test_a_construct(tmp_path: Path, case: str) -> None:
    """All rows, each as it is at the source; and a second run of windows makes no job."""
    spec = vendor(**CASES[case])
    with served(spec) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert landed(ran) == truth(box)
        made = box.spend()[NAME]["jobs_created"]
        again = tap(tmp_path, config(box), state=ran.states[-1]).succeeded()
        assert landed(again) == ([] if "window" in spec else truth(box))
        assert box.spend()[NAME]["jobs_created"] - made == ("window" not in spec)


def test_headers_of_a_file_are_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With variables, which are the same for all jobs; a hole that only a job fills is an error before any request."""
    sent: list[Json] = []

    class Noted(KeyedTransport):
        def __init__(self, transport: OpensUrls, base: str, headers: Headers, note: Noting) -> None:
            sent.append(dict(headers()))
            super().__init__(transport, base, headers, note)

    spec = vendor(files={"path": PATH, "headers": {"Accept": "text/csv", "X-Team": "team {team}"}})
    with served(spec) as box:
        given = config(box, block={"variables": {"team": "7"}})
        assert landed(tap(tmp_path, given).succeeded()) == truth(box)
        monkeypatch.setattr(streams, "KeyedTransport", Noted)
        TapExports(config=given).discover_streams()
        assert sent[-1] == {"Accept": "text/csv", "X-Team": "team 7", "x-key": KEY}
        box.clear_requests()
        ran = tap(tmp_path, config(box))
        assert (ran.code, box.requests()) == (1, [])
        assert 'set "team" in `variables`: headers of files are the same for all jobs' in ran.stderr


BUSY = {"matches": "^429.*too many", "means": "busy", "wait": 0.1, "at_most": 1, "sample": "too many exports"}
SAME = {"matches": r"^409.*exists: (?P<id>\S+)", "means": "same", "sample": "exists: {id}"}
QUOTA = {"matches": "^402.*quota", "means": "quota", "sample": "quota used up"}
LARGE = {"matches": "^413.*too many rows", "means": "too_large", "sample": "too many rows"}
NOTHING = {"matches": "^422.*nothing", "means": "empty", "sample": "nothing to export"}
ALONE: Json = {"list": None, "find": None, "lost_reply": "repeat"}


def refusing(*cases: Json, **parts: object) -> Json:
    return vendor(submit={**VENDOR["submit"], "refusals": list(cases)}, **{**ALONE, **parts})


def test_busy_is_waited_for(tmp_path: Path) -> None:
    """Three windows, one job at a time: refusals are waited for, and all rows arrive."""
    with served(refusing(BUSY), job_seconds=0.5) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert landed(ran) == truth(box)
        assert (box.spend()[NAME]["jobs_created"], box.spend()[NAME]["refused"] > 0) == (3, True)


def test_the_same_job_is_adopted(tmp_path: Path) -> None:
    """A creation whose reply was lost is refused as a double the second time: no second job."""
    with served(refusing(SAME)) as box:
        box.set_faults({"faults": [{"match": {"method": "POST", "nth": 1}, "action": {"lose_reply": True}}]})
        ran = tap(tmp_path, config(box, lost_reply_search_seconds=0)).succeeded()
        assert landed(ran) == truth(box)
        assert (box.spend()[NAME]["jobs_created"], box.spend()[NAME]["refused"]) == (3, 1)


def test_a_range_that_is_too_large_is_cut(tmp_path: Path) -> None:
    """The refusal names no job and no quota: `window_size: auto` asks for less, and all rows arrive."""
    with served(refusing(LARGE), knobs={"most_rows": 80}) as box:
        plain = tap(tmp_path, config(box))
        assert (plain.code, landed(plain)) == (1, [])
        assert "`window_size: auto` by itself" in plain.stderr
        ran = tap(tmp_path, config(box, entry={"window_size": "auto"})).succeeded()
        assert landed(ran) == truth(box)
        assert all(receipt["rows"] <= 80 for receipt in receipts(ran) if receipt["status"] == "completed")


def test_a_quota_that_is_used_up_is_no_loss(tmp_path: Path) -> None:
    """The run stops behind what it has; the next one, after the quota is raised, goes on there."""
    with served(refusing(QUOTA), knobs={"most_jobs": 2}) as box:
        first = tap(tmp_path, config(box, max_concurrent_jobs=1))
        assert first.code == 1
        assert "a later run goes on" in first.stderr
        assert 0 < len(landed(first)) < len(truth(box))
        assert box.spend()[NAME]["jobs_created"] == 2


def test_a_window_without_rows_is_proven_by_a_refusal(tmp_path: Path) -> None:
    """The API makes no job where there is nothing to export."""
    with served(refusing(NOTHING), knobs={"rows": 0}) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert [(r["status"], r["rows"]) for r in receipts(ran)] == [("completed", 0)] * 3
        assert box.spend()[NAME]["jobs_created"] == 0
        again = tap(tmp_path, config(box), state=ran.states[-1]).succeeded()
        assert receipts(again) == []


@pytest.mark.parametrize(
    ("level", "parts"),
    [
        ("A", {"job": {**JOB, "rows": "count"}}),
        ("A", {"proof": {"rows": "counts.rows"}}),
        ("A", {"proof": {"sha256": "checksum"}}),
        ("B", {}),
    ],
)
def test_proof_levels(tmp_path: Path, level: str, parts: Json) -> None:
    """A for a count or a checksum that is declared, B for a proper end; in each receipt."""
    with served(vendor(**parts)) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert landed(ran) == truth(box)
        assert [receipt["proof"] for receipt in receipts(ran)] == [level] * 3


@pytest.mark.parametrize(
    ("parts", "knob", "words"),
    [
        ({"proof": {"rows": "counts.rows"}}, {"count_error": 1}, "the provider counts"),
        ({"proof": {"sha256": "checksum"}}, {"digest_error": True}, "SHA-256 that the provider gives"),
    ],
)
def test_a_proof_that_fails_moves_no_bookmark(tmp_path: Path, parts: Json, knob: Json, words: str) -> None:
    """The window stays open, and the message says why."""
    with served(vendor(**parts), knobs=knob) as box:
        ran = tap(tmp_path, config(box))
        assert ran.code == 1
        assert words in ran.stderr
        assert "replication_key_value" not in ran.states[-1]["bookmarks"].get(STREAM, {})


def test_rows_left_out_are_said(tmp_path: Path) -> None:
    """`proof.truncated`: by default no such window is read; `verify_counts: warn` takes its rows, and says so."""
    with served(vendor(proof={"truncated": "cut"}), knobs={"truncated": True}) as box:
        fixed = {"window_size": "fixed"}
        refused = tap(tmp_path, config(box, entry=fixed))
        assert (refused.code, landed(refused), "left rows out" in refused.stderr) == (1, [], True)
        ran = tap(tmp_path, config(box, entry=fixed, verify_counts="warn")).succeeded()
        assert landed(ran) == truth(box)
        assert "left rows out of it, which are lost" in ran.stderr


def test_a_failed_job_by_its_http_status_is_no_success(tmp_path: Path) -> None:
    """422 is a word of the status map: the job failed, its reason is in the receipt, the bookmark stays."""
    spec = vendor(**CASES["status: an HTTP status"])
    with served(spec, faults={"jobs": [{"provider": NAME, "nth": 1, "outcome": "fail", "reason": "no disk"}]}) as box:
        ran = tap(tmp_path, config(box, max_attempts=2))
        failed = [receipt for receipt in receipts(ran) if receipt["status"] == "failed"]
        assert (ran.code, len(failed), "no disk" in failed[0]["reason"]) == (1, 1, True)
        again = tap(tmp_path, config(box), state=ran.states[-1]).succeeded()
        assert landed(ran, again) == truth(box)


EACH = {"of": "profiles", "as": "profile"}
PER_ITEM = {"post": "/profiles/{profile}/exports", "json": {"type": "{type}", "from": "{start}", "to": "{end}"}}


def test_one_job_per_item(tmp_path: Path) -> None:
    """Each item is a stream with windows, bookmark and jobs of its own; together they have all rows."""
    streams = (f"{STREAM}_one", f"{STREAM}_two")
    with served(vendor(each=EACH, submit=PER_ITEM, **ALONE)) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert landed(ran, streams=streams) == truth(box)
        assert all(ran.records[stream] for stream in streams)
        assert box.spend()[NAME]["jobs_created"] == 6
        again = tap(tmp_path, config(box), state=ran.states[-1]).succeeded()
        assert (landed(again, streams=streams), box.spend()[NAME]["jobs_created"]) == ([], 6)


def test_an_item_that_fails_holds_back_no_other(tmp_path: Path) -> None:
    """The second one is proven though the first one's jobs fail."""
    match = {"origin": "api", "method": "POST", "path": "/profiles/one/*"}
    with served(vendor(each=EACH, submit=PER_ITEM, **ALONE)) as box:
        box.set_faults({"faults": [{"match": match, "action": {"status": 400}}]})
        ran = tap(tmp_path, config(box))
        bookmarks = ran.states[-1]["bookmarks"]
        assert ran.code == 1
        assert "replication_key_value" in bookmarks[f"{STREAM}_two"]
        assert "replication_key_value" not in bookmarks.get(f"{STREAM}_one", {})


def test_lookback_of_the_declaration_requests_days_again(tmp_path: Path) -> None:
    """Late rows: the next run begins so many days before the bookmark; the entry's own goes before it."""
    with served(vendor(window={"key": "moment", "days": 31, "lookback": 5})) as box:
        state = tap(tmp_path, config(box)).succeeded().states[-1]
        later = config(box, end_date="2026-04-05")
        (window,) = receipts(tap(tmp_path, later, state=state).succeeded())
        assert window["window_start"].startswith("2026-03-26")
        none = config(box, entry={"lookback": 0}, end_date="2026-04-05")
        (window,) = receipts(tap(tmp_path, none, state=state).succeeded())
        assert window["window_start"].startswith("2026-03-31")


def test_limits_of_the_declaration_hold(tmp_path: Path) -> None:
    """One job at a time although four are allowed: never two at once, so that nothing is refused."""
    refused = refusing(BUSY, limits={"jobs": 1})
    with served(refused, job_seconds=0.3) as box:
        ran = tap(tmp_path, config(box, max_concurrent_jobs=4)).succeeded()
        assert landed(ran) == truth(box)
        assert box.spend()[NAME]["refused"] == 0


def test_errors_within_a_success(tmp_path: Path) -> None:
    """A reply of status 200 with `errors_at` is a refusal, not a job."""
    parts = {"errors_at": ["errors[].message"], "limits": {"jobs": 4}}
    with served(refusing({**BUSY, "matches": "too many"}, **parts), job_seconds=0.3) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert landed(ran) == truth(box)
        assert box.spend()[NAME]["refused"] > 0


def test_a_job_is_deleted_after_load(tmp_path: Path) -> None:
    """In the run after the one that proved its window, and only jobs that the tap made."""
    with served(vendor(delete={"delete": "/exports/{id}"})) as box:
        first = tap(tmp_path, config(box, entry={"delete_after_load": True})).succeeded()
        assert paths(box, "DELETE") == []
        tap(tmp_path, config(box, entry={"delete_after_load": True}), state=first.states[-1]).succeeded()
        assert len(paths(box, "DELETE")) == 3
