"""Credentials of declared providers: headers, query, HTTP Basic, and tokens of OAuth 2.0 (RFC 6749, RFC 7523)."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from oauthlib.oauth2 import Client as GrantClient

from tap_exports.engine.clock import Clock
from tap_exports.engine.http import Client
from tap_exports.errors import AuthError, ConfigError, RefusedError
from tap_exports.providers.declared.declaration.templates import Values, fill

LOGGER = logging.getLogger("tap-exports.http")
EARLY_SECONDS = 60  # a token is renewed so long before its end
UNKNOWN_LIFE_SECONDS = 600  # where the reply does not say how long it lives
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 300
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DEFAULT = {"Authorization": "Bearer {token}"}


class FixedCredentials:
    """Headers that stay the same.

    Args:
        headers: Filled.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Keep them."""
        self._headers = headers

    def headers(self) -> Mapping[str, str]:
        """Return them."""
        return self._headers

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Return False: there are no others."""
        del refused
        return False


class TokenCredentials:
    """Headers with a token, which is requested when it is needed and renewed before its end.

    Args:
        name: The provider's name, for messages.
        grant: The block `oauth2`, filled.
        headers: Templates that hold `{token}`.
        client: Sends requests to the token endpoint's origin.
        clock: Tells when a token ends.
        announce: Is told each token, so that nothing prints it.
    """

    def __init__(
        self,
        name: str,
        grant: Mapping[str, Any],
        headers: Mapping[str, str],
        client: Client,
        clock: Clock,
        announce: Callable[[str], None],
    ) -> None:
        """Keep the parts; no token is requested yet."""
        self._name, self._grant, self._templates = name, grant, headers
        self._client, self._clock, self._announce = client, clock, announce
        self._lock = threading.Lock()
        self._token, self._ends = "", 0.0
        self._refresh: str | None = grant.get("refresh_token")

    def headers(self) -> Mapping[str, str]:
        """Return headers with a token that lives for another minute at least, where tokens live so long.

        Raises:
            AuthError: The endpoint refuses the grant.
            TapError: It gave no answer.
        """
        with self._lock:
            if not self._token or self._clock.monotonic() >= self._ends:
                self._request()
            return self._filled()

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Discard the token that a 401 refused, unless another thread did; the next request gets another one."""
        with self._lock:
            if refused == self._filled():
                self._token = ""
        return True

    def _filled(self) -> dict[str, str]:
        return dict(fill(self._templates, {"token": self._token}))

    def _request(self) -> None:
        grant, path = self._grant, urlsplit(self._grant["token_url"]).path
        try:
            reply = self._client.send("POST", path or "/", body=self._body().encode(), headers=FORM)
            told = GrantClient(grant.get("client_id") or "").parse_request_body_response(reply.text())
        except (RefusedError, OAuth2Error) as error:
            raise AuthError(f"{self._name}: the token endpoint refused the grant {grant['grant']}: {error}") from None
        self._token = str(told["access_token"])
        self._refresh = told.get("refresh_token") or self._refresh
        life = float(told.get("expires_in") or UNKNOWN_LIFE_SECONDS)
        self._ends = self._clock.monotonic() + max(life - EARLY_SECONDS, life / 2)
        for secret in filter(None, (self._token, self._refresh)):
            self._announce(secret)
        LOGGER.info("%s: got a token for %.0f s", self._name, life)

    def _body(self) -> str:
        """Return the token request's form."""
        grant = self._grant
        more = {"client_secret": grant["client_secret"]} if grant.get("client_secret") else {}
        more |= grant.get("params") or {}
        scope, client = grant.get("scope"), BackendApplicationClient(grant.get("client_id") or "")
        if grant["grant"] == "jwt_bearer":
            return urlencode(_asserted(grant, signed(grant)) | more | ({"scope": scope} if scope else {}))
        if grant["grant"] == "refresh_token":
            return str(
                client.prepare_refresh_body(
                    refresh_token=self._refresh, scope=scope, client_id=grant.get("client_id"), **more
                )
            )
        return str(client.prepare_request_body(include_client_id=True, scope=scope, **more))


def _asserted(grant: Mapping[str, Any], assertion: str) -> dict[str, str]:
    """Return the fields of a token request that hold an assertion."""
    if grant.get("assertion") == "client":
        return {"grant_type": "client_credentials", "client_assertion_type": CLIENT_TYPE, "client_assertion": assertion}
    return {"grant_type": GRANT_TYPE, "assertion": assertion}


def signed(grant: Mapping[str, Any]) -> str:
    """Return an assertion that is signed with the private key and valid for five minutes (RFC 7523, 3).

    Raises:
        ConfigError: PyJWT is not installed, or the key cannot be used.
    """
    try:
        import jwt  # noqa: PLC0415 - an extra: few APIs need it
    except ImportError:
        raise ConfigError("`grant: jwt_bearer` needs PyJWT and cryptography: install tap-exports[jwt]") from None
    now, issuer = int(time.time()), grant.get("client_id") or ""
    claims = {"iss": issuer, "sub": grant.get("subject") or issuer, "aud": grant.get("audience") or grant["token_url"]}
    claims |= {"iat": now, "exp": now + ASSERTION_SECONDS, "jti": str(uuid4())}
    headers = {"kid": grant["key_id"]} if grant.get("key_id") else None
    try:
        return jwt.encode(claims, grant["private_key"], algorithm=grant.get("algorithm", "RS256"), headers=headers)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        reason = type(error).__name__  # not its words: they may hold a part of the key
        raise ConfigError(f"`private_key` cannot sign with {grant.get('algorithm', 'RS256')}: {reason}") from None


def fixed_headers(auth: Mapping[str, Any], values: Values) -> dict[str, str]:
    """Return the filled headers of `auth` without a token."""
    headers = {name: str(value) for name, value in fill(auth.get("headers", {}), values).items()}
    if basic := auth.get("basic"):
        user, password = (str(fill(basic.get(key, ""), values) or "") for key in ("user", "password"))
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return headers
