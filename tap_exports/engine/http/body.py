"""Reads the whole body of an API's reply: within a time, a size, and only to an end that is one."""

from __future__ import annotations

from tap_exports.engine.clock import Clock
from tap_exports.engine.http.connections import BrokenReplyError
from tap_exports.engine.http.encoding import Decoding
from tap_exports.engine.http.transport import Answer
from tap_exports.errors import BadContentError, LimitError

REPLY_MAX_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_BODILESS = frozenset({204, 205, 304})


def read_body(answer: Answer, source: str, timeout_seconds: float, clock: Clock) -> bytes:
    """Return the body of a reply without any `Content-Encoding`.

    Args:
        answer: Of which nothing is read yet.
        source: Who answered what, for messages.
        timeout_seconds: Longest time for all of it: the setting `reply_timeout_seconds`.
        clock: Measures it.

    Raises:
        BrokenReplyError: It ended early, took too long, or is damaged.
        LimitError: It is larger than 64 MiB.
    """
    # Two further layers of gzip may be there without a word: JSON never begins as gzip does.
    decoding = Decoding(f"gzip,gzip,{answer.headers.get('Content-Encoding', '')}")
    end, body = clock.monotonic() + timeout_seconds, bytearray()
    try:
        while piece := answer.read(_CHUNK_BYTES):
            for decoded in decoding.decode(piece):
                _append(body, decoded, source)
            if clock.monotonic() > end:
                raise BrokenReplyError(f"the reply was not complete after {timeout_seconds:g} s")
        for decoded in decoding.finish():
            _append(body, decoded, source)
    except BadContentError as error:
        raise BrokenReplyError(error.message) from error
    if not body and not _is_framed(answer):
        raise BrokenReplyError("the connection ended before any body")
    return bytes(body)


def _append(body: bytearray, data: bytes, source: str) -> None:
    body += data
    if len(body) > REPLY_MAX_BYTES:
        raise LimitError(f"{source}: the reply is larger than {REPLY_MAX_BYTES // 2**20} MiB")


def _is_framed(answer: Answer) -> bool:
    """Return whether an empty body is one: something said so, instead of a connection that ended."""
    told = ("Content-Length" in answer.headers, "Transfer-Encoding" in answer.headers)
    return answer.status in _BODILESS or any(told)
