"""Every action and every match of the fault plan, seen by a client."""

from __future__ import annotations

import gzip
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, ConnectionError, ReadTimeout  # noqa: A004 - their names

from tap_exports.sandbox.faults import Faults
from tests.sandbox.client import Client, Clients

DOWNLOAD = "/v1/exports/019760a0-0050-7000-8000-000000000050/download"
BODY = {"schema_id": "019760a0-0001-7000-8000-000000000001", "start_date": "2024-01-01", "end_date": "2024-02-01"}


def api(client: Client, action: dict[str, Any], **match: object) -> requests.Response:
    client.box.set_faults({"faults": [{"match": {"origin": "api", **match}, "action": action}]})
    return client.ask("GET", "/v1/exports")


def file(client: Client, action: dict[str, Any], **headers: str) -> requests.Response:
    client.box.set_faults({"faults": [{"match": {"origin": "files", "path": "*.csv"}, "action": action}]})
    return requests.get(client.get(DOWNLOAD)["url"], headers=headers, timeout=10)


def whole(client: Client) -> bytes:
    return requests.get(client.get(DOWNLOAD)["url"], timeout=10).content


def test_status_in_the_envelope_of_the_provider(clients: Clients) -> None:
    reply = api(clients("exelensia"), {"status": 503, "retry_after": 3})
    assert (reply.status_code, reply.headers["Retry-After"], reply.json()["statusCode"]) == (503, "3", 503)


def test_retry_after_as_a_date(clients: Clients) -> None:
    client = clients("exelensia")
    reply = api(client, {"status": 429, "retry_after_date": 30})
    left = parsedate_to_datetime(reply.headers["Retry-After"]) - client.box.clock.now()
    assert 25 < left.total_seconds() <= 30


@pytest.mark.parametrize(
    ("kind", "media_type", "start"),
    [("html", "text/html", "<!DOCTYPE"), ("xml", "application/xml", "<?xml"), ("text", "text/plain", "upstream")],
)
def test_bodies_of_a_status(clients: Clients, kind: str, media_type: str, start: str) -> None:
    reply = api(clients("exelensia"), {"status": 502, "body": kind})
    assert (reply.status_code, reply.headers["Content-Type"].split(";")[0]) == (502, media_type)
    assert reply.text.startswith(start)


def test_empty_body_of_a_status(clients: Clients) -> None:
    assert api(clients("exelensia"), {"status": 500, "body": "empty"}).content == b""


@pytest.mark.parametrize(("kind", "start"), [("html", b"<!DOCTYPE html>"), ("xml", b"<?xml")])
def test_pages_with_status_200(clients: Clients, kind: str, start: bytes) -> None:
    reply = file(clients("exelensia"), {kind: True})
    assert reply.status_code == 200
    assert reply.content.startswith(start)


@pytest.mark.parametrize(("kind", "body"), [(204, b""), (200, b""), ("data", b'{"data":null}')])
def test_nothing(clients: Clients, kind: object, body: bytes) -> None:
    reply = api(clients("exelensia"), {"nothing": kind})
    assert (reply.status_code, reply.content) == (204 if kind == 204 else 200, body)


def test_challenge_of_a_gateway(clients: Clients) -> None:
    reply = api(clients("exelensia"), {"challenge": True})
    assert (reply.status_code, reply.headers["Server"]) == (403, "cloudflare")


def test_body_without_a_length(clients: Clients) -> None:
    sent = whole(clients("exelensia"))
    reply = file(clients("exelensia"), {"unframed": True})
    assert ("Content-Length" in reply.headers, reply.content) == (False, sent)
    assert file(clients("exelensia"), {"unframed": True, "cut_after_bytes": 100}).content == sent[:100]


def test_headers_that_do_not_fit_the_bytes(clients: Clients) -> None:
    reply = file(clients("exelensia"), {"stored_encoding": "aws-chunked", "digest": True})
    assert (reply.headers["Content-Encoding"], reply.headers["Repr-Digest"][:9]) == ("aws-chunked", "sha-256=:")


