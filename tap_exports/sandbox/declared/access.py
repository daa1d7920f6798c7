"""Who may ask a declared provider: keys in headers, query or body, HTTP Basic, and tokens that end."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any
from urllib.parse import parse_qs

from tap_exports.sandbox.web import Refusal, Request

Spec = Mapping[str, Any]
KEY = "sandbox-declared-key"
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLAIMS = ("iss", "sub", "aud", "exp", "iat", "jti")
HOLE = re.compile(r"\{(\w+)\}")


class Access:
    """The credentials of one provider.

    Args:
        auth: The declaration's block.
        token_seconds: Life of a token.
    """

    def __init__(self, auth: Spec, token_seconds: int) -> None:
        """Start without tokens."""
        self._auth, self._grant, self._seconds = auth, auth.get("oauth2", {}), token_seconds
        self._tokens: dict[str, float] = {}

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields that authorize a JSON body."""
        return {name: filled(text) for name, text in self._auth.get("body", {}).items()}

    @property
    def query(self) -> dict[str, str]:
        """Return the parameters that authorize a query."""
        return {name: filled(text) for name, text in self._auth.get("query", {}).items()}

    def credentials(self, names: list[str]) -> dict[str, str]:
        """Return the values of the holes of `auth`."""
        signs = HOLE.fullmatch(self._grant.get("private_key", ""))
        return dict.fromkeys(names, KEY) | ({signs[1]: self._private_key} if signs else {})

    @property
    def _basic(self) -> str:
        """Return the header of HTTP Basic, an empty text where there is none."""
        if not (basic := self._auth.get("basic")):
            return ""
        pair = f"{filled(basic['user'])}:{filled(basic.get('password', ''))}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def recognised(self, request: Request, now: float) -> str | None:
        """Return what carries the credentials, None where they are wrong."""
        if self._grant:
            if request.path == TOKEN_PATH:
                return "authorization"
            templates = self._auth.get("headers", {"Authorization": "Bearer {token}"}).items()
            header, template = next((name.lower(), text) for name, text in templates if "{token}" in text)
            before, _, behind = template.partition("{token}")
            token = request.headers.get(header, "").removeprefix(before).removesuffix(behind)
            return header if self._tokens.get(token, 0) > now else None
        wanted = {name.lower(): filled(text) for name, text in self._auth.get("headers", {}).items()}
        if self._basic:
            wanted["authorization"] = self._basic
        right = all(request.headers.get(name) == value for name, value in wanted.items())
        right = right and self.query.items() <= dict(request.query).items() and self._knows_body(request)
        return next(iter(wanted), "query") if right else None

    def _knows_body(self, request: Request) -> bool:
        if not self.fields or not request.body:
            return True
        sent = json.loads(request.body)
        return isinstance(sent, dict) and all(sent.get(name) == value for name, value in self.fields.items())

    def grant(self, request: Request, now: float) -> dict[str, Any]:
        """Return the answer to a token request.

        Raises:
            Refusal: 400, it does not hold the key, or its assertion is not signed by it.
        """
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        assertion = form.get("assertion") or form.get("client_assertion")
        if "private_key" in self._grant:
            self._check(assertion, form)
        elif KEY not in request.body.decode() and request.headers.get("authorization") != self._basic:
            raise Refusal(400, "invalid_grant", code="invalid_grant")
        token = f"token-{len(self._tokens) + 1:04d}-0123456789abcdef"
        self._tokens[token] = now + self._seconds
        return {"access_token": token, "token_type": "Bearer", "expires_in": self._seconds}

    def _check(self, assertion: str | None, form: Mapping[str, str]) -> None:
        import jwt  # noqa: PLC0415 - only declarations with `jwt_bearer` need it

        as_client = self._grant.get("assertion") == "client"
        if form["grant_type"] != ("client_credentials" if as_client else JWT_GRANT):
            raise Refusal(400, "unsupported_grant_type", code="unsupported_grant_type")
        try:
            jwt.decode(
                assertion or "",
                self._public_key,
                algorithms=[self._grant.get("algorithm", "RS256")],
                options={"require": list(CLAIMS), "verify_aud": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise Refusal(400, f"invalid_grant: {error}", code="invalid_grant") from None

    @cached_property
    def _keys(self) -> tuple[str, str]:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - an extra

        signs_by_curve = self._grant.get("algorithm", "RS256").startswith("ES")
        private = (
            ec.generate_private_key(ec.SECP256R1() if self._grant["algorithm"] == "ES256" else ec.SECP384R1())
            if signs_by_curve
            else rsa.generate_private_key(65537, 2048)
        )
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return pem.decode(), public.decode()

    @property
    def _private_key(self) -> str:
        return self._keys[0]

    @property
    def _public_key(self) -> str:
        return self._keys[1]


filled = partial(HOLE.sub, KEY)
