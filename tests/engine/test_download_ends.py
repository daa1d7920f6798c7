"""What proves that a file is whole and the right one: ends, digests, speed, and pages that are no file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tap_exports.errors import BadContentError, TryAgainError
from tests.engine.downloads import BROKEN, DATA, HALF, OTHER, SETTINGS, WHOLE, Downloads, assert_is, part
from tests.engine.servers import Handler, Step, Store, cut, reply

REFUSED = "answers no question for the end, so a cut would not be seen; `unframed_files: accept` reads it all the same"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Downloads]:
    with ExitStack() as stack:
        yield Downloads(stack, tmp_path / "spool")


def unframed(body: bytes, status: int = 200, **headers: str) -> Step:
    """Send a body without a length and hang up, as HTTP/1.0 does."""

    def step(handler: Handler) -> None:
        handler.head(status, {name.replace("_", "-"): value for name, value in headers.items()})
        if handler.command != "HEAD":
            handler.wfile.write(body)
        handler.close_connection = True

    return step


def length(total: int) -> Step:
    return lambda handler: handler.head(200, {"Content-Length": str(total)})


def behind(total: int, etag: str = '"v1"') -> Step:
    """Answer a question for the bytes behind the first half."""

    def step(handler: Handler) -> None:
        part(handler, f"bytes {HALF}-{total - 1}/{total}", DATA[HALF:total], ETag=etag)

    return step


class TestUnframed:
    """A body that neither a length nor chunks frame ends as a cut one does."""

    @pytest.mark.parametrize("told", [{"Content_Range": f"bytes */{len(DATA)}"}, {}])
    def test_nothing_behind_the_last_byte_proves_the_end(self, files: Downloads, told: dict[str, str]) -> None:
        server = files.server(unframed(DATA), reply(416, **told))
        assert_is(files.run(), DATA)
        assert files.ranges == [(None, None), (f"bytes={len(DATA)}-", None)]
        assert [seen.method for seen in server.seen] == ["GET", "GET"]

    def test_empty_file_is_proven_too(self, files: Downloads) -> None:
        files.server(unframed(b""), reply(416, Content_Range="bytes */0"))
        assert_is(files.run(), b"")

    def test_bytes_behind_a_cut_are_read(self, files: Downloads) -> None:
        """The same strong ETag: the rest is asked for, and the total is known from then on."""
        files.server(unframed(DATA[:HALF], ETag='"v1"'), behind(len(DATA)), behind(len(DATA)))
        assert_is(files.run(), DATA)
        assert files.ranges[2] == (f"bytes={HALF}-", '"v1"')

    def test_cut_without_a_validator_starts_over(self, files: Downloads) -> None:
        files.server(unframed(DATA[:HALF]), behind(len(DATA), etag=""), WHOLE)
        assert_is(files.run(), DATA)

    def test_cut_that_stays_is_never_a_file(self, files: Downloads) -> None:
        files.server(*[unframed(DATA[:HALF]), behind(len(DATA), etag="")] * 10)
        with pytest.raises(TryAgainError, match="no progress in 6 attempts: the body ended early"):
            files.run()

    @pytest.mark.parametrize("range_answer", [unframed(DATA), reply(403), reply(500), reply(302, Location="x:/")])
    def test_length_that_head_tells_serves_where_ranges_do_not(self, files: Downloads, range_answer: Step) -> None:
        server = files.server(unframed(DATA), range_answer, length(len(DATA)))
        assert_is(files.run(), DATA)
        assert server.seen[-1].method == "HEAD"

    def test_length_that_head_tells_shows_a_cut(self, files: Downloads) -> None:
        files.server(unframed(DATA[:HALF]), unframed(DATA[:HALF]), length(len(DATA)), WHOLE)
        assert_is(files.run(), DATA)

    @pytest.mark.parametrize("head", [reply(501), reply(403), length(0), unframed(b"")])
    def test_what_nothing_proves_is_refused(self, files: Downloads, head: Step) -> None:
        """A proxy with a limit cuts at the same byte each time, so that two equal reads prove nothing."""
        files.server(*[unframed(DATA[:HALF]), unframed(DATA[:HALF]), head] * 2)
        with pytest.raises(BadContentError, match=REFUSED):
            files.run()
        assert len(files.current.seen) == 6

    def test_what_nothing_proves_may_be_accepted(self, files: Downloads, caplog: pytest.LogCaptureFixture) -> None:
        files.server(unframed(b"12345"), unframed(b"12345"), reply(501))
        assert_is(files.run(replace(SETTINGS, unframed_files="accept")), b"12345")
        (text,) = caplog.messages
        assert text.endswith("so a cut would not be seen")

    def test_a_copy_tells_whether_its_end_is_proven(self, files: Downloads) -> None:
        """A body that was accepted without an end, and one behind it that is framed."""
        files.server(unframed(b"12345"), unframed(b"12345"), reply(501))
        accepted = files.run(replace(SETTINGS, unframed_files="accept"))
        files.server(WHOLE)
        assert (accepted.is_whole, files.run().is_whole) == (False, True)

    def test_second_read_that_is_framed_is_taken(self, files: Downloads) -> None:
        files.server(unframed(DATA[:HALF]), unframed(DATA[:HALF]), reply(501), WHOLE)
        assert_is(files.run(), DATA)

    def test_trailer_of_a_layer_proves_the_end(self, files: Downloads) -> None:
        body = gzip.compress(DATA)
        files.server(unframed(body, Content_Encoding="gzip"), reply(403), reply(403))
        assert_is(files.run(), DATA)

    def test_layer_without_its_trailer_is_no_file(self, files: Downloads) -> None:
        files.server(*[unframed(gzip.compress(DATA)[:-9], Content_Encoding="gzip"), reply(403), reply(403)] * 2)
        with pytest.raises(BadContentError, match=REFUSED):
            files.run()

    def test_gzip_and_zip_files_are_left_to_their_readers(self, files: Downloads) -> None:
        """Both refuse a file without its trailer."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("a.csv", DATA)
        for body in (gzip.compress(DATA), packed.getvalue()):
            files.server(unframed(body), reply(403), reply(403))
            assert_is(files.run(), body)

    def test_digest_proves_the_end(self, files: Downloads) -> None:
        told = f"sha-256=:{b64(hashlib.sha256(DATA).digest())}:"
        files.server(unframed(DATA, Repr_Digest=told), reply(403), reply(403))
        assert_is(files.run(), DATA)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def digests(content: bytes) -> dict[str, tuple[str, str]]:
    """Return the headers by which a store may tell the digest of a content."""
    sha256, md5 = b64(hashlib.sha256(content).digest()), b64(hashlib.md5(content).digest())  # noqa: S324 - of a header
    crc = b64(zlib.crc32(content).to_bytes(4, "big"))
    return {
        "repr": ("Repr-Digest", f"sha-256=:{sha256}:"),
        "repr list": ("Repr-Digest", f"unknown=:AAAA:, sha-512=:{b64(hashlib.sha512(content).digest())}:"),
        "content": ("Content-Digest", f"sha-256=:{sha256}:"),
        "old": ("Digest", f"SHA-256={sha256},MD5={md5}"),
        "old sha": ("Digest", f"SHA={b64(hashlib.sha1(content).digest())}"),  # noqa: S324 - of a header
        "amazon sha256": ("x-amz-checksum-sha256", sha256),
        "amazon crc32": ("x-amz-checksum-crc32", crc),
        "md5": ("Content-MD5", md5),
        "azure": ("x-ms-blob-content-md5", md5),
        "google": ("x-goog-hash", f"crc32c=AAAAAA==,md5={md5}"),
    }


