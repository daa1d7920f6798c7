"""The sandbox's Closient against its documents."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from datetime import date
from typing import Any

import pytest
import requests
import yaml

from tap_exports.sandbox.ids import ALPHABET, long, named_uuid, short
from tests.sandbox.client import Client, Clients

PATH = "/dashboard/api/v1/data-export"
ACME, SOUND, BROKEN, LOAD, STRANGER = (
    short(named_uuid(f"closient {name}")) for name in ("acme", "sound", "broken", "load", "stranger")
)
FOREIGN_JOB, RUNNING_JOB, FAILED_JOB = (
    short(named_uuid(f"closient {name} job")) for name in ("foreign", "running", "failed")
)
SECTIONS = ["organization", "products", "brands", "locations", "certificates", "recalls"]
FIELDS = [
    "job_id",
    "status",
    "archive_format",
    "format_version",
    "file_size_bytes",
    "output_filename",
    "download_url",
    "expires_at",
    "sections",
    "error",
]


def create(client: Client, organization: str = ACME, **query: str) -> dict[str, Any]:
    reply = client.ask("POST", f"{PATH}/{organization}", params=query)
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()
    return made


def members(client: Client, organization: str = ACME, kind: str = "zip") -> dict[str, bytes]:
    made = create(client, organization, archive_format=kind)
    data = io.BytesIO(requests.get(made["download_url"], timeout=10).content)
    assert len(data.getvalue()) == made["file_size_bytes"]
    if kind == "zip":
        with zipfile.ZipFile(data) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=data, mode="r:gz") as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in files.items() if file}


def documents(text: bytes) -> list[Any]:
    """Return the records of one YAML file, as a reader has to tell them apart."""
    read = list(yaml.safe_load_all(text))
    return read[0] if len(read) == 1 and isinstance(read[0], list) else read


def test_job_answers_as_documented(clients: Clients) -> None:
    """Nullable fields are null until the job is completed; the size is 0."""
    client = clients("closient", job_polls=5)
    made = create(client)
    assert list(made) == FIELDS
    assert re.fullmatch(f"[{ALPHABET}]{{22}}", made["job_id"])
    assert (made["status"], made["archive_format"], made["format_version"]) == ("pending", "zip", "1.0")
    assert (made["file_size_bytes"], made["output_filename"], made["download_url"]) == (0, None, None)
    seen = [client.get(f"{PATH}/{ACME}/{made['job_id']}") for _ in range(5)]
    assert [row["status"] for row in seen] == ["pending", *["processing"] * 3, "completed"]
    last = seen[-1]
    assert last["output_filename"] == f"export-{made['job_id'][:8]}.zip"
    assert last["download_url"].startswith(client.box.files_url + "/closient/data-exports/")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", last["expires_at"])
    assert last["error"] is None


def test_sections_are_pending_first(clients: Clients) -> None:
    client = clients("closient", job_polls=1)
    made = create(client)
    assert {section["status"] for section in made["sections"]} == {"pending"}
    done = client.get(f"{PATH}/{ACME}/{made['job_id']}")["sections"]
    assert [section["key"] for section in done] == SECTIONS
    assert done[1] == {
        "key": "products",
        "status": "completed",
        "record_count": 24,
        "binary_count": 8,
        "error": None,
    }


def test_foreign_jobs_of_every_status(clients: Clients) -> None:
    client = clients("closient")
    found = [(row["organization_id"], row["status"], row["error"]) for row in client.box.truth("closient/jobs")]
    assert found == [
        (ACME, "completed", None),
        (ACME, "completed", None),
        (ACME, "failed", "Archive could not be stored"),
        (BROKEN, "processing", None),
    ]
    client.box.clock.advance(1800)
    assert client.get(f"{PATH}/{BROKEN}/{RUNNING_JOB}")["status"] == "processing"
    assert client.get(f"{PATH}/{ACME}/{FAILED_JOB}")["download_url"] is None


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archive_is_the_truth(clients: Clients, kind: str) -> None:
    """A manifest, one file per record or several documents or a list in one, and binary files."""
    client = clients("closient", job_seconds=0)
    files = members(client, kind=kind)
    manifest = yaml.safe_load(files.pop("manifest.yaml"))
    assert manifest["format_version"] == "1.0"
    assert manifest["sections"] == client.box.truth("closient/sections")
    found = {
        path: [_plain(record) for record in documents(text)] for path, text in files.items() if path.endswith(".yaml")
    }
    truth: dict[str, list[Any]] = {"recalls.yaml": []}
    for row in client.box.truth("closient/records"):
        truth.setdefault(row["path"], []).append(row["record"])
    assert found == truth
    binaries = {row["path"]: (row["bytes"], row["sha256"]) for row in client.box.truth("closient/files")}
    assert binaries == {
        path: (len(data), hashlib.sha256(data).hexdigest())
        for path, data in files.items()
        if not path.endswith(".yaml")
    }
    assert len(binaries) == 8 + 3


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in record.items()}


def test_archives_are_equal_byte_by_byte(clients: Clients) -> None:
    client = clients("closient", job_seconds=0)
    for kind in ("zip", "tar.gz"):
        urls = [create(client, archive_format=kind)["download_url"] for _ in range(2)]
        first, second = (requests.get(url, timeout=10) for url in urls)
        assert first.content == second.content
        assert first.headers["etag"] == second.headers["etag"]


def test_one_organization_has_a_failed_section(clients: Clients) -> None:
    client = clients("closient", job_seconds=0)
    made = create(client, BROKEN)
    assert made["status"] == "completed"
    failed = [section for section in made["sections"] if section["status"] == "failed"]
    assert [(section["key"], section["record_count"], bool(section["error"])) for section in failed] == [
        ("certificates", 0, True),
    ]
    assert not [path for path in members(client, BROKEN) if path.startswith("certificates")]


def test_any_section_may_fail(clients: Clients) -> None:
    client = clients("closient", job_seconds=0, knobs={"closient": {"failed_section": "brands"}})
    statuses = {section["key"]: section["status"] for section in create(client)["sections"]}
    assert [key for key, status in statuses.items() if status == "failed"] == ["brands"]


@pytest.mark.parametrize(
    ("files", "path", "count"),
    [("per_record", "brands/002.yaml", 1), ("per_section", "products.yaml", 24), ("mixed", "brands.yaml", 4)],
)
def test_spread_of_records(clients: Clients, files: str, path: str, count: int) -> None:
    client = clients("closient", job_seconds=0, knobs={"closient": {"files": files, "root": "acme"}})
    assert len(documents(members(client)[f"acme/{path}"])) == count


def test_count_error(clients: Clients) -> None:
    client = clients("closient", job_seconds=0, knobs={"closient": {"count_error": 3}})
    assert create(client)["sections"][0]["record_count"] == 1 + 3


def test_both_forms_of_ids(clients: Clients) -> None:
    client = clients("closient", job_seconds=0)
    assert short(long(ACME)) == ACME
    made = create(client, str(long(ACME)))
    by_uuid = client.get(f"{PATH}/{long(ACME)}/{long(made['job_id'])}")
    assert by_uuid["job_id"] == made["job_id"]


REFUSED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", f"{PATH}/{ACME}", {"headers": {"x-api-key": "csb_wrong"}}, 401, "UNAUTHORIZED"),
    ("POST", f"{PATH}/{STRANGER}", {}, 404, "NOT_FOUND"),
    ("POST", f"{PATH}/{LOAD}", {}, 404, "NOT_FOUND"),
    ("GET", f"{PATH}/{STRANGER}/{FOREIGN_JOB}", {}, 404, "NOT_FOUND"),
    ("GET", f"{PATH}/{BROKEN}/{FOREIGN_JOB}", {}, 404, "NOT_FOUND"),
    ("GET", f"{PATH}/{ACME}/{STRANGER}", {}, 404, "NOT_FOUND"),
    ("POST", f"{PATH}/acme", {}, 422, "VALIDATION_ERROR"),
    ("POST", f"{PATH}/{ACME[:-1]}0", {}, 422, "VALIDATION_ERROR"),
    ("POST", f"{PATH}/{'z' * 22}", {}, 422, "VALIDATION_ERROR"),
    ("GET", f"{PATH}/{ACME}/12", {}, 422, "VALIDATION_ERROR"),
    ("GET", f"{PATH}/{ACME}/not-a-uuid", {}, 422, "VALIDATION_ERROR"),
    ("POST", f"{PATH}/{ACME}?archive_format=rar", {}, 422, "VALIDATION_ERROR"),
    ("POST", f"{PATH}/{ACME}?format=zip", {}, 422, "VALIDATION_ERROR"),
    ("DELETE", f"{PATH}/{ACME}/{FOREIGN_JOB}", {}, 405, "ERROR"),
    ("POST", f"{PATH}/{ACME}/", {}, 404, "NOT_FOUND"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), REFUSED)
def test_refuses(clients: Clients, method: str, path: str, options: dict[str, Any], status: int, code: str) -> None:
    """Another's objects are 404, malformed ids 422; no job is made."""
    client = clients("closient")
    reply = client.ask(method, path, **options)
    error = reply.json()["error"]
    assert (reply.status_code, error["status"], error["code"]) == (status, status, code)
    assert list(error) == ["code", "message", "status", "details"]
    assert client.box.spend()["closient"] == {"jobs_created": 0}


