"""A complete, small reply of an API, and what its error body says."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from tap_exports.engine.model import exact_number
from tap_exports.engine.secrets import Redactor
from tap_exports.errors import BadContentError

_SHOWN_CHARACTERS = 80
_MESSAGE_KEYS = ("message", "detail", "error_description", "error", "errors", "title")
_CODE_KEYS = ("code", "error_code", "type")
_RULES_ONLY = Redactor()
_SYNTAX: msgspec.json.Decoder[msgspec.Raw] = msgspec.json.Decoder(msgspec.Raw)
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=exact_number)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply whose body was read to its proper end.

    Attributes:
        status: The HTTP status.
        headers: Names compare without case.
        body: The bytes, without any `Content-Encoding`.
        source: Who answered what, for messages: `exelensia: GET /v1/exports`.
        redactor: Cleans what a message quotes of the body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    source: str = "the server"
    redactor: Redactor = field(default=_RULES_ONLY, repr=False, compare=False)
    _syntax: list[bool] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def date(self) -> datetime | None:
        """Return the server's own time, or None where it tells none that can be read."""
        with contextlib.suppress(TypeError, ValueError):
            told = parsedate_to_datetime(self.headers.get("Date", ""))
            return told if told.tzinfo else told.replace(tzinfo=timezone.utc)
        return None

    @property
    def is_success(self) -> bool:
        """Return whether the status is 2xx."""
        return self.status // 100 == 2  # noqa: PLR2004 - a class of statuses is clearest as its digit

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to read, as in a 204."""
        return not self.body.strip()

    @property
    def is_json(self) -> bool:
        """Return whether `json` can be read; nothing is built from it, and it is found out once, so this is cheap."""
        if not self._syntax:
            self._syntax.append(self.is_empty or self._can_be_read())
        return self._syntax[0]

    def _can_be_read(self) -> bool:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            _SYNTAX.decode(self.body)
            return True
        with contextlib.suppress(BadContentError):
            self.json()
            return True
        return False

    def json(self) -> Any:  # noqa: ANN401 - any JSON value; `Any` stops at the providers' `parse_*`
        """Return the body's JSON value, None for an empty body; a decimal that a float cannot hold is a `Decimal`.

        Raises:
            BadContentError: The body is not JSON; the message names its media type and its first 80 characters.
        """
        if self.is_empty:
            return None
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _DECODER.decode(self.body)
        try:  # what is right all the same: another encoding, half a surrogate pair
            return json.loads(self.body, parse_float=exact_number, parse_constant=_refuse)
        except (ValueError, RecursionError):
            media = self.headers.get("Content-Type", "no media type")
            start = shorten(self.redactor.clean(self.text()), _SHOWN_CHARACTERS)
            raise BadContentError(f"{self.source}: {self.status}: JSON expected, got {media}: {start!r}") from None

    def text(self) -> str:
        """Return the body as text, undecodable bytes replaced; at most its first 10,000 bytes."""
        return self.body[:10_000].decode("utf-8", "replace")


def _refuse(constant: str) -> None:
    """Refuse NaN and the infinities: Python reads them, JSON has none."""
    raise ValueError(constant)


def plain_error(reply: Reply) -> tuple[str, str]:
    """Return code and message of an error body of any usual shape; what is not JSON is its own message.

    Args:
        reply: A reply with a status of 400 and more.
    """
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return "", reply.text()
    nested = body.get("error") if isinstance(body, dict) else None
    layers = [layer for layer in (nested, body) if isinstance(layer, dict)]
    message = next((_plain(layer[key]) for layer in layers for key in _MESSAGE_KEYS if layer.get(key)), "")
    code = next((str(layer[key]) for layer in layers for key in _CODE_KEYS if layer.get(key)), "")
    return code, message or (_plain(body) if body else "")


def shorten(text: str, characters: int) -> str:
    """Return text on one line, cut after so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1] + "…"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
