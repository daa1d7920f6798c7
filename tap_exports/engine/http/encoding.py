"""Undoes `Content-Encoding` as curl and browsers do: the header only names what may be there, the bytes decide.

Stores keep the header as metadata that somebody once wrote beside a file: `UTF-8`, `aws-chunked`, `none`, `gzip` on
bytes that are plain or packed twice.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tap_exports.errors import BadContentError

GZIP_MAGIC = b"\x1f\x8b"
_GZIP = frozenset({"gzip", "x-gzip"})
_UNSUPPORTED = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip"})
_CODINGS = _GZIP | _UNSUPPORTED | {"deflate"}
_FILE_MAGICS = (GZIP_MAGIC, b"PK", b"PAR1", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SNIFFED_BYTES = 64
_PIECE_BYTES = 1024 * 1024
_ZLIB, _RAW_DEFLATE, _GZIP_BITS = 15, -15, 31


def codings(header: str) -> tuple[str, ...]:
    """Return the names in a `Content-Encoding` header that can change bytes, in the order they were applied."""
    names = (name.strip().lower() for name in header.split(","))
    return tuple(name for name in names if name in _CODINGS)


class Decoding:
    """Undoes the codings of one body piece by piece.

    Args:
        header: The value of `Content-Encoding`, or an empty string.
    """

    def __init__(self, header: str) -> None:
        """Start before the first byte."""
        self._layers = [_Layer(name) for name in reversed(codings(header))]

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what bytes of the body hold, in pieces of at most 1 MiB; few first bytes may be held back.

        Raises:
            BadContentError: The bytes are damaged, or of a coding that is not supported.
        """
        return self._through(0, data)

    def finish(self) -> Iterator[bytes]:
        """Yield what was held back; the body is over.

        Raises:
            BadContentError: A layer ends in the middle.
        """
        for number, layer in enumerate(self._layers):
            for piece in layer.finish():
                yield from self._through(number + 1, piece)

    @property
    def sealed(self) -> bool:
        """Return whether a compressed layer has come to its own end, which proves that nothing is missing."""
        return any(layer.sealed for layer in self._layers)

    def _through(self, number: int, data: bytes) -> Iterator[bytes]:
        if number == len(self._layers):
            yield data
            return
        for piece in self._layers[number].decode(data):
            yield from self._through(number + 1, piece)


class _Layer:
    """One coding: passes bytes on as they are where they show that it was not applied."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._held = b""
        self._known = False
        self._packed: _Zlib | None = None

    @property
    def sealed(self) -> bool:
        return self._packed is not None and self._packed.ended

    def decode(self, data: bytes) -> Iterator[bytes]:
        if not self._known:
            data = self._held = self._held + data
            if len(data) < _SNIFFED_BYTES:
                return
            self._look()
        yield from self._packed.decode(data) if self._packed else (data,)

    def finish(self) -> Iterator[bytes]:
        if not self._known and self._held:
            data = self._held
            self._look()
            yield from self._packed.decode(data) if self._packed else (data,)
        if self._packed and not self._packed.ended:
            raise BadContentError("the gzip layer ends in the middle")

    def _look(self) -> None:
        head, self._held, self._known = self._held[:_SNIFFED_BYTES], b"", True
        if self._coding in _GZIP:
            self._packed = _Zlib(_GZIP_BITS) if head.startswith(GZIP_MAGIC) else None
        elif self._coding == "deflate" and not _is_plain(head):
            self._packed = _Zlib(_ZLIB if int.from_bytes(head[:2], "big") % 31 == 0 else _RAW_DEFLATE)
        elif not _is_plain(head):
            raise BadContentError(f"Content-Encoding `{self._coding}` was not asked for and is not supported")


class _Zlib:
    """Members of gzip one after another, or one stream of deflate."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._member = zlib.decompressobj(wbits=bits)

    @property
    def ended(self) -> bool:
        return self._member.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                data = data.lstrip(b"\0")  # what some programs pad with
                if not data:
                    return
                self._member = zlib.decompressobj(wbits=self._bits)
            try:
                yield self._member.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise BadContentError(f"the body is not the gzip that its headers promise ({error})") from None
            data = self._member.unconsumed_tail or self._member.unused_data


def _is_plain(head: bytes) -> bool:
    """Return whether first bytes are text, or a file of a kind that is known: then no coding was applied."""
    if head.startswith(_FILE_MAGICS):
        return True
    text = head.decode("utf-8", "ignore")
    return len(text.encode()) > len(head) - 4 and not any(c < " " and c not in "\t\r\n\x0c" for c in text)