KINDS = list(digests(b""))
WHOLES = ["repr", "repr list", "old", "old sha", "azure", "google"]


class TestDigests:
    @pytest.mark.parametrize("kind", KINDS)
    def test_digest_that_fits_is_fine(self, files: Downloads, kind: str) -> None:
        files.server(reply(200, DATA, **dict([digests(DATA)[kind]])))
        assert_is(local := files.run(), DATA)
        assert (local.summed, len(files.current.seen)) == (True, 1)

    @pytest.mark.parametrize("kind", KINDS)
    def test_digest_that_does_not_fit_is_no_file(self, files: Downloads, kind: str) -> None:
        """A byte that changed on its way, or a digest of another version."""
        files.server(reply(200, DATA[:-1] + b"!", **dict([digests(DATA)[kind]])), WHOLE)
        assert_is(files.run(), DATA)
        assert len(files.current.seen) == 2

    def test_digest_that_never_fits_stops_and_names_the_setting(self, files: Downloads) -> None:
        server = files.server(reply(200, OTHER, **dict([digests(DATA)["md5"]])))
        with pytest.raises(TryAgainError, match=r"do not have the md5 that the server gives \(`verify_digests`\)"):
            files.run()
        assert len(server.seen) == 6
        assert_is(local := files.run(replace(SETTINGS, verify_digests=False)), OTHER)
        assert not local.summed

    @pytest.mark.parametrize(
        "header",
        [
            ("Content-MD5", "not base64"),
            ("Content-MD5", "AAAA"),
            ("Repr-Digest", "sha-256"),
            ("x-amz-checksum-sha256", b64(bytes(32)) + "-3"),
            ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
            ("x-goog-hash", "crc32c=AAAAAA=="),
        ],
    )
    def test_what_cannot_be_computed_is_passed_over(self, files: Downloads, header: tuple[str, str]) -> None:
        files.server(reply(200, DATA, **dict([header])))
        assert_is(local := files.run(), DATA)
        assert not local.summed

    def test_digest_is_of_the_bytes_on_the_wire(self, files: Downloads) -> None:
        body = gzip.compress(DATA)
        files.server(reply(200, body, Content_Encoding="gzip", **dict([digests(body)["repr"]])))
        assert_is(files.run(), DATA)

    def test_google_hashes_what_it_stores(self, files: Downloads) -> None:
        """The store unpacked the file on its way, and its hash is of the packed one."""
        told = dict([digests(gzip.compress(DATA))["google"]]) | {"x-goog-stored-content-encoding": "gzip"}
        files.server(reply(200, DATA, **told))
        assert_is(files.run(), DATA)

    @pytest.mark.parametrize("kind", KINDS)
    def test_strong_etag_that_comes_back_with_another_digest_splices_nothing(self, files: Downloads, kind: str) -> None:
        """Some servers repeat an ETag over another content: the digest tells."""

        def rest(handler: Handler) -> None:
            told = dict([digests(OTHER)[kind]])
            part(handler, f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", OTHER[HALF:], ETag='"v1"', **told)

        first = cut(DATA[:HALF], len(DATA), ETag='"v1"', **dict([digests(DATA)[kind]]))
        files.server(first, rest, Store(OTHER, '"v1"'))
        assert_is(files.run(), OTHER)

    def test_digest_that_is_not_computed_is_compared(self, files: Downloads) -> None:
        def rest(handler: Handler) -> None:
            told = {"ETag": '"v1"', "x-goog-hash": "crc32c=BBBBBB=="}
            part(handler, f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", OTHER[HALF:], **told)

        told = {"ETag": '"v1"', "x-goog-hash": "crc32c=AAAAAA=="}
        files.server(cut(DATA[:HALF], len(DATA), **told), rest, Store(OTHER, '"v1"'))
        assert_is(files.run(), OTHER)

    @pytest.mark.parametrize("kind", KINDS)
    def test_digest_lets_a_file_without_an_etag_go_on(self, files: Downloads, kind: str) -> None:
        """Without If-Range the rest may be another file's: the digest of the whole is held against it at the end."""

        def rest(handler: Handler) -> None:
            part(handler, f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", DATA[HALF:])

        files.server(cut(DATA[:HALF], len(DATA), **dict([digests(DATA)[kind]])), rest)
        assert_is(files.run(), DATA)
        assert files.ranges == [(None, None), (f"bytes={HALF}-", None)]

    def test_rest_of_another_file_is_found_out_by_the_digest(self, files: Downloads) -> None:
        def rest(handler: Handler) -> None:
            part(handler, f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", OTHER[HALF:])

        files.server(cut(DATA[:HALF], len(DATA), **dict([digests(DATA)["md5"]])), rest, Store(OTHER))
        assert_is(files.run(), OTHER)

    @pytest.mark.parametrize("kind", ["content", "md5", "amazon sha256"])
    def test_digest_of_a_part_is_held_against_the_part(self, files: Downloads, kind: str) -> None:
        def rest(handler: Handler) -> None:
            told = dict([digests(DATA[HALF:])[kind]])
            part(handler, f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", OTHER[HALF:], ETag='"v1"', **told)

        files.server(BROKEN, rest, WHOLE)
        assert_is(files.run(), DATA)
        assert files.ranges[2] == (None, None)

    @pytest.mark.parametrize("kind", ["md5", "amazon sha256"])
    def test_digest_of_the_whole_may_be_repeated_with_a_part(self, files: Downloads, kind: str) -> None:
        told = dict([digests(DATA)[kind]])

        def rest(handler: Handler) -> None:
            part(handler, f"bytes {HALF}-{len(DATA) - 1}/{len(DATA)}", DATA[HALF:], ETag='"v1"', **told)

        files.server(cut(DATA[:HALF], len(DATA), ETag='"v1"', **told), rest)
        assert_is(files.run(), DATA)
        assert len(files.current.seen) == 2


def trickle(body: bytes, announced: int, pause: float = 0.02, **headers: str) -> Step:
    """Send a byte at a time, until the test is over."""

    def step(handler: Handler) -> None:
        handler.head(200, {"Content-Length": str(announced), **headers})
        for index in range(len(body)):
            handler.wfile.write(body[index : index + 1])
            if handler.server.released.wait(pause):
                return

    return step


class TestSpeed:
    SLOW = replace(SETTINGS, request_timeout_seconds=0.2, min_transfer_bytes_per_second=1000, max_attempts=3)

    def test_trickle_ends(self, files: Downloads) -> None:
        """Each byte comes within `request_timeout_seconds`, and each attempt brings some: it ends all the same."""
        start = time.monotonic()
        server = files.server(trickle(DATA[:5000], 5000, ETag='"v1"'))
        with pytest.raises(TryAgainError, match="no progress in 3 attempts: fewer than 1000 bytes a second came"):
            files.run(self.SLOW)
        assert (len(server.seen), time.monotonic() - start < 5) == (3, True)

    def test_file_goes_on_where_it_became_too_slow(self, files: Downloads) -> None:
        files.server(trickle(DATA[:500], len(DATA), ETag='"v1"'), WHOLE)
        assert_is(files.run(self.SLOW), DATA)
        assert files.ranges[1][1] == '"v1"'

    def test_fast_beginning_is_progress(self, files: Downloads) -> None:
        """What comes above the floor counts, so that a store that tires now and then is borne."""

        def tires(handler: Handler) -> None:
            start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
            step = DATA[start : start + 40_000]
            told = {"ETag": '"v1"', "Content-Length": str(len(DATA) - start)}
            whole = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
            handler.head(206 if start else 200, told | whole)
            handler.wfile.write(step)
            for index in range(start + len(step), min(start + len(step) + 40, len(DATA))):
                handler.wfile.write(DATA[index : index + 1])
                handler.server.released.wait(0.01)
            handler.close_connection = True

        server = files.server(tires)
        assert_is(files.run(self.SLOW), DATA)
        assert len(server.seen) > 3


class TestPages:
    @pytest.mark.parametrize(
        "page",
        [
            reply(200, b"<Error>", Content_Type="application/xml"),
            reply(200, b"Sorry", Content_Type="text/html; charset=utf-8"),
            reply(200, b"\xef\xbb\xbf \n<!DOCTYPE html><html>", Content_Type="text/csv"),
            reply(200, b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>"),
            unframed(b"<html><body>Bad gateway</body></html>"),
        ],
    )
    def test_one_page_is_a_blip(self, files: Downloads, page: Step) -> None:
        """The file is asked for again, with a new URL, and what has arrived is kept."""
        server = files.server(BROKEN, page, WHOLE)
        assert_is(files.run(), DATA)
        assert [seen.path.partition("?")[0] for seen in server.seen] == ["/export.csv", "/export.csv", "/new-1"]
        assert files.ranges[2] == (f"bytes={HALF}-", '"v1"')
        assert len(files.clock.sleeps) == 2

    @pytest.mark.parametrize(
        "media", ["text/html; charset=utf-8", "application/xml", "TEXT/XML", "application/xhtml+xml"]
    )
    def test_pages_in_a_row_stop(self, files: Downloads, media: str) -> None:
        server = files.server(reply(200, b"<Error>", Content_Type=media))
        kind = media.partition(";")[0].lower()
        with pytest.raises(
            BadContentError, match=f"a page of type {kind.replace('+', '.')} came where a file is due, in 6 attempts$"
        ):
            files.run()
        assert (len(server.seen), files.renewed) == (6, 5)

    def test_text_that_holds_markup_further_on_is_a_file(self, files: Downloads) -> None:
        body = b"page\n<html>\n"
        files.server(reply(200, body))
        assert_is(files.run(), body)

    def test_rest_that_begins_with_markup_is_the_rest(self, files: Downloads) -> None:
        content = b"page,n\n<html></html>,1\n"

        def rest(handler: Handler) -> None:
            part(handler, f"bytes 7-{len(content) - 1}/{len(content)}", content[7:], ETag='"v1"')

        files.server(cut(content[:7], len(content), ETag='"v1"'), rest)
        assert_is(files.run(), content)
