"""Zip archives, read along their central directory without ever holding it.

Rules from PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5: stored and deflated members, zip64, one disk, no encryption.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tap_exports.engine.archive.member import CHUNK_BYTES, Member, checked_name
from tap_exports.engine.unpacked import Meter
from tap_exports.errors import BadContentError

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_SIGNATURE, _END64_SIGNATURE, _LOCATOR_SIGNATURE = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_SIGNATURE, _LOCAL_SIGNATURE = b"PK\x01\x02", b"PK\x03\x04"
_LONGEST_COMMENT = 0xFFFF
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED, _UTF8 = 0x2041, 0x0800
_STORED, _DEFLATED = 0, 8
_ZIP64_FIELD = 1


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the central directory lies and how many entries it says it has."""

    offset: int
    size: int
    entries: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the central directory; sizes in bytes."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int

    @property
    def name(self) -> str:
        """Return the name as text: UTF-8 where the entry says so, else code page 437 as the format has it."""
        try:
            return self.raw_name.decode("utf-8" if self.flags & _UTF8 else "cp437")
        except UnicodeDecodeError:
            raise BadContentError(f"member {self.raw_name[:80]!r} has a name that is not UTF-8") from None


def read_zip(file: BinaryIO, meter: Meter) -> Iterator[Member]:
    """Yield the regular files of a zip; see `read_members`."""
    directory = _find_directory(file)
    for entry in _entries(file, directory):
        meter.member()
        path = checked_name(entry.name)
        _check_kind(entry, path)
        if not (entry.name.endswith("/") or stat.S_ISDIR(entry.mode)):
            yield Member(path, _content(file, entry, path, directory.offset, meter))


def _check_kind(entry: _Entry, path: str) -> None:
    """Refuse what is neither a file nor a directory, or cannot be read."""
    if stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise BadContentError(f"member {path!a} is a link or a device")
    if entry.flags & _ENCRYPTED:
        raise BadContentError(f"member {path!a} is encrypted")
    if entry.method not in {_STORED, _DEFLATED}:
        raise BadContentError(f"member {path!a} is packed by method {entry.method}; only store and deflate are read")


