"""Assertions that are signed with a private key (RFC 7523), as the grant or as the client."""

from __future__ import annotations

import sys
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tap_exports.errors import ConfigError
from tap_exports.providers.declared.auth import ASSERTION_SECONDS, signed
from tap_exports.sandbox.declared.access import TOKEN_PATH
from tests.declared.vendors import config, landed, served, truth, vendor
from tests.tap.harness import Json, tap

GRANT: Json = {
    "token_url": "https://tokens.vendor.example/t",
    "grant": "jwt_bearer",
    "client_id": "{client}",
    "private_key": "{pem}",
    "scope": "exports.read",
}
KINDS: dict[str, Json] = {
    "grant": {},
    "client": {"assertion": "client", "audience": "https://vendor.example", "key_id": "{kid}"},
    "ES256": {"algorithm": "ES256", "subject": "{user}"},
    "ES384": {"algorithm": "ES384"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_assertion_gets_a_token(tmp_path: Path, kind: str) -> None:
    """The sandbox checks its signature and its claims; neither key nor assertion shows."""
    with served(vendor(auth={"oauth2": {**GRANT, **KINDS[kind]}})) as box:
        given = config(box)
        ran = tap(tmp_path, given, environment={"LOGLEVEL": "DEBUG"}).succeeded()
        assert landed(ran) == truth(box)
        assert sum(entry["path"] == TOKEN_PATH for entry in box.requests()) == 1
    pem = given["declared"][0]["credentials"]["pem"]
    shown = ran.stderr + str(ran.messages)
    assert "PRIVATE KEY" in pem
    assert all(line not in shown for line in pem.splitlines() if len(line) > 20)
    assert "eyJ" not in shown  # how every signed token begins


def test_claims() -> None:
    """Issuer, subject, audience, an end in five minutes and an id that does not come twice."""
    key = rsa.generate_private_key(65537, 2048)
    grant = {"client_id": "me", "token_url": "https://t.example/t", "private_key": key}
    tokens = [jwt.decode(signed(grant), key.public_key(), ["RS256"], audience="https://t.example/t") for _ in "ab"]
    assert {(t["iss"], t["sub"], t["exp"] - t["iat"]) for t in tokens} == {("me", "me", ASSERTION_SECONDS)}
    assert tokens[0]["jti"] != tokens[1]["jti"]
    other = {**grant, "subject": "you", "audience": "all", "key_id": "k1"}
    assert jwt.decode(signed(other), key.public_key(), ["RS256"], audience="all")["sub"] == "you"
    assert jwt.get_unverified_header(signed(other))["kid"] == "k1"


@pytest.mark.parametrize(
    "pem", ["nonsense secret", "-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----"]
)
def test_a_key_of_no_use_is_told_without_a_word_of_it(pem: str) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigError, match="`private_key` cannot sign with RS256") as caught:
        signed({"client_id": "me", "token_url": "https://t.example/t", "private_key": pem})
    assert "secret" not in caught.value.message


def test_without_pyjwt_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few APIs need it, so that it is no dependency."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigError, match=r"install tap-exports\[jwt\]"):
        signed({})


def test_a_signature_of_another_key_is_refused(tmp_path: Path) -> None:
    """By the sandbox, and the error names grant and endpoint."""
    with served(vendor(auth={"oauth2": GRANT})) as box, served(vendor(auth={"oauth2": GRANT})) as other:
        stranger = config(other)["declared"][0]["credentials"]
        ran = tap(tmp_path, config(box, block={"credentials": stranger}))
        assert ran.code == 1
        assert "the token endpoint refused the grant jwt_bearer" in ran.stderr