def test_redirect(clients: Clients) -> None:
    client = clients("exelensia")
    client.box.set_faults({"faults": [{"action": {"redirect": "http://127.0.0.2:1/x"}}]})
    reply = client.ask("GET", "/v1/exports", allow_redirects=False)
    assert (reply.status_code, reply.headers["Location"]) == (302, "http://127.0.0.2:1/x")


def test_expire(clients: Clients) -> None:
    reply = file(clients("exelensia"), {"expire": True})
    assert (reply.status_code, b"expired" in reply.content) == (403, True)


def test_reset_does_no_work(clients: Clients) -> None:
    client = clients("exelensia", faults={"faults": [{"match": {"method": "POST"}, "action": {"reset": True}}]})
    with pytest.raises(ConnectionError, match="reset by peer"):
        client.ask("POST", "/v1/exports", json=BODY)
    assert client.box.spend()["exelensia"] == {"jobs_created": 0}


def test_lost_reply_does_the_work(clients: Clients) -> None:
    client = clients("exelensia", faults={"faults": [{"match": {"method": "POST"}, "action": {"lose_reply": True}}]})
    with pytest.raises(ConnectionError, match="closed connection without response"):
        client.ask("POST", "/v1/exports", json=BODY)
    assert client.box.spend()["exelensia"] == {"jobs_created": 1}
    assert (client.box.requests()[0]["status"], client.box.requests()[0]["fault"]) == (None, "lose_reply")


@pytest.mark.parametrize(("status", "body"), [(202, True), (302, False), (409, False), (502, False)])
def test_odd_status_does_the_work(clients: Clients, status: int, body: bool) -> None:  # noqa: FBT001 - a parameter of the test
    client = clients("exelensia", faults={"faults": [{"match": {"method": "POST"}, "action": {"odd_status": status}}]})
    reply = client.ask("POST", "/v1/exports", json=BODY, allow_redirects=False)
    assert (reply.status_code, "createdAt" in reply.text) == (status, body)
    assert client.box.spend()["exelensia"] == {"jobs_created": 1}


def test_cut_body(clients: Clients) -> None:
    """The body ends in the middle although its length was told; a range goes on from there."""
    client = clients("exelensia")
    client.box.set_faults({"faults": [{"match": {"origin": "files", "nth": 1}, "action": {"cut_after_bytes": 1000}}]})
    address = client.get(DOWNLOAD)["url"]
    got: list[bytes] = []
    reply = requests.get(address, stream=True, timeout=10)
    with pytest.raises(ChunkedEncodingError):
        got.extend(reply.iter_content(100))
    assert client.box.requests()[-1]["body_bytes_sent"] == 1000
    start = b"".join(got)
    rest = requests.get(address, headers={"range": f"bytes={len(start)}-"}, timeout=10)
    assert rest.status_code == 206
    assert start + rest.content == whole(client)


def test_truncated_body(clients: Clients) -> None:
    client = clients("exelensia")
    reply = file(client, {"truncate": 50})
    assert (reply.headers["Content-Length"], len(reply.content)) == ("50", 50)
    assert len(api(client, {"truncate": 5}).content) == 5


def test_wrong_length(clients: Clients) -> None:
    client = clients("exelensia")
    with pytest.raises(ChunkedEncodingError):
        file(client, {"wrong_length": 10})
    assert file(client, {"wrong_length": -10}).content == whole_after(client)[:-10]


def test_slow(clients: Clients) -> None:
    client = clients("exelensia")
    started = time.monotonic()
    api(client, {"slow": {"delay_seconds": 0.3}})
    assert time.monotonic() - started >= 0.3
    started = time.monotonic()
    size = len(file(client, {"slow": {"bytes_per_second": 8000}}).content)
    assert time.monotonic() - started >= 0.8 * size / 8000
    assert len(api(client, {"slow": {"bytes_per_second": 5000}}).json()["data"]) == 3


