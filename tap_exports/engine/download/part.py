"""The part of a file that has arrived, and whether more bytes continue it (RFC 9110, sections 8.8, 13.1.5 and 14)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tap_exports.engine.download.digests import Digests, Sum, differ, of_reply, of_whole
from tap_exports.engine.http.encoding import Decoding, codings
from tap_exports.engine.spool import SpoolFile
from tap_exports.engine.unpacked import ArchiveLimits

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_PACKED = (b"\x1f\x8b", b"PK\x03\x04")  # gzip and zip: their readers refuse what lacks its trailer
_HEAD_BYTES = 4


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """Return the ETag, or None where it is absent, weak or malformed: only a strong one names exact bytes."""
    etag = headers.get("ETag", "").strip()
    return etag if len(etag) > 1 and etag[0] == etag[-1] == '"' else None


def length_of(headers: Mapping[str, str]) -> int | None:
    """Return Content-Length; beside a Transfer-Encoding it means nothing (RFC 9112, section 6.3)."""
    text = "" if "Transfer-Encoding" in headers else headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() else None


def range_of(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return where the range of a 206 begins and the length of the whole; None for what is not told."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    start, total = (match[1], match[3]) if match else (None, None)
    return None if start is None else int(start), None if total in {None, "*"} else int(str(total))


class Part:
    """What has arrived of one representation.

    `received` counts the bytes on the wire, in which ranges, lengths, digests and ETags are measured. With a
    `Content-Encoding`, which some stores send unasked, the file holds the decoded bytes.

    Attributes:
        received: Bytes of the representation so far.
        total: Its length, or None while unknown.
        etag: Its strong ETag, or None.
        framed: Whether the reply that brings the bytes tells where they end.
        is_whole: Whether the end is proven, by the reply or otherwise; set False where it is taken without.
    """

    def __init__(self, file: SpoolFile, *, verify: bool = True, limits: ArchiveLimits = ArchiveLimits()) -> None:  # noqa: B008 - frozen
        """Start with nothing.

        Args:
            file: Takes the bytes.
            verify: Whether the bytes are held against the digests that replies give.
            limits: What a packed body may unpack to.
        """
        self._file = file
        self._limits = limits
        self._verify = verify
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._file.restart()
        self.received = 0
        self.total: int | None = None
        self.etag: str | None = None
        self.framed = self.is_whole = True
        self._codings: tuple[str, ...] = ()
        self._decoding = Decoding("")
        self._digests: Digests = {}
        self._whole: Sum | None = None
        self._reply: Sum | None = None
        self._head = b""

    def expect(self, headers: Mapping[str, str]) -> None:
        """Refuse a size before its first byte arrives.

        Raises:
            LimitError: The file is announced larger than the spool allows.
        """
        self._file.expect(length_of(headers) or 0)

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start over with the representation that a 200 announces."""
        self.reset()
        encoding = headers.get("Content-Encoding", "")
        self._codings, self._decoding = codings(encoding), Decoding(encoding)
        self.total = length_of(headers)
        self.etag = strong_etag(headers)
        self._digests = {**of_reply(headers), **of_whole(headers)} if self._verify else {}
        self._whole = Sum.of(self._digests)
        self.framed = self.total is not None or "Transfer-Encoding" in headers

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the rest: none where nothing could prove that it belongs to what is here.

        A strong ETag proves it before, a digest of the whole afterwards. A date or a weak ETag proves nothing: a file
        may change within its second (RFC 9110, section 8.8.2.2).
        """
        if not self.received or not (self.etag or self._whole):
            return {}
        return {"Range": f"bytes={self.received}-", **({"If-Range": self.etag} if self.etag else {})}

    def continues(self, headers: Mapping[str, str]) -> bool:
        """Return whether a 206 continues exactly here, of exactly this representation; take its total over."""
        start, told = range_of(headers)
        if start != self.received or not self._is_same(headers):
            return False
        total = self.total if told is None else told
        fits = self.total in {None, total}
        self.total = total
        # Some stores repeat the digest of the whole here.
        own = {name: value for name, value in of_reply(headers).items() if value != self._digests.get(name)}
        self._reply = Sum.of(own) if self._verify else None
        self.framed = total is not None or length_of(headers) is not None or "Transfer-Encoding" in headers
        return fits

    def write(self, data: bytes) -> None:
        """Append bytes of the body.

        Raises:
            BadContentError: A layer of `Content-Encoding` is damaged or not supported.
        """
        self.received += len(data)
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
        for total in (self._whole, self._reply):
            if total:
                total.update(data)
        self._take(self._decoding.decode(data))

    def _take(self, pieces: Iterable[bytes]) -> None:
        """Write what came, unpacked.

        Raises:
            LimitError: It is more than an archive of so many bytes may hold.
        """
        for piece in pieces:
            if self._codings:
                self._limits.check(self._file.size + len(piece), max(self.received, self.total or 0))
            self._file.write(piece)

    @property
    def missing(self) -> bool:
        """Return whether bytes are known to be missing."""
        return self.total is not None and self.received < self.total

    @property
    def overfull(self) -> bool:
        """Return whether more arrived than was announced."""
        return self.total is not None and self.received > self.total

    @property
    def sealed(self) -> bool:
        """Return whether what packs the file proves its end: a layer that came to its own, or a gzip or zip file."""
        return self._decoding.sealed if self._codings else self._head.startswith(_PACKED)

    @property
    def wrong_digest(self) -> str | None:
        """Return the algorithm whose digest the bytes do not have, of all that came; None where all is well."""
        return next((s.algorithm for s in (self._whole, self._reply) if s and not s.fits), None)

    @property
    def verified(self) -> bool:
        """Return whether a digest of the whole is there and fits."""
        return self._whole is not None and self._whole.fits

    def close(self) -> None:
        """Finish the file.

        Raises:
            BadContentError: A gzip layer ends in the middle.
        """
        self._take(self._decoding.finish())
        self._file.close()

    def _is_same(self, headers: Mapping[str, str]) -> bool:
        """Return whether a reply is about the representation that is here."""
        if codings(headers.get("Content-Encoding", "")) != self._codings or differ(of_whole(headers), self._digests):
            return False
        return not self.etag or strong_etag(headers) == self.etag