def test_malformed_id_names_the_field(clients: Clients) -> None:
    error = clients("closient").ask("GET", f"{PATH}/{ACME}/x").json()["error"]
    assert [detail["field"] for detail in error["details"]] == ["job_id"]


def test_key_has_its_checksum(clients: Clients) -> None:
    prefix, body, checksum = clients("closient").box.key("closient").split("_")
    assert (prefix, len(body), int(checksum, 16)) == ("csb", 32, zlib.crc32(body.encode()))


def test_limits_are_told(clients: Clients) -> None:
    client = clients("closient")
    headers = client.ask("GET", f"{PATH}/{ACME}/{FOREIGN_JOB}").headers
    assert headers["ratelimit-policy"] == "300;w=60, 10000;w=86400"
    names = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "x-ratelimit-limit", "x-ratelimit-remaining")
    assert [headers[name] for name in names] == ["300", "299", "60", "300", "299"]
    now = client.box.clock.now().timestamp()
    assert now + 55 < int(headers["x-ratelimit-reset"]) < now + 65
    assert "ratelimit-limit" not in client.ask("GET", f"{PATH}/{ACME}", headers={"x-api-key": "x"}).headers


def test_minute_quota(clients: Clients) -> None:
    client = clients("closient", knobs={"closient": {"per_minute": 2}})
    statuses = [client.ask("GET", f"{PATH}/{ACME}/{FOREIGN_JOB}").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    client.box.clock.advance(60)
    assert client.ask("GET", f"{PATH}/{ACME}/{FOREIGN_JOB}").status_code == 200


def test_day_quota(clients: Clients) -> None:
    """When the day is used up the wait is hours."""
    client = clients("closient", knobs={"closient": {"per_day": 1}})
    assert create(client)["job_id"]
    client.box.clock.advance(120)
    reply = client.ask("POST", f"{PATH}/{ACME}")
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["details"]) == (429, "RATE_LIMITED", None)
    assert 86_200 < error["retry_after_seconds"] <= 86_280
    assert reply.headers["retry-after"] == str(error["retry_after_seconds"])
    assert reply.headers["ratelimit-limit"] == "1"