def test_a_byte_at_a_time(clients: Clients) -> None:
    """Speeds below one byte for each step hold too."""
    client = clients("exelensia")
    started = time.monotonic()
    sent = file(client, {"truncate": 3, "slow": {"bytes_per_second": 4}}).content
    assert (len(sent), time.monotonic() - started >= 0.5) == (3, True)


def test_slower_than_the_client_waits(clients: Clients) -> None:
    client = clients("exelensia", faults={"faults": [{"action": {"slow": {"delay_seconds": 30}}}]})
    with pytest.raises(ReadTimeout):
        client.session.get(client.box.api_url("exelensia") + "/v1/exports", timeout=0.2)


def test_stop_does_not_wait_for_slow_answers(clients: Clients) -> None:
    client = clients("exelensia", faults={"faults": [{"action": {"slow": {"bytes_per_second": 1}}}]})
    reply = client.ask("GET", "/v1/exports", stream=True)
    started = time.monotonic()
    client.box.stop()
    reply.close()
    assert time.monotonic() - started < 1


def test_no_range(clients: Clients) -> None:
    client = clients("exelensia")
    reply = file(client, {"no_range": True}, range="bytes=10-")
    assert (reply.status_code, reply.content) == (200, whole(client))


def test_wrong_content_range(clients: Clients) -> None:
    client = clients("exelensia")
    size = len(whole(client))
    reply = file(client, {"wrong_content_range": 7}, range="bytes=10-19")
    assert (reply.status_code, reply.headers["Content-Range"]) == (206, f"bytes 17-26/{size}")
    assert file(client, {"wrong_content_range": 7}).status_code == 200


def test_changed_etag(clients: Clients) -> None:
    client = clients("exelensia")
    plain = file(client, {})
    changed = file(client, {"change_etag": 2}, range="bytes=10-", **{"if-range": plain.headers["ETag"]})
    assert (changed.status_code, changed.content) == (200, plain.content)
    assert changed.headers["ETag"] != plain.headers["ETag"]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"replace": {"text": "a,b\n", "encoding": "utf-16"}}, "a,b\n".encode("utf-16")),
        ({"replace": {"base64": "AAEC"}}, b"\x00\x01\x02"),
        ({"replace": {"text": ""}}, b""),
        ({"replace": {"text": "é"}, "bom": True}, b"\xef\xbb\xbf\xc3\xa9"),
        ({"replace": {"text": "é"}, "recode": "latin-1"}, b"\xe9"),
        ({"replace": {"text": "abc"}, "flip_byte": 1}, b"a\x9dc"),
    ],
)
def test_changed_files(clients: Clients, action: dict[str, Any], expected: bytes) -> None:
    client = clients("exelensia")
    assert file(client, action).content == expected


def test_file_that_is_gzip(clients: Clients) -> None:
    """Gzip as a file, in several members, cut short, and in ranges: all of the same bytes."""
    client = clients("exelensia")
    packed = file(client, {"gzip": {"members": 3}}).content
    assert gzip.decompress(packed) == whole_after(client)
    client.box.set_faults(None)
    assert packed.count(b"\x1f\x8b\x08") == 3
    assert file(client, {"gzip": {"members": 3}}, range="bytes=5-20").content == packed[5:21]
    assert file(client, {"gzip": {"members": 3, "drop_bytes": 4}}).content == packed[:-4]
    assert gzip.decompress(file(client, {"gzip": True}).content) == whole_after(client)


def whole_after(client: Client) -> bytes:
    client.box.set_faults(None)
    return whole(client)


