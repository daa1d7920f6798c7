"""The bytes of a local file as blocks of UTF-8: gzip or zip off, byte order marks off, other encodings transcoded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO, cast

from isal import igzip, isal_zlib

from tap_exports.engine.decode.layout import excerpt
from tap_exports.engine.model import LocalFile
from tap_exports.errors import BadContentError, ConfigError, LimitError

if TYPE_CHECKING:
    from tap_exports.engine.archive import Member

CHUNK = 1 << 20  # bytes that are read and parsed at once: what bounds the memory; half of it costs a tenth more CPU
LIMIT = 64 << 20  # bytes of the longest row: behind an unclosed quote or bracket lies the rest of the file

MOST_BLANKS = 100  # bytes of a file that may still hold nothing

_MOST_PARTS = 1000
_LITTER = re.compile(r"(?:^|/)(?:__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._[^/]*$)")
_PIECES_OF_A_BLOCK = CHUNK // (256 << 10)  # a zip gives them in 256 KiB
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")  # of a zip's first file, and of an empty one's end
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_FOREIGN = {  # what no text begins with
    b"\x78\x01": "zlib data",
    b"\x78\x9c": "zlib data",
    b"\x78\xda": "zlib data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"\x04\x22\x4d\x18": "LZ4 data",
    b"\xfd7zXZ\x00": "xz data",
    b"BZh91AY&SY": "bzip2 data",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xff\x06\x00\x00sNaPpY": "Snappy data",
    b"PAR1": "a Parquet file",
    b"Obj\x01": "an Avro file",
    b"ARROW1": "an Arrow file",
    b"%PDF-": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"SQLite format 3": "an SQLite database",
}
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml|error)\b", re.IGNORECASE)


def blocks(file: LocalFile, encoding: str | None = None) -> Iterator[bytes]:
    """Yield a file's text as UTF-8 in blocks of about `CHUNK` bytes, cut anywhere, without a byte order mark.

    Bytes that the encoding does not allow come out as bytes that UTF-8 does not allow, so that the row around them can
    be rejected.

    Raises:
        BadContentError: A gzip layer or a zip is cut or damaged, or UTF-16 ends in the middle of a character.
        ConfigError: The encoding is not a known one.
    """
    with file.path.open("rb") as raw:
        pieces = _pieces(raw, file)
        head = next(pieces, b"")
        mark, codec = _codec(head, encoding)
        everything = chain([head[len(mark) :]], pieces)
        yield from everything if codec == "utf-8" else _transcoded(everything, codec, file)


def parts(file: LocalFile) -> list[LocalFile]:
    """Return the files of rows in a download: itself, or the members of a zip of several in the order of their names.

    Names with numbers are in the order of the numbers. What systems leave beside files (`__MACOSX`, `.DS_Store`) is
    none. The name of a part is that of the zip and its own.

    Raises:
        BadContentError: A zip is cut or damaged, holds no file, or too many.
    """
    with file.path.open("rb") as raw:
        if raw.read(4) not in _ZIP:
            return [file]
    with _named(file), closing(_members(file)) as members:
        paths = sorted((member.path for member in islice(members, _MOST_PARTS + 1)), key=_natural)
        if not 0 < len(paths) <= _MOST_PARTS:
            raise BadContentError(f"a zip archive of no file, or more than {_MOST_PARTS:,}, where rows are due")
        if len(set(paths)) < len(paths):
            raise BadContentError("a zip archive with two files of one name")
    if len(paths) == 1:
        return [replace(file, member=paths[0])]
    return [replace(file, name=f"{file.name}/{path}", member=path) for path in paths]


def head(file: LocalFile, size: int) -> tuple[bytes, bool]:
    """Return the first bytes of a file, what packs it taken off, and whether they are all.

    Raises:
        BadContentError: As for `blocks`.
    """
    found = b""
    with file.path.open("rb") as raw, closing(_pieces(raw, file)) as pieces:
        for piece in pieces:
            found += piece
            if len(found) > size:
                return found[:size], False
    return found, True


def is_blank(file: LocalFile) -> bool:
    """Return whether a file holds no text, what packs it taken off.

    Raises:
        BadContentError: As for `blocks`.
    """
    if file.size > MOST_BLANKS:
        return False
    text, is_all = head(file, MOST_BLANKS)
    return is_all and not text.strip()


def has_mark(head: bytes) -> bool:
    """Return whether text begins with a byte order mark."""
    return head.startswith(tuple(mark for mark, _ in _MARKS))


def decoded(head: bytes, encoding: str | None) -> bytes:
    """Return the beginning of a text as UTF-8, what is no text in it replaced."""
    mark, codec = _codec(head, encoding)
    return head[len(mark) :].decode(codec, errors="replace").encode()


def refuse_foreign(head: bytes, file: LocalFile) -> None:
    """Stop where a file is no text of rows at all.

    Raises:
        BadContentError: HTML, XML or a zip archive, with the first 80 characters.
    """
    if _MARKUP.match(head):
        shown = excerpt(head[:400].decode(errors="replace").lstrip())
        raise BadContentError(f"{file.name}: HTML or XML where rows are due: {shown}")
    if head.startswith(_ZIP):
        raise BadContentError(f"{file.name}: a zip archive where rows are due")
    if found := next((name for mark, name in _FOREIGN.items() if head.startswith(mark)), None):
        raise BadContentError(f"{file.name}: {found} where text is due")


def _pieces(raw: BinaryIO, file: LocalFile) -> Generator[bytes, None, None]:
    """Yield the content in blocks; what packs it, as its first bytes tell, has to be whole."""
    magic = raw.read(4)
    raw.seek(0)
    if magic in _ZIP:
        yield from _unzipped(file)
    elif magic.startswith(_GZIP):
        with igzip.IGzipFile(fileobj=raw, mode="rb") as text:  # type: ignore[no-untyped-call] # its stub lacks the types
            yield from _ungzipped(cast("BinaryIO", text), file)
    else:
        yield from iter(lambda: raw.read(CHUNK), b"")


def _ungzipped(text: BinaryIO, file: LocalFile) -> Iterator[bytes]:
    from tap_exports.engine.archive import ArchiveLimits  # noqa: PLC0415 - as below

    limits, size = ArchiveLimits(file.max_mb, file.max_ratio), 0
    try:
        for block in iter(lambda: text.read(CHUNK), b""):
            size += len(block)
            with _named(file):
                limits.check(size, file.size)
            yield block
    except (EOFError, igzip.BadGzipFile, isal_zlib.error) as error:  # type: ignore[misc] # its stub says no class
        raise BadContentError(f"{file.name}: the gzip data is cut or damaged: {error}") from error


def _unzipped(file: LocalFile) -> Iterator[bytes]:
    """Yield one file of a zip."""
    path = file.member or parts(file)[0].member
    with _named(file), closing(_members(file)) as members:
        pieces = next(member for member in members if member.path == path).chunks()
        while block := b"".join(islice(pieces, _PIECES_OF_A_BLOCK)):
            yield block


def _members(file: LocalFile) -> Generator[Member, None, None]:
    """Yield the files of a zip without the litter beside them."""
    from tap_exports.engine.archive import ArchiveLimits, read_members  # noqa: PLC0415 - most runs never see a zip

    limits = ArchiveLimits(file.max_mb, file.max_ratio)
    with closing(read_members(file.path, limits)) as members:
        yield from (member for member in members if not _LITTER.search(member.path))


@contextmanager
def _named(file: LocalFile) -> Iterator[None]:
    """Put the file's name before errors of an archive."""
    try:
        yield
    except (BadContentError, LimitError) as error:
        raise type(error)(f"{file.name}: {error.message}") from error


