"""JSON text, a block at a time: the elements of an array, cut at their commas, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from tap_exports.engine.decode import source
from tap_exports.engine.decode.cuts import SPACE, Scan, balanced_cut, matched_cut, scanned
from tap_exports.engine.decode.layout import excerpt
from tap_exports.engine.model import LocalFile, exact_number
from tap_exports.errors import BadContentError

# ValueError: text that is no UTF-8, and integers of more digits than Python reads (4,300).
FAULTS = (msgspec.DecodeError, ValueError, RecursionError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class Broken:
    """An element that is JSON in its outline and cannot be a row: its text, and why."""

    raw: str
    message: str


VALUES: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=exact_number)
OUTLINES: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[msgspec.Raw])


class Stream:
    """The text of a JSON file from a moving place on.

    Attributes:
        file: The file, for errors.
        data: The text that was read and not dropped yet.
        offset: Where `data` begins, in bytes of UTF-8.
    """

    def __init__(self, file: LocalFile, encoding: str | None, offset: int = 0) -> None:
        """Open the file at an offset."""
        self.file = file
        self.data = b""
        self.offset = 0
        self._blocks = source.blocks(file, encoding)
        while self.offset < offset:
            self.drop(min(len(self.data), offset - self.offset))
            if self.offset < offset and not self.more():
                break

    def more(self) -> bool:
        """Read a further block; return False at the end of the file.

        Raises:
            BadContentError: One element fills more than `source.LIMIT` bytes.
        """
        if len(self.data) > source.LIMIT:
            raise BadContentError(f"{self.file.name}: one JSON value is longer than {source.LIMIT >> 20} MiB")
        block = next(self._blocks, b"")
        self.data += block
        return bool(block)

    def drop(self, count: int) -> None:
        """Go on behind some bytes."""
        self.data = self.data[count:]
        self.offset += count

    def peek(self) -> bytes:
        """Drop white space and return the next byte, or nothing at the end of the file."""
        while True:
            self.drop(len(self.data) - len(self.data.lstrip(SPACE)))
            if self.data or not self.more():
                return self.data[:1]

    def cut(self) -> BadContentError:
        """Return the error for text that ends too early."""
        return BadContentError(f"{self.file.name}: the JSON text ends in the middle; the file may be cut")

    def malformed(self, where: str, text: bytes = b"") -> BadContentError:
        """Return the error for text that is no JSON."""
        shown = excerpt((text or self.data)[:400].decode(errors="replace"))
        return BadContentError(f"{self.file.name}: malformed JSON {where}: {shown}")


def elements(stream: Stream, decoder: msgspec.json.Decoder[Any]) -> Iterator[list[Any]]:
    """Yield the elements of an array in lists; a `Broken` stands for each that cannot be decoded.

    Args:
        stream: Stands behind the opening bracket; is left behind the closing one.
        decoder: Decodes a whole array.

    Raises:
        BadContentError: The array is malformed, or the file ends within it.
    """
    first, closed = 1, False
    if stream.peek() == b"]":
        stream.drop(1)
        return
    while not closed:
        values, closed = _take(stream, decoder, first)
        first += len(values)
        yield values


def _take(stream: Stream, decoder: msgspec.json.Decoder[Any], first: int) -> tuple[list[Any], bool]:
    """Return the next elements, and whether the array ends behind them."""
    if len(stream.data) < source.CHUNK:
        stream.more()
    for cut in (balanced_cut, matched_cut):
        quick = _proven(stream.data, cut(stream.data), decoder)
        if quick:
            stream.drop(quick[1])
            return quick[0], False
    scan = Scan()
    while True:
        scan = scanned(stream.data, scan)
        if scan.ends:
            values = _decoded(stream, scan, decoder, first)
            stream.drop(scan.ends[-1] + 1)
            return values, scan.closed
        if not stream.more():
            raise stream.cut()


def _proven(data: bytes, end: int, decoder: msgspec.json.Decoder[Any]) -> tuple[list[Any], int] | None:
    """Return the elements before a comma, and where the next element begins, if the guess was right."""
    if not end:
        return None
    try:
        return decoder.decode(b"[" + data[:end] + b"]"), data.index(b",", end) + 1
    except FAULTS:
        return None


def _decoded(stream: Stream, scan: Scan, decoder: msgspec.json.Decoder[Any], first: int) -> list[Any]:
    """Decode elements at once, or one by one where that fails."""
    if scan.closed and stream.data[scan.ends[-1] : scan.ends[-1] + 1] != b"]":
        raise stream.malformed("behind the last element")
    try:
        values: list[Any] = decoder.decode(b"[" + stream.data[: scan.ends[-1]] + b"]")
    except FAULTS:
        values = []
    if values:
        return values
    starts = [0, *(end + 1 for end in scan.ends)]
    texts = [stream.data[start:end] for start, end in zip(starts, scan.ends, strict=False)]
    return [_one(text, stream, decoder, row) for row, text in enumerate(texts, first)]


def _one(text: bytes, stream: Stream, decoder: msgspec.json.Decoder[Any], row: int) -> object:
    """Decode one element."""
    try:
        return decoder.decode(b"[" + text + b"]")[0]
    except (*FAULTS, IndexError) as error:
        broken = broken_value(text, error)
        if broken is None:
            raise stream.malformed(f"in row {row}", text.strip()) from error
        return broken


def broken_value(text: bytes, error: Exception) -> Broken | None:
    """Tell a value that is JSON in its outline from text that is none.

    Bytes that are no UTF-8, half surrogate pairs, `NaN`, too deep nesting and integers of more than 4,300 digits harm
    only the row that they stand in.
    """
    shown = text.decode(errors="replace").strip()
    try:
        json.loads(shown, parse_float=str, parse_int=str)
    except RecursionError:
        return Broken(shown, "nested too deeply")
    except ValueError:
        return None
    return Broken(shown, str(error))
