"""Where a body that nothing framed really ends: no length, no chunks, the server just hung up, or was cut off.

The server is asked for what lies behind the last byte. A second look by HEAD serves where it knows no ranges.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from tap_exports.engine.download.part import Part, length_of, range_of
from tap_exports.engine.http.connections import BrokenReplyError, NotConnectedError
from tap_exports.engine.http.transport import Answer
from tap_exports.errors import UnsafeUrlError

_WHOLE, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416

Ask = Callable[[str, Mapping[str, str]], Answer]


class End(enum.Enum):
    """What is known of the end of a file."""

    PROVEN = "proven"
    CUT = "cut"
    UNKNOWN = "unknown"


def find_end(part: Part, ask: Ask) -> End:
    """Ask the server where a file ends; set `part.total` where it tells.

    Args:
        part: What came.
        ask: Sends a request without a body, by its method and further headers; redirects are followed.
    """
    total = _behind(part.received, ask)
    part.total = _length(part.received, ask) if total is None else total
    if part.total is not None:
        return End.PROVEN if part.total == part.received else End.CUT
    return End.PROVEN if part.sealed or part.verified else End.UNKNOWN


def _behind(received: int, ask: Ask) -> int | None:
    """Return the length of the file by asking for the bytes behind those that came; None where that tells nothing."""
    answer = _asked(ask, "GET", {"Range": f"bytes={received}-"})
    if answer is None:
        return None
    start, total = range_of(answer.headers)
    if answer.status == _RANGE_NOT_SATISFIABLE:
        return received if total is None else total
    if answer.status == _PARTIAL:
        return total if start == received else None
    return length_of(answer.headers) if answer.status == _WHOLE else None


def _length(received: int, ask: Ask) -> int | None:
    """Return the length that HEAD tells; less than what came is no length of this file: some answer 0 to any HEAD."""
    answer = _asked(ask, "HEAD", {})
    total = length_of(answer.headers) if answer and answer.status == _WHOLE else None
    return total if total is not None and total >= received else None


def _asked(ask: Ask, method: str, headers: Mapping[str, str]) -> Answer | None:
    try:
        answer = ask(method, headers)
    except (BrokenReplyError, NotConnectedError, UnsafeUrlError):
        return None
    answer.close()
    return answer
