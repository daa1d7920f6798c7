"""STATE that was made with other settings is never taken over in silence."""

from __future__ import annotations

from typing import Any

import pytest

from tap_exports.engine.ledger import StreamState, basis_of
from tap_exports.engine.model import Request
from tap_exports.engine.run.mismatch import check_bookmark, settle
from tap_exports.errors import StateError
from tests.engine.scripted import NOW, job

Raw = dict[str, Any]
SETTINGS = {"api_url": "https://api.example.com", "account": "w1", "mode": "create", "schema_id": "s1", "options": {}}
JOB = Request("p", "s", {"schema_id": "s1"})


def state_of(bookmark: Raw, key: str | None = "created_at", **changes: object) -> StreamState:
    settings = {k: v for k, v in {**SETTINGS, **changes}.items() if v is not ...}
    return StreamState.detached("s", bookmark).on(basis_of(settings), key)


def proven(**more: Any) -> Raw:  # noqa: ANN401 - JSON
    """Return what a run leaves that has proven a window."""
    bookmark: Raw = {}
    state_of(bookmark).advance("created_at", "2026-07-01T00:00:00.000Z")
    return {**bookmark, **more}


def settled(bookmark: Raw, policy: str = "stop", *, keeps_jobs: bool = False, **changes: Any) -> Raw:  # noqa: ANN401 - JSON
    state = state_of(bookmark, **changes)
    settle("s", state, policy, keeps_jobs=keeps_jobs)
    state.take_over()  # as at the end of the stream
    return bookmark


def test_the_first_change_says_what_the_bookmark_is_about() -> None:
    """Nothing is written for a stream without STATE; then ids stand as they are, and what is not set as empty text."""
    assert settled({}) == {}
    assert proven()["basis"] == {**SETTINGS, "options": ""}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_id": "s2"}, 'schema_id was "s1" and is "s2"'),
        ({"mode": "collect"}, 'mode was "create" and is "collect"'),
        ({"api_url": "http://127.0.0.1:8700"}, 'api_url was "https://api.example.com" and is "http://127.0.0.1:8700"'),
        ({"account": "w2"}, 'account was "w1" and is "w2"'),
        ({"options": {"status": "x"}}, 'options was not set and is "sha256:'),
        ({"key": "updated_at"}, 'replication_key was "created_at" and is "updated_at"'),
    ],
    ids=str,
)
def test_what_differs_stops_the_stream(changes: Raw, said: str) -> None:
    """Both values are in the message, and the ways out; STATE stays as it was."""
    bookmark = proven()
    with pytest.raises(StateError) as caught:
        settled(bookmark, **changes)
    assert said in caught.value.message
    assert "`state_mismatch: restart`" in caught.value.message
    assert "`state_mismatch: keep`" in caught.value.message
    assert bookmark == proven()


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"options": {"a": 1, "b": [2]}}, {"options": {"b": [2], "a": 1}}),
        ({"options": None}, {"options": {}}),
        ({"schema_id": 12}, {"schema_id": "12"}),
        ({"account": "w1"}, {"account": ...}),
        ({"account": ...}, {"account": "w1"}),
    ],
    ids=str,
)
def test_what_means_the_same_stops_nothing(before: Raw, now: Raw) -> None:
    """The order of keys, and an account that cannot be told now or could not be told then."""
    bookmark: Raw = {}
    state_of(bookmark, **before).advance("created_at", "2026-07-01T00:00:00.000Z")
    settled(bookmark, **now)
    assert bookmark["replication_key_value"] == "2026-07-01T00:00:00.000Z"


def test_state_of_an_older_version_is_taken_over_and_gets_its_basis() -> None:
    older = {"replication_key": "created_at", "replication_key_value": "2026-07-01T00:00:00.000Z"}
    assert settled(dict(older)) == proven()
    assert settled({**older, "basis": {"schema_id": "s1"}}) == proven()


def test_a_change_adds_what_an_older_version_did_not_know() -> None:
    """Even where the stream fails later on, the basis stands in each STATE that it changed."""
    bookmark: Raw = {"replication_key": "created_at", "basis": {"schema_id": "s1"}}
    state_of(bookmark).advance("created_at", "2026-07-01T00:00:00.000Z")
    assert bookmark == proven()


def test_an_older_state_with_another_key_stops() -> None:
    """STATE has always named its replication key."""
    with pytest.raises(StateError, match="replication_key"):
        settled({"replication_key": "updated_at", "replication_key_value": "2026-07-01T00:00:00.000Z"})


def test_keep_goes_on_and_is_asked_no_more() -> None:
    """The bookmark stays, with the basis of the new settings."""
    bookmark = settled(proven(), "keep", schema_id="s2", key="updated_at")
    assert bookmark["replication_key_value"] == "2026-07-01T00:00:00.000Z"
    settled(bookmark, schema_id="s2", key="updated_at")


