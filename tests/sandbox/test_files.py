"""The files origin: signatures, expiry, ranges, entity tags."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tap_exports.sandbox.clock import Clock
from tap_exports.sandbox.signing import Signer
from tap_exports.sandbox.web import Refusal
from tests.sandbox.client import Client, Clients

DOWNLOAD = "/v1/exports/019760a0-0050-7000-8000-000000000050/download"


def url(client: Client) -> str:
    return str(client.get(DOWNLOAD)["url"])


def fetch(address: str, **headers: str) -> requests.Response:
    return requests.get(address, headers={name.replace("_", "-"): text for name, text in headers.items()}, timeout=10)


def test_whole_file(clients: Clients) -> None:
    reply = fetch(url(clients("exelensia")))
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["ETag"].startswith('"')
    assert int(reply.headers["Content-Length"]) == len(reply.content) > 1000


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, None), ("bytes=-7", -7, None), ("bytes=5-999999", 5, None)],
)
def test_ranges(clients: Clients, asked: str, first: int, last: int | None) -> None:
    address = url(clients("exelensia"))
    whole = fetch(address).content
    reply = fetch(address, range=asked)
    assert (reply.status_code, reply.content) == (206, whole[first:last])
    start = first % len(whole)
    assert reply.headers["Content-Range"] == f"bytes {start}-{start + len(reply.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=9-5"])
def test_range_that_cannot_be_satisfied(clients: Clients, asked: str) -> None:
    address = url(clients("exelensia"))
    reply = fetch(address, range=asked)
    assert (reply.status_code, reply.content) == (416, b"")
    assert reply.headers["Content-Range"] == f"bytes */{len(fetch(address).content)}"


@pytest.mark.parametrize("asked", ["bytes=-", "lines=1-2", "bytes=0-1,5-6"])
def test_range_that_is_not_understood_is_ignored(clients: Clients, asked: str) -> None:
    assert fetch(url(clients("exelensia")), range=asked).status_code == 200


def test_if_range(clients: Clients) -> None:
    """A range of another version of the file is answered with the whole file."""
    address = url(clients("exelensia"))
    etag = fetch(address).headers["ETag"]
    assert fetch(address, range="bytes=5-", if_range=etag).status_code == 206
    assert fetch(address, range="bytes=5-", if_range='"other"').status_code == 200


def test_head_has_no_body(clients: Clients) -> None:
    address = url(clients("exelensia"))
    with requests.Session() as session:
        head = session.head(address, timeout=10)
        assert int(head.headers["Content-Length"]) == len(session.get(address, timeout=10).content)


def test_urls_expire(clients: Clients) -> None:
    client = clients("exelensia", url_seconds=60)
    address = url(client)
    client.box.clock.advance(59)
    assert fetch(address).status_code == 200
    client.box.clock.advance(2)
    reply = fetch(address)
    assert (reply.status_code, b"Request has expired" in reply.content) == (403, True)
    assert fetch(url(client)).status_code == 200


def test_every_url_is_another_one(clients: Clients) -> None:
    client = clients("exelensia")
    assert url(client) != url(client)


@pytest.mark.parametrize("query", ["", "?token=abc&expires=9999999999", "?token=00000001zz&expires=x", "?expires=1"])
def test_bad_signatures_are_refused(clients: Clients, query: str) -> None:
    assert fetch(url(clients("exelensia")).partition("?")[0] + query).status_code == 403


def test_key_on_the_files_origin_is_refused_and_logged(clients: Clients) -> None:
    """A key that leaks to the store of the files is the defect that this test bench is there to find."""
    client = clients("exelensia")
    assert client.session.get(url(client), timeout=10).status_code == 400
    assert client.box.requests()[-1]["auth"] == "x-api-key"
    assert client.box.requests()[-1]["origin"] == "files"


def test_method_is_refused(clients: Clients) -> None:
    assert requests.post(url(clients("exelensia")), timeout=10).status_code == 405


@pytest.mark.parametrize("style", ["token", "amz"])
def test_signatures_hold_for_their_path_and_time(style: str) -> None:
    clock = Clock()
    signer = Signer(clock, 10)
    text, expires = signer.query("/a", style)
    query = dict(parse_qsl(urlsplit("?" + text).query))
    signer.check("/a", query)
    with pytest.raises(Refusal, match="does not match"):
        signer.check("/b", query)
    clock.advance(11)
    assert clock.now() > expires
    with pytest.raises(Refusal, match="expired"):
        signer.check("/a", query)
