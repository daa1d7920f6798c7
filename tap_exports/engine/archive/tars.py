"""Tar archives under gzip, read forwards once without keeping what was passed.

The formats are ustar and pax (POSIX.1-2017, `pax`) and GNU tar's long names. The archive must end with its zero block
and gzip's own checksum: without both it counts as cut, where Python's `tarfile` would stop silently.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tap_exports.engine.archive.member import CHUNK_BYTES, Member, checked_name
from tap_exports.engine.unpacked import Meter
from tap_exports.errors import BadContentError

BLOCK = 512
_LARGEST_HEADER = 1024 * 1024
_LONGEST_NUMBER = 20  # digits; Python refuses to read more than 4,300
_FILE, _DIRECTORY = frozenset({0, ord("0"), ord("7")}), ord("5")
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = b"xX", ord("g"), ord("L"), ord("K")
_KINDS = {ord("1"): "a hard link", ord("2"): "a symbolic link", ord("S"): "a sparse file"} | dict.fromkeys(
    b"346", "a device"
)
_CHECKSUM = slice(148, 156)
_BINARY_NUMBER = 0x80


@dataclass(frozen=True, slots=True)
class _Header:
    """One header block; `size` in bytes."""

    name: bytes
    size: int
    kind: int


class _Stream:
    """The unpacked bytes of a gzip file, counted."""

    def __init__(self, file: BinaryIO, meter: Meter) -> None:
        self._file = gzip.GzipFile(fileobj=file)
        self._meter = meter

    def some(self, size: int) -> bytes:
        """Return at most so many bytes, empty at the proper end."""
        try:
            data = self._file.read(size)
        except EOFError:
            raise BadContentError("the tar.gz is cut") from None
        except (gzip.BadGzipFile, zlib.error, OSError) as error:
            raise BadContentError(f"the tar.gz is damaged: {error}") from None
        self._meter.add(len(data))
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield exactly so many bytes."""
        while size:
            piece = self.some(min(size, CHUNK_BYTES))
            if not piece:
                raise BadContentError("the tar.gz is cut")
            size -= len(piece)
            yield piece

    def exactly(self, size: int) -> bytes:
        return b"".join(self.pieces(size))


def read_tar_gz(file: BinaryIO, meter: Meter) -> Iterator[Member]:
    """Yield the regular files of a tar.gz; see `read_members`."""
    stream = _Stream(file, meter)
    more: dict[str, bytes] = {}
    while header := _next_header(stream):
        if header.kind in _PAX or header.kind in {_PAX_GLOBAL, _LONG_NAME, _LONG_LINK}:
            more |= _extension(stream, header)
            continue
        meter.member()
        yield from _member(stream, header, more)
        more = {}
    _check_end(stream)


def _member(stream: _Stream, header: _Header, more: dict[str, bytes]) -> Iterator[Member]:
    """Yield a file, nothing for a directory, and pass over what was not read of it."""
    name = _text(more.get("path", header.name))
    size = _decimal(more["size"]) if "size" in more else header.size
    if header.kind not in _FILE and header.kind != _DIRECTORY:
        raise BadContentError(f"member {name[:80]!a} is {_KINDS.get(header.kind, 'of an unknown kind')}")
    is_root = header.kind == _DIRECTORY and name in {".", "./"}
    path = "." if is_root else checked_name(name)
    content = stream.pieces(size)
    if header.kind != _DIRECTORY and not name.endswith("/"):
        yield Member(path, content)
    for _ in content:
        pass
    stream.exactly(-size % BLOCK)


def _next_header(stream: _Stream) -> _Header | None:
    """Return the next header, None at the zero block that ends the archive."""
    block = stream.exactly(BLOCK)
    if not block.strip(b"\0"):
        return None
    if _number(block[_CHECKSUM]) != sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" "):
        raise BadContentError("the tar.gz is damaged: a header differs from its checksum")
    name = block[:100].rstrip(b"\0").split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return _Header(b"/".join(filter(None, [prefix, name])), _number(block[124:136]), block[156])


def _extension(stream: _Stream, header: _Header) -> dict[str, bytes]:
    """Return what a header in front of a member says of it: its long name, its large size."""
    if header.size > _LARGEST_HEADER:
        raise BadContentError(f"the tar.gz has a header of {header.size} bytes")
    data = stream.exactly(header.size)
    stream.exactly(-header.size % BLOCK)
    if header.kind == _LONG_NAME:
        return {"path": data.rstrip(b"\0")}
    fields = _pax_fields(data) if header.kind != _LONG_LINK else {}
    if any(key.startswith("GNU.sparse") for key in fields):
        raise BadContentError("the tar.gz has a sparse file")
    return {} if header.kind == _PAX_GLOBAL else {k: v for k, v in fields.items() if k in {"path", "size"}}


def _pax_fields(data: bytes) -> dict[str, bytes]:
    """Return the fields of a pax header: `<length> <key>=<value>` and a line end, the length counting all of it."""
    fields, at = {}, 0
    while at < len(data):
        digits, _, _ = data[at : at + 20].partition(b" ")
        end = at + _decimal(digits)
        key, equals, value = data[at + len(digits) + 1 : end - 1].partition(b"=")
        if end <= at or not equals or data[end - 1 : end] != b"\n":
            raise BadContentError("the tar.gz has a damaged pax header")
        fields[_text(key)] = value
        at = end
    return fields


def _check_end(stream: _Stream) -> None:
    """Read to the end, where gzip's checksum is; only zeros may follow."""
    while rest := stream.some(CHUNK_BYTES):
        if rest.strip(b"\0"):
            raise BadContentError("the tar.gz has bytes after its end")


def _number(field: bytes) -> int:
    """Return a number field: octal text, or GNU tar's binary form for large ones."""
    if field[0] == _BINARY_NUMBER:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip() or b"0"
    if digits.strip(b"01234567"):
        raise BadContentError("the tar.gz is damaged: a header holds no number where one is due")
    return int(digits, 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _LONGEST_NUMBER:
        raise BadContentError("the tar.gz has a damaged pax header")
    return int(digits)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BadContentError(f"member {name[:80]!r} has a name that is not UTF-8") from None
