"""Who may ask what of Cornect, and how often."""

from __future__ import annotations

import math
import re

from tap_exports.sandbox.clock import Clock
from tap_exports.sandbox.limits import Bucket
from tap_exports.sandbox.web import Refusal, Request

TOKEN = "cornect_sandbox_token"  # noqa: S105 - dummy
READ_TOKEN = "cornect_sandbox_read_token"  # noqa: S105 - dummy
SCOPES = {TOKEN: "read_write", READ_TOKEN: "read"}
# Tokens that are known but of no use, and what the API says about them.
_DEAD_TOKENS = {
    "cornect_sandbox_expired_token": "TOKEN_EXPIRED",
    "cornect_sandbox_legacy_token": "TOKEN_NOT_WORKSPACE_BOUND",
    "cornect_sandbox_former_member_token": "NOT_WORKSPACE_MEMBER",
}
_PER_MINUTE = {"create_export": 5, "export": 120, "download": 30, "search": 60, "credits": 60, "company": 60}
_BEARER = re.compile(r"Bearer (cornect_\S+)")


def token_of(request: Request) -> str | None:
    """Return the token of a request, None when there is none of the right form."""
    match = _BEARER.fullmatch(request.headers.get("authorization", ""))
    return match.group(1) if match else None


def authenticate(request: Request) -> None:
    """Accept a request with a living token.

    Raises:
        Refusal: 401, with the code that tells why.
    """
    if "authorization" not in request.headers:
        raise Refusal(401, "Authorization header is missing", code="MISSING_AUTH_HEADER")
    token = token_of(request)
    if token is None:
        raise Refusal(401, "Not a cornect_ bearer token", code="INVALID_TOKEN_FORMAT")
    if token not in SCOPES:
        raise Refusal(401, "The token is not accepted", code=_DEAD_TOKENS.get(token, "INVALID_TOKEN"))


class Access:
    """Rate limits and scopes; the limits are per token and route, named by its handler."""

    def __init__(self, clock: Clock, scale: float) -> None:
        """Multiply the documented limits by `scale`; 0 for no limits."""
        self._clock = clock
        self._scale = scale
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def admit(self, request: Request, handler: str) -> None:
        """Accept an authenticated request.

        Raises:
            Refusal: 429 with Retry-After, or 403.
        """
        token = token_of(request) or ""
        if wait := self._bucket(token, handler).take() if self._scale else 0.0:
            raise Refusal(429, "Rate limit exceeded", headers=(("Retry-After", str(math.ceil(wait))),))
        if handler == "create_export" and SCOPES[token] != "read_write":
            details = {"token_scope": SCOPES[token], "required": "read_write"}
            raise Refusal(403, "The token's scope is too small", code="INSUFFICIENT_SCOPE", details=details)

    def _bucket(self, token: str, handler: str) -> Bucket:
        if (token, handler) not in self._buckets:
            self._buckets[token, handler] = Bucket(self._clock, _PER_MINUTE[handler] * self._scale)
        return self._buckets[token, handler]
