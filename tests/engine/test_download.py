from __future__ import annotations

import gzip
import ssl
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from tap_exports.engine.http import HttpSettings
from tap_exports.engine.model import RemoteFile
from tap_exports.errors import (
    BadContentError,
    FileGoneError,
    LimitError,
    RefusedError,
    StopError,
    TapError,
    TryAgainError,
    UnsafeUrlError,
    UrlRefusedError,
)
from tests.engine.downloads import BROKEN, DATA, HALF, OTHER, QUERY, SETTINGS, WHOLE, Downloads, assert_is, part
from tests.engine.servers import Handler, Step, Store, cut, hang, reply, reset


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Downloads]:
    with ExitStack() as stack:
        yield Downloads(stack, tmp_path / "spool")


class TestWhole:
    def test_file_is_copied_exactly(self, files: Downloads) -> None:
        files.server(WHOLE)
        local = files.run()
        assert_is(local, DATA)
        assert (local.etag, files.clock.sleeps, files.renewed) == ('"v1"', [], 0)

    def test_request_carries_no_credential(self, files: Downloads) -> None:
        """P7: a key never reaches the host of a signed URL; ranges must mean the file's own bytes."""
        server = files.server(WHOLE)
        files.run()
        names = sorted(name.lower() for name in server.seen[0].headers)
        assert names == ["accept", "accept-encoding", "host", "user-agent"]
        assert server.seen[0].headers["Accept-Encoding"] == "identity"
        assert server.seen[0].path == f"/export.csv{QUERY}"

    def test_empty_file(self, files: Downloads) -> None:
        files.server(reply(200, b""))
        assert_is(files.run(), b"")

    @pytest.mark.parametrize("etag", ["", 'W/"v1"', "v1", '"'])
    def test_only_a_strong_etag_is_kept(self, files: Downloads, etag: str) -> None:
        files.server(replace(WHOLE, etag=etag))
        assert files.run().etag is None

    def test_chunked_file(self, files: Downloads) -> None:
        def chunks(handler: Handler) -> None:
            handler.head(200, {"Transfer-Encoding": "chunked", "Content-Length": "3"})
            handler.wfile.write(b"5\r\n12345\r\n0\r\n\r\n")

        files.server(chunks)
        assert_is(files.run(), b"12345")


