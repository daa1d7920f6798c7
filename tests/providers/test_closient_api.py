"""Closient: pure functions against the documented shapes, and the verbs against scripted replies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, cast
from uuid import UUID

import pytest

from tap_exports.engine.api import Finds, FreeToRepeat
from tap_exports.engine.archive import Inventory, Section, Survey
from tap_exports.engine.http import Client, Reply
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.model import Job, Request, Status
from tap_exports.errors import BadContentError, JobLostError, NotFoundError, NotReadyError
from tap_exports.providers.closient.api import (
    STATUSES,
    ClosientApi,
    export_row,
    normalised,
    parse_error,
    parse_job,
    parse_sections,
    unwrap,
)
from tap_exports.providers.closient.streams import given, requests
from tests.engine.fakes import FakeClock

PATH = "/dashboard/api/v1/data-export"
# The sample of the documents: `status` and `archive_format` are required there, and missing in it.
SAMPLE = {
    "job_id": "<string>",
    "format_version": "<string>",
    "file_size_bytes": 123,
    "output_filename": "<string>",
    "download_url": "<string>",
    "expires_at": "<string>",
    "sections": [
        {"key": "<string>", "status": "<string>", "record_count": 123, "binary_count": 123, "error": "<string>"}
    ],
    "error": "<string>",
}
JOB_ID = "7U3BhkVtwdWYXJpsskeLJ6"
DONE = {
    "job_id": JOB_ID,
    "status": "completed",
    "archive_format": "tar.gz",
    "format_version": "1.0",
    "file_size_bytes": 6470,
    "output_filename": "export.tar.gz",
    "download_url": "https://files.example/x?sig=1",
    "expires_at": "2026-11-22T05:37:28Z",
    "sections": [
        {"key": "products", "status": "completed", "record_count": 5, "binary_count": 2, "error": None},
        {"key": "certificates", "status": "failed", "record_count": 0, "binary_count": 0, "error": "timed out"},
    ],
    "error": None,
}
NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {}, json.dumps(body).encode(), "closient: GET /x")


class Scripted:
    """A client that answers by path and writes down what was sent."""

    time = ProviderClock("provider", FakeClock())

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers = answers
        self.sent: list[tuple[Any, ...]] = []

    def send(self, method: str, path: str, *, params: object = None, idempotent: bool = True) -> Reply:
        self.sent.append((method, path, params, idempotent))
        return self._answer(path)

    def get(self, path: str) -> Reply:
        self.sent.append(("GET", path))
        return self._answer(path)

    def _answer(self, path: str) -> Reply:
        if path not in self.answers:
            raise NotFoundError(path)
        return reply(self.answers[path])


def scripted(answers: Mapping[str, object], *organizations: str) -> tuple[ClosientApi, Scripted]:
    client = Scripted(answers)
    return ClosientApi(cast("Client", client), organizations), client


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("4171faaa-2fd4-44a1-9fe7-8432af20cd03", "Deien7FAE7teFXrDSMkavP"),
        ("4171FAAA2FD444A19FE78432AF20CD03", "Deien7FAE7teFXrDSMkavP"),
        (" Deien7FAE7teFXrDSMkavP ", "Deien7FAE7teFXrDSMkavP"),
        ("00000000-0000-0000-0000-000000000000", "2" * 22),
        ("00000000-0000-0000-0000-000000000001", "2" * 21 + "3"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "oZEq7ovRbLq6UnGMPwc8B5"),
        ("acegh3467jkp", "acegh3467jkp"),
        ("", ""),
    ],
)
def test_ids_are_taken_in_every_documented_form(given: str, expected: str) -> None:
    """A UUID becomes a shortuuid of 22 characters; a third form is only ever passed on."""
    assert normalised(given) == expected


def test_a_shortuuid_is_the_uuid_in_base_57() -> None:
    text = normalised(str(UUID("4171faaa-2fd4-44a1-9fe7-8432af20cd03")))
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = sum(alphabet.index(c) * 57**n for n, c in enumerate(reversed(text)))
    assert UUID(int=number) == UUID("4171faaa-2fd4-44a1-9fe7-8432af20cd03")


def test_one_organization_named_twice_is_asked_once() -> None:
    block = {"job_ids": [JOB_ID, JOB_ID, "4171faaa-2fd4-44a1-9fe7-8432af20cd03"]}
    assert [job.id for _, job in given(block)] == [JOB_ID, "Deien7FAE7teFXrDSMkavP"]
    assert requests({}, ["o"])[0].params == {"organization_id": "o", "archive_format": "zip"}


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_each_documented_status_is_known(word: str, status: Status) -> None:
    job = parse_job({**DONE, "status": word}, "o")
    assert (job.status, job.raw_status, job.status.is_terminal) == (status, word, word in {"completed", "failed"})


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "COMPLETED"}, Status.COMPLETED),
        ({"status": "archived"}, Status.UNKNOWN),
        ({"status": None}, Status.COMPLETED),
        ({"status": None, "download_url": None}, Status.PENDING),
        ({"status": None, "download_url": None, "error": "no room"}, Status.FAILED),
    ],
)
def test_a_status_that_is_missing_is_told_by_the_rest(changes: dict[str, Any], status: Status) -> None:
    """The documented sample has none; an unknown word is never success."""
    assert parse_job({**DONE, **changes}, "o").status is status


def test_the_documented_sample_is_read() -> None:
    job = parse_job(unwrap(reply(SAMPLE)), "o")
    assert (job.id, job.status, job.reason) == ("<string>", Status.COMPLETED, "<string>")
    assert parse_job(unwrap(reply({"data": SAMPLE})), "o") == job


def test_a_failed_section_is_a_warning() -> None:
    assert parse_job(DONE, "o").warnings == ('section certificates is "failed": timed out',)


def test_progress_moves_with_sections_and_size() -> None:
    before, after = parse_job({**DONE, "sections": []}, "o"), parse_job(DONE, "o")
    assert before.progress != after.progress == parse_job(DONE, "o").progress


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("x", None),
        ([], ()),
        ([{"key": "a", "record_count": 1}], (Section("a", None, 1),)),
        ([{"name": "a", "error": ""}, "odd"], (Section("a"),)),
        (
            {"a": {"status": "completed", "binary_count": 2}, "b": None},
            (Section("a", "completed", None, 2), Section("b")),
        ),
    ],
)
def test_sections_are_a_list_or_a_mapping(value: object, expected: object) -> None:
    """The manifest's layout is not documented, and the job's list is not marked as required."""
    assert parse_sections(value) == expected


def test_what_a_job_and_a_manifest_say_of_the_archive() -> None:
    api, _ = scripted({})
    assert api.inventory(parse_job({**DONE, "sections": None}, "o")) == Inventory(None, 6470)
    assert api.inventory(parse_job({**DONE, "file_size_bytes": 0}, "o")).size is None
    found = Survey("", "manifest.yaml", {"sections": DONE["sections"]}, 1)
    assert api.manifest(found).keys == {"products", "certificates"}
    assert api.constants(parse_job(DONE, "o")) == {"job_id": JOB_ID, "organization_id": "o"}


def test_the_url_is_never_a_column() -> None:
    """The row has when the tap asked; a job of job_ids was asked for by somebody else."""
    job = parse_job(DONE, "o")
    own = Outcome(Request("closient", "closient_exports", {"organization_id": "o"}), job, NOW, 0.0, 1)
    others = Outcome(Request("closient", "closient_exports", {"job_id": JOB_ID}), job, NOW, 0.0, 0)
    fields = {k: DONE[k] for k in DONE if k not in {"download_url", "sections", "job_id"}}
    assert export_row(own) == {"requested_at": "2026-11-22T00:00:00.000Z", **fields}
    assert export_row(others)["requested_at"] is None


def test_an_export_is_asked_for_as_documented() -> None:
    """POST without a body, the container in the query, no slash at the end; never repeated by the client."""
    api, client = scripted({f"{PATH}/o1": {**DONE, "status": "pending"}}, "o1")
    job = api.submit(Request("closient", "s", {"organization_id": "o1", "archive_format": "tar.gz"}))
    assert client.sent == [("POST", f"{PATH}/o1", {"archive_format": "tar.gz"}, False)]
    assert (job.id, job.status, job.data["organization_id"]) == (JOB_ID, Status.PENDING, "o1")


def test_a_second_job_is_declared_free() -> None:
    """There is no list to find a job in, and no need for one."""
    api, _ = scripted({})
    assert isinstance(api, FreeToRepeat)
    assert not isinstance(api, Finds)


def test_a_job_is_polled_at_its_own_organization() -> None:
    api, client = scripted({f"{PATH}/o2/{JOB_ID}": DONE}, "o1", "o2")
    assert api.poll(Job(JOB_ID, Status.PENDING, data={"organization_id": "o2"})).status is Status.COMPLETED
    assert client.sent == [("GET", f"{PATH}/o2/{JOB_ID}")]


def test_a_given_job_is_looked_for_once() -> None:
    """A job of another organization answers 404, so each is asked; what is found is remembered."""
    api, client = scripted({f"{PATH}/o2/{JOB_ID}": DONE}, "o1", "o2")
    for _ in range(3):
        api.poll(Job(JOB_ID, Status.PENDING))
    assert [path for _, path in client.sent] == [f"{PATH}/o1/{JOB_ID}", *[f"{PATH}/o2/{JOB_ID}"] * 3]


def test_a_job_that_nobody_has_is_lost() -> None:
    api, _ = scripted({}, "o1", "o2")
    with pytest.raises(JobLostError, match=rf"^closient: export {JOB_ID} is not known to any of organization_ids$"):
        api.poll(Job(JOB_ID, Status.PENDING))
    with pytest.raises(JobLostError, match=r"is not known to o2$"):
        api.poll(Job(JOB_ID, Status.PENDING, data={"organization_id": "o2"}))


def test_each_look_gives_a_fresh_url() -> None:
    api, client = scripted({f"{PATH}/o/{JOB_ID}": DONE}, "o")
    (file,) = api.open(Job(JOB_ID, Status.COMPLETED))
    assert (file.name, file.url, file.format) == ("export.tar.gz", DONE["download_url"], "archive")
    assert "sig" not in repr(file)
    assert len(client.sent) == 1


def test_a_completed_job_without_a_url_is_not_ready() -> None:
    api, _ = scripted({f"{PATH}/o/{JOB_ID}": {**DONE, "download_url": None}}, "o")
    with pytest.raises(NotReadyError, match="has no download_url"):
        api.open(Job(JOB_ID, Status.COMPLETED))


@pytest.mark.parametrize("body", [[], {}, {"data": []}, {"job_id": ""}, "x"])
def test_a_reply_without_a_job_is_refused(body: object) -> None:
    with pytest.raises(BadContentError, match="an object with job_id is due, got "):
        unwrap(reply(body))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "NOT_FOUND", "message": "No", "status": 404, "details": None}, ("NOT_FOUND", "No")),
        (
            {"code": "VALIDATION_ERROR", "message": "Bad", "details": [{"field": "organization_id", "message": "odd"}]},
            ("VALIDATION_ERROR", "Bad; organization_id odd"),
        ),
    ],
)
def test_errors_say_code_message_and_fields(error: object, expected: tuple[str, str]) -> None:
    assert parse_error(reply({"error": error}, 400)) == expected


def test_ids_from_outside_stay_one_part_of_the_path() -> None:
    api, client = scripted({}, "../x?y")
    with pytest.raises(JobLostError):
        api.poll(Job("a/b", Status.PENDING))
    assert client.sent == [("GET", f"{PATH}/..%2Fx%3Fy/a%2Fb")]