def _find_directory(file: BinaryIO) -> _Directory:
    """Find the end record, from which everything else is found."""
    length = file.seek(0, io.SEEK_END)
    tail_start = max(0, length - _END.size - _LONGEST_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise BadContentError("the zip is cut: it has no end record")
    _, disk, first_disk, _, entries, size, offset, comment = _END.unpack_from(tail, at)
    if disk not in {0, _FULL16} or first_disk not in {0, _FULL16} or len(tail) - at != _END.size + comment:
        raise BadContentError("the zip is cut, or spans several disks")
    directory = _Directory(offset, size, entries)
    if entries == _FULL16 or _FULL32 in {size, offset}:
        directory = _find_directory64(file, tail_start + at) or directory
    if directory.offset + directory.size > tail_start + at:
        raise BadContentError("the zip's directory lies outside the file")
    return directory


def _find_directory64(file: BinaryIO, end: int) -> _Directory | None:
    """Return what the zip64 end record says, None where there is none: 65,535 entries need none."""
    if end < _LOCATOR.size:
        return None
    file.seek(end - _LOCATOR.size)
    signature, _, offset, _ = _LOCATOR.unpack(_exactly(file, _LOCATOR.size))
    if signature != _LOCATOR_SIGNATURE:
        return None
    file.seek(min(offset, end))
    record = _END64.unpack(_exactly(file, _END64.size))
    if record[0] != _END64_SIGNATURE:
        raise BadContentError("the zip's zip64 record is not where it should be")
    return _Directory(offset=record[9], size=record[8], entries=record[7])


def _entries(file: BinaryIO, directory: _Directory) -> Iterator[_Entry]:
    """Yield the entries one by one; members are read in between, so the position is kept here."""
    at, end, count = directory.offset, directory.offset + directory.size, 0
    while at < end:
        file.seek(at)
        fields = _ENTRY.unpack(_exactly(file, _ENTRY.size))
        if fields[0] != _ENTRY_SIGNATURE:
            raise BadContentError(f"the zip's directory is damaged after {count} entries")
        name, extra = _exactly(file, fields[10]), _exactly(file, fields[11])
        yield _entry(fields, name, extra)
        at += _ENTRY.size + sum(fields[10:13])
        count += 1
    if count != directory.entries or at != end:
        raise BadContentError(f"the zip's directory has {count} entries and says {directory.entries}")


def _entry(fields: tuple[int, ...], name: bytes, extra: bytes) -> _Entry:
    packed, size, offset = _with_zip64((fields[8], fields[9], fields[16]), extra)
    return _Entry(name, fields[3], fields[4], fields[7], packed, size, fields[15] >> 16, offset)


def _with_zip64(values: tuple[int, int, int], extra: bytes) -> tuple[int, int, int]:
    """Return packed size, size and offset with those that did not fit into 32 bits taken from the zip64 field."""
    packed, size, offset = values
    wide = iter(_zip64_values(extra))
    try:  # the order is the field's own, 4.5.3
        size = next(wide) if size == _FULL32 else size
        packed = next(wide) if packed == _FULL32 else packed
        offset = next(wide) if offset == _FULL32 else offset
    except StopIteration:
        raise BadContentError("the zip's directory has an entry without its zip64 sizes") from None
    return packed, size, offset


def _zip64_values(extra: bytes) -> list[int]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _ZIP64_FIELD:
            count = min(length, len(extra) - at - 4) // 8
            return list(struct.unpack_from(f"<{count}Q", extra, at + 4))
        at += 4 + length
    return []


def _content(file: BinaryIO, entry: _Entry, path: str, limit: int, meter: Meter) -> Iterator[bytes]:
    """Yield the unpacked bytes of a member, and hold them against length and checksum."""
    if entry.offset > limit or (start := _data_start(file, entry, path)) + entry.packed > limit:
        raise BadContentError(f"member {path!a} reaches beyond the zip's data")
    packed = _packed(file, start, entry.packed)
    size = crc = 0
    for piece in packed if entry.method == _STORED else _inflated(packed, path):
        size, crc = size + len(piece), zlib.crc32(piece, crc)
        meter.add(len(piece))
        if size > entry.size:
            break
        yield piece
    if (size, crc) != (entry.size, entry.crc):
        raise BadContentError(f"member {path!a} is damaged: length or checksum differ from the zip's directory")


def _data_start(file: BinaryIO, entry: _Entry, path: str) -> int:
    """Return where a member's bytes begin; its own header must agree with the directory on its name."""
    file.seek(entry.offset)
    fields = _LOCAL.unpack(_exactly(file, _LOCAL.size))
    if fields[0] != _LOCAL_SIGNATURE or _exactly(file, fields[9]) != entry.raw_name:
        raise BadContentError(f"member {path!a} is not where the zip's directory says")
    return entry.offset + _LOCAL.size + int(fields[9]) + int(fields[10])


def _packed(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    at, end = start, start + length
    while at < end:
        file.seek(at)
        piece = file.read(min(CHUNK_BYTES, end - at))
        if not piece:
            raise BadContentError("the zip is cut")
        at += len(piece)
        yield piece


def _inflated(packed: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Yield unpacked pieces of bounded size."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for data in packed:
            rest = data
            while rest and not unpacker.eof:
                if piece := unpacker.decompress(rest, CHUNK_BYTES):
                    yield piece
                rest = unpacker.unconsumed_tail
        while not unpacker.eof and (piece := unpacker.decompress(b"", CHUNK_BYTES)):
            yield piece
    except zlib.error:
        raise BadContentError(f"member {path!a} is damaged: it cannot be unpacked") from None
    if not unpacker.eof or unpacker.unused_data:
        raise BadContentError(f"member {path!a} is damaged: its packed length is wrong")


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise BadContentError("the zip is cut")
    return data
