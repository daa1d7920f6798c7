"""The part of a file that has arrived, and whether more bytes continue it (RFC 9110, sections 8.8, 13.1.5 and 14)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from tap_exports.engine.spool import SpoolFile
from tap_exports.errors import BadContentError

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})
_DECODED_BYTES = 1024 * 1024


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """Return the ETag, or None where it is absent, weak or malformed: only a strong one names exact bytes."""
    etag = headers.get("ETag", "").strip()
    return etag if len(etag) > 1 and etag[0] == etag[-1] == '"' else None


def _length(headers: Mapping[str, str]) -> int | None:
    """Return Content-Length; beside a Transfer-Encoding it means nothing (RFC 9112, section 6.3)."""
    text = "" if "Transfer-Encoding" in headers else headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() else None


class Gunzip:
    """Undoes `Content-Encoding: gzip` piece by piece, members one after another."""

    def __init__(self) -> None:
        """Start before the first member."""
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    @property
    def ended(self) -> bool:
        """Return whether the bytes so far end with a whole member, or are none at all."""
        return self._member.eof or not self._begun

    def write_to(self, file: SpoolFile, data: bytes) -> None:
        """Append what `data` holds to a file, in pieces of bounded size.

        Raises:
            BadContentError: The bytes are not gzip, or its checksum is wrong.
        """
        while data:
            file.write(self._decoded(data))
            data = self._member.unconsumed_tail or self._member.unused_data

    def _decoded(self, data: bytes) -> bytes:
        if self._member.eof:
            self._member = zlib.decompressobj(wbits=31)
        self._begun = True
        try:
            return self._member.decompress(data, _DECODED_BYTES)
        except zlib.error as error:
            raise BadContentError(f"the body is not the gzip that its headers promise ({error})") from None


class Part:
    """What has arrived of one representation.

    `received` counts the bytes on the wire, in which ranges, lengths and ETags are measured. With
    `Content-Encoding: gzip`, which some stores send unasked, the file holds the decoded bytes.

    Attributes:
        received: Bytes of the representation so far.
        total: Its length, or None while unknown.
        etag: Its strong ETag, or None.
    """

    def __init__(self, file: SpoolFile) -> None:
        """Start with nothing."""
        self._file = file
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._file.restart()
        self.received = 0
        self.total: int | None = None
        self.etag: str | None = None
        self._modified: str | None = None
        self._encoding = ""
        self._gunzip: Gunzip | None = None

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start over with the representation that a 200 announces.

        Raises:
            BadContentError: Its `Content-Encoding` is neither gzip nor none.
            LimitError: It is announced larger than the spool allows.
        """
        self.reset()
        self._encoding = headers.get("Content-Encoding", "").strip().lower()
        if self._encoding not in _GZIP | _PLAIN:
            raise BadContentError(f"Content-Encoding `{self._encoding}` was not asked for and is not supported")
        self._gunzip = Gunzip() if self._encoding in _GZIP else None
        self.total = _length(headers)
        self._file.expect(self.total or 0)
        self.etag, self._modified = strong_etag(headers), headers.get("Last-Modified")

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the rest: none where nothing could prove that it belongs to what is here."""
        validator = self.etag or self._modified
        if not self.received or not validator:
            return {}
        return {"Range": f"bytes={self.received}-", "If-Range": validator}

    def continues(self, headers: Mapping[str, str]) -> bool:
        """Return whether a 206 continues exactly here, of exactly this representation; take its total over."""
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if not match or int(match[1]) != self.received or not self._is_same(headers):
            return False
        total = self.total if match[3] == "*" else int(match[3])
        fits = self.total in {None, total}
        self.total = total
        return fits

    def forget_dates(self) -> None:
        """Trust only a strong ETag from here on: a new URL may lead to another file of the same date."""
        self._modified = None

    def write(self, data: bytes) -> None:
        """Append bytes of the body."""
        self.received += len(data)
        if self._gunzip:
            self._gunzip.write_to(self._file, data)
        else:
            self._file.write(data)

    @property
    def missing(self) -> bool:
        """Return whether bytes are known to be missing."""
        return self.total is not None and self.received < self.total

    @property
    def overfull(self) -> bool:
        """Return whether more arrived than was announced."""
        return self.total is not None and self.received > self.total

    def close(self) -> None:
        """Finish the file.

        Raises:
            BadContentError: A gzip layer ends in the middle.
        """
        if self._gunzip and not self._gunzip.ended:
            raise BadContentError("the gzip layer ends in the middle")
        self._file.close()

    def _is_same(self, headers: Mapping[str, str]) -> bool:
        """Return whether a reply is about the representation that is here."""
        if headers.get("Content-Encoding", "").strip().lower() != self._encoding:
            return False
        if self.etag:
            return strong_etag(headers) == self.etag
        return headers.get("Last-Modified", self._modified) == self._modified
