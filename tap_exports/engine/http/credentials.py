"""Credentials that change while a run goes on, and files that are read with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from tap_exports.engine.http.guard.origins import origin_of
from tap_exports.engine.http.transport import Answer, OpensUrls


class Credentials(Protocol):
    """Headers that authorize a request; safe to share between threads."""

    def headers(self) -> Mapping[str, str]:
        """Return them; may request a token first.

        Raises:
            TapError: No token was to be had.
        """

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Return whether there are others than those that a reply of status 401 refused: then it is sent again."""


class KeyedTransport:
    """Opens files behind the API itself: the key goes to the API's own origin, at every hop, and nowhere else.

    Args:
        transport: Sends requests without any credential.
        base_url: An URL of the API's origin.
        headers: Return the headers that authorize a request.
        note: Is told the URL and the head of each reply.
    """

    def __init__(
        self,
        transport: OpensUrls,
        base_url: str,
        headers: Callable[[], Mapping[str, str]],
        note: Callable[[str, Answer], None],
    ) -> None:
        """Keep the parts."""
        self._transport, self._headers, self._note = transport, headers, note
        self._origin = origin_of(base_url)

    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, fresh: bool = False
    ) -> Answer:
        """Send one request and return the head of its reply; see `Transport.open`."""
        more = self._headers() if origin_of(url) == self._origin else {}
        answer = self._transport.open(method, url, {**headers, **more}, body, fresh=fresh)
        self._note(url, answer)
        return answer
