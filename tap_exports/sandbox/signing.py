"""Signed URLs that expire, in the query forms of the stores that providers use."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

from tap_exports.sandbox.clock import Clock
from tap_exports.sandbox.web import Refusal

_SECRET = b"sandbox-signing-secret"
_AMZ_TIME = "%Y%m%dT%H%M%SZ"


class Signer:
    """Makes and checks the query of a signed URL."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Sign URLs that live `seconds` on the sandbox's clock."""
        self._clock = clock
        self._seconds = seconds
        self._numbers = itertools.count(1)

    def query(self, path: str, style: str) -> tuple[str, datetime]:
        """Return the query that opens `path`, and the moment (whole seconds) when it stops to.

        Args:
            path: path on the files origin.
            style: a name in `STYLES`.
        """
        lives = self._clock.now() + timedelta(seconds=self._seconds)
        expires = math.ceil(lives.timestamp())
        signature = _signature(path, expires, next(self._numbers))
        return urlencode(STYLES[style].write(expires, signature)), datetime.fromtimestamp(expires, timezone.utc)

    def check(self, path: str, query: dict[str, str]) -> None:
        """Accept a query that `query` made for this path and that has not expired.

        Raises:
            Refusal: 403, as S3 words it.
        """
        expires, signature = _read(query)
        if not hmac.compare_digest(signature, _signature(path, expires, _number(signature))):
            raise Refusal(403, "The request signature we calculated does not match.", code="SignatureDoesNotMatch")
        if self._clock.now().timestamp() >= expires:
            raise Refusal(403, "Request has expired", code="AccessDenied")


@dataclass(frozen=True, slots=True)
class _Style:
    """One query form: how it is written and read."""

    write: Callable[[int, str], dict[str, str]]
    read: Callable[[dict[str, str]], tuple[int, str]]


def _write_amz(expires: int, signature: str) -> dict[str, str]:
    # The life is 900 s in every URL here; what counts is date + life = expires.
    made = datetime.fromtimestamp(expires - 900, timezone.utc)
    return {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"SANDBOX/{made:%Y%m%d}/us-east-1/s3/aws4_request",
        "X-Amz-Date": made.strftime(_AMZ_TIME),
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": signature,
    }


def _read_amz(query: dict[str, str]) -> tuple[int, str]:
    made = datetime.strptime(query["X-Amz-Date"], _AMZ_TIME).replace(tzinfo=timezone.utc)
    return int(made.timestamp()) + int(query["X-Amz-Expires"]), query["X-Amz-Signature"]


STYLES = {
    "token": _Style(
        lambda expires, signature: {"token": signature, "expires": str(expires)},
        lambda query: (int(query["expires"]), query["token"]),
    ),
    "amz": _Style(_write_amz, _read_amz),
}


def _read(query: dict[str, str]) -> tuple[int, str]:
    style = STYLES["amz" if "X-Amz-Signature" in query else "token"]
    try:
        return style.read(query)
    except (KeyError, ValueError):
        raise Refusal(403, "Access Denied", code="AccessDenied") from None


def _signature(path: str, expires: int, number: int) -> str:
    # The number makes every URL of a file different, also within one second.
    digest = hmac.new(_SECRET, f"{path}|{expires}|{number}".encode(), hashlib.sha256).hexdigest()
    return f"{number:08x}{digest[:56]}"


def _number(signature: str) -> int:
    try:
        return int(signature[:8], 16)
    except ValueError:
        return 0
