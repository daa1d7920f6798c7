"""Replies that are no answer of the API: pages, texts, nothing, trickles; and who sent them."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest

from tap_exports.engine.http import Client, HttpSettings, Reply
from tap_exports.engine.http.transport import Answer
from tap_exports.errors import (
    AuthError,
    BadContentError,
    GatewayError,
    LostReplyError,
    NotFoundError,
    RefusedError,
    StopError,
    TryAgainError,
)
from tests.engine.fakes import FakeClock
from tests.engine.servers import Handler, Server, Step, reply

SETTINGS = HttpSettings(allow_private_hosts=True, request_timeout_seconds=5)
OK = reply(200, {"ok": True})
PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
VALUE = {"rows": list(range(500))}
BODY = json.dumps(VALUE).encode()
STORED = ("UTF-8", "aws-chunked", "none", "identity", "gzip", "gzip,aws-chunked", "br")
Start = Callable[..., tuple[Client, Server]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def start(clock: FakeClock) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(*steps: Step, settings: HttpSettings = SETTINGS, **options: Any) -> tuple[Client, Server]:  # noqa: ANN401 - of `Client`
            server = stack.enter_context(Server(list(steps)))
            client = Client("cension", server.url, {"x-api-key": "secret-key"}, settings, clock, **options)
            return stack.enter_context(closing(client)), server

        yield started


def plain(body: bytes, status: int = 200, **headers: str) -> Step:
    return reply(status, body, **headers)


BLIPS = {
    "HTML": plain(PAGE, Content_Type="text/html; charset=utf-8"),
    "HTML as JSON": plain(PAGE, Content_Type="application/json"),
    "XML": plain(b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>", Content_Type="application/xml"),
    "text": plain(b"Service temporarily unavailable", Content_Type="text/plain"),
    "cut": plain(b'{"data": [{"id": 1}', Content_Type="application/json"),
    "empty": plain(b""),
    "blank": plain(b" \r\n"),
    "error": reply(200, {"error": {"code": "INTERNAL", "message": "try later"}}),
    "errors": reply(200, {"errors": ["busy"], "data": None, "message": ""}),
    "page with 404": plain(PAGE, 404, Content_Type="text/html"),
    "challenge": plain(PAGE, 403, Content_Type="text/html", cf_mitigated="challenge"),
    "envoy": plain(b"upstream connect error or disconnect/reset before headers", 403, Content_Type="text/plain"),
    "too early": plain(b"", 425),
}


@pytest.mark.parametrize("blip", BLIPS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_reply_that_is_no_answer_is_a_blip(start: Start, clock: FakeClock, blip: str, method: str) -> None:
    """Among polls, pages and searches the request is repeated, after a wait, and the answer counts."""
    client, server = start(BLIPS[blip], OK)
    assert client.send(method, "/a").json() == {"ok": True}
    assert (len(server.seen), len(clock.sleeps)) == (2, 1)


@pytest.mark.parametrize("blip", set(BLIPS) - {"error", "errors", "too early"})
def test_creation_that_got_no_answer_has_an_unknown_outcome(start: Start, blip: str) -> None:
    """The page may come from in front of the API or from behind it: the job is looked for, never made twice (P2)."""
    client, server = start(BLIPS[blip], OK)
    with pytest.raises(LostReplyError):
        client.send("POST", "/a", idempotent=False)
    assert len(server.seen) == 1


def test_creation_is_told_an_error_of_the_api_as_it_is(start: Start) -> None:
    client, server = start(BLIPS["error"])
    assert client.send("POST", "/a", idempotent=False).json()["error"]["code"] == "INTERNAL"
    assert len(server.seen) == 1


ENDINGS: Mapping[str, tuple[type[StopError], str]] = {
    "HTML": (BadContentError, "cension: GET /a: 200: JSON expected, got text/html; charset=utf-8: '<!DOCTYPE html>"),
    "text": (BadContentError, "cension: GET /a: 200: JSON expected, got text/plain: 'Service temporarily unavailable'"),
    "cut": (BadContentError, "cension: GET /a: 200: JSON expected, got application/json: '{"),
    "page with 404": (NotFoundError, "cension: GET /a: 404 Not Found: a gateway in front of the API answered"),
    "challenge": (
        GatewayError,
        (
            "cension: GET /a: 403 Forbidden: a gateway in front of the API answered (Cloudflare), not the API itself: "
            "“Just a moment...”; the key was not judged"
        ),
    ),
}


@pytest.mark.parametrize("blip", ENDINGS)
def test_several_in_a_row_stop_by_name(start: Start, clock: FakeClock, blip: str) -> None:
    kind, message = ENDINGS[blip]
    client, server = start(BLIPS[blip])
    with pytest.raises(kind) as caught:
        client.get("/a")
    assert caught.value.message.startswith(message), caught.value.message
    assert (len(server.seen), clock.sleeps) == (6, sorted(clock.sleeps))


@pytest.mark.parametrize(("status", "body", "requests"), [(204, b"", 1), (200, b"", 2), (200, b" \n", 2)])
def test_empty_answer_that_stays_means_nothing_is_there(start: Start, status: int, body: bytes, requests: int) -> None:
    """A 204 says so at once; another empty body is looked at twice."""
    client, server = start(plain(body, status))
    assert client.get("/a").json() is None
    assert len(server.seen) == requests


@pytest.mark.parametrize("body", [b"deleted", PAGE, b""])
def test_answer_to_a_deletion_is_not_read(start: Start, body: bytes) -> None:
    client, server = start(plain(body))
    client.send("DELETE", "/a")
    assert len(server.seen) == 1


def test_error_that_stays_is_left_to_the_provider(start: Start) -> None:
    client, server = start(BLIPS["error"])
    assert client.get("/a").json()["error"]["message"] == "try later"
    assert len(server.seen) == 6


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "error": "no such export"},
        {"id": 1, "error": "failed"},
        {"error": None},
        {"data": [{"error": 1}]},
        [{"error": "x"}],
        {"errors": [], "message": "fine"},
    ],
)
def test_record_with_an_error_in_it_is_an_answer(start: Start, body: object) -> None:
    client, server = start(reply(200, body))
    assert client.get("/a").json() == body
    assert len(server.seen) == 1


class TestGateways:
    @pytest.mark.parametrize("status", [401, 403])
    def test_page_does_not_blame_the_key(self, start: Start, status: int) -> None:
        client, server = start(plain(PAGE, status, Content_Type="text/html", Server="cloudflare"))
        for _ in range(2):  # nor does it end the other streams
            with pytest.raises(GatewayError, match=r"answered \(cloudflare\), not the API itself"):
                client.get("/a")
        assert len(server.seen) == 12

    @pytest.mark.parametrize(
        "body",
        [{"message": "invalid key"}, "Unauthorized", None],
    )
    def test_refusal_of_the_api_names_the_key_at_once(self, start: Start, body: object) -> None:
        client, server = start(reply(403, b"Unauthorized" if body == "Unauthorized" else body))
        with pytest.raises(AuthError, match=r"`cension\.api_key` was refused"):
            client.get("/a")
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        ("headers", "body", "shown"),
        [
            ({"CF_RAY": "1"}, b"error code: 1020", "(Cloudflare), not the API itself: “error code: 1020”"),
            (
                {"x_amz_cf_id": "1", "Content_Type": "text/html"},
                b"<H1>403 ERROR</H1>",
                "(CloudFront), not the API itself: “4",
            ),
            ({"Server": "awselb/2.0", "Content_Type": "text/html"}, b"<html>", "(awselb/2.0), not the API itself; "),
            ({"Content_Type": "text/html"}, b"<title>A &amp; B\n</title>", "answered, not the API itself: “A & B”"),
        ],
    )
    def test_sender_is_named(self, start: Start, headers: dict[str, str], body: bytes, shown: str) -> None:
        client, _ = start(plain(body, 403, **headers), settings=replace(SETTINGS, max_attempts=1))
        with pytest.raises(GatewayError) as caught:
            client.get("/a")
        assert shown in caught.value.message

    def test_page_of_a_load_balancer_is_named_in_the_last_words(self, start: Start) -> None:
        client, _ = start(plain(b"<html><title>502 Bad Gateway</title>", 502, Content_Type="text/html", Server="nginx"))
        with pytest.raises(TryAgainError) as caught:
            client.get("/a")
        assert caught.value.message == (
            "cension: GET /a: no success after 6 attempts: 502 Bad Gateway: a gateway in front of the API answered "
            "(nginx), not the API itself: “502 Bad Gateway”"
        )

    def test_proxy_that_wants_credentials_is_named_at_once(self, start: Start) -> None:
        client, server = start(plain(b"<html>", 407, Content_Type="text/html"))
        with pytest.raises(
            GatewayError, match="407 Proxy Authentication Required: the proxy wants credentials: set them"
        ):
            client.get("/a")
        assert len(server.seen) == 1

    def test_title_is_shown_without_secrets(self, start: Start) -> None:
        page = plain(b"<title>denied: secret-key https://h.test/a?sig=1</title>", 403, Content_Type="text/html")
        client, _ = start(page, settings=replace(SETTINGS, max_attempts=1))
        with pytest.raises(GatewayError) as caught:
            client.get("/a")
        assert "“denied: *** https://h.test/a?***" in caught.value.message

    def test_json_error_of_any_status_is_the_apis_own(self, start: Start) -> None:
        client, server = start(reply(418, {"message": "no"}, cf_ray="1"))
        with pytest.raises(RefusedError):
            client.get("/a")
        assert len(server.seen) == 1


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            *((stored, BODY) for stored in STORED),
            ("gzip", gzip.compress(BODY)),
            ("gzip,aws-chunked", gzip.compress(BODY)),
            ("UTF-8, gzip", gzip.compress(BODY)),
            ("gzip", gzip.compress(gzip.compress(BODY))),
            ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
            ("", gzip.compress(BODY)),
            ("gzip", b"[1]"),
        ],
    )
    def test_bytes_decide(self, start: Start, encoding: str, body: bytes) -> None:
        client, server = start(plain(body, Content_Encoding=encoding))
        assert client.get("/a").json() == ([1] if body == b"[1]" else VALUE)
        assert len(server.seen) == 1

    def test_gzip_without_its_trailer_is_a_broken_reply(self, start: Start) -> None:
        client, server = start(plain(gzip.compress(BODY)[:-5], Content_Encoding="gzip"), OK)
        assert client.get("/a").json() == {"ok": True}
        assert len(server.seen) == 2

    @pytest.mark.parametrize("body", [b"\xef\xbb\xbf[1]", "[1]".encode("utf-16"), "[1]".encode("utf-32")])
    def test_encoding_of_the_text_is_found(self, body: bytes) -> None:
        answer = Reply(200, {}, body)
        assert (answer.is_json, answer.json()) == (True, [1])


class TestTime:
    def test_connection_that_ends_before_any_body_is_broken(self, start: Start) -> None:
        """Without a length an empty body may be the beginning of one."""

        def silent(handler: Handler) -> None:
            handler.head(200, {"Content-Type": "application/json"})
            handler.close_connection = True

        client, server = start(silent)
        with pytest.raises(TryAgainError, match=r"after 6 attempts: the connection ended before any body$"):
            client.get("/a")
        assert len(server.seen) == 6

    @pytest.mark.parametrize("part", ["head", "body"])
    def test_trickle_ends(self, start: Start, part: str) -> None:
        """Each byte comes within `request_timeout_seconds`: the reply as a whole does not."""

        def trickle(handler: Handler) -> None:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n"
            slow = head if part == "head" else b"[" + b" " * 9000
            handler.wfile.write(b"" if part == "head" else b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
            for index in range(len(slow)):
                handler.wfile.write(slow[index : index + 1])
                if handler.server.released.wait(0.02):
                    break
            handler.close_connection = True

        started = time.monotonic()
        settings = replace(SETTINGS, request_timeout_seconds=0.2, min_transfer_bytes_per_second=1000, max_attempts=2)
        client, server = start(trickle, settings=settings)
        with pytest.raises(TryAgainError, match="after 2 attempts: fewer than 1000 bytes a second came"):
            client.get("/a")
        assert (len(server.seen), time.monotonic() - started < 4) == (2, True)

    @pytest.mark.parametrize(("limit", "whole"), [(500, False), (1001, True)])
    def test_whole_reply_has_a_deadline(
        self, start: Start, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, limit: float, *, whole: bool
    ) -> None:
        """Above the floor of speed a reply may still take too long."""
        read = Answer.read

        def slowly(answer: Answer, size: int) -> bytes:
            clock.advance(10)
            return read(answer, min(size, 1000))

        monkeypatch.setattr(Answer, "read", slowly)
        client, server = start(plain(b" " * 98_999 + b"1"), settings=replace(SETTINGS, reply_timeout_seconds=limit))
        if whole:
            assert client.get("/a").json() == 1
            return
        with pytest.raises(TryAgainError, match=r"after 6 attempts: the reply was not complete after 500 s$"):
            client.get("/a")
        assert len(server.seen) == 6
