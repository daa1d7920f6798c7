"""One request for a file: redirects checked hop by hop, no key sent, and what its status means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tap_exports.engine.http.guard.origins import redirected
from tap_exports.engine.http.markup import is_page, looks_like_page, media_of
from tap_exports.engine.http.retry import retry_after
from tap_exports.engine.http.transport import Answer, OpensUrls
from tap_exports.errors import RefusedError, UnsafeUrlError, UrlExpiredError

MAX_REDIRECTS = 5
WHOLE, PARTIAL, RANGE_NOT_SATISFIABLE = 200, 206, 416
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# 400 beside the four of the design: Google's store answers it, with the code ExpiredToken, once a signature is too old.
_EXPIRED = frozenset({400, 401, 403, 404, 410})
_GONE = frozenset({404, 410})
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_SHOWN_BYTES = 80


class PassingError(Exception):
    """A status that will change by itself, and the seconds that the server asks to wait."""

    def __init__(self, status: int, hint: float | None) -> None:
        """Keep status and hint."""
        super().__init__(f"status {status}")
        self.status = status
        self.hint = hint


class PageError(Exception):
    """A page for people came where a file is due; another request may bring the file."""


def opened(transport: OpensUrls, method: str, url: str, headers: Mapping[str, str]) -> Answer:
    """Return the head of a reply behind at most five redirects.

    Raises:
        UnsafeUrlError: A hop leads to another scheme or a private address, or there are too many.
        NotConnectedError: Nothing was sent.
        BrokenReplyError: The reply is missing.
    """
    plain = {"User-Agent": "tap-exports", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
    for _ in range(MAX_REDIRECTS + 1):
        answer = transport.open(method, url, plain)
        if answer.status not in _REDIRECTS:
            return answer
        answer.close()
        url = redirected(url, answer.headers.get("Location", ""))
    raise UnsafeUrlError(f"more than {MAX_REDIRECTS} redirects")


def check_status(answer: Answer, now: datetime) -> None:
    """Return for a file, a part of one, or 416.

    Raises:
        UrlExpiredError: The URL is refused: another one may not be.
        PassingError: 408, 425, 429 or 5xx.
        RefusedError: Any other status.
    """
    status = answer.status
    if status in _EXPIRED:
        raise UrlExpiredError(str(status), is_gone=status in _GONE)
    if status in _PASSING:
        raise PassingError(status, retry_after(answer.headers, now))
    if status not in {WHOLE, PARTIAL, RANGE_NOT_SATISFIABLE}:
        raise RefusedError(f"status {status}", status)


def refuse_page(headers: Mapping[str, str], head: bytes = b"") -> None:
    """Refuse HTML and XML by what the reply says, or by how its first bytes begin.

    Raises:
        PageError: It is a page.
    """
    if is_page(headers):
        raise PageError(f"a page of type {media_of(headers)} came where a file is due")
    if looks_like_page(head):
        shown = " ".join(head[:_SHOWN_BYTES].decode(errors="replace").split())
        raise PageError(f"HTML or XML came where a file is due: {shown}")
