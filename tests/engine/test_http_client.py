from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from email.utils import format_datetime
from http import HTTPStatus
from typing import TypedDict

import pytest
from typing_extensions import Unpack

from tap_exports.engine.http import Client, HttpSettings, Pace, RateGate, Reply, plain_error
from tap_exports.engine.http.pace import Answered
from tap_exports.errors import (
    AuthError,
    BadContentError,
    ConfigError,
    LimitError,
    LostReplyError,
    NotFoundError,
    PaymentError,
    RefusedError,
    StopError,
    TryAgainError,
    UnsafeUrlError,
)
from tests.engine.fakes import START, FakeClock
from tests.engine.servers import Handler, Server, Step, cut, hang, reply, reset

KEY = "key+with/odd=chars"
SETTINGS = HttpSettings(allow_private_hosts=True, request_timeout_seconds=5)
OK = reply(200, {"ok": True})


class Options(TypedDict, total=False):
    """The optional arguments of a client."""

    parse_error: Callable[[Reply], tuple[str, str]]
    credential: str
    gate: RateGate


class Api:
    """Starts servers, and clients that speak to them."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = FakeClock()
        self._stack = stack

    def server(self, *steps: Step) -> Server:
        return self._stack.enter_context(Server(list(steps)))

    def client(self, url: str, settings: HttpSettings = SETTINGS, **options: Unpack[Options]) -> Client:
        headers = {"x-api-key": KEY}
        return self._stack.enter_context(closing(Client("cension", url, headers, settings, self.clock, **options)))

    def start(
        self, *steps: Step, settings: HttpSettings = SETTINGS, **options: Unpack[Options]
    ) -> tuple[Client, Server]:
        server = self.server(*steps)
        return self.client(server.url + "/prefix/", settings, **options), server


@pytest.fixture
def api() -> Iterator[Api]:
    with ExitStack() as stack:
        yield Api(stack)


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


class TestRequest:
    def test_get_sends_key_path_and_query(self, api: Api) -> None:
        client, server = api.start(OK)
        params = {"page": 1, "all": True, "q": "a&b", "none": None, "id": ["x", "y"]}
        answer = client.get("/v1/items", params)
        assert (answer.status, answer.json()) == (200, {"ok": True})
        assert answer.headers["content-TYPE"] == "application/json"
        (seen,) = server.seen
        assert (seen.method, seen.path) == ("GET", "/prefix/v1/items?page=1&all=true&q=a%26b&id=x&id=y")
        assert seen.headers["X-API-Key"] == KEY

    def test_send_sends_json_and_bytes(self, api: Api) -> None:
        client, server = api.start(OK)
        client.send("POST", "/a", body={"x": [1]}, headers={"X-More": "1"})
        client.send("POST", "/b", body=b"raw")
        first, second = server.seen
        assert (first.body, first.headers["Content-Type"], first.headers["X-More"]) == (
            b'{"x": [1]}',
            "application/json",
            "1",
        )
        assert (second.body, second.headers["Content-Type"]) == (b"raw", None)

    def test_connections_are_kept(self, api: Api) -> None:
        client, server = api.start(OK)
        for _ in range(5):
            client.get("/a")
        assert server.connections == 1

    def test_creating_request_never_uses_a_kept_connection(self, api: Api) -> None:
        """A kept connection may just be closing, which looks like a lost reply."""
        client, server = api.start(OK)
        client.get("/a")
        client.send("POST", "/b", body={}, idempotent=False)
        client.send("POST", "/b", body={}, idempotent=False)
        assert server.connections == 3

    def test_gzip_is_decoded(self, api: Api) -> None:
        client, _ = api.start(reply(200, gzip.compress(b"[1]"), Content_Encoding="gzip"))
        assert client.get("/a").json() == [1]

    @pytest.mark.parametrize("path", ["v1", "/a/../b", "/a/.", "/a?b=1", "/a#b", "/a\\b", "/a\nb"])
    def test_path_that_leads_elsewhere_is_refused(self, api: Api, path: str) -> None:
        """An id from outside may not change where the request goes."""
        client, server = api.start(OK)
        with pytest.raises(UnsafeUrlError):
            client.get(path)
        assert server.seen == []

    def test_requests_in_flight_are_limited(self, api: Api) -> None:
        lock, running, peaks = threading.Lock(), [0], [0]

        def slow(handler: Handler) -> None:
            with lock:
                running[0] += 1
                peaks[0] = max(peaks[0], running[0])
            handler.server.released.wait(0.05)
            with lock:
                running[0] -= 1
            OK(handler)

        client, server = api.start(slow, settings=replace(SETTINGS, max_concurrent_requests=2))
        threads = [threading.Thread(target=client.get, args=("/a",)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(server.seen), peaks[0]) == (6, 2)

    def test_reply_over_the_limit_stops(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tap_exports.engine.http.body.REPLY_MAX_BYTES", 2**20)
        client, server = api.start(reply(200, gzip.compress(bytes(2**20 + 1)), Content_Encoding="gzip"))
        with pytest.raises(LimitError, match=r"^cension: GET /prefix/a: the reply is larger than 1 MiB$"):
            client.get("/a")
        assert len(server.seen) == 1


class TestRepeating:
    @pytest.mark.parametrize(
        "fault",
        [
            *map(reply, (408, 429, 500, 503)),
            reset,
            cut(b"{}", 10),
            cut(b"", 10),
            reply(200, b"garbled", Content_Encoding="gzip"),
        ],
    )
    def test_passing_fault_is_repeated(self, api: Api, fault: Step) -> None:
        client, server = api.start(fault, fault, OK)
        assert client.get("/a").json() == {"ok": True}
        assert (len(server.seen), len(api.clock.sleeps)) == (3, 2)

    def test_silence_is_a_timeout_and_repeated(self, api: Api) -> None:
        client, server = api.start(hang, OK, settings=replace(SETTINGS, request_timeout_seconds=0.2))
        assert client.get("/a").status == HTTPStatus.OK
        assert len(server.seen) == 2

    def test_cut_chunked_body_is_repeated(self, api: Api) -> None:
        def cut_chunk(handler: Handler) -> None:
            handler.head(200, {"Transfer-Encoding": "chunked"})
            handler.wfile.write(b"2\r\n[1\r\n")
            handler.close_connection = True

        client, server = api.start(cut_chunk, OK)
        assert client.get("/a").json() == {"ok": True}
        assert len(server.seen) == 2

    def test_waits_grow_with_jitter_up_to_the_ceiling(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        ceilings: list[float] = []

        def half(value: float) -> float:
            ceilings.append(value)
            return value / 2

        monkeypatch.setattr("backoff.full_jitter", half)
        client, _ = api.start(reply(500), settings=replace(SETTINGS, retry_wait_max_seconds=5))
        with pytest.raises(TryAgainError):
            client.get("/a")
        assert ceilings == [0.5, 1, 2, 2.5, 2.5]
        assert api.clock.sleeps == [0.75, 1.5, 3, 3.75, 3.75]

    def test_attempts_end_with_their_count_and_reason(self, api: Api) -> None:
        client, server = api.start(reply(503, {"error": {"code": "BUSY", "message": f"later, {KEY}"}}, Retry_After="7"))
        with pytest.raises(TryAgainError) as caught:
            client.get("/a")
        assert caught.value.message == (
            "cension: GET /prefix/a: no success after 6 attempts: 503 Service Unavailable: BUSY: later, ***"
        )
        assert (len(server.seen), caught.value.retry_after) == (6, 7)

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("3", 3),
            ("2.5", 2.5),
            ("7.", 7),
            ("1400", 300),
            ("9" * 400, 300),
            (format_datetime(START + timedelta(seconds=90), usegmt=True), 90),
            (format_datetime(START + timedelta(minutes=20), usegmt=True), 300),
            (str(int(START.timestamp()) + 90), 90),
            ((START + timedelta(seconds=90)).isoformat(), 90),
        ],
    )
    def test_retry_after_wins_in_its_forms_and_is_capped(self, api: Api, value: str, seconds: float) -> None:
        client, _ = api.start(reply(429, Retry_After=value), OK)
        client.get("/a")
        assert api.clock.sleeps == [seconds]

    @pytest.mark.parametrize(
        "value",
        [
            "0",
            "0.0",
            "0.2",
            format_datetime(START - timedelta(seconds=90), usegmt=True),
            str(int(START.timestamp()) - 90),
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "soon",
            "-5",
            "1,5",
            "1e9",
            "\u00b2",
            "",
            "Fri, 99 Foo 99999 25:61:61 GMT",
        ],
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_no_hint_makes_a_wait_shorter_than_it_has_grown(self, api: Api, value: str, status: int) -> None:
        """A hint of nothing, one that has passed and one that nobody understands: each wait is longer than before."""
        client, server = api.start(reply(status, Retry_After=value))
        with pytest.raises(TryAgainError):
            client.get("/a")
        ceilings = [1, 2, 4, 8, 16]
        assert [c / 2 <= s <= c for c, s in zip(ceilings, api.clock.sleeps, strict=True)] == [True] * 5
        assert (api.clock.sleeps, len(server.seen)) == (sorted(api.clock.sleeps), 6)

    def test_retry_is_logged_without_secrets(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        client, _ = api.start(reply(500, f"key {KEY} https://x.test/f?sig=abc".encode()), OK)
        with caplog.at_level(logging.INFO, "tap-exports.http"):
            client.get("/a", {"token": "hush"})
        (text,) = [line for line in caplog.messages if "its clock is" not in line]
        assert text.startswith(
            "cension: GET /prefix/a: 500 Internal Server Error: key *** https://x.test/f?***; attempt 1 of 6, next in"
        )
        assert "hush" not in text

    def test_run_that_ends_stops_repeating(self, api: Api) -> None:
        """After SIGTERM a wait returns early; nothing may be started then."""
        client, server = api.start(reply(429, Retry_After="60"))
        api.clock.stop.set()
        with pytest.raises(TryAgainError, match="the run is ending"):
            client.get("/a")
        assert len(server.seen) == 1


class TestCreating:
    @pytest.mark.parametrize("fault", [reset, reply(500), reply(502), reply(503), reply(408), cut(b"{}", 10)])
    def test_ambiguous_outcome_is_never_repeated(self, api: Api, fault: Step) -> None:
        client, server = api.start(fault, OK)
        with pytest.raises(LostReplyError, match=r"^cension: POST /prefix/a: .*; it is not known whether"):
            client.send("POST", "/a", body={}, idempotent=False)
        assert (len(server.seen), api.clock.sleeps) == (1, [])

    def test_read_timeout_is_ambiguous(self, api: Api) -> None:
        client, server = api.start(hang, OK, settings=replace(SETTINGS, request_timeout_seconds=0.2))
        with pytest.raises(LostReplyError, match="no answer in time"):
            client.send("POST", "/a", idempotent=False)
        assert len(server.seen) == 1

    def test_429_was_not_processed_and_is_repeated(self, api: Api) -> None:
        client, server = api.start(reply(429), OK)
        assert client.send("POST", "/a", idempotent=False).status == HTTPStatus.OK
        assert len(server.seen) == 2

    def test_connection_that_never_was_is_repeated(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        client, server = api.start(OK)
        connect, failures = socket.socket.connect, [ConnectionRefusedError(111, "Connection refused"), TimeoutError()]

        def flaky(self: socket.socket, address: tuple[str, int]) -> None:
            if failures:
                raise failures.pop()
            connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", flaky)
        assert client.send("POST", "/a", idempotent=False).status == HTTPStatus.OK
        assert (len(server.seen), len(api.clock.sleeps)) == (1, 2)

    def test_name_that_does_not_resolve_is_repeated(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        client, server = api.start(OK)
        lookup, failures = socket.getaddrinfo, [socket.gaierror(socket.EAI_AGAIN, "Temporary failure")]

        def flaky(host: str, port: int, **options: int) -> object:
            if failures:
                raise failures.pop()
            return lookup(host, port, **options)

        monkeypatch.setattr(socket, "getaddrinfo", flaky)
        assert client.send("POST", "/a", idempotent=False).status == HTTPStatus.OK
        assert (len(server.seen), len(api.clock.sleeps)) == (1, 1)


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "kind", "message"),
        [
            (401, AuthError, "cension: 401: key setting `cension.api_key` was refused: C: why"),
            (
                403,
                AuthError,
                (
                    "cension: 403: key setting `cension.api_key` was refused, "
                    "it may lack the scope for GET /prefix/a: C: why"
                ),
            ),
            (
                402,
                PaymentError,
                (
                    "cension: GET /prefix/a: 402 Payment Required: C: why; "
                    "the account's credits or plan do not cover it, a run after they do goes on"
                ),
            ),
            (404, NotFoundError, "cension: GET /prefix/a: 404 Not Found: C: why"),
            (410, NotFoundError, "cension: GET /prefix/a: 410 Gone: C: why"),
            (409, RefusedError, "cension: GET /prefix/a: 409 Conflict: C: why"),
            (400, RefusedError, "cension: GET /prefix/a: 400 Bad Request: C: why"),
        ],
    )
    def test_status_has_its_error(self, api: Api, status: int, kind: type[StopError], message: str) -> None:
        client, server = api.start(reply(status, {"code": "C", "message": "why"}))
        with pytest.raises(StopError) as caught:
            client.get("/a")
        assert (type(caught.value), caught.value.message) == (kind, message)
        assert len(server.seen) == 1

    def test_refusal_keeps_status_and_code(self, api: Api) -> None:
        client, _ = api.start(reply(400, {"error": {"code": "no_candidates"}}))
        with pytest.raises(RefusedError) as caught:
            client.get("/a")
        assert (caught.value.status, caught.value.code) == (400, "no_candidates")

    def test_credential_setting_has_its_own_name(self, api: Api) -> None:
        client, _ = api.start(reply(401), credential="api_token")
        with pytest.raises(AuthError, match=r"`cension.api_token` was refused: no reason given"):
            client.get("/a")

    def test_provider_parses_its_own_errors(self, api: Api) -> None:
        client, _ = api.start(reply(400, {"x": "y"}), parse_error=lambda answer: ("K", answer.json()["x"]))
        with pytest.raises(RefusedError, match=r"400 Bad Request: K: y$"):
            client.get("/a")

    def test_error_body_of_unknown_shape_hides_nothing(self, api: Api) -> None:
        """A parser that fails on an HTML page must not keep a 502 from being repeated."""
        client, _ = api.start(reply(502, b"<html>bad gateway"), OK, parse_error=lambda answer: ("", answer.json()["x"]))
        assert client.get("/a").json() == {"ok": True}

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"message": "m", "code": 7}, ("7", "m")),
            ({"error": "e", "error_code": "c"}, ("c", "e")),
            ({"error": {"message": "m", "code": "c"}}, ("c", "m")),
            ({"detail": [{"loc": ["body"], "msg": "bad"}]}, ("", '[{"loc": ["body"], "msg": "bad"}]')),
            ({"other": 1}, ("", '{"other": 1}')),
            ([], ("", "")),
            (b"plain", ("", "plain")),
            (b"[" * 100_000, ("", "[" * 10_000)),
        ],
    )
    def test_usual_error_shapes(self, body: object, expected: tuple[str, str]) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert plain_error(Reply(400, {}, raw)) == expected


class TestJson:
    def test_page_instead_of_json_is_named(self, api: Api) -> None:
        page = f"<html>\n<a href='https://x.test/login?next=secret'>{KEY}</a>".encode()
        client, _ = api.start(reply(200, page, Content_Type="text/html"))
        with pytest.raises(BadContentError) as caught:
            client.get("/a").json()
        assert caught.value.message == (
            "cension: GET /prefix/a: 200: JSON expected, got text/html: "
            "\"<html> <a href='https://x.test/login?***'>***</a>\""
        )

    def test_decimals_are_exact(self) -> None:
        """A number that a float cannot hold keeps its digits (P6); NaN is not JSON."""
        value = Reply(200, {}, b"[12345678901234567890.123456789, 1.5, 10]").json()
        assert value == [Decimal("12345678901234567890.123456789"), 1.5, 10]
        with pytest.raises(BadContentError):
            Reply(200, {}, b"[NaN]").json()

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"9" * 5000, b"x" * 500])
    def test_what_is_not_json_is_bad_content(self, body: bytes) -> None:
        with pytest.raises(BadContentError) as caught:
            Reply(200, {}, body).json()
        assert len(caught.value.message) < 200

    def test_reply_shows_no_content(self) -> None:
        assert repr(Reply(200, {"a": "b"}, b"c")) == "Reply(status=200, source='the server')"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_get_within_the_origin_is_followed(self, api: Api, status: int) -> None:
        client, server = api.start(reply(status, Location="/other?x=1"), OK)
        assert client.get("/a").json() == {"ok": True}
        assert [seen.path for seen in server.seen] == ["/prefix/a", "/other?x=1"]

    def test_other_origin_never_gets_a_request(self, api: Api) -> None:
        """P7: the key never crosses."""
        other = api.server(OK)
        client, _ = api.start(reply(302, Location=f"{other.url}/a?{KEY}"))
        with pytest.raises(UnsafeUrlError) as caught:
            client.get("/a")
        assert caught.value.message == (
            f"cension: GET /prefix/a: 302: a redirect to 127.0.0.1:{other.server_port} was not followed, "
            "the key goes nowhere else; check `cension.api_url`"
        )
        assert other.seen == []

    def test_post_is_not_redirected(self, api: Api) -> None:
        client, server = api.start(reply(307, Location="/b"), OK)
        with pytest.raises(UnsafeUrlError):
            client.send("POST", "/a", idempotent=False)
        assert len(server.seen) == 1

    @pytest.mark.parametrize("location", ["", "http://[", "file:///etc/passwd"])
    def test_redirect_to_nowhere_is_refused(self, api: Api, location: str) -> None:
        client, _ = api.start(reply(302, Location=location))
        with pytest.raises(UnsafeUrlError):
            client.get("/a")

    def test_redirects_are_bounded(self, api: Api) -> None:
        client, server = api.start(reply(302, Location="/a"))
        with pytest.raises(UnsafeUrlError, match="more than 5 redirects"):
            client.get("/a")
        assert len(server.seen) == 6


class TestHost:
    def test_unreachable_host_names_host_and_setting(self, api: Api) -> None:
        port = free_port()
        with pytest.raises(TryAgainError) as caught:
            api.client(f"http://127.0.0.1:{port}").get("/a")
        assert caught.value.message == (
            f"cension: 127.0.0.1:{port} cannot be reached after 6 attempts (connection refused): "
            "check `cension.api_url`"
        )

    def test_unknown_host_names_host_and_setting(self, api: Api) -> None:
        with pytest.raises(TryAgainError) as caught:
            api.client("https://nowhere.invalid").get("/a")
        assert caught.value.message == (
            "cension: nowhere.invalid cannot be reached after 6 attempts (the host name does not resolve): "
            "check `cension.api_url`"
        )

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("ftp://h.test/x", "ftp://h.test/x: the scheme `ftp` is refused, only https is followed"),
            ("file:///etc/passwd", "an URL without a host was refused: ***"),
            ("h.test", "an URL without a host was refused: ***"),
            ("http://h.test", "http://h.test: plain http is refused; `allow_private_hosts: true` is needed to use it"),
            ("https://me:pw@h.test", "https://h.test: credentials inside an URL are refused"),
            ("https://h.test:port/", "an URL that cannot be parsed was refused"),
            ("https://10.0.0.1", "10.0.0.1 is not a public address; `allow_private_hosts: true` is needed to reach it"),
        ],
    )
    def test_url_that_may_not_be_used_is_a_config_error(self, api: Api, url: str, message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            api.client(url, HttpSettings())
        assert caught.value.message == f"cension: `cension.api_url`: {message}"

    def test_query_in_the_api_url_is_a_config_error(self, api: Api) -> None:
        with pytest.raises(ConfigError, match=r"^cension: `cension.api_url` takes an origin and a path, no query$"):
            api.client("https://h.test/?a=b")

    def test_name_of_a_private_address_is_a_config_error(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 443))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(ConfigError) as caught:
            api.client("https://h.test", HttpSettings()).get("/a")
        assert caught.value.message.startswith("cension: `cension.api_url`: h.test (10.0.0.7")
        assert caught.value.message.endswith(
            ") is not a public address; `allow_private_hosts: true` is needed to reach it"
        )

    @pytest.mark.parametrize("key", ["a\nb", "a\r\nX: y", "schlüssel", "a\0b"])
    def test_key_that_fits_no_header_is_a_config_error(self, api: Api, key: str) -> None:
        """The standard library would name the whole value in its error."""
        with pytest.raises(ConfigError) as caught:
            Client("cension", "https://h.test", {"Authorization": key}, SETTINGS, api.clock)
        assert caught.value.message == (
            "`cension.api_key` holds a line break or another character that a header cannot carry"
        )


class Gate:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def before(self) -> None:
        self.log.append("before")

    def after(self, reply: Answered) -> None:
        self.log.append(f"after {reply.status} {_remaining(reply.headers)}")


def _remaining(headers: Mapping[str, str]) -> str | None:
    return headers.get("ratelimit-remaining")


class TestPace:
    def test_gates_see_every_attempt(self, api: Api) -> None:
        always, once = Gate(), Gate()
        client, _ = api.start(reply(429), reply(200, {}, RateLimit_Remaining="9"), gate=always)
        client.get("/a")
        client.send("POST", "/b", gate=once)
        assert always.log == ["before", "after 429 None", "before", "after 200 9", "before", "after 200 9"]
        assert once.log == ["before", "after 200 9"]

    def test_pace_holds_in_any_minute(self) -> None:
        clock = FakeClock()
        pace = Pace(3, clock)
        starts = []
        for step in (0, 10, 0, 0, 0, 0, 0):
            clock.advance(step)
            pace.before()
            starts.append(clock.monotonic())
        assert starts == [0, 10, 10, 60, 70, 70, 120]
        assert clock.sleeps == [50, 10, 50]

    def test_pace_gives_each_thread_its_own_slot(self) -> None:
        clock = FakeClock()
        clock.stop.set()  # time stands still, so that the slots can be read from the waits
        pace = Pace(2, clock)
        threads = [threading.Thread(target=pace.before) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(clock.sleeps) == [60, 60, 120, 120]
