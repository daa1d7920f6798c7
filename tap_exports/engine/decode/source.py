"""The bytes of a local file as blocks of UTF-8: gzip or zip off, byte order marks off, other encodings transcoded."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import BinaryIO, cast

from isal import igzip, isal_zlib

from tap_exports.engine.decode.layout import excerpt
from tap_exports.engine.model import LocalFile
from tap_exports.errors import BadContentError, ConfigError

CHUNK = 2 << 20  # bytes that are read and parsed at once: what bounds the memory
LIMIT = 64 << 20  # bytes of the longest row: behind an unclosed quote or bracket lies the rest of the file

_PIECES_OF_A_BLOCK = 8  # a zip gives them in 256 KiB
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")  # of a zip's first file, and of an empty one's end
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml|error)\b", re.IGNORECASE)


def blocks(file: LocalFile, encoding: str | None = None) -> Iterator[bytes]:
    """Yield a file's text as UTF-8 in blocks of about `CHUNK` bytes, cut anywhere, without a byte order mark.

    Bytes that the encoding does not allow come out as bytes that UTF-8 does not allow, so that the row around them can
    be rejected.

    Raises:
        BadContentError: A gzip layer or a zip is cut or damaged, a zip does not hold just one file, or UTF-16 ends in
            the middle of a character.
        ConfigError: The encoding is not a known one.
    """
    with file.path.open("rb") as raw:
        pieces = _pieces(raw, file)
        head = next(pieces, b"")
        mark, codec = _codec(head, encoding)
        everything = chain([head[len(mark) :]], pieces)
        yield from everything if codec == "utf-8" else _transcoded(everything, codec, file)


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


def _pieces(raw: BinaryIO, file: LocalFile) -> Iterator[bytes]:
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
    try:
        yield from iter(lambda: text.read(CHUNK), b"")
    except (EOFError, igzip.BadGzipFile, isal_zlib.error) as error:  # type: ignore[misc] # its stub says no class
        raise BadContentError(f"{file.name}: the gzip data is cut or damaged: {error}") from error


def _unzipped(file: LocalFile) -> Iterator[bytes]:
    """Yield the one file of a zip; no size bounds it, as nothing ever holds it whole."""
    from tap_exports.engine.archive import ArchiveLimits, read_members  # noqa: PLC0415 - most runs never see a zip

    limits = ArchiveLimits(max_mb=sys.maxsize, max_ratio=sys.maxsize)
    try:
        with closing(read_members(file.path, limits)) as members:
            count = len(list(islice(members, 2)))
        if count != 1:
            raise BadContentError("a zip archive that does not hold just one file, where rows are due")  # noqa: TRY301 - named below
        with closing(read_members(file.path, limits)) as members:
            pieces = next(members).chunks()
            while block := b"".join(islice(pieces, _PIECES_OF_A_BLOCK)):
                yield block
    except BadContentError as error:
        raise BadContentError(f"{file.name}: {error.message}") from error


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