def _natural(path: str) -> list[tuple[int, str]]:
    """Return what orders names: `part-2` before `part-10`."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"([0-9]+)", path)]


def _codec(head: bytes, encoding: str | None) -> tuple[bytes, str]:
    """Return the byte order mark and the codec; a mark is stronger than the setting."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return mark, codec
    try:
        " ".encode(encoding or "utf-8")
    except LookupError as error:
        raise ConfigError(f'"{encoding}" is not a known text encoding') from error
    codec = codecs.lookup(encoding or "utf-8").name
    return b"", "utf-8" if codec in {"utf-8-sig", "ascii"} else codec


def _transcoded(pieces: Iterable[bytes], codec: str, file: LocalFile) -> Iterator[bytes]:
    """Yield UTF-8; what does not decode becomes lone surrogates, which strict UTF-8 refuses again."""
    faults = "surrogatepass" if codec.startswith(("utf-16", "utf-32")) else "surrogateescape"
    decoder = codecs.getincrementaldecoder(codec)(faults)
    try:
        for piece in pieces:
            yield decoder.decode(piece).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeError as error:  # of either kind: UTF-16 and UTF-32 without their mark are not a UnicodeDecodeError
        raise BadContentError(f"{file.name}: the text is not {codec}: {getattr(error, 'reason', error)}") from error