class TestEncoding:
    @pytest.mark.parametrize("content", [DATA, b"", b"a" * 1024 * 1024, b"a" * (1024 * 1024 - 7)])
    @pytest.mark.parametrize("encoding", ["gzip", "X-GZIP"])
    def test_content_encoding_is_undone(self, files: Downloads, content: bytes, encoding: str) -> None:
        """The file is what the server encoded, though identity was asked for."""
        body = gzip.compress(content[: len(content) // 2]) + gzip.compress(content[len(content) // 2 :])
        files.server(reply(200, body, Content_Encoding=encoding))
        assert_is(files.run(), content)

    def test_encoded_body_goes_on_where_it_broke(self, files: Downloads) -> None:
        """Ranges, lengths and ETags belong to the encoded bytes."""
        body = gzip.compress(DATA)
        half = len(body) // 2

        def rest(handler: Handler) -> None:
            headers = {"ETag": '"v1"', "Content_Encoding": "gzip"}
            part(handler, f"bytes {half}-{len(body) - 1}/{len(body)}", body[half:], **headers)

        files.server(cut(body[:half], len(body), ETag='"v1"', Content_Encoding="gzip"), rest)
        assert_is(files.run(), DATA)
        assert files.ranges == [(None, None), (f"bytes={half}-", '"v1"')]

    def test_rest_in_another_encoding_starts_over(self, files: Downloads) -> None:
        files.server(cut(gzip.compress(DATA)[:1000], 5000, ETag='"v1"', Content_Encoding="gzip"), WHOLE)
        assert_is(files.run(), DATA)

    @pytest.mark.parametrize(
        ("limits", "setting"),
        [
            ({"archive_max_ratio": 100}, "archive_max_ratio"),
            ({"archive_max_mb": 2, "archive_max_ratio": 10_000}, "archive_max_mb"),
        ],
    )
    def test_a_body_that_unpacks_to_too_much_is_refused(self, tmp_path: Path, limits: Any, setting: str) -> None:  # noqa: ANN401 - of `HttpSettings`
        """A `Content-Encoding` has the limits of an archive (P8), whatever the spool would take."""
        with ExitStack() as stack:
            files = Downloads(stack, tmp_path, max_mb=100)
            files.server(reply(200, gzip.compress(bytes(20 * 2**20)), Content_Encoding="gzip"))
            with pytest.raises(LimitError, match=setting):
                files.run(replace(SETTINGS, **limits))

    def test_truncated_gzip_of_the_announced_length_is_bad_content(self, files: Downloads) -> None:
        files.server(reply(200, gzip.compress(DATA)[:-5], Content_Encoding="gzip"))
        with pytest.raises(BadContentError, match=r"export.csv: the gzip layer ends in the middle$"):
            files.run()

    def test_damaged_gzip_is_bad_content(self, files: Downloads) -> None:
        files.server(reply(200, gzip.compress(DATA, mtime=0)[:-8] + bytes(8), Content_Encoding="gzip"))
        with pytest.raises(BadContentError, match="not the gzip that its headers promise"):
            files.run()

    @pytest.mark.parametrize(
        "stored",
        [
            "UTF-8",
            "utf-8",
            "aws-chunked",
            "none",
            "identity",
            "identity, aws-chunked",
            "binary",
            "gzip",
            "x-gzip",
            "gzip,aws-chunked",
            "aws-chunked, gzip",
            "gzip, gzip",
            "deflate",
            "br",
            "zstd",
            "br, UTF-8",
            ", ,",
        ],
    )
    @pytest.mark.parametrize("content", [DATA, b"a,b\n1,\xc3\xa4\n", b"x", b"", b"PK\x03\x04\0\1", b"\xff\xfea\0,\0"])
    def test_bytes_that_are_plain_stay_as_they_are(self, files: Downloads, stored: str, content: bytes) -> None:
        """Stores keep the header as metadata that somebody wrote beside the file; browsers look at the bytes."""
        files.server(reply(200, content, Content_Encoding=stored))
        assert_is(files.run(), content)

    @pytest.mark.parametrize(
        "stored", ["gzip,aws-chunked", "aws-chunked, gzip", "UTF-8,gzip", "gzip, gzip", "GZIP , none"]
    )
    def test_gzip_in_a_list_is_undone(self, files: Downloads, stored: str) -> None:
        files.server(reply(200, gzip.compress(DATA), Content_Encoding=stored))
        assert_is(files.run(), DATA)

    def test_file_packed_twice_loses_as_many_layers_as_are_named(self, files: Downloads) -> None:
        twice = gzip.compress(gzip.compress(DATA))
        files.server(reply(200, twice, Content_Encoding="gzip"), reply(200, twice, Content_Encoding="gzip,gzip"))
        assert gzip.decompress(files.run().path.read_bytes()) == DATA
        assert_is(files.run(), DATA)

    @pytest.mark.parametrize("bits", [15, -15])
    def test_deflate_is_undone_in_both_of_its_forms(self, files: Downloads, bits: int) -> None:
        packer = zlib.compressobj(wbits=bits)
        files.server(reply(200, packer.compress(DATA) + packer.flush(), Content_Encoding="deflate"))
        assert_is(files.run(), DATA)

    def test_zeros_behind_gzip_are_padding(self, files: Downloads) -> None:
        files.server(reply(200, gzip.compress(DATA) + bytes(500), Content_Encoding="gzip"))
        assert_is(files.run(), DATA)

    @pytest.mark.parametrize("coding", ["br", "zstd", "compress"])
    def test_other_coding_of_bytes_that_are_not_plain_is_bad_content(self, files: Downloads, coding: str) -> None:
        files.server(reply(200, b"\x28\xb5\x2f\xfd\x04\x00" + bytes(range(80)), Content_Encoding=coding))
        with pytest.raises(BadContentError, match=f"Content-Encoding `{coding}` was not asked for"):
            files.run()

    def test_gzip_bomb_ends_at_the_limit(self, files: Downloads) -> None:
        files.server(reply(200, gzip.compress(bytes(50 * 2**20)), Content_Encoding="gzip"))
        with pytest.raises(LimitError):
            files.run()
        assert files.spool.used == 0


class TestResume:
    @pytest.mark.parametrize("way", ["close", "reset"])
    def test_broken_body_goes_on_where_it_broke(self, files: Downloads, way: str) -> None:
        """P3: the bytes that came are not asked for again; the digest covers all of them."""
        server = files.server(replace(BROKEN, break_with=way), WHOLE)
        assert_is(files.run(), DATA)
        (_, condition), (wanted, validator) = files.ranges
        assert (condition, validator, len(server.seen)) == (None, '"v1"', 2)
        if way == "close":
            assert wanted == f"bytes={HALF}-"

    def test_silence_goes_on_where_it_began(self, files: Downloads) -> None:
        def stall(handler: Handler) -> None:
            handler.head(200, {"Content-Length": str(len(DATA)), "ETag": '"v1"'})
            handler.wfile.write(DATA[:100])
            hang(handler)

        files.server(stall, WHOLE)
        assert_is(files.run(replace(SETTINGS, request_timeout_seconds=0.3)), DATA)
        assert files.ranges == [(None, None), ("bytes=100-", '"v1"')]

    def test_slow_body_is_no_timeout(self, files: Downloads) -> None:
        """The timeout is per read: a body may take longer than it as a whole."""

        def slow(handler: Handler) -> None:
            handler.head(200, {"Content-Length": "10"})
            for _ in range(10):
                handler.wfile.write(b"x")
                handler.server.released.wait(0.06)

        server = files.server(slow)
        settings = replace(SETTINGS, request_timeout_seconds=0.3, min_transfer_bytes_per_second=1)
        assert_is(files.run(settings), b"x" * 10)
        assert len(server.seen) == 1

    @pytest.mark.parametrize("etag", ["", 'W/"v1"'])
    def test_date_proves_nothing(self, files: Downloads, etag: str) -> None:
        """A file that is written again within its second has the date that it had: two versions would be spliced."""
        date = "Wed, 01 Jul 2026 00:00:00 GMT"
        store = Store(OTHER, etag=etag, modified=date)
        files.server(replace(BROKEN, etag=etag, modified=date), store)
        assert_is(files.run(), OTHER)
        assert files.ranges == [(None, None), (None, None)]

    @pytest.mark.parametrize("etag", ["", 'W/"v1"'])
    def test_without_a_validator_everything_is_asked_for_again(self, files: Downloads, etag: str) -> None:
        files.server(replace(BROKEN, etag=etag), replace(WHOLE, etag=etag))
        assert_is(files.run(), DATA)
        assert files.ranges == [(None, None)] * 2

    def test_changed_file_starts_over(self, files: Downloads) -> None:
        files.server(BROKEN, Store(OTHER, '"v2"'))
        local = files.run()
        assert_is(local, OTHER)
        assert local.etag == '"v2"'

    def test_server_without_ranges_starts_over(self, files: Downloads) -> None:
        files.server(BROKEN, replace(WHOLE, ranges=False))
        assert_is(files.run(), DATA)

    @pytest.mark.parametrize(
        ("content_range", "headers"),
        [
            (f"bytes {HALF + 1}-{len(DATA) - 1}/{len(DATA)}", {"ETag": '"v1"'}),
            (f"bytes 0-{len(DATA) - 1}/{len(DATA)}", {"ETag": '"v1"'}),
            (f"bytes {HALF}-{len(DATA)}/{len(DATA) + 1}", {"ETag": '"v1"'}),
            (f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", {"ETag": '"v2"'}),
            (f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", {}),
            (f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", {"ETag": '"v1"', "Content_Encoding": "gzip"}),
            (f"items {HALF}-{len(DATA) - 1}/{len(DATA)}", {"ETag": '"v1"'}),
            ("", {"ETag": '"v1"'}),
        ],
    )
    def test_part_that_does_not_continue_starts_over(
        self, files: Downloads, content_range: str, headers: dict[str, str]
    ) -> None:
        """A server that ignores If-Range, or answers another range, must never mix two files."""

        def wrong(handler: Handler) -> None:
            part(handler, content_range, OTHER[HALF:], **headers)

        files.server(BROKEN, wrong, WHOLE)
        assert_is(files.run(), DATA)
        assert files.ranges == [(None, None), (f"bytes={HALF}-", '"v1"'), (None, None)]

    def test_part_that_nobody_asked_for_starts_over(self, files: Downloads) -> None:
        content_range = f"bytes 0-{len(DATA) - 1}/{len(DATA)}"
        files.server(lambda handler: part(handler, content_range, DATA, ETag='"v0"'), WHOLE)
        local = files.run()
        assert_is(local, DATA)
        assert local.etag == '"v1"'

    def test_shorter_part_is_followed_by_another(self, files: Downloads) -> None:
        def some(handler: Handler) -> None:
            part(handler, f"bytes {HALF}-{HALF + 9}/{len(DATA)}", DATA[HALF : HALF + 10], ETag='"v1"')

        files.server(BROKEN, some, WHOLE)
        assert_is(files.run(), DATA)
        assert files.ranges[2] == (f"bytes={HALF + 10}-", '"v1"')

    def test_part_longer_than_it_says_starts_over(self, files: Downloads) -> None:
        def longer(handler: Handler) -> None:
            part(handler, f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", DATA[HALF:] + b"more", ETag='"v1"')

        files.server(BROKEN, longer, WHOLE)
        assert_is(files.run(), DATA)
        assert files.ranges[2] == (None, None)

    def test_416_starts_over(self, files: Downloads) -> None:
        files.server(BROKEN, reply(416), WHOLE)
        assert_is(files.run(), DATA)

    def test_total_of_a_chunked_file_comes_with_the_rest(self, files: Downloads) -> None:
        def chunks(handler: Handler) -> None:
            handler.head(200, {"Transfer-Encoding": "chunked", "ETag": '"v1"'})
            handler.wfile.write(b"%x\r\n%b\r\n" % (HALF, DATA[:HALF]))
            handler.close_connection = True

        def some(handler: Handler) -> None:
            part(handler, f"bytes {HALF}-{HALF + 9}/{len(DATA)}", DATA[HALF : HALF + 10], ETag='"v1"')

        files.server(chunks, some, WHOLE)
        assert_is(files.run(), DATA)


class TestBounds:
    def fail(self, files: Downloads, kind: type[TapError], settings: HttpSettings = SETTINGS) -> str:
        with pytest.raises(TapError) as caught:
            files.run(settings)
        assert type(caught.value) is kind
        assert files.spool.used == 0, "a failed download leaves nothing behind"
        assert "SECRET" not in caught.value.message
        return caught.value.message.replace(f":{files.current.server_port}", "")

    def test_attempts_without_progress_end(self, files: Downloads) -> None:
        server = files.server(replace(BROKEN, ranges=False, etag=""))
        message = self.fail(files, TryAgainError)
        assert message == "127.0.0.1: export.csv: no progress in 6 attempts: the body ended early"
        assert (len(server.seen), len(files.clock.sleeps)) == (6, 5)

    def test_file_that_keeps_changing_ends(self, files: Downloads) -> None:
        """Each new version comes a little further, which looks like progress."""
        steps = [Store(DATA, f'"v{number}"', stop_at=1000 * number) for number in range(1, 20)]
        server = files.server(*steps)
        message = self.fail(files, TryAgainError)
        assert message == (
            "127.0.0.1: export.csv: started over 6 times: the file changed, or its server resumes nothing"
        )
        assert len(server.seen) == 7

    def test_no_answer_at_all_ends(self, files: Downloads) -> None:
        server = files.server(reset)
        message = self.fail(files, TryAgainError)
        assert message.startswith("127.0.0.1: export.csv: no progress in 6 attempts: ")
        assert (len(server.seen), len(files.clock.sleeps)) == (6, 5)

    def test_progress_allows_more_attempts(self, files: Downloads) -> None:
        steps = [replace(WHOLE, stop_at=offset) for offset in range(1000, 21_000, 1000)]
        server = files.server(*steps, WHOLE)
        assert_is(files.run(), DATA)
        assert (len(server.seen), max(files.clock.sleeps) <= 1) == (21, True)

    def test_passing_statuses_are_repeated_and_retry_after_wins(self, files: Downloads) -> None:
        files.server(reply(503, Retry_After="9"), reply(429, Retry_After="999"), reply(500), WHOLE)
        assert_is(files.run(), DATA)
        assert files.clock.sleeps[:2] == [9, 300]

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
    def test_url_that_always_is_refused_ends_with_a_count(self, files: Downloads, status: int) -> None:
        server = files.server(reply(status))
        message = self.fail(files, FileGoneError if status in {404, 410} else UrlRefusedError)
        assert message == f"127.0.0.1: export.csv: the URL answered {status}, also after 3 new ones"
        assert [seen.path.partition("?")[0] for seen in server.seen] == ["/export.csv", "/new-1", "/new-2", "/new-3"]
        assert len(files.clock.sleeps) == 2

    def test_status_that_will_not_change_stops(self, files: Downloads) -> None:
        files.server(reply(409))
        assert self.fail(files, RefusedError) == "127.0.0.1: export.csv: status 409"

    def test_announced_size_over_the_limit_stops_before_the_body(self, files: Downloads) -> None:
        files.server(cut(b"", 2**20 + 1))
        message = self.fail(files, LimitError)
        assert message == "127.0.0.1: export.csv: 1048577 bytes are more than `spool_max_mb` (1 MiB) allows"

    def test_size_over_the_limit_stops_while_it_comes(self, files: Downloads) -> None:
        def chunks(handler: Handler) -> None:
            handler.head(200, {"Transfer-Encoding": "chunked"})
            while True:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(DATA), DATA))

        files.server(chunks)
        self.fail(files, LimitError)

    def test_run_that_ends_stops_repeating(self, files: Downloads) -> None:
        server = files.server(reply(503, Retry_After="60"))
        files.clock.stop.set()
        assert self.fail(files, TryAgainError).endswith("not tried again, the run is ending")
        assert len(server.seen) == 1


class TestRenewal:
    def test_expired_url_is_renewed_at_once(self, files: Downloads) -> None:
        server = files.server(reply(403), WHOLE)
        assert_is(files.run(), DATA)
        assert [seen.path.partition("?")[0] for seen in server.seen] == ["/export.csv", "/new-1"]
        assert files.clock.sleeps == []

    def test_bytes_are_kept_when_the_strong_etag_is_equal(self, files: Downloads) -> None:
        files.server(BROKEN, reply(403), WHOLE)
        assert_is(files.run(), DATA)
        assert files.ranges == [(None, None), *[(f"bytes={HALF}-", '"v1"')] * 2]

    def test_bytes_are_dropped_when_the_etag_differs(self, files: Downloads) -> None:
        files.server(BROKEN, reply(403), Store(OTHER, '"v2"'))
        assert_is(files.run(), OTHER)

    def test_progress_allows_more_renewals(self, files: Downloads) -> None:
        steps: list[Step] = []
        for offset in range(1000, 9000, 1000):
            steps += [replace(WHOLE, stop_at=offset), reply(403)]
        files.server(*steps, WHOLE)
        assert_is(files.run(), DATA)
        assert files.renewed == 8

    def test_error_of_the_provider_passes_unchanged(self, files: Downloads) -> None:
        files.server(reply(404))
        error = StopError("the job is gone")

        def gone() -> RemoteFile:
            raise error

        files.renew = gone  # type: ignore[method-assign] # replaced for this test
        with pytest.raises(StopError) as caught:
            files.run()
        assert caught.value is error


class TestHops:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirect_is_followed_with_range_and_nothing_more(self, files: Downloads, status: int) -> None:
        target = files.server(BROKEN, WHOLE)
        front = files.server(reply(status, Location=f"{target.url}/elsewhere?sig=1"))
        assert_is(files.run(), DATA)
        assert [seen.path for seen in target.seen] == ["/elsewhere?sig=1"] * 2
        assert target.seen[1].headers["Range"] == f"bytes={HALF}-"
        assert len(front.seen) == 2

    def test_redirects_are_bounded(self, files: Downloads) -> None:
        server = files.server(reply(302, Location="/again"))
        with pytest.raises(UnsafeUrlError, match=r"export.csv: more than 5 redirects$"):
            files.run()
        assert len(server.seen) == 6

    @pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h.test/x", "http://me:pw@127.0.0.1/x", ""])
    def test_hop_to_something_else_is_refused(self, files: Downloads, location: str) -> None:
        files.server(reply(302, Location=location))
        with pytest.raises(UnsafeUrlError, match=r"^127.0.0.1:\d+: export.csv: ") as caught:
            files.run()
        assert "pw" not in caught.value.message

    @pytest.mark.parametrize(
        ("location", "reason"),
        [
            ("https://169.254.169.254/latest", "169.254.169.254 is not a public address"),
            ("https://[::1]/x", "::1 is not a public address"),
            ("https://2130706434/x", r"2130706434 \(127.0.0.2\) is not a public address"),
            ("http://files.test/x", "http://files.test/x: plain http is refused"),
        ],
    )
    def test_hop_into_a_private_network_is_refused(
        self, files: Downloads, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, location: str, reason: str
    ) -> None:
        """P8, for every hop: the first host counts as public here, the second does not."""
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        monkeypatch.setattr("tap_exports.engine.http.guard.origins.is_public", "127.0.0.1".__eq__)
        server = files.server(reply(302, Location=location), tls=context)
        with pytest.raises(UnsafeUrlError, match=rf"^127.0.0.1:\d+: export.csv: {reason}"):
            files.run(replace(SETTINGS, allow_private_hosts=False))
        assert len(server.seen) == 1

    def test_certificate_that_is_not_trusted_stops_at_once(self, files: Downloads) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        files.server(WHOLE, tls=context)
        with pytest.raises(StopError, match=r"^127.0.0.1:\d+: export.csv: its certificate is not trusted: "):
            files.run()
        assert files.clock.sleeps == []

    def test_private_first_host_is_refused(self, files: Downloads) -> None:
        server = files.server(WHOLE)
        with pytest.raises(UnsafeUrlError):
            files.run(replace(SETTINGS, allow_private_hosts=False))
        assert server.connections == 0
