"""`replay`, `backfill` and `forget` change STATE so that the next run does what they say, and ask no provider."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.model import Request
from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Caller, Json
from tests.tap.harness import Ran, only, tap

INVOICES = "exelensia_export_invoices"
CONTACTS = "packagex_export_contacts"
COMPANIES = "cension_export_companies"
FEBRUARY = ("--from", "2024-02-01", "--to", "2024-02-29")
FEBRUARY_WINDOW = ("2024-02-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z")


def sandbox(**options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
    return Sandbox(SandboxOptions(**{"job_seconds": 0, **options}))


def config(box: Sandbox, provider: str, **changes: object) -> Json:
    return {**only(box.config(provider), provider), "progress": "never", **changes}


def bookmark(value: object, *, proven: Any = None, **ledger: Any) -> Json:  # noqa: ANN401 - any JSON
    """Return a bookmark with a ledger."""
    held = {"version": 2, "jobs": [], "delete": [], **ledger, **({"proven": proven} if proven else {})}
    return {"replication_key": "created_at", "replication_key_value": value, "ledger": held}


def windows(ran: Ran, stream: str) -> list[tuple[str, str]]:
    return [(r["window_start"], r["window_end"]) for r in ran.records["export_jobs"] if r["stream"] == stream]


def test_a_window_is_read_again_and_nothing_else(call: Caller, tmp_path: Path) -> None:
    """The run after it exports February only; the bookmark and all other streams end as they were."""
    with sandbox() as box:
        given = config(box, "exelensia", end_date="2026-06-30T00:00:00Z")
        before = tap(tmp_path, given).succeeded().states[-1]
        box.clear_requests()
        done = call("replay", INVOICES, *FEBRUARY, config=given, state=before)
        assert (done.code, box.requests()) == (0, [])
        changed = done.data
        again = tap(tmp_path, given, state=changed).succeeded()
        after = again.states[-1]
    assert windows(again, INVOICES) == [FEBRUARY_WINDOW]
    others = {name: each for name, each in before["bookmarks"].items() if name != INVOICES}
    assert {name: changed["bookmarks"][name] for name in others} == others
    key = "replication_key_value"
    assert after["bookmarks"][INVOICES][key] == before["bookmarks"][INVOICES][key]
    assert "proven" not in after["bookmarks"][INVOICES]["ledger"]
    assert len(again.records[INVOICES]) > 0
    assert "the next run reads 2024-02-01 to 2024-03-01 again" in done.err


def test_what_was_proven_beyond_a_gap_stays(call: Caller) -> None:
    """A gap, proven windows behind it, open jobs and lost replies are kept but for the range."""
    jobs = [{"id": "1", "fingerprint": "a", "window": ["2026-05-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z"]}]
    jobs[0]["requested_at"] = "2026-07-01T00:00:00.000Z"
    proven = [["2026-06-01T00:00:00.000Z", "2026-08-01T00:00:00.000Z"]]
    state = {"bookmarks": {INVOICES: bookmark("2026-05-01T00:00:00.000Z", proven=proven, jobs=jobs, delete=["0"])}}
    with sandbox() as box:
        given = config(box, "exelensia")
        found = call("replay", INVOICES, "--from", "2026-04-30", "--to", "2026-06-30", config=given, state=state).data
    own = found["bookmarks"][INVOICES]
    assert own["replication_key_value"] == "2026-04-30T00:00:00.000Z"
    assert own["ledger"]["proven"] == [["2026-07-01T00:00:00.000Z", "2026-08-01T00:00:00.000Z"]]
    assert (own["ledger"]["jobs"], own["ledger"]["delete"]) == (jobs, ["0"])


def test_a_range_within_what_is_proven_beyond_the_gap(call: Caller) -> None:
    """The bookmark stays where it is: only the proven set changes."""
    proven = [["2026-06-01T00:00:00.000Z", "2026-09-01T00:00:00.000Z"]]
    state = {"bookmarks": {INVOICES: bookmark("2026-05-01T00:00:00.000Z", proven=proven)}}
    with sandbox() as box:
        given = config(box, "exelensia")
        own = call("replay", INVOICES, "--from", "2026-07-01", "--to", "2026-07-31", config=given, state=state).data
    assert own["bookmarks"][INVOICES]["replication_key_value"] == "2026-05-01T00:00:00.000Z"
    assert own["bookmarks"][INVOICES]["ledger"]["proven"] == [
        ["2026-06-01T00:00:00.000Z", "2026-07-01T00:00:00.000Z"],
        ["2026-08-01T00:00:00.000Z", "2026-09-01T00:00:00.000Z"],
    ]


def test_followers_get_the_replayed_job(call: Caller, tmp_path: Path) -> None:
    """PackageX: the streams of errors read the job of the replayed window; they cannot be replayed themselves."""
    with sandbox() as box:
        given = config(box, "packagex", end_date="2026-06-30T00:00:00Z", settling_seconds=60)
        state = tap(tmp_path, given).succeeded().states[-1]
        refused = call("replay", f"{CONTACTS}_errors", *FEBRUARY, config=given, state=state)
        again = tap(
            tmp_path, given, state=call("replay", CONTACTS, *FEBRUARY, config=given, state=state).data
        ).succeeded()
    assert (refused.code, refused.out) == (1, "")
    assert "name that one" in refused.err
    assert windows(again, CONTACTS) == [FEBRUARY_WINDOW]


def test_runs_of_cension_are_read_again(call: Caller, tmp_path: Path) -> None:
    with sandbox() as box:
        given = config(box, "cension")
        before = tap(tmp_path, given).succeeded().states[-1]
        changed = call("replay", COMPANIES, "--from", "4830", "--to", "4839", config=given, state=before)
        again = tap(tmp_path, given, state=changed.data).succeeded()
        nothing = call("replay", COMPANIES, "--from", "1", "--to", "9", config=given, state=before)
        words = call("replay", COMPANIES, *FEBRUARY, config=given, state=before)
    assert {row["_sdc_operation_id"] for row in again.records[COMPANIES]} == {4836}
    assert again.states[-1]["bookmarks"][COMPANIES]["replication_key_value"] == 4840
    assert (nothing.code, words.code) == (1, 1)
    assert "no run of operation_ids in that range is proven" in nothing.err
    assert "this stream counts runs" in words.err


def test_a_run_below_the_bookmark_that_was_added_is_backfilled(call: Caller, tmp_path: Path) -> None:
    """The proven runs stay proven, the added one is read."""
    with sandbox() as box:
        given = config(box, "cension")
        added = min(r["operationId"] for r in box.truth("cension/operations") if r["status"] == "completed")
        given["cension"]["operation_ids"] = [4840]
        state = tap(tmp_path, given).succeeded().states[-1]
        given["cension"]["operation_ids"] = [added, 4840]
        numbers = ("--from", str(added), "--to", str(added))
        again = tap(tmp_path, given, state=call("backfill", COMPANIES, *numbers, config=given, state=state).data)
    assert {row["_sdc_operation_id"] for row in again.succeeded().records[COMPANIES]} == {added}


def test_lists_are_read_again_from_an_instant_on(call: Caller, tmp_path: Path) -> None:
    with sandbox() as box:
        given = config(box, "exelensia")
        state = tap(tmp_path, given).succeeded().states[-1]
        first = min(row["createdAt"] for row in box.truth("exelensia/files"))
        done = call("replay", "exelensia_files", "--from", first, "--to", "2026-12-31", config=given, state=state)
        again = tap(tmp_path, given, state=done.data).succeeded()
        assert len(again.records["exelensia_files"]) == len(box.truth("exelensia/files"))
    assert "the end of the range cannot be kept" in done.err


def test_february_before_the_first_window(call: Caller, tmp_path: Path) -> None:
    """A backfill reads its range only: what lies between it and start_date is left out; then the stream goes on."""
    with sandbox() as box:
        given = config(box, "exelensia", start_date="2024-06-01T00:00:00Z", end_date="2024-06-30T00:00:00Z")
        state = tap(tmp_path, given).succeeded().states[-1]
        done = call("backfill", INVOICES, *FEBRUARY, config=given, state=state)
        again = tap(tmp_path, given, state=done.data).succeeded()
        first = tap(tmp_path, given, state=call("backfill", INVOICES, *FEBRUARY, config=given).data).succeeded()
        late = call("backfill", INVOICES, "--from", "2024-06-02", "--to", "2024-06-03", config=given, state=state)
        early = call("replay", INVOICES, *FEBRUARY, config=given, state=state)
    assert windows(again, INVOICES) == [FEBRUARY_WINDOW]
    assert again.states[-1]["bookmarks"][INVOICES]["replication_key_value"] == "2024-06-30T00:00:00.000Z"
    assert windows(first, INVOICES) == [FEBRUARY_WINDOW, ("2024-06-01T00:00:00.000Z", "2024-06-30T00:00:00.000Z")]
    assert (late.code, early.code) == (1, 1)
    assert "replay reads again what was read" in late.err
    assert "backfill reads what lies before it" in early.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cornect_export_software", *FEBRUARY), "each run reads everything anyway"),
        (("exelensia_export_none", *FEBRUARY), "is not a stream of the configuration"),
        ((INVOICES, "--from", "2026-03-01", "--to", "soon"), '--to "soon" is not an ISO 8601 date-time'),
        ((INVOICES, "--from", "2026-03-02", "--to", "2026-02-01"), "--from must be before --to"),
        ((INVOICES, "--from", "2026-11-02", "--to", "2026-11-03"), "is proven: the next run reads it anyway"),
    ],
)
def test_what_cannot_be_replayed(call: Caller, arguments: tuple[str, ...], message: str) -> None:
    with sandbox() as box:
        state = {"bookmarks": {INVOICES: bookmark("2026-05-01T00:00:00.000Z")}}
        done = call("replay", *arguments, config=box.config(), state=state)
        assert (done.code, done.out, box.requests()) == (1, "", [])
    assert message in done.err


ENTRY = {"fingerprint": "a", "window": ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"]}
ENTRY["requested_at"] = "2026-07-01T00:00:00.000Z"
NEXT = {**ENTRY, "fingerprint": "b", "window": ["2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"]}
FULL = {**ENTRY, "fingerprint": "c", "window": None}
LEDGER = {"jobs": [{**ENTRY, "id": "1"}, {**NEXT, "id": "2"}], "intents": [FULL], "delete": ["0"], "closed": ["x"]}
STATE = {"bookmarks": {INVOICES: bookmark("2026-01-01T00:00:00.000Z", **LEDGER), "other": {"any": "thing"}}}


@pytest.mark.parametrize(
    ("arguments", "jobs", "intents", "delete"),
    [
        (("--job", "1"), ["2"], ["c"], ["0"]),
        (("--job", "0"), ["1", "2"], ["c"], []),
        (("--lost-reply",), ["1", "2"], [], ["0"]),
        (("--window", "2026-02-10/2026-02-11"), ["1"], ["c"], ["0"]),
        (("--window", "2026-01-10/2026-02-11"), [], ["c"], ["0"]),
    ],
)
def test_forgetting_a_part_of_the_ledger(
    call: Caller, arguments: tuple[str, ...], jobs: list[str], intents: list[str], delete: list[str]
) -> None:
    """Bookmark, closed jobs and all other streams stay."""
    done = call("forget", INVOICES, *arguments, state=STATE)
    own, expected = done.data["bookmarks"][INVOICES], copy.deepcopy(STATE)
    ledger = own["ledger"]
    assert [job["id"] for job in ledger["jobs"]] == jobs
    assert [intent["fingerprint"] for intent in ledger.get("intents", ())] == intents
    assert (ledger["delete"], ledger["closed"], done.code) == (delete, ["x"], 0)
    assert own["replication_key_value"] == "2026-01-01T00:00:00.000Z"
    assert done.data["bookmarks"]["other"] == expected["bookmarks"]["other"]


def test_a_whole_stream_is_forgotten(call: Caller) -> None:
    done = call("forget", INVOICES, state=STATE)
    assert done.data == {"bookmarks": {"other": {"any": "thing"}}}
    assert "the next run begins at start_date" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nobody",), 1, "nobody is not in the STATE; it has exelensia_export_invoices, other"),
        ((INVOICES, "--job", "9"), 1, "its open jobs: 1, 2"),
        ((INVOICES, "--window", "2020-01-01/2020-01-02"), 1, "holds nothing of that kind"),
        ((INVOICES, "--window", "2020-01-01"), 1, "is not START/END"),
        ((INVOICES, "--job", "1", "--lost-reply"), 2, "give one of"),
    ],
)
def test_what_cannot_be_forgotten(call: Caller, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = call("forget", *arguments, state=STATE)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_begin_of_cension_without_a_reply_is_settled(call: Caller, tmp_path: Path) -> None:
    """The run after the lost reply stops; once the reply is forgotten the next one begins a run and reads it."""
    start = {"endpoint": "horizontal/create", "body": {"feedId": 123, "projectId": 456, "ogIds": ["3", "1", "2"]}}
    with sandbox() as box:
        given = config(box, "cension", lost_reply_search_seconds=0)
        given["cension"] |= {"operation_ids": [], "exports": [{**given["cension"]["exports"][0], "start": start}]}
        intent = {
            "fingerprint": Request("cension", COMPANIES, start).fingerprint,
            "window": None,
            "requested_at": "2026-01-01T00:00:00.000Z",
        }
        state = {"bookmarks": {COMPANIES: {"ledger": {"version": 2, "jobs": [], "intents": [intent]}}}}
        stuck = [tap(tmp_path, given, state=state) for _ in range(2)]
        settled = call("forget", COMPANIES, "--lost-reply", config=given, state=state).data
        done = tap(tmp_path, given, state=settled)
    assert [ran.code for ran in stuck] == [1, 1]
    assert "forget" in stuck[0].stderr
    assert (done.code, len(done.records["export_jobs"])) == (0, 1)


def test_state_as_meltano_keeps_it_stays_so(call: Caller) -> None:
    """What came in `singer_state` goes out in it; otherwise --meltano wraps it. The advice names the command."""
    wrapped = call("forget", INVOICES, "--job", "1", state={"singer_state": STATE})
    asked = call("forget", INVOICES, "--job", "1", "--meltano", state=STATE)
    bare = call("forget", INVOICES, "--job", "1", state=STATE)
    assert wrapped.data == asked.data == {"singer_state": bare.data}
    assert "meltano state set --force --input-file" in wrapped.err


def test_the_output_is_whole_or_not_there(call: Caller, tmp_path: Path) -> None:
    """A file is replaced at once, readable by its owner; one that cannot be written is an error."""
    target = tmp_path / "next.json"
    target.write_text("old")
    done = call("forget", INVOICES, "--job", "1", "--output", str(target), state=STATE)
    assert (done.code, done.out, target.stat().st_mode & 0o777) == (0, "", 0o600)
    assert [job["id"] for job in json.loads(target.read_text())["bookmarks"][INVOICES]["ledger"]["jobs"]] == ["2"]
    failed = call("forget", INVOICES, "--output", str(tmp_path / "no" / "folder.json"), state=STATE)
    assert (failed.code, "cannot be written" in failed.err) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["next.json", "state.json"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("", "is empty"),
        ({"bookmarks": {INVOICES: {"ledger": {"version": 99}}}}, "upgrade this one"),
        ({"bookmarks": []}, "malformed"),
    ],
)
def test_a_state_that_cannot_be_read(call: Caller, state: object, message: str) -> None:
    done = call("forget", INVOICES, state=state)
    assert (done.code, done.out, message in done.err) == (1, "", True)


def test_without_state(call: Caller) -> None:
    done = call("forget", INVOICES)
    assert (done.code, "no STATE: give --state FILE" in done.err) == (1, True)


def test_state_of_an_older_version_is_taken_over(call: Caller) -> None:
    """A ledger of version 1 becomes version 2 with the change."""
    old = copy.deepcopy(STATE)
    old["bookmarks"][INVOICES]["ledger"]["version"] = 1
    ledger = call("forget", INVOICES, "--job", "1", state=old).data["bookmarks"][INVOICES]["ledger"]
    assert (ledger["version"], [job["id"] for job in ledger["jobs"]]) == (2, ["2"])


EMPTY_LEDGER = {"version": 2, "jobs": [], "delete": []}
SPOILT: dict[str, Any] = {
    "no object": 5,
    "an entry that nobody can read": {"ledger": {**EMPTY_LEDGER, "jobs": [{"id": 1}]}},
    "a version that nobody wrote": {"ledger": {"version": 0}},
    "a basis of numbers": {"basis": {"api_url": 5}, "ledger": EMPTY_LEDGER},
    "a bookmark that is no date": bookmark("soon"),
    "a bookmark beyond sense": bookmark("9999-01-01T00:00:00.000Z"),
    "an account with two partitions": {"partitions": [{"context": {"_sdc_account": "a"}}] * 2},
}


@pytest.mark.parametrize("name", SPOILT)
def test_three_runs_of_state_that_cannot_be_used(call: Caller, tmp_path: Path, name: str) -> None:
    """P11: both runs name the command that mends it; with what that writes the third one goes on.

    No other stream is read again.
    """
    with sandbox() as box:
        given = config(box, "exelensia", end_date="2026-06-30T00:00:00Z")
        good = tap(tmp_path, given).succeeded().states[-1]
        spoilt = {"bookmarks": {**good["bookmarks"], INVOICES: SPOILT[name]}}
        runs = [tap(tmp_path, given, state=spoilt) for _ in range(2)]
        mended = call("forget", INVOICES, config=given, state=spoilt)
        again = tap(tmp_path, given, state=mended.data).succeeded()
    for ran in runs:
        assert ran.code != 0
        assert f"`tap-exports forget {INVOICES}`" in ran.errors[0]
        assert not ran.records[INVOICES]
    assert INVOICES not in mended.data["bookmarks"]
    assert again.records[INVOICES]
    assert not again.records["exelensia_files"]
    assert not again.records["exelensia_export_companies"]


def test_two_streams_whose_state_cannot_be_used_are_dropped_one_by_one(call: Caller) -> None:
    """The other one stays as it came, whatever is wrong with it; one that is not there mends nothing."""
    state = {"bookmarks": {INVOICES: 5, "exelensia_files": {"ledger": []}, COMPANIES: bookmark(4840)}}
    with sandbox() as box:
        given = config(box, "exelensia")
        other = call("forget", "exelensia_results", config=given, state=state)
        first = call("forget", INVOICES, config=given, state=state)
        second = call("forget", "exelensia_files", state=first.data)
    assert (other.code, other.out) == (1, "")
    assert f"`tap-exports forget {INVOICES}`" in other.err
    assert first.data == {"bookmarks": {name: held for name, held in state["bookmarks"].items() if name != INVOICES}}
    assert second.data == {"bookmarks": {COMPANIES: bookmark(4840)}}


def test_a_bookmark_from_the_future_is_set_back(call: Caller, tmp_path: Path) -> None:
    """The command of the message, with a date: what is behind it is read again, and what comes later is not missed."""
    with sandbox() as box:
        given = config(box, "exelensia", end_date="2026-06-30T00:00:00Z")
        far = bookmark("2999-01-01T00:00:00.000Z")
        refused = tap(tmp_path, given, state={"bookmarks": {INVOICES: far}})
        words = refused.errors[0].partition("`tap-exports ")[2].partition("`")[0].replace("DATE", "2026-06-01").split()
        changed = call(*words, config=given, state={"bookmarks": {INVOICES: far}}).data
        again = tap(tmp_path, given, state=changed).succeeded()
    assert windows(again, INVOICES) == [("2026-06-01T00:00:00.000Z", "2026-06-30T00:00:00.000Z")]
    assert again.states[-1]["bookmarks"][INVOICES]["replication_key_value"] == "2026-06-30T00:00:00.000Z"


def test_what_was_passed_is_read_again_by_the_command_of_the_message(call: Caller, tmp_path: Path) -> None:
    """A job of others that was bad in two runs is passed; once it is whole, the command brings its rows."""
    with sandbox() as box:
        given = config(box, "packagex")
        entry = next(e for e in given["packagex"]["exports"] if e["name"] == "contacts")
        given["packagex"]["exports"] = [{**entry, "mode": "collect"}]
        cut = {"match": {"origin": "files"}, "action": {"replace": {"text": "["}}}
        box.set_faults({"faults": [cut]})
        first = tap(tmp_path, given)
        passed = tap(tmp_path, given, state=first.states[-1])
        state = passed.states[-1]
        box.set_faults({"faults": []})
        rest = tap(tmp_path, given, state=state).succeeded()
        words = passed.stderr.partition(f"`tap-exports replay {CONTACTS} ")[2].partition("`")[0].split()
        changed = call("replay", CONTACTS, *words, config=given, state=state)
        assert changed.code == 0, changed.err
        again = tap(tmp_path, given, state=changed.data).succeeded()
    jobs = [{row["_sdc_job_id"] for row in ran.records[CONTACTS]} for ran in (rest, again)]
    assert jobs[0] < jobs[1]