def test_restart_begins_anew_and_is_asked_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """Bookmark, what is proven and open jobs are gone, the log names them; the next run with the setting goes on."""
    bookmark = proven()
    state_of(bookmark).opened(JOB, job("j1"), NOW)
    settled(bookmark, "restart", schema_id="s2")
    assert (bookmark, "jobs that are no longer read: j1" in caplog.text) == ({}, True)
    state_of(bookmark, schema_id="s2").advance("created_at", "2026-07-02T00:00:00.000Z")
    settled(bookmark, "restart", schema_id="s2")
    assert bookmark["replication_key_value"] == "2026-07-02T00:00:00.000Z"


@pytest.mark.parametrize(("changes", "left"), [({"schema_id": "s2"}, ["j0"]), ({"account": "w2"}, [])], ids=str)
def test_jobs_to_delete_are_those_of_the_same_account(changes: Raw, left: list[str]) -> None:
    """An id of one account may be somebody else's job at another."""
    bookmark = proven()
    state_of(bookmark).delete_later("j0")
    settled(bookmark, "restart", **changes)
    assert state_of(bookmark).deletions == left


def test_without_anything_proven_a_stream_begins_anew_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """No row can be skipped: a full export, or a first window that was never read."""
    bookmark: Raw = {}
    state_of(bookmark).opened(JOB, job("j1"), NOW)
    assert settled(bookmark, api_url="https://other.example.com") == {}
    assert "begins anew (nothing was proven with them), jobs that are no longer read: j1" in caplog.text


def test_jobs_that_count_are_not_dropped() -> None:
    """An open job that was paid for, or that another stream made, is kept until the setting says otherwise."""
    bookmark: Raw = {}
    state_of(bookmark).opened(JOB, job("j1"), NOW)
    with pytest.raises(StateError):
        settled(bookmark, keeps_jobs=True, schema_id="s2")
    assert [entry.id for entry in state_of(bookmark).entries] == ["j1"]


def test_a_read_of_everything_stops_at_nothing() -> None:
    """With FULL_TABLE each run reads all, whatever the bookmark."""
    bookmark = proven()
    settle("s", state_of(bookmark, schema_id="s2").reading_all(enabled=True), "stop", keeps_jobs=False)
    assert bookmark == {}


@pytest.mark.parametrize("basis", [[], {"api_url": 1}, "x"], ids=str)
def test_a_basis_of_another_shape_is_malformed(basis: object) -> None:
    with pytest.raises(StateError, match="must be an object of texts"):
        state_of({"basis": basis})


def test_long_and_strange_values_are_digests() -> None:
    """What is no plain id or word, such as filters, cannot be read from STATE."""
    values = {"a": {"email": "someone@example.com"}, "b": "two words", "c": "x" * 81, "d": ["s1"]}
    assert all(text.startswith("sha256:") and len(text) == 23 for text in basis_of(values).values())


@pytest.mark.parametrize(
    "value", ["9999-12-31T23:59:59Z", "2199-01-01", "2026-07-05T00:00:00Z", "0001-01-01T00:00:00Z"]
)
def test_a_bookmark_beyond_sense_is_refused(value: str) -> None:
    """Nothing would be read until then with exit code 0, or thousands of empty windows."""
    with pytest.raises(StateError, match=f"STATE of s: the bookmark {value} lies beyond what a run can have proven"):
        check_bookmark("s", state_of({"replication_key_value": value}), NOW)


@pytest.mark.parametrize("value", [None, 7, "7", "x", "2026-07-03T20:00:00Z", "1900-01-01"])
def test_a_bookmark_that_a_run_may_have_left_is_taken(value: object) -> None:
    """Numbers are no dates, what is no date is refused where it is read, and a clock may have been set back."""
    check_bookmark("s", state_of({"replication_key_value": value}), NOW)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("3d", "2d", 'cells was "3d" and is "2d"'),
        (None, "2d", 'cells was not set and is "2d"'),
        ("3d", None, ""),
        (..., "2d", ""),
        ("2d", "2d", ""),
    ],
    ids=str,
)
def test_windows_that_are_cut_elsewhere_are_said_once(
    caplog: pytest.LogCaptureFixture, before: object, now: object, said: str
) -> None:
    """Rows that are read again come under other keys, which is no loss: the stream goes on, and says so."""
    bookmark: Raw = {}
    state_of(bookmark, cells=before).advance("created_at", "2026-07-01T00:00:00.000Z")
    settled(bookmark, cells=now)
    assert (said in caplog.text) if said else not caplog.text
    caplog.clear()
    settled(bookmark, cells=now)
    assert (bookmark["replication_key_value"], caplog.text) == ("2026-07-01T00:00:00.000Z", "")