def test_gzip_as_an_encoding(clients: Clients) -> None:
    client = clients("exelensia")
    reply = file(client, {"gzip_encoding": True})
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.content == whole_after(client)
    assert api(client, {"gzip_encoding": True}).json()["meta"]["total"] == 3


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, [503, 503, 503, 503]),
        ({"nth": 2}, [200, 503, 200, 200]),
        ({"nth": 2, "times": 2}, [200, 503, 503, 200]),
        ({"times": 1}, [503, 200, 200, 200]),
        ({"nth": 3, "times": float("inf")}, [200, 200, 503, 503]),
        ({"provider": "cension"}, [200, 200, 200, 200]),
        ({"path": "/v1/ex*", "method": "GET", "query": "page=[34]"}, [200, 200, 503, 503]),
        ({"header": {"X-Api-Key": "sandbox-*", "range": None}}, [503, 503, 503, 503]),
        ({"header": {"x-api-key": None}}, [200, 200, 200, 200]),
        ({"header": {"x-api-key": "other"}}, [200, 200, 200, 200]),
    ],
)
def test_matches(clients: Clients, match: dict[str, Any], expected: list[int]) -> None:
    client = clients("exelensia", faults={"faults": [{"match": match, "action": {"status": 503}}]})
    seen = [client.ask("GET", "/v1/exports", params={"page": page}).status_code for page in range(1, 5)]
    assert seen == expected


@pytest.mark.parametrize(
    ("rule", "statuses"),
    [
        ({"outcome": "fail"}, ["PENDING", "FAILED"]),
        ({"outcome": "hang"}, ["PENDING", "PROCESSING"]),
        ({"outcome": {"status": "archived"}}, ["PENDING", "archived"]),
        ({"outcome": "vanish"}, ["PENDING", None]),
        ({"seconds": 5000}, ["PENDING", "PENDING"]),
        ({"nth": 2, "outcome": "fail"}, ["PENDING", "COMPLETED"]),
        ({"provider": "cension", "outcome": "fail"}, ["PENDING", "COMPLETED"]),
    ],
)
def test_jobs(clients: Clients, rule: dict[str, Any], statuses: list[str | None]) -> None:
    client = clients("exelensia", job_seconds=10, faults={"jobs": [{"provider": "exelensia", **rule}]})
    export_id = client.ask("POST", "/v1/exports", json=BODY).json()["id"]
    seen = []
    for seconds in (0, 1000):
        client.box.clock.advance(seconds)
        seen.append({row["id"]: row["status"] for row in client.get("/v1/exports")["data"]}.get(export_id))
    assert seen == statuses


def test_reason_of_a_failed_job(clients: Clients) -> None:
    rule = {"provider": "cension", "outcome": "fail", "reason": "out of paper", "polls": 1}
    client = clients("cension", faults={"jobs": [rule]})
    client.ask("POST", "/api/vertical/create", json={"feedId": 123, "projectId": 456, "fieldContextId": 1})
    answer = client.get("/api/operations/4843")["operation"]
    assert (answer["status"], answer["errorMessage"], answer["processedItems"]) == ("failed", "out of paper", 5)


def test_random_faults_repeat(clients: Clients) -> None:
    """The same seed gives the same faults, about as often as told."""
    plan = {"random": {"probability": 0.3, "seed": 7, "actions": [{"status": 500}, {"status": 429}]}}
    client = clients("exelensia")
    rounds = []
    for _ in range(2):
        client.box.set_faults(plan)
        rounds.append([client.ask("GET", "/v1/exports").status_code for _ in range(100)])
    assert rounds[0] == rounds[1]
    assert set(rounds[0]) == {200, 429, 500}
    assert 55 <= rounds[0].count(200) <= 85


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"fault": []}, "fault plan: unknown fault; known: clocks, faults, jobs, random"),
        (["faults"], "fault plan must be a mapping, not list"),
        ({"faults": [{"action": {"explode": 1}}]}, "action: unknown explode"),
        ({"faults": [{"match": {"verb": "GET"}, "action": {}}]}, "match: unknown verb"),
        ({"faults": [{"match": {}}]}, "action must be a mapping, not NoneType"),
        ({"jobs": [{"provider": "x", "outcome": "explode"}]}, "job: unknown outcome 'explode'"),
        ({"jobs": [{"provider": "x", "when": 1}]}, "job: unknown when"),
        ({"clocks": {"x": {"pace": 1}}}, "clock: unknown pace"),
    ],
)
def test_bad_plans_are_refused(plan: Any, message: str) -> None:  # noqa: ANN401 - also what is no plan
    with pytest.raises(ValueError, match=message):
        Faults(plan)