def test_whoami_names_the_organizations(clients: Clients) -> None:
    found = clients("closient").get("/account/api/v1/whoami")["organizations"]
    assert {row["id"] for row in found} == {ACME, SOUND, BROKEN}


def test_growth_is_two_products(clients: Clients) -> None:
    client = clients("closient", job_seconds=0)
    added = client.box.grow()["closient"]
    assert [row["section"] for row in added["records"]] == ["products", "products"]
    files = members(client)
    assert all(row["path"] in files for row in added["records"])
    old = client.get(f"{PATH}/{ACME}/{FOREIGN_JOB}")["sections"][1]
    assert (old["record_count"], create(client)["sections"][1]["record_count"]) == (24, 26)
    assert len(client.box.truth("closient/records", organization_id=ACME)) == 37


def test_failed_job_has_an_error(clients: Clients) -> None:
    faults = {"jobs": [{"provider": "closient", "outcome": "fail", "seconds": 0, "reason": "disk full"}]}
    made = create(clients("closient", faults=faults))
    assert (made["status"], made["error"], made["download_url"]) == ("failed", "disk full", None)


def test_generated_documents(clients: Clients) -> None:
    client = clients("closient", job_seconds=0, rows=2500)
    files = members(client, LOAD, "tar.gz")
    assert len(files) == 2500 + 1
    record = yaml.safe_load(files["trade_items/0002/00002499.yaml"])
    assert (record["gtin"], record["name"]) == ("00000000002499", "Trade item 2499")
