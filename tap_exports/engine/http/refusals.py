"""What a reply's status means for the stream: the error to raise, in words that a user can act on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http.client import responses

from tap_exports.engine.http import gateways
from tap_exports.engine.http.call import Call
from tap_exports.engine.http.reply import Reply, plain_error, shorten
from tap_exports.engine.http.retry import Fault, retry_after
from tap_exports.engine.secrets import Redactor
from tap_exports.errors import AuthError, GatewayError, NotFoundError, PaymentError, RefusedError, StopError

_SHOWN_CHARACTERS = 300
_ENVELOPE_MAX_BYTES = 4096
_ENVELOPE = frozenset(
    {"code", "data", "detail", "details", "error", "errors", "message", "path", "request_id", "requestId", "status"}
    | {"statusCode", "timestamp", "title", "trace_id", "type"}
)
_NO_CONTENT, _FIRST_SERVER_FAULT = 204, 500
_BUSY = frozenset({408, 425, 429})
_NOT_PROCESSED = frozenset({425, 429})
_THROTTLED = 429
UNPAID = "the account's credits or plan do not cover it, a run after they do goes on"
_PROXY_AUTHENTICATION = 407


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

    def check(self, reply: Reply, call: Call, now: datetime) -> Reply:
        """Return a successful reply as it is.

        Args:
            reply: The last one.
            call: What it answers; a deletion's success needs no body.
            now: The current instant.

        Raises:
            BadContentError: It is not JSON.
            StopError: The subclass that belongs to the status.
        """
        if not reply.is_success:
            raise self._error(reply, now)
        if call.method != "DELETE" and not reply.is_json:
            reply.json()
        return reply

    def passing(self, reply: Reply, now: datetime, call: Call) -> Fault | None:
        """Return what is wrong with a reply that the next attempt may not meet, None for one that stands.

        That is a server's fault, and what is no answer of the API: a page, a text, or nothing where JSON is due.
        """
        hint = retry_after(reply.headers, now)
        if reply.status >= _FIRST_SERVER_FAULT or reply.status in _BUSY:
            throttled = reply.status == _THROTTLED
            return Fault(self.describe(reply), hint, ambiguous=reply.status not in _NOT_PROCESSED, throttled=throttled)
        if gateways.is_foreign(reply) and reply.status != _PROXY_AUTHENTICATION:
            return Fault(self.describe(reply), hint, ambiguous=True, reply=reply)
        if reply.is_success and call.method != "DELETE" and (said := self._no_answer(reply, call)):
            return Fault(f"{reply.status}: {said}", hint, ambiguous=True, reply=reply, brief=reply.is_empty)
        return None

    def _no_answer(self, reply: Reply, call: Call) -> str:
        """Return why a success is no answer, or an empty string; what a creation is told stands."""
        if reply.is_empty:
            return "" if reply.status == _NO_CONTENT else "an empty body"
        if not reply.is_json:
            return "no JSON: " + shorten(self._redactor.clean(reply.text()), _SHOWN_CHARACTERS)
        if call.idempotent and _is_envelope(reply):
            return "an error with a status of success: " + ": ".join(filter(None, self._said(reply)))
        return ""

    def describe(self, reply: Reply) -> str:
        """Return status, code and message, such as `404 Not Found: NOT_FOUND: no such export`."""
        status = f"{reply.status} {responses.get(reply.status, '')}".strip()
        return ": ".join(part for part in (status, *self._said(reply)) if part)

    def _error(self, reply: Reply, now: datetime) -> StopError:
        text = f"{reply.source}: {self.describe(reply)}"
        if gateways.is_foreign(reply) and reply.status not in {404, 410}:
            return GatewayError(f"{text}; the key was not judged")
        if reply.status in {401, 403}:
            return self._auth_error(reply)
        if reply.status == 402:  # noqa: PLR2004 - a status is clearest as its number
            return PaymentError(f"{text}; {UNPAID}")
        if reply.status in {404, 410}:
            return NotFoundError(text)
        return RefusedError(text, reply.status, self._said(reply)[0], retry_after(reply.headers, now))

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
            foreign = gateways.is_foreign(reply)
            code, message = ("", gateways.describe(reply)) if foreign else self._parse_error(reply)
        except Exception:  # noqa: BLE001 - documents leave error bodies open, so a provider's parser may meet anything
            code, message = plain_error(reply)
        clean = self._redactor.clean
        return shorten(clean(code), _SHOWN_CHARACTERS), shorten(clean(message), _SHOWN_CHARACTERS)


def _is_envelope(reply: Reply) -> bool:
    """Return whether a body is nothing but an error; one with `success` is judged by its provider's own rules."""
    if len(reply.body) > _ENVELOPE_MAX_BYTES or b'"error' not in reply.body:
        return False
    body = reply.json()
    told = isinstance(body, dict) and (body.get("error") or body.get("errors"))
    return bool(told) and body.keys() <= _ENVELOPE and not body.get("data")
