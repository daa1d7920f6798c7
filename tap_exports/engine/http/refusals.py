"""What a reply's status means for the stream: the error to raise, in words that a user can act on."""

from __future__ import annotations

from collections.abc import Callable
from http.client import responses

from tap_exports.engine.http.reply import Reply, plain_error, shorten
from tap_exports.engine.secrets import Redactor
from tap_exports.errors import AuthError, NotFoundError, PaymentError, RefusedError, StopError

_SUCCESS = range(200, 300)
_SHOWN_CHARACTERS = 300


class Refusals:
    """Turns error statuses of one provider into errors.

    Args:
        provider: The provider's name.
        setting: The key's setting, quoted.
        parse_error: Gives code and message of an error body.
        redactor: Knows the key, which a provider may echo.
    """

    def __init__(
        self, provider: str, setting: str, parse_error: Callable[[Reply], tuple[str, str]], redactor: Redactor
    ) -> None:
        """Keep what messages are made of."""
        self._provider = provider
        self._setting = setting
        self._parse_error = parse_error
        self._redactor = redactor

    def check(self, reply: Reply) -> Reply:
        """Return a successful reply as it is.

        Raises:
            StopError: The subclass that belongs to the status.
        """
        if reply.status in _SUCCESS:
            return reply
        raise self._error(reply)

    def describe(self, reply: Reply) -> str:
        """Return status, code and message, such as `404 Not Found: NOT_FOUND: no such export`."""
        status = f"{reply.status} {responses.get(reply.status, '')}".strip()
        return ": ".join(part for part in (status, *self._said(reply)) if part)

    def _error(self, reply: Reply) -> StopError:
        text = f"{reply.source}: {self.describe(reply)}"
        if reply.status in {401, 403}:
            return self._auth_error(reply)
        if reply.status == 402:  # noqa: PLR2004 - a status is clearest as its number
            return PaymentError(text)
        if reply.status in {404, 410}:
            return NotFoundError(text)
        return RefusedError(text, reply.status, self._said(reply)[0])

    def _auth_error(self, reply: Reply) -> AuthError:
        forbidden = reply.status == 403  # noqa: PLR2004 - a status is clearest as its number
        call = reply.source.removeprefix(f"{self._provider}: ")
        scope = f", it may lack the scope for {call}" if forbidden else ""
        said = ": ".join(part for part in self._said(reply) if part) or "no reason given"
        text = f"{self._provider}: {reply.status}: key setting {self._setting} was refused{scope}: {said}"
        return AuthError(text, reply.status)

    def _said(self, reply: Reply) -> tuple[str, str]:
        """Return code and message without secrets; a body of an unknown shape must not hide the status."""
        try:
            code, message = self._parse_error(reply)
        except Exception:  # noqa: BLE001 - documents leave error bodies open, so a provider's parser may meet anything
            code, message = plain_error(reply)
        clean = self._redactor.clean
        return shorten(clean(code), _SHOWN_CHARACTERS), shorten(clean(message), _SHOWN_CHARACTERS)
