"""What travels between the HTTP server and the providers: requests, responses, routes, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from tap_exports.sandbox.lists import HONEST, Listing

Headers = tuple[tuple[str, str], ...]
Handler = TypeVar("Handler", bound=Callable[..., Any])

_DECIMAL = re.compile(r'"\\u0000([^"\\]+)\\u0000"')


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a provider sees it.

    `path` starts after the provider's prefix and is percent-decoded. Header names are lower case. `content` and
    `etag_salt` are set by faults: how the files origin has to distort the file before it cuts a range out of it. So is
    `listing`: how a list moves.
    """

    origin: str
    provider: str
    method: str
    path: str
    query: Headers = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content: tuple[Callable[[bytes], bytes], ...] = ()
    etag_salt: str = ""
    listing: Listing = HONEST

    def json(self) -> object:
        """Return the parsed body.

        Raises:
            Refusal: 400, the body is not JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refusal(400, "request body is not valid JSON") from error

    def json_object(self) -> dict[str, Any]:
        """Return the parsed body, which must be an object.

        Raises:
            Refusal: 400, the body is not a JSON object.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise Refusal(400, "request body must be a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Part:
    """`length` bytes of a file from `start`, so that large bodies never stand in memory."""

    path: Path
    start: int
    length: int

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self.length

    def head(self, size: int) -> Part:
        """Return the first `size` bytes of this part."""
        return Part(self.path, self.start, min(size, self.length))

    def read(self) -> bytes:
        """Return the bytes."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.length)


@dataclass(frozen=True, slots=True)
class Wire:
    """How a response is put on the wire; the defaults are the honest way.

    Attributes:
        delay_seconds: wait before the first byte.
        bytes_per_second: speed of the body, None for as fast as possible.
        cut_after: close the connection after so many bytes of the body.
        drop: `close` or `reset` the connection instead of answering.
        length_error: added to the true Content-Length.
        framed: whether there is a Content-Length; the end of the connection ends the body otherwise.
    """

    delay_seconds: float = 0.0
    bytes_per_second: float | None = None
    cut_after: int | None = None
    drop: str | None = None
    length_error: int = 0
    framed: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    """One response; Content-Length is computed when it is sent."""

    status: int = 200
    body: bytes | Part = b""
    headers: Headers = ()
    wire: Wire = Wire()

    def header(self, name: str) -> str | None:
        """Return the value of a header, None when it is not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Refusal(Exception):  # noqa: N818 - it is an answer, not a malfunction
    """An answer that ends a request early; each provider renders it in its own error envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        details: object = None,
        headers: Headers = (),
    ) -> None:
        """Keep the parts of the envelope.

        Args:
            status: HTTP status.
            message: text for people.
            code: the provider's own error code, where it has them.
            details: further content of the envelope, where it has some.
            headers: further headers of the answer, such as Retry-After.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.details = details
        self.headers = headers


def to_json(value: object, *, ascii_only: bool = True) -> bytes:
    """Return compact JSON; a `Decimal` is written with all its digits, which `json` alone cannot do."""
    text = json.dumps(value, default=_marked_decimal, ensure_ascii=ascii_only, separators=(",", ":"))
    return _DECIMAL.sub(r"\1", text).encode()


def _marked_decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return f"\x00{value}\x00"
    msg = f"{type(value).__name__} is not JSON"
    raise TypeError(msg)


def json_response(value: object, status: int = 200, headers: Headers = ()) -> Response:
    """Return a JSON response."""
    return Response(status, to_json(value), (("Content-Type", "application/json; charset=utf-8"), *headers))


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Make a method of a provider the handler of `method` on paths such as `/v1/exports/{id}/download`.

    The handler gets the request and one text argument per name in braces.
    """
    return _mark(method, pattern)


def truth(pattern: str) -> Callable[[Handler], Handler]:
    """Make a method of a provider the answer to `GET /_truth/<provider><pattern>`; it returns JSON-able values."""
    return _mark("TRUTH", pattern)


def _mark(method: str, pattern: str) -> Callable[[Handler], Handler]:
    def mark(handler: Handler) -> Handler:
        handler.__dict__["sandbox_route"] = (method, pattern)
        return handler

    return mark


@dataclass(frozen=True, slots=True)
class Routes:
    """The routing table of one provider, built from the marks of `route` and `truth`."""

    entries: tuple[tuple[str, re.Pattern[str], str], ...]

    @classmethod
    def of(cls, owner: type) -> Routes:
        """Collect the marked methods of a class."""
        marked = [(name, getattr(getattr(owner, name), "sandbox_route", None)) for name in dir(owner)]
        # The last one that fits is found: fixed paths stand behind general ones.
        marks = sorted(((mark[1].count("{"), *mark, name) for name, mark in marked if mark), reverse=True)
        return cls(tuple((method, _compiled(pattern), name) for _, method, pattern, name in marks))

    def find(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        """Return the name of the handler and the arguments from the path.

        Raises:
            Refusal: 404 when no route has this path, 405 when it has other methods only.
        """
        matches = [(verb, name, pattern.fullmatch(path)) for verb, pattern, name in self.entries]
        found = {verb: (name, match.groupdict()) for verb, name, match in matches if match}
        verbs = sorted(set(found) - {"TRUTH"})
        if method not in found and verbs:
            raise Refusal(405, f"method {method} is not allowed here; allowed: {', '.join(verbs)}")
        if method not in found:
            raise Refusal(404, f"no route for {method} {path}")
        return found[method]


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)))
