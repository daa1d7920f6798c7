"""A stream of CSV bytes, cut into pieces that end where a record ends and are small whatever the file's size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tap_exports.engine.decode import source
from tap_exports.engine.decode.parse import Form, Parsed, parse
from tap_exports.engine.decode.records import exact_cut, fields, first_record, guessed_cut
from tap_exports.engine.model import LocalFile
from tap_exports.errors import MisreadError

_COLUMNS = 1000  # for which `source.CHUNK` bytes are enough: each column costs the same again in each piece
_LAST_LINES, _LAST_BYTES = 16, 1 << 16  # how far back a record is looked for before all quotes are counted


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text that ends with a record: the first `end` bytes of `data`, and the rows in them."""

    data: bytes
    end: int
    parsed: Parsed


def chunks(pending: bytes, blocks: Iterator[bytes], form: Form, file: LocalFile) -> Iterator[Piece]:
    """Yield each piece of text with its rows.

    Args:
        pending: What was read already, from the first record on.
        blocks: The rest of the text.
        form: The form of the file.
        file: Named in errors.

    Raises:
        MisreadError: A quote is never closed, or a row is longer than `source.LIMIT` bytes.
    """
    least = min(2, form.fields / _COLUMNS) * source.CHUNK
    row, wanted, ends = 1, least, _ends_a_line(pending)
    for block in blocks:
        pending += block
        ends = ends or _ends_a_line(block)
        if not (ends and len(pending) >= wanted) and len(pending) <= source.LIMIT:
            continue
        piece, ends = _take(pending, form), False
        if piece is None:
            wanted = _longer(pending, row, file)
            continue
        pending, wanted = pending[piece.end :], least
        row += piece.parsed.count
        yield piece
    if pending:
        yield _last(pending, form, row, file)


def _ends_a_line(text: bytes) -> bool:
    """Tell whether a record may end here; a long one is not looked at again before it may."""
    return b"\n" in text or b"\r" in text


def _take(data: bytes, form: Form) -> Piece | None:
    """Return a long piece that provably ends with a record: by a guess, else the longest by the grammar."""
    for cut in _cuts(data, form):
        parsed = parse(data, form, cut) if cut else None
        if parsed:
            return Piece(data, cut, parsed)
    return None


def _cuts(data: bytes, form: Form) -> Iterator[int]:
    """Yield places to try, the cheapest first; a guess that leaves most of the data behind would let it pile up."""
    likely = _last_record(data, form)
    if likely * 2 >= len(data):
        yield likely
    guessed = guessed_cut(data, form.grammar.quote)
    if guessed * 2 >= len(data) and guessed != likely:
        yield guessed
    yield exact_cut(data, form.grammar)


def _last_record(data: bytes, form: Form) -> int:
    """Return the end of a record that begins with one of the last lines and has all fields, or 0: a guess, but cheap.

    A line that begins or ends within quotes has other fields, as a rule: the caller has to prove it. A final CR does
    not count, an LF may follow it.
    """
    begin = len(data)
    for _ in range(_LAST_LINES):
        begin = data.rfind(b"\n", max(len(data) - _LAST_BYTES, 0), max(begin, 0))
        if begin < 0:
            return 0
        rest = data[begin + 1 :].removesuffix(b"\r")
        span = first_record(rest, form.grammar)
        if span and len(fields(rest[: span.end], form.grammar)) == form.fields:
            return begin + 1 + span.next
    return 0


def _longer(data: bytes, row: int, file: LocalFile) -> int:
    """Return how many bytes to gather before the next attempt; doubling keeps the work linear."""
    if len(data) > source.LIMIT:
        size = source.LIMIT >> 20
        raise MisreadError(f"{file.name}, row {row}: longer than {size} MiB, or a quote is opened and never closed")
    return 2 * len(data)


def _last(data: bytes, form: Form, row: int, file: LocalFile) -> Piece:
    """Return what is left at the end of the file, with or without a final line end."""
    whole = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    parsed = parse(whole, form)
    if parsed:
        return Piece(whole, len(whole), parsed)
    cut = exact_cut(whole, form.grammar)
    before = parse(whole, form, cut) if cut else None
    began = row + (before.count if before else 0)
    raise MisreadError(f"{file.name}, row {began}: a quote is opened and never closed; the file may be cut")
